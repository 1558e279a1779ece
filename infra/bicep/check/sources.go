package check

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Sums is what Sources is compared with: below the project's root.
const Sums = "infra/bicep/environments/snapshots.sha256"

// fed are files outside infra/bicep that templates read.
var fed = []string{"infra/estate/estate.json", "handler/internal/httpapi/openapi.yaml", "host.json"}

// Sources are the digests of all that snapshots are made of, and of the snapshots, in the
// form of sha256sum: a template that was changed without its snapshots shows, also where
// there is no Bicep CLI.
func Sources(root string) (string, error) {
	files := append([]string(nil), fed...)
	err := filepath.WalkDir(filepath.Join(root, "infra", "bicep"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch name := d.Name(); {
		case d.IsDir() && name == "check":
			return filepath.SkipDir
		case d.IsDir():
		case name == "promises.json": // is what rules hold snapshots to, and no source of them
		case strings.HasSuffix(name, ".bicep"), strings.HasSuffix(name, ".bicepparam"), strings.HasSuffix(name, ".json"),
			strings.HasSuffix(name, ".xml"), strings.HasSuffix(name, ".sh"):
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("finding the sources of snapshots: %w", err)
	}
	sort.Strings(files)
	var b strings.Builder
	for _, f := range files {
		body, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f)))
		if err != nil {
			return "", fmt.Errorf("reading a source of snapshots: %w", err)
		}
		sum := sha256.Sum256(body)
		fmt.Fprintf(&b, "%s  %s\n", hex.EncodeToString(sum[:]), f)
	}
	return b.String(), nil
}
