package functions

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/actions"
	"polis/handler/internal/book"
	"polis/handler/internal/bus"
	"polis/handler/internal/bus/servicebus"
	"polis/handler/internal/deadletter"
	"polis/handler/internal/event"
	"polis/handler/internal/fault"
	"polis/handler/internal/invoke"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/run"
	"polis/handler/internal/standin"
	"polis/handler/internal/trace"
)

const estateFile = `{"bus":{
	"queues":[{"name":"risk-requests"},{"name":"churn-requests"},{"name":"run-chunks"}],
	"topics":[
		{"name":"score-results","subscriptions":[
			{"name":"all"}, {"name":"one","properties":{"tenant":"one"}}, {"name":"risk-of-two","properties":{"tenant":"two","engine":"risk"}}]},
		{"name":"events","subscriptions":[{"name":"all"},{"name":"two","properties":{"tenant":"two"}}]}],
	"lock":"PT1M","maxDeliveries":3,"duplicateWindow":"PT10M"}}`

// amqp is a house whose messages go by AMQP to the stand-in for Service Bus.
type amqp struct {
	*house
	bus     *servicebus.Bus
	letters *deadletter.Store
	handler http.Handler
	down    bool // functions fail since the store is out of order
}

func newAMQP(t *testing.T, tenants ...string) *amqp {
	t.Helper()
	standin.Need(t)
	c, err := standin.NewCertificate(t.TempDir())
	must(t, err)
	file := filepath.Join(t.TempDir(), "estate.json")
	must(t, os.WriteFile(file, []byte(estateFile), 0o600))
	p, err := standin.ServiceBus(t.Context(), c, file, "", os.Stderr)
	must(t, err)
	t.Cleanup(p.Stop)
	b, err := servicebus.Open(standin.Token{}, servicebus.Options{
		Namespace: standin.Namespace, Endpoint: strings.TrimPrefix(p.URL, "amqps://"), TLS: c.TLS(),
		Patience: 150 * time.Millisecond, Gathering: 150 * time.Millisecond,
	})
	must(t, err)
	t.Cleanup(func() { _ = b.Close() })
	h := &amqp{house: newHouse(t, tenants...), bus: b}
	h.Bus = trace.Sender(b)
	h.Runs = run.New(h.Book, h.docs, h.Bus, h.models, actions.New(h.Book, h.docs), h.Now)
	h.letters = deadletter.New(h.blobs, h.Now)
	f := New(h.Services)
	for name, work := range f.Queues {
		f.Queues[name] = func(ctx context.Context, m invoke.Message) error {
			if h.down {
				return fault.New(fault.Unavailable, "the store is away")
			}
			return work(ctx, m)
		}
	}
	// By the house's clock, which is behind that of the stand-in: what is sent again for later is due at once.
	h.handler = invoke.New(f, h.letters, invoke.NewBackoff(h.Bus, Queues(), h.Now), zerolog.Nop())
	return h
}

// work brings a queue's messages to their function as the host does, until there are none. It
// says how often the function was called, and how often in vain.
func (h *amqp) work(function string) (calls, failed int) {
	h.t.Helper()
	for {
		got, err := h.bus.Receive(h.t.Context(), Queues()[function], 1, time.Minute, 0)
		must(h.t, err)
		if len(got) == 0 {
			return calls, failed
		}
		d := got[0]
		calls++
		data, err := json.Marshal(string(d.Body))
		must(h.t, err)
		envelope, err := json.Marshal(map[string]any{
			"Data": map[string]string{"message": string(data)}, "Metadata": map[string]any{"MessageId": d.ID, "SequenceNumber": d.Sequence, "ApplicationProperties": d.Properties},
		})
		must(h.t, err)
		r := httptest.NewRequest(http.MethodPost, "/"+function, strings.NewReader(string(envelope)))
		r.Header.Set("X-Azure-Functions-InvocationId", "1")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			must(h.t, h.bus.Complete(h.t.Context(), d))
		} else {
			failed++
			must(h.t, h.bus.Abandon(h.t.Context(), d))
		}
	}
}

func (h *amqp) peek(queue string, dead bool) []bus.Delivery {
	h.t.Helper()
	got, err := h.bus.Peek(h.t.Context(), queue, dead, 100)
	must(h.t, err)
	return got
}

func (h *amqp) reasons(function string) []string {
	var out []string
	for l, err := range h.letters.List(h.t.Context(), function) {
		must(h.t, err)
		out = append(out, l.Reason)
	}
	return out
}

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func (h *amqp) ask(queue, id, tenant string) {
	h.t.Helper()
	body := `{"tenant":"` + tenant + `","request_id":"` + id + `","customers":["nobody"]}`
	must(h.t, h.bus.Send(h.t.Context(), queue, bus.Message{ID: id, Body: []byte(body), Properties: map[string]string{trace.Parent: parent}}))
}

// TestPoison: what can never succeed is answered 200 and kept with its reason, and does not stop
// what comes after it; put back when its reason is gone it succeeds.
func TestPoison(t *testing.T) {
	h := newAMQP(t, "one")
	h.ask("risk-requests", "early", "two") // of a tenant that is not there yet
	must(t, h.bus.Send(t.Context(), "risk-requests", bus.Message{ID: "torn", Body: []byte(`{"tenant":`)}))
	h.ask("risk-requests", "good", "one")
	if calls, failed := h.work("RiskRequests"); calls != 3 || failed != 0 {
		t.Errorf("%d calls, %d failed", calls, failed)
	}
	if got := h.peek("score-results/Subscriptions/all", false); len(got) != 1 || got[0].CorrelationID != "good" {
		t.Errorf("answers: %+v", got)
	}
	reasons := strings.Join(h.reasons("RiskRequests"), "; ")
	if !strings.Contains(reasons, "no such tenant") || !strings.Contains(reasons, "not the JSON") || len(h.peek("risk-requests", true)) > 0 {
		t.Errorf("reasons: %s", reasons)
	}

	must(t, h.Book.CreateTenant(t.Context(), book.Tenant{ID: "two", Buckets: 1, Created: h.now}))
	m, err := h.models.Current(t.Context(), "one")
	must(t, err)
	must(t, h.models.Publish(t.Context(), "two", m))
	n, err := h.letters.Replay(t.Context(), "RiskRequests", "risk-requests", h.bus)
	if n != 2 || err != nil {
		t.Errorf("%d put back, %v", n, err)
	}
	if calls, failed := h.work("RiskRequests"); calls != 2 || failed != 0 {
		t.Errorf("put back: %d calls, %d failed", calls, failed)
	}
	got := h.peek("score-results/Subscriptions/risk-of-two", false)
	if len(got) != 1 || got[0].CorrelationID != "early" || got[0].Properties[trace.Parent] != parent {
		t.Errorf("answered after it was put back: %+v", got)
	}
	if left := h.reasons("RiskRequests"); len(left) != 1 || !strings.Contains(left[0], "not the JSON") {
		t.Errorf("what still cannot succeed: %q", left)
	}
}

// TestFaultsThatPass: what fails for a while is sent again for later, and then comes again until the broker gives
// it up, and is put back from there.
func TestFaultsThatPass(t *testing.T) {
	h := newAMQP(t, "one")
	h.ask("churn-requests", "unlucky", "one")
	h.down = true
	if calls, failed := h.work("ChurnRequests"); calls != invoke.MostWaits+3 || failed != 3 {
		t.Errorf("%d calls, %d failed, want as many more as the queue allows", calls, failed)
	}
	dead := h.peek("churn-requests", true)
	if len(dead) != 1 || dead[0].DeadReason != "MaxDeliveryCountExceeded" || len(h.reasons("ChurnRequests")) > 0 || dead[0].ID != "unlucky" || dead[0].Properties[trace.Parent] != parent {
		t.Errorf("dead letters: %+v", dead)
	}
	h.down = false
	if n, err := h.bus.Replay(t.Context(), "churn-requests"); n != 1 || err != nil {
		t.Errorf("%d put back, %v", n, err)
	}
	if calls, failed := h.work("ChurnRequests"); calls != 1 || failed != 0 {
		t.Errorf("put back: %d calls, %d failed", calls, failed)
	}
	if got := h.peek("score-results/Subscriptions/one", false); len(got) != 1 || got[0].CorrelationID != "unlucky" || got[0].Properties[trace.Parent] != parent {
		t.Errorf("answered: %+v", got)
	}
}

// TestTopics: answers and events reach the subscriptions that ask for their tenant and engine,
// with CloudEvents' attributes and the trace of what asked for them.
func TestTopics(t *testing.T) {
	h := newAMQP(t, "one", "two")
	for _, q := range []struct{ queue, id, tenant string }{
		{"risk-requests", "r1", "one"}, {"risk-requests", "r2", "two"}, {"churn-requests", "c2", "two"},
	} {
		h.ask(q.queue, q.id, q.tenant)
	}
	h.work("RiskRequests")
	h.work("ChurnRequests")
	for subscription, want := range map[string]string{"all": "r1 r2 c2", "one": "r1", "risk-of-two": "r2"} {
		var got []string
		for _, d := range h.peek("score-results/Subscriptions/"+subscription, false) {
			got = append(got, d.CorrelationID)
			if p := d.Properties; p[trace.Parent] != parent || p["cloudEvents_id"] != d.ID || p["cloudEvents_type"] != event.Scored || p["cloudEvents_specversion"] != "1.0" {
				t.Errorf("%s: properties %v", d.ID, p)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", subscription, got, want)
		}
	}
	for _, id := range []string{"one", "two"} {
		tenant, err := h.Book.Tenant(t.Context(), id)
		must(t, err)
		_, _, err = h.Runs.Start(trace.With(t.Context(), parent), tenant, portfolio.DateOf(h.now), nil, false)
		must(t, err)
	}
	h.work("RunChunks") // whose messages carry the trace on
	events := h.peek("events/Subscriptions/two", false)
	if len(events) != 1 || len(h.peek("events/Subscriptions/all", false)) != 2 {
		t.Fatalf("events of two: %+v", events)
	}
	if p := events[0].Properties; p["cloudEvents_type"] != run.CompletedEvent || p["cloudEvents_source"] != "/polis/two" || p[trace.Parent] != parent || p["cloudEvents_time"] == "" {
		t.Errorf("properties %v", p)
	}
}
