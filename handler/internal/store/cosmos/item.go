package cosmos

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-faster/jx"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// An item is a document as Cosmos DB keeps it:
//
//	id      a hash of the key
//	tenant  and
//	bucket  the hierarchical partition key
//	key     the key, escaped: the only indexed path
//	body    in base64
//	marks   of the write that put it there and of those before, newest first
//	expires in milliseconds since 1970; only where it does
//	ttl     the same, in seconds from the write: then Cosmos DB removes it
type item struct {
	key     string
	body    []byte
	marks   string
	expires time.Time
	etag    string
}

// Marks are remembered as many times as others may write a document between a write whose
// answer was lost and its repeat.
const marksKept = 100

// An ETag as Polis sees it is Cosmos DB's and the marks, so that who replaces a document
// passes on its marks.
const markSign = "#"

func (it *item) tag() string { return it.etag + markSign + it.marks }

// parts are Cosmos DB's ETag and the marks.
func parts(tag string) (etag, marks string) {
	i := strings.LastIndex(tag, markSign)
	if i < 0 {
		return "", ""
	}
	return tag[:i], tag[i+1:]
}

// marked is a mark before those that were there.
func marked(mark, before string) string {
	all := append([]string{mark}, strings.Split(before, ".")...)
	return strings.TrimSuffix(strings.Join(all[:min(len(all), marksKept)], "."), ".")
}

func (it *item) has(mark string) bool { return slices.Contains(strings.Split(it.marks, "."), mark) }

// appendItem appends the item's JSON.
func appendItem(b []byte, p store.Partition, d *store.Document, mark string, now time.Time) []byte {
	_, before := parts(d.ETag)
	b = append(b, `{"id":"`...)
	b = append(b, idOf(d.Key)...)
	b = append(b, `","tenant":`...)
	b = strconv.AppendQuote(b, p.Tenant)
	b = append(b, `,"bucket":`...)
	b = strconv.AppendInt(b, int64(p.Bucket), 10)
	b = append(b, `,"key":`...)
	b = strconv.AppendQuote(b, escape(d.Key))
	b = append(b, `,"marks":"`...)
	b = append(b, marked(mark, before)...)
	b = append(b, `","body":"`...)
	b = base64.StdEncoding.AppendEncode(b, d.Body)
	b = append(b, '"')
	if !d.Expires.IsZero() {
		b = append(b, `,"expires":`...)
		b = strconv.AppendInt(b, d.Expires.UnixMilli(), 10)
		b = append(b, `,"ttl":`...)
		left := (d.Expires.Sub(now) + time.Second - 1) / time.Second
		b = strconv.AppendInt(b, int64(max(1, left)), 10)
	}
	return append(b, '}')
}

// readItem reads an item, without what only Cosmos DB uses.
func readItem(b []byte) (item, error) {
	var it item
	d := jx.DecodeBytes(b)
	err := d.ObjBytes(func(d *jx.Decoder, name []byte) error {
		var err error
		var s string
		switch string(name) {
		case "key":
			var ok bool
			if s, err = d.Str(); err == nil {
				if it.key, ok = unescape(s); !ok {
					err = fault.New(fault.Internal, "a key that is none")
				}
			}
		case "body":
			it.body, err = d.Base64()
		case "marks":
			it.marks, err = d.Str()
		case "expires":
			var ms int64
			// The client's own decoder makes floating-point numbers of integers on the way.
			if n, e := d.Num(); e != nil {
				err = e
			} else if f, e := n.Float64(); e != nil {
				err = e
			} else {
				ms = int64(f)
			}
			it.expires = time.UnixMilli(ms).UTC()
		case "_etag":
			it.etag, err = d.Str()
		default:
			err = d.Skip()
		}
		return err
	})
	return it, fault.Wrap(fault.Internal, err, "reading an item of Cosmos DB")
}

func (it *item) expired(now time.Time) bool { return !it.expires.IsZero() && !it.expires.After(now) }

func (it *item) document() store.Document {
	return store.Document{Key: it.key, Body: it.body, ETag: it.tag(), Expires: it.expires}
}
