// Package caller says who is calling: which tenant, and what it may do. Every request
// yields a caller before any route is reached.
package caller

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"

	"polis/handler/internal/fault"
)

// Role is something that a caller may do.
type Role string

// The roles.
const (
	ScoresRead     Role = "scores.read"
	ScoresRun      Role = "scores.run"
	PortfolioWrite Role = "portfolio.write"
	ActionsWrite   Role = "actions.write"
	ReviewsWrite   Role = "reviews.write" // a person who may change what is done with a score (GDPR art. 22(3))
	Admin          Role = "admin"         // all of them
)

// Roles are all roles but Admin.
var Roles = []Role{ScoresRead, ScoresRun, PortfolioWrite, ActionsWrite, ReviewsWrite}

// Caller is who calls.
type Caller struct {
	Tenant  string
	Subject string // who it is, by an id that the one who lets callers in has for it
	Roles   []Role
}

// May reports whether the caller has the role.
func (c Caller) May(r Role) bool {
	return slices.Contains(c.Roles, r) || slices.Contains(c.Roles, Admin)
}

// Authenticator finds the caller of a request; fault.Unauthenticated where there is none.
type Authenticator interface {
	Authenticate(r *http.Request) (Caller, error)
}

// Nobody lets nobody in: what there is where no way in is configured.
type Nobody struct{}

// Authenticate implements Authenticator.
func (Nobody) Authenticate(*http.Request) (Caller, error) {
	return Caller{}, fault.New(fault.Unauthenticated, "no way to sign in is configured")
}

// Key is a development key: who has it is the tenant. The file holds a digest only.
type Key struct {
	SHA256  string `json:"sha256"` // hex, of the key
	Tenant  string `json:"tenant"`
	Subject string `json:"subject,omitempty"` // by default the digest's beginning
	Roles   []Role `json:"roles"`
}

// Keys lets in who has a development key, on one's own computer.
type Keys struct{ by map[[sha256.Size]byte]Caller }

// ReadKeys reads a file of development keys.
func ReadKeys(path string) (*Keys, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "reading the development keys")
	}
	var list []Key
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fault.Wrap(fault.Unconfigured, err, "reading the development keys")
	}
	return NewKeys(list)
}

// NewKeys is the keys of a list.
func NewKeys(list []Key) (*Keys, error) {
	k := &Keys{by: map[[sha256.Size]byte]Caller{}}
	for _, e := range list {
		sum, err := hex.DecodeString(e.SHA256)
		if err != nil || len(sum) != sha256.Size || e.Tenant == "" {
			return nil, fault.New(fault.Unconfigured, "a development key needs sha256, 64 hex digits, and a tenant")
		}
		c := Caller{e.Tenant, e.Subject, e.Roles}
		if c.Subject == "" {
			c.Subject = "key-" + strings.ToLower(e.SHA256[:8])
		}
		k.by[[sha256.Size]byte(sum)] = c
	}
	return k, nil
}

// Digest is what a keys file holds of a key.
func Digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Authenticate implements Authenticator: Authorization: Bearer <key>. Looking a digest
// up in a map tells nothing of the key by how long it takes.
func (k *Keys) Authenticate(r *http.Request) (Caller, error) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || key == "" {
		return Caller{}, fault.New(fault.Unauthenticated, "send Authorization: Bearer and a key")
	}
	c, ok := k.by[sha256.Sum256([]byte(strings.TrimSpace(key)))]
	if !ok {
		return Caller{}, fault.New(fault.Unauthenticated, "the key is not known")
	}
	return c, nil
}
