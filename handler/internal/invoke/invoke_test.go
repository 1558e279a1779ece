package invoke

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polis/handler/internal/fault"
	"polis/handler/internal/trace"
)

// letters collects dead letters.
type letters struct {
	reasons []string
	err     error
}

func (l *letters) Put(_ context.Context, _ string, _ Message, reason string) error {
	l.reasons = append(l.reasons, reason)
	return l.err
}

// setup is a handler with one queue function, which answers err and remembers what it
// got, and one timer.
func setup(err error) (http.Handler, *[]string, *letters) {
	var got []string
	dead := &letters{}
	f := Functions{
		Queues: map[string]Queue{"Work": func(_ context.Context, m Message) error {
			got = append(got, m.ID+"|"+string(m.Body))
			return err
		}},
		Timers: map[string]Timer{"Tick": func(context.Context) error {
			got = append(got, "tick")
			return err
		}},
	}
	return New(f, dead, none(), zerolog.Nop()), &got, dead
}

func call(h http.Handler, path, media, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	r.Header.Set("X-Azure-Functions-InvocationId", "i")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// twice is how the host writes a string: JSON in JSON.
func twice(s string) string {
	once, _ := json.Marshal(s) // a string always encodes
	out, _ := json.Marshal(string(once))
	return string(out)
}

func TestEnvelopes(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"double encoding", `{"Data":{"message":` + twice(`{"a":1}`) + `},"Metadata":{"MessageId":` + twice("m1") + `}}`, `m1|{"a":1}`},
		{"encoded once", `{"Data":{"message":"{\"a\":1}"},"Metadata":{}}`, `|{"a":1}`},
		{"an object", `{"Data":{"message":{"a":1}},"Metadata":{}}`, `|{"a":1}`},
		{"plain text", `{"Data":{"message":` + twice("HelloWorld") + `},"Metadata":{}}`, `|HelloWorld`},
		{"another binding name", `{"Data":{"x":` + twice("y") + `},"Metadata":{}}`, `|y`},
		{"no metadata", `{"Data":{"message":"{}"}}`, `|{}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, got, _ := setup(nil)
			w := call(h, "/Work", "application/json", tc.body)
			if w.Code != http.StatusOK || len(*got) != 1 || (*got)[0] != tc.want {
				t.Errorf("%d, got %q, want %q", w.Code, *got, tc.want)
			}
			var answer map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer == nil {
				t.Errorf("the host waits for ever on %q", w.Body)
			}
		})
	}
	for name, data := range map[string]string{"array": `["{\"a\":1}","{\"a\":2}"]`, "array in a string": `"[\"{\\\"a\\\":1}\",\"{\\\"a\\\":2}\"]"`} {
		t.Run("batch as "+name, func(t *testing.T) {
			h, got, _ := setup(nil)
			w := call(h, "/Work", "application/json", `{"Data":{"message":`+data+`},"Metadata":{"MessageIdArray":["1","2"]}}`)
			if w.Code != http.StatusOK || strings.Join(*got, " ") != `|{"a":1} |{"a":2}` {
				t.Errorf("%d, got %q", w.Code, *got)
			}
		})
	}
}

// TestTrace: a message's trace is passed on, from wherever its sender put it.
func TestTrace(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for metadata, want := range map[string]string{
		`{"ApplicationProperties":{"traceparent":"` + good + `"}}`:              good,
		`{"ApplicationProperties":{"tenant":1,"Diagnostic-Id":"` + good + `"}}`: good,
		`{"ApplicationProperties":{"traceparent":"no"}}`:                        "",
		`{"ApplicationProperties":"no"}`:                                        "",
		`{}`:                                                                    "",
	} {
		var got string
		f := Functions{Queues: map[string]Queue{"Work": func(ctx context.Context, _ Message) error {
			got = trace.Of(ctx)
			return nil
		}}}
		call(New(f, &letters{}, none(), zerolog.Nop()), "/Work", "application/json", `{"Data":{"message":"{}"},"Metadata":`+metadata+`}`)
		if got != want {
			t.Errorf("%s: %q", metadata, got)
		}
	}
}

// TestDeliveries: how often a message has come is what the host says, within reason.
func TestDeliveries(t *testing.T) {
	for metadata, want := range map[string]int{
		`{"DeliveryCount":3}`: 3, `{"DeliveryCount":"3"}`: 3, `{"DeliveryCount":"\"9\""}`: 9,
		`{"DeliveryCount":1000000000}`: maxDeliveries, `{"DeliveryCount":-4}`: 0, `{"DeliveryCount":"x"}`: 0, `{}`: 0,
	} {
		got := -1
		f := Functions{Queues: map[string]Queue{"Work": func(_ context.Context, m Message) error {
			got = m.Deliveries
			return nil
		}}}
		call(New(f, &letters{}, none(), zerolog.Nop()), "/Work", "application/json", `{"Data":{"message":"{}"},"Metadata":`+metadata+`}`)
		if got != want {
			t.Errorf("%s: %d, want %d", metadata, got, want)
		}
	}
}

func TestOnlyTheHostCalls(t *testing.T) {
	h, got, _ := setup(nil)
	stranger := httptest.NewRequest(http.MethodPost, "/Work", strings.NewReader(`{"Data":{"m":"x"}}`))
	stranger.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, stranger)
	if w.Code != http.StatusNotFound {
		t.Errorf("a call without the host's header: %d", w.Code)
	}
	for _, path := range []string{"/Nothing", "/api/Work", "/Work/", "//Work", "/work"} {
		if w := call(h, path, "application/json", `{"Data":{"m":"x"}}`); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if len(*got) > 0 {
		t.Errorf("the function was reached: %q", *got)
	}
}

func TestWhatFailsAndHow(t *testing.T) {
	const message = `{"Data":{"message":"{}"},"Metadata":{}}`
	for _, tc := range []struct {
		name   string
		err    error
		status int
		dead   int
	}{
		{"done", nil, 200, 0},
		{"malformed", fault.New(fault.Malformed, "not JSON"), 200, 1},
		{"invalid", fault.New(fault.Invalid, "no"), 200, 1},
		{"unknown tenant", fault.New(fault.NotFound, "no such tenant"), 200, 1},
		{"the store is away", fault.New(fault.Unavailable, "busy"), 500, 0},
		{"a right that is missing", fault.New(fault.Unconfigured, "refused"), 500, 0},
		{"cut off", fault.Wrap(fault.Cancelled, context.Canceled, "scoring"), 500, 0},
		{"ours", context.DeadlineExceeded, 500, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _, dead := setup(tc.err)
			if w := call(h, "/Work", "application/json", message); w.Code != tc.status || len(dead.reasons) != tc.dead {
				t.Errorf("%d with %d dead letters", w.Code, len(dead.reasons))
			}
		})
	}
	h, _, dead := setup(fault.New(fault.Invalid, "no"))
	dead.err = fault.New(fault.Unavailable, "disk full")
	if w := call(h, "/Work", "application/json", message); w.Code != 500 {
		t.Errorf("a dead letter that could not be kept is lost: %d", w.Code)
	}
	if w := call(h, "/Tick", "application/json", `{"Data":{"timer":{}},"Metadata":{}}`); w.Code != 500 {
		t.Errorf("a failed tick is not tried again: %d", w.Code)
	}
	h = New(Functions{Queues: map[string]Queue{"Work": func(context.Context, Message) error { panic("no") }}}, &letters{}, none(), zerolog.Nop())
	if w := call(h, "/Work", "application/json", message); w.Code != 500 {
		t.Errorf("a panic: %d", w.Code)
	}
}

func TestGarbage(t *testing.T) {
	for _, body := range []string{"", "null", "[]", "{", `{"Data":null}`, `{"Data":{}}`, `{"Data":{"a":1,"b":2}}`, `{"Data":{"m":"x"},"Metadata":{"MessageIdArray":[]}}`} {
		h, got, _ := setup(nil)
		if w := call(h, "/Work", "application/json", body); w.Code < 400 || len(*got) > 0 {
			t.Errorf("%q: %d, got %q", body, w.Code, *got)
		}
	}
	h, _, _ := setup(nil)
	if w := call(h, "/Work", "text/plain", `{"Data":{"m":"x"}}`); w.Code < 400 {
		t.Errorf("text: %d", w.Code)
	}
	if w := call(h, "/Work", "application/json", `{"Data":{"m":"`+strings.Repeat("x", maxEnvelope)+`"}}`); w.Code < 400 {
		t.Errorf("an endless body: %d", w.Code)
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(`{"Data":{"message":` + twice(`{"a":1}`) + `},"Metadata":{"MessageId":` + twice("m1") + `}}`))
	f.Add([]byte(`{"Data":{"message":["a"]},"Metadata":{"MessageIdArray":["1"]}}`))
	h, _, _ := setup(nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		w := call(h, "/Work", "application/json", string(body))
		if b := bytes.TrimSpace(w.Body.Bytes()); len(b) == 0 || b[0] != '{' {
			t.Errorf("an answer that is no object: %q", b)
		}
	})
}

// TestWaited: the log says for how long the oldest message of a call had waited, in the forms
// that hosts write times, and nothing where the host does not say.
func TestWaited(t *testing.T) {
	ago := func(d time.Duration) string { return time.Now().UTC().Add(-d).Format("2006-01-02T15:04:05.999") }
	for name, c := range map[string]struct {
		metadata string
		from, to float64 // seconds; 0, 0: nothing is said
	}{
		"plain":      {`{"MessageId":"1","EnqueuedTimeUtc":"` + ago(time.Hour) + `"}`, 3600, 3660},
		"in a text":  {`{"MessageId":"1","EnqueuedTimeUtc":` + twice(ago(time.Hour)+"Z") + `}`, 3600, 3660},
		"an offset":  {`{"EnqueuedTimeUtc":"` + ago(2*time.Hour) + `+00:00"}`, 7200, 7260},
		"a batch":    {`{"MessageIdArray":["1","2"],"EnqueuedTimeUtcArray":["` + ago(time.Minute) + `","` + ago(time.Hour) + `"]}`, 3600, 3660},
		"a clock":    {`{"EnqueuedTimeUtc":"` + ago(-time.Hour) + `"}`, 0, 0.001},
		"nothing":    {`{"MessageId":"1"}`, 0, 0},
		"no time":    {`{"EnqueuedTimeUtc":"yesterday"}`, 0, 0},
		"no batch":   {`{"MessageIdArray":["1"],"EnqueuedTimeUtcArray":7}`, 0, 0},
		"no objects": {`{"EnqueuedTimeUtc":{"at":1}}`, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			f := Functions{Queues: map[string]Queue{"Work": func(context.Context, Message) error { return nil }}}
			data := `"\"{}\""`
			if strings.Contains(c.metadata, "Array") {
				data = `["{}","{}"]`
			}
			call(New(f, &letters{}, none(), zerolog.New(&said)), "/Work", "application/json", `{"Data":{"m":`+data+`},"Metadata":`+c.metadata+`}`)
			var line struct {
				Waited *float64 `json:"waited_s"`
				Status int      `json:"status"`
			}
			if err := json.Unmarshal(said.Bytes(), &line); err != nil || line.Status != 200 {
				t.Fatalf("%v: %s", err, said.Bytes())
			}
			switch {
			case c.to == 0:
				if line.Waited != nil {
					t.Errorf("says %v", *line.Waited)
				}
			case line.Waited == nil || *line.Waited < c.from || *line.Waited > c.to:
				t.Errorf("says %s", said.Bytes())
			}
		})
	}
}
