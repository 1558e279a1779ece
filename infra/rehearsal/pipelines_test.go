package rehearsal

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	started = regexp.MustCompile(`scripts/(deploy|drill|capacity)\b`)
	allowed = regexp.MustCompile(`\bexec scripts/|--what-if|(timeout \d+m )?scripts/drill fail(over|back) prod \|\| failed=1$`)
	tidies  = regexp.MustCompile(`--broken-off|drill tidy`)
	ends    = regexp.MustCompile(`\bcancel(?:l)?ed\(\)`)
	jobs    = regexp.MustCompile(`(?m)^(?:  ([\w-]+):$| *- (?:job|deployment): )`) // of GitHub by its place, of Azure DevOps by its word
	// A job that follows a cancelled one and tidies.
	followed = regexp.MustCompile(`(?m)^    if: \$\{\{ always\(\) && needs\.drill\.result == 'cancelled' && .*\n(?:    .*\n)*.*exec scripts/drill tidy`)
)

// unheard are lines of a pipeline that start a script as a child of the step's own process, which is all that a
// pipeline's end of a job reaches; and jobs that deploy, or make an account, and nobody puts right when they are cancelled.
func unheard(body string) []string {
	var out []string
	for _, job := range jobs.Split(body, -1) {
		makes, put := false, followed.MatchString(body)
		for _, line := range strings.Split(job, "\n") {
			code, _, _ := strings.Cut(line, " #")
			code = strings.TrimSpace(code)
			if strings.HasPrefix(code, "#") || !started.MatchString(code) {
				continue
			}
			if !allowed.MatchString(code) {
				out = append(out, code)
			}
			makes = makes || strings.Contains(code, "--yes") || strings.Contains(code, "drill copies")
		}
		// A step is from its dash on.
		for _, step := range regexp.MustCompile(`(?m)^ *- `).Split(job, -1) {
			if tidies.MatchString(step) && ends.MatchString(step) && !strings.Contains(step, "!cancelled()") {
				put = true
			}
		}
		if makes && !put {
			name, _, _ := strings.Cut(job, "\n")
			out = append(out, "nobody puts right "+name)
		}
	}
	return out
}

// TestNobodyIsThrownOut: of two runs that wait for a group GitHub keeps the later, unless the group is a queue. In that of
// deployments are those, and the job alone in which the regions change places; what is done when a region is lost waits for none
// of them, and has a runner left.
func TestNobodyIsThrownOut(t *testing.T) {
	for name, want := range map[string][]string{
		"deploy": {"\n  group: deploy\n  queue: max\n"},
		"drills": {
			"\n    concurrency:\n      group: ${{ startsWith(needs.due.outputs.drill, 'fail') && 'deploy' || format('drills {0}', needs.due.outputs.drill == 'tidy' && 'copies' || needs.due.outputs.drill) }}\n      queue: max\n",
			"\n    needs: due\n    if: needs.due.outputs.drill != ''\n", "      - id: went\n", "export POLIS_BEGUN=\"$GITHUB_OUTPUT\"\n",
			"if: ${{ !cancelled() && (steps.went.outputs.begun != '' || needs.due.outputs.drill == 'failback') }}\n        run: exec scripts/drill failback prod\n",
			"      group: drills copies\n      queue: max\n",
			"        timeout-minutes: 190 ",
		},
		"standby":  {"\nconcurrency:\n  group: standby\n  queue: max\n", "'polis-prod' || 'polis-prod-standby' }}\"]"},
		"rollback": {"\nconcurrency:\n  group: rollback\n  queue: max\n", "'polis-prod-standby'"},
	} {
		file, err := os.ReadFile(filepath.Join(root, ".github/workflows", name+".yml"))
		must(t, err)
		for _, w := range want {
			if !strings.Contains(string(file), w) {
				t.Errorf("%s has not %q", name, w)
			}
		}
		if groups, queues := strings.Count(string(file), "concurrency:"), strings.Count(string(file), "queue: max\n"); groups != queues {
			t.Errorf("%s: %d groups, %d of them queues", name, groups, queues)
		}
	}
}

// TestAzureDevOpsWaits: a job there is ended after an hour, where it does not say how long it may take; what deploys or drills
// may take longer.
func TestAzureDevOpsWaits(t *testing.T) {
	long := regexp.MustCompile(`\btimeoutInMinutes: (0|350)\b`)
	unsaid := func(body string) []string {
		var out []string
		for _, job := range regexp.MustCompile(`(?m)^ *- (job|deployment): `).Split(body, -1)[1:] {
			for _, line := range strings.Split(job, "\n") {
				if started.MatchString(line) && !strings.Contains(line, "--what-if") && !long.MatchString(job) {
					out = append(out, line)
				}
			}
		}
		return out
	}
	for _, name := range []string{"deploy", "drills"} {
		file, err := os.ReadFile(filepath.Join(root, ".azure-pipelines", name+".yml"))
		must(t, err)
		if got := unsaid(string(file)); len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
		if broken := regexp.MustCompile(`timeoutInMinutes: \d+`).ReplaceAllString(string(file), "timeoutInMinutes: 60"); len(unsaid(broken)) == 0 {
			t.Errorf("%s: without it nothing is missed", name)
		}
		if name == "drills" && !strings.Contains(string(file), "timeout 190m scripts/drill failover prod ") {
			t.Error("failover takes all of the time, and failback has none")
		}
	}
}

// TestPipelinesAreHeard: who cancels a job ends the script in it, and what that could not do in its ten seconds is
// done after it.
func TestPipelinesAreHeard(t *testing.T) {
	for _, name := range []string{".github/workflows/deploy.yml", ".github/workflows/drills.yml", ".github/workflows/standby.yml", ".azure-pipelines/deploy.yml", ".azure-pipelines/drills.yml"} {
		file, err := os.ReadFile(filepath.Join(root, name))
		must(t, err)
		body := string(file)
		for _, line := range unheard(body) {
			t.Errorf("%s: %s", name, line)
		}
		for _, at := range regexp.MustCompile(`--broken-off`).FindAllStringIndex(body, -1) {
			if broken := body[:at[0]] + body[at[1]:]; len(unheard(broken)) == 0 {
				t.Errorf("%s: that it is not put right after a cancel is missed:%s", name, body[:at[0]][strings.LastIndex(body[:at[0]], "\n"):])
			}
		}
		for _, change := range [][2]string{{"exec scripts/", "scripts/"}, {"if: cancelled()", "if: success()"}, {"result == 'cancelled'", "result == 'success'"}, {"canceled()", "succeeded()"}} {
			if broken := strings.ReplaceAll(body, change[0], change[1]); broken != body && len(unheard(broken)) == 0 {
				t.Errorf("%s: without %s nothing is missed", name, change[0])
			}
		}
	}
}
