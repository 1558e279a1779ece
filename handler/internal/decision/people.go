package decision

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// Person is who did something: by the id and the role with which they called, and nothing
// that names them.
type Person struct {
	Subject string `json:"subject"`
	Role    string `json:"role"`
}

// Reliance is that somebody acted on a score, or against it.
type Reliance struct {
	Outcome string    `json:"outcome"` // followed or overridden
	Reason  string    `json:"reason_code,omitempty"`
	By      Person    `json:"by"`
	At      time.Time `json:"at"`
}

// Review is that a person looks at what was decided with a score (GDPR art. 22(3)).
type Review struct {
	Status      string         `json:"status"` // open, upheld or changed
	Reason      string         `json:"reason_code"`
	Text        string         `json:"text,omitempty"` // what the customer says; in no log
	RequestedBy Person         `json:"requested_by"`
	RequestedAt time.Time      `json:"requested_at"`
	Due         portfolio.Date `json:"due_on"` // a month later: GDPR art. 12(3)
	Outcome     *Outcome       `json:"outcome,omitempty"`
}

// Outcome is what the person found.
type Outcome struct {
	Reason string    `json:"reason_code"`
	Text   string    `json:"text,omitempty"`
	By     Person    `json:"by"`
	At     time.Time `json:"at"`
}

// Open is a review that waits for a person.
type Open struct {
	Decision    string         `json:"decision_id"`
	Engine      string         `json:"engine"`
	Customer    string         `json:"customer_id"`
	Reason      string         `json:"reason_code"`
	RequestedAt time.Time      `json:"requested_at"`
	Due         portfolio.Date `json:"due_on"`
}

const (
	maxText    = 2000 // characters: a page, which a reviewer reads
	maxCode    = 64   // of a reason
	codeLetter = "abcdefghijklmnopqrstuvwxyz0123456789_"
	maxTold    = 100 // of reliances and of reviews kept with a decision: more is a mistake
)

func invalid(pointer, detail string) error {
	return &fault.Error{Kind: fault.Invalid, Detail: "the request breaks a rule", Fields: []fault.Field{{Pointer: pointer, Detail: detail}}}
}

// checkReason holds a reason to a code, so that nobody is described in it.
func checkReason(code string, needed bool) error {
	if code == "" && !needed {
		return nil
	}
	if code == "" || len(code) > maxCode || strings.Trim(code, codeLetter) != "" {
		return invalid("/reason_code", "is a code of 1 to 64 of a-z, 0-9 and _")
	}
	return nil
}

func checkText(text string) error {
	if utf8.RuneCountInString(text) > maxText {
		return invalid("/text", "has at most 2000 characters")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }) {
		return invalid("/text", "has control characters")
	}
	return nil
}

func (d *Decisions) at() time.Time { return d.now().UTC().Truncate(time.Second) }

// Rely notes that somebody acted on a decision's score, or against it, and keeps its
// record. The same person saying the same again adds nothing.
func (d *Decisions) Rely(ctx context.Context, t book.Tenant, id string, r Reliance) (*Decision, error) {
	if r.Outcome != "followed" && r.Outcome != "overridden" {
		return nil, invalid("/outcome", "is one of followed, overridden")
	}
	if err := checkReason(r.Reason, r.Outcome == "overridden"); err != nil {
		return nil, err
	}
	r.At = d.at()
	return d.change(ctx, t, id, func(dec *Decision) (bool, error) {
		if slices.ContainsFunc(dec.Reliance, func(old Reliance) bool { old.At = r.At; return old == r }) {
			return false, nil
		}
		if len(dec.Reliance) >= maxTold {
			return false, fault.New(fault.Conflict, "the decision was relied on %d times already", maxTold)
		}
		dec.Reliance = append(dec.Reliance, r)
		return true, nil
	})
}

// Review asks for a person to look at a decision, and keeps its record. There is one open
// review of a decision at a time: who asks while one is open gets that. It reports whether
// this one is new.
func (d *Decisions) Review(ctx context.Context, t book.Tenant, id string, r Review) (*Review, bool, error) {
	if err := checkReason(r.Reason, true); err != nil {
		return nil, false, err
	}
	if err := checkText(r.Text); err != nil {
		return nil, false, err
	}
	r.Status, r.RequestedAt, r.Outcome = "open", d.at(), nil
	r.Due = portfolio.DateOf(d.now()).AddMonths(1)
	// Listed before it is there: cut off in between it is not asked for, and not listed
	// either, since the list looks whether it is.
	if _, err := d.Get(ctx, t, id); err != nil {
		return nil, false, err
	}
	if err := d.book.OpenReview(ctx, t, id, true); err != nil {
		return nil, false, err
	}
	made := false
	dec, err := d.change(ctx, t, id, func(dec *Decision) (bool, error) {
		if made = dec.open() == nil; !made {
			return false, nil
		}
		if len(dec.Reviews) >= maxTold {
			return false, fault.New(fault.Conflict, "the decision was reviewed %d times already", maxTold)
		}
		dec.Reviews = append(dec.Reviews, r)
		return true, nil
	})
	if err != nil {
		return nil, false, err
	}
	return dec.open(), made, nil
}

// open is the decision's open review; nil for none.
func (dec *Decision) open() *Review {
	if n := len(dec.Reviews); n > 0 && dec.Reviews[n-1].Status == "open" {
		return &dec.Reviews[n-1]
	}
	return nil
}

// Decide ends the open review of a decision: what was decided stands, upheld, or changed.
// The same person saying the same again changes nothing; fault.Conflict where no review is
// open.
func (d *Decisions) Decide(ctx context.Context, t book.Tenant, id, status string, o Outcome) (*Review, error) {
	if status != "upheld" && status != "changed" {
		return nil, invalid("/outcome", "is one of upheld, changed")
	}
	if err := checkReason(o.Reason, true); err != nil {
		return nil, err
	}
	if err := checkText(o.Text); err != nil {
		return nil, err
	}
	o.At = d.at()
	dec, err := d.change(ctx, t, id, func(dec *Decision) (bool, error) {
		r := dec.open()
		if r == nil {
			if n := len(dec.Reviews); n > 0 {
				last := *dec.Reviews[n-1].Outcome
				if last.At = o.At; last == o && dec.Reviews[n-1].Status == status {
					return false, nil
				}
			}
			return false, fault.New(fault.Conflict, "no review of the decision is open")
		}
		r.Status, r.Outcome = status, &o
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return &dec.Reviews[len(dec.Reviews)-1], d.book.OpenReview(ctx, t, id, false)
}

// Open lists the reviews that wait for a person, the one that is due first before the others.
func (d *Decisions) Open(ctx context.Context, t book.Tenant) ([]Open, error) {
	var out []Open
	for id, err := range d.book.OpenReviews(ctx, t) {
		if err != nil {
			return nil, err
		}
		dec, err := d.Get(ctx, t, id)
		if fault.Is(err, fault.NotFound) {
			continue // the customer is being erased
		}
		if err != nil {
			return nil, err
		}
		if r := dec.open(); r != nil {
			out = append(out, Open{id, dec.Engine.String(), dec.Customer, r.Reason, r.RequestedAt, r.Due})
		}
	}
	slices.SortStableFunc(out, func(a, b Open) int { return int(a.Due) - int(b.Due) })
	return out, nil
}
