package exports

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/run"
	"polis/handler/internal/scoring"
)

// After says whose runs are exported once they are completed: by tenant, engines of which the run has one at
// least; where none is named, any run.
type After map[string][]scoring.Engine

// ParseAfter reads JSON, such as {"acme": ["defend"], "other": []}; nothing is nobody.
func ParseAfter(s string) (After, error) {
	if s == "" {
		return nil, nil
	}
	var names map[string][]string
	if err := json.Unmarshal([]byte(s), &names); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "POLIS_EXPORT_AFTER_RUNS is not tenants with lists of engines, as JSON")
	}
	a := After{}
	for tenant, engines := range names {
		a[tenant] = nil
		for _, name := range engines {
			e, err := scoring.ParseEngine(name)
			if err != nil {
				return nil, fault.Wrap(fault.Unconfigured, err, "POLIS_EXPORT_AFTER_RUNS has something else than an engine for tenant %s", tenant)
			}
			a[tenant] = append(a[tenant], e)
		}
	}
	return a, nil
}

// WithAfter is the exports that are also made after runs.
func (x *Exports) WithAfter(a After) *Exports {
	more := *x
	more.after = a
	return &more
}

// AfterRun asks for the export of a run that is completed, where its tenant wants one. Its id is of the run's and the
// time of its completion, which is recorded once: who asks again asks for the same, and work that is done finds so.
func (x *Exports) AfterRun(ctx context.Context, r run.Run, completed time.Time) error {
	engines, ok := x.after[r.Tenant]
	if !ok || len(engines) > 0 && !slices.ContainsFunc(engines, func(e scoring.Engine) bool { return slices.Contains(r.Engines, e) }) {
		return nil
	}
	sum := sha256.Sum256([]byte(r.ID))
	of := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
	_, err := x.ask(ctx, r.Tenant, completed.UTC(), of)
	return err
}
