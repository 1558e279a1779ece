package book

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// An aggregate that is larger than a document may be lies in parts, each in a batch of its own,
// since a batch holds no more than a document. Its own key then has a head, which says what the
// parts are:
//
//	b ␟ relation ␟ customer ␟ a                     the head
//	b ␟ relation ␟ customer ␟ a ␟ generation ␟ 00   its first part, and so on
//
// Parts are written before the head that names them, under a generation that no other head
// names, and those of the head that was replaced go after it. So whoever reads sees all of the
// old or all of the new; where parts are gone that a head named, there is another head by now.
// A writer that is killed leaves parts that no head names: a repeat writes the same ones again,
// since a generation is a hash of what is written and of what it replaces, and the next large
// aggregate, a move or an erasure takes away what is left.
const (
	// partBytes is how large a body is at most that is not split, and a part: a batch
	// of the store holds it with its key.
	partBytes = store.MaxBytes - 4<<10

	// maxParts bounds what one customer takes in memory while it is read: our choice.
	maxParts = 8
)

// MaxAggregate is how large an encoded aggregate may be, in bytes: 9.97 MiB, some 70,000 policies
// of a few versions. The largest fleets that one intermediary insures are a tenth of it.
const MaxAggregate = maxParts * partBytes

// head is what lies under the key of a body that is split.
type head struct {
	Generation string `json:"generation"`
	Parts      int    `json:"parts"`
	Bytes      int    `json:"bytes"`
}

// readHead reads a head; false where the body is none. An encoded aggregate begins otherwise.
func readHead(body []byte) (h head, ok bool) {
	if len(body) == 0 || body[0] != '{' || json.Unmarshal(body, &h) != nil {
		return head{}, false
	}
	return h, h.Generation != "" && h.Parts > 0 && h.Parts <= maxParts && h.Bytes > 0 && h.Bytes <= MaxAggregate
}

func (h *head) keys(key string) []string {
	keys := make([]string, h.Parts)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%s%s%s%02d", key, sep, h.Generation, sep, i)
	}
	return keys
}

// addWhole writes a body that may be too large for a document in place of one of so many bytes.
func (w *Writer) addWhole(ctx context.Context, op store.Op, replaced int) error {
	if len(op.Body) <= partBytes && replaced <= partBytes {
		return w.add(ctx, op)
	}
	stale := map[string]bool{}
	// Only what is there before the head is replaced, and only where the head must be the one that was
	// read: whoever else is writing parts at the moment is then refused, and needs none of them.
	if op.Verb != store.Put {
		keys, err := partsOf(ctx, w.store, w.partition, op.Key)
		if err != nil {
			return err
		}
		for _, key := range keys {
			stale[key] = true
		}
	}
	if len(op.Body) > partBytes {
		sum := sha256.New()
		sum.Write([]byte(op.ETag + sep))
		sum.Write(op.Body)
		h := head{hex.EncodeToString(sum.Sum(nil)[:8]), (len(op.Body) + partBytes - 1) / partBytes, len(op.Body)}
		for i, key := range h.keys(op.Key) {
			part := store.Document{Key: key, Body: op.Body[i*partBytes : min((i+1)*partBytes, len(op.Body))], Expires: op.Expires}
			if err := w.store.Write(ctx, w.partition, []store.Op{{Document: part}}); err != nil {
				return err
			}
			delete(stale, key)
		}
		body, err := json.Marshal(h)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "encoding which parts a customer has")
		}
		op.Body = body
	}
	if err := w.add(ctx, op); err != nil {
		return err
	}
	for key := range stale {
		w.stale = append(w.stale, store.Op{Verb: store.Delete, Document: store.Document{Key: key}})
	}
	return nil
}

// read reads a document whose body may be split; false where it is missing.
func (b *Book) read(ctx context.Context, p store.Partition, key string) (store.Document, bool, error) {
	for tries := 0; ; tries++ {
		d, ok, err := store.GetOr(ctx, b.store, p, key)
		if err != nil || !ok {
			return d, ok, err
		}
		h, split := readHead(d.Body)
		if !split {
			return d, true, nil
		}
		parts, err := b.store.GetMany(ctx, p, h.keys(key))
		if err != nil {
			return d, false, err
		}
		body := make([]byte, 0, h.Bytes)
		for i := range parts {
			body = append(body, parts[i].Body...)
		}
		if len(body) == h.Bytes {
			d.Body = body
			return d, true, nil
		}
		if tries == maxReads {
			return d, false, errInPart
		}
	}
}

// maxReads is how often a large aggregate may be replaced by others while it is read.
const maxReads = 5

// errInPart is of an aggregate whose parts are not there, however often it is read.
var errInPart = fault.New(fault.Unavailable, "a customer's aggregate is there in part")

// partsOf are the keys of all parts under a key, also those that no head names.
func partsOf(ctx context.Context, s store.Store, p store.Partition, key string) (keys []string, err error) {
	for d, err := range s.Scan(ctx, p, key+sep, "") {
		if err != nil {
			return nil, err
		}
		keys = append(keys, strings.Clone(d.Key))
	}
	return keys, nil
}
