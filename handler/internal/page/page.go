// Package page is what Polis's pages have in common: the frame with its style, the charts,
// and how numbers are written. A page is whole in itself: no scripts, nothing from
// elsewhere, light and dark, readable on a phone and on paper.
package page

import (
	_ "embed"
	"html/template"
	"io"

	"polis/handler/internal/fault"
)

var (
	//go:embed frame.html
	frame string
	//go:embed page.css
	style string
)

// Tile is a figure at the top of a page.
type Tile struct {
	Name, Value, Note string
	Bad               bool // it says that something is not in order
}

// Write writes the page of a template. The template has "head", with the page's title,
// before its header, "tiles" with Tiles, and "foot" after its main; and the functions
// percent, number, count, decimals, and bounded, which is a share as a percentage from 0
// to 100.
func Write(w io.Writer, name, text string, data any) error {
	t, err := template.New(name).Funcs(template.FuncMap{
		"percent": Percent, "number": Number, "count": Count, "decimals": Decimals,
		"bounded": func(share float64) float64 { return 100 * within(share) },
		"style":   func() template.CSS { return template.CSS(style) },
	}).Parse(frame + text)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "parsing the page of %s", name)
	}
	if err := t.Execute(w, data); err != nil {
		return fault.Wrap(fault.Internal, err, "writing the page of %s", name)
	}
	return nil
}
