package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// personal is what must not be in a log: each word, and what it is of.
type personal struct {
	words  map[string]string
	tokens []string
}

// columns of the sample that say who somebody is. A made book has no names but codes, so the
// names are those of people who are sent in by plant.
var columns = map[string][]string{
	"customers.csv": {"customer_id", "birth_year", "postcode", "household_id", "company_group_id", "advisor_id", "office_id"},
	"policies.csv":  {"policy_id"},
	"claims.csv":    {"claim_id"},
	"contacts.csv":  {"employee"},
}

// people are in no book: their names and data are sent in wherever something can be sent.
var people = []struct{ name, surname, year, postcode, token string }{
	{"Wilhelmina", "Achterberg", "1931", "9791 QX", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhY2h0ZXJiZXJnIn0.c2lnbmF0dXJl"},
	{"Çelik", "Öztürk-Vandersteen", "1929", "9792QZ", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJvenR1cmsifQ.bm9uZQ"},
}

// personal is all that the sample's tables say of people, and the host's keys.
func (h *host) personal() (*personal, error) {
	p := &personal{words: map[string]string{}}
	for file, names := range columns {
		f, err := os.Open(filepath.Join(h.dir, "sample", file))
		if err != nil {
			return nil, err
		}
		err = p.table(file, f, names)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	for _, q := range people {
		for _, word := range []string{q.name, q.surname, q.year, q.postcode, strings.ReplaceAll(q.postcode, " ", "")} {
			for _, part := range strings.Split(word, "-") {
				p.words[part] = "of somebody who was sent in"
			}
		}
		p.tokens = append(p.tokens, q.token)
	}
	for _, key := range h.local.Tenants {
		p.tokens = append(p.tokens, key)
	}
	p.tokens = append(p.tokens, h.local.Master)
	return p, nil
}

func (p *personal) table(file string, in io.Reader, names []string) error {
	r := csv.NewReader(in)
	header, err := r.Read()
	if err != nil {
		return err
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i, column := range header {
			for _, name := range names {
				if name == column && row[i] != "" {
					p.words[row[i]] = name + " in " + file
					p.words[strings.ReplaceAll(row[i], " ", "")] = name + " in " + file
				}
			}
		}
	}
}

var (
	// ids of calls are random: now and then four of their digits are somebody's year of birth.
	uuid = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	word = regexp.MustCompile(`[\pL\pN]+`)
	// A token of anybody's, also of those that the stand-ins are given.
	jwt = regexp.MustCompile(`\beyJ[\w-]{8,}\.[\w-]+`)
)

// counted are fields that hold what host and handler count themselves: a year of birth is four
// digits, and so is a duration now and then. They are left out by name, and only where they are
// numbers, so that a field that is new is looked at. So is time, which the log itself puts there.
var counted = map[string]bool{"ms": true, "sequence": true, "attempt": true, "status": true, "time": true}

// find looks for it in a line of a log; "" where there is nothing.
func (p *personal) find(line string) string {
	for _, t := range p.tokens {
		if t != "" && strings.Contains(line, t) {
			return "a token"
		}
	}
	if jwt.MatchString(line) {
		return "a token of somebody's"
	}
	return p.inText(line)
}

func (p *personal) inText(line string) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(line), &fields) != nil {
		return p.inWords(line)
	}
	for name, raw := range fields {
		if counted[name] && (name == "time" || raw[0] != '"') {
			continue
		}
		text := string(raw)
		_ = json.Unmarshal(raw, &text) // what is no string is looked at as it is
		if what := p.inWords(name); what != "" {
			return what
		}
		if what := p.inText(text); what != "" { // a line of the handler is JSON in the host's
			return what
		}
	}
	return ""
}

// inWords looks at whole words, and at two with a space or a hyphen between.
func (p *personal) inWords(text string) string {
	text = uuid.ReplaceAllString(text, "")
	at := word.FindAllStringIndex(text, -1)
	for i, w := range at {
		candidates := []string{text[w[0]:w[1]]}
		if i+1 < len(at) {
			if gap := text[w[1]:at[i+1][0]]; gap == " " || gap == "-" {
				candidates = append(candidates, text[w[0]:at[i+1][1]])
			}
		}
		for _, c := range candidates {
			if what, ok := p.words[c]; ok {
				return what
			}
		}
	}
	return ""
}

// discreet looks through all logs of the run. An error says of what there is something, and not what.
func (h *host) discreet() error {
	p, err := h.personal()
	if err != nil {
		return err
	}
	lines := 0
	for _, name := range []string{"host.log", filepath.Join("standins", "log")} {
		f, err := os.Open(filepath.Join(h.dir, name))
		if errors.Is(err, os.ErrNotExist) && name != "host.log" {
			continue
		}
		if err != nil {
			return err
		}
		in := bufio.NewScanner(f)
		in.Buffer(nil, 16<<20)
		for in.Scan() {
			lines++
			if what := p.find(in.Text()); what != "" {
				_ = f.Close() // it was only read
				return fmt.Errorf("line %d of %s says %s", lines, name, what)
			}
		}
		if err := errors.Join(in.Err(), f.Close()); err != nil {
			return err
		}
	}
	if lines < 500 || len(p.words) < customers {
		return fmt.Errorf("%d lines were looked at for %d words: fewer than there must be", lines, len(p.words))
	}
	fmt.Printf("smoke: %d lines of logs hold none of %d names, codes, postcodes and years of birth, and no token\n", lines, len(p.words))
	return nil
}

// plant sends people's data in wherever something can be sent, and mostly so that it is refused:
// what goes wrong is what is logged.
func (h *host) plant(ctx context.Context) error {
	for _, q := range people {
		name, year := q.name+" "+q.surname, q.year
		person := fmt.Sprintf(`{"name":%q,"birth_year":%q,"postcode":%q}`, name, year, q.postcode)
		rows := "customer_id,birth_year,postcode\n" + name + ",2931," + q.postcode + "\n" + year + ",19x1," + q.postcode + "\n"
		var form bytes.Buffer
		m := multipart.NewWriter(&form)
		for _, table := range []string{"customers", "policies"} {
			w, err := m.CreateFormFile(table, name+".csv")
			if err == nil {
				_, err = io.WriteString(w, rows)
			}
			if err != nil {
				return err
			}
		}
		if err := m.Close(); err != nil {
			return err
		}
		path := strings.NewReplacer(" ", "%20", "Ç", "%C3%87", "Ö", "%C3%96", "ü", "%C3%BC").Replace(name)
		for _, r := range []struct{ method, path, media, body string }{
			{http.MethodGet, "/api/v1/customers/" + path, "", ""},
			{http.MethodGet, "/api/v1/" + path + "?birth_year=" + year, "", ""},
			{http.MethodGet, "/api/v1/decisions/" + path + "-" + year, "", ""},
			{http.MethodGet, "/api/v1/scores?cursor=" + path, "", ""},
			{http.MethodDelete, "/api/v1/customers/" + path, "", ""},
			{http.MethodPut, "/api/v1/customers/" + path, "application/json", person},
			{http.MethodPost, "/api/v1/risk/scores", "application/json", person},
			{http.MethodPost, "/api/v1/churn/scores", "application/json", `{"customers":["` + name},
			{http.MethodPost, "/api/v1/clv/scores", "application/json", fmt.Sprintf(`{"customers":[%q]}`, name)},
			{http.MethodPost, "/api/v1/nbp/scores", "text/plain", person},
			{http.MethodPost, "/api/v1/runs", "application/json", fmt.Sprintf(`{"as_of":%q}`, year)},
			{http.MethodPost, "/api/v1/imports", m.FormDataContentType(), form.String()},
		} {
			if err := h.send(ctx, r.method, r.path, r.media, r.body, h.local.Tenants["sample"], name); err != nil {
				return err
			}
		}
		if err := h.send(ctx, http.MethodGet, "/api/v1/runs", "", "", q.token, name); err != nil {
			return err
		}
		for _, queue := range []string{"risk-requests", "imports", "exports", "run-chunks"} {
			for i, body := range []string{person, name, fmt.Sprintf(`{"tenant":%q,"run_id":%q,"import_id":%q,"request_id":%q,"customers":[%q]}`, name, name, name, name, year)} {
				if _, err := h.polis(ctx, body, "send", queue, "--id", fmt.Sprint(name, i)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// send sends a request, whatever is answered.
func (h *host) send(ctx context.Context, method, path, media, body, key, trace string) error {
	r, err := http.NewRequestWithContext(ctx, method, h.local.Address+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("traceparent", trace)
	r.Header.Set("Idempotency-Key", trace)
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // nobody reads it
	if res.StatusCode >= 500 {
		return fmt.Errorf("%s of somebody's data: %s", method, res.Status)
	}
	return nil
}
