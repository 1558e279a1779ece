package localhost

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func everyTrigger(more string) app {
	level := func(level, route string) string {
		return `{"bindings":[{"type":"httpTrigger","direction":"in","name":"req","authLevel":"` + level + `","methods":["post"],"route":"` + route + `"},{"type":"http","direction":"out","name":"res"}]}`
	}
	return app{
		"host.json": hostJSON(more, ""), "Open/function.json": level("anonymous", "open"), "Keyed/function.json": level("function", "keyed"),
		"Locked/function.json": level("admin", "locked"), "Work/function.json": queueFunction, "Off/function.json": `{"disabled":true}`,
		"Tick/function.json": strings.Replace(timerFunction, "true", "false", 1),
	}
}

func TestWhoMayCall(t *testing.T) {
	f := start(t, everyTrigger(`,"enableForwardingHttpRequest":true`), func(http.ResponseWriter, *http.Request) {}, func(o *Options) {
		o.HostKeys, o.FunctionKeys = []string{"host"}, map[string][]string{"Keyed": {"own"}, "Open": {"other"}}
	})
	for _, c := range []struct {
		method, path, key string
		want              int
	}{
		{"POST", "/api/open", "", 200},
		{"GET", "/api/open", "", 404}, // another method is another route
		{"POST", "/open", "", 404},
		{"POST", "/api/nothing", "", 404},
		{"POST", "/", "", 404},
		{"POST", "/api/keyed", "", 401},
		{"POST", "/api/keyed", "wrong", 401},
		{"POST", "/api/keyed", "other", 401},
		{"POST", "/api/keyed", "own", 200},
		{"POST", "/api/keyed", "host", 200},
		{"POST", "/api/keyed", "master", 200},
		{"POST", "/api/keyed?code=own", "", 200},
		{"POST", "/api/keyed?code=wrong", "", 401},
		{"POST", "/api/locked", "host", 401},
		{"POST", "/api/locked", "master", 200},
		// Queue and timer functions have no public route.
		{"POST", "/Work", "", 404},
		{"POST", "/api/Work", "master", 404},
		{"POST", "/Tick", "master", 404},
		{"GET", "/admin/host/status", "", 401},
		{"GET", "/admin/host/status", "host", 401},
		{"GET", "/admin/host/status", "master", 200},
		{"GET", "/Admin/Functions/work", "master", 200},
		{"GET", "/admin/functions", "master", 200},
		{"GET", "/admin/functions", "", 401},
		{"POST", "/admin/functions/Work", "", 401},
		{"POST", "/admin/functions/Nothing", "master", 404},
		{"POST", "/admin/functions/Off", "master", 404},
		{"POST", "/admin/functions/Open", "master", 400},
		{"POST", "/admin/functions/Work", "master", 202},
		{"POST", "/admin/functions/Tick", "master", 202},
		{"PUT", "/admin/functions/Work", "master", 404},
		{"GET", "/admin/other", "master", 404},
	} {
		var headers []string
		if c.key != "" {
			headers = []string{"x-functions-key", c.key}
		}
		if resp, _ := f.do(c.method, c.path, `{"input":"by hand"}`, headers...); resp.StatusCode != c.want {
			t.Errorf("%s %s with key %q: %d, want %d", c.method, c.path, c.key, resp.StatusCode, c.want)
		}
	}
}

func TestAdminCallGivesTheInput(t *testing.T) {
	f := start(t, everyTrigger(""), answerJSON(`{}`), nil)
	f.do("POST", "/admin/functions/Work", `{"input":"{\"a\":\"1\"}"}`, "x-functions-key", "master")
	r := f.next()
	if e := r.envelope(t); string(e.Data["msg"]) != `"\"{\\\"a\\\":\\\"1\\\"}\""` || string(e.Metadata["a"]) != `"\"1\""` {
		t.Errorf("%s", r.body)
	}
	f.do("POST", "/admin/functions/Tick", `{}`, "x-functions-key", "master")
	if r := f.next(); r.URL.Path != "/Tick" {
		t.Errorf("called %s", r.URL)
	}
}

func TestProxyingStreams(t *testing.T) {
	more := make(chan struct{})
	files := app{"host.json": hostJSON(`,"enableProxyingHttpRequest":true,"enableForwardingHttpRequest":true`, ""), "Hello/function.json": httpFunction}
	f := start(t, files, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		w.(http.Flusher).Flush()
		<-more
		_, _ = io.WriteString(w, "second\n")
	}, nil)
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+f.host.Addr()+"/api/hello?q=1&q=2", io.MultiReader(strings.NewReader("chunked")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "192.0.2.1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); line != "first\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	close(more) // only now: the first line came before the answer was complete
	if line, err := lines.ReadString('\n'); line != "second\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	r := f.next()
	if string(r.body) != "chunked" || r.URL.RawQuery != "q=1&q=2" || r.Header.Get(headerProxied) != r.Header.Get(headerInvocation) ||
		r.Header.Get("X-Forwarded-For") != "192.0.2.1" {
		t.Errorf("%s %v %q", r.URL, r.Header, r.body)
	}
}

func TestTooLarge(t *testing.T) {
	h, err := New(Options{
		Root: stage(t, app{"host.json": hostJSON("", ""), "Hello/function.json": httpFunction}), Broker: newMemoryBus(), State: newState(), MasterKey: "m",
	})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest("POST", "/api/hello", nil)
	req.ContentLength = maxBody + 1
	rec := httptest.NewRecorder()
	newWeb(h).ServeHTTP(rec, req)
	if rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", rec.Code)
	}
}

func TestTooMany(t *testing.T) {
	gate := make(chan struct{})
	files := app{"host.json": hostJSON("", `,"extensions":{"http":{"maxOutstandingRequests":1,"routePrefix":""}}`), "Hello/function.json": httpFunction}
	f := start(t, files, func(w http.ResponseWriter, r *http.Request) { <-gate; answerJSON(`{}`)(w, r) }, nil)
	first := make(chan int)
	go func() {
		resp, err := http.Get("http://" + f.host.Addr() + "/hello")
		if err != nil {
			first <- 0
			return
		}
		_ = resp.Body.Close()
		first <- resp.StatusCode
	}()
	f.next()
	if resp, _ := f.do("GET", "/hello", ""); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("second: %d", resp.StatusCode)
	}
	close(gate)
	if status := <-first; status != 200 {
		t.Errorf("first: %d", status)
	}
}

func TestFunctionTimeoutKillsTheHandler(t *testing.T) {
	files := app{"host.json": hostJSON(`,"enableForwardingHttpRequest":true`, `,"functionTimeout":"00:00:00.3"`), "Hello/function.json": httpFunction}
	release := make(chan struct{})
	defer close(release)
	f := start(t, files, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/hello/slow" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	}, nil)
	if resp, _ := f.do("GET", "/api/hello/slow", ""); resp.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("status %d", resp.StatusCode)
	}
	old := f.next().child(t).Pid
	resp, _ := f.do("GET", "/api/hello", "")
	for resp.StatusCode != 200 {
		resp, _ = f.do("GET", "/api/hello", "")
	}
	if f.next().child(t).Pid == old {
		t.Error("the same process answered")
	}
}
