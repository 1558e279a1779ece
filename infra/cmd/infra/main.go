// Infra is what scripts/infra needs of Go: it notes what snapshots were made of, writes
// them as templates for other checkers, and judges what those found.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"polis/infra/bicep/check"
)

var cli struct {
	Sort    sorted  `cmd:"" help:"Put the resources of snapshots in order of their ids: the CLI has another each time."`
	Sums    sums    `cmd:"" help:"Note what the snapshots were made of, or say what has changed since."`
	Flat    flat    `cmd:"" help:"Write each environment as one template."`
	Checkov checkov `cmd:"" help:"Say what of checkov's findings has no written reason."`
	Ages    ages    `cmd:"" help:"Say how old the API versions are, by what the Bicep CLI's linter says."`
}

var environments = []string{"dev", "staging", "prod", "options"}

type sorted struct{}

func (sorted) Run() error {
	for _, environment := range environments {
		path := filepath.Join("infra", "bicep", "environments", environment+".snapshot.json")
		body, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading a snapshot: %w", err)
		}
		if body, err = inOrder(body); err != nil {
			return fmt.Errorf("sorting %s: %w", path, err)
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			return fmt.Errorf("writing a snapshot: %w", err)
		}
	}
	return nil
}

// inOrder is a snapshot with its resources by id and type, each of them byte for byte as it was.
func inOrder(body []byte) ([]byte, error) {
	var snapshot struct {
		Resources   []json.RawMessage `json:"predictedResources"`
		Diagnostics json.RawMessage   `json:"diagnostics"`
		Outputs     json.RawMessage   `json:"outputs"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&snapshot); err != nil {
		return nil, err
	}
	if len(snapshot.Resources) == 0 || snapshot.Diagnostics == nil || snapshot.Outputs == nil {
		return nil, errors.New("it has no resources, or is none of a snapshot")
	}
	type resource struct {
		ID, Type, Name string
		body           []byte
	}
	var resources []resource
	for _, body := range snapshot.Resources {
		r := resource{body: body}
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, err
		}
		resources = append(resources, r)
	}
	slices.SortStableFunc(resources, func(a, b resource) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), bytes.Compare(a.body, b.body))
	})
	var list [][]byte
	for _, r := range resources {
		list = append(list, r.body)
	}
	return fmt.Appendf(nil, "{\n  \"predictedResources\": [\n    %s\n  ],\n  \"diagnostics\": %s,\n  \"outputs\": %s\n}",
		bytes.Join(list, []byte(",\n    ")), snapshot.Diagnostics, snapshot.Outputs), nil
}

type sums struct {
	Write bool `help:"Note it."`
}

func (c *sums) Run() error {
	now, err := check.Sources(".")
	if err != nil {
		return err
	}
	path := filepath.FromSlash(check.Sums)
	if c.Write {
		return os.WriteFile(path, []byte(now), 0o644)
	}
	then, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading what the snapshots were made of: %w", err)
	}
	if string(then) != now {
		return fmt.Errorf("the snapshots are of other sources than these: run make infra")
	}
	return nil
}

type flat struct {
	Dir string `arg:"" help:"Where to."`
}

func (c *flat) Run() error {
	for _, environment := range environments {
		e, err := check.Read(filepath.Join("infra", "bicep", "environments", environment+".snapshot.json"), environment)
		if err != nil {
			return err
		}
		body, err := e.Flat()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(c.Dir, environment+".json"), body, 0o644); err != nil {
			return fmt.Errorf("writing a template: %w", err)
		}
	}
	return nil
}

type checkov struct {
	Results []string `arg:"" help:"What checkov printed, as JSON." type:"existingfile"`
}

// reason is why a check of checkov's fails and that is right. Resource is part of the
// resource's name; Environment empty: in all.
type reason struct {
	Check       string `json:"check"`
	Resource    string `json:"resource"`
	Environment string `json:"environment"`
	Why         string `json:"why"`
}

func (c *checkov) Run() error {
	body, err := os.ReadFile(filepath.Join("infra", "checkov", "reasons.json"))
	if err != nil {
		return fmt.Errorf("reading the reasons: %w", err)
	}
	var reasons []reason
	if err := json.Unmarshal(body, &reasons); err != nil {
		return fmt.Errorf("reading the reasons: %w", err)
	}
	promises, err := check.Promises()
	if err != nil {
		return err
	}
	// Reasons are of what came with Polis: where an environment is an owner's own, one for the same check will do.
	own := func(environment string) bool {
		p, ok := promises[environment]
		return ok && !p.Reference
	}
	used := make([]bool, len(reasons))
	passed, excused, bare := 0, 0, 0
	for _, path := range c.Results {
		body, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading checkov's findings: %w", err)
		}
		type one struct {
			Check    string `json:"check_id"`
			Name     string `json:"check_name"`
			Resource string `json:"resource"`
		}
		var found struct {
			Results struct {
				Passed        []one    `json:"passed_checks"`
				Failed        []one    `json:"failed_checks"`
				ParsingErrors []string `json:"parsing_errors"`
			} `json:"results"`
		}
		if err := json.Unmarshal(body, &found); err != nil {
			return fmt.Errorf("reading checkov's findings in %s: %w", path, err)
		}
		if len(found.Results.Passed) == 0 || len(found.Results.ParsingErrors) > 0 {
			return fmt.Errorf("checkov has looked at nothing in %s", path)
		}
		environment := strings.TrimSuffix(filepath.Base(path), ".checkov.json")
		passed += len(found.Results.Passed)
	findings:
		for _, f := range found.Results.Failed {
			for i, r := range reasons {
				if r.Check == f.Check && (own(environment) || strings.Contains(f.Resource, r.Resource) && (r.Environment == "" || r.Environment == environment)) {
					used[i] = true
					excused++
					continue findings
				}
			}
			bare++
			fmt.Printf("%s: %s %s: %s\n", environment, f.Check, f.Resource, f.Name)
		}
	}
	for i, r := range reasons {
		if !used[i] && !own(r.Environment) {
			bare++
			fmt.Printf("a reason that nothing needs: %s %s %s\n", r.Check, r.Resource, r.Environment)
		}
	}
	fmt.Printf("checkov: %d checks passed, %d failed with a written reason, %d without\n", passed, excused, bare)
	if bare > 0 {
		return fmt.Errorf("%d findings or reasons stand alone", bare)
	}
	return nil
}

type ages struct {
	Lint string `arg:"" help:"What the linter printed." type:"existingfile"`
}

// Run counts, and fails nothing: an API version that is fine today is old in two years, and
// a build should not break on a date.
func (c *ages) Run() error {
	body, err := os.ReadFile(c.Lint)
	if err != nil {
		return fmt.Errorf("reading what the linter printed: %w", err)
	}
	seen := map[string]bool{}
	for _, line := range strings.Split(string(body), "\n") {
		if _, says, ok := strings.Cut(line, "use-recent-api-versions: "); ok && !seen[says] {
			seen[says] = true
			fmt.Println(strings.TrimSpace(strings.Split(says, "[https://")[0]))
		}
	}
	fmt.Printf("ages: %d API versions are more than two years old, or a preview where there is a stable one\n", len(seen))
	return nil
}

func main() {
	ctx := kong.Parse(&cli, kong.Name("infra"), kong.UsageOnError())
	ctx.FatalIfErrorf(ctx.Run())
}
