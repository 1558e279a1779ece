package run

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"polis/handler/internal/actions"
	"polis/handler/internal/book"
	"polis/handler/internal/defend"
	"polis/handler/internal/deflate"
	"polis/handler/internal/effect"
	"polis/handler/internal/fault"
	"polis/handler/internal/feedback"
	"polis/handler/internal/score"
	"polis/handler/internal/scoring"
	"polis/handler/internal/store"
)

// chunk is what a chunk that is done records of itself.
type chunk struct {
	Bucket int `json:"bucket"`
	Before int `json:"retries_before,omitempty"` // what deliveries in vain may have spent: see Allowance
	Tally
	Actions int          `json:"actions_due"`
	Care    int          `json:"care_due"`   // of these
	Advice  int          `json:"advice_due"` // and of these
	Counted effect.Tally `json:"counted,omitzero"`
}

// Work does one chunk, unless it is done, sends for the next of its lane, and completes the run
// if that was the last one. A request for what cannot be found is fault.NotFound: it will never succeed.
func (r *Runs) Work(ctx context.Context, req ChunkRequest) error {
	ctx = store.Allowing(ctx, FewestRetries)
	t, err := r.book.Tenant(ctx, req.Tenant)
	if err != nil {
		return err
	}
	run, err := r.find(ctx, req.Tenant, req.Run)
	if err != nil {
		return err
	}
	if req.Bucket < 0 || req.Bucket >= run.Chunks {
		return fault.New(fault.Invalid, "the run has no chunk %d", req.Bucket)
	}
	own := chunkDocument(chunkKey, run, req.Bucket)
	there, err := r.store.GetMany(ctx, shared(t.ID), []string{doneKey + run.ID, own})
	if err != nil {
		return err
	}
	find := func(key string) int {
		return slices.IndexFunc(there, func(d store.Document) bool { return d.Key == key })
	}
	if find(doneKey+run.ID) >= 0 {
		return r.settle(ctx, run)
	}
	spent := req.Spent
	allowance := func() int { return Allowance(req.Bucket, run.width(), run.Chunks, spent) }
	if i := find(own); i >= 0 {
		var c chunk
		if err := json.Unmarshal(there[i].Body, &c); err != nil {
			return fault.Wrap(fault.Internal, err, "decoding a chunk's record")
		}
		spent += c.spent()
	} else {
		for range req.Before {
			spent += allowance()
		}
		meter, before := store.NewMeter(), spent-req.Spent
		err := r.score(store.Allowing(store.Metered(ctx, meter), allowance()), t, run, chunk{Bucket: req.Bucket, Before: before}, meter)
		spent += int(meter.Retries.Load())
		if err != nil {
			// Where the lane cannot be passed on, that is what counts: a message that goes to the
			// dead letters would take the lane with it, and one that comes again tries both again.
			if lost := r.pass(ctx, run, req.Bucket, spent, err); lost != nil {
				return fmt.Errorf("passing on the lane of a chunk that failed: %w", lost)
			}
			return fmt.Errorf("scoring chunk %d of run %s: %w", req.Bucket, run.ID, err)
		}
	}
	if err := r.follow(ctx, run, req.Bucket, spent); err != nil {
		return err
	}
	if others, err := r.othersDone(ctx, run, req.Bucket); err != nil || !others {
		return err
	}
	return r.complete(ctx, run)
}

// othersDone reports whether all chunks but one are done. Chunks are mostly done in order: it
// begins behind that one, where it mostly finds soon that there is more to do.
func (r *Runs) othersDone(ctx context.Context, run Run, bucket int) (bool, error) {
	next := bucket + 1
	count := func(after string, until int) error {
		for d, err := range r.store.Scan(ctx, shared(run.Tenant), chunkKey+run.ID+"\x1f", after) {
			if err != nil {
				return err
			}
			if next == until || d.Key != chunkDocument(chunkKey, run, next) {
				return nil
			}
			next++
		}
		return nil
	}
	if err := count(chunkDocument(chunkKey, run, bucket), run.Chunks); err != nil || next < run.Chunks {
		return false, err
	}
	next = 0
	err := count("", bucket)
	return next == bucket, err
}

func chunkDocument(kind string, run Run, bucket int) string {
	return fmt.Sprintf("%s%s\x1f%05d", kind, run.ID, bucket)
}

// score scores a bucket's customers in one pass and records the chunk as done. A
// repeat after a kill finds what it wrote before by the run's mark and counts it as
// changed by this run, so the tally is the same. The meter is the context's.
func (r *Runs) score(ctx context.Context, t book.Tenant, run Run, c chunk, meter *store.Meter) error {
	models, err := r.models.Version(ctx, t.ID, run.Model)
	if err != nil {
		return err
	}
	scorer, err := scoring.New(models)
	if err != nil {
		return err
	}
	w := &worker{
		meter: meter,
		runs:  r, run: run, scorer: scorer, out: r.book.Writer(t, c.Bucket), started: r.now(), done: c,
		mark: scoring.RunMark(run.ID), set: scoring.NewSet(run.Engines...), tenant: t.ID,
	}
	w.feedback = &models.Settings.Feedback
	w.top = actions.NewTop(&w.feedback.List)
	if w.set.Has(scoring.Defend) {
		if w.counter, err = effect.NewCounter(models, run.AsOf); err != nil {
			return err
		}
	}
	w.done.Engines = map[scoring.Engine]*EngineTally{}
	for _, e := range run.Engines {
		w.done.Engines[e] = &EngineTally{}
	}
	var orphans []string
	// What was written this second may be missed: it is scored by the next run.
	for rel, err := range r.book.Relations(store.Stale(ctx), t, c.Bucket, func(key string) { orphans = append(orphans, key) }) {
		if err != nil {
			return err
		}
		if err := w.relation(ctx, rel); err != nil {
			return err
		}
	}
	for _, key := range orphans {
		if err := r.book.DeleteOrphan(ctx, t, w.out, key); err != nil {
			return err
		}
	}
	if err := w.out.Flush(ctx); err != nil {
		return err
	}
	return w.record(ctx)
}

// worker is the state of one chunk's pass.
type worker struct {
	meter    *store.Meter
	runs     *Runs
	run      Run
	tenant   string
	scorer   *scoring.Scorer
	out      *book.Writer
	mark     uint64
	set      scoring.Set
	started  time.Time
	done     chunk
	top      *actions.Top
	feedback *feedback.Settings
	counter  *effect.Counter // nil where the run makes no list
	members  []scoring.Subject
	alive    []*book.Member
	said     []feedback.History // by member, what was suggested and said
	follow   []effect.Member
}

func (w *worker) relation(ctx context.Context, rel *book.Relation) error {
	w.members, w.alive, w.said = w.members[:0], w.alive[:0], w.said[:0]
	for _, m := range rel.Members {
		w.done.Customers++
		if m.Err != nil {
			w.fail("stored aggregate is damaged", 1)
			continue
		}
		h, err := feedback.Read(m.Feedback)
		if err != nil {
			return err
		}
		w.members = append(w.members, scoring.Subject{Aggregate: m.Aggregate, Body: m.Body, Declined: scoring.DeclinedIn(&h)})
		w.alive, w.said = append(w.alive, m), append(w.said, h)
	}
	if len(w.members) == 0 {
		return nil
	}
	w.count()
	sheets, ok := w.sheets()
	if !ok {
		w.fail("scoring broke off", len(w.members))
		return nil
	}
	for i := range sheets {
		if err := w.sheet(ctx, rel.Key, i, &sheets[i]); err != nil {
			return err
		}
	}
	return nil
}

// count follows what was suggested for the relation before.
func (w *worker) count() {
	if w.counter == nil {
		return
	}
	w.follow = w.follow[:0]
	any := false
	for i := range w.said {
		any = any || len(w.said[i].Suggestions) > 0
		w.follow = append(w.follow, effect.Member{Aggregate: w.members[i].Aggregate, History: &w.said[i]})
	}
	if any {
		w.counter.Relation(w.follow)
	}
}

// sheets scores a relation. One that makes an engine panic is our fault, and a
// failure of its own: the others of the chunk are scored all the same.
func (w *worker) sheets() (sheets []scoring.Sheet, ok bool) {
	defer func() { ok = recover() == nil }()
	return w.scorer.Relation(w.members, w.run.AsOf, w.set), true
}

func (w *worker) fail(why string, n int) {
	if w.done.Failed == nil {
		w.done.Failed = map[string]int{}
	}
	w.done.Failed[why] += n
}

// maxScores is how large a customer's scores may be: those that they supersede are
// written in the same batch.
const maxScores = store.MaxBytes/2 - 4<<10

func (w *worker) sheet(ctx context.Context, relation string, i int, sh *scoring.Sheet) error {
	m := w.alive[i]
	old, err := scoring.Glance(m.Scores)
	changed := sh.Changed(&old, w.set, w.mark)
	// Scores of a later date stay the latest: those of this run are kept beside them. They
	// go by when the run was made, so that a repeat writes the same.
	later := old.After(w.run.AsOf) & w.set
	if later != 0 {
		past := sh.AppendStored(nil, &scoring.Stored{}, later, later, w.mark, w.run.Created)
		if len(past) > maxScores {
			w.fail("too many policies for one document of scores", 1)
			return nil
		}
		of, err := scoring.DecodeStored(past)
		if err != nil {
			return err
		}
		if err := w.out.PutPast(ctx, relation, m.ID, past, of.Name(), w.started.Add(book.HistoryKept)); err != nil {
			return err
		}
	}
	var body []byte
	if set := w.set &^ later; changed&set != 0 && !old.WrittenBy(w.mark) {
		if old.Engines()&^set != 0 { // what these said is kept
			old, err = scoring.DecodeStored(m.Scores)
		}
		if body = sh.AppendStored(nil, &old, set, changed&set, w.mark, w.started); len(body) > maxScores {
			w.fail("too many policies for one document of scores", 1)
			return nil
		}
	}
	scored := 0
	for _, e := range w.run.Engines {
		status := sh.Status(e)
		if w.done.Engines[e].count(status, 1); status == score.Scored {
			scored = 1
		}
		if changed.Has(e) {
			w.done.Engines[e].Changed++
		}
	}
	w.done.Scored += scored
	if changed != 0 {
		w.done.Changed++
	}
	if body != nil {
		var superseded []byte
		if m.Scores != nil && err == nil {
			superseded = m.Scores
		}
		if err := w.out.PutScores(ctx, relation, m.ID, body, superseded, old.Name(), w.started.Add(book.HistoryKept)); err != nil {
			return err
		}
	}
	if w.set.Has(scoring.Defend) {
		w.candidate(relation, i, sh)
	}
	return nil
}

// candidate offers what is due for a customer to the list: what the score suggests, or, where
// that is to be quiet, the first of what care asks for that is not. Advice beside something
// commercial that is quiet stands alone.
func (w *worker) candidate(relation string, i int, sh *scoring.Sheet) {
	d, h := &sh.Defend, &w.said[i]
	if d.Action == "" {
		return
	}
	owed := w.owed(relation, i, sh)
	c := actions.Candidate{
		Customer: w.alive[i].ID, Relation: relation, Part: actions.Commercial, Action: d.Action, About: d.About, Priority: d.Priority, Due: d.Due, Chance: sh.Chance(d.About),
		After: slices.Contains(w.run.After, d.Action),
	}
	switch {
	case !defend.IsCare(d.Trigger) && !h.Quiet(&w.feedback.Quiet, d.Action, w.run.AsOf):
		for k := range sh.Nbp.Contact {
			if a := &sh.Nbp.Contact[k]; a.Allowed {
				c.Channels = append(c.Channels, a.Channel)
			}
		}
		if owed != nil {
			c.Also = actions.Also{
				Action: owed.Action, About: owed.About, Priority: owed.Priority, Due: owed.Due, Chance: owed.Chance,
				Severity: owed.Severity, Urgent: owed.Urgent, Cause: owed.Cause,
			}
		}
	case owed == nil:
		return
	default:
		owed.Instead = owed.Action != d.Action || owed.About != d.About
		c = *owed
	}
	switch w.done.Actions++; c.Part {
	case actions.Care:
		w.done.Care++
	case actions.Advice:
		w.done.Advice++
	}
	w.top.Add(c)
}

// owed is the first that care asks for of a customer and that is not settled for now; nil for
// nothing.
func (w *worker) owed(relation string, i int, sh *scoring.Sheet) *actions.Candidate {
	all, complaints, claims := w.scorer.Owed(i)
	for k := range all {
		o := &all[k]
		cause := feedback.Cause{Rules: o.Rules, Complaints: complaints, Claims: claims}
		advice := defend.IsAdvice(o.Trigger)
		owed := feedback.Owed{Action: o.Action, About: o.About, Cause: cause, AtOnce: !advice}
		if w.said[i].Settled(&w.feedback.Quiet, &owed, w.run.AsOf) {
			continue
		}
		c := &actions.Candidate{
			Customer: w.alive[i].ID, Relation: relation, Part: actions.Care, Action: o.Action, About: o.About, Priority: o.Priority, Due: o.Due,
			Chance: sh.Chance(o.About), Cause: cause, New: w.said[i].News(&owed),
		}
		if advice {
			c.Part = actions.Advice
			// To hundredths, since 40 may come out of several triggers as a little less.
			c.Severity = math.Round(100*sh.Risk.Care.Score) / 100
			c.Urgent = c.Severity >= w.feedback.List.AdviceFrom
		}
		return c
	}
	return nil
}

// record writes that the chunk is done, with its share of the action list, in one
// batch and only once: of two that did the same chunk the later changes nothing.
func (w *worker) record(ctx context.Context) error {
	if w.counter != nil {
		w.done.Counted = w.counter.Tally
	}
	w.done.Seconds = w.runs.now().Sub(w.started).Seconds()
	w.done.Store = costOf(w.meter)
	for e, seconds := range w.scorer.Seconds() {
		if t, ok := w.done.Engines[e]; ok {
			t.Seconds = seconds
		}
	}
	body, err := json.Marshal(&w.done)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding a chunk's record")
	}
	top, err := json.Marshal(w.top.Ranked())
	if err != nil {
		return fault.Wrap(fault.Internal, err, "encoding a chunk's actions")
	}
	expires := w.run.Created.Add(keep)
	err = w.runs.store.Write(ctx, shared(w.tenant), []store.Op{
		{Verb: store.Create, Document: store.Document{Key: chunkDocument(chunkKey, w.run, w.done.Bucket), Body: body, Expires: expires}},
		{Document: store.Document{Key: chunkDocument(partKey, w.run, w.done.Bucket), Body: deflate.Pack(top), Expires: expires}},
	})
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}
