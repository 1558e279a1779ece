package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"polis/handler/internal/deflate"
	"polis/handler/internal/scoring"
)

// What two runs need not have in common, in documents and in messages. All else is compared
// byte for byte.
//
//   - of a document in Cosmos DB: _etag, _ts, marks (of the write), expires and ttl (counted from
//     the write; that there is one is compared), and id (a hash of the key, which is compared)
//   - of a customer's scores: when each was made
//   - in JSON: scored_at, created_at, completed_at, time; elapsed_seconds and seconds; and store,
//     what was asked of the store, which counts what was tried again, as retries_before does
//   - of an action list: version, a hash of its pages, in which scored_at is; it is in the
//     pages' keys too
//   - of an export: the time in its id and key, when it expires and was made, the folder of the
//     attempt, and the bytes and hashes of files; what is in the files is compared: exported.go
var (
	moments   = regexp.MustCompile(`"(scored_at|created_at|completed_at|time)":"[^"]*"`)
	durations = regexp.MustCompile(`"(elapsed_seconds|seconds)":[-+.0-9eE]+`)
	costs     = regexp.MustCompile(`"store":\{[^{}]*\}`)
	vain      = regexp.MustCompile(`"retries_before":[0-9]+,`)
	version   = regexp.MustCompile(`"version":"[0-9a-f]{16}"`)
	pageKey   = regexp.MustCompile(`^(list\x1f[0-9-]+\x1f)[0-9a-f]{16}(\x1f)`)
	attempts  = regexp.MustCompile(`"(expires_at|made_at|folder|sha256)":"[^"]*"|"bytes":[0-9]+|"export_id":"[0-9T]+`)
	exportID  = regexp.MustCompile(`^(export\x1f)[0-9T]+`)
)

// timeless is JSON without what two runs need not have in common.
func timeless(body []byte) []byte {
	body = moments.ReplaceAll(body, []byte(`"$1":""`))
	body = durations.ReplaceAll(body, []byte(`"$1":0`))
	body = vain.ReplaceAll(body, nil)
	return costs.ReplaceAll(body, []byte(`"store":{}`))
}

// digest is of a document or a message, with its JSON, which an error shows.
type digest struct {
	sum  [sha256.Size]byte
	body string
}

// digestOf is of a body without what two runs need not have in common.
func digestOf(expires bool, body []byte) digest {
	d := digest{sum: sha256.Sum256(append(fmt.Appendf(nil, "%t ", expires), body...))}
	if len(body) > 0 && (body[0] == '{' || body[0] == '[') {
		d.body = string(body)
	}
	return d
}

// from is where two bodies part.
func (d digest) from(other digest) string {
	a, b := d.body, other.body
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	around := func(s string) string { return s[max(0, min(i, len(s))-60):min(len(s), i+60)] }
	return fmt.Sprintf("%q where %q is expected", around(a), around(b))
}

// state is what a run has left: digests of the documents by partition and key, and of the
// messages by topic and id, and of the tables of its export.
type state struct {
	mu        sync.Mutex // of documents
	documents map[string]digest
	sent      map[string]digest
	exported  map[string]digest
	completed int // how many times the run was recorded as completed
	tally
	seconds float64
}

// maxBody is of what was packed: no page of a list is that large.
const maxBody = 64 << 20

// item is a document as Cosmos DB keeps it.
type item struct {
	Key     string          `json:"key"`
	Body    []byte          `json:"body"`
	Expires json.RawMessage `json:"expires"`
}

// add takes a document in.
func (s *state) add(partition, raw string) error {
	name, sum, err := digestDocument(partition, raw)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, there := s.documents[name]; there && old.sum != sum.sum {
		return fmt.Errorf("two documents %q that differ", name)
	}
	s.documents[name] = sum
	return nil
}

func digestDocument(partition, raw string) (name string, sum digest, err error) {
	var it item
	if err := json.Unmarshal([]byte(raw), &it); err != nil {
		return "", sum, err
	}
	key := strings.ReplaceAll(it.Key, "!1f", "\x1f")
	body := it.Body
	switch parts := strings.Split(key, "\x1f"); {
	case parts[0] == "h" || parts[0] == "b" && parts[len(parts)-1] == "s":
		if body, err = scoring.Timeless(body); err != nil {
			return "", sum, err
		}
	case parts[0] == "b" || parts[0] == "p":
	default:
		plain, err := deflate.Unpack(body, maxBody)
		if err != nil {
			return "", sum, err
		}
		body = timeless(plain)
		switch parts[0] {
		case "export":
			body = attempts.ReplaceAll(body, nil)
			fallthrough
		case "list-head":
			body = version.ReplaceAll(body, []byte(`"version":""`))
		}
		key = exportID.ReplaceAllString(pageKey.ReplaceAllString(key, "$1$2"), "$1")
	}
	return partition + " " + key, digestOf(it.Expires != nil, body), nil
}

// message takes a message that was sent in. Copies must say the same.
func (s *state) message(topic, id string, body []byte) error {
	sum := digestOf(false, timeless(body))
	name := topic + " " + id
	if old, there := s.sent[name]; there {
		s.duplicates++
		if old.sum != sum.sum {
			return fmt.Errorf("two messages %q that differ", name)
		}
	}
	s.sent[name] = sum
	return nil
}

// equal is an error where a run left anything else than it should have.
func (s *state) equal(want *state) error {
	if s.completed != 1 {
		return fmt.Errorf("the run was recorded as completed %d times", s.completed)
	}
	for what, pair := range map[string][2]map[string]digest{
		"documents": {s.documents, want.documents}, "messages": {s.sent, want.sent}, "exported tables": {s.exported, want.exported},
	} {
		var lost, more, other []string
		for name, sum := range pair[1] {
			if got, ok := pair[0][name]; !ok {
				lost = append(lost, name)
			} else if got.sum != sum.sum {
				other = append(other, name+": "+got.from(sum))
			}
		}
		for name := range pair[0] {
			if _, ok := pair[1][name]; !ok {
				more = append(more, name)
			}
		}
		if len(lost)+len(more)+len(other) > 0 {
			return fmt.Errorf("of %d %s %d are lost, %d are there besides, %d differ: %q", len(pair[1]), what, len(lost), len(more), len(other), some(lost, more, other))
		}
	}
	return nil
}

// some are the first of each.
func some(lists ...[]string) []string {
	var out []string
	for _, l := range lists {
		slices.Sort(l)
		out = append(out, l[:min(3, len(l))]...)
	}
	return out
}
