package scoring

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"polis/handler/internal/care"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/wording"
)

// TestEveryCodeHasSentences walks every code that an engine can put in a score: from the
// rules' files, the settings' defaults and the constants that the engines declare. Whoever
// adds one is told here which line is missing in sentences.csv.
func TestEveryCodeHasSentences(t *testing.T) {
	s := DefaultSettings()
	names := wording.Default()
	codes := map[string][]string{
		"status":     slices.DeleteFunc(constants(t, "score", "Status"), func(c string) bool { return c == "scored" }),
		"band":       constants(t, "score", "Band"),
		"definition": constants(t, "churn", "Definition"),
		"view":       constants(t, "clv", "View"),
		"what_if":    append(untyped(t, "churn/whatif.go"), "answer"),
		"need":       {nbp.Gap.String(), nbp.Essential.String(), nbp.Useful.String()},
		"summary":    {"risk", "churn", "churn.one_policy", "churn.one_branch", "churn.ending", "clv", "clv.negative", "nbp", "nbp.nothing"},
		"standing":   {"risk", "churn", "clv", "nbp"},
		"withheld":   {"a tenant's own"}, "trigger": {"a tenant's own"}, "action": {"none", "a tenant's own"}, "segment": {"a tenant's own", "without_churn"},
		"contact": {"none", "allowed", "barred"}, "channel": {""}, "excluded": {""}, "ask": {""}, "why": {""}, "signal": {""}, "gap": {""},
		"pair": {""}, "another": {""}, "about": {"risk", "nbp"}, "missing": {""}, "field": {""}, "unknown": {""},
	}
	for _, engine := range []string{"risk", "churn", "nbp"} {
		for _, basis := range constants(t, engine, "Basis") {
			codes["basis"] = append(codes["basis"], engine+"."+basis)
		}
		codes["direction"] = append(codes["direction"], engine+".raises", engine+".lowers")
	}
	codes["direction"] = append(codes["direction"], "risk.load.raises", "risk.load.lowers", "nbp.product_group.raises", "nbp.product_group.lowers")
	for engine, parts := range map[string][]string{"churn": lapseParts, "clv": valueParts, "nbp": offerParts} {
		for _, part := range parts {
			codes["part"] = append(codes["part"], engine+"."+part)
		}
	}
	for _, g := range s.Clv.Segments {
		codes["segment"] = append(codes["segment"], g.Code)
	}
	for trigger, play := range s.Defend.Plays {
		codes["trigger"], codes["action"] = append(codes["trigger"], trigger), append(codes["action"], play.Action)
	}
	for group, list := range codes {
		if len(list) == 0 {
			t.Errorf("no codes of %s are found: the test shows nothing", group)
		}
		for _, code := range list {
			if !names.Has(group, code) {
				t.Errorf("sentences.csv has no sentence in both languages for %s %s", group, code)
			}
		}
	}
	for _, b := range portfolio.Branches {
		if !names.Has("value", "branch."+b.Name) {
			t.Errorf("the branch %s has no name", b.Name)
		}
	}
	// Loads among risk's reasons are told as features of the policy are.
	loads := untyped(t, "risk/branch.go")
	if len(loads) != 5 {
		t.Errorf("loads %v: the test knows of five", loads)
	}
	for _, code := range loads {
		if !names.HasFeature(true, code) {
			t.Errorf("sentences.csv has no name and sentence, in both languages, for the load %s", code)
		}
	}
	for _, c := range s.Nbp.Channels {
		if !names.Has("value", "channel."+c.Name) {
			t.Errorf("the channel %s has no name", c.Name)
		}
	}
}

// TestEverySentenceOfRules: what rules say may be read to a customer. Those of care that
// hold offers back are triggers of actions, which have sentences of their own.
func TestEverySentenceOfRules(t *testing.T) {
	s := DefaultSettings()
	rules, err := care.Compile(&s.Care)
	if err != nil {
		t.Fatal(err)
	}
	type sentence struct{ code, nl, en string }
	var all []sentence
	for _, code := range firsts(t, "care/rules.csv", ',') {
		r := rules.Rule(code)
		all = append(all, sentence{code, r.Dutch(2), r.English(2)})
		if r.Holds && !wording.Default().Specific("trigger", code) {
			t.Errorf("sentences.csv has no sentence of its own for trigger %s, which holds offers back", code)
		}
	}
	for _, r := range s.Nbp.Rules {
		all = append(all, sentence{r.Code, r.NL, r.EN})
	}
	if len(all) < 150 {
		t.Errorf("%d sentences: the test shows little", len(all))
	}
	for _, x := range all {
		for lang, text := range map[string]string{"nl": x.nl, "en": x.en} {
			if text == "" || !strings.ContainsAny(text[len(text)-1:], ".?") || strings.ContainsAny(text, "{}|_") {
				t.Errorf("%s in %s is no sentence: %q", x.code, lang, text)
			}
		}
		if strings.Contains(x.nl, "de klant") || strings.Contains(x.en, "the customer") || strings.HasPrefix(x.nl, "Vraag ") {
			t.Errorf("%s speaks of the customer and not to them: %q, %q", x.code, x.nl, x.en)
		}
	}
}

// constants are the values of a package's constants of a type of strings.
func constants(t *testing.T, pkg, of string) (out []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of package %s: %v", pkg, err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") {
			out = append(out, declared(t, f, of)...)
		}
	}
	return out
}

// untyped are the values of the string constants of a file that have no type of their own
// and are exported: codes.
func untyped(t *testing.T, file string) []string {
	t.Helper()
	return declared(t, filepath.Join("..", file), "")
}

func declared(t *testing.T, file, of string) (out []string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range tree.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			name, _ := v.Type.(*ast.Ident)
			if (name == nil) != (of == "") || name != nil && name.Name != of || !v.Names[0].IsExported() {
				continue
			}
			for _, x := range v.Values {
				if lit, ok := x.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					s, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// firsts are the first cells of a table's lines, without its heading.
func firsts(t *testing.T, file string, sep rune) (out []string) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(body)), "\n")[1:] {
		code, _, _ := strings.Cut(line, string(sep))
		out = append(out, code)
	}
	return out
}
