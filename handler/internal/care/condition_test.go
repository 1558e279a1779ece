package care

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"polis/handler/internal/fault"
)

func TestConditions(t *testing.T) {
	f := nothing()
	set(t, f, "claims_12m=3 policies=2 segment=1 objects=1 announced_rise=0.15")
	for text, want := range map[string]truth{
		"claims_12m >= 3":          yes,
		"claims_12m>=3":            yes,
		"claims_12m > 3":           no,
		"claims_12m <= 3":          yes,
		"claims_12m < 3":           no,
		"claims_12m = 3":           yes,
		"claims_12m != 3":          no,
		"segment = business":       yes,
		"segment != business":      no,
		"objects":                  yes,
		"not objects":              no,
		"not not objects":          yes,
		"announced_rise >= 15%":    yes,
		"announced_rise >= 15.1%":  no,
		"age < 30":                 maybe,
		"not age < 30":             maybe,
		"age is unknown":           yes,
		"age is known":             no,
		"age < 30 or objects":      yes,
		"age < 30 and objects":     maybe,
		"age < 30 and not objects": no,
		"claims_12m = 1 and policies = 2 or objects":   yes, // "and" goes before "or"
		"claims_12m = 1 and (policies = 2 or objects)": no,
		"not (claims_12m = 1 or policies = 1)":         yes,
		"announced_extra >= -5":                        yes,
	} {
		c, err := parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := c.of(f); got != want {
			t.Errorf("%s is %d, want %d", text, got, want)
		}
	}
}

func TestConditionsThatAreWrong(t *testing.T) {
	for text, says := range map[string]string{
		"":                          "says nothing",
		"  ":                        "says nothing",
		"colour = red":              `word 1, "colour", is no fact`,
		"claims_13m >= 3":           `word 1, "claims_13m", is no fact; claims_12m is`,
		"claims_12m":                "ends where a comparison of claims_12m is expected",
		"claims_12m and objects":    `word 2, "and", where a comparison`,
		"claims_12m >=":             "ends where a number is expected",
		"claims_12m >= many":        `word 3, "many", where a number is expected`,
		"claims_12m >= 1e3":         `word 3, "1e3", where a number`,
		"claims_12m >= Inf":         `word 3, "Inf", where a number`,
		"claims_12m >= 3%":          `word 3, "3%", is a percentage`,
		"announced_rise >= 0.1":     `word 3, "0.1", where a percentage`,
		"claims_12m => 3":           `word 2, "=>", where a comparison`,
		"segment = privat":          `word 3, "privat", where one of private, business`,
		"segment > private":         `word 3, "private", is a name`,
		"objects = 1":               `word 2, "=", compares objects`,
		"age is old":                `word 3, "old", where "known"`,
		"objects objects":           `word 2, "objects", where "and"`,
		"(objects":                  "ends where a closing bracket",
		"objects)":                  `word 2, ")", where "and"`,
		"and":                       `word 1, "and", where a fact`,
		strings.Repeat("not ", 20):  "too many brackets",
		strings.Repeat("(", 300):    "more than 200 words",
		"claims_24m_health >= 1":    "is no fact", // tells of somebody's health
		"claims_24m_disability > 0": "is no fact",
	} {
		if _, err := parse(text); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

// FuzzCondition: whatever is written is refused or has a truth, and spaces change nothing.
func FuzzCondition(f *testing.F) {
	for i := range 20 {
		f.Add(strings.Repeat("(not ", i%8) + "age >= 3 and objects or segment = private")
	}
	rules, err := readRules("rules.csv", rulesFile)
	if err != nil {
		f.Fatal(err)
	}
	for i := range rules {
		f.Add(rules[i].When)
	}
	some := nothing()
	for i := range some {
		if i%2 == 0 {
			some[i] = 1
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%v is no fault of the writer's", err)
			}
			return
		}
		if got := c.of(some); got < no || got > yes {
			t.Errorf("the truth is %d", got)
		}
		again, err := parse(strings.Join(words(text), "  "))
		if err != nil || !slices.Equal(again.ops, c.ops) {
			t.Errorf("with other spaces: %v", err)
		}
	})
}

// FuzzRules: whatever a file of rules holds is refused or is rules.
func FuzzRules(f *testing.F) {
	lines := bytes.SplitAfterN(rulesFile, []byte("\n"), 6)
	f.Add(bytes.Join(lines[:5], nil))
	f.Add([]byte(strings.Join(columns, ",") + "\na,g,objects,1,,,s,nl,en\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rules, err := readRules("fuzz", text)
		for i := range rules {
			if r := rules[i]; err == nil && (r.condition == nil || r.Code == "" || r.Points < 0 || r.Points > 100) {
				t.Errorf("%+v", r)
			}
		}
	})
}
