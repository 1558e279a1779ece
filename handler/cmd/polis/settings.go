package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/registry"
	"polis/handler/internal/scoring"
)

type settingsCmd struct {
	place
	Tenant string `help:"Tenant." default:"sample"`
}

// Run prints the settings of the tenant's current models, in the form that
// polis train --settings reads.
func (m *settingsCmd) Run(ctx context.Context) error {
	return m.there(func(s *stack) error {
		t, err := s.found(ctx, m.Tenant)
		if err != nil {
			return err
		}
		settings, err := s.settings(ctx, t, "")
		if err != nil {
			return err
		}
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(settings)
	})
}

// settings are those of the tenant's current models, also where these are of an older format,
// the defaults where there are none that this program can read, with those of the file over them, if one is named.
func (s *stack) settings(ctx context.Context, t book.Tenant, file string) (_ scoring.Settings, err error) {
	base := scoring.DefaultSettings()
	current, err := s.models.Current(ctx, t.ID)
	switch {
	case err == nil:
		base = current.Settings
	case errors.Is(err, registry.ErrUnreadable):
		of := "those of the current models, which cannot be read otherwise"
		if old, bad := s.models.Settings(ctx, t.ID); bad == nil {
			base = old
		} else {
			of = "the defaults, since the current models cannot be read"
		}
		fmt.Fprintf(os.Stderr, "settings: %s: %v\n", of, err)
	case !fault.Is(err, fault.Conflict):
		return base, err
	}
	if file == "" {
		return base, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return base, fault.Wrap(fault.NotFound, err, "--settings")
	}
	defer f.Close() // only read
	settings, err := scoring.ReadSettings(f, base)
	if err != nil {
		return base, fmt.Errorf("--settings %s: %w", file, err)
	}
	return settings, nil
}
