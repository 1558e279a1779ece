package check

import "slices"

// contacts holds what an estate says of people to be one thing: the budget counts what has the environment's tag, each
// action group writes to those who hear of the budget, and who is texted of what is bad is texted of the worst.
func contacts(e *Estate) []Finding {
	var out []Finding
	var mails []string
	for _, b := range e.Of("Microsoft.Consumption/budgets") {
		mails = append(mails, texts(b.All("properties.notifications.*.contactEmails.*"))...)
		for _, w := range e.Of("Microsoft.OperationalInsights/workspaces") {
			if !fits(b.Get("properties.filter.tags.values"), whole{w.Tags["azd-env-name"]}) {
				out = append(out, Finding{Resource: b.ID, Says: "counts another environment's money"})
			}
		}
	}
	groups := e.Of("Microsoft.Insights/actionGroups")
	phones := map[string][]string{}
	for _, g := range groups {
		written := texts(g.All("properties.emailReceivers.*.emailAddress"))
		for _, m := range mails {
			if !slices.Contains(written, m) {
				out = append(out, Finding{Resource: g.ID, Says: "does not write to everybody who hears of the budget"})
				break
			}
		}
		phones[g.Text("properties.groupShortName")] = texts(g.All("properties.smsReceivers.*.phoneNumber"))
	}
	for _, n := range phones["polis-sev1"] {
		if !slices.Contains(phones["polis-sev0"], n) {
			out = append(out, Finding{Resource: "the action group of severity 0", Says: "texts fewer than that of severity 1"})
			break
		}
	}
	return out
}

// texts are those of values that are text.
func texts(values []any) []string {
	var out []string
	for _, v := range values {
		if s := text(v); s != "" {
			out = append(out, s)
		}
	}
	return out
}
