package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"polis/handler/internal/book"
	"polis/handler/internal/store/cosmos/cosmosfake"
	"polis/infra/bicep/check"
	estate "polis/infra/cost"
)

// Speeds are of make bench (README, Measured): a core, five engines. A core comes with 2 GB on
// Flex Consumption.
const (
	nightSpeed = estate.CustomersPerCoreSecond
	scoreSpeed = 2400.0 / 2 // answers a second, of a core: the bench has two
	gbPerCore  = 2.0
	nights     = 30.0
	staleDays  = 30 // after which scores are stored again: scoring's own
	nightHours = 4.0
	keptYears  = 5.0 // superseded scores: book.HistoryKept
)

// three writes a number with three digits that count: the last ones of a sum of floating-point numbers, and of bytes
// in which seconds are written, are not the same everywhere.
func three(x float64) string {
	switch a := math.Abs(x); {
	case a == 0:
		return "0"
	case a >= 1e15:
		return fmt.Sprintf("%.3g", x)
	case a >= 100:
		digits := math.Pow(10, math.Floor(math.Log10(a))-2)
		return thousands(int64(math.Round(x/digits) * digits))
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	case a >= 1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func (j *job) units() float64 { return j.ReadUnits + j.WriteUnits }

// itemBytes is what the service's form of a document adds to its key and body: body in base64, and
// the other fields.
func itemBytes(body float64) float64 { return body*4/3 + 250 }

// asPoints is what the job's reads would cost if each document were read by itself, eventually.
func (j *job) asPoints() float64 {
	if j.Documents == 0 {
		return 0
	}
	return float64(j.Documents) * cosmosfake.ReadUnits(int(itemBytes(float64(j.BytesRead)/float64(j.Documents))))
}

// writtenAtMost is the target of written over read in a night's chunks.
const writtenAtMost = 0.3

// writtenOverRead is what a night's chunks write over what they read, each document at its price in the table.
func (p *played) writtenOverRead() float64 {
	night := p.job(nightWork)
	return night.WriteUnits / night.asPoints()
}

// sizes are what the page carries the counts to.
type carried struct {
	customers, buckets                  float64
	night, nightHigh                    float64 // request units
	month, first, load                  float64
	gbs, messages, stored, grown, fifth float64
}

// share is what of the customers is written in a night on average, where h are because something changed: scores that
// did not are stored again after a month.
func share(h float64) float64 { return h / (1 - math.Pow(1-h, staleDays)) }

// perCustomer are the bytes that a customer takes after the first run, and after five years.
func (p *played) perCustomer() (now, later float64) {
	n := float64(p.Customers)
	now = float64(p.Scored) / n
	scores := float64(p.Scored-p.Imported) / n
	return now, now + keptYears*365*share(float64(p.Changed)/n)*scores
}

func (p *played) carry(customers float64) carried {
	n := float64(p.Customers)
	now, later := p.perCustomer()
	night, rest := p.job(nightWork), p.job(nightRest)
	again := share(float64(p.Changed)/n) / (float64(p.Changed) / n)
	c := carried{customers: customers, buckets: float64(book.BucketsFor(int(customers)))}
	writes := night.WriteUnits*again + rest.WriteUnits
	c.night = customers / n * (night.ReadUnits + rest.ReadUnits + writes)
	c.nightHigh = customers / n * (night.asPoints() + rest.ReadUnits + writes)
	c.month = nights*c.night + customers*p.job(singleWork).units()
	c.load = customers / n * p.job(importing).units()
	c.first = customers / n * (p.job(firstWork).units() + p.job(firstRest).units())
	c.gbs = gbPerCore * customers * (nights/nightSpeed + 1/scoreSpeed)
	c.messages = nights * (c.buckets + 1)
	c.stored, c.grown = customers*now/1e9, customers*later/1e9
	c.fifth = customers * later / c.buckets / 1e9
	return c
}

// page is docs/cost.md; root is the repository's.
func page(p *played, root string) (string, error) {
	was, err := measured()
	if err != nil {
		return "", err
	}
	prices, err := estate.Prices()
	if err != nil {
		return "", err
	}
	price := map[string]float64{}
	for _, r := range prices.Prices {
		price[r.Meter] = r.Price
	}
	var b strings.Builder
	n := float64(p.Customers)
	fmt.Fprintf(&b, intro, thousands(int64(p.Customers)), buckets, thousands(int64(p.Due)), changed)
	b.WriteString("| work | point reads | queries | documents read | KB read | batches | documents written | KB written | round trips | messages, in sends |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, name := range order {
		j := p.job(name)
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s | %s | %s | %s | %d, %d |\n", name, thousands(j.Reads), j.Queries, thousands(j.Documents),
			three(float64(j.BytesRead)/1e3), thousands(j.Batches), thousands(j.Writes), three(float64(j.BytesWritten)/1e3), thousands(j.Trips), j.Messages, j.Sends)
	}
	now, later := p.perCustomer()
	fmt.Fprintf(&b, perCustomer,
		three(float64(p.job(importing).Writes)/n), three(float64(p.job(importing).BytesWritten)/n/1e3),
		three(float64(p.job(nightWork).Documents)/n), three(float64(p.job(nightWork).BytesRead)/n/1e3),
		three(float64(p.job(nightWork).Writes)/n), p.Changed, three(100*float64(p.Changed)/n), three(float64(p.job(nightWork).Queries)/buckets),
		three(now/1e3), three(later/1e3), three(100*share(float64(p.Changed)/n)))

	b.WriteString(unitsIntro)
	for _, name := range order {
		j := p.job(name)
		column := "not yet"
		if was != nil {
			column = three(was.job(name).units())
		}
		per := 1000 / n
		if name == singleWork {
			per = 1
		}
		high := "" // only what a run's chunks and an export read is read by large queries alone
		switch name {
		case firstWork, nightWork:
			high = three(j.asPoints())
		case exportWork: // at the account's own level
			high = three(2 * j.asPoints())
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", name, three(j.ReadUnits), high, three(j.WriteUnits), three(per*j.units()), column)
	}
	night, rest := p.job(nightWork), p.job(nightRest)
	one := cosmosfake.WriteUnits(int(itemBytes(float64(night.BytesWritten) / float64(night.Writes))))
	fmt.Fprintf(&b, ratio,
		three(p.writtenOverRead()), three((night.WriteUnits+rest.WriteUnits)/(night.asPoints()+rest.ReadUnits)), writtenAtMost,
		three(night.WriteUnits/night.ReadUnits), p.Customers/changed, three(float64(p.Customers/changed)*one/night.ReadUnits))

	b.WriteString(carriedIntro)
	var columns []carried
	for _, customers := range []float64{1e4, 1e6, 1e8} {
		columns = append(columns, p.carry(customers))
	}
	fmt.Fprintf(&b, "| buckets, B | %s | %s | %s |\n", thousands(int64(columns[0].buckets)), thousands(int64(columns[1].buckets)), thousands(int64(columns[2].buckets)))
	row := func(what string, f func(carried) float64) {
		fmt.Fprintf(&b, "| %s |", what)
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", three(f(c)))
		}
		b.WriteByte('\n')
	}
	row("import, million RU", func(c carried) float64 { return c.load / 1e6 })
	row("first run, million RU", func(c carried) float64 { return c.first / 1e6 })
	row("a night, million RU", func(c carried) float64 { return c.night / 1e6 })
	row("a night if each document read costs a point read, million RU", func(c carried) float64 { return c.nightHigh / 1e6 })
	row(fmt.Sprintf("RU/s to be done in %g hours", nightHours), func(c carried) float64 { return c.night / nightHours / 3600 })
	row("a month, million RU", func(c carried) float64 { return c.month / 1e6 })
	row("a month, GB-seconds", func(c carried) float64 { return c.gbs })
	row("a month, messages", func(c carried) float64 { return c.messages })
	row("stored after the first run, GB", func(c carried) float64 { return c.stored })
	row("stored after five years, GB", func(c carried) float64 { return c.grown })
	row("of a bucket then, GB (bound: 20)", func(c carried) float64 { return c.fifth })
	row("RU of a month, USD serverless", func(c carried) float64 { return c.month / 1e6 * price["cosmos serverless"] })
	row("GB-seconds of a month, USD", func(c carried) float64 { return c.gbs * price["flex on demand, execution"] })
	row("storage of a month after the first run, USD", func(c carried) float64 { return c.stored * price["cosmos storage"] })
	fmt.Fprintf(&b, formula, gbPerCore, nights, thousands(nightSpeed), thousands(scoreSpeed))

	b.WriteString(idleIntro)
	for _, environment := range []string{"dev", "staging", "prod"} {
		e, err := check.Read(filepath.Join(root, "infra", "bicep", "environments", environment+".snapshot.json"), environment)
		if err != nil {
			return "", err
		}
		lines, err := estate.Month(e, prices, 0)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s | %.0f |\n", environment, estate.Sum(lines))
	}
	return b.String(), nil
}

// order is the page's.
var order = []string{importing, firstWork, firstRest, nightWork, nightRest, exportWork, singleWork}

const intro = "# What does an import, a run and a score cost?\n\n" +
	"This page is printed by `go run ./handler/bench/cost > docs/cost.md` and held by a test (`TestPage` there), which plays the work over the adapter for Cosmos DB\n" +
	"against a fake of the service: what is counted is counted on the wire. What the estate around it costs is in [estate-cost.md](estate-cost.md), and how long it\n" +
	"takes with many instances in [scale.md](scale.md).\n\n" +
	"## What is asked\n" +
	"A made book of %s customers in %d buckets, with the market's models; an action was due for %s customers. Between the two runs one real day passes and one customer in %d has a contact.\n" +
	"Bytes are of keys and bodies; round trips are requests on the wire: point reads, pages of queries and batches.\n\n"

const perCustomer = `
- **An import** writes %s documents and %s KB a customer: its aggregate, and its part of a shelf of places, of which a bucket has 64.
- **A run's chunk** is one query: %[3]s documents and %[4]s KB read a customer, each once. At night %[5]s documents a customer were written: of %[6]d customers (%[7]s%%), each with the scores
  that were superseded. Queries a bucket and run: %[8]s.
- **Kept**: %[9]s KB a customer after the first run as the service stores it (base64 in JSON), %[10]s KB after five years of superseded scores. Scores that nothing changed
  are stored again after 30 days, so that on average %[11]s%% of customers are written in a night.
- **Messages**: one a bucket and the run's event, in two sends of as many as a link takes.
- **An export after each run** ([exports.md](exports.md)), for tenants who want that, reads the book once more, with one query a bucket, and writes two documents and a message. It reads at the
  account's own consistency, for twice the request units: a replica that lags may have who was erased a moment ago. It is in none of the sums below: a night's reads are then twice as many, and cost thrice. Its files are kept for 30 days, and so 30 of them.
`

const unitsIntro = "\n## Request units, an estimate\n" +
	"[Microsoft's table](https://learn.microsoft.com/azure/cosmos-db/understand-request-unit-consumption) of document sizes (as of 2026-11-26) times these counts: what a read and a write of 1 KB to 2 MB costs. The table has no queries. " +
	"A page of one is taken to\ncost 2.5 and what the table says of 128 KB, a KB (our choice, the low end); the column beside it takes a point read for each document (the high end). Reads are doubled where the account's own consistency, " +
	"bounded staleness,\nis asked for; writes count once for each region. *Measured* is what the service charged in `make test-azure`.\n\n" +
	"| work | read | read, high | written | a 1,000 customers (or one score) | measured |\n|---|---|---|---|---|---|\n"

const ratio = "\n**Written over read at night**, with 1%% of customers changed and one day gone by: %s in the chunks, and %s with the run's start, list and completion, by the table: each document that is read at its price of\n" +
	"a read, each that is written at that of a write. At most %g is wanted. Of a query nothing is published, and that it reads as cheaply as the low end above is as likely: the chunks' writes are then %s of their reads. No\n" +
	"sparing of writes mends that. Scores that stayed are not written already; one document for each of the %d customers that changed, without what it supersedes and without those whom it or the day concerns, would be\n" +
	"%s of such reads, which is all that the target allows. `make test-azure` says which holds; `go run ./handler/bench/cost` prints these figures.\n"

const carriedIntro = "\n## Carried to other sizes\n| N customers | 10,000 | 1,000,000 | 100,000,000 |\n|---|---|---|---|\n"

const formula = "\nWith the counts above divided by the customers that were played: a night is `N × (read + written × again)`, where `again` is how much more is written on average than in the night that was played,\n" +
	"since scores are stored again after 30 days; a month is 30 nights and `N` scores on request. GB-seconds are `%g × N × (%g / %s + 1 / %s)` by the\n" +
	"[bench](../README.md#measured) (a core, with %[1]g GB, scores %[3]s customers a second at night and answers %[4]s callers). Messages are `30 × (B + 1)`. Buckets are one for each 19,000 customers, a\n" +
	"power of two and 64 at least ([scale.md](scale.md)). Prices: [prices.json](../infra/cost/prices.json); serverless accounts end at 1 TB, beyond them\n" +
	"the line of RU/s is what autoscale must reach, and a second region doubles what is written and stored.\n"

const idleIntro = "\n## An idle month\nNobody calls, nothing runs: no request unit, no GB-second, no message is spent. What stands there costs, in USD by [estate-cost.md](estate-cost.md):\n\n| environment | USD |\n|---|---|\n"
