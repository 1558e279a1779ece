package scoring

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"time"

	"polis/handler/internal/book"
	"polis/handler/internal/fault"
	"polis/handler/internal/feedback"
	"polis/handler/internal/nbp"
	"polis/handler/internal/portfolio"
)

// Current finds a tenant's current models.
type Current interface {
	Current(ctx context.Context, tenant string) (*Models, error)
}

// Service scores on request: customers that are stored, or aggregates as they are sent.
type Service struct {
	book   *book.Book
	models Current
	now    func() time.Time
	idle   sync.Map // of models' version, a *sync.Pool of *Scorer
}

// NewService is a service over a book.
func NewService(b *book.Book, m Current, now func() time.Time) *Service {
	if b == nil || m == nil || now == nil {
		panic("scoring: a dependency is missing")
	}
	return &Service{book: b, models: m, now: now}
}

// MaxItems is how many customers or aggregates one request may have.
const MaxItems = 100

// Request asks one engine for scores: of customers by id, or of aggregates. As of
// today where it says nothing else.
type Request struct {
	AsOf       portfolio.Date        `json:"as_of,omitzero"`
	Customers  []string              `json:"customers,omitempty"`
	Aggregates []portfolio.Aggregate `json:"aggregates,omitempty"`
}

// NoteGiven looks in the JSON that the request was decoded from for what its aggregates must
// have and do not: see portfolio.Given.
func (q *Request) NoteGiven(body []byte) error {
	unsure := false
	for i := range q.Aggregates {
		unsure = unsure || q.Aggregates[i].Unsure()
	}
	if !unsure {
		return nil
	}
	var given struct {
		Aggregates []portfolio.Given `json:"aggregates"`
	}
	if err := json.Unmarshal(body, &given); err != nil {
		return fault.Wrap(fault.Malformed, err, "looking for required fields")
	}
	for i := range q.Aggregates {
		q.Aggregates[i].Note(&given.Aggregates[i])
	}
	return nil
}

// ItemError says why one of a request's items has no score.
type ItemError struct {
	Index  int    `json:"index"`
	Detail string `json:"detail"`
}

// Answer is the scores, each as JSON, in the order of the request; an item that has
// none is in Errors.
type Answer struct {
	Scores [][]byte
	Errors []ItemError
}

// Score answers a request. What is wrong with the request as a whole is an error.
func (s *Service) Score(ctx context.Context, tenant string, e Engine, q *Request) (*Answer, error) {
	if err := q.check(portfolio.DateOf(s.now())); err != nil {
		return nil, err
	}
	m, err := s.models.Current(ctx, tenant)
	if err != nil {
		return nil, err
	}
	scorer, err := s.scorer(m)
	if err != nil {
		return nil, err
	}
	defer s.release(m, scorer)
	for i := range q.Aggregates {
		q.Aggregates[i].NameBranches(m.BranchNames)
	}
	a := &Answer{}
	at := s.now()
	if len(q.Aggregates) > 0 {
		s.aggregates(scorer, tenant, e, q, at, a)
		return a, nil
	}
	t, err := s.book.Tenant(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for i, id := range q.Customers {
		score, err := s.customer(ctx, scorer, t, e, id, q.AsOf, at)
		switch {
		case fault.Is(err, fault.NotFound):
			a.Errors = append(a.Errors, ItemError{i, "no such customer"})
		case err != nil:
			return nil, err
		default:
			a.Scores = append(a.Scores, score)
		}
	}
	return a, nil
}

func (q *Request) check(today portfolio.Date) error {
	invalid := func(pointer, detail string) error {
		return &fault.Error{Kind: fault.Invalid, Detail: "the request breaks a rule", Fields: []fault.Field{{Pointer: pointer, Detail: detail}}}
	}
	switch {
	case len(q.Customers) == 0 && len(q.Aggregates) == 0:
		return invalid("", "needs customers or aggregates")
	case len(q.Customers) > 0 && len(q.Aggregates) > 0:
		return invalid("/aggregates", "goes without customers")
	case len(q.Customers) > MaxItems:
		return invalid("/customers", "has more than 100 items")
	case len(q.Aggregates) > MaxItems:
		return invalid("/aggregates", "has more than 100 items")
	case q.AsOf > today+1: // east of UTC tomorrow has begun
		return invalid("/as_of", "is after today")
	}
	if q.AsOf == 0 {
		q.AsOf = today
	}
	fields := twice("/customers", q.Customers)
	sent := map[string]bool{}
	for i := range q.Aggregates {
		a := &q.Aggregates[i]
		pointer := "/aggregates/" + strconv.Itoa(i)
		fields = append(fields, a.Check(pointer, today)...)
		if id := a.ID(); id != "" && sent[id] { // it would be two members of one relation
			fields = append(fields, fault.Field{Pointer: pointer + "/customers/0/customer_id", Detail: "is that of an aggregate before it"})
		}
		sent[a.ID()] = true
		a.Normalise(q.AsOf)
	}
	if len(fields) > 0 {
		return &fault.Error{Kind: fault.Invalid, Detail: "the request breaks rules", Fields: fields[:min(len(fields), 100)]}
	}
	return nil
}

// twice finds the ids of a list that stand before in it: who asks for one customer twice means
// another.
func twice(pointer string, ids []string) (out []fault.Field) {
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			out = append(out, fault.Field{Pointer: pointer + "/" + strconv.Itoa(i), Detail: "is asked for before it"})
		}
	}
	return out
}

// Declined are the offers that a customer declined, of its feedback as it is stored.
func Declined(body []byte) ([]nbp.Decline, error) {
	h, err := feedback.Read(body)
	if err != nil {
		return nil, err
	}
	return DeclinedIn(&h), nil
}

// DeclinedIn are the offers that were declined in a customer's history. Each counts from the
// day on which it was recorded: before, no score knew of it.
func DeclinedIn(h *feedback.History) (out []nbp.Decline) {
	for about, on := range h.Declines() {
		out = append(out, nbp.Decline{Group: about, On: on})
	}
	return out
}

func (s *Service) scorer(m *Models) (*Scorer, error) {
	pool, _ := s.idle.LoadOrStore(m.Version, &sync.Pool{})
	if sc, ok := pool.(*sync.Pool).Get().(*Scorer); ok {
		return sc, nil
	}
	return assemble(m)
}

func (s *Service) release(m *Models, sc *Scorer) {
	if pool, ok := s.idle.Load(m.Version); ok {
		pool.(*sync.Pool).Put(sc)
	}
}

// aggregates scores what was sent; those of one relation see each other.
func (s *Service) aggregates(sc *Scorer, tenant string, e Engine, q *Request, at time.Time, a *Answer) {
	scores := make([][]byte, len(q.Aggregates))
	relations := map[string][]int{}
	var order []string
	for i := range q.Aggregates {
		key := q.Aggregates[i].Latest().Relation()
		if relations[key] == nil {
			order = append(order, key)
		}
		relations[key] = append(relations[key], i)
	}
	var members []Subject
	for _, key := range order {
		members = members[:0]
		for _, i := range relations[key] {
			members = append(members, Subject{Aggregate: &q.Aggregates[i]})
		}
		for k, sh := range sc.Relation(members, q.AsOf, NewSet(e)) {
			scores[relations[key][k]] = sh.AppendJSON(nil, e, tenant, at)
		}
	}
	a.Scores = scores
}

// customer scores a stored customer, among the members of its relation.
func (s *Service) customer(ctx context.Context, sc *Scorer, t book.Tenant, e Engine, id string, asOf portfolio.Date, at time.Time) ([]byte, error) {
	r, err := s.book.Customer(ctx, t, id)
	if err != nil {
		return nil, err
	}
	members, i, err := Members(ctx, s.book, t, &r, asOf)
	if err != nil {
		return nil, err
	}
	return sc.Relation(members, asOf, NewSet(e))[i].AppendJSON(nil, e, t.ID, at), nil
}

// Members are those who may have been of a customer's relation on a date: who are now, and
// who are now of the relation that the customer was of then. It says which is the customer.
func Members(ctx context.Context, b *book.Book, t book.Tenant, r *book.Record, asOf portfolio.Date) ([]Subject, int, error) {
	keys := []string{r.Relation}
	var v portfolio.View
	v.Reset(r.Aggregate, asOf, portfolio.EndTable{})
	if then := v.Relation(); then != "" && then != r.Relation {
		keys = append(keys, then)
	}
	var list []*book.Member
	for _, key := range keys {
		rel, err := b.Relation(ctx, t, key)
		if err != nil {
			return nil, 0, err
		}
		for _, m := range rel.Members {
			if m.Err == nil && !slices.ContainsFunc(list, func(o *book.Member) bool { return o.ID == m.ID }) {
				list = append(list, m)
			}
		}
	}
	slices.SortFunc(list, func(a, b *book.Member) int { return cmp.Compare(a.ID, b.ID) }) // as a run meets them
	var out []Subject
	at := -1
	for i, m := range list {
		if m.ID == r.Aggregate.ID() {
			at = i
		}
		declined, err := Declined(m.Feedback)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, Subject{Aggregate: m.Aggregate, Body: m.Body, Declined: declined})
	}
	if at < 0 {
		return nil, 0, fault.New(fault.Unavailable, "the customer is being moved: try again")
	}
	return out, at, nil
}
