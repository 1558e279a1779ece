package localhost

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
)

// The conformance list: what the Azure Functions host does with a custom
// handler, row by row, against a real child process.
func TestConformance(t *testing.T) {
	payload := app{"host.json": hostJSON("", ""), "Hello/function.json": httpFunction}
	forwarding := payload.with("host.json", hostJSON(`,"enableForwardingHttpRequest":true`, ""))
	queue := app{"host.json": hostJSON("", ""), "Work/function.json": queueFunction}
	timers := app{"host.json": hostJSON("", ""), "Tick/function.json": timerFunction}
	ok := answerJSON(`{"Outputs":{"res":{"statusCode":200}}}`)

	rows := []struct {
		n     int
		input string
		check func(t *testing.T)
	}{
		{1, "start the handler", func(t *testing.T) {
			f := start(t, payload, ok, nil)
			f.do("GET", "/api/hello", "")
			c := f.next().child(t)
			if c.Port == "" || c.Worker == "" || c.OldPort != c.Port || c.OldWorker != c.Worker {
				t.Errorf("port and worker id: %+v", c)
			}
			if c.Root == "" || c.Dir != c.Root {
				t.Errorf("root %q, working directory %q", c.Root, c.Dir)
			}
		}},
		{2, "the parent's environment has the port variable", func(t *testing.T) {
			t.Setenv("FUNCTIONS_CUSTOMHANDLER_PORT", "1")
			t.Setenv("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", "parent")
			f := start(t, payload, ok, func(o *Options) { o.Settings["FUNCTIONS_CUSTOMHANDLER_PORT"] = "2" })
			f.do("GET", "/api/hello", "")
			if c := f.next().child(t); c.Port == "1" || c.Port == "2" || c.Worker == "parent" {
				t.Errorf("not overridden: %+v", c)
			}
		}},
		{3, "the port is closed", func(t *testing.T) {
			f := launch(t, payload, "late", ok, nil)
			gate := <-f.started
			select {
			case <-f.host.Ready():
				t.Error("ready although the handler does not listen")
			default:
			}
			close(gate)
			f.waitReady()
		}},
		{4, "GET / gives 404", func(t *testing.T) {
			start(t, payload, ok, nil) // the fake handler knows no /
		}},
		{5, "the handler never listens", func(t *testing.T) {
			files := payload.with("host.json", hostJSON(`,"initializationTimeout":"00:00:00.2"`, ""))
			f := launch(t, files, "deaf", ok, func(o *Options) { o.MaxErrors = 1 })
			if err := f.waitEnd(); err == nil || !strings.Contains(err.Error(), "did not answer") || !strings.Contains(err.Error(), "FUNCTIONS_CUSTOMHANDLER_PORT") {
				t.Errorf("error %v", err)
			}
		}},
		{6, "exit 0, 200 and 1", func(t *testing.T) {
			for code, restarts := range map[string]bool{"0": false, "200": true, "1": true} {
				var exited atomic.Bool
				f := start(t, payload, func(w http.ResponseWriter, r *http.Request) {
					if exited.CompareAndSwap(false, true) {
						w.Header().Set("X-Exit", code)
						return
					}
					ok(w, r)
				}, nil)
				if resp, _ := f.do("GET", "/api/hello", ""); resp.StatusCode != 502 {
					t.Errorf("exit %s: the call in flight got %d, want 502", code, resp.StatusCode)
				}
				first := f.next().child(t)
				want := 502
				if restarts {
					want = 200
				}
				resp, _ := f.do("GET", "/api/hello", "")
				for resp.StatusCode != want { // the end of the process may not have been seen yet
					resp, _ = f.do("GET", "/api/hello", "")
				}
				if restarts && f.next().child(t).Pid == first.Pid {
					t.Errorf("exit %s: the same process answered", code)
				}
				if logged := strings.Contains(f.logs.String(), `"level":"error","error":"the handler ended`); logged != (code == "1") {
					t.Errorf("exit %s: error logged: %v", code, logged)
				}
			}
		}},
		{7, "three errors within 30 minutes", func(t *testing.T) {
			f := launch(t, payload, "exit=1", ok, nil)
			if err := f.waitEnd(); err == nil || !strings.Contains(err.Error(), "3 times") {
				t.Errorf("error %v", err)
			}
			if n := len(f.started); n != 3 {
				t.Errorf("started %d times, want 3", n)
			}
		}},
		{8, "the queue message HelloWorld", func(t *testing.T) {
			f := start(t, queue, answerJSON(`{}`), nil)
			f.send(bus.Message{ID: "m1", Body: []byte("HelloWorld")})
			r := f.next()
			if r.Method != "POST" || r.URL.Path != "/Work" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			if got := string(r.envelope(t).Data["msg"]); got != `"\"HelloWorld\""` {
				t.Errorf("Data.msg = %s", got)
			}
			f.broker.until(func() bool { return len(f.broker.queues["work"]) == 0 })
		}},
		{9, "metadata: an integer, a string", func(t *testing.T) {
			f := start(t, queue, answerJSON(`{}`), nil)
			f.send(bus.Message{ID: "m1", Body: []byte("x"), Properties: map[string]string{"traceparent": "00-1-2-01"}})
			m := f.next().envelope(t).Metadata
			for name, want := range map[string]string{
				"DeliveryCount": `"1"`, "SequenceNumber": `"1"`, "MessageId": `"\"m1\""`,
				"EnqueuedTimeUtc": `"2025-03-01T10:00:00.5"`, "ApplicationProperties": `{"traceparent":"00-1-2-01"}`, "MessageReceiver": `{}`,
			} {
				if got := string(m[name]); got != want {
					t.Errorf("%s = %s, want %s", name, got, want)
				}
			}
			if v, there := m["CorrelationId"]; there {
				t.Errorf("a null is there: %s", v)
			}
		}},
		{10, "an object", func(t *testing.T) {
			f := start(t, timers, answerJSON(`{}`), nil)
			var info struct {
				Schedule       struct{ AdjustForDST bool }
				ScheduleStatus *struct{ Last, Next, LastUpdated string }
				IsPastDue      bool
			}
			data := f.next().envelope(t).Data["tick"]
			if err := json.Unmarshal(data, &info); err != nil {
				t.Fatalf("%v in %s", err, data)
			}
			if !info.Schedule.AdjustForDST || info.IsPastDue || info.ScheduleStatus == nil || !strings.HasSuffix(info.ScheduleStatus.Next, "T03:00:00+00:00") {
				t.Errorf("%s", data)
			}
		}},
		{11, "every call", func(t *testing.T) {
			for _, files := range []app{payload, forwarding} {
				f := start(t, files, ok, nil)
				f.do("GET", "/api/hello", "", headerInvocation, "forged")
				h := f.next().Header
				if id := h.Get(headerInvocation); len(id) != 36 {
					t.Errorf("invocation id %q", id)
				}
				if h.Get(headerVersion) != hostVersion || !strings.HasSuffix(h.Get("User-Agent"), userAgent) {
					t.Errorf("headers %v", h)
				}
			}
		}},
		{12, "HTTP with both flags off", func(t *testing.T) {
			f := start(t, payload, ok, nil)
			f.do("POST", "/api/hello/ann?a=1&a=2", `{"x":1}`, "Content-Type", "application/json", "X-Own", "yes")
			r := f.next()
			if r.Method != "POST" || r.URL.Path != "/Hello" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			var req struct {
				URL           string `json:"Url"`
				Method, Body  string
				Query, Params map[string]string
				Headers       map[string][]string
			}
			data := r.envelope(t).Data["req"]
			if err := json.Unmarshal(data, &req); err != nil {
				t.Fatalf("%v in %s", err, data)
			}
			if req.URL != "http://"+f.host.Addr()+"/api/hello/ann?a=1&a=2" || req.Method != "POST" || req.Body != `{"x":1}` ||
				req.Query["a"] != "1,2" || req.Params["name"] != "ann" || req.Headers["X-Own"][0] != "yes" {
				t.Errorf("%s", data)
			}
		}},
		{13, "forwarding /api/hello", func(t *testing.T) {
			f := start(t, forwarding, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Back", "there")
				w.WriteHeader(http.StatusTeapot)
				_, _ = io.WriteString(w, "short")
			}, nil)
			resp, body := f.do("POST", "/api/hello/a%2Fb?q=1&x=y&q=2", "the body", "X-Own", "yes", "Traceparent", "00-1-2-01")
			r := f.next()
			if r.Method != "POST" || r.URL.EscapedPath() != "/api/hello/a%2Fb" || r.URL.RawQuery != "q=1%2C2&x=y" || r.Host != f.host.Addr() ||
				string(r.body) != "the body" || r.Header.Get("X-Own") != "yes" || r.Header.Get("Traceparent") != "00-1-2-01" {
				t.Errorf("%s %s %v %q", r.Method, r.URL, r.Header, r.body)
			}
			if resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Back") != "there" || resp.ContentLength != 5 || body != "short" {
				t.Errorf("%d %v %q", resp.StatusCode, resp.Header, body)
			}
		}},
		{14, "forwarded 500", func(t *testing.T) {
			f := start(t, forwarding, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }, nil)
			if resp, body := f.do("GET", "/api/hello", ""); resp.StatusCode != 500 || body != "no\n" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
			if !strings.Contains(f.logs.String(), "succeeded") {
				t.Error("the call does not count as a success")
			}
		}},
		{15, "a valid envelope", func(t *testing.T) {
			files := payload.with("Hello/function.json", strings.Replace(httpFunction, `"name":"res"}`,
				`"name":"res"},{"type":"serviceBus","direction":"out","name":"next","queueName":"%QUEUE%"},{"type":"serviceBus","direction":"out","name":"$return","queueName":"other"}`, 1))
			f := start(t, files, answerJSON(`{"Outputs":{"res":{"statusCode":202},"next":[{"a":1},"plain text"]},"Logs":["written by hand"],"ReturnValue":{"b":2}}`), nil)
			if resp, _ := f.do("GET", "/api/hello", ""); resp.StatusCode != 202 {
				t.Errorf("status %d", resp.StatusCode)
			}
			if got := f.bodies("work"); got != `{"a":1}|plain text` {
				t.Errorf("work: %s", got)
			}
			if got := f.bodies("other"); got != `{"b":2}` {
				t.Errorf("other: %s", got)
			}
			if !strings.Contains(f.logs.String(), "written by hand") {
				t.Error("the log line is missing")
			}
		}},
		{16, "200 with unknown keys", func(t *testing.T) {
			f := start(t, payload, answerJSON(`{"Unknown":1}`), nil)
			if resp, body := f.do("GET", "/api/hello", ""); resp.StatusCode != 200 || body != "" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
		}},
		{17, "200 with invalid JSON, text/plain, null or nothing", func(t *testing.T) {
			answers := make(chan http.HandlerFunc, 1)
			f := start(t, payload, func(w http.ResponseWriter, r *http.Request) { (<-answers)(w, r) }, nil)
			for _, answer := range []http.HandlerFunc{
				answerJSON(`{"Outputs":`), answerJSON("null"), answerJSON(""),
				func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/plain")
					_, _ = io.WriteString(w, "{}")
				},
			} {
				answers <- answer
				if resp, _ := f.do("GET", "/api/hello", ""); resp.StatusCode != 500 {
					t.Errorf("%d, want 500", resp.StatusCode)
				}
			}
		}},
		{18, "400 and 500 with Logs", func(t *testing.T) {
			for _, status := range []int{400, 500} {
				f := start(t, payload, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(status)
					_, _ = io.WriteString(w, `{"Outputs":{"res":{"statusCode":200}},"Logs":["lost line"]}`)
				}, nil)
				if resp, _ := f.do("GET", "/api/hello", ""); resp.StatusCode != 500 {
					t.Errorf("%d, want 500", resp.StatusCode)
				}
				if strings.Contains(f.logs.String(), "lost line") {
					t.Error("the logs of a failed call are there")
				}
			}
		}},
		{19, "an output that looks like base64", func(t *testing.T) {
			if got := sentWith(t, ""); got != "\xb6\x8a\x1e" {
				t.Errorf("sent %q", got)
			}
		}},
		{20, "the same with dataType binary", func(t *testing.T) {
			if got := sentWith(t, `"dataType":"binary",`); got != "tooe" {
				t.Errorf("sent %q", got)
			}
		}},
		{21, "res with a status in a string", func(t *testing.T) {
			f := start(t, payload, answerJSON(`{"Outputs":{"res":{"statusCode":"201","body":"made","headers":{"X-Id":"7"}}}}`), nil)
			if resp, body := f.do("GET", "/api/hello", ""); resp.StatusCode != 201 || body != "made" || resp.Header.Get("X-Id") != "7" {
				t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
			}
		}},
		{22, "res partial, {} and not an object", func(t *testing.T) {
			for res, want := range map[string]string{
				`{"body":{"a":1}}`: `200 {"a":1}`, `{}`: "200 ", `{"statusCode":404}`: "404 ", `"SomeBlah"`: "500 ", `null`: "200 ",
			} {
				f := start(t, payload, answerJSON(`{"Outputs":{"res":`+res+`}}`), nil)
				if resp, body := f.do("GET", "/api/hello", ""); fmt.Sprintf("%d %s", resp.StatusCode, body) != want {
					t.Errorf("res %s: %d %s, want %s", res, resp.StatusCode, body, want)
				}
			}
		}},
		{23, "two retries on a timer, 500 twice", func(t *testing.T) {
			files := timers.with("Tick/function.json", strings.Replace(timerFunction, `{"bindings"`,
				`{"retry":{"strategy":"fixedDelay","maxRetryCount":2,"delayInterval":"00:00:00"},"bindings"`, 1))
			var n atomic.Int32
			f := start(t, files, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) < 3 {
					w.WriteHeader(500)
					return
				}
				answerJSON(`{}`)(w, r)
			}, nil)
			for i, want := range []string{"", `"RetryCount":1`, `"RetryCount":2`} {
				got := string(f.next().envelope(t).Metadata["RetryContext"])
				if (want == "") != (got == "") || !strings.Contains(got, want) {
					t.Errorf("call %d: RetryContext %s, want %s", i+1, got, want)
				}
			}
		}},
		{24, "the description or executable is missing", func(t *testing.T) {
			for file, want := range map[string]string{
				`{"version":"2.0"}`:                                       "customHandler is missing",
				`{"version":"2.0","customHandler":{}}`:                    "customHandler.description is missing",
				`{"version":"2.0","customHandler":{"description":{}}}`:    "customHandler.description.defaultExecutablePath is missing",
				strings.Replace(hostJSON("", ""), os.Args[0], "nope", 1):  "defaultExecutablePath",
				`{"version":"2.0","customHandler":{"description":"exe"}}`: "description",
			} {
				_, err := New(Options{Root: stage(t, payload.with("host.json", file)), Broker: newMemoryBus(), State: &memoryState{}, MasterKey: "m"})
				if !fault.Is(err, fault.Unconfigured) || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %q", file, err, want)
				}
			}
		}},
		{25, "%VAR% in paths and arguments", func(t *testing.T) {
			file := strings.Replace(hostJSON("", ""), `"-test.run=^$"`, `"-test.run=^$","%GREETING%","%NOT_SET_ANYWHERE%"`, 1)
			file = strings.Replace(file, os.Args[0], "%EXE%", 1)
			f := start(t, payload.with("host.json", file), ok, func(o *Options) { o.Settings["EXE"] = os.Args[0] })
			f.do("GET", "/api/hello", "")
			if got := strings.Join(f.next().child(t).Args, "|"); got != "-test.run=^$|good day|%NOT_SET_ANYWHERE%" {
				t.Errorf("arguments %s", got)
			}
		}},
		{26, "a line on stderr, plain and with a warning", func(t *testing.T) {
			f := launch(t, payload, "print", ok, nil)
			f.waitReady()
			f.cancel()
			if err := f.waitEnd(); err != nil { // all output has been read when Run returns
				t.Fatal(err)
			}
			logs := f.logs.String()
			for _, want := range []string{
				`{"level":"info","from":"handler","message":"plain line of stdout"}`, `{"level":"error","from":"handler","message":"plain line of stderr"}`,
				`{"level":"warn","from":"handler","message":"a Warning of stderr"}`, `{"level":"info","from":"handler","message":"last line, not ended"}`,
			} {
				if !strings.Contains(logs, want) {
					t.Errorf("want %s in\n%s", want, logs)
				}
			}
		}},
		{27, "the message's JSON has MessageId", func(t *testing.T) {
			f := start(t, queue, answerJSON(`{}`), nil)
			f.send(bus.Message{ID: "m1", Body: []byte(`{"messageid":"forged","DeliveryCount":9,"flag":true,"list":[1],"deep":{"a":1},"mytrigger":"x"}`)})
			m := f.next().envelope(t).Metadata
			for name, want := range map[string]string{
				"MessageId": `"\"forged\""`, "DeliveryCount": `"\"9\""`, "flag": `"\"True\""`, "deep": `{"a":1}`, "list": "", "mytrigger": "", "messageid": "",
			} {
				if got := string(m[name]); got != want {
					t.Errorf("%s = %s, want %s", name, got, want)
				}
			}
		}},
	}
	for i, row := range rows {
		if row.n != i+1 {
			t.Fatalf("row %d stands at %d", row.n, i+1)
		}
		t.Run(fmt.Sprintf("%02d %s", row.n, row.input), row.check)
	}
}

func (f *fixture) send(msgs ...bus.Message) {
	f.Helper()
	if err := f.broker.Send(f.Context(), "work", msgs...); err != nil {
		f.Fatal(err)
	}
}

// bodies joins what is on a queue.
func (f *fixture) bodies(queue string) string {
	f.broker.mu.Lock()
	defer f.broker.mu.Unlock()
	var out []string
	for _, d := range f.broker.queues[queue] {
		out = append(out, string(d.Body))
	}
	return strings.Join(out, "|")
}

// sentWith is what a queue output of "tooe" puts on the queue.
func sentWith(t *testing.T, dataType string) string {
	f := start(t, app{
		"host.json":           hostJSON("", ""),
		"Hello/function.json": strings.Replace(httpFunction, `"name":"res"}`, `"name":"res"},{"type":"serviceBus","direction":"out",`+dataType+`"name":"out","queueName":"out"}`, 1),
	}, answerJSON(`{"Outputs":{"out":"tooe"}}`), nil)
	f.do("GET", "/api/hello", "")
	return f.bodies("out")
}
