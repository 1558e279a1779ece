package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"polis/handler/internal/store"
	"polis/handler/internal/store/sqlite"
)

// The test binary is its own victim: with this variable set it writes until killed.
const victimOf = "POLIS_STORE_VICTIM_OF"

const perBatch = 7

func TestMain(m *testing.M) {
	if path := os.Getenv(victimOf); path != "" {
		if err := writeForever(path, os.Getenv("BUCKET"), os.Getenv("FROM"), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForever writes batch after batch and tells of each that is done.
func writeForever(path, bucket, from string, out io.Writer) error {
	p := store.Partition{Tenant: "t1"}
	var err error
	if p.Bucket, err = strconv.Atoi(bucket); err != nil {
		return err
	}
	batch, err := strconv.Atoi(from)
	if err != nil {
		return err
	}
	s, err := sqlite.Open(path)
	if err != nil {
		return err
	}
	for ; ; batch++ {
		ops := make([]store.Op, perBatch)
		for i := range ops {
			key := fmt.Sprintf("%08d-%d", batch, i)
			ops[i] = store.Op{Verb: store.Create, Document: store.Document{Key: key, Body: []byte(strings.Repeat(key, 100))}}
		}
		if err := s.Write(context.Background(), p, ops); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, batch); err != nil {
			return err
		}
	}
}

// victim runs writeForever in another process.
func victim(t *testing.T, path string, bucket, from int) (cmd *exec.Cmd, done *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), victimOf+"="+path, fmt.Sprintf("BUCKET=%d", bucket), fmt.Sprintf("FROM=%d", from))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

func TestKilledWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	acknowledged := [2]map[int]bool{{}, {}} // batches, per bucket
	from := [2]int{}
	for round := range 6 {
		var victims [2]*exec.Cmd
		var out [2]*bufio.Scanner
		for b := range victims {
			victims[b], out[b] = victim(t, path, b, from[b])
		}
		for b := range victims {
			last := 0
			// What it acknowledged before it was killed is in the pipe, in whole lines.
			for n := 1 + rand.IntN(150); out[b].Scan(); n-- {
				last = number(t, out[b].Text())
				acknowledged[b][last] = true
				if n == 0 {
					if err := victims[b].Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := victims[b].Wait(); err == nil || victims[b].ProcessState.Exited() {
				t.Fatalf("a writer ended by itself: %v", err)
			}
			from[b] = last + 2 // the one between may have been written, too
		}
		s := open(t, path)
		for b := range acknowledged {
			checkWhole(t, s, b, acknowledged[b])
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		checkFile(t, path)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkWhole wants all acknowledged batches to be there, and all that are there whole.
func checkWhole(t *testing.T, s *sqlite.Store, bucket int, acknowledged map[int]bool) {
	t.Helper()
	parts := map[int]int{}
	for d, err := range s.Scan(t.Context(), store.Partition{Tenant: "t1", Bucket: bucket}, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		batch, _, _ := strings.Cut(d.Key, "-")
		parts[number(t, batch)]++
		if string(d.Body) != strings.Repeat(d.Key, 100) {
			t.Errorf("%s is damaged", d.Key)
		}
	}
	for batch, n := range parts {
		if n != perBatch {
			t.Errorf("batch %d has %d of %d documents", batch, n, perBatch)
		}
	}
	for batch := range acknowledged {
		if parts[batch] == 0 {
			t.Errorf("batch %d was acknowledged and is lost", batch)
		}
	}
}

func checkFile(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var result string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Errorf("the file's integrity: %q %v", result, err)
	}
}
