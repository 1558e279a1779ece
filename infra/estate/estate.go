// Package estate says what Polis needs to be there before it runs in Azure: containers,
// queues, topics, blobs and settings. Bicep reads the same file (infra/bicep), so that
// code and infrastructure cannot ask for different things; tests on both sides hold to it.
package estate

import (
	"bytes"
	_ "embed" // the estate
	"encoding/json"
	"fmt"
)

//go:embed estate.json
var file []byte

// Estate is all of it.
type Estate struct {
	Apps               []App     `json:"apps"`
	Documents          Documents `json:"documents"`
	Blobs              []Blobs   `json:"blobs"`
	Bus                Bus       `json:"bus"`
	Settings           []Setting `json:"settings"`
	SettingsNotInAzure []Absent  `json:"settingsNotInAzure"`
}

// App is a function app: it holds the functions of one kind of trigger.
type App struct {
	Name    string `json:"name"`
	Trigger string `json:"trigger"`
	Why     string `json:"why"`
}

// Documents is the database that is the store in Azure.
type Documents struct {
	Database   string      `json:"database"`
	Containers []Container `json:"containers"`
}

// Container holds documents. PartitionKey are paths, from the outermost level in; OrderBy is
// the path of what documents are ordered by within a partition, the only one that is indexed.
// DefaultTTL is in seconds; -1: a document expires only where it says so itself.
type Container struct {
	Name           string         `json:"name"`
	Why            string         `json:"why"`
	PartitionKey   []string       `json:"partitionKey"`
	OrderBy        string         `json:"orderBy"`
	DefaultTTL     int            `json:"defaultTtl"`
	IndexingPolicy IndexingPolicy `json:"indexingPolicy"`
}

// IndexingPolicy is as Cosmos DB has it.
type IndexingPolicy struct {
	IndexingMode  string `json:"indexingMode"`
	Automatic     bool   `json:"automatic"`
	IncludedPaths []Path `json:"includedPaths"`
	ExcludedPaths []Path `json:"excludedPaths"`
}

// Path is a path of an indexing policy.
type Path struct {
	Path string `json:"path"`
}

// Blobs is a container of blobs, in one of the storage accounts, and which apps write and
// read it.
type Blobs struct {
	Name      string   `json:"name"`
	Account   string   `json:"account"`
	Why       string   `json:"why"`
	WrittenBy []string `json:"writtenBy"`
	ReadBy    []string `json:"readBy"`
	Prefixes  []Prefix `json:"prefixes"`
}

// Prefix begins the names of blobs of one kind. KeepDays: deleted so many days after they
// were last written; 0: never. Copied: what a weekly copy takes of them, which is kept for ten
// years: "whole", "new" (written since the last), or nothing.
type Prefix struct {
	Name     string `json:"name"`
	KeepDays int    `json:"keepDays"`
	Copied   string `json:"copied"`
	Why      string `json:"why"`
}

// Bus is what messages go by. Times are ISO 8601 durations.
type Bus struct {
	Queues          []Queue `json:"queues"`
	Topics          []Topic `json:"topics"`
	Lock            string  `json:"lock"`
	MaxDeliveries   int     `json:"maxDeliveries"`
	DuplicateWindow string  `json:"duplicateWindow"`
	TimeToLive      string  `json:"timeToLive"`
	Why             string  `json:"why"`
}

// Queue says which app works it off, and which put messages on it. "integrations" are
// workloads of users, "custodians" those who use the command line (polis run --azure).
type Queue struct {
	Name       string   `json:"name"`
	ReceivedBy string   `json:"receivedBy"`
	SentBy     []string `json:"sentBy"`
}

// Topic says who publishes, and which subscriptions there always are.
type Topic struct {
	Name          string         `json:"name"`
	SentBy        []string       `json:"sentBy"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// Subscription is one of a topic.
type Subscription struct {
	Name string `json:"name"`
}

// Setting is an app setting: its value, or what the deployment takes it from. ReadBy is
// "host" (the Functions host), "handler", or "adapters" (those for Azure). App is the only
// app that has it; empty: all have.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	From   string `json:"from"`
	ReadBy string `json:"readBy"`
	App    string `json:"app"`
}

// Absent is a setting that code reads and no app in Azure has.
type Absent struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Load reads the estate. A field that it does not know is an error: it would be a need
// that nobody meets.
func Load() (*Estate, error) {
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	var e Estate
	if err := d.Decode(&e); err != nil {
		return nil, fmt.Errorf("reading the estate: %w", err)
	}
	return &e, nil
}
