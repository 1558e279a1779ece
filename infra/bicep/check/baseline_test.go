package check

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBaseline holds every environment to the public baseline, and each of its rules to be
// there: checked, held by a rule of ours, or with a reason.
func TestBaseline(t *testing.T) {
	references, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	published, err := os.ReadFile(filepath.Join("testdata", "psrule.txt"))
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("check_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, f := range references {
		ids = append(ids, f.ID)
	}
	for _, f := range same("the baseline", slices.Clone(ids), strings.Fields(string(published))) {
		t.Error(f)
	}
	estates := map[string]*Estate{}
	for _, environment := range environments {
		if estates[environment], err = parse(snapshot(t, environment), environment); err != nil {
			t.Fatal(err)
		}
	}
	ours := rules(t)
	for _, f := range references {
		checks := 0
		for _, asks := range []bool{f.Want != nil, f.Match != "", f.Without != ""} {
			if asks {
				checks++
			}
		}
		switch {
		case f.Held != "":
			rule := slices.ContainsFunc(ours, func(r Rule) bool { return r.ID == f.Held })
			if !rule && !slices.Contains(ids, f.Held) && !strings.Contains(string(tests), "func "+f.Held+"(") {
				t.Errorf("%s is held by %s, which is not there", f.ID, f.Held)
			}
		case f.Why != "":
		case checks != 1 || f.Type == "" || f.Path == "":
			t.Errorf("%s asks for nothing, or for several things", f.ID)
		default:
			for _, environment := range environments {
				for _, finding := range f.Check(estates[environment]) {
					t.Error(environment, finding)
				}
			}
			canFail(t, f, estates["options"])
		}
	}
}

// canFail breaks the value that a rule asks for, in each resource that it is about.
func canFail(t *testing.T, f Reference, e *Estate) {
	t.Helper()
	about := 0
	for _, r := range e.Of(f.Type) {
		excepted := slices.ContainsFunc(f.Except, func(x Exception) bool {
			return e.Promise.holds(x.When) && strings.Contains(r.Name, x.Named)
		})
		if !strings.Contains(r.Name, f.Named) || excepted || f.Optional && r.Get(f.Path) == nil {
			continue
		}
		about++
		other := any("~")
		if f.Without != "" {
			other = fmt.Sprint(r.Get(f.Path)) + f.Without
		}
		if f.Match == "." {
			other = ""
		}
		raw := with(r.raw, strings.Split(f.Path, "."), other)
		if f.keeps(Resource{ID: r.ID, Type: r.Type, Name: r.Name, raw: raw.(map[string]any)}) {
			t.Errorf("%s cannot fail on %s", f.ID, r.ID)
		}
	}
	if about == 0 {
		t.Errorf("%s is about nothing", f.ID)
	}
}

// with is JSON with one value changed; what it was is left as it is.
func with(in any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	switch v := in.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = x
		}
		out[path[0]] = with(v[path[0]], path[1:], value)
		return out
	case []any:
		out := slices.Clone(v)
		i := int(path[0][0] - '0')
		out[i] = with(v[i], path[1:], value)
		return out
	}
	return map[string]any{path[0]: with(nil, path[1:], value)}
}

// tableOf is the page's: rules that are held as they are, then those that are otherwise, and why.
func tableOf(references []Reference) string {
	var checked []string
	by, order := map[string][]string{}, []string{}
	for _, f := range references {
		id := strings.TrimPrefix(f.ID, "Azure.")
		how := []string{}
		switch {
		case f.Held != "":
			how = append(how, "held by `"+f.Held+"`")
		case f.Why != "":
			how = append(how, "not here: "+f.Why)
		default:
			checked = append(checked, id)
			where := map[string][]string{}
			for _, x := range f.Except {
				if where[x.Why] == nil {
					how = append(how, x.Why)
				}
				where[x.Why] = append(where[x.Why], strings.TrimSpace("`"+x.When+"` "+x.Named))
			}
			for i, why := range how {
				how[i] = "kept but where " + strings.Join(where[why], ", ") + ": " + why
			}
		}
		if len(how) == 0 {
			continue
		}
		key := strings.Join(how, "; ")
		if by[key] == nil {
			order = append(order, key)
		}
		by[key] = append(by[key], id)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d rules of PSRule for Azure are for types that are here. %d are checked as they are: %s.\n\n| rules | here |\n|---|---|\n", len(references), len(checked), strings.Join(checked, ", "))
	for _, key := range order {
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(by[key], ", "), key)
	}
	return b.String()
}

// TestReferences: the page has each reason and exception, so that who reads it reads all.
func TestReferences(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "references.md"))
	if err != nil {
		t.Fatal(err)
	}
	references, err := Baseline()
	if err != nil {
		t.Fatal(err)
	}
	if want := tableOf(references); !strings.Contains(string(page), want) {
		t.Errorf("docs/references.md has another table than\n%s", want)
	}
}
