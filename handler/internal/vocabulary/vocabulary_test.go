package vocabulary

import (
	"strings"
	"testing"

	"polis/handler/internal/fault"
)

const table = `about,match,in,language,words,source
# what it is all about
health,word,a b,en,ill,law
health,part,a,nl,ziekte,law
health,start,a,nl,bloed,law
health,compound,a,nl,tand zorg,law
health,compound,a,de,körper,law
gender,whole,a,-,mv,law
gender,word,a,en,man,law
text,word,b,en,note,law
all,trade,a,nl,kosten verzekering,our choice
all,innocent,a,en,man-made zorg-vrij,our choice
`

func list(text, use string) *List { return Embedded("t.csv", text).For(use) }

func TestFind(t *testing.T) {
	l := list(table, "a")
	for text, about := range map[string]string{
		"": "", "ill": "health", "ILL": "health", "isIll": "health", "is_ill-2": "health", "bill": "", "man with ziekte": "health", "ziekte man": "health", "MV": "gender", "illness": "",
		"beroepsziekte": "health", "beroeps-ziekte": "health", "bloedgroep": "health", "melk_bloed": "health", "uitbloeden": "",
		"tand": "health", "tandkosten": "health", "tandzorg": "health", "tandzorgkosten": "health", "kosten tanden": "", "tandem": "", "tandenverzekering": "health",
		"kosten": "", "kostenverzekering": "", "zorgeloos": "", "zorgverzekering": "health", "zorg-vrij": "", "zorg vrij, zorg": "health", "zorgsverzekering": "health",
		"Körperkosten": "health", "KORPER": "health", "m/v": "gender", "m v x": "", "man": "gender", "man-made": "", "man_made_man": "gender", "note": "",
		strings.Repeat("kosten", 100): "",
	} {
		for range 2 { // looked for, and remembered
			got := ""
			if e := l.Find(text); e != nil {
				got = e.About
			}
			if got != about {
				t.Errorf("%q is about %q, want %q", text, got, about)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { l.Find("tandzorgkosten") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if list(table, "b").Find("note") == nil || list(table, "b").Find("man") != nil {
		t.Error("a word holds where it should not, or does not where it should")
	}
}

// TestWhatIsKeptIsBounded: whatever is asked, and however much.
func TestWhatIsKeptIsBounded(t *testing.T) {
	l := list(table, "a")
	for i := range maxSeen + 100 {
		l.Find(strings.Repeat("x", i%500) + strings.Repeat("y", i/500))
	}
	if len(l.seen) != maxSeen || l.Find("tandkosten na alles") == nil {
		t.Errorf("%d answers are kept", len(l.seen))
	}
}

func TestRead(t *testing.T) {
	head := strings.Join(columns, ",") + "\n"
	for text, says := range map[string]string{
		"about,words\n":                "t.csv",
		"a,b,c,d,e,f\n":                "t.csv:1",
		head + ",word,a,en,x,law\n":    "t.csv:2: about",
		head + "x,wrod,a,en,x,law\n":   "t.csv:2: match",
		head + "x,word,,en,x,law\n":    "t.csv:2: in",
		head + "x,word,a,en,,law\n":    "t.csv:2: in or words",
		head + "x,word,a,en,x,\n":      "t.csv:2: language or source",
		head + "x,word,a,en,x-y,l\n":   "t.csv:2: \"x-y\" is not one word",
		head + "x,part,a,en,12,l\n":    "is not one word",
		head + "x,word,a,en,\"x,law\n": "t.csv",
	} {
		if _, err := Read("t.csv", strings.NewReader(text)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestEmbedded: a table is read by whoever looks for a word first, and says then what is wrong with it.
func TestEmbedded(t *testing.T) {
	wrong := Embedded("t.csv", table+"all,nonsense,a,en,x,y\n")
	l := wrong.For("a")
	for range 2 {
		func() {
			defer func() {
				if err, _ := recover().(error); !fault.Is(err, fault.Invalid) {
					t.Errorf("a wrong table: %v", err)
				}
			}()
			l.Find("ill")
		}()
	}
	if entries := Embedded("t.csv", table).Entries(); len(entries) != strings.Count(table, "\n")-2 { // the heading and a remark
		t.Errorf("%d entries", len(entries))
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{"", "tandzorgkosten", "man-made", "é|x", "\xff\xfe", "İstanbul"} {
		f.Add(s)
	}
	l := list(table, "a")
	l.read()
	f.Fuzz(func(t *testing.T, s string) {
		if one, two := l.find(s), l.find(strings.ToUpper(strings.ToLower(s))); one != none && two == none && !strings.ContainsFunc(s, func(r rune) bool { return r > 127 || 'A' <= r && r <= 'Z' }) {
			t.Errorf("%q is found, and not in capitals", s)
		}
	})
}
