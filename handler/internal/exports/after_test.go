package exports

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
)

// A run's completion asks for one export however often its messages come, and though the bus or the store fail
// before or after any of it.
func TestAfterARun(t *testing.T) {
	w := newWorld(t)
	x := w.Exports.WithAfter(After{"t": {scoring.Defend}})
	lossy := &lossy{world: w}
	x.bus = lossy
	runs := run.New(w.book, w.docs, w, w.models, actions.New(w.book, w.docs), func() time.Time { return noon }).WithExports(x)
	p, _, err := runs.Start(t.Context(), w.tenant, today, nil, true)
	must(t, err)
	chunks := w.sent
	w.sent = nil
	lossy.fail = 1
	failed := 0
	for range 3 { // each comes three times
		for _, m := range chunks {
			var q run.ChunkRequest
			must(t, json.Unmarshal(m.Body, &q))
			switch err := runs.Work(t.Context(), q); {
			case errors.Is(err, errLost):
				failed++
			case err != nil:
				t.Fatal(err)
			}
		}
	}
	if failed != 1 {
		t.Errorf("%d messages failed as their export could not be sent for", failed)
	}
	list, err := x.List(t.Context(), "t")
	must(t, err)
	if len(list) != 1 || list[0].Status != "waiting" {
		t.Fatalf("exports after the run: %+v", list)
	}
	ids := map[string]bool{}
	for _, m := range w.sent {
		if m.Subject == "export" {
			ids[m.ID] = true
			var q Request
			must(t, json.Unmarshal(m.Body, &q))
			must(t, x.Work(t.Context(), q))
		}
	}
	if len(ids) != 1 {
		t.Errorf("requests for exports: %v", ids)
	}
	e, err := x.Get(t.Context(), "t", list[0].ID)
	must(t, err)
	if e.Manifest == nil || e.Manifest.Run != p.ID {
		t.Errorf("the export is of %+v, want run %s", e.Manifest, p.ID)
	}
}

var errLost = fault.New(fault.Unavailable, "lost")

// lossy is a bus that fails so often.
type lossy struct {
	*world
	fail int
}

func (l *lossy) Send(ctx context.Context, queue string, m ...bus.Message) error {
	if l.fail > 0 {
		l.fail--
		return errLost
	}
	return l.world.Send(ctx, queue, m...)
}

func TestWhoseRunsAreExported(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		setting string
		engines []scoring.Engine
		want    int
	}{
		{"", scoring.Engines, 0},
		{`{"other": []}`, scoring.Engines, 0},
		{`{"t": []}`, []scoring.Engine{scoring.Risk}, 1},
		{`{"t": ["defend", "risk"]}`, []scoring.Engine{scoring.Risk}, 1},
		{`{"t": ["defend"]}`, []scoring.Engine{scoring.Risk}, 0},
	} {
		after, err := ParseAfter(c.setting)
		must(t, err)
		w.sent = nil
		must(t, w.Exports.WithAfter(after).AfterRun(t.Context(), run.Run{ID: "r", Tenant: "t", Engines: c.engines}, noon))
		if len(w.sent) != c.want {
			t.Errorf("%s: %d exports, want %d", c.setting, len(w.sent), c.want)
		}
	}
	for _, s := range []string{"t", `["t"]`, `{"t": ["rissk"]}`, `{"t": "risk"}`, `{} {}`} {
		if _, err := ParseAfter(s); !fault.Is(err, fault.Unconfigured) {
			t.Errorf("the setting %s: %v", s, err)
		}
	}
}
