package httpapi

import (
	"encoding/json"
	"testing"

	"polis/handler/internal/audit"
)

// TestDriftReports: a month's report is listed and read, and a tenant sees its own alone.
func TestDriftReports(t *testing.T) {
	w := scored(t)
	if list := w.want(200, w.do("key-one", "GET", "/api/v1/drift-reports", "", nil)).Body.String(); list != `{"reports":[]}` {
		t.Errorf("before there is one: %s", list)
	}
	w.want(404, w.do("key-one", "GET", "/api/v1/drift-reports/latest", "", nil))
	tenant, err := w.book.Tenant(t.Context(), "one")
	must(t, err)
	_, err = w.reports.Month(t.Context(), tenant)
	must(t, err)

	for _, month := range []string{"latest", "2026-03"} {
		var r audit.Report
		must(t, json.Unmarshal(w.want(200, w.do("key-reader", "GET", "/api/v1/drift-reports/"+month, "", nil)).Body.Bytes(), &r))
		if r.Tenant != "one" || r.Month != "2026-03" || r.DriftNote == "" || len(r.Calibration) != 5 || r.Outcomes.InSample != audit.All {
			t.Errorf("%s: %+v", month, r)
		}
	}
	var list struct {
		Reports []struct{ Month string }
	}
	must(t, json.Unmarshal(w.want(200, w.do("key-one", "GET", "/api/v1/drift-reports", "", nil)).Body.Bytes(), &list))
	if len(list.Reports) != 1 || list.Reports[0].Month != "2026-03" {
		t.Errorf("%+v", list)
	}
	for _, month := range []string{"2026-02", "yesterday", "2026-03-31"} {
		w.want(404, w.do("key-one", "GET", "/api/v1/drift-reports/"+month, "", nil))
	}
	w.want(404, w.do("key-two", "GET", "/api/v1/drift-reports/2026-03", "", nil))
}
