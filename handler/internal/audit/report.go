// Package audit says how published models do on what came after, for whom they do better
// or worse, what stands in for attributes that they may not read, and how far a book has
// moved since they were trained. It counts and draws; package watch reads the book.
//
// No figure is shown that could be one person's: cells of few relations are put together,
// sums of money must come from several, and edges of bins are rounded. See Settings.
package audit

import (
	"encoding/json"
	"time"

	"polis/handler/internal/fault"
	"polis/handler/internal/portfolio"
)

// Report is an audit of a tenant's models as of a date.
type Report struct {
	Format   int            `json:"format"`
	Tenant   string         `json:"tenant"`
	Month    string         `json:"month,omitempty"` // of the monthly report that it is; "" of others
	Made     time.Time      `json:"made_at,omitzero"`
	AsOf     portfolio.Date `json:"as_of"`
	Model    Model          `json:"model"`
	Baseline *Kept          `json:"baseline,omitempty"`
	Settings Settings       `json:"settings"`

	Relations int `json:"relations"` // in the book
	Looked    int `json:"looked_at"` // of them, by hash

	Counts      Counts      `json:"counts"`
	Outcomes    Outcomes    `json:"outcomes"`
	Calibration []Measure   `json:"calibration"`
	Proxies     []Proxy     `json:"proxies"`
	Drift       []Shift     `json:"drift"`
	DriftNote   string      `json:"drift_note,omitempty"` // why there is no drift to report
	Rows        []DriftRows `json:"drift_rows"`
}

const reportFormat = 1

// Model is the models that are audited.
type Model struct {
	Version string         `json:"version"`
	Trained portfolio.Date `json:"trained_as_of"`
	// Refit is that they were trained for this audit, as of the day from which outcomes are
	// looked at, and are not the published ones.
	Refit bool `json:"refit,omitempty"`
}

// Kept is the baseline that drift is measured from.
type Kept struct {
	SHA256 string         `json:"sha256"`
	AsOf   portfolio.Date `json:"as_of"`
}

// DriftRows is how many rows a population had then and now.
type DriftRows struct {
	Population string `json:"population"`
	Then       int    `json:"then"`
	Now        int    `json:"now"`
}

// Outcomes are the year that scores are held against.
type Outcomes struct {
	After portfolio.Date `json:"after"` // scores are as of this day
	Until portfolio.Date `json:"until"`
	Known portfolio.Date `json:"known_on"`
	// InSample is how much of the outcomes the models were trained on: "none", "part" or "all".
	InSample string `json:"in_sample"`
}

// In-sample shares.
const (
	None = "none"
	Part = "part"
	All  = "all"
)

// Counts are what is over a threshold.
type Counts struct {
	Some     int `json:"moved_some"` // features and scores
	Much     int `json:"moved_much"`
	ByChance int `json:"moved_by_chance"` // above a threshold as a book so small is by chance
	Cells    int `json:"cells_apart"`
	Proxies  int `json:"proxies_found"`
}

// Tally fills the counts.
func (r *Report) Tally() {
	r.Counts = Counts{Cells: r.Settings.Apart(r.Calibration)}
	for _, d := range r.Drift {
		switch d.Verdict {
		case Some:
			r.Counts.Some++
		case Much:
			r.Counts.Much++
		case ByChance:
			r.Counts.ByChance++
		}
	}
	for _, p := range r.Proxies {
		if p.Found {
			r.Counts.Proxies++
		}
	}
}

// Encode is the report as JSON.
func (r *Report) Encode() ([]byte, error) {
	r.Format = reportFormat
	body, err := json.MarshalIndent(r, "", " ")
	return append(body, '\n'), fault.Wrap(fault.Internal, err, "encoding a report")
}

// ParseReport reads what Encode wrote; what it cannot read is fault.Malformed.
func ParseReport(body []byte) (*Report, error) {
	var r Report
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, fault.Wrap(fault.Malformed, err, "reading a report")
	}
	if r.Format != reportFormat {
		return nil, fault.New(fault.Malformed, "a report of format %d, this program reads %d", r.Format, reportFormat)
	}
	return &r, nil
}

// Say puts in words which outcomes scores were held against, and whether the models had
// seen them.
func (o *Outcomes) Say() string {
	s := "Scores as of " + o.After.String() + " against what came until " + o.Until.String() + ", as known on " + o.Known.String() + ". "
	switch o.InSample {
	case All:
		return s + "The models were trained on these same outcomes: the figures flatter them. An audit with --refit holds models that had not seen them against the same outcomes."
	case Part:
		return s + "The models were trained on a part of these outcomes: the figures flatter them somewhat. An audit with --refit holds models that had not seen them against the same outcomes."
	}
	return s + "The models had not seen any of these outcomes."
}
