package measure

const (
	maxCells = 1000 // of the exposure, before pooling: the curve is a diagnostic
	maxSteps = 30
)

// pool is a stretch of rows of which the isotonic curve has one value.
type pool struct{ from, to, units, actual float64 }

func (p pool) rate() float64 { return p.actual / p.units }

func (p pool) with(q pool) pool { return pool{p.from, q.to, p.units + q.units, p.actual + q.actual} }

// curve is the isotonic one in progress: neighbours that do not rise are pooled (Ayer et
// al. 1955).
type curve struct {
	pools []pool
	cell  pool
}

// add adds the stretch of the next higher prediction.
func (c *curve) add(p pool, units float64) {
	if c.cell.units > 0 {
		p = c.cell.with(p)
	}
	if c.cell = p; float64(maxCells*p.units) >= units {
		c.push()
	}
}

func (c *curve) push() {
	c.pools = append(c.pools, c.cell)
	for n := len(c.pools); n > 1 && c.pools[n-2].rate() >= c.pools[n-1].rate(); n = len(c.pools) {
		c.pools = append(c.pools[:n-2], c.pools[n-2].with(c.pools[n-1]))
	}
	c.cell = pool{}
}

// steps joins the neighbours that lose least by it until few are left.
func (c *curve) steps() []Step {
	if c.cell.units > 0 {
		c.push()
	}
	pools := c.pools
	for len(pools) > maxSteps {
		best, least := 0, 0.0
		for i := range len(pools) - 1 {
			a, b := pools[i], pools[i+1]
			d := b.rate() - a.rate()
			if loss := a.units * b.units / (a.units + b.units) * d * d; i == 0 || loss < least {
				best, least = i, loss
			}
		}
		pools[best] = pools[best].with(pools[best+1])
		pools = append(pools[:best+1], pools[best+2:]...)
	}
	steps := make([]Step, len(pools))
	for i, p := range pools {
		steps[i] = Step{From: short(p.from), To: short(p.to), Actual: short(p.rate()), Exposure: short(p.units)}
	}
	return steps
}
