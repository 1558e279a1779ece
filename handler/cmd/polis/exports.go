package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"polis/handler/internal/blob/folder"
	"polis/handler/internal/exports"
	"polis/handler/internal/fault"
	"polis/handler/internal/run"
)

type exportCmd struct {
	place
	Tenant string `help:"Tenant." default:"sample"`
	To     string `help:"Folder for the files: a new or an empty one, or one in which an export was cut off." required:"" type:"path" placeholder:"DIR"`
}

func (m *exportCmd) Run(ctx context.Context) error {
	return m.there(func(s *stack) (err error) {
		t, err := s.book.Tenant(ctx, m.Tenant)
		if err != nil {
			return err
		}
		if err := clearExport(m.To); err != nil {
			return err
		}
		to, err := folder.Open(m.To)
		if err != nil {
			return err
		}
		defer func() {
			if err = errors.Join(err, to.Close()); err == nil {
				err = os.Remove(filepath.Join(m.To, folder.Partial)) // empty now
			}
		}()
		runs := run.New(s.book, s.docs, s.queues, s.models, s.lists, time.Now)
		maker := exports.NewMaker(s.book, runs, s.lists, s.models, time.Now)
		st := newProgress(os.Stderr).stage("export")
		made, err := maker.Make(ctx, t, to, "", func(done, total int) { st.set(int64(done), int64(total)) })
		if err == nil {
			err = made.Save(ctx, to, "")
		}
		if err != nil {
			st.abort()
			return err
		}
		st.end(fmt.Sprintf("%d files in %s", len(made.Files), m.To))
		for _, f := range made.Files {
			fmt.Printf("%-28s %10d rows %12d bytes\n", f.Name, f.Rows, f.Bytes)
		}
		if made.Run == "" {
			fmt.Println("no run is completed yet: there are no scores")
		}
		if made.Damaged > 0 {
			fmt.Printf("of %d customers something stored is damaged and left out\n", made.Damaged)
		}
		return nil
	})
}

// clearExport makes sure that a folder holds nothing, and removes what an export left there that was cut off. What
// else is there is somebody's.
func clearExport(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap(fault.Unconfigured, err, "--to")
	}
	for _, e := range entries {
		switch {
		case e.Name() == exports.ManifestName:
			return fault.New(fault.Conflict, "--to holds an export already: name another folder")
		case !exports.IsFile(e.Name()) && e.Name() != folder.Partial:
			return fault.New(fault.Conflict, "--to holds something that is no part of an export: name another folder")
		}
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fault.Wrap(fault.Unconfigured, err, "--to")
		}
	}
	return nil
}
