package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"polis/infra/estate"
)

// Days of a weekly copy: ten years that nobody can change it for, and how far back it looks for
// what is new. "Whole" looks back a century.
const (
	keptDays = 3653
	newDays  = 8
)

// copies holds the weekly copies to what ten years ask of them. What is written cannot be
// changed, so a run that is tried again would meet its own remains: each writes into a folder of
// its own, none of its copying is tried twice, and it says that it is whole only when all is. Azure
// fails over no account that an object replication is of, and a vault's copies of blobs are one.
func copies(e *Estate, needs *estate.Estate) []Finding {
	var out []Finding
	for _, kind := range []string{"Microsoft.DataProtection/backupVaults/backupInstances", "Microsoft.Storage/storageAccounts/objectReplicationPolicies"} {
		for _, r := range e.Of(kind) {
			out = append(out, Finding{Resource: r.ID, Says: "keeps an account from failing over"})
		}
	}
	if !e.Promise.Backups {
		return out
	}
	var pipeline Resource
	for _, p := range e.Of("Microsoft.DataFactory/factories/pipelines") {
		switch last(p.Name) {
		case "backup":
			pipeline = p
		case "restore":
			if !compares(p, "copy", "pipeline().parameters.read") {
				out = append(out, Finding{Resource: p.ID, Says: "reads a copy back and does not mind how much of it"})
			}
		}
	}
	if pipeline.ID == "" {
		return append(out, Finding{Resource: "the estate", Says: "copies nothing" + e.promised("backups")})
	}
	if !compares(pipeline, "documents", "activity('documents').output.rowsRead") {
		out = append(out, Finding{Resource: pipeline.ID, Says: "calls a copy whole and does not mind how much of it was written"})
	}
	out = append(out, unchangeable(e)...)
	var all []any
	for _, a := range pipeline.List("properties.activities") {
		activity := Resource{raw: a.(map[string]any)}
		all = append(all, inside(activity)...)
		if activity.Is("type", "ForEach") {
			out = append(out, same(pipeline.ID, folders(activity), copied(needs))...)
		}
	}
	for _, a := range all {
		activity := Resource{raw: a.(map[string]any)}
		if !activity.Is("type", "Copy") {
			continue
		}
		if !activity.Is("policy.retry", 0) {
			out = append(out, Finding{Resource: pipeline.ID, Says: activity.Text("name") + " is tried twice where it cannot overwrite"})
		}
		if to := activity.Text("outputs.0.parameters.folder.value"); !strings.Contains(to, "pipeline().RunId") {
			out = append(out, Finding{Resource: pipeline.ID, Says: activity.Text("name") + " writes where another run may have"})
		}
	}
	return append(out, wholeAtLast(pipeline)...)
}

// wholeAtLast holds the last activity of a run to wait for all others.
func wholeAtLast(pipeline Resource) []Finding {
	list := pipeline.List("properties.activities")
	var others []string
	for i, a := range list {
		activity := Resource{raw: a.(map[string]any)}
		if !activity.Is("type", "WebActivity") {
			others = append(others, activity.Text("name"))
			continue
		}
		var waits []string
		for k := range activity.List("dependsOn") {
			at := fmt.Sprintf("dependsOn.%d.", k)
			if activity.Is(at+"dependencyConditions.0", "Succeeded") {
				waits = append(waits, activity.Text(at+"activity"))
			}
		}
		for k, o := range list {
			if name := text(o.(map[string]any)["name"]); k != i && !slices.Contains(waits, name) {
				return []Finding{{Resource: pipeline.ID, Says: "says that it is whole before " + name + " is"}}
			}
		}
		return nil
	}
	return []Finding{{Resource: pipeline.ID, Says: fmt.Sprintf("never says that %v are whole", others)}}
}

// compares is whether a pipeline fails where an activity has written other than so many documents.
func compares(pipeline Resource, name, many string) bool {
	for _, a := range pipeline.List("properties.activities") {
		activity := Resource{raw: a.(map[string]any)}
		if activity.Is("type", "IfCondition") && activity.Is("dependsOn.0.activity", name) &&
			activity.Is("typeProperties.expression.value", fmt.Sprintf("@equals(activity('%s').output.rowsCopied, %s)", name, many)) &&
			activity.Is("typeProperties.ifFalseActivities.0.type", "Fail") {
			return true
		}
	}
	return false
}

// unchangeable holds each container of the copies to be so, for as long as they are kept. What somebody has locked for
// good a template leaves alone: Azure refuses to unlock an account, and takes no policy of a container a second time.
func unchangeable(e *Estate) []Finding {
	var out []Finding
	locked := e.Promise.Immutability == "Locked"
	where := map[string]string{}
	for _, a := range e.Of("Microsoft.Storage/storageAccounts") {
		where[a.Name[:min(6, len(a.Name))]] = a.Location
	}
	if where["stback"] == where["stdata"] {
		out = append(out, Finding{Resource: "the copies", Says: "lie in the region that they are of"})
	}
	for _, a := range e.Of("Microsoft.Storage/storageAccounts") {
		state := map[bool]string{true: "Locked", false: "Unlocked"}[locked]
		if is := a.Text("properties.immutableStorageWithVersioning.immutabilityPolicy.state"); is != "" && is != state {
			out = append(out, Finding{Resource: a.ID, Says: "is to become " + is + ", which Azure refuses" + e.promised("immutability")})
		}
	}
	if policies := e.Of("Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies"); locked {
		for _, p := range policies {
			out = append(out, Finding{Resource: p.ID, Says: "is locked, and Azure refuses it" + e.promised("immutability")})
		}
		return out
	}
	for _, c := range e.Of("Microsoft.Storage/storageAccounts/blobServices/containers") {
		if !strings.HasPrefix(c.Name, "stbackup") {
			continue
		}
		p, ok := e.At(c.ID + "/immutabilityPolicies/default")
		if days, _ := p.Get("properties.immutabilityPeriodSinceCreationInDays").(float64); !ok || days < keptDays {
			out = append(out, Finding{Resource: c.ID, Says: "can be changed before ten years are over" + e.promised("immutability")})
		}
	}
	return out
}

// inside are an activity and those that it holds.
func inside(activity Resource) []any {
	out := []any{activity.raw}
	for _, path := range []string{"typeProperties.activities", "typeProperties.ifTrueActivities"} {
		for _, a := range activity.List(path) {
			out = append(out, inside(Resource{raw: a.(map[string]any)})...)
		}
	}
	return out
}

// folders are what a loop goes over, "models 36525".
func folders(loop Resource) []string {
	list := strings.TrimSuffix(strings.TrimPrefix(loop.Text("typeProperties.items.value"), "@json('"), "')")
	var items []struct {
		Folder string
		Days   int
	}
	if err := json.Unmarshal([]byte(list), &items); err != nil {
		return []string{"no list: " + err.Error()}
	}
	var out []string
	for _, i := range items {
		how := "new"
		if i.Days != newDays {
			how = "whole"
		}
		if i.Days < newDays {
			how = fmt.Sprintf("of %d days", i.Days)
		}
		out = append(out, i.Folder+"/ "+how)
	}
	return out
}

// copied are the prefixes that the estate wants copied, and how.
func copied(needs *estate.Estate) []string {
	var out []string
	for _, b := range needs.Blobs {
		for _, p := range b.Prefixes {
			if p.Copied != "" {
				out = append(out, p.Name+" "+p.Copied)
			}
		}
	}
	return out
}
