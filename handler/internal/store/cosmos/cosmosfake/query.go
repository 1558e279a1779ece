package cosmosfake

import (
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The queries that are understood: fields of items of one partition whose one text field lies
// in a range or in a list, ordered by it.
var (
	queryForm     = regexp.MustCompile(`^SELECT ((?:c\.\w+, )*c\.\w+) FROM c WHERE (c\.\w+ (?:>=|<=|>|<) @\w+(?: AND c\.\w+ (?:>=|<=|>|<) @\w+)*|ARRAY_CONTAINS\(@\w+, c\.\w+\)) ORDER BY c\.(\w+)$`)
	listForm      = regexp.MustCompile(`^ARRAY_CONTAINS\(@(\w+), c\.(\w+)\)$`)
	conditionForm = regexp.MustCompile(`^c\.(\w+) (>=|<=|>|<) @(\w+)$`)
)

type condition struct {
	field, op, value string
	list             []string // op "in"
}

func (c condition) holds(s string) bool {
	if c.op == "in" {
		return slices.Contains(c.list, s)
	}
	switch d := cmp.Compare(s, c.value); c.op {
	case ">=":
		return d >= 0
	case "<=":
		return d <= 0
	case ">":
		return d > 0
	default:
		return d < 0
	}
}

func (a *Account) query(w http.ResponseWriter, r *http.Request, body []byte) {
	key, ok := keyOf(r)
	if !ok {
		fail(w, http.StatusBadRequest, "a query here is of one whole partition")
		return
	}
	var q struct {
		Query      string
		Parameters []struct {
			Name  string
			Value json.RawMessage
		}
	}
	form := []string(nil)
	if json.Unmarshal(body, &q) == nil {
		form = queryForm.FindStringSubmatch(q.Query)
	}
	if form == nil {
		fail(w, http.StatusBadRequest, "this query is not played here")
		return
	}
	values := map[string]json.RawMessage{}
	for _, p := range q.Parameters {
		values[strings.TrimPrefix(p.Name, "@")] = p.Value
	}
	var where []condition
	for _, text := range strings.Split(form[2], " AND ") {
		var c condition
		var err error
		if m := listForm.FindStringSubmatch(text); m != nil {
			c = condition{field: m[2], op: "in"}
			err = json.Unmarshal(values[m[1]], &c.list)
		} else {
			m := conditionForm.FindStringSubmatch(text)
			c = condition{field: m[1], op: m[2]}
			err = json.Unmarshal(values[m[3]], &c.value)
		}
		if err != nil {
			fail(w, http.StatusBadRequest, "a parameter is missing, or of another kind")
			return
		}
		where = append(where, c)
	}
	by := form[3]
	// A continuation is the last key seen: what is written before it is not seen again.
	if c := r.Header.Get("x-ms-continuation"); c != "" {
		last, err := strconv.Unquote(c)
		if err != nil {
			fail(w, http.StatusBadRequest, "no continuation of this query")
			return
		}
		where = append(where, condition{field: by, op: ">", value: last})
	}

	a.mu.Lock()
	now := a.now()
	var found []*item
	if p := a.partitions[key]; p != nil {
	items:
		for id := range p.items {
			i := p.live(id, now)
			if i == nil {
				continue
			}
			for _, c := range where {
				if !c.holds(i.text(c.field)) {
					continue items
				}
			}
			found = append(found, i)
		}
	}
	a.mu.Unlock()
	slices.SortFunc(found, func(x, y *item) int { return cmp.Compare(x.text(by), y.text(by)) })

	most := 100
	if n, err := strconv.Atoi(r.Header.Get("x-ms-max-item-count")); err == nil && n > 0 {
		most = n
	}
	fields := strings.Split(form[1], ", ")
	size, n := 0, 0
	var docs []map[string]json.RawMessage
	for ; n < len(found) && n < most && (n == 0 || size+found[n].size <= maxPage); n++ {
		d := map[string]json.RawMessage{}
		for _, f := range fields {
			name := strings.TrimPrefix(f, "c.")
			if v, ok := found[n].fields[name]; ok {
				d[name] = v
			}
		}
		docs = append(docs, d)
		size += found[n].size
	}
	if n < len(found) {
		w.Header().Set("x-ms-continuation", strconv.Quote(found[n-1].text(by)))
	}
	a.charged(w, "query", fresh(r, QueryUnits(size)))
	_ = json.NewEncoder(w).Encode(map[string]any{"_rid": "fake", "Documents": append([]map[string]json.RawMessage{}, docs...), "_count": n}) // the client may have gone
}
