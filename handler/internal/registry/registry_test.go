package registry_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"polis/handler/internal/audit"
	"polis/handler/internal/blob"
	"polis/handler/internal/blob/folder"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
	. "polis/handler/internal/registry"
	"polis/handler/internal/scoring"
	"polis/handler/internal/train"
)

// counted counts what is opened and can break down.
type counted struct {
	blob.Store
	opened atomic.Int64
	broken atomic.Bool
}

func (c *counted) Open(ctx context.Context, name string) (io.ReadCloser, blob.Info, error) {
	if c.broken.Load() {
		return nil, blob.Info{}, fault.New(fault.Unavailable, "out of order")
	}
	c.opened.Add(1)
	return c.Store.Open(ctx, name)
}

func newBlobs(t *testing.T) *counted {
	t.Helper()
	b, err := folder.Open(t.TempDir())
	must(t, err)
	t.Cleanup(func() { b.Close() })
	return &counted{Store: b}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// models are of an empty book; those of different days have different versions.
func models(t *testing.T, trained portfolio.Date) *scoring.Models {
	t.Helper()
	m, err := train.Fit(t.Context(), func(context.Context) iter.Seq2[[]*portfolio.Aggregate, error] {
		return func(func([]*portfolio.Aggregate, error) bool) {}
	}, train.Options{AsOf: trained})
	must(t, err)
	return m
}

var day = portfolio.MustDate(2026, 3, 31)

func TestPublished(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	blobs := newBlobs(t)
	writer, reader := New(blobs.Store, time.Now), New(blobs, func() time.Time { return now })
	if _, err := reader.Current(t.Context(), "t"); !fault.Is(err, fault.Conflict) {
		t.Fatalf("before anything is published: %v", err)
	}
	first, second := models(t, day), models(t, day+1)
	must(t, writer.Publish(t.Context(), "t", first))
	must(t, writer.Publish(t.Context(), "other", second))
	if first.Version == "" || first.Version == second.Version {
		t.Fatalf("versions %q and %q", first.Version, second.Version)
	}
	current := func() string {
		t.Helper()
		m, err := reader.Current(t.Context(), "t")
		must(t, err)
		return m.Version
	}
	if got := current(); got != first.Version {
		t.Errorf("current is %s, want %s", got, first.Version)
	}
	opened := blobs.opened.Load()
	must(t, writer.Publish(t.Context(), "t", second))
	if current() != first.Version || blobs.opened.Load() != opened {
		t.Error("who has just asked asks again")
	}
	now = now.Add(16 * time.Second)
	if got := current(); got != second.Version {
		t.Errorf("a quarter of a minute after publishing %s is current", got)
	}
	m, err := reader.Version(t.Context(), "t", first.Version)
	must(t, err)
	if m.Version != first.Version || m.Trained != day {
		t.Errorf("version %s of %s", m.Version, m.Trained)
	}
	if _, err := reader.Version(t.Context(), "t", "nonsense"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a version that never was: %v", err)
	}
}

// TestWhoPublishesSeesItAtOnce though it has just looked.
func TestWhoPublishesSeesItAtOnce(t *testing.T) {
	r := New(newBlobs(t), time.Now)
	for d := range portfolio.Date(3) {
		m := models(t, day+d)
		must(t, r.Publish(t.Context(), "t", m))
		if got, err := r.Current(t.Context(), "t"); err != nil || got.Version != m.Version {
			t.Errorf("%v, %v", got, err)
		}
	}
}

func TestAFaultIsNotRemembered(t *testing.T) {
	blobs := newBlobs(t)
	r := New(blobs, time.Now)
	m := models(t, day)
	must(t, r.Publish(t.Context(), "t", m))
	blobs.broken.Store(true)
	if _, err := r.Current(t.Context(), "t"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the blobs are out of order: %v", err)
	}
	if _, err := r.Version(t.Context(), "t", m.Version); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the blobs are out of order: %v", err)
	}
	blobs.broken.Store(false)
	if _, err := r.Current(t.Context(), "t"); err != nil {
		t.Errorf("they are mended: %v", err)
	}
}

// TestChangedModelsAreRefused: what is stored under a version is what was published.
func TestChangedModelsAreRefused(t *testing.T) {
	blobs := newBlobs(t)
	r := New(blobs, time.Now)
	m := models(t, day)
	must(t, r.Publish(t.Context(), "t", m))
	var b strings.Builder
	must(t, models(t, day+1).Save(&b))
	_, err := blobs.Put(t.Context(), "models/t/"+m.Version+".json", strings.NewReader(b.String()))
	must(t, err)
	if _, err := r.Current(t.Context(), "t"); !errors.Is(err, ErrUnreadable) {
		t.Errorf("models that were changed since: %v", err)
	}
}

// TestSettingsOutlive the format of the models that carry them, but not a change by others.
func TestSettingsOutlive(t *testing.T) {
	blobs := newBlobs(t)
	m := models(t, day)
	m.Settings.Churn.OwnEvents = 77
	var b strings.Builder
	must(t, m.Save(&b))
	old := strings.Replace(b.String(), `"format":`, `"format":1`, 1)
	sum := sha256.Sum256([]byte(old))
	version := hex.EncodeToString(sum[:])[:16]
	_, err := blobs.Put(t.Context(), "models/t/"+version+".json", strings.NewReader(old))
	must(t, err)
	_, err = blobs.Put(t.Context(), "models/t/current.json", strings.NewReader(`{"version":"`+version+`"}`))
	must(t, err)
	r := New(blobs, time.Now)
	if _, err := r.Current(t.Context(), "t"); !errors.Is(err, ErrUnreadable) {
		t.Fatalf("models of an older format: %v", err)
	}
	if s, err := r.Settings(t.Context(), "t"); err != nil || s.Churn.OwnEvents != 77 {
		t.Errorf("settings %v, %v", s.Churn.OwnEvents, err)
	}
	_, err = blobs.Put(t.Context(), "models/t/"+version+".json", strings.NewReader(b.String()))
	must(t, err)
	if _, err := New(blobs, time.Now).Settings(t.Context(), "t"); !fault.Is(err, fault.Malformed) {
		t.Errorf("settings of models that were changed since: %v", err)
	}
	if _, err := r.Settings(t.Context(), "nobody"); !fault.Is(err, fault.Conflict) {
		t.Errorf("settings of no models: %v", err)
	}
}

// TestUnreadable: models that this program cannot read say so, are not taken for having none,
// and others can be published in their place.
func TestUnreadable(t *testing.T) {
	for name, put := range map[string]string{
		"another format": `{"format":4}`, "no such version": "", "nothing that is current": "damaged",
	} {
		blobs := newBlobs(t)
		r := New(blobs, time.Now)
		m := models(t, day)
		must(t, r.Publish(t.Context(), "t", m))
		blob, body := "models/t/"+m.Version+".json", put
		switch put {
		case "":
			blob, body = "models/t/current.json", `{"version":"0123456789abcdef"}`
		case "damaged":
			blob = "models/t/current.json"
		}
		_, err := blobs.Put(t.Context(), blob, strings.NewReader(body))
		must(t, err)
		if _, err := r.Current(t.Context(), "t"); !errors.Is(err, ErrUnreadable) || !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "train again") {
			t.Errorf("%s: %v", name, err)
		} else if f := (*fault.Error)(nil); errors.As(err, &f) && strings.Contains(f.Detail, "(models of ") != (name == "another format") {
			t.Errorf("%s: the caller is told %q", name, f.Detail)
		}
		must(t, r.Publish(t.Context(), "t", models(t, day+1)))
		if _, err := r.Current(t.Context(), "t"); err != nil {
			t.Errorf("%s, after others were published: %v", name, err)
		}
	}
	if _, err := New(newBlobs(t), time.Now).Current(t.Context(), "t"); errors.Is(err, ErrUnreadable) || !fault.Is(err, fault.Conflict) {
		t.Errorf("no models: %v", err)
	}
}

func TestWarm(t *testing.T) {
	blobs := newBlobs(t)
	for _, tenant := range []string{"a", "b", "c"} {
		must(t, New(blobs, time.Now).Publish(t.Context(), tenant, models(t, day)))
	}
	r := New(blobs, time.Now)
	r.Warm(t.Context(), 2)
	for tenant, reads := range map[string]int64{"a": 0, "b": 0, "c": 2} {
		before := blobs.opened.Load()
		_, err := r.Current(t.Context(), tenant)
		must(t, err)
		if n := blobs.opened.Load() - before; n != reads {
			t.Errorf("tenant %s takes %d reads, want %d", tenant, n, reads)
		}
	}
	blobs.broken.Store(true)
	New(blobs, time.Now).Warm(t.Context(), 9) // does without
}

// TestBaselines: a baseline is found beside its models and by its hash; of models without one
// that is said, and one that was changed is not believed.
func TestBaselines(t *testing.T) {
	blobs := newBlobs(t)
	r := New(blobs, time.Now)
	m := models(t, day)
	must(t, r.Publish(t.Context(), "t", m))
	if _, _, err := r.Baseline(t.Context(), "t", m.Version); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "train again") {
		t.Errorf("without a baseline: %v", err)
	}
	b := &audit.Baseline{AsOf: day, Populations: []audit.Population{{Name: "customers"}}}
	must(t, r.PublishWith(t.Context(), "t", m, b))
	got, sum, err := r.Baseline(t.Context(), "t", m.Version)
	must(t, err)
	if got.Model != m.Version || got.AsOf != day || len(got.Populations) != 1 || len(sum) != 64 {
		t.Errorf("%+v, %s", got, sum)
	}
	// That of earlier models stays, and publishing does not mistake it for models.
	later := models(t, day+1)
	must(t, r.PublishWith(t.Context(), "t", later, b))
	if old, again, err := r.Baseline(t.Context(), "t", m.Version); err != nil || old.Model != m.Version || again != sum {
		t.Errorf("%+v, %s, %v", old, again, err)
	}
	_, err = blobs.Put(t.Context(), "models/t/"+later.Version+".baseline.json", strings.NewReader(`{"format":1,"model_version":"`+later.Version+`"}`))
	must(t, err)
	if _, _, err := r.Baseline(t.Context(), "t", later.Version); !fault.Is(err, fault.Internal) {
		t.Errorf("a baseline that was changed: %v", err)
	}
	_, err = blobs.Put(t.Context(), "models/t/"+later.Version+".baseline.json", strings.NewReader("{"))
	must(t, err)
	if _, _, err := r.Baseline(t.Context(), "t", later.Version); !fault.Is(err, fault.Malformed) {
		t.Errorf("half a baseline: %v", err)
	}
	if c, err := New(blobs, time.Now).Current(t.Context(), "t"); err != nil || c.Version != later.Version {
		t.Errorf("%v, %v", c, err)
	}
}

// Of two that began with the same models, or with none, the first is published, and the other is told.
func TestOverlappingPublications(t *testing.T) {
	r := New(newBlobs(t), time.Now)
	var before Base
	for i := range 3 {
		base, err := r.Base(t.Context(), "t")
		must(t, err)
		if before != (Base{}) && base == before {
			t.Error("the base is the same after others were published")
		}
		first, second := models(t, day+portfolio.Date(2*i)), models(t, day+portfolio.Date(2*i+1))
		must(t, r.PublishOver(t.Context(), "t", base, first, nil))
		if err := r.PublishOver(t.Context(), "t", base, second, nil); !fault.Is(err, fault.Conflict) {
			t.Errorf("round %d: the second: %v", i, err)
		}
		if m, err := r.Current(t.Context(), "t"); err != nil || m.Version != first.Version {
			t.Errorf("round %d: the first is not current (%v)", i, err)
		}
		before = base
	}
}

// TestReachable: that nobody has models is an answer, and a store that breaks down is none.
func TestReachable(t *testing.T) {
	blobs := newBlobs(t)
	r := New(blobs, time.Now)
	must(t, r.Reachable(t.Context()))
	blobs.broken.Store(true)
	if err := r.Reachable(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a store out of order: %v", err)
	}
}
