package check

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../../.."

var environments = []string{"dev", "staging", "prod", "options"}

func rules(t *testing.T) []Rule {
	t.Helper()
	p, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return Rules(p)
}

func snapshot(t *testing.T, environment string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "environments", environment+".snapshot.json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// committed reports whether an environment is as it came with Polis, and says so where it is not: what is shown of it by
// our own numbers and names is passed over then.
func committed(t *testing.T, environment string) bool {
	t.Helper()
	e := good(t, environment)
	if !e.Promise.Reference {
		t.Logf("passed over: %s is an owner's own (%s)", environment, promisesFile)
	}
	return e.Promise.Reference
}

// TestEstates holds every environment to every rule; with -update shapes.txt takes up what they have first.
func TestEstates(t *testing.T) {
	if *update {
		writeShapes(t)
	}
	all := rules(t)
	for _, environment := range environments {
		t.Run(environment, func(t *testing.T) {
			e := good(t, environment)
			for _, f := range Check(e, all) {
				t.Error(f)
			}
		})
	}
}

// breakage is a change to a good estate that a rule must see.
type breakage struct {
	Rule        string          `json:"rule"`
	Environment string          `json:"environment"`
	Type        string          `json:"type"`  // of the resource that is broken; the first whose id holds Named
	Named       string          `json:"named"` // part of its id, or its end: "/api$"
	Path        string          `json:"path"`  // what is changed; "" removes the resource
	Value       json.RawMessage `json:"value"` // what it becomes; absent removes it
	Says        string          `json:"says"`  // part of what the rule must say
}

// of reports whether it is this resource that is broken.
func (b breakage) of(r Resource) bool {
	return r.Type == b.Type && (strings.Contains(r.ID, b.Named) || strings.HasSuffix(r.ID+"$", b.Named))
}

// has reports whether an estate has what is to be broken.
func has(e *Estate, b breakage) bool {
	i := slices.IndexFunc(e.Resources, b.of)
	if b.Type == "" || b.Path == "" {
		return b.Type == "" || i >= 0
	}
	up := b.Path[:max(0, strings.LastIndexByte(b.Path, '.'))]
	return i >= 0 && (up == "" || e.Resources[i].Get(up) != nil)
}

// TestBroken breaks a good estate, one change at a time, and the rule that forbids it must
// say so. A rule that no breakage shows to fail is itself a failure. What is to be broken in an environment that is an
// owner's own is broken in options, which is nobody's, where that has it.
func TestBroken(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("testdata", "broken.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []breakage
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	kept := rules(t)
	for _, b := range all {
		t.Run(b.Rule+"/"+b.Type+"/"+b.Path, func(t *testing.T) {
			own := !committed(t, b.Environment)
			if own {
				b.Environment = "options"
				if !has(good(t, "options"), b) {
					return
				}
			}
			e := broken(t, b)
			found := false
			for _, r := range kept {
				if r.ID != b.Rule {
					continue
				}
				for _, f := range r.Check(e) {
					found = found || strings.Contains(f.Says, b.Says)
				}
			}
			if !found && !own {
				t.Errorf("rule %s sees nothing wrong", b.Rule)
			}
			shown[b.Rule] = shown[b.Rule] || found
		})
	}
	for _, r := range kept {
		if !shown[r.ID] {
			t.Errorf("no broken estate shows that rule %s can fail", r.ID)
		}
	}
}

// TestEveryValue breaks each value that the table asks for, in an environment that has it: a value that
// no environment has is asked of nothing, and one whose breakage nobody sees is not asked. And it takes
// away all resources of each row.
func TestEveryValue(t *testing.T) {
	p, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range p.Values {
		for _, row := range group.Rows {
			for path, wanted := range row.Wants {
				t.Run(group.Rule+"/"+row.Type+row.Named+"/"+path, func(t *testing.T) {
					one := row
					one.Wants = map[string]any{path: wanted}
					e := holding(t, row)
					if e == nil {
						return
					}
					for i, r := range e.Resources {
						if strings.EqualFold(r.Type, row.Type) && strings.Contains(r.ID, row.named(e)) {
							raw := another(r.raw).(map[string]any)
							damage(raw, strings.Split(path, "."), wanted)
							e.Resources[i].raw = raw
						}
					}
					if len(one.check(e)) == 0 {
						t.Error("breaks it and nobody sees it")
					}
				})
			}
			for _, part := range row.With {
				e := holding(t, row)
				if e == nil {
					continue
				}
				for id := range e.byID {
					if strings.HasSuffix(id, strings.ToLower(part)) {
						delete(e.byID, id)
					}
				}
				if len(row.check(e)) == 0 {
					t.Errorf("%s: takes away %s of %s and nobody sees it", group.Rule, part, row.Type)
				}
			}
			e := holding(t, row)
			if e == nil {
				continue
			}
			e.Resources = slices.DeleteFunc(e.Resources, func(r Resource) bool { return r.Type == row.Type })
			if seen := len(row.check(e)) > 0; seen == row.Optional {
				t.Errorf("%s: takes away all of %s and finds: %v", group.Rule, row.Type, seen)
			}
		}
	}
}

// holding is an estate that a row holds for and has something to hold: with all there is, where that will do. There may
// be none where an environment is an owner's own.
func holding(t *testing.T, row Row) *Estate {
	t.Helper()
	for _, environment := range []string{"options", "prod", "dev"} {
		if e := good(t, environment); e.Promise.holds(row.When) && len(e.Of(row.Type)) > 0 {
			return e
		}
	}
	for _, environment := range environments {
		if !committed(t, environment) {
			return nil
		}
	}
	t.Fatalf("no estate has %s", row.Type)
	return nil
}

// damage makes a value deep in JSON another one, each that a path means; where there must be none it makes one.
func damage(in any, path []string, wanted any) any {
	if len(path) == 0 {
		s, said := in.(string)
		switch _, several := wanted.(parts); {
		case !said || s == "" || wanted == nil:
			return "~"
		case several:
			return s[:len(s)/8]
		}
		return ""
	}
	key, is, selects := strings.Cut(path[0], "=")
	switch v := in.(type) {
	case map[string]any:
		if path[0] != "*" {
			v[path[0]] = damage(v[path[0]], path[1:], wanted)
			return v
		}
		for k := range v {
			v[k] = damage(v[k], path[1:], wanted)
		}
	case []any:
		if path[0] == strconv.Itoa(len(v)) && wanted == nil {
			return append(v, "~")
		}
		for i := range v {
			one, _ := v[i].(map[string]any)
			if path[0] == "*" || selects && text(one[key]) == is || path[0] == strconv.Itoa(i) {
				v[i] = damage(v[i], path[1:], wanted)
			}
		}
	}
	return in
}

// TestNothingIsMissed: each diagnostic setting, endpoint and lock that is taken away is missed.
func TestNothingIsMissed(t *testing.T) {
	for kind, rule := range map[string]func(*Estate) []Finding{
		"Microsoft.Insights/diagnosticSettings": diagnostics,
		"Microsoft.Network/privateEndpoints":    endpoints,
		"Microsoft.Authorization/locks":         locks,
	} {
		e := good(t, "options")
		for _, r := range e.Of(kind) {
			if strings.HasSuffix(r.ID, "-activity") {
				continue // of the subscription itself, which is no resource
			}
			without := good(t, "options")
			without.Resources = slices.DeleteFunc(without.Resources, func(o Resource) bool { return o.ID == r.ID })
			without.index()
			if len(rule(without)) == 0 {
				t.Errorf("nobody misses %s", r.ID)
			}
		}
	}
}

// broken is a good estate with one thing changed.
func broken(t *testing.T, b breakage) *Estate {
	t.Helper()
	var value any
	if b.Value != nil {
		if err := json.Unmarshal(b.Value, &value); err != nil {
			t.Fatal(err)
		}
	}
	if b.Type == "" { // the snapshot itself
		var doc map[string]any
		if err := json.Unmarshal(snapshot(t, b.Environment), &doc); err != nil {
			t.Fatal(err)
		}
		doc[b.Path] = value
		body, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		e, err := parse(body, b.Environment)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := good(t, b.Environment)
	at := slices.IndexFunc(e.Resources, b.of)
	if at < 0 {
		t.Fatalf("there is no %s named %s to break", b.Type, b.Named)
	}
	if b.Path == "" {
		e.Resources = slices.Delete(e.Resources, at, at+1)
	} else {
		raw := another(e.Resources[at].raw).(map[string]any)
		set(t, raw, strings.Split(b.Path, "."), value, b.Value == nil)
		e.Resources[at] = resource(raw)
	}
	e.index()
	return e
}

var parsed = map[string]*Estate{}

// good is an environment as its snapshot has it, which is read once. What is in a resource belongs to all who have it.
func good(t *testing.T, environment string) *Estate {
	t.Helper()
	if parsed[environment] == nil {
		e, err := parse(snapshot(t, environment), environment)
		if err != nil {
			t.Fatal(err)
		}
		parsed[environment] = e
	}
	e := *parsed[environment]
	e.Resources, e.byID = slices.Clone(e.Resources), maps.Clone(e.byID)
	return &e
}

// another is the same JSON, which can be changed.
func another(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, in := range v {
			out[k] = another(in)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, in := range v {
			out[i] = another(in)
		}
		return out
	}
	return v
}

// set changes a value deep in JSON.
func set(t *testing.T, in any, path []string, value any, remove bool) {
	t.Helper()
	for _, step := range path[:len(path)-1] {
		switch v := in.(type) {
		case map[string]any:
			in = v[step]
		case []any:
			in = v[int(step[0]-'0')]
		default:
			t.Fatalf("nothing is at %v", path)
		}
	}
	end := path[len(path)-1]
	switch v := in.(type) {
	case map[string]any:
		if remove {
			delete(v, end)
			return
		}
		v[end] = value
	case []any:
		v[int(end[0]-'0')] = value
	default:
		t.Fatalf("nothing is at %v", path)
	}
}

// TestSources: the snapshots are of these templates.
func TestSources(t *testing.T) {
	now, err := Sources(root)
	if err != nil {
		t.Fatal(err)
	}
	then, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(Sums)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(then), now); diff != "" {
		t.Errorf("the snapshots are of other sources: run make infra\n%s", diff)
	}
}

// TestNothingIsWrittenInVain: every role on the list is given somewhere, and every playbook
// is some alert's.
func TestNothingIsWrittenInVain(t *testing.T) {
	p, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	given, named := map[string]bool{}, map[string]bool{"budget": true, "README": true}
	for _, environment := range environments {
		e := good(t, environment)
		for _, g := range grants(e) {
			given[g.String()] = true
		}
		for _, kind := range alertTypes {
			for _, a := range e.Of(kind) {
				if m := playbook.FindStringSubmatch(a.Text("properties.description")); m != nil {
					named[m[1]] = true
				}
			}
		}
	}
	for _, r := range p.Roles {
		if !given[r] {
			t.Errorf("docs/roles.md has a role that nobody gives: %s", r)
		}
	}
	for _, page := range p.Playbooks {
		if !named[page] {
			t.Errorf("docs/playbooks/%s.md is no alert's", page)
		}
	}
}

var declared = regexp.MustCompile(`(?m)^(param|output|type|metadata) `)

// TestSourcesAreDescribed: every parameter, output and type says what it is, every file what
// it is for, and a preview of an API says why.
func TestSourcesAreDescribed(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.bicep", "modules/*.bicep", "bootstrap/*.bicep"} {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 20 {
		t.Fatalf("only %d templates were found", len(files))
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(body), "\n")
		if !strings.HasPrefix(lines[0], "metadata description = ") {
			t.Errorf("%s does not say what it is for", f)
		}
		for i, line := range lines {
			if declared.MatchString(line) && !strings.HasPrefix(line, "metadata") {
				k := i - 1
				for k > 0 && lines[k] != "" && !strings.HasPrefix(lines[k], "@description(") {
					k--
				}
				if k < 0 || !strings.HasPrefix(lines[k], "@description(") {
					t.Errorf("%s:%d is not described: %s", f, i+1, line)
				}
			}
			if strings.Contains(line, "-preview'") && !strings.Contains(line, "diagnosticSettings@") && !strings.Contains(lines[max(0, i-1)], "-preview:") {
				t.Errorf("%s:%d uses a preview and does not say why", f, i+1)
			}
		}
	}
}

var (
	module  = regexp.MustCompile(`(?m)^module (\w+) '[^']+' = ([^\n]*)\n(?s:(.*?))^[}\]]`)
	called  = regexp.MustCompile(`(?m)^ +name: '([^']+)'$`)
	looping = regexp.MustCompile(`for \(?(\w+)(?:, \w+\))? in`)
)

// TestModuleNames: each module in a resource group is deployed under one name for good, that no other has. Of a locked
// group Azure deletes no history, and after 800 deployments there it refuses the next
// (learn.microsoft.com, "Automatic deletions from deployment history").
func TestModuleNames(t *testing.T) {
	names := map[string]string{}
	for _, pattern := range []string{"main.bicep", "modules/*.bicep", "bootstrap/*.bicep"} {
		files, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, f := range files {
			body, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range module.FindAllStringSubmatch(string(body), -1) {
				if strings.HasSuffix(f, "main.bicep") && !strings.Contains(m[3], "scope: ") {
					continue // of the subscription, which has no lock
				}
				for _, says := range misnamed(m[2], m[3], names) {
					t.Errorf("%s: module %s %s", f, m[1], says)
				}
			}
		}
	}
	if len(names) < 30 {
		t.Fatalf("only %d modules were found", len(names))
	}
	for _, c := range []struct{ head, body, says string }{
		{"{", "  scope: core\n", "has no name"},
		{"{", "  name: 'cosmos'\n", "has the name of another"},
		{"{", "  name: 'x-${deployment().name}'\n", "has another name each time"},
		{"[", "  for r in regions: {\n    name: 'x'\n", "has one name for several"},
	} {
		if got := misnamed(c.head, c.body, map[string]string{"cosmos": "cosmos"}); len(got) != 1 || got[0] != c.says {
			t.Errorf("%q: %q, and not %q", c.body, got, c.says)
		}
	}
}

// misnamed says what is wrong with a module's name, and notes it.
func misnamed(head, body string, names map[string]string) []string {
	m := called.FindStringSubmatch(body)
	if m == nil {
		return []string{"has no name"}
	}
	name := m[1]
	if names[name] != "" {
		return []string{"has the name of another"}
	}
	names[name] = name
	if strings.ContainsAny(name, "()") {
		return []string{"has another name each time"}
	}
	if of := looping.FindStringSubmatch(body); strings.HasPrefix(head, "[") && (of == nil || !strings.Contains(name, "${"+of[1])) {
		return []string{"has one name for several"}
	}
	return nil
}

// TestWorkspaceIsAskedLast: what Azure refuses as long as a workspace does not know its tables comes with the second
// deployment, after all else, and nothing waits for it: where it is refused, all else is there and can be used.
func TestWorkspaceIsAskedLast(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("..", "main.bicep"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range module.FindAllStringSubmatch(string(body), -1) {
		waits := regexp.MustCompile(`(?m)^ +dependsOn: \[(.*)\]$`).FindStringSubmatch(m[3])
		on := ""
		if waits != nil {
			on = waits[1]
		}
		last := m[1] == "watch" || m[1] == "export"
		for _, long := range []string{"endpoints", "alerts", "api", "guard"} {
			if last && !slices.Contains(strings.Split(on, ", "), long) {
				t.Errorf("%s does not wait for %s", m[1], long)
			}
		}
		if last && !strings.Contains(m[2], "sentinel && !creating && watching)") {
			t.Errorf("%s comes with the first deployment already", m[1])
		}
		if !last && (strings.Contains(on, "watch") || strings.Contains(on, "export")) {
			t.Errorf("%s waits for what may be refused", m[1])
		}
	}
}

// TestOneAtATime: Cosmos DB refuses a second change of an account while it is at one (412, PreconditionFailed): roles are
// given one after the other, and private ways in are made by one region after the other, Data Factory's at last.
func TestOneAtATime(t *testing.T) {
	for file, wants := range map[string][]string{
		"main.bicep":            {`@batchSize\(1\)\nmodule endpoints `, `(?s)\nmodule backup '[^}].*?\n  dependsOn: \[[^\]]*\bendpoints\b`},
		"modules/custody.bicep": {`@batchSize\(1\)[^\n]*\nresource \w+ '[^']*/sqlRoleAssignments@`},
		"modules/cosmos.bicep":  {`@batchSize\(1\)\nresource access '[^']*/sqlRoleAssignments@`},
		"modules/guard.bicep":   {`@batchSize\(1\)\nresource defenders `},
	} {
		body, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !regexp.MustCompile(want).Match(body) {
				t.Errorf("%s has no %s", file, want)
			}
		}
	}
}

// TestMalwareScan: Defender for Storage and its scan for malware are switched on by the bootstrap, which an Owner runs,
// and not by the estate: it gives its scanner a right, and the deployment identity may give none that is not on its
// list (Microsoft's page "Support matrix for Defender for Storage": subscription Owner).
func TestMalwareScan(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("..", "bootstrap", "main.bicep"))
	if err != nil {
		t.Fatal(err)
	}
	plan := regexp.MustCompile(`(?s)\nresource \w+ 'Microsoft\.Security/pricings@[^\n]*\n(.*?)\n}\n`).FindString(string(body))
	for _, want := range []string{"name: 'StorageAccounts'", "pricingTier: 'Standard'", "name: 'OnUploadMalwareScanning'", "isEnabled: 'True'"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the bootstrap's plan has no %s", want)
		}
	}
	if !strings.Contains(string(body), "param malwareScan bool = environment == 'prod'") {
		t.Error("production's storage is not looked at for malware")
	}
	for _, environment := range environments {
		e := good(t, environment)
		for _, p := range e.Of("Microsoft.Security/pricings") {
			if p.Name == "StorageAccounts" {
				t.Errorf("%s: the deployment identity may not set %s", environment, p.ID)
			}
		}
	}
}

// TestAppRoles: the registration that callers get their roles from has those that the code knows.
func TestAppRoles(t *testing.T) {
	p, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join("..", "bootstrap", "app-roles.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ ID, Value string }
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatal(err)
	}
	var roles []string
	ids := map[string]bool{}
	for _, r := range list {
		roles = append(roles, r.Value)
		ids[r.ID] = true
	}
	for _, f := range same("app-roles.json", roles, p.API.Roles) {
		t.Error(f)
	}
	if len(ids) != len(list) {
		t.Error("two roles have one id")
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

// TestLinks: what pages of the estate point to is there.
func TestLinks(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"promises.md", "roles.md", "bootstrap.md", "estate-cost.md", "references.md", "playbooks/*.md", "runbooks/*.md", "adr/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, "docs", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		pages = append(pages, found...)
	}
	for _, page := range pages {
		body, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(body), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s points to %s, which is not there", page, m[1])
			}
		}
	}
}

// TestPolicies: policies of API Management are well-formed XML, as their format says, and
// every section goes on to what is above it.
func TestPolicies(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "modules", "policies", "*.xml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d policies: %v", len(files), err)
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var p struct {
			XMLName xml.Name `xml:"policies"`
			Inbound struct {
				Base *struct{} `xml:"base"`
			} `xml:"inbound"`
			Outbound struct {
				Base *struct{} `xml:"base"`
			} `xml:"outbound"`
		}
		if err := xml.Unmarshal(body, &p); err != nil {
			t.Errorf("%s: %v", f, err)
		}
		if filepath.Base(f) != "service.xml" && (p.Inbound.Base == nil || p.Outbound.Base == nil) {
			t.Errorf("%s leaves out what holds for every API", f)
		}
	}
}
