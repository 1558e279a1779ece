package rehearsal

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
)

type object = map[string]any

// token is what az gives and the deployment site wants.
const token = "eyJ.rehearsal"

// assertion is what GitHub gives a job to sign in with.
const assertion = "eyJ.job"

// world is a made subscription. It lives in a file, for each call of a CLI is a process of its own.
type world struct {
	file     string
	Testdata string

	Env        string
	Gateways   []string // of API Management, by region
	Doors      []string // those of them with a private way in
	Apps       []*app
	Deployed   []string // names of deployments that succeeded
	Active     string
	Trigger    string            // of the weekly copies: nothing, Started or Stopped
	Tags       map[string]string // of the subscription
	Pools      map[string][]share
	Closed     map[string]bool // origins of Front Door
	Waiting    []string        // what Front Door and Data Factory wait to be let in to
	Accounts   []string        // that drills made: -t, or that stay: -r
	Kept       []string        // evidence
	Runs       []string        // of Data Factory: the state of each
	Whole      []string        // copies that are, in the order in which they became it
	Registered bool            // of Microsoft.App, which a subnet of apps is delegated to
	From       int             // the region whose network the script runs in: from the second there is a way to its own apps alone
	Lost       int             // the region that does not answer; -1 is none
	// Broken is what is wrong with the version that is deployed: "" is nothing; start: it does not answer;
	// reach: it reaches no data; edge: it fails for callers only; callers: so do callers' own requests;
	// package: its package is refused; worker: its workers do not start; workers: none start in the second region; ready: none of its instances can be kept ready; sync: the platform learns nothing of its
	// triggers. standing: what stands still is given no package, or loses it. estate: Azure takes no deployment; built: the one that it took fails; rule: as long as it has Sentinel's rules; busy: likewise, and once when green serves; ended: the script is ended
	// meanwhile, by two signals, as pipelines do; killed: it is killed. copy: a run of Data Factory breaks off. blobs: their failover fails. way-in: it cannot be deleted.
	// metrics: they never come; few: only the edge's own do. way-back: a document of a copy does not come back.
	// hanging: their failover comes to no end; known: of blobs in a lost region it is known what becomes of them; failed: the namespace's last change failed.
	// dark: no deployment site of workers answers. stuck: a package is taken, and then not there. silent: of what was in the lost region nothing is ever said again; refused: none of it can be told to fail over.
	// unseen: Azure does not say where the API is that served before; tired: that one is not ready when asked by itself.
	Broken  string
	Tries   int      // of deployments from now on that fail half way
	Closing bool     // it closes API Management's public way in
	Failing string   // why it fails half way
	Read    int      // times that tags can still be read before they cannot
	Unread  int      // times that a tag cannot be read
	Nested  int      // questions until what a cancelled one began is done
	Making  string   // the deployment that Azure is at
	Blobs   int      // the region of blobs
	Written int      // of documents
	Sent    int      // of messages
	Moving  int      // questions until messages are sent from the other region
	Ways    []string // of Data Factory into accounts that drills made
	Left    int      // questions until what takes long is done
	Asked   int      // requests at the edge
	Silent  int      // questions that were not answered
	Looked  int      // questions after blobs
	Blind   int      // times that the door cannot be read
	Writing int      // questions until documents are written in the other region
	Write   int      // times that tags can still be written before they cannot
	Unnoted int      // times that a tag cannot be written
	Pooled  int      // times that a pool cannot be read
	Awake   int      // times that an app does not stop
	Stops   int      // stops before that
	Refused int      // packages that were
	Ending  int      // starts of apps until the script is ended, by Signal
	Signal  syscall.Signal
	Polls   int      // questions to deployment sites
	Did     []string // what changed, in its order
	// Federated is whether a job of GitHub signed in, Assertion how many minutes ago it last did: each change takes some.
	Federated bool
	Assertion int
}

// assertionMinutes is how long the CLI gets tokens for a new audience with GitHub's.
const assertionMinutes = 5

type share struct {
	Colour string
	Weight int
}

type app struct {
	Name, Group, Role, Colour string
	Region                    int
	Running, Synced, New      bool
	Filled                    bool // it has a package: without one the host has no function, and answers 404 to all
}

func (a *app) title() string { return fmt.Sprintf("%s-%s %s", a.Role, a.Colour, short[a.Region]) }

// readDocuments is how many a copy is made of.
const readDocuments = 1000

var (
	short    = []string{"weu", "neu"}
	location = []string{"westeurope", "northeurope"}
)

// build is what a template makes of it: workers of the active colour run, in the first region.
func (w *world) build(active string) {
	w.Active = active
	regions := 1
	if w.Env == "prod" {
		regions = 2
	}
	first := len(w.Apps) == 0
	for r := range regions {
		if w.Env != "dev" {
			g := fmt.Sprintf("apim-polis-%s-%s-abc", w.Env, short[r])
			if !slices.Contains(w.Gateways, g) {
				w.Gateways = append(w.Gateways, g)
				w.Waiting = append(w.Waiting, g)
			}
			w.Pools[g] = []share{{active, 100}}
			w.Closed[g] = false
		}
		if !first {
			continue
		}
		for _, colour := range []string{"blue", "green"} {
			for _, role := range []string{"api", "work", "clock"} {
				w.Apps = append(w.Apps, &app{
					Name:  fmt.Sprintf("func-polis-%s-%s-%s-%s-abc", w.Env, short[r], role, colour),
					Group: fmt.Sprintf("rg-polis-%s-%s", w.Env, short[r]), Role: role, Colour: colour, Region: r,
				})
			}
		}
	}
	for _, a := range w.Apps {
		a.Running = a.Role == "api" || a.Colour == active && a.Region == 0
	}
	if w.Env == "prod" && w.Trigger == "" {
		w.Trigger = "Stopped"
		w.Waiting = append(w.Waiting, "cosno-polis-prod-abc", "stdata1abc", "stbackup1abc")
	}
}

func (w *world) did(what string) {
	w.Did = append(w.Did, what)
	w.Assertion += 2
}

// storage is whether the CLI gets a token for storage, which nobody has asked for before.
func (w *world) storage() error {
	if w.Federated && w.Assertion > assertionMinutes {
		return refuse("AADSTS700024: Client assertion is not within its valid time range.")
	}
	return nil
}

// silent is whether what is in a region is not spoken of: as long as it is there, or ever.
func (w *world) silent(region int) bool {
	silent := w.Lost >= 0 && (region == w.Lost || w.Broken == "silent")
	if silent {
		w.Silent++
	}
	return silent
}

func (w *world) lost(gateway string) bool {
	return w.Lost >= 0 && strings.Contains(gateway, "-"+short[w.Lost]+"-")
}

func (w *world) app(name, group string) (*app, error) {
	for _, a := range w.Apps {
		if a.Name == name && a.Group == group {
			if a.Region == w.Lost {
				return nil, refuse("(ServiceUnavailable) %s", location[a.Region])
			}
			return a, nil
		}
	}
	return nil, refuse("The function app '%s' was not found in resource group '%s'.", name, group)
}

// show is as `az functionapp show` answers for a Flex Consumption app: raw, everything in properties.
func (w *world) show(name, group string) (any, error) {
	a, err := w.app(name, group)
	if err != nil {
		return nil, err
	}
	if w.Broken == "unseen" && a.Role == "api" && a.Filled && !a.New {
		return nil, refuse("(TooManyRequests)")
	}
	state := "Stopped"
	if a.Running {
		state = "Running"
	}
	return object{
		"id": "/sites/" + name, "name": name, "kind": "functionapp,linux", "type": "Microsoft.Web/sites",
		"properties": object{
			"state": state, "defaultHostName": name + ".azurewebsites.net",
			"hostNameSslStates": []object{
				{"name": name + ".azurewebsites.net", "hostType": "Standard"},
				{"name": name + ".scm.azurewebsites.net", "hostType": "Repository"},
			},
		},
	}, nil
}

func (w *world) deployments() []object {
	regions, apps := []object{}, []object{}
	for _, a := range w.Apps {
		apps = append(apps, object{"role": a.Role, "colour": a.Colour, "location": location[a.Region], "group": a.Group, "name": a.Name})
		if a.Role == "api" && a.Colour == "blue" {
			gateway := ""
			if a.Region < len(w.Gateways) {
				gateway = w.Gateways[a.Region]
			}
			regions = append(regions, object{"location": location[a.Region], "group": a.Group, "gateway": gateway})
		}
	}
	base := "polis-" + w.Env
	names := object{
		"group": "rg-" + base, "regions": regions, "apps": apps, "cosmos": "cosno-" + base + "-abc", "data": "stdata1abc", "audit": "staudit1abc",
		"bus": "sb-" + base + "-abc", "frontdoor": "afd-" + base + "-abc", "workspace": "log", "backupIdentity": "id-backup", "active": w.Active,
		"host": "edge.azurefd.net", "archive": "", "copies": "", "factory": "",
	}
	if w.Env == "prod" {
		names["archive"], names["copies"], names["factory"] = "rg-"+base+"-backup", "stbackup1abc", "adf-"+base+"-abc"
	}
	// The first is of somebody else, and the last failed: it has no outputs.
	list := []object{{"name": "other", "properties": object{"provisioningState": "Succeeded", "timestamp": "2026-12-09", "outputs": object{}}}}
	for i, d := range w.Deployed {
		list = append(list, object{"name": d, "properties": object{
			"provisioningState": "Succeeded", "timestamp": fmt.Sprintf("2026-12-01T%02d:00:00Z", i), "outputs": object{"names": object{"type": "Object", "value": names}},
		}})
	}
	return append(list, object{"name": base + "-failed", "properties": object{"provisioningState": "Failed", "timestamp": "2026-12-08", "outputs": nil}})
}

// copy is a run of one of Data Factory's pipelines. Its id says nothing of when it ran: a later one sorts first.
func (w *world) copy(pipeline, folder string, read int) string {
	id, state := fmt.Sprintf("r%d", 9-len(w.Runs)), "Succeeded"
	switch pipeline {
	case "backup":
		w.did("pipeline backup")
		if w.Broken == "copy" {
			state = "Failed"
			break
		}
		w.Whole = append(w.Whole, "2026-12-06/"+id)
	case "restore":
		w.did("pipeline restore of " + folder)
		if !slices.Contains(w.Whole, folder) {
			state = "Failed" // there is nothing, or not all
		}
		back := readDocuments
		if w.Broken == "way-back" {
			back--
		}
		if back != read {
			state = fmt.Sprintf("Failed: Operation on target are-they-all failed: documents read back: %d of %d", back, read)
		}
	}
	w.Runs = append(w.Runs, state)
	return id
}

// whole lists what says which copies are, as the CLI does: by name.
func (w *world) whole(prefix string) []object {
	list := []object{}
	for i, name := range w.Whole {
		if strings.HasPrefix(name, prefix) {
			list = append(list, object{"name": name + ".json", "properties": object{"lastModified": fmt.Sprintf("2026-12-06T%02d:00:00+00:00", i)}})
		}
	}
	slices.SortFunc(list, func(a, b object) int { return strings.Compare(a["name"].(string), b["name"].(string)) })
	return list
}

func (w *world) metrics(c command) any {
	total := 1000.0
	if w.Left > 0 || w.Broken == "metrics" {
		w.Left--
		return object{"value": []object{{"timeseries": []object{}}}} // they come late
	}
	if c.one("--metrics") == "Requests" {
		// The edge asks API Management itself far oftener than callers ask the apps: it answers, and nothing behind it.
		switch total = 0; c.one("--filter") {
		case "GatewayResponseCodeCategory eq '*'":
			total = 20000
		case "GatewayResponseCodeCategory eq '5xx'":
			if w.Broken == "callers" {
				total = 9
			}
		case "BackendResponseCodeCategory eq '2xx'":
			total = 1000
			if w.Broken == "few" {
				total = 0
			}
		}
	}
	return object{"value": []object{{"timeseries": []object{{"data": []object{{"total": nil}, {"total": total, "maximum": total}}}}}}}
}

// curl plays the programs at the other end: deployment sites, the apps, the edge before them.
func curl(w *world, args []string, in io.Reader, out io.Writer) error {
	var file, url, format string
	var headers []string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; a {
		case "-o", "-w", "-H", "-X", "--data-binary", "--max-time", "--connect-timeout":
			i++
			switch a {
			case "-o":
				file = args[i]
			case "-w":
				format = args[i]
			case "-H":
				headers = append(headers, args[i])
			case "--data-binary":
				if _, err := os.Stat(strings.TrimPrefix(args[i], "@")); err != nil {
					return err
				}
			}
		case "-sS", "-fsS", "--tlsv1.2":
		default:
			if strings.HasPrefix(a, "-") {
				return refuse("curl: option %s: is unknown", a)
			}
			url = a
		}
	}
	if slices.Contains(headers, "@-") {
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil && err != io.EOF {
			return err
		}
		headers = append(headers, line)
	}
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
	code, body := w.answer(host, "/"+path, headers)
	if code == 0 {
		if strings.Contains(host, ".scm.") && !slices.Contains(args, "--connect-timeout") {
			w.did("minutes are waited for " + host)
		}
		if _, err := fmt.Fprint(out, strings.ReplaceAll(format, "%{http_code}", "000")); err != nil {
			return err
		}
		return refuse("curl: (6) Could not resolve host: %s", host)
	}
	if file == "" {
		file = "/dev/stdout"
		if _, err := fmt.Fprint(out, body); err != nil {
			return err
		}
	}
	if file != "/dev/null" && file != "/dev/stdout" {
		if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(out, strings.ReplaceAll(format, "%{http_code}", fmt.Sprint(code)))
	return err
}

func (w *world) answer(host, path string, headers []string) (int, string) {
	if site, ok := strings.CutSuffix(host, ".scm.azurewebsites.net"); ok {
		return w.site(site, path, slices.Contains(headers, "Authorization: Bearer "+token))
	}
	switch host {
	case "edge.azurefd.net":
		return w.edge(path)
	case "token.rehearsal":
		if path != "/?job=1&audience=api://AzureADTokenExchange" || !slices.Contains(headers, "Authorization: Bearer "+token) {
			return 401, ""
		}
		return 200, `{"count":1,"value":"` + assertion + `"}`
	}
	site, _ := strings.CutSuffix(host, ".azurewebsites.net")
	for _, a := range w.Apps {
		if a.Name == site && a.Running && a.Region != w.Lost && a.Region >= w.From {
			return w.program(a, path, false)
		}
	}
	return 0, ""
}

// edge is Front Door: the first gateway that is open and there, and its pool by shares.
func (w *world) edge(path string) (int, string) {
	w.Asked++
	for r, g := range w.Gateways {
		if w.Closed[g] || w.lost(g) {
			continue
		}
		at := w.Asked * 37 % 100 // goes through all hundred
		for _, s := range w.Pools[g] {
			if at -= s.Weight; at >= 0 {
				continue
			}
			for _, a := range w.Apps {
				if a.Region == r && a.Role == "api" && a.Colour == s.Colour {
					return w.program(a, path, true)
				}
			}
		}
	}
	return 503, ""
}

// program is Polis as far as a probe sees it.
func (w *world) program(a *app, path string, caller bool) (int, string) {
	if !a.Filled {
		return 404, ""
	}
	if a.New && (w.Broken == "start" || w.Broken == "edge" && caller) {
		return 503, ""
	}
	switch path {
	case "/api/health":
		return 200, `{"status":"pass","serviceId":"polis"}`
	case "/api/ready":
		if a.New && w.Broken == "reach" || !a.New && w.Broken == "tired" && !caller {
			return 503, ""
		}
		return 200, `{"status":"pass","serviceId":"polis"}`
	case "/api/openapi.yaml":
		return 200, "openapi: 3.1.0\n"
	case "/api/v1/runs":
		return 401, ""
	}
	return 404, ""
}

// site is an app's deployment site: it takes a package, is at work, and is done.
func (w *world) site(name, path string, signed bool) (int, string) {
	if !signed {
		return 401, ""
	}
	for _, a := range w.Apps {
		if a.Name != name {
			continue
		}
		if a.Region == w.Lost || a.Region < w.From {
			return 0, ""
		}
		standing := w.Broken == "standing" && !a.Running
		switch {
		case a.Role == "work" && w.Broken == "dark":
			return 0, ""
		case standing && a.Role == "work":
			w.Refused++
			return 409, ""
		case strings.HasPrefix(path, "/api/publish?RemoteBuild=false"):
			a.New, a.Filled, a.Synced, w.Polls = true, true, a.Running, 0
			w.did("package " + a.title())
			return 202, `"id"`
		case path == "/api/deployments/latest":
			w.Polls++
			status := 4
			switch {
			case w.Polls < 3:
				return 202, `{"id":"x","status":1,"status_text":"","complete":false}`
			case w.Broken == "stuck" && a.Role == "work" && a.Running:
				status = 5
			case w.Broken == "package" || standing || w.Broken == "stuck" && !a.Running:
				status = 3
			case !a.Running:
				status = 6 // there, but nobody can tell of its triggers
			}
			return 200, fmt.Sprintf(`{"id":"x","status":%d,"status_text":"","complete":true}`, status)
		}
	}
	return 404, ""
}

func (w *world) load() error {
	body, err := os.ReadFile(w.file)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, w)
}

func (w *world) save() error {
	body, err := json.MarshalIndent(w, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(w.file, body, 0o600)
}
