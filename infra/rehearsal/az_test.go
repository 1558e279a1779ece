package rehearsal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jmespath/go-jmespath"
)

// cli is what the Azure CLI's help says: command to options, the names of one option in one string,
// those that must be there with a !.
type cli struct {
	Version  string              `json:"azure_cli"`
	Commands map[string][]string `json:"commands"`
}

// said is a failure as the CLI shows it.
type said struct {
	status int
	says   string
}

func (s said) Error() string { return s.says }

func refuse(format string, args ...any) error { return said{1, fmt.Sprintf(format, args...)} }

// command is one call of az: the command, and options by their first name.
type command struct {
	name    string
	options map[string][]string
}

func (c command) one(option string) string { return strings.Join(c.options[option], " ") }

func (c *cli) parse(args []string) (command, error) {
	n := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") })
	if n < 0 {
		n = len(args)
	}
	name := strings.Join(args[:n], " ")
	known, ok := c.Commands[name]
	if !ok {
		return command{}, said{2, fmt.Sprintf("'%s' is misspelled or not recognized by the system.", name)}
	}
	first := map[string]string{}
	for _, o := range known {
		names := strings.Fields(strings.TrimPrefix(o, "!"))
		for _, alias := range names {
			first[alias] = names[0]
		}
	}
	cmd, at := command{name, map[string][]string{}}, ""
	for _, a := range args[n:] {
		if strings.HasPrefix(a, "-") {
			if at, ok = first[a]; !ok {
				return command{}, said{2, "unrecognized arguments: " + a}
			}
			if _, twice := cmd.options[at]; !twice {
				cmd.options[at] = nil
			}
			continue
		}
		cmd.options[at] = append(cmd.options[at], a)
	}
	for _, o := range known {
		if names, must := strings.CutPrefix(o, "!"); must {
			if _, there := cmd.options[strings.Fields(names)[0]]; !there {
				return command{}, said{2, "the following arguments are required: " + names}
			}
		}
	}
	return cmd, nil
}

// az plays the CLI: it does in the world what is asked, and prints what the CLI would.
func az(w *world, args []string, out io.Writer) error {
	body, err := os.ReadFile(filepath.Join(w.Testdata, "az-2.91.0.json"))
	if err != nil {
		return err
	}
	var c cli
	if err := json.Unmarshal(body, &c); err != nil {
		return err
	}
	cmd, err := c.parse(args)
	if err != nil {
		return err
	}
	answer, err := w.do(cmd)
	if err != nil {
		return err
	}
	if answer == nil || cmd.one("--output") == "none" {
		return nil
	}
	// As the CLI's: through JSON, so that a query sees what a person would.
	if body, err = json.Marshal(answer); err != nil {
		return err
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return err
	}
	if q := cmd.one("--query"); q != "" {
		if value, err = jmespath.Search(q, value); err != nil {
			return said{2, "argument --query: invalid jmespath_type value: " + q}
		}
	}
	if cmd.one("--output") != "tsv" {
		return json.NewEncoder(out).Encode(value)
	}
	return tsv(out, value)
}

// tsv prints as the CLI does: rows by line, cells by tab, nothing for nothing.
func tsv(out io.Writer, value any) error {
	var rows []any
	switch v := value.(type) {
	case nil:
		return nil
	case []any:
		rows = v
	default:
		rows = []any{v}
	}
	for _, row := range rows {
		cells, ok := row.([]any)
		if !ok {
			cells = []any{row}
		}
		var line []string
		for _, cell := range cells {
			if n, ok := cell.(float64); ok && n == float64(int64(n)) {
				cell = int64(n)
			}
			line = append(line, fmt.Sprint(cell))
		}
		if _, err := fmt.Fprintln(out, strings.Join(line, "\t")); err != nil {
			return err
		}
	}
	return nil
}

var (
	parameter = regexp.MustCompile(`\b(active|creating|watching)=(\w+)`)
	made      = regexp.MustCompile(`-([rt])\d{8}$`) // of an account that a drill makes: when
)

// do is the commands that scripts use, and one that they must not.
func (w *world) do(c command) (any, error) {
	name, group := c.one("--name"), c.one("--resource-group")
	switch c.name {
	case "login":
		if c.one("--federated-token") != assertion {
			return nil, refuse("AADSTS700211: No matching federated identity record found")
		}
		w.Assertion = 0
		return []object{}, nil
	case "account set":
		return nil, nil
	case "account show":
		return object{"id": "11111111"}, nil
	case "account get-access-token":
		return object{"accessToken": token, "tokenType": "Bearer"}, nil
	case "deployment sub list":
		list := w.deployments()
		if w.Making != "" {
			list = append(list, object{"name": w.Making, "properties": object{"provisioningState": "Running", "timestamp": "2026-12-10", "outputs": nil}})
		}
		return list, nil
	case "deployment sub show":
		if name == w.Making && w.Making != "" {
			return w.built(), nil
		}
		for _, d := range w.deployments() {
			if d["name"] == name {
				return d, nil
			}
		}
		return nil, refuse("Deployment '%s' could not be found.", name)
	case "deployment sub what-if":
		w.did("what-if")
		return nil, nil
	case "deployment sub create":
		return w.create(c)
	case "deployment group create":
		if _, ok := c.options["--no-wait"]; !ok {
			return nil, errTooLong
		}
		target, _ := strings.CutPrefix(c.options["--parameters"][0], "name=")
		if w.Nested > 0 {
			return nil, refuse("(DeploymentActive) Unable to edit or replace deployment 'drill'")
		}
		w.Waiting = append(w.Waiting, target)
		w.Ways = append(w.Ways, "drill-"+target[strings.LastIndex(target, "-")+1:]) // as drill.bicep names it: TestWayIn
		w.Accounts = append(w.Accounts, target)
		w.did("account " + made.ReplaceAllString(target, "-${1}TIME"))
		return object{}, nil
	case "deployment group list":
		list := []object{{"name": "before", "properties": object{"provisioningState": "Succeeded"}}}
		if w.Nested > 0 {
			w.Nested--
			list = append(list, object{"name": "gateway-weu", "properties": object{"provisioningState": "Running"}})
		}
		return list, nil
	case "deployment group show":
		return object{"properties": object{"provisioningState": "Succeeded"}}, nil
	case "deployment sub cancel":
		if name != w.Making || w.Left == 0 {
			return nil, refuse("(DeploymentCannotBeCancelled) The deployment '%s' cannot be cancelled because it is not active.", name)
		}
		w.Making, w.Left, w.Nested = "", 0, 4 // what is within it goes on
		w.did("estate cancelled")
		if w.Broken == "ended" {
			return nil, w.signal(syscall.SIGTERM)
		}
		return nil, nil
	case "resource list":
		if c.one("--resource-type") == "Microsoft.DocumentDB/databaseAccounts" {
			accounts := []object{{"name": "cosno-polis-prod-abc"}}
			for _, a := range w.Accounts {
				accounts = append(accounts, object{"name": a})
			}
			return accounts, nil
		}
		if w.Broken == "gateways" {
			return nil, refuse("(ServiceUnavailable)")
		}
		there := []object{}
		for _, g := range w.Gateways {
			there = append(there, object{"id": "/service/" + g, "tags": object{"app": "polis", "environment": w.Env}})
		}
		return there, nil
	case "provider show":
		state := "NotRegistered"
		if w.Registered {
			state = "Registered"
		}
		return object{"namespace": name, "registrationState": state}, nil
	case "provider register":
		if _, ok := c.options["--wait"]; !ok {
			return nil, errors.New("nothing waits for the registration")
		}
		w.Registered = true
		w.did("register " + c.one("--namespace"))
		return nil, nil
	case "group list":
		list := []object{{"name": "other", "tags": nil}}
		if len(w.Apps) > 0 {
			list = append(list, object{"name": "rg-polis-" + w.Env, "tags": object{"app": "polis", "environment": w.Env}})
		}
		return list, nil
	case "group show":
		return object{"name": name, "tags": object{"app": "polis"}}, nil
	case "functionapp list-flexconsumption-locations":
		return []object{{"name": "westeurope"}, {"name": "northeurope"}}, nil
	case "functionapp show":
		return w.show(name, group)
	case "functionapp start", "functionapp stop":
		a, err := w.app(name, group)
		if err != nil {
			return nil, err
		}
		if w.Broken == "worker" && a.New && a.Role == "work" && c.name == "functionapp start" {
			return nil, refuse("(Conflict) Another operation is in progress.")
		}
		if w.Broken == "workers" && a.Region == 1 && c.name == "functionapp start" {
			return nil, refuse("(Conflict) Another operation is in progress.")
		}
		if c.name == "functionapp stop" && w.Stops > 0 {
			w.Stops--
		} else if c.name == "functionapp stop" && w.Awake > 0 {
			w.Awake--
			return nil, refuse("(TooManyRequests)")
		}
		a.Running = c.name == "functionapp start"
		w.did(strings.TrimPrefix(c.name, "functionapp ") + " " + a.title())
		if a.Running && w.Ending > 0 {
			if w.Ending--; w.Ending == 0 {
				return nil, w.signal(w.Signal)
			}
		}
		return nil, nil
	case "functionapp scale config always-ready set":
		a, err := w.app(name, group)
		if err != nil {
			return nil, err
		}
		if w.Broken == "ready" {
			return nil, refuse("(LinkedAuthorizationFailed) subnets/join/action")
		}
		w.did("ready " + c.one("--settings") + " " + a.title())
		return object{}, nil
	case "functionapp deployment source config-zip":
		// After the package it lists host keys, which the deployment identity may not.
		return nil, refuse("Failed to fetch host key to check for function app status")
	case "network private-endpoint-connection list":
		if id, ok := strings.CutPrefix(c.one("--id"), "/service/"); ok {
			if w.Broken == "ways" {
				return nil, refuse("(ServiceUnavailable)")
			}
			if !slices.Contains(w.Doors, id) {
				return []object{pending(id, "Front Door")}, nil
			}
			return []object{{"id": id, "properties": object{"privateLinkServiceConnectionState": object{"status": "Approved"}}}}, nil
		}
		if !slices.Contains(w.Waiting, name) {
			return []object{}, nil
		}
		who := "adf-polis-" + w.Env + "-abc"
		if c.one("--type") == "Microsoft.ApiManagement/service" {
			who = "Front Door of polis-" + w.Env + "-abc"
		}
		return []object{pending(name, who), pending("stranger", "please")}, nil
	case "network private-endpoint-connection approve":
		at := slices.Index(w.Waiting, c.one("--id"))
		if at < 0 {
			return nil, refuse("resource not found")
		}
		w.Waiting = slices.Delete(w.Waiting, at, at+1)
		w.did("approve " + made.ReplaceAllString(c.one("--id"), "-${1}TIME"))
		return object{}, nil
	case "cosmosdb failover-priority-change":
		w.Written = slices.IndexFunc(location, func(l string) bool { return strings.Contains(c.one("--failover-policies"), l+"=0") })
		w.did("documents " + c.one("--failover-policies"))
		return object{}, nil
	case "cosmosdb offline-region":
		if w.Writing > 0 {
			return nil, refuse("(PreconditionFailed) There is already an operation in progress")
		}
		w.Written = 1 - slices.Index(location, c.one("--region"))
		w.did("documents without " + c.one("--region"))
		return object{}, nil
	case "cosmosdb show":
		if w.Writing > 0 {
			if w.Writing--; w.Writing == 0 {
				w.Written = 1 - w.Written
			}
		}
		return object{"provisioningState": "Succeeded", "writeLocations": []object{{"locationName": []string{"West Europe", "North Europe"}[w.Written]}}, "identity": object{"userAssignedIdentities": object{"id-keys": object{}}}}, nil
	case "cosmosdb restore":
		if c.one("--disable-local-auth") != "true" || c.one("--public-network-access") != "DISABLED" {
			return nil, refuse("(RequestDisallowedByPolicy) Resource '%s' was disallowed by policy.", c.one("--target-database-account-name"))
		}
		w.did("restore documents to " + c.one("--restore-timestamp"))
		return object{}, nil
	case "cosmosdb delete":
		if _, ok := c.options["--no-wait"]; !ok {
			return nil, errTooLong
		}
		if w.Nested > 0 {
			return nil, refuse("(PreconditionFailed) There is already an operation in progress")
		}
		w.Accounts = slices.DeleteFunc(w.Accounts, func(a string) bool { return a == name })
		w.did("account deleted: " + made.ReplaceAllString(name, "-${1}TIME"))
		return nil, nil
	case "storage account failover":
		if strings.HasPrefix(name, "staudit") {
			return nil, refuse("(AccountImmutabilityPolicyEnabled) The account cannot be failed over.")
		}
		if _, ok := c.options["--no-wait"]; !ok {
			return nil, errTooLong
		}
		if w.Left > 0 || w.Broken == "refused" {
			return nil, refuse("(Conflict) A failover is in progress.")
		}
		kind := c.one("--failover-type")
		if kind == "" {
			kind = "Unplanned" // what the service does where it is not said
		}
		w.did("blobs " + kind)
		w.Left = 4
		return nil, nil
	case "storage blob restore":
		w.did("restore blobs to " + c.one("--time-to-restore"))
		return object{}, nil
	case "storage blob list":
		if err := w.storage(); err != nil {
			return nil, err
		}
		if c.one("--account-name") == "staudit1abc" && c.one("--container-name") == "evidence" {
			list := []object{}
			for _, k := range w.Kept {
				if strings.HasPrefix(k, c.one("--prefix")) {
					list = append(list, object{"name": k})
				}
			}
			return list, nil
		}
		if name := c.one("--account-name") + "/" + c.one("--container-name"); name != "stbackup1abc/whole" || c.one("--auth-mode") != "login" {
			return nil, refuse("AuthorizationPermissionMismatch: %s", name)
		}
		return w.whole(c.one("--prefix")), nil
	case "storage blob upload":
		if err := w.storage(); err != nil {
			return nil, err
		}
		if w.Lost == 0 {
			return nil, refuse("the storage account does not answer")
		}
		file := c.one("--file")
		if _, err := os.Stat(file); err != nil {
			return nil, err
		}
		if slices.Contains(w.Kept, c.one("--name")) && strings.HasPrefix(c.one("--name"), "capacity/") {
			return nil, refuse("(BlobAlreadyExists) and nobody may change it")
		}
		w.Kept = append(w.Kept, c.one("--name"))
		w.did("evidence " + strings.Split(c.one("--name"), "/")[0])
		return object{}, nil
	case "monitor metrics list":
		return w.metrics(c), nil
	case "rest":
		return w.rest(strings.ToLower(c.one("--method")), c.one("--uri"), c.one("--body"), c.one("--headers"))
	}
	return nil, errors.New("the rehearsal does not know what " + c.name + " does")
}

func pending(id, says string) object {
	return object{"id": id, "name": id, "properties": object{"privateLinkServiceConnectionState": object{"status": "Pending", "description": says}}}
}

func (w *world) create(c command) (any, error) {
	values := map[string]string{}
	for _, m := range parameter.FindAllStringSubmatch(c.one("--parameters"), -1) {
		values[m[1]] = m[2]
	}
	if w.Trigger == "Started" {
		return nil, refuse("(TriggerEnabledCannotUpdate) Cannot update enabled Trigger; the trigger needs to be disabled first.")
	}
	if w.Broken == "estate" {
		return nil, refuse("(Conflict) Another operation is in progress.")
	}
	if _, ok := c.options["--no-wait"]; !ok {
		return nil, errTooLong
	}
	if !w.Registered && w.Env != "dev" {
		return nil, refuse("(InternalServerError) an app cannot join a subnet of Microsoft.App/environments")
	}
	words := "estate " + values["active"]
	if values["creating"] == "true" {
		words += ", API Management open"
	}
	if values["watching"] == "false" {
		words += ", without rules"
	}
	w.did(words)
	w.Making, w.Left, w.Closing = c.one("--name"), 2, values["creating"] != "true"
	w.Failing = ""
	switch {
	case w.Nested > 0:
		w.Failing = "DeploymentActive"
	case w.Tries > 0:
		w.Failing = "KeyVaultAuthenticationFailure"
	case (w.Broken == "rule" || w.Broken == "busy") && values["creating"] != "true" && values["watching"] == "true":
		w.Failing = "BadRequest: Failed to resolve table"
	case w.Broken == "busy" && values["active"] == "green":
		w.Failing, w.Broken = "Conflict", "rule"
	}
	w.Tries--
	switch w.Broken {
	case "ended":
		return nil, w.signal(syscall.SIGINT)
	case "killed":
		return nil, w.signal(syscall.SIGKILL)
	}
	w.build(values["active"])
	return nil, nil
}

// signal reaches the script that asks, once the world is as it left it.
func (w *world) signal(s syscall.Signal) error {
	if err := w.save(); err != nil {
		return err
	}
	script, err := os.FindProcess(os.Getppid())
	if err != nil {
		return err
	}
	return script.Signal(s)
}

// built is the deployment that Azure is at: it runs for a while, and then it is there or failed.
func (w *world) built() object {
	is := object{"name": w.Making, "properties": object{"provisioningState": "Running"}}
	if w.Left--; w.Left >= 0 {
		return is
	}
	w.Left = 0
	if w.Failing != "" {
		is["properties"] = object{"provisioningState": "Failed", "error": object{"code": w.Failing}}
		return is
	}
	if w.Closing && len(w.Doors) < len(w.Gateways) {
		is["properties"] = object{"provisioningState": "Failed", "error": object{"code": "PublicNetworkAccessNotSupported"}}
		return is
	}
	w.Doors = slices.Clone(w.Gateways)
	if w.Broken == "built" {
		is["properties"] = object{"provisioningState": "Failed", "error": object{"code": "DeploymentFailed"}}
		return is
	}
	w.Deployed = append(w.Deployed, w.Making)
	is["properties"] = object{"provisioningState": "Succeeded"}
	w.Making = ""
	return is
}

// errTooLong is of what takes longer than a pipeline's sign-in is good for, where the CLI waits for it.
var errTooLong = said{1, "AADSTS700024: Client assertion is not within its valid time range."}

var (
	backendURL = regexp.MustCompile(`/service/(apim-[^/]+)/backends/api\?`)
	originURL  = regexp.MustCompile(`/profiles/afd-[^/]+/originGroups/gateways/origins/([^/?]+)\?`)
	triggerURL = regexp.MustCompile(`/factories/adf-[^/]+/triggers/weekly(?:/(start|stop))?\?`)
	runURL     = regexp.MustCompile(`/factories/adf-[^/]+/pipelines/(\w+)/createRun\?`)
	syncURL    = regexp.MustCompile(`/resourceGroups/([^/]+)/providers/Microsoft.Web/sites/([^/]+)/syncfunctiontriggers\?`)
	stateURL   = regexp.MustCompile(`/factories/adf-[^/]+/pipelineruns/r(\d)\?`)
	accountURL = regexp.MustCompile(`/resourceGroups/rg-polis-prod/providers/Microsoft.Storage/storageAccounts/stdata1abc\?`)
	wayURL     = regexp.MustCompile(`/factories/adf-[^/]+/managedVirtualNetworks/default/managedPrivateEndpoints/([\w-]+)\?`)
	spaceURL   = regexp.MustCompile(`/namespaces/sb-[^/]+\?`)
	busURL     = regexp.MustCompile(`/namespaces/sb-[^/]+/failover\?`)
)

// rest is what is asked of Azure's management itself.
func (w *world) rest(method, url, body, headers string) (any, error) {
	if file, ok := strings.CutPrefix(url, "https://stbackup1abc.blob.core.windows.net/whole/"); ok {
		if err := w.storage(); err != nil {
			return nil, err
		}
		if !slices.Contains(w.Whole, strings.TrimSuffix(file, ".json")) || !strings.HasPrefix(headers, "x-ms-version=20") {
			return nil, refuse("(BlobNotFound) %s", file)
		}
		return object{"run": "r", "read": readDocuments, "written": readDocuments}, nil
	}
	if !strings.HasPrefix(url, "/subscriptions/11111111/") || !strings.Contains(url, "api-version=20") {
		return nil, refuse("Bad Request: %s", url)
	}
	var sent object
	if body != "" {
		if err := json.Unmarshal([]byte(body), &sent); err != nil {
			return nil, refuse("InvalidRequestContent: %s", body)
		}
	}
	properties, _ := sent["properties"].(map[string]any)
	switch {
	case method == "get" && strings.Contains(url, "/Microsoft.ApiManagement/skus?"):
		return object{"value": []object{{"name": "PremiumV2", "locations": []string{"westeurope"}}}}, nil
	case method == "patch" && backendURL.MatchString(url):
		gateway := backendURL.FindStringSubmatch(url)[1]
		if w.lost(gateway) || headers != "If-Match=*" {
			return nil, refuse("%s does not answer", gateway)
		}
		var shares []string
		w.Pools[gateway] = nil
		pool, _ := properties["pool"].(map[string]any)
		members, _ := pool["services"].([]any)
		for _, m := range members {
			m, _ := m.(map[string]any)
			id, _ := m["id"].(string)
			weight, _ := m["weight"].(float64)
			colour := id[strings.LastIndex(id, "/api-")+len("/api-"):]
			w.Pools[gateway] = append(w.Pools[gateway], share{colour, int(weight)})
			shares = append(shares, fmt.Sprintf("%s %v%%", colour, weight))
		}
		w.did("pool " + gateway + ": " + strings.Join(shares, ", "))
		return object{}, nil
	case method == "get" && backendURL.MatchString(url) && w.Pooled > 0:
		w.Pooled--
		return nil, refuse("(TooManyRequests)")
	case method == "get" && backendURL.MatchString(url):
		var members []object
		for _, s := range w.Pools[backendURL.FindStringSubmatch(url)[1]] {
			// Azure spells what it was given in its own way.
			members = append(members, object{"id": "/subscriptions/11111111/resourcegroups/RG/providers/Microsoft.ApiManagement/service/x/backends/api-" + s.Colour, "weight": s.Weight})
		}
		return object{"properties": object{"pool": object{"services": members}}}, nil
	case strings.HasPrefix(url, "/subscriptions/11111111/providers/Microsoft.Resources/tags/default?"):
		if method == "patch" {
			if w.Write--; w.Write < 0 {
				w.Unnoted--
			}
			if w.Write < 0 && w.Unnoted >= 0 {
				return nil, refuse("(TooManyRequests)")
			}
			if sent["operation"] != "Merge" {
				return nil, refuse("all other tags of the subscription would be gone")
			}
			tags, _ := properties["tags"].(map[string]any)
			for name, value := range tags {
				w.Tags[name] = fmt.Sprint(value)
				w.did(fmt.Sprintf("tag %s %v", name, value))
			}
		}
		if method == "get" {
			if w.Read--; w.Read < 0 {
				w.Unread--
			}
			if w.Read < 0 && w.Unread >= 0 {
				return nil, refuse("(ServiceUnavailable)")
			}
		}
		return object{"properties": object{"tags": w.Tags}}, nil
	case originURL.MatchString(url):
		gateway := originURL.FindStringSubmatch(url)[1]
		if w.Blind > 0 {
			w.Blind--
			return nil, refuse("(TooManyRequests)")
		}
		if method == "patch" {
			w.Closed[gateway] = properties["enabledState"] == "Disabled"
			w.did(fmt.Sprintf("origin %s %v", gateway, properties["enabledState"]))
		}
		return object{"properties": object{"provisioningState": "Succeeded", "enabledState": map[bool]string{true: "Disabled", false: "Enabled"}[w.Closed[gateway]]}}, nil
	case triggerURL.MatchString(url):
		if w.Trigger == "" {
			return nil, refuse("(TriggerNotFound)")
		}
		switch action := triggerURL.FindStringSubmatch(url)[1]; {
		case method == "post" && action == "start":
			w.Trigger = "Started"
			w.did("weekly copies start")
			if w.Making != "" && w.Left > 0 {
				w.did("the estate comes to a trigger that runs: TriggerEnabledCannotUpdate")
			}
		case method == "post" && action == "stop":
			w.Trigger = "Stopped"
			w.did("weekly copies stop")
		}
		return object{"properties": object{"runtimeState": w.Trigger}}, nil
	case method == "post" && runURL.MatchString(url):
		folder, _ := sent["folder"].(string)
		read, _ := sent["read"].(float64)
		return object{"runId": w.copy(runURL.FindStringSubmatch(url)[1], folder, int(read))}, nil
	case method == "get" && stateURL.MatchString(url):
		n, _ := strconv.Atoi(stateURL.FindStringSubmatch(url)[1])
		state, message, _ := strings.Cut(w.Runs[9-n], ": ")
		return object{"status": state, "message": message}, nil
	case method == "get" && accountURL.MatchString(url):
		// It has not begun, it is under way, it is done: what is not under way says nothing of it. Of a lost region
		// nothing is said as long as the account is there.
		silent := w.silent(w.Blobs) && w.Broken != "known"
		w.Looked++
		account := object{"primaryLocation": location[w.Blobs], "failoverInProgress": nil}
		if w.Left > 0 {
			if w.Broken != "hanging" {
				w.Left--
			}
			// What hangs has taken its time to begin.
			if w.Left != 3 && w.Left > 0 || w.Broken == "hanging" && w.Looked > 100 {
				account["failoverInProgress"] = true
			}
			if w.Left == 0 && w.Broken != "blobs" {
				w.Blobs = 1 - w.Blobs
				account["primaryLocation"] = location[w.Blobs]
			}
		}
		if silent {
			return nil, refuse("(ServiceUnavailable)")
		}
		return object{"properties": account}, nil
	case method == "get" && strings.Contains(url, "/managedPrivateEndpoints?"):
		ways := []object{{"name": "cosmos"}}
		for _, way := range w.Ways {
			ways = append(ways, object{"name": way})
		}
		return object{"value": ways}, nil
	case method == "delete" && wayURL.MatchString(url):
		at := slices.Index(w.Ways, wayURL.FindStringSubmatch(url)[1])
		if at < 0 || w.Broken == "way-in" {
			return nil, refuse("(ManagedPrivateEndpointNotFound)")
		}
		w.Ways = slices.Delete(w.Ways, at, at+1)
		w.did("way in deleted")
		return nil, nil
	case method == "post" && syncURL.MatchString(url):
		m := syncURL.FindStringSubmatch(url)
		a, err := w.app(m[2], m[1])
		if err != nil {
			return nil, err
		}
		if !a.Running || w.Broken == "sync" && a.New {
			return nil, refuse("Bad Request: the host is not running")
		}
		a.Synced = true
		w.did("triggers " + a.title())
		return nil, nil
	case method == "get" && spaceURL.MatchString(url):
		state, silent := map[bool]string{true: "Failed", false: "Succeeded"}[w.Broken == "failed" && w.Sent == 0], w.silent(w.Sent)
		if w.Moving > 0 {
			if w.Moving--; w.Moving == 0 {
				w.Sent = 1 - w.Sent
				w.did("messages have moved to " + location[w.Sent])
			} else {
				state = "Updating"
			}
		}
		if silent {
			return nil, refuse("(ServiceUnavailable)")
		}
		return object{"properties": object{"provisioningState": state, "geoDataReplication": object{"locations": []object{
			{"locationName": location[1-w.Sent], "roleType": "Secondary"}, {"locationName": location[w.Sent], "roleType": "Primary"},
		}}}}, nil
	case method == "post" && busURL.MatchString(url):
		// One that is forced may follow one that waits.
		if w.Moving > 0 && properties["force"] != true || w.Sent == slices.Index(location, fmt.Sprint(properties["primaryLocation"])) || w.Broken == "refused" {
			return nil, refuse("(Conflict) Another conflicting operation is in progress.")
		}
		w.Moving = 3
		w.did(fmt.Sprintf("messages %v, force %v", properties["primaryLocation"], properties["force"]))
		return object{}, nil
	}
	return nil, refuse("(NotFound) %s %s", method, url)
}
