package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestWhatIf: a book without lapses has an answer of no support, which says that it is an
// association and for what it is; who objects gets none, and no premium is in it.
func TestWhatIf(t *testing.T) {
	w := newWorld(t)
	objector := aggregate("C2")
	objector["customers"].([]any)[0].(map[string]any)["objects_to_profiling"] = true
	for id, a := range map[string]any{"C1": aggregate("C1"), "C2": objector} {
		if rec := w.json("key-one", http.MethodPut, "/api/v1/customers/"+id, a); rec.Code != http.StatusCreated {
			t.Fatalf("%d: %s", rec.Code, rec.Body)
		}
	}
	rec := w.json("key-one", http.MethodPost, "/api/v1/churn/what-ifs", map[string]any{"customers": []string{"C1", "nobody", "C2"}, "changes_percent": []float64{-5, 10}})
	if rec.Code != http.StatusOK {
		t.Fatalf("%d: %s", rec.Code, rec.Body)
	}
	var a struct {
		Kind, Use, Caveat, Why string
		Results                []struct {
			Status   string
			Policies []struct {
				Empty bool
				Why   string
			}
		}
		Errors []struct{ Index int }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if a.Kind != "association" || a.Use != "retention" || !strings.Contains(a.Caveat, "not an effect") || a.Why != "too_few" || len(a.Errors) != 1 || a.Errors[0].Index != 1 {
		t.Errorf("%s", rec.Body)
	}
	if len(a.Results) != 2 || len(a.Results[0].Policies) != 2 || !a.Results[0].Policies[1].Empty || a.Results[0].Policies[1].Why != "too_few" || a.Results[1].Status != "objected" || len(a.Results[1].Policies) != 0 {
		t.Errorf("%s", rec.Body)
	}
	if strings.Contains(rec.Body.String(), "premium\":") || strings.Contains(rec.Body.String(), "640") {
		t.Errorf("a premium is in the answer: %s", rec.Body)
	}
	for name, body := range map[string]any{
		"no customers":    map[string]any{"customers": []string{}, "changes_percent": []float64{5}},
		"no changes":      map[string]any{"customers": []string{"C1"}, "changes_percent": []float64{}},
		"all of it":       map[string]any{"customers": []string{"C1"}, "changes_percent": []float64{-100}},
		"a day to come":   map[string]any{"customers": []string{"C1"}, "changes_percent": []float64{5}, "as_of": "2100-01-01"},
		"too many":        map[string]any{"customers": []string{"C1"}, "changes_percent": make([]float64, 21)},
		"no number":       map[string]any{"customers": []string{"C1"}, "changes_percent": []any{5, nil}},
		"an unknown name": map[string]any{"customers": []string{"C1"}, "changes": []float64{5}},
	} {
		if rec := w.json("key-one", http.MethodPost, "/api/v1/churn/what-ifs", body); rec.Code/100 != 4 {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}
