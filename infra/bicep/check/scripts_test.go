package check

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// ever are parts of a dry run that differ each time.
var ever = []struct {
	of *regexp.Regexp
	is string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.json`), "TIME.json"},
	{regexp.MustCompile(`((?:<cosmos>|drill)-[rt])\d{8}`), "${1}TIME"},
	{regexp.MustCompile(`(--name polis-[a-z]+-)\d{8}T\d{6}`), "${1}TIME"},
	{regexp.MustCompile(`--file \S+`), "--file FILE"},
	{regexp.MustCompile(`\d{4}-Q[1-4]-\d{8}T\d{6}Z\.json`), "QUARTER-TIME.json"},
	{regexp.MustCompile(`\d{4}-Q[1-4]`), "QUARTER"},
}

// TestDryRuns: each script says what it would do, without the Azure CLI and without changing
// anything; what it says is kept in testdata, so that a change to it is seen.
func TestDryRuns(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh here")
	}
	for name, args := range map[string]string{
		"deploy-dev":          "scripts/deploy dev --dry-run",
		"deploy-prod":         "scripts/deploy prod --dry-run",
		"deploy-app-only":     "scripts/deploy prod --app-only --dry-run",
		"deploy-prod-what-if": "scripts/deploy prod --what-if --dry-run",
		"switch-canary":       "scripts/switch staging --canary 10 --dry-run",
		"switch-rollback":     "scripts/switch prod --rollback --dry-run",
		"drill-failover":      "scripts/drill failover prod --dry-run",
		"drill-failover-real": "scripts/drill failover prod --real --dry-run",
		"drill-failback":      "scripts/drill failback prod --dry-run",
		"drill-restore":       "scripts/drill restore prod 2026-12-01T03:00:00Z --dry-run",
		"drill-copies":        "scripts/drill copies prod 2026-12-06 --dry-run",
		"drill-backup":        "scripts/drill backup prod --dry-run",
		"drill-copies-keep":   "scripts/drill copies prod 2026-12-06 --keep --dry-run",
		"drill-tidy":          "scripts/drill tidy prod --dry-run",
		"drill-shown":         "scripts/drill shown prod --dry-run",
		"deploy-broken-off":   "scripts/deploy prod --broken-off --dry-run",
		"capacity":            "scripts/capacity prod --dry-run",
		"deploy-built":        "scripts/deploy staging --app-only --built --dry-run",
	} {
		t.Run(name, func(t *testing.T) {
			for _, environment := range strings.Fields(args) {
				if slices.Contains(environments, environment) && !committed(t, environment) {
					return
				}
			}
			cmd := exec.Command(sh, strings.Fields(args)...)
			cmd.Dir = root
			cmd.Env = append(os.Environ(), "POLIS_ACTIVE=blue")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", args, err, out)
			}
			got := string(out)
			for _, e := range ever {
				got = e.of.ReplaceAllString(got, e.is)
			}
			golden := filepath.Join("testdata", "dryrun", name+".txt")
			if *update {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestProviders: what a subnet is delegated to is registered before anything is deployed: by Azure itself where a
// first deployment makes something of it, by the script where it does not.
func TestProviders(t *testing.T) {
	script, err := os.ReadFile(filepath.Join(root, "scripts", "deploy"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^providers=(?:'([^']*)'|(\S+))$`).FindSubmatch(script)
	if m == nil {
		t.Fatal("scripts/deploy registers nothing")
	}
	have := strings.Fields(string(m[1]) + string(m[2]))
	for _, environment := range []string{"dev", "staging", "prod"} {
		e := good(t, environment)
		made := append([]string{}, have...)
		for _, r := range e.Resources {
			made = append(made, strings.Split(r.Type, "/")[0])
		}
		for _, v := range e.Of("Microsoft.Network/virtualNetworks") {
			for i := range v.List("properties.subnets") {
				to, _, _ := strings.Cut(v.Text(fmt.Sprintf("properties.subnets.%d.properties.delegations.0.properties.serviceName", i)), "/")
				if to != "" && !slices.Contains(made, to) {
					t.Errorf("%s: nobody registers %s", environment, to)
				}
			}
		}
	}
}

// TestScriptsRefuse: what is asked wrongly is said in one line, and nothing is done.
func TestScriptsRefuse(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh here")
	}
	for args, says := range map[string]string{
		"scripts/deploy":                              "which environment?",
		"scripts/deploy prod --no-such":               "what is --no-such?",
		"scripts/switch prod --dry-run --canary 60":   "1 to 50",
		"scripts/switch prod --dry-run --canary many": "number of percent",
		"scripts/switch dev --dry-run --canary 5":     "no API Management",
		"scripts/switch prod --dry-run --to red":      "blue or green",
		"scripts/drill":                               "failover, failback, restore, copies, backup, shown or tidy?",
		"scripts/drill restore prod --dry-run":        "to which moment?",
		"scripts/drill failover staging --dry-run":    "no second region",
		"scripts/drill copies prod --dry-run":         "which copy?",
		"scripts/drill restore prod yesterday":        "a moment is like",
		"scripts/drill copies prod 6-12-2026":         "a date is like",
		"scripts/drill copies staging 2026-12-06":     "there are no copies",
		"scripts/drill tidy staging":                  "there are no copies",
		"scripts/drill backup prod --keep":            "--keep is of copies",
		"scripts/drill backup staging":                "there are no copies",
		"scripts/drill failover prod 2026-12-06":      "what is 2026-12-06?",
		"scripts/deploy prod --canary 99 --dry-run":   "1 to 50",
		"scripts/deploy prod --canary":                "number of percent",
		"scripts/deploy prod --infra-only --app-only": "--infra-only or --app-only?",
		"scripts/switch prod --rollback --to green":   "leave out --to",
		"scripts/switch prod --canary":                "--canary what?",
		"scripts/package":                             "usage",
		"scripts/probe":                               "usage",
	} {
		own := slices.ContainsFunc(strings.Fields(args), func(a string) bool { return slices.Contains(environments, a) && !committed(t, a) })
		if own {
			continue
		}
		cmd := exec.Command(sh, strings.Fields(args)...)
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), says) {
			t.Errorf("%s: %v, %q: it should say %q", args, err, out, says)
		}
		if strings.Contains(string(out), "+ az") && !strings.Contains(string(out), "evidence") {
			t.Errorf("%s does something all the same: %s", args, out)
		}
	}
}
