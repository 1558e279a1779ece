package check

import (
	_ "embed" // the shapes
	"maps"
	"slices"
	"strings"
)

// shapes.txt has every property that a template sets, a line each: the type, and the path down to a value. What nobody
// set before may open what all other rules keep shut, for they look at what is there: a service endpoint goes past route
// and firewall, a policy's override switches it off. So a property that is new is thought about, as a type is in
// logged. Less than is here is right everywhere, for much is there by parameter.
//
//go:embed shapes.txt
var shapesFile string

// known are the types and paths of shapes.txt, with all that lies on the way to one.
var known = readShapes(shapesFile)

func readShapes(file string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(file) {
		shape := strings.TrimSpace(line)
		kind, path, _ := strings.Cut(shape, " ")
		for out[kind] = true; path != ""; path = path[:max(0, strings.LastIndexByte(path, '.'))] {
			out[kind+" "+path] = true
		}
	}
	return out
}

// anyName are objects whose keys are names that somebody chose, and no properties.
var anyName = map[string]bool{"tags": true, "identity.userAssignedIdentities": true}

// itself is what each resource says of itself.
var itself = map[string]bool{"id": true, "name": true, "type": true, "apiVersion": true}

// walk goes through what a resource sets, as long as visit says to go deeper. A step into a list is "*"; null sets nothing.
func (r Resource) walk(visit func(path string, leaf bool) bool) {
	var down func(v any, path string)
	down = func(v any, path string) {
		next := map[string][]any{}
		switch in := v.(type) {
		case map[string]any:
			for k, each := range in {
				switch {
				case each == nil || path == "" && itself[k]:
				case anyName[path]:
					next["*"] = append(next["*"], each)
				default:
					next[k] = []any{each}
				}
			}
		case []any:
			if len(in) > 0 {
				next["*"] = in
			}
		}
		if path != "" && !visit(path, len(next) == 0) {
			return
		}
		for _, step := range slices.Sorted(maps.Keys(next)) {
			for _, each := range next[step] {
				down(each, strings.TrimPrefix(path+"."+step, "."))
			}
		}
	}
	down(r.raw, "")
}

// shapes finds what no template set before; of an object that is new it names the object alone.
func shapes(e *Estate) []Finding {
	var out []Finding
	for _, r := range e.Resources {
		if !known[r.Type] {
			out = append(out, Finding{Resource: r.ID, Says: "is a " + r.Type + ", which no template had: " + thought})
			continue
		}
		told := map[string]bool{}
		r.walk(func(path string, _ bool) bool {
			if !known[r.Type+" "+path] && !told[path] {
				told[path] = true
				out = append(out, Finding{Resource: r.ID, Says: "sets " + path + ", which no " + r.Type + " did before: " + thought})
			}
			return known[r.Type+" "+path]
		})
	}
	return out
}

const thought = "is a promise less kept by it, or a rule blind to it? If not, go test ./infra/bicep/check -update puts it into shapes.txt"

// Shapes are the lines of shapes.txt for these estates: each path to a value, and an object or a list that is empty
// where it is nowhere more.
func Shapes(estates []*Estate) string {
	seen := map[string]bool{}
	for _, e := range estates {
		for _, r := range e.Resources {
			seen[r.Type] = true
			r.walk(func(path string, leaf bool) bool {
				if leaf {
					seen[r.Type+" "+path] = true
				}
				return true
			})
		}
	}
	var out strings.Builder
	lines := slices.Sorted(maps.Keys(seen))
	for _, line := range lines {
		deeper := func(other string) bool {
			return strings.HasPrefix(other, line+".") || !strings.Contains(line, " ") && strings.HasPrefix(other, line+" ")
		}
		if !slices.ContainsFunc(lines, deeper) {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}
