package model

import (
	"maps"
	"slices"
)

// Comparison is the deviance that a simpler or freer fit has on the rows held out: the
// mean alone comes first, and what the others explain is measured from it.
type Comparison struct {
	Name     string  `json:"name"`
	Deviance float64 `json:"deviance"`
	Note     string  `json:"note,omitempty"`
}

// Proxy is a feature that tells something of a protected column which is no feature itself:
// the share of the column's variation that the feature explains.
type Proxy struct {
	Protected string  `json:"protected"`
	Feature   string  `json:"feature"`
	Share     float64 `json:"share"`
}

// ProtectedGroup is how the model does on the rows held out that have a value of a
// protected column.
type ProtectedGroup struct {
	Column   string  `json:"column"`
	Value    string  `json:"value"`
	Rows     int     `json:"rows"`
	Expected float64 `json:"expected"`
	Actual   float64 `json:"actual"`
	Exposure float64 `json:"exposure"`
}

// clone shares nothing with m that may change.
func (m Meta) clone() Meta {
	m.Metrics, m.Settings = maps.Clone(m.Metrics), maps.Clone(m.Settings)
	m.Comparisons, m.Proxies, m.Protected = slices.Clone(m.Comparisons), slices.Clone(m.Proxies), slices.Clone(m.Protected)
	m.Clusters = slices.Clone(m.Clusters)
	for i, c := range m.Clusters {
		m.Clusters[i] = slices.Clone(c)
	}
	return m
}

// keepFinite leaves out what holds a number that is not finite.
func (m *Meta) keepFinite() {
	maps.DeleteFunc(m.Metrics, func(_ string, v float64) bool { return !finite(v) })
	if !finite(m.Events) {
		m.Events = 0
	}
	if m.Trial != nil && m.Trial.Check() != nil {
		m.Trial = nil
	}
	m.Comparisons = slices.DeleteFunc(m.Comparisons, func(c Comparison) bool { return !finite(c.Deviance) })
	m.Proxies = slices.DeleteFunc(m.Proxies, func(p Proxy) bool { return !finite(p.Share) })
	m.Protected = slices.DeleteFunc(m.Protected, func(g ProtectedGroup) bool {
		return !finite(g.Expected) || !finite(g.Actual) || !finite(g.Exposure)
	})
}
