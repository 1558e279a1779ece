// Package simulate plays runs of tenants' books over many instances, event by event: the
// queue, the instances that start and crash, a chunk's reads, scoring and writes, and a
// store that throttles and fails. Lanes, batches, pages and waits are those of the code
// (packages run, invoke, store and store/cosmos); how long things take is what the settings say. Equal settings and seeds
// give equal results.
//
// It is there to choose host.json's concurrency, the number of buckets and of instances, and the width of runs:
// docs/scale.md. What it leaves out: the making of the list when all chunks are done, imports, the host's own
// choice of how many instances there are (they start as they are asked for), and that requests of other
// kinds share the store.
package simulate

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/invoke"
	"polis/handler/internal/run"
	"polis/handler/internal/store"
	"polis/handler/internal/store/cosmos"
	"polis/handler/internal/store/cosmos/cosmosfake"
)

// Settings say what is played. Times are in seconds.
type Settings struct {
	Tenants []Tenant `json:"tenants"` // their runs start at once, in this order
	Width   int      `json:"width"`   // chunks of a run under way; 0: all
	Seed    uint64   `json:"seed"`

	Instances   int     `json:"instances"`       // at most
	Ready       int     `json:"ready"`           // of these, warm when the runs start; the others are cold
	Cold        float64 `json:"cold_seconds"`    // until a cold instance works
	Every       float64 `json:"scaling_seconds"` // between one cold instance and the next
	Concurrency int     `json:"concurrency"`     // chunks at a time of an instance: host.json's maxConcurrentCalls
	Cores       float64 `json:"cores"`           // of an instance, shared by its chunks
	Speed       float64 `json:"customers_per_core_second"`
	Written     float64 `json:"written"` // share of customers, each two documents: scores, and those superseded

	Documents float64 `json:"documents_per_customer"`
	Bytes     float64 `json:"bytes_per_document"` // as the store has them
	Stored    float64 `json:"bytes_per_scores"`   // likewise, of a document that is written

	Latency    float64 `json:"latency_seconds"`     // of a request, on average, apart from its bytes
	Bandwidth  float64 `json:"bytes_per_second"`    // of one request's answer
	BatchOp    float64 `json:"batch_op_seconds"`    // for each operation of a batch
	Throughput float64 `json:"request_units"`       // that the store gives in a second; 0: any number
	Failing    float64 `json:"failing"`             // share of requests that fail with 503 or a time-out
	Crashes    float64 `json:"crashes_per_hour"`    // of an instance
	Restart    float64 `json:"restart_seconds"`     // of one that crashed
	Lock       float64 `json:"lock_seconds"`        // after which a crashed instance's messages come again
	Deliveries int     `json:"deliveries"`          // of a message at most
	Partition  float64 `json:"partition_units"`     // request units a second of a physical partition at most
	Until      float64 `json:"give_up_after_hours"` // what is not done by then is not done
}

// Tenant is a tenant whose run is played.
type Tenant struct {
	Customers int `json:"customers"`
	Buckets   int `json:"buckets"`
}

// Defaults are one tenant of a million customers at night. Where it says so they were measured (README, docs/cost.md);
// the others are our choice: of the order of what Microsoft promises, and to be set by who knows better.
func Defaults() Settings {
	return Settings{
		Tenants: []Tenant{{1_000_000, 64}}, Width: run.DefaultWidth, Seed: 1,
		Instances: 16, Ready: 16, Cold: 5, Every: 1, // 16 are made ready at night: docs/estate-cost.md
		Concurrency: 2, Cores: 0.25, // instances of 512 MB
		Speed:   5950,                                               // measured: make bench
		Written: 0.0265, Documents: 2.10, Bytes: 1400, Stored: 1810, // measured: docs/cost.md, whose test holds them to it
		Latency:   0.006, // Microsoft promises 10 ms for 99 in 100 requests of 1 KB
		Bandwidth: 50e6, BatchOp: 0.0005,
		Failing: 0.001, Crashes: 0.05, Restart: 5, Lock: 60, Deliveries: 10, // lock and deliveries: infra/estate
		Partition: 10_000, // what Cosmos DB gives one
		Until:     24,
	}
}

// Check says what is wrong with settings, by their names, and by those of flags that have others.
func (s *Settings) Check() error {
	bad := func(name, must string) error { return fault.New(fault.Invalid, "%s must be %s", name, must) }
	switch {
	case len(s.Tenants) == 0:
		return bad("tenants", "one at least")
	case s.Width < 0:
		return bad("width", "0 or more")
	case s.Instances < 1 || s.Instances > 10_000:
		return bad("instances", "1 to 10,000")
	case s.Ready < 0 || s.Ready > s.Instances:
		return bad("ready", "0 to instances")
	case s.Concurrency < 1 || s.Concurrency > 1000:
		return bad("concurrency", "1 to 1,000")
	case s.Deliveries < 1:
		return bad("deliveries", "1 or more")
	}
	for _, t := range s.Tenants {
		if t.Customers < 1 || t.Customers > 1e9 || t.Buckets < 1 || t.Buckets > 65536 {
			return bad("tenants", "of 1 to a billion customers in 1 to 65,536 buckets")
		}
	}
	for _, f := range []struct {
		name        string
		v, low, top float64
	}{
		{"cold_seconds", s.Cold, 0, 3600},
		{"scaling_seconds", s.Every, 0, 3600},
		{"cores", s.Cores, 0.01, 64},
		{"customers_per_core_second", s.Speed, 1, 1e9},
		{"written", s.Written, 0, 1},
		{"documents_per_customer", s.Documents, 1, 100},
		{"bytes_per_document", s.Bytes, 1, 2 << 20},
		{"bytes_per_scores", s.Stored, 1, 2 << 20},
		{"latency_seconds (--latency)", s.Latency, 0, 60},
		{"bytes_per_second", s.Bandwidth, 1, 1e12},
		{"batch_op_seconds", s.BatchOp, 0, 1},
		{"request_units (--throughput)", s.Throughput, 0, 1e9},
		{"failing", s.Failing, 0, 0.99},
		{"crashes_per_hour (--crashes)", s.Crashes, 0, 3600},
		{"restart_seconds", s.Restart, 0, 3600},
		{"lock_seconds", s.Lock, 0, 3600},
		{"partition_units", s.Partition, 1, 1e9},
		{"give_up_after_hours", s.Until, 0.001, 1000},
	} {
		if !(f.v >= f.low && f.v <= f.top) {
			return fault.New(fault.Invalid, "%s must be from %g to %g", f.name, f.low, f.top)
		}
	}
	return nil
}

// Result is what came of it. Times are in seconds from the start.
type Result struct {
	Seconds    float64 `json:"seconds"`
	Done       bool    `json:"done"` // every chunk of every tenant
	Units      float64 `json:"request_units"`
	Requests   int64   `json:"requests"`
	Throttled  int64   `json:"throttled"` // answered with 429
	Failed     int64   `json:"failed"`    // 503 or a time-out
	Retries    int64   `json:"retries"`
	GivenUp    int64   `json:"chunks_given_up"` // left to the queue: out of tries or of the chunk's allowance of retries
	Crashes    int64   `json:"crashes"`
	Redelivery int64   `json:"redeliveries"`
	Dead       int64   `json:"dead_letters"`
	Longest    float64 `json:"longest_chunk_seconds"` // from its last delivery to its end
	Busy       float64 `json:"busy"`                  // share of the instances' cores, of those that were asked for

	Tenants []TenantResult `json:"tenants"`
}

// TenantResult is how one tenant fared.
type TenantResult struct {
	Tenant
	Seconds float64 `json:"seconds"` // until its last chunk was done; 0: never
	Chunks  int     `json:"chunks_done"`
	Most    int     `json:"most_under_way"` // chunks, in the queue or being worked
}

// Run plays.
func Run(s Settings) (*Result, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	m := &machine{Settings: s, chance: rand.New(rand.NewPCG(s.Seed, 0x706f6c6973))}
	bytes := 0.0
	for _, t := range s.Tenants {
		bytes += float64(t.Customers) * s.Documents * s.Bytes
	}
	// Cosmos DB has a physical partition for each 10,000 request units a second or 50 GB, each of which has
	// an equal share of the throughput.
	n := max(1, int(math.Ceil(s.Throughput/s.Partition)), int(math.Ceil(bytes/50e9)))
	m.partitions = make([]budget, n)
	for i := range m.partitions {
		m.partitions[i] = budget{rate: s.Throughput / float64(n), left: s.Throughput / float64(n)}
	}
	for i := range s.Instances {
		in := &instance{}
		m.instances = append(m.instances, in)
		start := 0.0
		if i >= s.Ready {
			start = s.Cold + s.Every*float64(i-s.Ready)
		}
		m.at(start, func() { m.up(in) })
	}
	for i, t := range s.Tenants {
		width := s.Width
		if width == 0 {
			width = t.Buckets
		}
		tn := &tenant{TenantResult: TenantResult{Tenant: t}, width: width, done: make([]bool, t.Buckets), number: i}
		m.tenants = append(m.tenants, tn)
		m.at(0, func() {
			for _, b := range run.First(width, t.Buckets, tn.isDone) {
				m.send(tn, b, 0)
			}
		})
	}
	for m.events.Len() > 0 && m.left() {
		e := heap.Pop(&m.events).(event)
		if e.at > s.Until*3600 {
			break
		}
		m.now = e.at
		e.do()
	}
	m.out.Seconds, m.out.Done = m.now, true
	for _, t := range m.tenants {
		m.out.Done = m.out.Done && t.Chunks == t.Buckets
		m.out.Tenants = append(m.out.Tenants, t.TenantResult)
	}
	if m.now > 0 {
		m.out.Busy = m.worked / m.now / float64(s.Instances)
	}
	return &m.out, nil
}

// machine is the state of what is played.
type machine struct {
	Settings
	chance     *rand.Rand
	now        float64
	events     events
	number     int64
	queue      []*message
	instances  []*instance
	tenants    []*tenant
	partitions []budget
	worked     float64 // core-seconds over cores
	out        Result
}

type event struct {
	at     float64
	number int64 // equal times in the order in which they were asked for
	do     func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].number < e[j].number
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// at does something later.
func (m *machine) at(when float64, do func()) {
	m.number++
	heap.Push(&m.events, event{when, m.number, do})
}

// left reports whether a chunk is under way: crashes go on for ever.
func (m *machine) left() bool {
	for _, t := range m.tenants {
		if t.underWay > 0 {
			return true
		}
	}
	return m.now == 0
}

type tenant struct {
	TenantResult
	number   int
	width    int
	done     []bool
	underWay int // messages that are in the queue or being worked
}

func (t *tenant) isDone(b int) bool { return t.done[b] }

// message asks for a chunk.
type message struct {
	of         *tenant
	bucket     int
	spent      int // retries, by the chunks before it in its lane
	deliveries int
	waits      int // how often it was sent again for later
	vain       int // retries that its deliveries before may have spent: all that they might
}

// allowance is how many retries a delivery has.
func (g *message) allowance() int {
	return run.Allowance(g.bucket, g.of.width, g.of.Buckets, g.spent+g.vain)
}

func (m *machine) send(t *tenant, bucket, spent int) {
	t.underWay++
	t.Most = max(t.Most, t.underWay)
	m.queue = append(m.queue, &message{of: t, bucket: bucket, spent: spent})
	m.deliver()
}

// again puts back a message that was delivered in vain.
func (m *machine) again(g *message) {
	g.vain += g.allowance()
	m.out.Redelivery++
	m.queue = append(m.queue, g)
	m.deliver()
}

// instance is a worker: life tells what it did before a crash from what it does after.
type instance struct {
	up   bool
	life int
	busy []*work
	free float64 // when its core is
}

func (m *machine) up(in *instance) {
	in.up = true
	if m.Crashes > 0 {
		life := in.life
		m.at(m.now+m.chance.ExpFloat64()*3600/m.Crashes, func() {
			if in.life == life {
				m.crash(in)
			}
		})
	}
	m.deliver()
}

func (m *machine) crash(in *instance) {
	m.out.Crashes++
	in.up, in.free = false, m.now
	in.life++
	for _, w := range in.busy {
		m.at(m.now+m.Lock, func() { m.again(w.message) })
	}
	in.busy = nil
	m.at(m.now+m.Restart, func() { m.up(in) })
}

// deliver gives messages to who has room: to whoever has least to do.
func (m *machine) deliver() {
	for len(m.queue) > 0 {
		var to *instance
		for _, in := range m.instances {
			if in.up && len(in.busy) < m.Concurrency && (to == nil || len(in.busy) < len(to.busy)) {
				to = in
			}
		}
		if to == nil {
			return
		}
		g := m.queue[0]
		m.queue = m.queue[1:]
		if g.deliveries++; g.deliveries > m.Deliveries {
			m.out.Dead++
			g.of.underWay--
			continue
		}
		w := &work{message: g, in: to, life: to.life, began: m.now, left: m.customers(g), store: &m.partitions[(g.of.number*7919+g.bucket)%len(m.partitions)]}
		to.busy = append(to.busy, w)
		m.begin(w)
	}
}

// customers are those of a chunk: an equal part.
func (m *machine) customers(g *message) int {
	n := g.of.Customers / g.of.Buckets
	if g.bucket < g.of.Customers%g.of.Buckets {
		n++
	}
	return n
}

// work is a chunk that an instance does.
type work struct {
	*message
	in      *instance
	life    int
	began   float64
	left    int     // customers that were not read yet
	ops     float64 // collected for a batch
	retries int     // of the chunk's allowance
	store   *budget
}

// gone reports whether the instance crashed since.
func (w *work) gone() bool { return w.in.life != w.life }

// begin reads the tenant, the run, and whether the chunk is done, one after the other.
func (m *machine) begin(w *work) {
	const reads = 4
	m.request(w, reads*2*cosmosfake.ReadUnits(1<<10), reads*m.Latency, func() { m.page(w) })
}

// page reads, scores and writes until no customer is left.
func (m *machine) page(w *work) {
	if w.left == 0 {
		m.flush(w, func() { m.record(w) })
		return
	}
	most := int(min(cosmos.PageSize, (4<<20)/m.Bytes) / m.Documents)
	n := min(w.left, max(1, most))
	size := float64(n) * m.Documents * m.Bytes
	m.request(w, cosmosfake.QueryUnits(int(size)), m.Latency+size/m.Bandwidth, func() {
		w.left -= n
		w.ops += 2 * m.Written * float64(n)
		took := float64(n) / m.Speed / m.Cores
		start := max(m.now, w.in.free)
		w.in.free = start + took
		m.at(w.in.free, func() {
			if w.gone() {
				return
			}
			m.worked += took
			m.write(w, func() { m.page(w) })
		})
	})
}

// write writes batches while they are full.
func (m *machine) write(w *work, then func()) {
	if w.ops < store.MaxOps {
		then()
		return
	}
	w.ops -= store.MaxOps
	m.batch(w, store.MaxOps, func() { m.write(w, then) })
}

func (m *machine) flush(w *work, then func()) {
	if w.ops <= 0 {
		then()
		return
	}
	ops := w.ops
	w.ops = 0
	m.batch(w, ops, then)
}

func (m *machine) batch(w *work, ops float64, then func()) {
	m.request(w, ops*cosmosfake.WriteUnits(int(m.Stored)), m.Latency+ops*m.BatchOp, then)
}

// record writes that the chunk is done, looks whether it was the last, which it mostly sees at the chunks after it, and
// sends for the next of its lane.
func (m *machine) record(w *work) {
	m.batch(w, 2, func() {
		m.request(w, 2*cosmosfake.QueryUnits(w.of.width*recordBytes), m.Latency, func() { m.recorded(w) })
	})
}

// recordBytes are of what a chunk that is done records of itself.
const recordBytes = 2 << 10

func (m *machine) recorded(w *work) {
	t := w.of
	if !t.done[w.bucket] {
		t.done[w.bucket] = true
		t.Chunks++
		if t.Chunks == t.Buckets {
			t.Seconds = m.now
		}
	}
	m.out.Longest = max(m.out.Longest, m.now-w.began)
	m.leave(w)
	t.underWay--
	if next, ok := run.Next(w.bucket, t.width, t.Buckets); ok {
		m.send(t, next, w.spent+w.vain+w.retries)
	}
	m.deliver()
}

func (m *machine) leave(w *work) {
	for i, o := range w.in.busy {
		if o == w {
			w.in.busy = append(w.in.busy[:i], w.in.busy[i+1:]...)
			return
		}
	}
}

// later sends a message again for later, as another that was not delivered yet; after the last wait it is put back.
func (m *machine) later(g *message) {
	if g.waits == invoke.MostWaits {
		m.again(g)
		return
	}
	wait := invoke.Wait(g.waits)
	g.waits, g.deliveries = g.waits+1, 0
	m.at(m.now+wait.Seconds(), func() { m.again(g) })
}

// request asks the store, again and again as the adapter does, and goes on when it has answered.
func (m *machine) request(w *work, units, latency float64, then func()) {
	m.try(w, 1, 0, units, latency, then)
}

func (m *machine) try(w *work, attempt int, waited time.Duration, units, latency float64, then func()) {
	if w.gone() {
		return
	}
	m.out.Requests++
	wait, again, throttled := time.Duration(-1), attempt < cosmos.Attempts, false
	// Half of the latency always, and half of it by chance, as tails are.
	took := latency/2 + latency/2*m.chance.ExpFloat64()
	switch {
	case m.Throughput > 0 && !w.store.take(m.now, units):
		m.out.Throttled++
		took = m.Latency
		said := time.Duration(w.store.after(m.now) * float64(time.Second)) // by x-ms-retry-after-ms
		wait = cosmos.Throttled(attempt, said, m.chance.Float64())
		again, throttled = waited+wait <= cosmos.Patience, true
	case m.chance.Float64() < m.Failing:
		m.out.Failed++
		m.out.Units += units // it may have been done all the same
		wait = cosmos.Wait(attempt, m.chance.Float64())
	default:
		m.out.Units += units
	}
	m.at(m.now+took, func() {
		switch {
		case w.gone():
		case wait < 0:
			then()
		case !again || !throttled && w.retries >= w.allowance():
			m.out.GivenUp++
			m.leave(w)
			m.later(w.message)
		default:
			if m.out.Retries++; !throttled {
				w.retries++
			}
			m.at(m.now+wait.Seconds(), func() { m.try(w, attempt+1, waited+wait, units, latency, then) })
		}
	})
}

// budget is what a physical partition gives: its request units of a second, which the request that
// uses up the last of them may overdraw.
type budget struct{ rate, left, at float64 }

func (b *budget) take(now, units float64) bool {
	b.left = min(b.rate, b.left+(now-b.at)*b.rate)
	b.at = now
	if b.left <= 0 {
		return false
	}
	b.left -= units
	return true
}

// after is in how many seconds there is something left again.
func (b *budget) after(now float64) float64 {
	return max(0.001, (b.at-now)+(-b.left+1)/b.rate)
}
