package sample

import (
	"context"

	"polis/handler/internal/fault"
)

// Flow is what a customer's policies do in a month of a drawn future. Amounts are EUR.
type Flow struct {
	Premium    float64 // earned
	Commission float64 // on it, at each policy's own rate
	Insured    float64 // the part of Premium that is neither life nor health
	Loss       float64 // of losses in the month, to the last payment, net of recoveries; of Insured
	Exposure   float64 // policy-years
	Essential  float64 // the part of Exposure that is of essential branches
	Lapsed     int     // policies that the customer ended
	Contacts   int
	Opened     int // policies that were bought: replacements are none
}

// Future is one of a household's drawn futures.
type Future struct {
	No        int      // of the path, from 0
	Customers []string // the ids of its customers
	Flows     [][]Flow // by customer and month after the as-of date; good until the next call
}

// healthOrLife are the branches that docs/tables.md calls so.
var healthOrLife = [branches]bool{disability: true, funeral: true, absence: true}

// futureWorlds is how many futures of the whole book there are: storms and tariffs hit all
// households of one together. Paths take turns on them.
const futureWorlds = 32

// Futures draws, for each household of the book that Write makes of the same options,
// independent futures from the as-of date, of so many months. It costs about 0.1 ms a
// household and ten years.
func Futures(ctx context.Context, o Options, months, paths int, visit func(Future) error) error {
	if o.Open == nil && o.Dir == "" {
		o.Dir = "." // nothing is written
	}
	asOf, f, err := o.check()
	if err != nil {
		return err
	}
	if months < 1 || months > 1200 || paths < 1 {
		return fault.New(fault.Invalid, "sample: futures have 1 to 1,200 months, and there is at least one")
	}
	w := newWorld(o.Seed, asOf, f)
	worlds := make([]*world, min(paths, futureWorlds))
	for i := range worlds {
		worlds[i] = w.continued(months, uint64(i))
	}
	var h, scratch household
	var out rows
	var future Future
	left := o.Customers
	for no := uint64(0); left > 0; no++ {
		if ctx.Err() != nil {
			return fault.Wrap(fault.Cancelled, ctx.Err(), "sample: drawing futures was broken off")
		}
		n, _, _ := sizeOf(w.seed, no)
		n = min(n, left)
		left -= n
		out.reset()
		h.start(w, no, n, &out)
		h.begin()
		for m := range history {
			h.step(m)
		}
		future.Customers = future.Customers[:0]
		for i := range n {
			future.Customers = append(future.Customers, string(h.customerID(nil, &h.members[i])))
		}
		for path := range paths {
			scratch.copyFrom(&h)
			scratch.flows = future.reset(len(h.members), months)
			scratch.w = worlds[path%len(worlds)]
			scratch.seed = mix(h.seed ^ uint64(path+1)<<40) // of the coins
			scratch.r = newDraw(h.seed^streamFutures<<56, h.no<<20+uint64(path))
			scratch.m = history - 1
			scratch.count()
			for m := history; m < history+months; m++ {
				scratch.step(m)
			}
			future.No = path
			if err := visit(future); err != nil {
				return err
			}
		}
	}
	return nil
}

// reset makes room for a path.
func (f *Future) reset(members, months int) [][]Flow {
	for len(f.Flows) < members {
		f.Flows = append(f.Flows, nil)
	}
	f.Flows = f.Flows[:members]
	for i := range f.Flows {
		if cap(f.Flows[i]) < months {
			f.Flows[i] = make([]Flow, months)
		}
		f.Flows[i] = f.Flows[i][:months]
		clear(f.Flows[i])
	}
	return f.Flows
}

// accrue adds what a policy earns in a part of the month, as a share of a year.
func (h *household) accrue(q *policy, share float64) {
	if h.flows == nil {
		return
	}
	f := &h.flows[q.owner][h.m-history]
	f.Premium += share * q.premium
	f.Commission += share * q.premium * q.commission
	f.Exposure += share
	if lines[q.line].essential {
		f.Essential += share
	}
	if !healthOrLife[q.line] {
		f.Insured += share * q.premium
	}
}
