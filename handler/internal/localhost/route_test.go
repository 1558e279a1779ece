package localhost

import (
	"fmt"
	"slices"
	"testing"
)

func TestRouteMatch(t *testing.T) {
	for _, c := range []struct{ template, path, want string }{
		{"api/Hello", "/api/hello", "map[]"},
		{"api/Hello", "/api/hello/", "map[]"},
		{"api/hello", "/api/hello/more", "no"},
		{"api/hello", "/hello", "no"},
		{"v1/customers/{id}", "/v1/customers/c-1", "map[id:c-1]"},
		{"v1/customers/{id}", "/v1/customers/a%2Fb", "map[id:a/b]"},
		{"v1/customers/{id}", "/v1/customers/", "no"},
		{"v1/customers/{id}", "/v1/customers/%zz", "no"},
		{"v1/customers/{id}/scores", "/v1/customers/1/scores", "map[id:1]"},
		{"v1/customers/{id}/scores", "/v1/customers/1", "no"},
		{"items/{id?}", "/items", "map[]"},
		{"items/{id?}", "/items/7", "map[id:7]"},
		{"items/{id:int?}", "/items/x", "no"},
		{"files/{*rest}", "/files", "map[rest:]"},
		{"files/{*rest}", "/files/a/b%20c/d", "map[rest:a/b c/d]"},
		{"files/{**rest}", "/files/a", "map[rest:a]"},
		{"{id:int}", "/42", "map[id:42]"},
		{"{id:int}", "/-42", "map[id:-42]"},
		{"{id:int}", "/99999999999", "no"},
		{"{id:long}", "/99999999999", "map[id:99999999999]"},
		{"{id:alpha}", "/abc", "map[id:abc]"},
		{"{id:alpha}", "/ab1", "no"},
		{"{id:bool}", "/True", "map[id:True]"},
		{"{id:guid}", "/0A0A0A0A-1b1b-2c2c-3d3d-4e4e4e4e4e4e", "map[id:0A0A0A0A-1b1b-2c2c-3d3d-4e4e4e4e4e4e]"},
		{"{id:guid}", "/0A0A0A0A", "no"},
		{"{id:length(3)}", "/abc", "map[id:abc]"},
		{"{id:length(3)}", "/abcd", "no"},
		{"{id:length(2,3)}", "/ab", "map[id:ab]"},
		{"{id:minlength(2)}", "/a", "no"},
		{"{id:maxlength(2)}", "/abc", "no"},
		{"{id:min(5)}", "/4", "no"},
		{"{id:max(5)}", "/4", "map[id:4]"},
		{"{id:range(1,5)}", "/6", "no"},
		{"{id:alpha:minlength(2)}", "/ab", "map[id:ab]"},
		{"{id:alpha:minlength(2)}", "/a", "no"},
		{"", "/", "map[]"},
	} {
		r, err := parseRoute(c.template)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		got := "no"
		if params, ok := r.match(c.path); ok {
			got = fmt.Sprint(params)
		}
		if got != c.want {
			t.Errorf("%s on %s: %s, want %s", c.template, c.path, got, c.want)
		}
	}
}

func TestParseRouteRefuses(t *testing.T) {
	for _, template := range []string{
		"a//b", "{id", "{}", "a{id}", "{a}{b}", "{a?}/b", "{*rest}/b", "{id:regex(x)}", "{id:length}", "{id:length(x)}",
		"{id:min(1,2)}", "{id:range(1)}", "{id:min(99999999999999999999)}", "{1x}",
	} {
		if _, err := parseRoute(template); err == nil {
			t.Errorf("%s is taken", template)
		}
	}
}

func TestMoreSpecificRoutesFirst(t *testing.T) {
	want := []string{"items/new", "items/{id:int}", "items/{id}", "items/{id}/more", "items/{*rest:alpha}", "items/{*rest}", "{all}"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortStableFunc(got, func(a, b string) int {
		ra, errA := parseRoute(a)
		rb, errB := parseRoute(b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		return compareRoutes(ra, rb)
	})
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func FuzzRoute(f *testing.F) {
	f.Add("v1/customers/{id:int}/{*rest}", "/v1/customers/1/a%20b")
	f.Add("{id:length(2,3)?}", "/")
	f.Fuzz(func(t *testing.T, template, path string) {
		if r, err := parseRoute(template); err == nil {
			r.match(path) // must not panic
		}
	})
}
