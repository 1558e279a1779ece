package blobtest

import (
	"context"
	"io"
	"iter"
	"strings"

	"polis/handler/internal/blob"
)

// Apart is a folder of a store that is shared, empty as long as nobody else has the name. The suite runs in one
// where each of its stores cannot be had anew, as in a subscription.
func Apart(s blob.Store, folder string) blob.Store { return apart{s, folder + "/"} }

type apart struct {
	blob.Store
	folder string
}

// in leaves what is no name alone: it is to be refused.
func (a apart) in(name string) string {
	if blob.CheckName(name) != nil {
		return name
	}
	return a.folder + name
}

func (a apart) out(i blob.Info) blob.Info {
	i.Name = strings.TrimPrefix(i.Name, a.folder)
	return i
}

func (a apart) Open(ctx context.Context, name string) (io.ReadCloser, blob.Info, error) {
	r, i, err := a.Store.Open(ctx, a.in(name))
	return r, a.out(i), err
}

func (a apart) Put(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	i, err := a.Store.Put(ctx, a.in(name), r)
	return a.out(i), err
}

func (a apart) Create(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	i, err := a.Store.Create(ctx, a.in(name), r)
	return a.out(i), err
}

func (a apart) Replace(ctx context.Context, name, etag string, r io.Reader) (blob.Info, error) {
	i, err := a.Store.Replace(ctx, a.in(name), etag, r)
	return a.out(i), err
}

func (a apart) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for i, err := range a.Store.List(ctx, a.folder+prefix) {
			if !yield(a.out(i), err) {
				return
			}
		}
	}
}

func (a apart) Delete(ctx context.Context, name string) error { return a.Store.Delete(ctx, a.in(name)) }
