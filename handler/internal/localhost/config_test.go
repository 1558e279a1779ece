package localhost

import (
	"strings"
	"testing"
	"time"

	"polis/handler/internal/fault"
)

func TestWrongFunctionsAreNamed(t *testing.T) {
	in := func(trigger string) string { return `{"bindings":[` + trigger + `]}` }
	for _, c := range []struct{ file, want string }{
		{in(`{"type":"timerTrigger","direction":"in","name":"t","schedule":"%NIGHT%"}`), "function F: schedule: setting NIGHT is missing"},
		{in(`{"type":"timerTrigger","direction":"in","name":"t","schedule":"0 0 25 * * *"}`), "function F: schedule: "},
		{in(`{"type":"serviceBusTrigger","direction":"in","name":"m","queueName":"%Q%-x"}`), "function F: queueName: setting Q is missing"},
		{in(`{"type":"serviceBusTrigger","direction":"in","name":"m"}`), "function F: queueName: is missing"},
		{in(`{"type":"serviceBusTrigger","direction":"in","name":"m","queueName":"q","cardinality":"many"}`), "function F: cardinality"},
		{in(`{"type":"httpTrigger","direction":"in","name":"r","authLevel":"user"}`), "function F: authLevel"},
		{in(`{"type":"httpTrigger","direction":"in","name":"r","route":"a{b}"}`), "function F: route"},
		{in(`{"type":"blobTrigger","direction":"in","name":"r"}`), "blobTrigger is not supported"},
		{in(`{"type":"httpTrigger","direction":"in"}`), "has no name"},
		{in(`{"type":"httpTrigger","direction":"in","name":"a"},{"type":"httpTrigger","direction":"in","name":"b"}`), "more than one trigger"},
		{in(``), "no trigger"},
		{`{"retry":{"strategy":"fixedDelay"},"bindings":[{"type":"httpTrigger","direction":"in","name":"r"}]}`, "timers only"},
		{`{"retry":{"strategy":"odd"},"bindings":[{"type":"timerTrigger","direction":"in","name":"t","schedule":"0 0 3 * * *"}]}`, "needs strategy"},
		{`{`, "function F"},
	} {
		_, err := loadFunctions(stage(t, app{"F/function.json": c.file}), "api", func(string) (string, bool) { return "", false })
		if !fault.Is(err, fault.Unconfigured) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.file, err, c.want)
		}
	}
}

func TestOnlyDirectSubfolders(t *testing.T) {
	_, err := loadFunctions(stage(t, app{"functions/F/function.json": httpFunction}), "api", func(string) (string, bool) { return "", false })
	if !fault.Is(err, fault.Unconfigured) || !strings.Contains(err.Error(), "direct sub-folders") {
		t.Errorf("error %v", err)
	}
}

func TestHostFile(t *testing.T) {
	root := stage(t, app{"host.json": hostJSON(`,"initializationTimeout":"00:01:30","enableForwardingHttpRequest":false`,
		`,"functionTimeout":"-1","extensions":{"http":{"routePrefix":"/x/","maxConcurrentRequests":-1},"serviceBus":{"maxConcurrentCalls":4,"maxAutoLockRenewalDuration":"1.00:05:00"}}`)})
	cfg, err := loadConfig(root, func(string) (string, bool) { return "", false }, []string{
		"AzureFunctionsJobHost__customHandler__enableForwardingHttpRequest=true", "azurefunctionsjobhost__CUSTOMHANDLER__description__arguments__1=more",
		"AzureFunctionsJobHost__extensions__http__maxOutstandingRequests=7", "OTHER=x",
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.initWait != 90*time.Second || !cfg.forward || cfg.functionTimeout != unbounded || cfg.routePrefix != "x" || cfg.maxRequests != unbounded ||
		cfg.maxOutstanding != 7 || cfg.maxCalls != 4 || cfg.maxRenews != 24*time.Hour+5*time.Minute || strings.Join(cfg.arguments, " ") != "-test.run=^$ more" {
		t.Errorf("%+v", cfg)
	}
}

func TestHostFileRefuses(t *testing.T) {
	_, err := loadConfig(stage(t, app{"host.json": hostJSON(`,"initializationTimeout":"00:00:00"`, "")}), func(string) (string, bool) { return "", false }, nil)
	if err == nil || !strings.Contains(err.Error(), "initializationTimeout") {
		t.Errorf("error %v", err)
	}
	for more, want := range map[string]string{
		`,"extensions":{"serviceBus":{"autoCompleteMessages":false}}`: "autoCompleteMessages must stay true",
		`,"extensions":{"serviceBus":{"maxConcurrentCalls":0}}`:       "maxConcurrentCalls must be at least 1",
		`,"extensions":{"http":{"maxOutstandingRequests":0}}`:         "maxOutstandingRequests",
		`,"functionTimeout":"5m"`:                                     "not a time span",
		`,"extensions":{"http":{"maxConcurrentRequests":"many"}}`:     "maxConcurrentRequests",
		`,"version":"1.0"`: "version must be",
		`,"extensions":{"serviceBus":{"maxAutoLockRenewalDuration":1}}`: "not a time span",
	} {
		_, err := loadConfig(stage(t, app{"host.json": hostJSON("", more)}), func(string) (string, bool) { return "", false }, nil)
		if !fault.Is(err, fault.Unconfigured) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", more, err, want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"Outputs":{"res":{"statusCode":"201","body":"x"}},"Logs":["a"],"ReturnValue":null}`, `{"Outputs":{"res":"{}"}}`, `{"Outputs":{"res":["eA=="]}}`, "null", `{}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := decodeAnswer("application/json", body)
		if err != nil {
			return
		}
		for _, raw := range a.Outputs {
			if out, err := decodeHTTPOutput(raw); err == nil && (out.status() < 200 || out.status() > 599) {
				t.Errorf("status %d", out.status())
			}
			if !null(raw) {
				_, _, _ = outputBytes(binding{}, raw) // must not panic
			}
		}
	})
}

func FuzzSpread(f *testing.F) {
	f.Add([]byte(`{"MessageId":"x","a":[1],"b":{"c":1},"d":true,"e":null,"f":1.5}`))
	f.Add([]byte("HelloWorld"))
	f.Fuzz(func(t *testing.T, body []byte) {
		e := envelope{Data: map[string]any{"msg": string(body)}, Metadata: map[string]any{"MessageId": "m"}}
		e.spread(body)
		if _, err := e.encode(); err != nil {
			t.Error(err)
		}
	})
}
