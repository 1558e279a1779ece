package page_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "polis/handler/internal/page"
)

// TestFrame: a page has its title, its style and nothing from elsewhere, whatever the title is.
func TestFrame(t *testing.T) {
	const text = `{{template "head" .Title}}<header>{{template "tiles" .Tiles}}</header><main></main>{{template "foot"}}`
	var b bytes.Buffer
	err := Write(&b, "test", text, map[string]any{"Title": "<b>&", "Tiles": []Tile{{Name: "n", Value: "<i>", Bad: true}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<title>&lt;b&gt;&amp;</title>", "prefers-color-scheme: dark", `<div class="tile bad"><span>n</span><b>&lt;i&gt;</b>`, "</body></html>"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, no := range []string{"http:", "https:", "url(", "@import", "<script", "ZgotmplZ"} {
		if strings.Contains(b.String(), no) {
			t.Errorf("the page has %q", no)
		}
	}
	if err := Write(&b, "test", `{{template "head" .None}}`, struct{}{}); err == nil {
		t.Error("a template that does not go with its data is written")
	}
	if err := Write(&b, "test", `{{`, nil); err == nil {
		t.Error("half a template is a page")
	}
}

func TestTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(-1e6, 1e6).Draw(t, "low")
		high := low + rapid.Float64Range(1e-3, 1e6).Draw(t, "width")
		at := Ticks(low, high, 4)
		if len(at) < 1 || len(at) > 6 || !slices.IsSorted(at) || at[0] < low-1e-6*(high-low) || at[len(at)-1] > high+1e-6*(high-low) {
			t.Fatalf("%v from %v to %v", at, low, high)
		}
		down, up := rapid.Float64Range(-20, -0.05).Draw(t, "down"), rapid.Float64Range(0.05, 20).Draw(t, "up")
		factors := FactorTicks(down, up)
		if len(factors) < 1 || len(factors) > 12 || !slices.IsSorted(factors) || factors[0] < down-1e-6 || factors[len(factors)-1] > up+1e-6 {
			t.Fatalf("%v from %v to %v", factors, down, up)
		}
	})
	if at := Ticks(1, 1, 4); at != nil {
		t.Errorf("%v of nothing", at)
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.123456: "0.12346", 1234.56: "1234.6", 12345.6: "12\u202f346", -1234567: "−1\u202f234\u202f567", -0.5: "−0.5", 1e20: "1e+20"} {
		if got := Number(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{-0.0004: "0.0%", 0: "0.0%", -0.0006: "−0.1%", 0.5: "50.0%"} {
		if got := Percent(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	if Count(9999) != "9999" || Count(1234567) != "1\u202f234\u202f567" {
		t.Errorf("%s and %s", Count(9999), Count(1234567))
	}
	// As few digits as keep numbers apart, three at least.
	write := Shorten([]float64{51.123456, 51.234, 60})
	if a, b := write(51.123456), write(60); a != "51.1" || b != "60" {
		t.Errorf("%s and %s", a, b)
	}
	if write := Shorten([]float64{51.123456, 51.123999, 1e7}); write(51.123456) != "51.123" || write(1e7) != "10\u202f000\u202f000" {
		t.Errorf("%s and %s", write(51.123456), write(1e7))
	}
}
