package localhost

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/localhost/ncrontab"
)

// The kinds of binding that Polis uses.
const (
	httpTrigger  = "httpTrigger"
	queueTrigger = "serviceBusTrigger"
	timerTrigger = "timerTrigger"
	httpOut      = "http"
	queueOut     = "serviceBus"
	returnName   = "$return" // the output binding that ReturnValue goes to
)

// binding is one binding of a function.json.
type binding struct {
	Type      string `json:"type"`
	Direction string `json:"direction"`
	Name      string `json:"name"`
	DataType  string `json:"dataType"`

	AuthLevel string   `json:"authLevel"`
	Route     *string  `json:"route"`
	Methods   []string `json:"methods"`

	Schedule     string `json:"schedule"`
	UseMonitor   *bool  `json:"useMonitor"`
	RunOnStartup bool   `json:"runOnStartup"`

	QueueName   string `json:"queueName"`
	TopicName   string `json:"topicName"`
	Cardinality string `json:"cardinality"`
}

func (b binding) binary() bool { return strings.EqualFold(b.DataType, "binary") }

// function is one folder with a function.json.
type function struct {
	name     string
	trigger  binding
	outputs  []binding
	plain    bool // one HTTP trigger in, one http out: may be forwarded as it is
	route    route
	schedule ncrontab.Schedule
	retry    *retryPolicy
}

// retryPolicy repeats a failed timer call.
type retryPolicy struct {
	Strategy        string   `json:"strategy"`
	MaxRetryCount   int      `json:"maxRetryCount"` // unbounded: for ever
	DelayInterval   timeSpan `json:"delayInterval"`
	MinimumInterval timeSpan `json:"minimumInterval"`
	MaximumInterval timeSpan `json:"maximumInterval"`
}

// delay is the pause before retry n = 1, 2, ….
func (p *retryPolicy) delay(n int) time.Duration {
	if p.Strategy == "fixedDelay" {
		return time.Duration(p.DelayInterval)
	}
	d := time.Duration(p.MinimumInterval)
	for ; n > 1 && d < time.Duration(p.MaximumInterval); n-- {
		d *= 2
	}
	return min(d, time.Duration(p.MaximumInterval))
}

var functionName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,127}$`)

// loadFunctions reads <root>/*/function.json, and no deeper: neither does Azure.
func loadFunctions(root, prefix string, look lookup) ([]*function, error) {
	paths, err := filepath.Glob(filepath.Join(root, "*", "function.json"))
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "list the functions")
	}
	var fns []*function
	for _, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		fn, err := loadFunction(path, name, prefix, look)
		if err != nil {
			return nil, fault.Wrap(fault.Unconfigured, err, "function %s", name)
		}
		if fn != nil {
			fns = append(fns, fn)
		}
	}
	if len(fns) == 0 {
		return nil, fault.New(fault.Unconfigured, "no function found: the root needs <Name>/function.json in its direct sub-folders")
	}
	return fns, nil
}

// loadFunction is nil for a function that is disabled.
func loadFunction(path, name, prefix string, look lookup) (*function, error) {
	var f struct {
		Disabled bool         `json:"disabled"`
		Bindings []binding    `json:"bindings"`
		Retry    *retryPolicy `json:"retry"`
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	if v, _ := look("AzureWebJobs." + name + ".Disabled"); f.Disabled || v == "1" || strings.EqualFold(v, "true") {
		return nil, nil
	}
	if !functionName.MatchString(name) {
		return nil, errors.New("a name starts with a letter, has letters, digits, _ and - and is at most 128 long")
	}

	fn := &function{name: name, retry: f.Retry}
	inputs := 0
	for _, b := range f.Bindings {
		switch {
		case b.Name == "":
			return nil, errors.New("a binding has no name")
		case strings.HasSuffix(b.Type, "Trigger"):
			if fn.trigger.Type != "" {
				return nil, errors.New("more than one trigger")
			}
			fn.trigger = b
			inputs++
		case b.Direction == "out" && (b.Type == httpOut || b.Type == queueOut):
			if b.QueueName, err = resolve(b.QueueName, look); err != nil {
				return nil, property("queueName", err)
			}
			if b.Type == queueOut && b.QueueName == "" {
				return nil, property("queueName", errors.New("is missing (topics are not supported)"))
			}
			fn.outputs = append(fn.outputs, b)
		default:
			return nil, errors.New("binding " + b.Name + ": type " + b.Type + " with direction " + b.Direction + " is not supported by the local host")
		}
	}
	fn.plain = fn.trigger.Type == httpTrigger && inputs == 1 && len(fn.outputs) == 1 && fn.outputs[0].Type == httpOut
	return fn, fn.readTrigger(prefix, look)
}

func (fn *function) readTrigger(prefix string, look lookup) (err error) {
	t := &fn.trigger
	switch t.Type {
	case httpTrigger:
		template := fn.name
		if t.Route != nil {
			template = *t.Route
		}
		switch t.AuthLevel {
		case "":
			t.AuthLevel = "function"
		case "anonymous", "function", "admin":
		default:
			return property("authLevel", errors.New("must be anonymous, function or admin"))
		}
		if fn.route, err = parseRoute(strings.Trim(prefix+"/"+strings.Trim(template, "/"), "/")); err != nil {
			return property("route", err)
		}
	case queueTrigger:
		switch {
		case t.TopicName != "" || t.QueueName == "":
			return property("queueName", errors.New("is missing (topics are not supported)"))
		case t.Cardinality == "many":
			return property("cardinality", errors.New("must be one"))
		}
		if t.QueueName, err = resolve(t.QueueName, look); err != nil {
			return property("queueName", err)
		}
	case timerTrigger:
		expr, err := resolve(t.Schedule, look)
		if err != nil {
			return property("schedule", err)
		}
		if fn.schedule, err = ncrontab.Parse(expr); err != nil {
			return property("schedule", err)
		}
		t.Schedule = expr
	case "":
		return errors.New("no trigger")
	default:
		return errors.New("trigger " + t.Type + " is not supported by the local host")
	}
	return fn.checkRetry()
}

func (fn *function) checkRetry() error {
	r := fn.retry
	switch {
	case r == nil:
		return nil
	case fn.trigger.Type != timerTrigger:
		return property("retry", errors.New("works on timers only: a queue's retries are its redeliveries"))
	case r.MaxRetryCount < unbounded:
		return property("retry.maxRetryCount", errors.New("must be 0 or more, or -1 for no limit"))
	case r.Strategy == "fixedDelay" && r.DelayInterval >= 0:
		return nil
	case r.Strategy == "exponentialBackoff" && r.MinimumInterval > 0 && r.MaximumInterval >= r.MinimumInterval:
		return nil
	}
	return property("retry", errors.New("needs strategy fixedDelay with delayInterval, or exponentialBackoff with minimumInterval and maximumInterval"))
}

func property(name string, err error) error { return fault.Wrap(fault.Unconfigured, err, "%s", name) }
