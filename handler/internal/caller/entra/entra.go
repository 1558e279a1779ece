// Package entra lets in who has an access token of Microsoft Entra ID (RFC 9068, RFC 7519): an
// app role is a role, and a claim names the tenant.
package entra

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	lru "github.com/hashicorp/golang-lru/v2"

	"polis/handler/internal/caller"
	"polis/handler/internal/fault"
)

// Options are whose tokens are taken.
type Options struct {
	Issuer   string // as in tokens: https://login.microsoftonline.com/DIRECTORY/v2.0
	Keys     string // where its public keys are: https://login.microsoftonline.com/DIRECTORY/discovery/v2.0/keys
	Audience string // the API's application id, or its URI
	Tenant   string // the claim that names the tenant; default tid, the directory
	Client   *http.Client
	Now      func() time.Time // default time.Now
}

// Directory are the options for a directory of Entra ID, by its id.
func Directory(id, audience string) Options {
	const host = "https://login.microsoftonline.com/"
	return Options{Issuer: host + id + "/v2.0", Keys: host + id + "/discovery/v2.0/keys", Audience: audience}
}

const (
	// skew is by how much clocks may differ.
	skew = time.Minute
	// algorithm is the only one that Entra ID signs with. What a token says of it is not asked.
	algorithm = oidc.RS256
	// remembered is how many verified tokens are kept, each until it expires.
	remembered = 10_000
	// longest is the longest token that is looked at: Entra ID's are 2 to 4 KB.
	longest = 16 << 10
)

// Tokens implements caller.Authenticator.
type Tokens struct {
	verifier *oidc.IDTokenVerifier
	tenant   string
	now      func() time.Time
	seen     *lru.Cache[[sha256.Size]byte, verified]
}

// verified is a token that was found good.
type verified struct {
	caller  caller.Caller
	expires time.Time
}

var _ caller.Authenticator = (*Tokens)(nil)

// New takes tokens. It asks the issuer for its keys when the first token comes.
func New(o Options) (*Tokens, error) {
	if o.Issuer == "" || o.Keys == "" || o.Audience == "" {
		return nil, fault.New(fault.Unconfigured, "tokens need an issuer, its keys and an audience")
	}
	if o.Tenant == "" {
		o.Tenant = "tid"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 5 * time.Second}
	}
	seen, err := lru.New[[sha256.Size]byte, verified](remembered)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "making a place for tokens")
	}
	keys := &keys{url: o.Keys, client: o.Client, now: o.Now}
	return &Tokens{
		verifier: oidc.NewVerifier(o.Issuer, keys, &oidc.Config{
			ClientID: o.Audience, SupportedSigningAlgs: []string{algorithm},
			SkipExpiryCheck: true, // it allows no skew; see check
		}),
		tenant: o.Tenant, now: o.Now, seen: seen,
	}, nil
}

// claims are those of a token that matter here.
type claims struct {
	Expires   int64    `json:"exp"`
	NotBefore int64    `json:"nbf"`
	Issued    int64    `json:"iat"`
	Object    string   `json:"oid"`
	Subject   string   `json:"sub"`
	Roles     []string `json:"roles"`
	Nonce     string   `json:"nonce"`
}

// Authenticate implements caller.Authenticator: Authorization: Bearer and a token. A token that
// was found good once is remembered until it expires. An issuer that cannot be asked is
// fault.Unavailable: the token may be good.
func (t *Tokens) Authenticate(r *http.Request) (caller.Caller, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return caller.Caller{}, fault.New(fault.Unauthenticated, "send Authorization: Bearer and an access token")
	}
	if len(token) > longest {
		return caller.Caller{}, fault.New(fault.Unauthenticated, "the access token is too long")
	}
	key := sha256.Sum256([]byte(token))
	if v, ok := t.seen.Get(key); ok {
		if t.now().Before(v.expires.Add(skew)) {
			return v.caller, nil
		}
		t.seen.Remove(key)
	}
	v, err := t.verify(r.Context(), token)
	if err != nil {
		return caller.Caller{}, err
	}
	t.seen.Add(key, v)
	return v.caller, nil
}

func (t *Tokens) verify(ctx context.Context, token string) (verified, error) {
	var asked error // what asking the issuer came to, which the verifier does not pass on
	good, err := t.verifier.Verify(context.WithValue(ctx, askedKey{}, &asked), token)
	switch {
	case asked != nil && ctx.Err() != nil:
		return verified{}, fault.Wrap(fault.Cancelled, ctx.Err(), "verifying an access token")
	case asked != nil:
		return verified{}, fault.Wrap(fault.Unavailable, asked, "asking the issuer of access tokens for its keys")
	case err != nil:
		return verified{}, refused("it is not one of the issuer's for this service")
	}
	var c claims
	var all map[string]json.RawMessage
	if err := errors.Join(good.Claims(&c), good.Claims(&all)); err != nil {
		return verified{}, refused("its claims cannot be read")
	}
	return t.check(c, all)
}

// refused says why in words that are fit for anybody: never what the token holds.
func refused(why string) error {
	return fault.New(fault.Unauthenticated, "the access token is not good: %s", why)
}

func (t *Tokens) check(c claims, all map[string]json.RawMessage) (verified, error) {
	now, expires := t.now(), time.Unix(c.Expires, 0)
	var tenant string
	switch {
	case c.Expires == 0 || c.Issued == 0:
		return verified{}, refused("it does not say for how long it is")
	case !now.Before(expires.Add(skew)):
		return verified{}, refused("it has expired")
	case now.Add(skew).Before(time.Unix(c.NotBefore, 0)) || now.Add(skew).Before(time.Unix(c.Issued, 0)):
		return verified{}, refused("its time has not come")
	case c.Nonce != "":
		return verified{}, refused("it is an ID token, which says who somebody is and not what they may do")
	case json.Unmarshal(all[t.tenant], &tenant) != nil || tenant == "":
		return verified{}, refused("it names no tenant")
	}
	out := caller.Caller{Tenant: strings.ToLower(tenant), Subject: c.Object}
	if out.Subject == "" {
		out.Subject = c.Subject
	}
	if out.Subject == "" {
		return verified{}, refused("it does not say who it is")
	}
	for _, role := range c.Roles {
		if r := caller.Role(role); r == caller.Admin || slices.Contains(caller.Roles, r) {
			out.Roles = append(out.Roles, r)
		}
	}
	return verified{out, expires}, nil
}

// askedKey is that of where keys put what went wrong with asking the issuer.
type askedKey struct{}

// keys are an issuer's public keys. They are asked for when a token names one that is not
// known, so that a new key is known at once, but not more often than every few seconds,
// whatever tokens name; and anew every hour, so that a key that was withdrawn is not for ever.
type keys struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu     sync.Mutex
	set    oidc.KeySet
	since  time.Time
	before oidc.KeySet // while the issuer cannot be asked
}

const (
	freshFor = time.Hour
	pause    = 5 * time.Second
)

// VerifySignature implements oidc.KeySet.
func (k *keys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	k.mu.Lock()
	if now := k.now(); k.set == nil || now.Sub(k.since) > freshFor {
		asking := &http.Client{Timeout: k.client.Timeout, Transport: &seldom{next: k.client.Transport, now: k.now}}
		k.before, k.since = k.set, now
		k.set = oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), asking), k.url)
	}
	set, before := k.set, k.before
	k.mu.Unlock()
	payload, err := set.VerifySignature(ctx, token)
	var down *unreachable
	if !errors.As(err, &down) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return payload, err
	}
	if before != nil {
		if payload, err := before.VerifySignature(ctx, token); err == nil {
			return payload, nil
		}
	}
	if asked, ok := ctx.Value(askedKey{}).(*error); ok {
		*asked = err
	}
	return nil, err
}

// unreachable is that the issuer gave no keys.
type unreachable struct{ cause error }

func (u *unreachable) Error() string { return "the issuer gives no keys: " + u.cause.Error() }

func (u *unreachable) Unwrap() error { return u.cause }

// seldom asks again no sooner than after a pause: till then it answers as before.
type seldom struct {
	next http.RoundTripper
	now  func() time.Time

	mu     sync.Mutex
	at     time.Time
	status int
	body   []byte
	err    error
}

// RoundTrip implements http.RoundTripper.
func (s *seldom) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); s.at.IsZero() || now.Sub(s.at) > pause || now.Before(s.at) {
		s.at = now
		s.status, s.body, s.err = s.ask(r)
	}
	if s.err != nil {
		return nil, &unreachable{s.err}
	}
	return &http.Response{
		StatusCode: s.status, Status: http.StatusText(s.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: body(s.body), Request: r,
	}, nil
}

func body(b []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }

// largest is the most that is read of an answer: Entra ID's keys are about 15 KB.
const largest = 1 << 20

func (s *seldom) ask(r *http.Request) (status int, answer []byte, err error) {
	next := s.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, largest))
	err = errors.Join(err, resp.Body.Close())
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New("it answers with status " + resp.Status)
	}
	return resp.StatusCode, answer, err
}
