//go:build standins

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/run"
	"polis/handler/internal/standin"
	"polis/handler/internal/store/cosmos"
	"polis/handler/internal/store/cosmos/cosmosfake"
)

// TestAzure makes the first tenant of an empty account from the command line, publishes its models and asks for
// a run, as docs/bootstrap.md says, with what plays Azure's part; no app is there to work the run.
func TestAzure(t *testing.T) {
	standin.Need(t)
	dir := t.TempDir()
	up, err := standin.Up(t.Context(), dir, container, "", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Down)
	pair, err := tls.LoadX509KeyPair(up.CertFile, up.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	account := httptest.NewUnstartedServer(&cosmosfake.Account{})
	account.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	account.StartTLS()
	t.Cleanup(account.Close)
	for name, value := range map[string]string{
		"POLIS_STANDINS": dir, "COSMOS__accountEndpoint": account.URL, "BLOBS__blobServiceUri": up.Blobs, "BLOBS__container": container,
		"SERVICEBUS__fullyQualifiedNamespace": standin.Namespace, "POLIS_DATA_DIR": filepath.Join(dir, "var"), "POLIS_QUOTA_CHUNKS": "3",
	} {
		t.Setenv(name, value)
	}
	good := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := polis(t, "", args...)
		if code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
		return stdout
	}
	bad := func(says string, args ...string) {
		t.Helper()
		if code, _, stderr := polis(t, "", args...); code != 3 || !strings.Contains(stderr, says) {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
	tables := filepath.Join(dir, "tables")
	const tenant, on = "8f4b9a52-0000-4000-8000-000000000001", "2026-03-31"
	good("sample", "--customers", "200", "--as-of", on, "--out", tables)

	bad("polis import makes one", "train", "--azure", "--tenant", tenant)
	good("import", tables, "--azure", "--tenant", tenant, "--as-of", on, "--buckets", "8")
	bad("train", "run", "--azure", "--tenant", tenant, "--as-of", on)
	good("train", "--azure", "--tenant", tenant, "--as-of", on)
	bad("models as of 2026-03-31", "train", "--azure", "--tenant", tenant, "--as-of", "2026-01-31")
	if settings := good("settings", "--azure", "--tenant", tenant); !json.Valid([]byte(settings)) {
		t.Errorf("no settings: %s", settings)
	}
	good("export", "--azure", "--tenant", tenant, "--to", filepath.Join(dir, "out"))
	if exists(filepath.Join(dir, "var", storeFile)) {
		t.Error("something of Azure's was kept in the data folder")
	}
	if !exists(filepath.Join(dir, "var", "reports", tenant+".ndjson")) {
		t.Error("the report of what was refused is not on this computer")
	}

	docs, err := cosmos.Open(standin.Token{}, cosmos.Options{Endpoint: account.URL, Database: "polis", Container: "documents", Transport: up.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if made, err := book.New(docs).Tenant(t.Context(), tenant); err != nil || made.Buckets != 8 {
		t.Fatalf("%+v, %v", made, err)
	}
	asksForARun(t, tenant, on)
}

// asksForARun has a run made, that nobody works: as many of its chunks are on the queue as the quota lets, and what
// waits for it leaves it there when it is interrupted.
func asksForARun(t *testing.T, tenant, on string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	asked := make(chan error, 1)
	go func() {
		c := runCmd{Tenant: tenant, AsOf: on}
		c.Azure = true
		asked <- c.Run(ctx)
	}()
	var lines []string
	for len(lines) < 3 && ctx.Err() == nil {
		_, stdout, _ := polis(t, "", "peek", run.ChunkQueue, "--azure")
		lines = strings.Split(strings.TrimSpace(stdout), "\n")
	}
	cancel()
	if err := <-asked; err == nil || !strings.Contains(err.Error(), "which goes on") {
		t.Errorf("a run that nobody works ended: %v", err)
	}
	if len(lines) != 3 || !strings.Contains(lines[0], on+"-all-1") {
		t.Errorf("on the queue is %q", lines)
	}
}
