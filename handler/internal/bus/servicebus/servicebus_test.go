package servicebus_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"polis/handler/internal/bus"
	"polis/handler/internal/bus/bustest"
	"polis/handler/internal/bus/servicebus"
	"polis/handler/internal/fault"
	"polis/handler/internal/standin"
)

func start(t *testing.T, estate string) (*standin.Program, standin.Certificate) {
	t.Helper()
	standin.Need(t)
	c, err := standin.NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := standin.ServiceBus(t.Context(), c, estate, "", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p, c
}

func open(t *testing.T, p *standin.Program, c standin.Certificate, cred standin.Token) *servicebus.Bus {
	t.Helper()
	b, err := servicebus.Open(cred, servicebus.Options{
		Namespace: standin.Namespace, Endpoint: strings.TrimPrefix(p.URL, "amqps://"), TLS: c.TLS(),
		Patience: 150 * time.Millisecond, Gathering: 150 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// timed is a bus whose stand-in goes by a test's clock and counts deliveries as asked.
type timed struct {
	*servicebus.Bus
	mu      sync.Mutex
	program *standin.Program
	now     func() time.Time
	t       *testing.T
}

func (b *timed) sync(deliveries int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, order := range []string{fmt.Sprintf("now %d", b.now().UnixMilli()), fmt.Sprintf("deliveries %d", deliveries)} {
		if err := b.program.Tell(order); err != nil {
			b.t.Error(err)
		}
	}
}

func (b *timed) Send(ctx context.Context, queue string, msgs ...bus.Message) error {
	b.sync(0)
	return b.Bus.Send(ctx, queue, msgs...)
}

func (b *timed) Receive(ctx context.Context, queue string, max int, lock time.Duration, deliveries int) ([]bus.Delivery, error) {
	b.sync(deliveries)
	return b.Bus.Receive(ctx, queue, max, lock, deliveries)
}

func (b *timed) Complete(ctx context.Context, d bus.Delivery) error {
	b.sync(0)
	return b.Bus.Complete(ctx, d)
}

func (b *timed) Renew(ctx context.Context, d bus.Delivery, lock time.Duration) (bus.Delivery, error) {
	b.sync(0)
	return b.Bus.Renew(ctx, d, lock)
}

func (b *timed) DeadLetter(ctx context.Context, d bus.Delivery, reason, detail string) error {
	b.sync(0)
	return b.Bus.DeadLetter(ctx, d, reason, detail)
}

func TestBus(t *testing.T) {
	bustest.Run(t, func(t *testing.T, now func() time.Time) bus.Broker {
		p, c := start(t, "")
		return &timed{Bus: open(t, p, c, standin.Token{}), program: p, now: now, t: t}
	})
}

func TestEstate(t *testing.T) {
	p, c := start(t, filepath.Join("testdata", "estate.json"))
	b := open(t, p, c, standin.Token{})
	t.Cleanup(func() { _ = b.Close() })
	if err := b.Send(t.Context(), "no-such-queue", bus.Message{ID: "a"}); !fault.Is(err, fault.Unconfigured) {
		t.Errorf("a queue that is not there: %v", err)
	}
	of := func(tenant, engine string) bus.Message {
		return bus.Message{ID: tenant + engine, Body: []byte("x"), Properties: map[string]string{"tenant": tenant, "engine": engine}}
	}
	if err := b.Send(t.Context(), "score-results", of("t1", "risk"), of("t2", "risk"), of("t1", "churn")); err != nil {
		t.Fatal(err)
	}
	for subscription, want := range map[string]int{"all": 3, "risk-of-t1": 1} {
		n, _, err := b.Depth(t.Context(), "score-results/Subscriptions/"+subscription)
		if err != nil || n != want {
			t.Errorf("%s holds %d, want %d (%v)", subscription, n, want, err)
		}
	}
	// Nobody settles it: after as many deliveries as the queue allows it is given up.
	if err := b.Send(t.Context(), "run-chunks", bus.Message{ID: "poison"}); err != nil {
		t.Fatal(err)
	}
	at := time.Now().UnixMilli()
	for i := range 4 {
		if err := p.Tell(fmt.Sprintf("now %d", at+int64(i)*2000)); err != nil {
			t.Fatal(err)
		}
		got, err := b.Receive(t.Context(), "run-chunks", 1, time.Second, 0)
		if err != nil || len(got) != 1 && i < 3 || i == 3 && len(got) != 0 {
			t.Errorf("delivery %d: %d messages, %v", i+1, len(got), err)
		}
	}
	if live, dead, err := b.Depth(t.Context(), "run-chunks"); live != 0 || dead != 1 || err != nil {
		t.Errorf("%d live, %d dead, %v", live, dead, err)
	}
}

func TestTokens(t *testing.T) {
	p, c := start(t, "")
	for name, cred := range map[string]standin.Token{
		"for another service": {Audience: "https://storage.azure.com"},
		"of yesterday":        {Age: 24 * time.Hour},
	} {
		b := open(t, p, c, cred)
		if err := b.Send(t.Context(), "q", bus.Message{ID: "a"}); !fault.Is(err, fault.Unconfigured) {
			t.Errorf("a token %s: %v", name, err)
		}
		_ = b.Close()
	}
}

// Connections break while messages are sent: each is there once, by its id.
func TestBrokenConnections(t *testing.T) {
	p, c := start(t, "")
	b := open(t, p, c, standin.Token{})
	t.Cleanup(func() { _ = b.Close() })
	const n = 30
	for i := range n {
		if i%3 == 1 {
			if err := p.Tell("drop"); err != nil {
				t.Fatal(err)
			}
		}
		m := bus.Message{ID: fmt.Sprint(i), Body: []byte("x")}
		for err := b.Send(t.Context(), "q", m); err != nil; err = b.Send(t.Context(), "q", m) {
			if !fault.Is(err, fault.Unavailable) {
				t.Fatal(err)
			}
		}
	}
	if live, _, err := b.Depth(t.Context(), "q"); live != n || err != nil {
		t.Errorf("%d messages of %d (%v)", live, n, err)
	}
}

func TestSizes(t *testing.T) {
	p, c := start(t, "")
	b := open(t, p, c, standin.Token{})
	t.Cleanup(func() { _ = b.Close() })
	var msgs []bus.Message
	for i := range 20 {
		msgs = append(msgs, bus.Message{ID: fmt.Sprint(i), Body: make([]byte, 200<<10)})
	}
	if err := b.Send(t.Context(), "q", msgs...); err != nil {
		t.Fatal(err)
	}
	if live, _, err := b.Depth(t.Context(), "q"); live != len(msgs) || err != nil {
		t.Errorf("%d messages of 4 MB (%v)", live, err)
	}
	if err := b.Send(t.Context(), "q", bus.Message{ID: "large", Body: make([]byte, 2<<20)}); !fault.Is(err, fault.TooLarge) {
		t.Errorf("a message of 2 MB: %v", err)
	}
}

func TestOpen(t *testing.T) {
	if _, err := servicebus.Open(nil, servicebus.Options{Namespace: "n"}); !fault.Is(err, fault.Unconfigured) {
		t.Errorf("no credential: %v", err)
	}
	if _, err := servicebus.Open(standin.Token{}, servicebus.Options{}); !fault.Is(err, fault.Unconfigured) {
		t.Errorf("no namespace: %v", err)
	}
}
