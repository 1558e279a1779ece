package rehearsal

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"polis/infra/bicep/check"
)

var update = flag.Bool("update", false, "write the golden files anew")

const root = "../.."

// TestMain is also the CLIs: what is on the scripts' path calls this program under another name.
func TestMain(m *testing.M) {
	as := filepath.Base(os.Args[0])
	if as != "az" && as != "curl" {
		os.Exit(m.Run())
	}
	w := &world{file: os.Getenv("POLIS_REHEARSAL_WORLD")}
	var out bytes.Buffer // goes out last: who reads it may be the next to change the world
	err := w.load()
	if err == nil {
		if as == "az" {
			err = az(w, os.Args[1:], &out)
		} else {
			err = curl(w, os.Args[1:], os.Stdin, &out)
		}
		err = errors.Join(err, w.save())
	}
	if _, werr := out.WriteTo(os.Stdout); err == nil {
		err = werr
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ERROR:", err)
		var s said
		if errors.As(err, &s) {
			os.Exit(s.status)
		}
		os.Exit(99)
	}
}

// stage is a world, and a copy of the scripts with the CLIs on their path.
type stage struct {
	t   *testing.T
	dir string
	*world
}

func newStage(t *testing.T, env string, deployed bool) *stage {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh here")
	}
	promises, err := check.Promises()
	must(t, err)
	if !promises[env].Reference {
		t.Skipf("%s is an owner's own (infra/bicep/environments/promises.json): the world here is of the one that came with Polis", env)
	}
	dir := t.TempDir()
	testdata, err := filepath.Abs("testdata")
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	for _, from := range []string{"scripts/*", "infra/bicep/environments/*.bicepparam"} {
		files, err := filepath.Glob(filepath.Join(root, from))
		must(t, err)
		for _, f := range files {
			body, err := os.ReadFile(f)
			if err != nil {
				continue // a folder
			}
			put(t, filepath.Join(dir, filepath.Dir(from), filepath.Base(f)), string(body))
		}
	}
	for _, role := range []string{"api", "work", "clock"} {
		put(t, filepath.Join(dir, "dist/azure", role+".zip"), "zip")
	}
	put(t, filepath.Join(dir, "bin/sleep"), "#!/bin/sh\n") // nobody waits
	for _, as := range []string{"az", "curl"} {
		must(t, os.Symlink(self, filepath.Join(dir, "bin", as)))
	}
	s := &stage{t, dir, &world{file: filepath.Join(dir, "world.json"), Testdata: testdata, Env: env, Lost: -1, Pools: map[string][]share{}, Closed: map[string]bool{}, Tags: map[string]string{}}}
	if deployed {
		s.build("blue")
		for _, a := range s.Apps {
			a.Filled = a.Colour == "blue"
		}
		s.Registered, s.Doors = true, s.Gateways
		s.Tags["polis-"+env+"-blue"] = "served"
		s.Deployed, s.Waiting, s.Trigger = []string{"polis-" + env + "-20261201T000000"}, nil, map[bool]string{true: "Started"}[env == "prod"]
	}
	must(t, s.save())
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, file, body string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte(body), 0o755))
}

// run runs a script to its end, and takes the world as it then is.
func (s *stage) run(line string, env ...string) (string, error) {
	s.t.Helper()
	must(s.t, s.save())
	cmd := exec.Command("sh", strings.Fields(line)...)
	cmd.Dir = s.dir
	cmd.Env = append(append(os.Environ(), "PATH="+filepath.Join(s.dir, "bin")+":"+os.Getenv("PATH"), "POLIS_REHEARSAL_WORLD="+s.file), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	*s.world = world{file: s.file}
	must(s.t, s.load())
	return out.String(), err
}

// serves is which apps that work by themselves run: one colour's, in one region, or something is wrong.
func (s *stage) serves() string {
	var run []string
	for _, a := range s.Apps {
		if a.Role != "api" && a.Running {
			run = append(run, a.title())
		}
	}
	return strings.Join(run, ", ")
}

const (
	blue  = "work-blue weu, clock-blue weu"
	green = "work-green weu, clock-green weu"
)

// long skips what starts hundreds of programs, each of them this test: scripts/test runs it without
// the race detector, with which each takes a second to begin. They have a world each, and run beside each other.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs without -short")
	}
	t.Parallel()
}

// TestScripts runs what a deployment, a change-over, a rollback and each drill do, from an empty subscription
// or one in which blue serves, with what can be wrong. What changed, in its order, is in testdata.
func TestScripts(t *testing.T) {
	long(t)
	for name, c := range map[string]struct {
		env, broken string
		empty       bool
		tries       int
		lines       []string
		fails       string // what the last line says where it fails
		serves      string
	}{
		"first":                 {env: "prod", empty: true, lines: []string{"scripts/deploy prod --infra-only --yes", "scripts/deploy prod --built --yes"}, serves: green},
		"first-and-rollback":    {env: "prod", empty: true, lines: []string{"scripts/deploy prod --infra-only --yes", "scripts/deploy prod --built --yes", "scripts/switch prod --rollback"}, fails: "blue is no version to go back to (not known to have served)", serves: green},
		"deploy":                {env: "prod", lines: []string{"scripts/deploy prod --built --yes"}, serves: green},
		"deploy-twice":          {env: "staging", lines: []string{"scripts/deploy staging --built --yes", "scripts/deploy staging --built --yes"}, serves: blue},
		"deploy-dev":            {env: "dev", lines: []string{"scripts/deploy dev --built --yes"}, serves: green},
		"what-if":               {env: "prod", lines: []string{"scripts/deploy prod --what-if"}, serves: blue},
		"app-only":              {env: "prod", lines: []string{"scripts/deploy prod --app-only --built"}, serves: green},
		"not-starting":          {env: "prod", broken: "start", lines: []string{"scripts/deploy prod --built --yes"}, fails: "/api/health answers 503", serves: blue},
		"not-reaching":          {env: "prod", broken: "reach", lines: []string{"scripts/deploy prod --built --yes"}, fails: "/api/ready answers 503", serves: blue},
		"failing-at-the-edge":   {env: "prod", broken: "edge", lines: []string{"scripts/deploy prod --built --yes"}, fails: "blue serves as before", serves: blue},
		"failing-for-callers":   {env: "prod", broken: "callers", lines: []string{"scripts/deploy prod --built --yes"}, fails: "blue serves as before", serves: blue},
		"package-refused":       {env: "prod", broken: "package", lines: []string{"scripts/deploy prod --built --yes"}, fails: "the package is not there", serves: blue},
		"estate-refused":        {env: "prod", broken: "estate", lines: []string{"scripts/deploy prod --built --yes"}, fails: "does not take the estate", serves: blue},
		"estate-fails":          {env: "prod", broken: "built", lines: []string{"scripts/deploy prod --built --yes"}, fails: "Failed: {\"code\":\"DeploymentFailed\"}", serves: blue},
		"rule-refused":          {env: "prod", broken: "rule", lines: []string{"scripts/deploy prod --built --yes"}, serves: green},
		"rule-refused-and-busy": {env: "prod", broken: "busy", lines: []string{"scripts/deploy prod --built --yes"}, serves: green},
		"rule-refused-at-first": {env: "prod", broken: "rule", empty: true, lines: []string{"scripts/deploy prod --infra-only --yes"}, fails: "all is there but Sentinel's rules", serves: blue},
		"first-of-dev":          {env: "dev", empty: true, tries: 2, lines: []string{"scripts/deploy dev --built --yes"}, serves: green},
		"ended":                 {env: "prod", broken: "ended", lines: []string{"scripts/deploy prod --built --yes"}, fails: "broken off", serves: blue},
		"no-metrics":            {env: "prod", broken: "metrics", lines: []string{"scripts/deploy prod --built --yes"}, fails: "what callers were answered is not known", serves: blue},
		"only-the-edge":         {env: "prod", broken: "few", lines: []string{"scripts/deploy prod --built --yes"}, fails: "what callers were answered is not known", serves: blue},
		"blobs-stay":            {env: "prod", broken: "blobs", lines: []string{"scripts/drill failover prod"}, fails: "blobs: northeurope first failed", serves: blue},
		"copies-way-in-stays":   {env: "prod", broken: "way-in", lines: []string{"scripts/drill backup prod", "scripts/drill copies prod 2026-12-06"}, serves: blue},
		"copy-not-all-back":     {env: "prod", broken: "way-back", lines: []string{"scripts/drill backup prod", "scripts/drill copies prod 2026-12-06"}, fails: `"read":1000,"read_back":999,`, serves: blue},
		"switch":                {env: "prod", lines: []string{"scripts/switch prod --canary 10", "scripts/switch prod --to green"}, serves: green},
		"rollback":              {env: "staging", lines: []string{"scripts/switch staging --to green", "scripts/switch staging --rollback"}, serves: blue},
		"rollback-of-a-trial":   {env: "prod", lines: []string{"scripts/switch prod --canary 10", "scripts/switch prod --rollback"}, serves: blue},
		"rollback-twice":        {env: "staging", lines: []string{"scripts/deploy staging --app-only --built", "scripts/switch staging --rollback", "scripts/switch staging --rollback"}, fails: "green is no version to go back to (left)", serves: blue},
		"rollback-to-nothing":   {env: "staging", lines: []string{"scripts/switch staging --rollback"}, fails: "not known to have served", serves: blue},
		"given-nothing-at-rest": {env: "prod", broken: "standing", lines: []string{"scripts/deploy prod --app-only --built"}, serves: green},
		"not-told-of-triggers":  {env: "prod", broken: "sync", lines: []string{"scripts/deploy prod --built --yes"}, serves: green},
		"not-taking-over":       {env: "prod", broken: "worker", lines: []string{"scripts/deploy prod --built --yes"}, fails: "green could not take over: blue serves again", serves: blue},
		"failover":              {env: "prod", lines: []string{"scripts/drill failover prod"}, serves: "work-blue neu, clock-blue neu"},
		"failover-and-back":     {env: "prod", lines: []string{"scripts/drill failover prod", "scripts/drill failback prod"}, serves: blue},
		"failover-and-deploy":   {env: "prod", lines: []string{"scripts/drill failover prod", "scripts/deploy prod --app-only --built"}, serves: "work-green neu, clock-green neu"},
		"failover-and-rollback": {env: "prod", lines: []string{"scripts/deploy prod --app-only --built", "scripts/drill failover prod", "scripts/switch prod --rollback"}, serves: "work-blue neu, clock-blue neu"},
		"failover-and-estate":   {env: "prod", lines: []string{"scripts/drill failover prod", "scripts/deploy prod --built --yes"}, fails: "the second region serves", serves: "work-blue neu, clock-blue neu"},
		"failover-twice":        {env: "prod", lines: []string{"scripts/drill failover prod", "scripts/drill failover prod"}, fails: "the first region does not serve", serves: "work-blue neu, clock-blue neu"},
		"failback-from-nowhere": {env: "prod", lines: []string{"scripts/drill failback prod"}, fails: "the first region has all", serves: blue},
		"restore":               {env: "prod", lines: []string{"scripts/drill restore prod 2026-12-01T03:00:00Z"}, serves: blue},
		"copies":                {env: "prod", lines: []string{"scripts/drill backup prod", "scripts/drill backup prod", "scripts/drill copies prod 2026-12-06"}, serves: blue},
		"copy-broken-off":       {env: "prod", broken: "copy", lines: []string{"scripts/drill backup prod"}, fails: "the copy is made failed", serves: blue},
		"copies-of-no-day":      {env: "prod", lines: []string{"scripts/drill copies prod 2026-11-29"}, fails: "the last whole copy of 2026-11-29 failed", serves: blue},
		"capacity":              {env: "prod", lines: []string{"scripts/capacity prod"}, serves: blue},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.env, !c.empty)
			s.Broken, s.Tries = c.broken, c.tries
			var out string
			var err error
			for i, line := range c.lines {
				if out, err = s.run(line); err != nil && (i < len(c.lines)-1 || c.fails == "") {
					t.Fatalf("%s: %v\n%s", line, err, out)
				}
				s.did("== " + line)
			}
			if c.fails != "" && (err == nil || !strings.Contains(out, c.fails)) {
				t.Errorf("%v, and says\n%s\nand not %q", err, out, c.fails)
			}
			if got := s.serves(); got != c.serves {
				t.Errorf("%s run, and not %s", got, c.serves)
			}
			if s.Env == "prod" && s.Trigger != "Started" {
				t.Errorf("the weekly copies' trigger: %q", s.Trigger)
			}
			golden(t, name, s.Did)
		})
	}
}

func golden(t *testing.T, name string, did []string) {
	t.Helper()
	got := strings.Join(did, "\n") + "\n"
	file := filepath.Join("testdata", name+".txt")
	if *update {
		put(t, file, got)
		must(t, os.Chmod(file, 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// TestLostRegion: a first region that does not answer is not asked; what is deployed meanwhile is deployed in the
// second; what the failover showed waits here until the first is there again and can keep it.
func TestLostRegion(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	s.Lost = 0
	if out, err := s.run("scripts/drill failover prod --real"); err == nil || !strings.Contains(out, "say which colour serves") {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := s.run("scripts/drill failover prod --real", "POLIS_ACTIVE=blue"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	s.did("== failover")
	if got, err := s.run("scripts/switch prod"); err != nil || got != "blue\n" {
		t.Fatalf("%v: %s serves", err, got)
	}
	if out, err := s.run("scripts/deploy prod --app-only --built"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	s.did("== deployed")
	waiting, err := filepath.Glob(filepath.Join(s.dir, "var/evidence/failover-*.json"))
	if err != nil || len(waiting) != 1 {
		t.Fatalf("%v: the evidence: %v", err, waiting)
	}
	s.Lost = -1
	// What was deployed meanwhile is not there: back are the old version's workers, and they still run.
	if out, err := s.run("scripts/drill failback prod"); err == nil || !strings.Contains(out, "the first region has not got green: deploy again before failback, from its own network") {
		t.Fatalf("%v %s", err, out)
	}
	s.From = 1 // the second's runner does not get there, though it tells the first's API Management whom to ask
	if out, err := s.run("scripts/deploy prod --app-only --built"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := s.run("scripts/drill failback prod"); err == nil || !strings.Contains(out, "the first region has not got blue") {
		t.Fatalf("%v %s", err, out)
	}
	s.From = 0
	if out, err := s.run("scripts/deploy prod --app-only --built"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	s.did("== deployed again")
	if out, err := s.run("scripts/drill failback prod", "POLIS_ACTIVE=blue"); err == nil || !strings.Contains(out, "green's workers run, and POLIS_ACTIVE says blue") {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := s.run("scripts/drill failback prod"); err != nil || s.serves() != green {
		t.Fatalf("%v %s: %s run", err, out, s.serves())
	}
	s.did("== failback")
	// What came before it never came here.
	if out, err := s.run("scripts/switch prod --rollback"); err == nil || !strings.Contains(out, "the first region has not got blue: there is nothing to go back to") {
		t.Errorf("%v %s", err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "var/evidence/*")); len(left) != 0 {
		t.Errorf("%v is still here", left)
	}
	golden(t, "lost-region", s.Did)
}

// TestNotReady: that no instance can be kept ready ends no failover.
func TestNotReady(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	s.Lost, s.Broken = 0, "ready"
	out, err := s.run("scripts/drill failover prod --real", "POLIS_ACTIVE=blue")
	if err != nil || !strings.Contains(out, "no instance is kept ready") || !strings.Contains(out, "probe: ok") {
		t.Errorf("%v %s", err, out)
	}
}

// TestSilentRegion: what Azure says of a lost region, or does not, holds up no workers; and a failover that is started again
// asks for nothing that goes on.
func TestSilentRegion(t *testing.T) {
	long(t)
	for name, c := range map[string]struct {
		broken       string
		left, moving int // what was begun before
		did          []string
		says         int // of how many steps the end is not known
	}{
		"nothing is ever said":     {"silent", 0, 0, []string{"messages northeurope, force true", "blobs Unplanned"}, 2},
		"nothing is accepted":      {"refused", 0, 0, nil, 4},
		"all is under way":         {"", 3, 2, []string{"messages northeurope, force true"}, 1},
		"and it is known of blobs": {"known", 3, 2, []string{"messages northeurope, force true"}, 0},
	} {
		s := newStage(t, "prod", true)
		s.Lost, s.Broken, s.Left, s.Moving, s.Writing = 0, c.broken, c.left, c.moving, c.left
		out, err := s.run("scripts/drill failover prod --real", "POLIS_ACTIVE=blue")
		if err != nil || !strings.HasSuffix(s.serves(), "work-blue neu, clock-blue neu") || strings.Count(out, "see to it. All else goes on") != c.says {
			t.Errorf("%s: %v %s: %s run", name, err, out, s.serves())
		}
		var did []string
		for _, d := range s.Did {
			if strings.HasPrefix(d, "messages north") || strings.HasPrefix(d, "blobs") {
				did = append(did, d)
			}
		}
		if !slices.Equal(did, c.did) {
			t.Errorf("%s: %q", name, s.Did)
		}
		// Ten minutes for messages, three hours for blobs, when workers run.
		if started := strings.Index(out, "drill: workers in northeurope"); c.broken == "silent" && (s.Silent < 360 || s.Silent > 1+20+1+360 || strings.Count(out[:started], "see to it") != 1) {
			t.Errorf("%s: %d questions without an answer: %s", name, s.Silent, out)
		}
	}
}

// TestOffline: documents that are on their way are waited for, but not for ever.
func TestOffline(t *testing.T) {
	long(t)
	for writing, fails := range map[int]bool{30: false, 50: true} {
		s := newStage(t, "prod", true)
		s.Lost, s.Writing = 0, writing
		if out, err := s.run("scripts/drill failover prod --real", "POLIS_ACTIVE=blue"); (err != nil) != fails || fails && !strings.Contains(out, "documents: northeurope first failed") {
			t.Errorf("%d: %v %s", writing, err, out)
		}
	}
}

// TestHanging: a step of a drill waits three hours at most, however often it asks for different things in them.
func TestHanging(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	s.Broken = "hanging"
	if out, err := s.run("scripts/drill failover prod"); err == nil || !strings.Contains(out, "blobs: northeurope first failed") || !strings.Contains(out, "westeurope true") || s.Looked < 360 || s.Looked > 365 {
		t.Errorf("%v %s: %d questions", err, out, s.Looked)
	}
}

// TestAtRest: the regions do not begin to change places while Azure is at what they change with.
func TestAtRest(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	s.Broken = "failed"
	if out, err := s.run("scripts/drill failover prod"); err != nil {
		t.Errorf("a namespace whose last change failed is at rest: %v %s", err, out)
	}
	for _, at := range []string{"messages", "blobs"} {
		s := newStage(t, "prod", true)
		if at == "messages" {
			s.Moving = 9
		} else {
			s.Left = 12
		}
		begun := filepath.Join(s.dir, "begun")
		out, err := s.run("scripts/drill failover prod", "POLIS_BEGUN="+begun)
		if _, noted := os.Stat(begun); err == nil || noted == nil || !strings.Contains(out, "Azure is at") || len(s.Did) > 0 {
			t.Errorf("%s: %v %s: %q", at, err, out, s.Did)
		}
	}
}

// TestFederated: a job of GitHub that signed in ten minutes before asks storage all the same, for GitHub's token is
// good for five; where it cannot, what a drill showed stays for the next to keep, and both say so.
func TestFederated(t *testing.T) {
	long(t)
	github := []string{
		"ACTIONS_ID_TOKEN_REQUEST_URL=https://token.rehearsal/?job=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + token,
		"AZURE_CLIENT_ID=id", "AZURE_TENANT_ID=tenant", "AZURE_SUBSCRIPTION_ID=11111111",
	}
	s := newStage(t, "prod", true)
	s.Federated, s.Assertion = true, 2*assertionMinutes
	for _, line := range []string{
		"scripts/drill backup prod", "scripts/drill copies prod 2026-12-06", "scripts/drill failover prod", "scripts/drill failback prod", "scripts/capacity prod",
	} {
		if out, err := s.run(line, github...); err != nil {
			t.Fatalf("%s: %v %s", line, err, out)
		}
		s.Assertion = 2 * assertionMinutes
	}
	for _, e := range []string{"evidence backup", "evidence copies", "evidence failover", "evidence failback", "evidence capacity"} {
		if !slices.Contains(s.Did, e) {
			t.Errorf("no %s: %q", e, s.Did)
		}
	}
	if out, err := s.run("scripts/drill failover prod"); err == nil || !strings.Contains(out, "the next drill takes it") {
		t.Errorf("without GitHub's tokens: %v %s", err, out)
	}
	s.Did = nil
	if out, err := s.run("scripts/drill failback prod", github...); err != nil || !slices.Contains(s.Did, "evidence failover") || s.serves() != blue {
		t.Errorf("%v %s: %q", err, out, s.Did)
	}
}

// TestRollbackAfterReturn: what a deployment itself went back from is no version to go back to, until somebody
// says so by its name.
func TestRollbackAfterReturn(t *testing.T) {
	long(t)
	for _, broken := range []string{"callers", "worker"} {
		s := newStage(t, "staging", true)
		s.Broken = broken
		if out, err := s.run("scripts/deploy staging --app-only --built"); err == nil {
			t.Fatalf("%s: %s", broken, out)
		}
		if out, err := s.run("scripts/switch staging --rollback"); err == nil || !strings.Contains(out, "--to green") {
			t.Errorf("%s: %v %s", broken, err, out)
		}
		if s.serves() != blue || s.Pools[s.Gateways[0]][0] != (share{"blue", 100}) {
			t.Errorf("%s: %s run, requests go to %v", broken, s.serves(), s.Pools)
		}
		s.Broken = ""
		if out, err := s.run("scripts/switch staging --to green"); err != nil || s.serves() != green {
			t.Errorf("%s: %v %s", broken, err, out)
		}
	}
}

// TestNothingToGoBackTo: where no version has served before the first that does, a failed first try makes none of the
// colour that the templates started and nobody filled.
func TestNothingToGoBackTo(t *testing.T) {
	long(t)
	for _, broken := range []string{"edge", "worker"} {
		s := newStage(t, "staging", false)
		if out, err := s.run("scripts/deploy staging --infra-only --yes"); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		s.Broken = broken
		if out, err := s.run("scripts/deploy staging --app-only --built"); err == nil || !strings.Contains(out, "blue serves again, and answers nobody") {
			t.Fatalf("%s: %v %s", broken, err, out)
		}
		s.Broken = ""
		if out, err := s.run("scripts/deploy staging --app-only --built"); err != nil || s.serves() != green {
			t.Fatalf("%s: %v %s", broken, err, out)
		}
		out, err := s.run("scripts/switch staging --rollback")
		if err == nil || !strings.Contains(out, "blue is no version to go back to") || s.serves() != green || s.Pools[s.Gateways[0]][0] != (share{"green", 100}) {
			t.Errorf("%s: %v %s: %s run, requests go to %v", broken, err, out, s.serves(), s.Pools)
		}
	}
}

// TestRollbackBrokenOff: a change-over that was broken off between requests and workers is ended by --rollback,
// and a rollback that was is gone on with.
func TestRollbackBrokenOff(t *testing.T) {
	long(t)
	for is, want := range map[string]string{"new": blue, "served": green} {
		s := newStage(t, "staging", true)
		s.Tags["polis-staging-green"] = is
		s.Pools[s.Gateways[0]] = []share{{"green", 100}}
		out, err := s.run("scripts/switch staging --rollback")
		if colour := strings.TrimPrefix(strings.Fields(want)[0], "work-"); err != nil || s.serves() != want || s.Pools[s.Gateways[0]][0].Colour != colour {
			t.Errorf("%s: %v %s: %s run, requests go to %v", is, err, out, s.serves(), s.Pools)
		}
	}
}

// TestAlwaysTried: beside a version that has served a release is tried, however that one answers just now; where it cannot be
// read whether there is one, nothing is.
func TestAlwaysTried(t *testing.T) {
	long(t)
	for _, c := range []struct {
		broken string
		unread int
		fails  bool
	}{{"unseen", 0, false}, {"tired", 0, false}, {"", 2, false}, {"", 3, true}} {
		s := newStage(t, "staging", true)
		s.Broken, s.Unread = c.broken, c.unread
		out, err := s.run("scripts/deploy staging --app-only --built")
		tried := slices.Contains(s.Did, "pool "+s.Gateways[0]+": green 10%, blue 90%")
		if (err != nil) != c.fails || tried == c.fails || c.fails && (s.serves() != blue || s.Pools[s.Gateways[0]][0] != (share{"blue", 100})) {
			t.Errorf("%v: %v %s: %q", c, err, out, s.Did)
		}
	}
}

// TestNoted: that a tag cannot be read is not taken for a colour without packages.
func TestNoted(t *testing.T) {
	long(t)
	for unread, is := range map[int]string{2: "served", 3: "new"} {
		s := newStage(t, "staging", true)
		s.Tags["polis-staging-green"], s.Unread = "new", unread
		out, err := s.run("scripts/switch staging --to green")
		if err != nil || s.Tags["polis-staging-green"] != is || (is == "new") != strings.Contains(out, "cannot be read") {
			t.Errorf("%d: %v %s: green is noted as %s", unread, err, out, s.Tags["polis-staging-green"])
		}
	}
	// Nor is a version that is gone back from one to go back to, for that.
	s := newStage(t, "staging", true)
	s.Tags["polis-staging-green"], s.Read, s.Unread = "served", 1, 3
	if out, err := s.run("scripts/switch staging --rollback"); err != nil || s.serves() != green || s.Tags["polis-staging-blue"] != "left" {
		t.Errorf("%v %s: %s run, %v", err, out, s.serves(), s.Tags)
	}
	// Nor does a trial that was killed go on for it: callers are seen to first, and the weekly copies start all the same.
	for unread, fails := range map[int]bool{2: false, 3: true} {
		s := newStage(t, "prod", true)
		s.Tags["polis-prod-green"], s.Unread, s.Trigger = "new", unread, "Stopped"
		s.Pools[s.Gateways[0]] = []share{{"green", 10}, {"blue", 90}}
		out, err := s.run("scripts/deploy prod --broken-off")
		if (err != nil) != fails || (s.Pools[s.Gateways[0]][0] != share{"blue", 100}) != fails || s.Did[len(s.Did)-1] != "weekly copies start" {
			t.Errorf("%d: %v %s: %q", unread, err, out, s.Did)
		}
	}
}

// TestHalfWay: a first deployment that fails half way is tried again, and one that was given up is started again:
// API Management is there then, without a private way in, and Azure closes its public one only once it has one.
func TestHalfWay(t *testing.T) {
	long(t)
	for tries, fails := range map[int]bool{2: false, 3: true} {
		s := newStage(t, "prod", false)
		s.Tries = tries
		out, err := s.run("scripts/deploy prod --infra-only --yes")
		if (err != nil) != fails || fails && !strings.Contains(out, "KeyVaultAuthenticationFailure") {
			t.Fatalf("%d: %v %s", tries, err, out)
		}
		if fails {
			if len(s.Gateways) == 0 || len(s.Doors) > 0 {
				t.Fatalf("it failed not half way: %v %v", s.Gateways, s.Doors)
			}
			if out, err := s.run("scripts/deploy prod --infra-only --yes"); err != nil {
				t.Fatalf("%d: it cannot be started again: %v %s", tries, err, out)
			}
		}
		if !slices.Contains(s.Did, "estate blue") || s.Trigger != "Started" || len(s.Doors) != 2 {
			t.Errorf("%d: %q, %v", tries, s.Did, s.Doors)
		}
	}
}

// TestBudgetBegins: a first deployment says that a budget cannot begin in a month that is over; a later one, whose
// budget is there, does not.
func TestBudgetBegins(t *testing.T) {
	long(t)
	for _, c := range []struct {
		from     string
		deployed bool
		says     bool
	}{{"2000-01-01", false, true}, {"9999-12-01", false, false}, {"2000-01-01", true, false}} {
		s := newStage(t, "staging", c.deployed)
		file := filepath.Join(s.dir, "infra/bicep/environments/staging.bicepparam")
		body, err := os.ReadFile(file)
		must(t, err)
		put(t, file, regexp.MustCompile(`(?m)^param budgetFrom = .*$`).ReplaceAllString(string(body), "param budgetFrom = '"+c.from+"'"))
		out, err := s.run("scripts/deploy staging --what-if")
		if err != nil || strings.Contains(out, "budgetFrom is "+c.from) != c.says {
			t.Errorf("%v: %v %s", c, err, out)
		}
	}
}

// TestFromTheSecondRegion: while the second region serves its own runner deploys there, though it has no way to the
// apps of the first; what those miss is said.
func TestFromTheSecondRegion(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	if out, err := s.run("scripts/drill failover prod"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	s.From = 1
	out, err := s.run("scripts/deploy prod --app-only --built")
	if err != nil || s.serves() != "work-green neu, clock-green neu" || !strings.Contains(out, "region 0 has not got the packages") || strings.Contains(strings.Join(s.Did, "\n"), "minutes are waited") {
		t.Errorf("%v %s: %s: %q", err, out, s.serves(), s.Did)
	}
	s.From = 0
	if out, err := s.run("scripts/deploy prod --app-only --built"); err != nil || strings.Contains(out, "has not got the packages") {
		t.Errorf("from the first region there is a way to all: %v %s", err, out)
	}
}

// TestBrokenCopy: a run that broke off left a folder that nobody can delete; the drill reads the one before it.
func TestBrokenCopy(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	for _, broken := range []string{"", "copy"} {
		s.Broken = broken
		if out, err := s.run("scripts/drill backup prod"); (err != nil) != (broken != "") {
			t.Fatalf("%q: %v %s", broken, err, out)
		}
	}
	s.Broken = ""
	if out, err := s.run("scripts/drill copies prod 2026-12-06"); err != nil || !slices.Contains(s.Did, "pipeline restore of 2026-12-06/r9") || !strings.Contains(out, `"read":1000,"read_back":1000,`) {
		t.Errorf("%v %s: %q", err, out, s.Did)
	}
}

// TestKilled: a deployment that was killed outright leaves Azure at it and the weekly copies standing still;
// --broken-off puts both right.
func TestKilled(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	s.Broken = "killed"
	if out, err := s.run("scripts/deploy prod --infra-only --yes"); err == nil || s.Trigger != "Stopped" {
		t.Fatalf("%v %s: the weekly copies' trigger: %q", err, out, s.Trigger)
	}
	s.did("== killed")
	s.Tags["polis-prod-green"] = "left" // and half of the way back from it had been made before
	s.Pools[s.Gateways[1]] = []share{{"green", 10}, {"blue", 90}}
	for range 2 {
		if out, err := s.run("scripts/deploy prod --broken-off"); err != nil || s.Trigger != "Started" {
			t.Fatalf("%v %s: the weekly copies' trigger: %q", err, out, s.Trigger)
		}
	}
	// What the cancelled one had begun goes on: the next waits for it.
	s.Broken = ""
	if out, err := s.run("scripts/deploy prod --infra-only --yes"); err != nil || strings.Contains(out, "DeploymentActive") || !strings.Contains(out, "deploy: waits for idle: gateway-weu in rg-polis-prod\n") {
		t.Fatalf("%v %s", err, out)
	}
	golden(t, "killed", s.Did)
}

// TestSettled: a trial, or half a change-over, that was killed gets no more requests than one that failed; where it had taken
// over, it goes on; and what serves is left alone.
func TestSettled(t *testing.T) {
	long(t)
	for name, c := range map[string]struct {
		green  string // its mark
		pool   []share
		run    []string // roles and colours
		serves string
	}{
		"on trial":              {"new", []share{{"green", 10}, {"blue", 90}}, []string{"work-blue", "clock-blue"}, blue},
		"between the workers":   {"new", []share{{"green", 100}}, nil, blue},
		"before the clock":      {"new", []share{{"green", 100}}, []string{"work-green"}, blue},
		"before it is noted":    {"new", []share{{"green", 100}}, []string{"work-green", "clock-green"}, blue},
		"half way back":         {"left", []share{{"green", 100}}, []string{"work-blue"}, blue},
		"back, and none works":  {"left", []share{{"blue", 100}}, nil, blue},
		"back, and no clock":    {"left", []share{{"blue", 100}}, []string{"work-blue"}, blue},
		"further back":          {"left", []share{{"blue", 100}}, []string{"work-green"}, blue},
		"given up long ago":     {"left", []share{{"blue", 100}}, []string{"work-blue", "clock-blue"}, blue},
		"nothing to be settled": {"served", []share{{"green", 100}}, []string{"work-green", "clock-green"}, green},
	} {
		s := newStage(t, "staging", true)
		s.Tags["polis-staging-green"] = c.green
		s.Pools[s.Gateways[0]] = c.pool
		for _, a := range s.Apps {
			a.Filled, a.Running = true, a.Role == "api" || slices.Contains(c.run, a.Role+"-"+a.Colour)
		}
		out, err := s.run("scripts/deploy staging --broken-off")
		want := []share{{strings.TrimPrefix(strings.Fields(c.serves)[0], "work-"), 100}}
		if got := s.Pools[s.Gateways[0]]; err != nil || s.serves() != c.serves || !slices.Equal(got, want) {
			t.Errorf("%s: %v %s: %s run, requests go to %v", name, err, out, s.serves(), got)
		}
		if strings.HasPrefix(name, "nothing") != (c.green == "served") || (c.green == "served" || strings.HasPrefix(name, "given up")) && len(s.Did) > 0 {
			t.Errorf("%s: %q", name, s.Did)
		}
	}
}

// TestWhereCallersAre: where no workers run, as half way in a change-over, or a region does not answer, the open door says in
// which one all goes on; what a region that callers are in does not say is not guessed.
func TestWhereCallersAre(t *testing.T) {
	long(t)
	const there = "work-blue neu, clock-blue neu"
	for name, c := range map[string]struct {
		away   bool // callers are in the second region
		lost   int
		run    []string
		line   string
		serves string
		says   string // where it fails
	}{
		"in the second":                         {true, -1, nil, "scripts/deploy prod --broken-off", there, ""},
		"in the second, for the first is lost":  {true, 0, nil, "scripts/deploy prod --broken-off", there, ""},
		"by name, for the first is lost":        {true, 0, nil, "scripts/switch prod --to blue", there, ""},
		"in the first":                          {false, -1, nil, "scripts/deploy prod --broken-off", blue, ""},
		"in the first, and the second is lost":  {false, 1, []string{blue}, "scripts/switch prod --rollback", blue, ""},
		"nobody knows, for the first is lost":   {false, 0, nil, "scripts/deploy prod --broken-off", "", "region 0 does not say whose workers run"},
		"nobody knows, for the second is lost":  {true, 1, []string{blue}, "scripts/switch prod --rollback", blue, "region 1 does not say whose workers run"},
		"nobody knows who serves in the second": {true, 1, nil, "scripts/switch prod --to blue", "", "region 1 does not say whose workers run"},
	} {
		s := newStage(t, "prod", true)
		s.Tags["polis-prod-green"], s.Lost, s.Blind = "new", c.lost, 2
		for r, g := range s.Gateways {
			s.Pools[g], s.Closed[g] = []share{{"green", 100}}, c.away && r == 0
		}
		for _, a := range s.Apps {
			a.Filled, a.Running = true, a.Role == "api" || strings.Contains(strings.Join(c.run, ", "), a.title())
		}
		out, err := s.run(c.line)
		at := map[bool]int{true: 1}[c.away]
		if got := s.Pools[s.Gateways[at]][0]; (err != nil) != (c.says != "") || !strings.Contains(out, c.says) || s.serves() != c.serves || (got == share{"blue", 100}) != (c.says == "") {
			t.Errorf("%s: %v %s: %s run, requests go to %v", name, err, out, s.serves(), got)
		}
	}
}

// TestWoken: what is started for its package does not serve, whatever ends the script meanwhile, and stands still again.
func TestWoken(t *testing.T) {
	long(t)
	for _, c := range []struct {
		serves string
		signal syscall.Signal
		at     int // which start
		broken string
	}{
		{blue, syscall.SIGKILL, 1, "standing"},
		{blue, syscall.SIGKILL, 2, "standing"},
		{blue, syscall.SIGKILL, 3, "standing"},
		{blue, syscall.SIGKILL, 4, "standing"},
		{green, syscall.SIGKILL, 1, "standing"},
		{green, syscall.SIGKILL, 3, "standing"},
		{blue, syscall.SIGTERM, 1, "standing"},
		{green, syscall.SIGTERM, 3, "standing"},
		{green, 0, 0, "stuck"},
	} {
		s := newStage(t, "prod", true)
		if c.serves == green {
			if out, err := s.run("scripts/deploy prod --app-only --built"); err != nil {
				t.Fatalf("%v %s", err, out)
			}
		}
		colour := strings.TrimPrefix(strings.Fields(c.serves)[0], "work-")
		s.Broken, s.Ending, s.Signal = c.broken, c.at, c.signal
		out, err := s.run("scripts/deploy prod --app-only --built")
		if still := s.serves() == c.serves; err == nil || still == (c.signal == syscall.SIGKILL) {
			t.Errorf("%v: %v %s: %s run", c, err, out, s.serves())
		}
		if out, err := s.run("scripts/switch prod"); err != nil || !strings.HasSuffix(out, colour+"\n") {
			t.Errorf("%v: %v: %s serves", c, err, out)
		}
		if out, err := s.run("scripts/deploy prod --broken-off"); err != nil || s.serves() != c.serves || s.Tags["polis-prod-"+colour] != "served" {
			t.Errorf("%v: %v %s: %s run, %v", c, err, out, s.serves(), s.Tags)
		}
		for _, g := range s.Gateways {
			if !slices.Equal(s.Pools[g], []share{{colour, 100}}) {
				t.Errorf("%v: requests of %s go to %v", c, g, s.Pools[g])
			}
		}
	}
}

// TestDoorNotSeen: in which region callers are is not guessed.
func TestDoorNotSeen(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	s.Blind = 3
	if out, err := s.run("scripts/switch prod --to green"); err == nil || !strings.Contains(out, "cannot see where callers are let in") || len(s.Did) > 0 {
		t.Errorf("%v %s: %q", err, out, s.Did)
	}
}

// TestFirstBrokenOff: of a first release that had begun to take over the rest is done, for there is nothing to go back to; else
// nobody serves, as before.
func TestFirstBrokenOff(t *testing.T) {
	long(t)
	for name, c := range map[string]struct {
		env    string
		pool   string
		run    []string
		serves string
	}{
		"between the workers":        {"prod", "green", nil, green},
		"while it has its package":   {"prod", "blue", []string{blue, "work-green neu"}, blue},
		"between the workers of dev": {"dev", "", nil, green},
		"the same, of dev":           {"dev", "", []string{blue, "work-green weu"}, blue},
	} {
		s := newStage(t, c.env, true)
		s.Tags = map[string]string{"polis-" + c.env + "-green": "new"}
		for _, a := range s.Apps {
			a.Filled, a.Running = a.Colour == "green", a.Role == "api" || strings.Contains(strings.Join(c.run, ", "), a.title())
		}
		for _, g := range s.Gateways {
			s.Pools[g] = []share{{c.pool, 100}}
		}
		if out, err := s.run("scripts/deploy " + c.env + " --broken-off"); err != nil || s.serves() != c.serves || (s.Tags["polis-"+c.env+"-green"] == "served") != (c.serves == green) {
			t.Errorf("%s: %v %s: %s run, %v", name, err, out, s.serves(), s.Tags)
		}
	}
}

// TestNotWritten: a version that could not be noted when it took over is noted by the next release, before that can be
// broken off; and what served is gone back to where a pool cannot be read.
func TestNotWritten(t *testing.T) {
	long(t)
	for unnoted, is := range map[int]string{2: "served", 3: "new"} {
		s := newStage(t, "prod", true)
		s.Write, s.Unnoted = 1, unnoted
		if out, err := s.run("scripts/deploy prod --app-only --built"); err != nil || s.Tags["polis-prod-green"] != is {
			t.Fatalf("%v %s: %v", err, out, s.Tags)
		}
		s.Broken, s.Ending, s.Signal = "standing", 1, syscall.SIGKILL
		if out, err := s.run("scripts/deploy prod --app-only --built"); err == nil {
			t.Fatal(out)
		}
		s.Pools[s.Gateways[0]], s.Pooled = []share{{"blue", 10}, {"green", 90}}, 3
		if out, err := s.run("scripts/deploy prod --broken-off"); err != nil || s.serves() != green || !slices.Equal(s.Pools[s.Gateways[0]], []share{{"green", 100}}) {
			t.Errorf("%v %s: %s run, requests go to %v", err, out, s.serves(), s.Pools)
		}
	}
}

// TestLeftAndAtWork: beside a version that was gone back from, and still works, nothing is released: that would be taken for
// what served, and what served would be written over.
func TestLeftAndAtWork(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	s.Tags["polis-prod-green"] = "left"
	s.Pools[s.Gateways[0]] = []share{{"green", 100}}
	for _, a := range s.Apps {
		a.Filled, a.Running = true, a.Role == "api" || a.Colour == "green" && a.Region == 0
	}
	if out, err := s.run("scripts/deploy prod --app-only --built"); err == nil || !strings.Contains(out, "green was gone back from, and its workers run") || len(s.Did) > 0 {
		t.Errorf("%v %s: %q", err, out, s.Did)
	}
	if out, err := s.run("scripts/deploy prod --broken-off"); err != nil || s.serves() != blue || s.Tags["polis-prod-green"] != "left" {
		t.Errorf("%v %s: %s run", err, out, s.serves())
	}
}

// TestFailbackTwice: one that is ended between its stops brings back what served, when it is begun again.
func TestFailbackTwice(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	if out, err := s.run("scripts/drill failover prod"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := s.run("scripts/deploy prod --app-only --built"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, a := range s.Apps { // as they may after a region has come back
		if a.Region == 0 && a.Colour == "blue" {
			a.Running = true
		}
	}
	s.Stops, s.Awake = 3, 3
	if out, err := s.run("scripts/drill failback prod"); err == nil || !strings.Contains(out, "workers in westeurope failed") {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := s.run("scripts/drill failback prod"); err != nil || s.serves() != green {
		t.Errorf("%v %s: %s run", err, out, s.serves())
	}
}

// TestHalfBefore: the regions do not change places, nor is a release begun, while half a change-over is made.
func TestHalfBefore(t *testing.T) {
	long(t)
	for line, says := range map[string]string{
		"scripts/drill failover prod":               "requests of region 0 go to green blue, and not to blue alone",
		"scripts/deploy prod --app-only --built":    "green has half taken over",
		"scripts/deploy prod --infra-only --yes":    "green has half taken over",
		"scripts/deploy prod --approve":             "",
		"scripts/drill failback prod POLIS_ACTIVE=": "the first region has all",
	} {
		s := newStage(t, "prod", true)
		colour := "blue"
		s.Pools[s.Gateways[0]] = []share{{"green", 10}, {"blue", 90}}
		if strings.Contains(line, "deploy") {
			colour, s.Tags["polis-prod-green"], s.Pools[s.Gateways[0]] = "green", "new", []share{{"green", 100}}
		}
		for _, a := range s.Apps {
			a.Filled, a.Running = true, a.Role == "api" || a.Colour == colour && a.Region == 0 && (colour == "blue" || a.Role == "work")
		}
		out, err := s.run(strings.TrimSuffix(line, " POLIS_ACTIVE="))
		if (err == nil) != (says == "") || !strings.Contains(out, says) || len(s.Did) > 0 {
			t.Errorf("%s: %v %s: %q", line, err, out, s.Did)
		}
	}
}

// TestStillAwake: a release ends where what was started for its package does not stop again; what does not stand still is told
// so once, and what does not answer is not started.
func TestStillAwake(t *testing.T) {
	long(t)
	for awake, fails := range map[int]bool{0: false, 2: false, 3: true} {
		s := newStage(t, "prod", true)
		s.Broken, s.Awake = "standing", awake
		out, err := s.run("scripts/deploy prod --app-only --built")
		if serves := map[bool]string{true: blue, false: green}[fails]; (err != nil) != fails || s.serves() != serves || s.Refused != 1 || fails && !strings.Contains(out, "does not stop again") {
			t.Errorf("%d: %v %s: %s run, %d packages were refused", awake, err, out, s.serves(), s.Refused)
		}
	}
	s := newStage(t, "prod", true)
	s.Broken = "dark"
	if out, err := s.run("scripts/deploy prod --app-only --built"); err == nil || !strings.Contains(out, "does not take its package: 000\n") || slices.Contains(s.Did, "start work-green weu") {
		t.Errorf("%v %s: %q", err, out, s.Did)
	}
	// One that goes on nevertheless, of a version that was then left, hides nobody.
	s = newStage(t, "prod", true)
	s.Tags["polis-prod-green"] = "left"
	for _, a := range s.Apps {
		a.Filled, a.Running = true, a.Running || a.title() == "work-green weu"
	}
	if out, err := s.run("scripts/switch prod"); err != nil || out != "blue\n" {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := s.run("scripts/deploy prod --broken-off"); err != nil || s.serves() != blue {
		t.Errorf("%v %s: %s run", err, out, s.serves())
	}
}

// TestRollbackThere: in the second region the pool that counts is its own.
func TestRollbackThere(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	if out, err := s.run("scripts/drill failover prod"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	s.Pools[s.Gateways[1]] = []share{{"green", 10}, {"blue", 90}}
	if out, err := s.run("scripts/switch prod --rollback"); err != nil || !slices.Equal(s.Pools[s.Gateways[1]], []share{{"blue", 100}}) {
		t.Errorf("%v %s: %v", err, out, s.Pools)
	}
}

// TestNotSeen: whether API Management has a way in is not guessed where Azure does not say: guessed, it would be opened.
func TestNotSeen(t *testing.T) {
	long(t)
	for _, unseen := range []string{"gateways", "ways"} {
		s := newStage(t, "prod", true)
		s.Broken = unseen
		if out, err := s.run("scripts/deploy prod --infra-only --yes"); err == nil || !strings.Contains(out, "cannot see") || len(s.Did) > 0 {
			t.Errorf("%s: %v %s: %q", unseen, err, out, s.Did)
		}
	}
}

// TestTidy: what a drill of copies that was killed left behind is deleted by the next, or before it; what is to stay
// stays, and so does the account that serves.
func TestTidy(t *testing.T) {
	long(t)
	for _, line := range []string{"scripts/drill tidy prod", "scripts/drill copies prod 2026-12-06", "scripts/drill copies prod 2026-12-06 --keep"} {
		s := newStage(t, "prod", true)
		s.Whole = []string{"2026-12-06/r9"}
		s.Accounts = []string{"cosno-polis-prod-abc-t11080600", "cosno-polis-prod-abc-r11080600"}
		s.Nested = 20 // the killed one's account is still being made
		out, err := s.run(line)
		for i := range s.Accounts {
			s.Accounts[i] = made.ReplaceAllString(s.Accounts[i], "-$1")
		}
		want := []string{"cosno-polis-prod-abc-r"}
		if strings.HasSuffix(line, "--keep") {
			want = append(want, "cosno-polis-prod-abc-r")
		}
		if err != nil || !slices.Equal(s.Accounts, want) || slices.Contains(s.Did, "account deleted: cosno-polis-prod-abc") {
			t.Errorf("%s: %v %s: there are %v, and not %v: %q", line, err, out, s.Accounts, want, s.Did)
		}
	}
}

// TestHalfAway: a failover that failed half way is undone by failback, whatever of it was done; what was not is left alone.
func TestHalfAway(t *testing.T) {
	long(t)
	for broken, says := range map[string]string{"blobs": "blobs: northeurope first failed", "workers": "workers in northeurope failed"} {
		s := newStage(t, "prod", true)
		s.Broken = broken
		out, err := s.run("scripts/drill failover prod")
		if err == nil || !strings.Contains(out, says) || s.Written != 1 || s.Sent != 1 || !s.Closed[s.Gateways[0]] {
			t.Fatalf("%s: %v %s", broken, err, out)
		}
		s.Broken = ""
		if s.serves() == "" {
			if out, err := s.run("scripts/drill failback prod"); err == nil || !strings.Contains(out, "POLIS_ACTIVE=blue scripts/drill failback prod") {
				t.Fatalf("%s: %v %s", broken, err, out)
			}
		}
		s.did("== failback")
		out, err = s.run("scripts/drill failback prod", "POLIS_ACTIVE=blue")
		if err != nil || s.serves() != blue || s.Written+s.Sent+s.Blobs != 0 || s.Closed[s.Gateways[0]] {
			t.Errorf("%s: %v %s: %s run, documents %d, messages %d, blobs %d, %v", broken, err, out, s.serves(), s.Written, s.Sent, s.Blobs, s.Closed)
		}
		golden(t, "half-away-"+broken, s.Did)
	}
}

// TestBegun: what the pipeline's drill takes away is brought back, also where it failed half way and no workers run; what
// was away before, for which the failover refuses, stays there.
func TestBegun(t *testing.T) {
	long(t)
	file, err := os.ReadFile(filepath.Join(root, ".azure-pipelines/drills.yml"))
	must(t, err)
	drill := regexp.MustCompile(`(?s)( failed=0 POLIS_BEGUN=.*?exit "\$failed"\n)`).FindString(string(file))
	for broken, away := range map[string]bool{"": false, "workers": false, "away": true} {
		s := newStage(t, "prod", true)
		if away {
			if out, err := s.run("scripts/drill failover prod --real", "POLIS_ACTIVE=blue"); err != nil {
				t.Fatalf("%v %s", err, out)
			}
		}
		s.Broken, s.Did = broken, nil
		put(t, filepath.Join(s.dir, "scripts/pipeline"), drill)
		out, err := s.run("scripts/pipeline")
		if away && (err == nil || len(s.Did) > 0 || !strings.Contains(out, "the first region does not serve")) {
			t.Errorf("%v %s: %q", err, out, s.Did)
		}
		if !away && ((err != nil) != (broken != "") || s.serves() != blue || s.Written+s.Sent+s.Blobs != 0 || !slices.Contains(s.Did, "evidence failback")) {
			t.Errorf("%s: %v %s: %s run: %q", broken, err, out, s.serves(), s.Did)
		}
	}
}

// TestStillMoving: messages that are still on their way to the second region are brought back too, and what is on its way is
// not taken for what is there, nor for nothing to be done.
func TestStillMoving(t *testing.T) {
	long(t)
	for _, written := range []int{0, 1} {
		s := newStage(t, "prod", true)
		s.Written, s.Moving = written, 6
		out, err := s.run("scripts/drill failback prod")
		if err != nil || s.serves() != blue || s.Written+s.Sent+s.Moving != 0 || !slices.Contains(s.Did, "messages have moved to westeurope") {
			t.Errorf("%v %s: documents %d, messages %d, still moving %d: %q", err, out, s.Written, s.Sent, s.Moving, s.Did)
		}
	}
}

// TestWayIn: the way into an account that a drill makes has a name of that account's, by which it is deleted.
func TestWayIn(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(root, "infra/bicep/bootstrap/drill.bicep"))
	must(t, err)
	if !strings.Contains(string(body), "managedPrivateEndpoints@2018-06-01' = {\n  parent: factory::network\n  name: 'drill-${last(split(name, '-'))}'\n") {
		t.Error("it has another name")
	}
}

// TestKeptCopy: a copy that is kept keeps its way in, whatever drills come after.
func TestKeptCopy(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	s.Whole, s.Accounts, s.Ways = []string{"2026-12-06/r9"}, []string{"cosno-polis-prod-abc-r11080600"}, []string{"drill-r11080600", "drill-t11010600"}
	if out, err := s.run("scripts/drill copies prod 2026-12-06"); err != nil || !slices.Equal(s.Ways, []string{"drill-r11080600"}) {
		t.Errorf("%v %s: %v", err, out, s.Ways)
	}
}

// TestShown: what is promised is to have been shown of late; what failed, or was done too long ago, shows nothing.
func TestShown(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	s.Broken = "way-back"
	for _, line := range []string{"scripts/drill failover prod", "scripts/drill failback prod", "scripts/capacity prod", "scripts/drill backup prod"} {
		if out, err := s.run(line); err != nil {
			t.Fatalf("%s: %v %s", line, err, out)
		}
	}
	if out, err := s.run("scripts/drill copies prod 2026-12-06"); err == nil {
		t.Fatal(out)
	}
	s.Kept = append(s.Kept, "copies/2026-01-08T06:00:00Z.json")
	if out, err := s.run("scripts/drill shown prod"); err == nil || strings.Count(out, "nothing went well") != 1 || !strings.Contains(out, "copies/2026-01-08T06:00:00Z.json is the last") {
		t.Errorf("%v %s: %q", err, out, s.Kept)
	}
	s.Broken = ""
	for _, line := range []string{"scripts/drill copies prod 2026-12-06", "scripts/drill shown prod"} {
		if out, err := s.run(line); err != nil {
			t.Errorf("%s: %v %s: %q", line, err, out, s.Kept)
		}
	}
	// What a drill left that was killed is no proof missing, but money.
	s.Accounts = []string{"cosno-polis-prod-abc-t11080600", "cosno-polis-prod-abc-r11080600"}
	if out, err := s.run("scripts/drill shown prod"); err == nil || strings.Contains(out, "nothing went well") || !strings.Contains(out, "t11080600 costs money") || strings.Contains(out, "r11080600") {
		t.Errorf("%v %s", err, out)
	}
	s.Accounts = nil
	// What is due in a month is due in that month, from its 16th on, and is not made good by the one before.
	date, err := exec.LookPath("date")
	must(t, err)
	put(t, filepath.Join(s.dir, "bin/date"), "#!/bin/sh\nshift; on=$TODAY\nif [ \"$1\" = -d ]; then on=\"$on $2\"; shift 2; fi\nexec "+date+" -u -d \"$on\" \"$@\"\n")
	s.Kept = []string{
		"copies/2026-11-08T06:00:00Z.json", "failover/2026-03-01T04:00:00Z.json", "failback/2026-03-01T05:00:00Z.json",
		"failover/2026-09-06T04:00:00Z.json", "failback/2026-09-06T05:00:00Z.json", "capacity/2026-Q4.json",
	}
	for today, missed := range map[string]int{"2026-11-16": 0, "2026-12-07": 0, "2026-12-16": 1, "2027-02-16": 2, "2027-03-15": 2, "2027-03-16": 4} {
		if out, err := s.run("scripts/drill shown prod", "TODAY="+today); (err != nil) != (missed > 0) || strings.Count(out, "nothing went well") != missed {
			t.Errorf("%s: %v %s", today, err, out)
		}
	}
	must(t, os.Remove(filepath.Join(s.dir, "bin/date")))
	s.Kept = []string{"capacity/2020-Q4.json"}
	if out, err := s.run("scripts/drill shown prod"); err == nil || strings.Count(out, "nothing went well") != 4 {
		t.Errorf("%v %s", err, out)
	}
}

// TestTwoReports: a quarter's second report, as after the first proof by hand, has a name of its own, and counts.
func TestTwoReports(t *testing.T) {
	long(t)
	s := newStage(t, "prod", true)
	now := time.Now().UTC()
	quarter := fmt.Sprintf("%d-Q%d", now.Year(), (now.Month()-1)/3+1)
	s.Kept = []string{"capacity/" + quarter + ".json", "capacity/" + quarter + "-00000000T000000Z.json"}
	if out, err := s.run("scripts/capacity prod"); err != nil || len(s.Kept) != 3 {
		t.Fatalf("%v %s: %v", err, out, s.Kept)
	}
	s.Kept = s.Kept[2:]
	if out, err := s.run("scripts/drill shown prod"); err == nil || strings.Contains(out, "of capacity nothing") {
		t.Errorf("%v %s: %v", err, out, s.Kept)
	}
}

// TestCanaryIsMet: as few requests as a probe had before would mostly meet the colour that served.
func TestCanaryIsMet(t *testing.T) {
	long(t)
	for _, share := range []string{"1", "10", "50"} {
		s := newStage(t, "staging", true)
		s.Broken = "edge"
		if out, err := s.run("scripts/deploy staging --app-only --built --canary " + share); err == nil || !strings.Contains(out, "times it was not ready") {
			t.Errorf("%s%%: %v %s", share, err, out)
		}
	}
}

// TestNoCLI: who has not got it is told so.
func TestNoCLI(t *testing.T) {
	long(t)
	for _, line := range []string{"scripts/deploy prod", "scripts/switch prod", "scripts/drill failover prod", "scripts/capacity prod"} {
		s := newStage(t, "prod", true)
		must(t, os.Remove(filepath.Join(s.dir, "bin/az")))
		if _, err := exec.LookPath("az"); err == nil {
			t.Skip("there is an Azure CLI here")
		}
		if out, err := s.run(line); err == nil || !strings.Contains(out, "needs the Azure CLI") {
			t.Errorf("%s: %v %s", line, err, out)
		}
	}
}

// TestAzureAnswers holds the rehearsal to what scripts once took otherwise: the CLI as it is, and not as one
// would wish.
func TestAzureAnswers(t *testing.T) {
	w := newStage(t, "prod", true).world
	show := "functionapp show --name func-polis-prod-weu-work-blue-abc --resource-group rg-polis-prod-weu --output tsv --query "
	for line, want := range map[string]string{
		show + "state":                      "", // raw: it is in properties
		show + "defaultHostName":            "",
		show + "properties.state":           "Running\n",
		show + "properties.defaultHostName": "func-polis-prod-weu-work-blue-abc.azurewebsites.net\n",
		"functionapp deployment source config-zip --resource-group rg-polis-prod-weu --name func-polis-prod-weu-work-green-abc --src a.zip": "Failed to fetch host key",
		"afd origin update --profile-name a --resource-group b --origin-group-name c --origin-name d --enabled-state Disabled":              "'afd origin update' is misspelled",
		"datafactory trigger start --resource-group a --factory-name b --name weekly":                                                       "'datafactory trigger start' is misspelled",
		"cosmosdb restore --account-name a --resource-group b --target-database-account-name c --restore-timestamp d --location e":          "disallowed by policy",
		"cosmosdb restore --account-name a": "are required",
		"functionapp stop --name func-polis-prod-weu-work-blue-abc --resource-group rg-polis-prod-weu --now":                   "unrecognized arguments: --now",
		"functionapp stop --name func-polis-prod-weu-work-blue-abc --resource-group rg-polis-prod-neu":                         "was not found",
		"storage account failover --name staudit1abc --resource-group rg-polis-prod --failover-type Planned --yes":             "cannot be failed over",
		"deployment sub create --name n --location westeurope --template-file f --parameters p --parameters active=blue":       "TriggerEnabledCannotUpdate",
		"rest --method post --url /subscriptions/11111111/resourceGroups/g/providers/Microsoft.Web/sites/x?api-version=2024-1": "(NotFound)",
	} {
		var out bytes.Buffer
		err := az(w, strings.Fields(line), &out)
		if got := out.String(); err == nil && got != want || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("az %s\nprints %q, %v, and not %q", line, got, err, want)
		}
	}
}
