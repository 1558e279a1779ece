package cosmosfake

import "net/http"

// Charges in request units are by Microsoft's table of sizes, "Understand request unit consumption" (learn.microsoft.com/azure/cosmos-db/understand-request-unit-consumption,
// as of 2026-11-26), and between its rows on straight lines. Its reads are under
// session or weaker consistency. Its writes index every path where Polis indexes one, so
// that these are rather too high.
var table = [...]struct{ kb, read, write float64 }{
	{1, 1.00, 4.95},
	{2, 1.04, 6.29},
	{4, 1.14, 6.67},
	{8, 1.33, 7.04},
	{16, 1.67, 9.52},
	{32, 2.19, 11.23},
	{64, 4.76, 22.67},
	{128, 9.95, 48.19},
	{256, 20.28, 98.29},
	{512, 40.95, 184.57},
	{1024, 145.90, 625.00},
	{2048, 291.80, 1250.00},
}

// at is what the table says of a size in bytes.
func at(size int) (read, write float64) {
	kb := float64(size) / 1024
	below := table[0]
	for _, row := range table {
		if kb <= row.kb {
			if row == below {
				return row.read, row.write
			}
			part := (kb - below.kb) / (row.kb - below.kb)
			return below.read + float64(part*(row.read-below.read)), below.write + float64(part*(row.write-below.write))
		}
		below = row
	}
	return below.read * kb / below.kb, below.write * kb / below.kb
}

// ReadUnits is what a point read of an item of so many bytes costs.
func ReadUnits(size int) float64 {
	units, _ := at(size)
	return units
}

// WriteUnits is what a write of an item of so many bytes costs in each region; 0 bytes are a
// deletion.
func WriteUnits(size int) float64 {
	_, units := at(size)
	return units
}

// A query is not in the table. Microsoft's examples of queries that find little by an index
// are charged 2.3 to 3 request units, and what is read in bulk is taken to cost what the
// table says of documents of 128 KB, a KB: our choice, at the lower end, so that what is written is
// never made to look little beside it.
const (
	queryUnits      = 2.5
	queryUnitsPerKB = 9.95 / 128
)

// QueryUnits is what a page of a query costs that gives so many bytes.
func QueryUnits(size int) float64 { return queryUnits + float64(queryUnitsPerKB*float64(size))/1024 }

// fresh doubles the charge of a read that does not ask for less than the account's
// consistency, which is bounded staleness here (docs/adr/009).
func fresh(r *http.Request, ru float64) float64 {
	switch r.Header.Get("x-ms-consistency-level") {
	case "Eventual", "Session", "ConsistentPrefix":
		return ru
	}
	return 2 * ru
}
