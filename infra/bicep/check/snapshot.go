// Package check holds the estate to what Polis promises of it. It reads the snapshots that
// the Bicep CLI makes of each environment: every resource, named and evaluated, without a
// subscription. A rule that no broken estate fails is no rule: testdata/broken.json breaks
// each of them.
package check

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Resource is one resource as the snapshot has it.
type Resource struct {
	ID       string
	Type     string
	Name     string // with those of its parents, a/b/c
	Location string
	Tags     map[string]string
	raw      map[string]any
}

// Estate is all that an environment gets.
type Estate struct {
	Environment string
	Promise     Promise // what it is to be
	Resources   []Resource
	byID        map[string]int
	// Diagnostics are what the CLI has to say of the snapshot; there should be nothing.
	Diagnostics []any
	Outputs     map[string]any
}

// Read reads a snapshot.
func Read(path, environment string) (*Estate, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a snapshot: %w", err)
	}
	return parse(body, environment)
}

func parse(body []byte, environment string) (*Estate, error) {
	all, err := Promises()
	if err != nil {
		return nil, err
	}
	p, ok := all[environment]
	if !ok {
		return nil, fmt.Errorf("%s promises nothing of %s", promisesFile, environment)
	}
	return parseAs(body, environment, p)
}

// parseAs is parse of an estate that is promised to be something else.
func parseAs(body []byte, environment string, p Promise) (*Estate, error) {
	var s struct {
		Resources   []map[string]any `json:"predictedResources"`
		Diagnostics []any            `json:"diagnostics"`
		Outputs     map[string]any   `json:"outputs"`
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("reading the snapshot of %s: %w", environment, err)
	}
	e := &Estate{Environment: environment, Promise: p, Diagnostics: s.Diagnostics, Outputs: s.Outputs}
	for _, raw := range s.Resources {
		e.Resources = append(e.Resources, resource(raw))
	}
	e.index()
	return e, nil
}

func resource(raw map[string]any) Resource {
	r := Resource{raw: raw, Tags: map[string]string{}}
	r.ID, r.Type, r.Name, r.Location = text(raw["id"]), text(raw["type"]), text(raw["name"]), text(raw["location"])
	if tags, ok := raw["tags"].(map[string]any); ok {
		for k, v := range tags {
			r.Tags[k] = text(v)
		}
	}
	return r
}

func (e *Estate) index() {
	e.byID = map[string]int{}
	for i, r := range e.Resources {
		e.byID[strings.ToLower(r.ID)] = i
	}
}

// Get finds a value by its path, "properties.encryption.keySource", "zones.0"; nil where there is none.
func (r Resource) Get(path string) any {
	var v any = r.raw
	for _, step := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

// Text is Get, of a string; "" where there is none.
func (r Resource) Text(path string) string { return text(r.Get(path)) }

// List is Get, of an array.
func (r Resource) List(path string) []any {
	l, _ := r.Get(path).([]any)
	return l
}

// Is reports whether the value at the path is this one. Numbers are float64.
func (r Resource) Is(path string, want any) bool {
	if n, ok := want.(int); ok {
		want = float64(n)
	}
	return r.Get(path) == want
}

// Of are the resources of a type.
func (e *Estate) Of(kind string) []Resource {
	var out []Resource
	for _, r := range e.Resources {
		if strings.EqualFold(r.Type, kind) {
			out = append(out, r)
		}
	}
	return out
}

// At finds a resource by its id.
func (e *Estate) At(id string) (Resource, bool) {
	i, ok := e.byID[strings.ToLower(id)]
	if !ok {
		return Resource{}, false
	}
	return e.Resources[i], true
}

// serving is the region and colour whose workers run.
func (e *Estate) serving() (region, colour string) {
	for _, s := range e.Of("Microsoft.Web/sites") {
		parts := strings.Split(s.Name, "-") // func-polis-prod-weu-work-blue-token
		if parts[4] == "work" && s.Is("properties.enabled", true) {
			return parts[3], parts[5]
		}
	}
	return "", ""
}

// regions are the short names of the region that serves and of the one that waits; "" where there is none.
func (e *Estate) regions() (first, second string) {
	first, _ = e.serving()
	for _, s := range e.Of("Microsoft.Web/sites") {
		if in := strings.Split(s.Name, "-")[3]; in != first {
			second = in
		}
	}
	return first, second
}

// standsBy reports whether a name is of another region or colour than what serves.
func (e *Estate) standsBy(name string) bool {
	region, colour := e.serving()
	parts := strings.Split(name, "-")
	if len(parts) < 5 {
		return false
	}
	return parts[3] != region || len(parts) > 6 && parts[5] != colour
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// last is the last step of a path or id.
func last(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
