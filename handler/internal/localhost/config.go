package localhost

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"polis/handler/internal/fault"
)

// unbounded stands for host.json's -1.
const unbounded = -1

// maxBody is the largest request the host takes, in bytes.
const maxBody = 100 << 20

// config is what host.json says, defaults filled in.
type config struct {
	executable string // as exec.Command takes it
	arguments  []string
	workDir    string
	initWait   time.Duration // until the handler must answer

	forward, proxy bool // plain HTTP functions get the request itself

	functionTimeout time.Duration // unbounded: none
	routePrefix     string        // without slashes at its ends
	maxOutstanding  int           // HTTP requests waiting or running; unbounded: no limit
	maxRequests     int           // HTTP requests running; unbounded: no limit

	maxCalls  int           // messages of one queue handled at a time
	maxRenews time.Duration // how long a message's lock is kept alive
}

// hostFile is the part of host.json that this host heeds. Sections for other
// hosts and extensions (logging, extensionBundle, …) are left alone.
type hostFile struct {
	Version         string    `json:"version"`
	FunctionTimeout *timeSpan `json:"functionTimeout"`
	CustomHandler   *struct {
		Description *struct {
			DefaultExecutablePath string   `json:"defaultExecutablePath"`
			WorkingDirectory      string   `json:"workingDirectory"`
			Arguments             []string `json:"arguments"`
			DefaultWorkerPath     string   `json:"defaultWorkerPath"`
			WorkerArguments       []string `json:"workerArguments"`
		} `json:"description"`
		EnableForwardingHTTPRequest bool      `json:"enableForwardingHttpRequest"`
		EnableProxyingHTTPRequest   bool      `json:"enableProxyingHttpRequest"`
		InitializationTimeout       *timeSpan `json:"initializationTimeout"`
	} `json:"customHandler"`
	Extensions struct {
		HTTP struct {
			RoutePrefix            *string `json:"routePrefix"`
			MaxOutstandingRequests *int    `json:"maxOutstandingRequests"`
			MaxConcurrentRequests  *int    `json:"maxConcurrentRequests"`
		} `json:"http"`
		ServiceBus struct {
			MaxConcurrentCalls         *int      `json:"maxConcurrentCalls"`
			MaxAutoLockRenewalDuration *timeSpan `json:"maxAutoLockRenewalDuration"`
			AutoCompleteMessages       *bool     `json:"autoCompleteMessages"`
		} `json:"serviceBus"`
	} `json:"extensions"`
}

func loadConfig(root string, look lookup, env []string) (config, error) {
	raw, err := os.ReadFile(filepath.Join(root, "host.json"))
	if err != nil {
		return config{}, fault.Wrap(fault.Unconfigured, err, "read host.json")
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return config{}, fault.Wrap(fault.Unconfigured, err, "host.json")
	}
	if raw, err = json.Marshal(override(tree, env)); err != nil {
		return config{}, fault.Wrap(fault.Unconfigured, err, "host.json with %s… overrides", overridePrefix)
	}
	var f hostFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return config{}, fault.Wrap(fault.Unconfigured, err, "host.json")
	}
	return f.config(root, look)
}

func (f hostFile) config(root string, look lookup) (config, error) {
	bad := func(property, problem string) (config, error) {
		return config{}, fault.New(fault.Unconfigured, "host.json: %s %s", property, problem)
	}
	h, web, queues := f.CustomHandler, f.Extensions.HTTP, f.Extensions.ServiceBus
	switch {
	case f.Version != "2.0":
		return bad("version", `must be "2.0"`)
	case h == nil:
		return bad("customHandler", "is missing")
	case h.Description == nil:
		return bad("customHandler.description", "is missing")
	case h.Description.DefaultExecutablePath == "":
		return bad("customHandler.description.defaultExecutablePath", "is missing")
	case queues.AutoCompleteMessages != nil && !*queues.AutoCompleteMessages:
		return bad("extensions.serviceBus.autoCompleteMessages", "must stay true: a custom handler cannot settle a message")
	}
	c := config{
		workDir:         root,
		initWait:        h.InitializationTimeout.or(30 * time.Second),
		forward:         h.EnableForwardingHTTPRequest,
		proxy:           h.EnableProxyingHTTPRequest,
		functionTimeout: f.FunctionTimeout.or(30 * time.Minute),
		routePrefix:     "api",
		maxOutstanding:  intOr(web.MaxOutstandingRequests, 200),
		maxRequests:     intOr(web.MaxConcurrentRequests, 100),
		maxCalls:        intOr(queues.MaxConcurrentCalls, 16*runtime.NumCPU()),
		maxRenews:       queues.MaxAutoLockRenewalDuration.or(5 * time.Minute),
	}
	if web.RoutePrefix != nil {
		c.routePrefix = strings.Trim(*web.RoutePrefix, "/")
	}
	if c.initWait <= 0 {
		return bad("customHandler.initializationTimeout", "must be above 0")
	}
	if c.maxCalls < 1 {
		return bad("extensions.serviceBus.maxConcurrentCalls", "must be at least 1")
	}
	if !limitOK(c.maxOutstanding) || !limitOK(c.maxRequests) {
		return bad("extensions.http: maxOutstandingRequests and maxConcurrentRequests", "must be at least 1, or -1 for no limit")
	}

	d := h.Description
	for _, args := range [][]string{d.Arguments, nonEmpty(d.DefaultWorkerPath), d.WorkerArguments} {
		for _, a := range args {
			c.arguments = append(c.arguments, expandVars(a, look))
		}
	}
	if d.WorkingDirectory != "" {
		c.workDir = under(root, expandVars(d.WorkingDirectory, look))
	}
	// A path is meant relative to the root; what is not there is looked for in PATH.
	c.executable = expandVars(d.DefaultExecutablePath, look)
	if p, err := exec.LookPath(under(root, c.executable)); err == nil {
		c.executable = p
	} else if c.executable, err = exec.LookPath(c.executable); err != nil {
		return config{}, fault.Wrap(fault.Unconfigured, err, "host.json: customHandler.description.defaultExecutablePath")
	}
	return c, nil
}

func under(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func intOr(p *int, otherwise int) int {
	if p == nil {
		return otherwise
	}
	return *p
}

func limitOK(n int) bool { return n >= 1 || n == unbounded }

// lookup finds an app setting or environment variable.
type lookup func(name string) (string, bool)

var variable = regexp.MustCompile(`%([^%\s]+)%`)

// expandVars replaces %NAME% as the operating system's own expansion does:
// a name that is not set stays as it is.
func expandVars(s string, look lookup) string {
	return variable.ReplaceAllStringFunc(s, func(m string) string {
		if v, ok := look(strings.Trim(m, "%")); ok {
			return v
		}
		return m
	})
}

// resolve replaces %SETTING% in a property of a binding; one that is not set is an error.
func resolve(s string, look lookup) (string, error) {
	var err error
	out := variable.ReplaceAllStringFunc(s, func(m string) string {
		name := strings.Trim(m, "%")
		v, ok := look(name)
		if !ok || v == "" {
			err = errors.New("setting " + name + " is missing")
		}
		return v
	})
	return out, err
}

// overridePrefix marks the environment variables that change host.json:
// AzureFunctionsJobHost__customHandler__description__defaultExecutablePath=….
const overridePrefix = "AzureFunctionsJobHost__"

func override(tree any, env []string) any {
	for _, kv := range env {
		key, value, _ := strings.Cut(kv, "=")
		if len(key) > len(overridePrefix) && strings.EqualFold(key[:len(overridePrefix)], overridePrefix) {
			tree = graft(tree, strings.Split(key[len(overridePrefix):], "__"), value)
		}
	}
	return tree
}

// graft sets the value at a path of property names (any case) and list indexes.
func graft(node any, path []string, value string) any {
	if len(path) == 0 {
		return literal(value)
	}
	if list, ok := node.([]any); ok {
		i, err := strconv.Atoi(path[0])
		switch {
		case err != nil || i < 0 || i > len(list):
			return node
		case i == len(list):
			list = append(list, nil)
		}
		list[i] = graft(list[i], path[1:], value)
		return list
	}
	object, ok := node.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	key := path[0]
	for k := range object {
		if strings.EqualFold(k, key) {
			key = k
		}
	}
	object[key] = graft(object[key], path[1:], value)
	return object
}

// literal gives an environment variable the type that host.json would have had.
func literal(s string) any {
	if _, err := strconv.Atoi(s); err == nil {
		return json.Number(s)
	}
	if b, err := strconv.ParseBool(s); err == nil {
		return b
	}
	var list []any
	if json.Unmarshal([]byte(s), &list) == nil {
		return list
	}
	return s
}

// timeSpan is .NET's [d.]hh:mm:ss[.fff]; -1 is unbounded.
type timeSpan time.Duration

func (t *timeSpan) or(otherwise time.Duration) time.Duration {
	if t == nil {
		return otherwise
	}
	return time.Duration(*t)
}

func (t *timeSpan) UnmarshalJSON(b []byte) error {
	d, err := parseTimeSpan(string(bytes.Trim(b, `"`)))
	*t = timeSpan(d)
	return err
}

var timeSpanForm = regexp.MustCompile(`^(?:(\d{1,4})\.)?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d{1,7})?)$`)

func parseTimeSpan(s string) (time.Duration, error) {
	if s == "-1" {
		return unbounded, nil
	}
	m := timeSpanForm.FindStringSubmatch(s)
	if m == nil {
		return 0, fault.New(fault.Malformed, "%q is not a time span hh:mm:ss", s)
	}
	var d time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseFloat(m[i+1], 64)
		if err != nil {
			return 0, fault.Wrap(fault.Malformed, err, "%q", s)
		}
		d += time.Duration(n * float64(unit))
	}
	return d, nil
}
