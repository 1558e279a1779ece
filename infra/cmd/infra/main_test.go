package main

import (
	"strings"
	"testing"
)

// TestInOrder: resources change places, and nothing of them does.
func TestInOrder(t *testing.T) {
	const head, tail = "{\n  \"predictedResources\": [\n    ", "\n  ],\n  \"diagnostics\": [],\n  \"outputs\": {\n    \"b\": 1,\n    \"a\": 2\n  }\n}"
	one, other := "{\n      \"id\": \"/a\",\n      \"z\": 1.0,\n      \"b\": \"<é>\"\n    }", "{\n      \"id\": \"/b\"\n    }"
	want := head + one + ",\n    " + other + tail
	for _, made := range []string{want, head + other + ",\n    " + one + tail} {
		if got, err := inOrder([]byte(made)); err != nil || string(got) != want {
			t.Errorf("%v %s", err, got)
		}
	}
	for _, bad := range []string{"", "{}", strings.Replace(want, "outputs", "more", 1), strings.Replace(want, "/a\"", "/a", 1)} {
		if got, err := inOrder([]byte(bad)); err == nil {
			t.Errorf("%q is taken: %s", bad, got)
		}
	}
}
