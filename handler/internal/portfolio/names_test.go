package portfolio

import (
	"strings"
	"testing"

	"polis/handler/internal/fault"
)

func TestBranchNames(t *testing.T) {
	for branch, names := range map[string][]string{
		"health": {
			"Health", " HEALTH ", "zorg", "Zorgverzekering", "ziektekosten", "health_dental", "dental", "tandarts", "tandverzekering", "Aanvullende tandverzekering", "basiszorg", "gezondheidszorg", "private medical", "critical illness", "Krankenversicherung", "Zahnzusatz", "Pflegeversicherung",
			"PKV", "PMI", "fysiotherapie", "zorg natura", "santé", "complémentaire santé", "mutuelle", "hospitalisatie", "collectieve zorg",
		},
		"life":       {"LIFE", "leven", "Levensverzekering", "leven-individueel", "ORV", "overlijdensrisico", "lijfrente", "pensioen", "koopsom", "ANW-hiaat", "term life", "life insurance", "annuity", "Lebensversicherung", "Risikoleben", "assurance vie", "assurance-vie", "Leben"},
		"disability": {"aov", "AOV ondernemer", "arbeidsongeschiktheid", "WIA-aanvulling", "woonlasten", "income protection", "Berufsunfähigkeit", "invalidité"},
		"absence":    {"verzuim", "Ziekteverzuim", "verzuimverzekering", "sick leave", "Ziektewet", "arrêt de travail"},
		"funeral":    {"uitvaart", "Natura-uitvaart", "natura", "begrafenis", "funeral cover", "Sterbegeld", "obsèques"},
		"accident":   {"ongevallen", "Collectieve ongevallen", "personal accident", "Unfallversicherung", "SVI", "OIV auto", "ongeval"},
		"motor":      {"motor", "MOTOR ", "auto", "Autoverzekering", "personenauto", "motorrijtuigen", "Bestelauto", "motorfiets", "auto zakelijk", "Kfz-Versicherung", "Kfz-Haftpflicht", "Aansprakelijkheid motorrijtuigen", "car insurance", "assurance auto", "oldtimer"},
		"liability": {
			"aansprakelijkheid", "Aansprakelijkheidsverzekering particulieren", "AVP", "gezinsaansprakelijkheid", "particuliere aansprakelijkheid", "personal liability", "liability insurance", "Privathaftpflicht", "Haftpflichtversicherung", "responsabilité civile vie privée",
		},
		"business_liability":    {"bedrijfsaansprakelijkheid", "AVB", "Aansprakelijkheid bedrijven", "Aansprakelijkheidsverzekering voor bedrijven en beroepen", "productaansprakelijkheid", "public liability", "Betriebshaftpflicht"},
		"contents":              {"inboedel", "Inboedelverzekering", "Hausrat", "home contents", "contents insurance"},
		"building":              {"opstal", "woonhuis", "Woonhuisverzekering", "Wohngebäude", "buildings", "opstal en inboedel", "brand woonhuis"},
		"legal":                 {"rechtsbijstand", "Rechtsbijstand verkeer", "motor rechtsbijstand", "legal expenses", "Rechtsschutz", "protection juridique"},
		"travel":                {"reis", "doorlopende reis", "reisverzekering", "Reiseversicherung", "assurance voyage"},
		"pet":                   {"huisdier", "huisdier ziektekosten", "hondenverzekering", "pet health", "dierenziektekosten", "Tierkrankenversicherung"},
		"boat":                  {"boot", "pleziervaartuig", "Bootverzekering", "yacht", "motorboot", "bateau"},
		"valuables":             {"kostbaarheden", "lijfsieraden", "Wertsachen"},
		"fleet":                 {"wagenpark", "motor fleet", "Fuhrpark", "Flotte"},
		"transport":             {"goederentransport", "transportverzekering", "cargo", "eigen vervoer"},
		"cyber":                 {"cyberverzekering", "Cyber risk"},
		"business_property":     {"inventaris", "bedrijfsgebouwen", "Inventaris/goederen", "zakelijke brand", "Opstal bedrijf", "commercial property"},
		"business_interruption": {"bedrijfsschade", "inkomensderving", "Business interruption", "Betriebsunterbrechung"},
	} {
		for _, name := range names {
			if got, known := BranchNames(nil).Of(name); got != branch || !known {
				t.Errorf("%q is taken for %s, want %s", name, got, branch)
			}
		}
	}
	for _, name := range []string{
		"caravan", "office", "boiler", "tandem", "beperkt casco", "man-made", "zorgeloos pakket", "leverancier", "levensmiddelen", "werkmaterieel", "brom", "wildlife park", "glas", "tandwielkasten", "elektronica", "d&o", "care home building",
		"mondiaal", "life-boat", "bouw", "car", "accident damage",
		// They may be one of several branches.
		"brand", "Brandverzekering", "woning", "home", "casco", "annulering", "luchtvaartuigen", "pakketpolis",
	} {
		if got, known := BranchNames(nil).Of(name); got != strings.ToLower(name) || known {
			t.Errorf("%q is taken for %s, known %v", name, got, known)
		}
	}
	for _, name := range []string{"medische beroepsaansprakelijkheid", "malpractice", "evenementenaansprakelijkheid", "bestuurdersaansprakelijkheid", "pensionstal", "hotel-pension", "ziekenhuis opstal", "dental practice", "paard"} {
		if got, known := BranchNames(nil).Of(name); got != name || !known {
			t.Errorf("%q is taken for %s, known %v", name, got, known)
		}
	}
	own := BranchNames{"zorg": NonLife, "plan b": "life"}
	for name, want := range map[string]string{"Zorg": "zorg", "Plan B": "life", "zorg plus": "health", "life": "life"} {
		if got, known := own.Of(name); got != want || !known {
			t.Errorf("%q is taken for %s, want %s", name, got, want)
		}
	}
	a := Aggregate{Policies: []Policy{{Branch: "Zorg"}, {Branch: "plan b"}}}
	if a.NameBranches(own); a.Policies[0].Branch != "zorg" || a.Policies[1].Branch != "life" {
		t.Errorf("%+v", a.Policies)
	}
}

func TestReadBranchNames(t *testing.T) {
	n, err := ReadBranchNames("b.csv", strings.NewReader("\ufeffname;branch\nZorg Plus;health\nglashuis;non_life\n"))
	if err != nil || len(n) != 2 || n["zorg plus"] != "health" || n["glashuis"] != NonLife {
		t.Fatal(n, err)
	}
	for text, want := range map[string]struct {
		kind fault.Kind
		says string
	}{
		"":                              {fault.Malformed, "no heading"},
		"zorg,health\n":                 {fault.Malformed, "line 1: the heading"},
		"name,branch\nx\n":              {fault.Malformed, "b.csv"},
		"name,branch\nx,care\n":         {fault.Invalid, "line 2"},
		"name,branch\n,life\n":          {fault.Invalid, "line 2"},
		"name,branch\nhealth,motor\n":   {fault.Invalid, "stands for itself"},
		"name,branch\nx,life\nX,life\n": {fault.Invalid, "line 3: the name is there twice"},
	} {
		if _, err := ReadBranchNames("b.csv", strings.NewReader(text)); !fault.Is(err, want.kind) || !strings.Contains(err.Error(), want.says) || strings.Contains(err.Error(), "care") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzReadBranchNames(f *testing.F) {
	f.Add("name,branch\nx,life\n")
	f.Add("name;branch\n\"x\";non_life\n")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ReadBranchNames("b.csv", strings.NewReader(s)); err == nil && n.Check() != nil {
			t.Error("what was read breaks a rule")
		}
	})
}
