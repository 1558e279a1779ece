package check

import (
	_ "embed" // the signals
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"polis/infra/estate"
)

//go:embed signals.json
var signals []byte

// Open reads what estates are held to, from the project's root.
func Open(root string) (Project, error) {
	var p Project
	var err error
	if p.Needs, err = estate.Load(); err != nil {
		return p, err
	}
	if p.Functions, err = Functions(filepath.Join(root, "functions")); err != nil {
		return p, err
	}
	if p.Values, err = readValues(); err != nil {
		return p, err
	}
	if p.Alerts, err = readWatches(root, "alerts.json"); err != nil {
		return p, err
	}
	if p.Sentinel, err = readWatches(root, "sentinel.json"); err != nil {
		return p, err
	}
	if p.Concurrency, err = readConcurrency(root); err != nil {
		return p, err
	}
	roles, err := os.ReadFile(filepath.Join(root, "docs", "roles.md"))
	if err != nil {
		return p, fmt.Errorf("reading the list of roles: %w", err)
	}
	p.Roles = Granted(string(roles))
	if p.API, err = readAPI(root); err != nil {
		return p, err
	}
	if p.Playbooks, err = names(filepath.Join(root, "docs", "playbooks", "*.md")); err != nil {
		return p, err
	}
	if p.Pages, err = names(filepath.Join(root, "infra", "bicep", "workbooks", "*.json")); err != nil {
		return p, err
	}
	if err := json.Unmarshal(signals, &p.Signals); err != nil {
		return p, fmt.Errorf("reading the signals: %w", err)
	}
	var log strings.Builder
	err = filepath.WalkDir(filepath.Join(root, "handler"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		body, err := os.ReadFile(path)
		log.Write(body)
		return err
	})
	if err != nil {
		return p, fmt.Errorf("reading what the handler says: %w", err)
	}
	p.Log = log.String()
	return p, nil
}

// names are those of the files of a pattern, without folder and ending.
func names(pattern string) ([]string, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", pattern, err)
	}
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimSuffix(filepath.Base(f), filepath.Ext(f)))
	}
	return out, nil
}
