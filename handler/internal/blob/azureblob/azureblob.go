// Package azureblob keeps blobs in a container of Azure Blob Storage. The container is made
// by the estate's template (infra/bicep), never here.
package azureblob

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	sdk "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"polis/handler/internal/blob"
	"polis/handler/internal/fault"
)

// Options are where the blobs are.
type Options struct {
	Endpoint  string             // https://NAME.blob.core.windows.net/
	Container string             //
	Transport policy.Transporter // default the client's own
}

// Store implements blob.Store.
type Store struct{ container *container.Client }

var _ blob.Store = (*Store)(nil)

// Open is the blobs of a container. It asks nothing of it yet.
func Open(cred azcore.TokenCredential, o Options) (*Store, error) {
	switch {
	case cred == nil:
		return nil, fault.New(fault.Unconfigured, "Blob Storage needs a credential")
	case o.Endpoint == "" || o.Container == "":
		return nil, fault.New(fault.Unconfigured, "Blob Storage needs an endpoint and a container")
	}
	c, err := container.NewClient(strings.TrimSuffix(o.Endpoint, "/")+"/"+o.Container, cred, &container.ClientOptions{
		ClientOptions: azcore.ClientOptions{
			Transport: o.Transport,
			Retry:     policy.RetryOptions{MaxRetries: 5, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 5 * time.Second},
		},
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "opening Blob Storage")
	}
	return &Store{c}, nil
}

// wrap gives the service's errors the store's kinds; an error that has a kind, such as one of
// the reader that a blob is written from, keeps it.
func wrap(ctx context.Context, err error, doing string) error {
	var r *azcore.ResponseError
	switch {
	case err == nil:
		return nil
	case fault.KindOf(err) != fault.Internal:
		return err
	case ctx.Err() != nil:
		return fault.Wrap(fault.Cancelled, errors.Join(ctx.Err(), err), "%s", doing)
	case bloberror.HasCode(err, bloberror.BlobNotFound):
		return fault.New(fault.NotFound, "no such blob")
	case bloberror.HasCode(err, bloberror.ContainerNotFound):
		return fault.Wrap(fault.Unconfigured, err, "%s: the container is not there", doing)
	case bloberror.HasCode(err, bloberror.BlobAlreadyExists):
		return fault.New(fault.Conflict, "the blob exists already")
	case bloberror.HasCode(err, bloberror.ConditionNotMet):
		return fault.New(fault.Conflict, "the blob was written by another")
	case errors.As(err, &r) && (r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden):
		return fault.Wrap(fault.Unconfigured, err, "%s", doing)
	case errors.As(err, &r) && r.StatusCode == http.StatusNotFound:
		return fault.New(fault.NotFound, "no such blob")
	}
	return fault.Wrap(fault.Unavailable, err, "%s", doing)
}

// Open implements blob.Store. A read that breaks off goes on where it was, as long as the blob
// is the same.
func (s *Store) Open(ctx context.Context, name string) (io.ReadCloser, blob.Info, error) {
	const doing = "opening a blob"
	if err := blob.CheckName(name); err != nil {
		return nil, blob.Info{}, err
	}
	r, err := s.container.NewBlobClient(name).DownloadStream(ctx, nil)
	if err != nil {
		return nil, blob.Info{}, wrap(ctx, err, doing)
	}
	body := r.NewRetryReader(ctx, &sdk.RetryReaderOptions{MaxRetries: 3})
	return &reading{ctx, body}, info(name, *r.ContentLength, r.LastModified, r.ETag), nil
}

// reading gives what goes wrong while a blob is read its kind.
type reading struct {
	ctx  context.Context
	body io.ReadCloser
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = wrap(r.ctx, err, "reading a blob")
	}
	return n, err
}

func (r *reading) Close() error { return r.body.Close() }

func info(name string, size int64, modified *time.Time, etag *azcore.ETag) blob.Info {
	i := blob.Info{Name: name, Size: size}
	if modified != nil {
		i.Modified = modified.UTC()
	}
	if etag != nil {
		i.ETag = strings.Trim(string(*etag), `"`)
	}
	return i
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	return s.write(ctx, name, r, nil)
}

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, name string, r io.Reader) (blob.Info, error) {
	return s.write(ctx, name, r, &sdk.AccessConditions{ModifiedAccessConditions: &sdk.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}})
}

// Replace implements blob.Store.
func (s *Store) Replace(ctx context.Context, name, etag string, r io.Reader) (blob.Info, error) {
	i, err := s.write(ctx, name, r, &sdk.AccessConditions{ModifiedAccessConditions: &sdk.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(`"` + etag + `"`))}})
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.Conflict, "the blob was deleted by another")
	}
	return i, err
}

// A blob of up to a block is one request; a larger one is sent block by block, two at a time,
// and is there when all are. The service checks what arrives against the check sum of each.
const (
	block    = 4 << 20
	parallel = 2
)

// markName is metadata by which a writer knows its own blob: the answer to a creation may be
// lost, and its repeat is then refused.
const markName = "mark"

func (s *Store) write(ctx context.Context, name string, r io.Reader, only *sdk.AccessConditions) (blob.Info, error) {
	const doing = "writing a blob"
	if err := blob.CheckName(name); err != nil {
		return blob.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return blob.Info{}, wrap(ctx, err, doing)
	}
	counted := &counter{r: r}
	first := make([]byte, block)
	n, err := io.ReadFull(counted, first)
	c, mark := s.container.NewBlockBlobClient(name), rand.Text()
	metadata := map[string]*string{markName: &mark}
	var modified *time.Time
	var etag *azcore.ETag
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		var u blockblob.UploadResponse
		u, err = c.Upload(ctx, streaming.NopCloser(bytes.NewReader(first[:n])), &blockblob.UploadOptions{
			AccessConditions: only, Metadata: metadata, TransactionalValidation: sdk.TransferValidationTypeComputeCRC64(),
		})
		modified, etag = u.LastModified, u.ETag
	case err == nil:
		var u blockblob.UploadStreamResponse
		u, err = c.UploadStream(ctx, io.MultiReader(bytes.NewReader(first), counted), &blockblob.UploadStreamOptions{
			BlockSize: block, Concurrency: parallel, AccessConditions: only, Metadata: metadata,
			TransactionalValidation: sdk.TransferValidationTypeComputeCRC64(),
		})
		modified, etag = u.LastModified, u.ETag
	default:
		return blob.Info{}, wrap(ctx, fault.Wrap(fault.KindOf(err), err, "reading what a blob is written from"), doing)
	}
	if bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet) {
		p, again := c.GetProperties(ctx, nil)
		if again == nil && marked(p.Metadata, mark) {
			modified, etag, err = p.LastModified, p.ETag, nil
		}
	}
	if err != nil {
		return blob.Info{}, wrap(ctx, err, doing)
	}
	return info(name, counted.n, modified, etag), nil
}

// marked reports whether metadata, whose names come in any case, hold the mark.
func marked(metadata map[string]*string, mark string) bool {
	for name, value := range metadata {
		if strings.EqualFold(name, markName) && value != nil && *value == mark {
			return true
		}
	}
	return false
}

// counter counts what was read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// List implements blob.Store: page by page, in the service's order, which is that of names.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		pages := s.container.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix})
		for pages.More() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(blob.Info{}, wrap(ctx, err, "listing blobs"))
				return
			}
			for _, b := range page.Segment.BlobItems {
				if p := b.Properties; b.Name == nil || p == nil || p.ContentLength == nil || blob.CheckName(*b.Name) != nil {
					continue // none of ours
				}
				if !yield(info(*b.Name, *b.Properties.ContentLength, b.Properties.LastModified, b.Properties.ETag), nil) {
					return
				}
			}
		}
	}
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	_, err := s.container.NewBlobClient(name).Delete(ctx, nil)
	if err = wrap(ctx, err, "deleting a blob"); fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
