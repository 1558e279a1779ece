package entra_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"polis/handler/internal/caller"
	"polis/handler/internal/caller/entra"
	"polis/handler/internal/fault"
)

const (
	audience = "api://polis"
	tenant   = "5d0a7c0e-0000-4000-8000-000000000001"
)

// issuer makes tokens and shows its public keys.
type issuer struct {
	*httptest.Server
	mu    sync.Mutex
	keys  map[string]*rsa.PrivateKey
	shown []string // ids of those that are shown
	down  bool
	asked int
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{keys: map[string]*rsa.PrivateKey{}}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.asked++; i.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var set jose.JSONWebKeySet
		for _, id := range i.shown {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: i.keys[id].Public(), KeyID: id, Algorithm: "RS256", Use: "sig"})
		}
		if err := json.NewEncoder(w).Encode(set); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(i.Close)
	i.rotate(t, "k1")
	return i
}

// rotate makes a key and shows it alone.
func (i *issuer) rotate(t *testing.T, id string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[id], i.shown = key, []string{id}
}

func (i *issuer) set(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
}

func part(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// token is signed with a key of the issuer's.
func (i *issuer) token(key string, claims map[string]any) string {
	signed := part(map[string]string{"alg": "RS256", "typ": "JWT", "kid": key}) + "." + part(claims)
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, i.keys[key], crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// hour is a token's time of an hour from a time on.
func (i *issuer) claims(at time.Time, with map[string]any) map[string]any {
	c := map[string]any{
		"iss": i.URL, "aud": audience, "tid": tenant, "oid": "a-person", "sub": "pairwise", "roles": []string{"scores.read", "unknown.role"},
		"iat": at.Unix(), "nbf": at.Unix(), "exp": at.Add(time.Hour).Unix(),
	}
	maps.Copy(c, with)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// clock is one that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func open(t *testing.T, i *issuer) (*entra.Tokens, *clock) {
	t.Helper()
	at := &clock{now: noon}
	tokens, err := entra.New(entra.Options{Issuer: i.URL, Keys: i.URL + "/keys", Audience: audience, Now: at.Now})
	if err != nil {
		t.Fatal(err)
	}
	return tokens, at
}

func ask(tokens *entra.Tokens, header string) (caller.Caller, error) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", header)
	return tokens.Authenticate(r)
}

func TestTokens(t *testing.T) {
	i := newIssuer(t)
	tokens, _ := open(t, i)
	good := i.token("k1", i.claims(noon, nil))
	c, err := ask(tokens, "Bearer "+good)
	if err != nil || c.Tenant != tenant || c.Subject != "a-person" || !slices.Equal(c.Roles, []caller.Role{caller.ScoresRead}) {
		t.Fatalf("%+v, %v", c, err)
	}
	public, err := x509.MarshalPKIXPublicKey(i.keys["k1"].Public())
	if err != nil {
		t.Fatal(err)
	}
	hs256 := part(map[string]string{"alg": "HS256", "kid": "k1"}) + "." + part(i.claims(noon, nil))
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(hs256))
	pieces := strings.Split(good, ".")
	claims := func(with map[string]any) string { return i.token("k1", i.claims(noon, with)) }
	for name, token := range map[string]string{
		"none":                        "",
		"no token":                    "token",
		"alg none":                    part(map[string]string{"alg": "none"}) + "." + pieces[1] + ".",
		"alg none, signed":            part(map[string]string{"alg": "none"}) + "." + pieces[1] + "." + pieces[2],
		"HS256 with the public key":   hs256 + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)),
		"other claims":                pieces[0] + "." + part(i.claims(noon, map[string]any{"roles": []string{"admin"}})) + "." + pieces[2],
		"no signature":                pieces[0] + "." + pieces[1] + ".",
		"of another audience":         claims(map[string]any{"aud": "api://other"}),
		"of another issuer":           claims(map[string]any{"iss": "https://sts.example/"}),
		"old":                         i.token("k1", i.claims(noon.Add(-2*time.Hour), nil)),
		"of tomorrow":                 i.token("k1", i.claims(noon.Add(24*time.Hour), nil)),
		"not yet":                     claims(map[string]any{"nbf": noon.Add(2 * time.Minute).Unix()}),
		"for ever":                    claims(map[string]any{"exp": nil}),
		"of no time":                  claims(map[string]any{"iat": nil}),
		"of no tenant":                claims(map[string]any{"tid": nil}),
		"of a tenant that is no text": claims(map[string]any{"tid": 7}),
		"of nobody":                   claims(map[string]any{"oid": nil, "sub": nil}),
		"an ID token":                 claims(map[string]any{"nonce": "n"}),
		"too long":                    good + strings.Repeat("A", 17<<10),
	} {
		c, err := ask(tokens, "Bearer "+token)
		if !fault.Is(err, fault.Unauthenticated) || c.Tenant != "" {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		if err != nil && (strings.Contains(err.Error(), tenant) || strings.Contains(err.Error(), "a-person")) {
			t.Errorf("%s: the error tells: %v", name, err)
		}
	}
	for name, with := range map[string]map[string]any{
		"with a minute's skew":      {"nbf": noon.Add(50 * time.Second).Unix(), "iat": noon.Add(50 * time.Second).Unix()},
		"just expired":              {"exp": noon.Add(-50 * time.Second).Unix()},
		"for several":               {"aud": []string{"api://other", audience}},
		"of an app, without a user": {"oid": nil},
		"without roles":             {"roles": nil},
	} {
		if _, err := ask(tokens, "Bearer "+claims(with)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ask(tokens, "Basic "+good); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("another scheme: %v", err)
	}
}

// A token is verified once, and is good no longer than it says.
func TestRemembered(t *testing.T) {
	i := newIssuer(t)
	tokens, at := open(t, i)
	token := "Bearer " + i.token("k1", i.claims(noon, nil))
	if _, err := ask(tokens, token); err != nil {
		t.Fatal(err)
	}
	i.set(func() { i.down = true })
	at.advance(time.Hour + 50*time.Second)
	if _, err := ask(tokens, token); err != nil {
		t.Errorf("within its time: %v", err)
	}
	at.advance(11 * time.Second)
	if _, err := ask(tokens, token); err == nil {
		t.Error("past its time it is let in")
	}
}

func TestRotation(t *testing.T) {
	i := newIssuer(t)
	tokens, at := open(t, i)
	old := i.token("k1", i.claims(noon, map[string]any{"n": 1}))
	if _, err := ask(tokens, "Bearer "+old); err != nil {
		t.Fatal(err)
	}
	i.rotate(t, "k2")
	at.advance(10 * time.Second)
	if _, err := ask(tokens, "Bearer "+i.token("k2", i.claims(noon, nil))); err != nil {
		t.Errorf("a new key: %v", err)
	}
	// The library answers a moment before it puts the keys away that it was given.
	withdrawn := func(n int) error {
		_, err := ask(tokens, "Bearer "+i.token("k1", i.claims(noon, map[string]any{"n": n})))
		return err
	}
	for n := 1000; withdrawn(n) == nil; n++ {
		if runtime.Gosched(); n == 3000 {
			t.Fatal("a key that was withdrawn stays good")
		}
	}
	// Who names keys that are not there does not make us ask each time.
	before := i.asked
	for n := range 50 {
		if err := withdrawn(n + 100); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("a key that was withdrawn: %v", err)
		}
	}
	if i.asked > before+1 {
		t.Errorf("asked %d times for a key that is not there", i.asked-before)
	}
	// A key that is no longer shown is forgotten after an hour, though nobody named another.
	i.rotate(t, "k3")
	at.advance(2 * time.Hour)
	if _, err := ask(tokens, "Bearer "+i.token("k2", i.claims(at.Now(), nil))); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a key of two hours ago: %v", err)
	}
}

func TestIssuerDown(t *testing.T) {
	i := newIssuer(t)
	i.down = true
	tokens, at := open(t, i)
	token := func(n int) string { return "Bearer " + i.token("k1", i.claims(at.Now(), map[string]any{"n": n})) }
	if _, err := ask(tokens, token(1)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("nobody knows whether it is good: %v", err)
	}
	i.set(func() { i.down = false })
	at.advance(10 * time.Second)
	if _, err := ask(tokens, token(2)); err != nil {
		t.Errorf("up again: %v", err)
	}
	i.set(func() { i.down = true })
	for n, d := range []time.Duration{time.Minute, 2 * time.Hour, 2 * time.Hour} {
		at.advance(d)
		if _, err := ask(tokens, token(10+n)); n < 2 && err != nil {
			t.Errorf("after %v the keys that were known are not: %v", d, err)
		}
	}
}

// Many tokens at once make one request for keys.
func TestTogether(t *testing.T) {
	i := newIssuer(t)
	tokens, _ := open(t, i)
	var wg sync.WaitGroup
	for n := range 20 {
		token := "Bearer " + i.token("k1", i.claims(noon, map[string]any{"n": n}))
		wg.Go(func() {
			if _, err := ask(tokens, token); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if i.asked != 1 {
		t.Errorf("asked %d times", i.asked)
	}
}

func TestCancelled(t *testing.T) {
	stuck := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stuck) })
	i := newIssuer(t)
	tokens, err := entra.New(entra.Options{Issuer: i.URL, Keys: server.URL, Audience: audience, Now: (&clock{now: noon}).Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest("GET", "/", nil).WithContext(ctx)
	r.Header.Set("Authorization", "Bearer "+i.token("k1", i.claims(noon, nil)))
	if _, err := tokens.Authenticate(r); !fault.Is(err, fault.Cancelled) {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	if _, err := entra.New(entra.Options{}); !fault.Is(err, fault.Unconfigured) {
		t.Error(err)
	}
	o := entra.Directory("d", "a")
	if o.Issuer != "https://login.microsoftonline.com/d/v2.0" || !strings.HasPrefix(o.Keys, "https://login.microsoftonline.com/d/") {
		t.Errorf("%+v", o)
	}
}

func FuzzTokens(f *testing.F) {
	f.Add("a.b.c")
	f.Add(part(map[string]string{"alg": "RS256"}) + "." + part(map[string]int{"exp": 1}) + ".AAAA")
	tokens, err := entra.New(entra.Options{Issuer: "i", Keys: "http://127.0.0.1:1", Audience: "a"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if c, err := ask(tokens, "Bearer "+token); err == nil {
			t.Errorf("let in: %+v", c)
		}
	})
}
