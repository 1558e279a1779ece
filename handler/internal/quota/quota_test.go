package quota

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"polis/handler/internal/fault"
)

var all = Quota{Chunks: 32, Runs: 8, Imports: 4, Exports: 2, Requests: 60}

func TestOf(t *testing.T) {
	q, err := New(all, `{"acme": {"chunks": 200}}`, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if got := q.Of("acme"); got != (Quota{200, 8, 4, 2, 60}) || q.Width("acme") != 200 {
		t.Errorf("%+v", got)
	}
	if got := q.Of("other"); got != all {
		t.Errorf("%+v", got)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		all     Quota
		tenants string
		says    string
	}{
		"nothing":         {Quota{}, "", "POLIS_QUOTA_CHUNKS is missing"},
		"all but one":     {Quota{Chunks: 1, Runs: 1, Imports: 1, Requests: 1}, "", "POLIS_QUOTA_EXPORTS"},
		"less than none":  {Quota{Chunks: -1}, "", "chunks"},
		"no JSON":         {all, "acme=3", "POLIS_QUOTA_TENANTS"},
		"more than JSON":  {all, "{} {}", "POLIS_QUOTA_TENANTS"},
		"unknown quota":   {all, `{"acme": {"chunk": 1}}`, "POLIS_QUOTA_TENANTS"},
		"a tenant's less": {all, `{"acme": {"runs": -1}}`, "acme"},
	} {
		if _, err := New(tc.all, tc.tenants, time.Now); !fault.Is(err, fault.Unconfigured) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// In any minute a tenant has at most twice its quota (what was left, and what came), is let in again when it was told
// to come, and what it does is no other tenant's.
func TestRequests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, 0)
		q, err := New(all, "", func() time.Time { return now })
		if err != nil {
			t.Fatal(err)
		}
		var let []time.Time
		for range rapid.IntRange(1, 400).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			left, err := q.Request("acme")
			var f *fault.Error
			switch {
			case err == nil:
				let = append(let, now)
			case !errors.As(err, &f) || f.Kind != fault.Exhausted || f.After < time.Second || f.After > time.Minute || left != 0:
				t.Fatalf("%v, %+v", err, f)
			default:
				now = now.Add(f.After)
				if _, err := q.Request("acme"); err != nil {
					t.Fatalf("who waited as long as it was told: %v", err)
				}
				let = append(let, now)
			}
			recent := 0
			for _, at := range let {
				if now.Sub(at) < time.Minute {
					recent++
				}
			}
			if recent > 2*all.Requests {
				t.Fatalf("%d requests in a minute", recent)
			}
		}
		if left, err := q.Request("other"); err != nil || left != all.Requests-1 {
			t.Fatalf("another tenant: %d left, %v", left, err)
		}
	})
}

func TestRatesAreBounded(t *testing.T) {
	q, err := New(all, "", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * tenantsAtOnce {
		if _, err := q.Request(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if q.rates.Len() > tenantsAtOnce {
		t.Errorf("%d rates are remembered", q.rates.Len())
	}
}
