package localhost

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/rs/zerolog"
)

const envHostRoot = "POLIS_TEST_HOST_ROOT"

// runHost is a host in a process of its own, for a test to kill.
func runHost(root string) {
	h, err := New(Options{
		Root: root, Broker: newMemoryBus(), State: newState(), MasterKey: "m", Listen: "127.0.0.1:0", Log: zerolog.New(os.Stderr),
		Settings: map[string]string{envMode: "late", envTarget: os.Getenv(envTarget)},
	})
	if err == nil {
		err = h.Run(context.Background())
	}
	if err != nil {
		panic(err)
	}
}

func TestHandlerDiesWithAKilledHost(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ties a child's life to its parent's; elsewhere the next start clears up")
	}
	alive, died := make(chan struct{}), make(chan struct{})
	// A handler in mode late holds this request open for as long as it lives.
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(alive)
		<-r.Context().Done()
		close(died)
	}))
	defer target.Close()
	host := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	host.Env = append(os.Environ(), envMode+"=host", envTarget+"="+target.URL,
		envHostRoot+"="+stage(t, app{"host.json": hostJSON("", ""), "Hello/function.json": httpFunction}))
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	<-alive
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	<-died
}
