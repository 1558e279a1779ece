// Package cosmos keeps documents in Azure Cosmos DB for NoSQL: one container, whose
// hierarchical partition key is tenant and bucket, so that a bucket is read by one query and
// written by transactional batches. The container is made by the estate's template
// (infra/bicep), never here: the identity that scores may not change it.
package cosmos

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"polis/handler/internal/fault"
	"polis/handler/internal/store"
)

// Options are where the documents are.
type Options struct {
	Endpoint  string // https://NAME.documents.azure.com:443/
	Database  string
	Container string
	Regions   []string           // to be asked in this order; empty: the account's
	Transport policy.Transporter // default the client's own
	Now       func() time.Time   // default time.Now
	Attempts  int                // of one call, the first included; default Attempts
	Patience  time.Duration      // with one that is throttled; default Patience
	Timeout   time.Duration      // of one attempt; default 5 seconds, after which the service has itself given up
}

// Store implements store.Store.
type Store struct {
	container *azcosmos.ContainerClient
	now       func() time.Time
	attempts  int
	patience  time.Duration
}

// Open is a store over a container. It asks nothing of it yet.
func Open(cred azcore.TokenCredential, o Options) (*Store, error) {
	switch {
	case cred == nil:
		return nil, fault.New(fault.Unconfigured, "Cosmos DB needs a credential")
	case o.Endpoint == "" || o.Database == "" || o.Container == "":
		return nil, fault.New(fault.Unconfigured, "Cosmos DB needs an endpoint, a database and a container")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Attempts == 0 {
		o.Attempts = Attempts
	}
	if o.Patience == 0 {
		o.Patience = Patience
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	client, err := azcosmos.NewClient(o.Endpoint, cred, &azcosmos.ClientOptions{
		PreferredRegions: o.Regions,
		ClientOptions: azcore.ClientOptions{
			Transport: o.Transport,
			// Tries are counted here, where it is known what may be repeated: see tried.
			Retry: policy.RetryOptions{MaxRetries: -1, TryTimeout: o.Timeout},
		},
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening Cosmos DB")
	}
	container, err := client.NewContainer(o.Database, o.Container)
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening a container of Cosmos DB")
	}
	return &Store{container, o.Now, o.Attempts, o.Patience}, nil
}

// Close implements store.Store.
func (s *Store) Close() error { return nil }

func keyOf(p store.Partition) azcosmos.PartitionKey {
	return azcosmos.NewPartitionKeyString(p.Tenant).AppendNumber(float64(p.Bucket))
}

// consistency is what a read may be content with: the account's own, or less where the
// caller said that it is.
func consistency(ctx context.Context) *azcosmos.ConsistencyLevel {
	if store.IsStale(ctx) {
		return to.Ptr(azcosmos.ConsistencyLevelEventual)
	}
	return nil
}

// Get implements store.Store: a point read.
func (s *Store) Get(ctx context.Context, p store.Partition, key string) (store.Document, error) {
	it, err := s.read(ctx, p, key)
	if err != nil {
		return store.Document{}, err
	}
	if it.expired(s.now()) {
		return store.Document{}, fault.New(fault.NotFound, "no such document")
	}
	return it.document(), nil
}

func (s *Store) read(ctx context.Context, p store.Partition, key string) (item, error) {
	var it item
	err := s.tried(ctx, "reading a document", func(ctx context.Context) (float32, error) {
		r, err := s.container.ReadItem(ctx, keyOf(p), idOf(key), &azcosmos.ItemOptions{ConsistencyLevel: consistency(ctx)})
		if err == nil {
			it, err = readItem(r.Value)
		}
		return r.RequestCharge, err
	})
	return it, err
}

// GetMany implements store.Store: one query, since each point read would be a round trip.
func (s *Store) GetMany(ctx context.Context, p store.Partition, keys []string) ([]store.Document, error) {
	if err := store.CheckKeys(keys); err != nil || len(keys) == 0 {
		return nil, err
	}
	escaped := make([]string, len(keys))
	for i, k := range keys {
		escaped[i] = escape(k)
	}
	var docs []store.Document
	for d, err := range s.query(ctx, p, "reading documents", fields+"ARRAY_CONTAINS(@keys, c.key) ORDER BY c.key", []azcosmos.QueryParameter{{Name: "@keys", Value: escaped}}) {
		if err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// fields begins queries.
const fields = "SELECT c.key, c.body, c.marks, c.expires, c._etag FROM c WHERE "

// Scan implements store.Store: one query, page by page.
func (s *Store) Scan(ctx context.Context, p store.Partition, prefix, after string) iter.Seq2[store.Document, error] {
	query, params := fields+"c.key >= @from AND c.key < @to ORDER BY c.key", []azcosmos.QueryParameter{
		{Name: "@from", Value: escape(prefix)}, {Name: "@to", Value: escape(prefix) + past},
	}
	if after != "" {
		query = fields + "c.key >= @from AND c.key < @to AND c.key > @after ORDER BY c.key"
		params = append(params, azcosmos.QueryParameter{Name: "@after", Value: escape(after)})
	}
	return s.query(ctx, p, "scanning a bucket", query, params)
}

// query yields what a query of a partition finds.
func (s *Store) query(ctx context.Context, p store.Partition, doing, query string, params []azcosmos.QueryParameter) iter.Seq2[store.Document, error] {
	return func(yield func(store.Document, error) bool) {
		var next *string
		for {
			var page azcosmos.QueryItemsResponse
			// A pager that failed stays so: each try has its own, which goes on where the last page ended.
			err := s.tried(ctx, doing, func(ctx context.Context) (float32, error) {
				var err error
				page, err = s.container.NewQueryItemsPager(query, keyOf(p), &azcosmos.QueryOptions{
					QueryParameters: params, ConsistencyLevel: consistency(ctx), PageSizeHint: PageSize,
					ContinuationToken: next, EnableCrossPartitionQuery: to.Ptr(false),
				}).NextPage(ctx)
				return page.RequestCharge, err
			})
			if err != nil {
				yield(store.Document{}, err)
				return
			}
			now := s.now()
			for _, body := range page.Items {
				it, err := readItem(body)
				if err == nil {
					err = fault.Wrap(fault.Cancelled, ctx.Err(), "%s", doing)
				}
				if err != nil {
					yield(store.Document{}, err)
					return
				}
				if !it.expired(now) && !yield(it.document(), nil) {
					return
				}
			}
			if next = page.ContinuationToken; next == nil {
				return
			}
		}
	}
}

// PageSize is how many documents a page has at most; 4 MB, Cosmos DB's own bound, cuts
// pages of large ones before.
const PageSize = 1000

// Write implements store.Store: one transactional batch.
//
// A batch whose answer was lost may have been done, and is then refused when it is tried
// again: what it would create is there. So each batch marks what it writes, and a refusal
// over a document with its own mark is success. Marks of earlier writes stay in the document,
// since another may have replaced it meanwhile.
func (s *Store) Write(ctx context.Context, p store.Partition, ops []store.Op) error {
	if err := store.Check(ops); err != nil {
		return err
	}
	b := batch{mark: rand.Text()[:markLength], ops: ops, gone: make([]bool, len(ops)), over: make([]string, len(ops))}
	for {
		failed, status, err := s.execute(ctx, p, &b)
		if err != nil || status == 0 {
			return err
		}
		op := &ops[failed]
		switch {
		case status == http.StatusNotFound && op.Verb == store.Delete:
			b.gone[failed] = true // what is not there need not be deleted
			continue
		case status == http.StatusNotFound || status == http.StatusPreconditionFailed || status == http.StatusConflict:
			there, err := s.read(ctx, p, op.Key)
			switch {
			case fault.Is(err, fault.NotFound):
			case err != nil:
				return err
			case there.has(b.mark):
				return nil
			case op.Verb == store.Create && there.expired(s.now()) && b.over[failed] != there.tag():
				b.over[failed] = there.tag() // Cosmos DB removes it up to a second later
				continue
			}
			return fault.New(fault.Conflict, "a document is there already, or has changed")
		default:
			return fault.New(kindOf(status), "Cosmos DB refuses an operation of a batch with status %d", status)
		}
	}
}

// batch is a batch on its way.
type batch struct {
	mark string
	ops  []store.Op
	gone []bool   // deletions of what is not there
	over []string // etags of expired documents that are created over
}

// execute tries a batch, and returns the operation over which it was refused and the status, or
// 0 if all was done.
func (s *Store) execute(ctx context.Context, p store.Partition, b *batch) (failed, status int, err error) {
	tb := s.container.NewTransactionalBatch(keyOf(p))
	var of []int
	now := s.now()
	for i := range b.ops {
		op := &b.ops[i]
		if b.gone[i] {
			continue
		}
		of = append(of, i)
		switch op.Verb {
		case store.Delete:
			tb.DeleteItem(idOf(op.Key), nil)
		case store.Put:
			tb.UpsertItem(appendItem(nil, p, &op.Document, b.mark, now), nil)
		case store.Replace:
			tb.ReplaceItem(idOf(op.Key), appendItem(nil, p, &op.Document, b.mark, now), match(op.ETag))
		case store.Create:
			if body := appendItem(nil, p, &op.Document, b.mark, now); b.over[i] != "" {
				tb.ReplaceItem(idOf(op.Key), body, match(b.over[i]))
			} else {
				tb.CreateItem(body, nil)
			}
		}
	}
	if len(of) == 0 {
		return 0, 0, fault.Wrap(fault.Cancelled, ctx.Err(), "writing a batch")
	}
	err = s.tried(ctx, "writing a batch", func(ctx context.Context) (float32, error) {
		r, err := s.container.ExecuteTransactionalBatch(ctx, tb, nil)
		if err != nil {
			return r.RequestCharge, err
		}
		failed, status = 0, 0
		if r.Success {
			return r.RequestCharge, nil
		}
		for i, result := range r.OperationResults {
			if code := int(result.StatusCode); code != http.StatusFailedDependency && code >= 400 && i < len(of) {
				failed, status = of[i], code
				if passing(code) {
					return r.RequestCharge, &azcore.ResponseError{StatusCode: code}
				}
				return r.RequestCharge, nil
			}
		}
		return r.RequestCharge, errors.New("a batch that failed without a failing operation")
	})
	return failed, status, err
}

// markLength is 50 bits of chance.
const markLength = 10

// match is a condition that an ETag holds; an empty one holds for no document.
func match(tag string) *azcosmos.TransactionalBatchItemOptions {
	etag, _ := parts(tag)
	if etag == "" {
		etag = `"none"`
	}
	return &azcosmos.TransactionalBatchItemOptions{IfMatchETag: to.Ptr(azcore.ETag(etag))}
}
