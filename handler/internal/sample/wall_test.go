package sample

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestWall: what learns and scores does not know the book's causes, nor the book what
// learns. A test of a model on it would otherwise prove nothing.
func TestWall(t *testing.T) {
	const internal = "polis/handler/internal/"
	learners := []string{"portfolio", "feature", "model", "score", "risk", "churn", "clv", "nbp", "defend"}
	for _, name := range append(slices.Clone(learners), "sample") {
		err := filepath.WalkDir(filepath.Join("..", name), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, i := range f.Imports {
				imported, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					return err
				}
				to, _, _ := strings.Cut(strings.TrimPrefix(imported, internal), "/")
				if name != "sample" && to == "sample" || name == "sample" && slices.Contains(learners, to) {
					t.Errorf("%s imports %s", path, imported)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
