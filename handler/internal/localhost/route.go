package localhost

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// route is a template of ASP.NET Core's form: v1/customers/{id:int}/{rest?}.
type route []segment

// segment is one literal or one parameter.
type segment struct {
	literal  string
	param    string
	checks   []func(string) bool
	optional bool
	rest     bool // takes all segments that are left, none included
}

var paramForm = regexp.MustCompile(`^\{(\*{0,2})([A-Za-z_][A-Za-z0-9_]*)((?::[^:{}?]+)*)(\??)\}$`)

func parseRoute(template string) (route, error) {
	var r route
	if template == "" {
		return r, nil
	}
	parts := strings.Split(template, "/")
	for i, part := range parts {
		last := i == len(parts)-1
		if !strings.ContainsAny(part, "{}") {
			if part == "" {
				return nil, errors.New("empty segment")
			}
			r = append(r, segment{literal: part})
			continue
		}
		m := paramForm.FindStringSubmatch(part)
		if m == nil {
			return nil, fmt.Errorf("segment %q: want {name}, {name:constraint}, {name?} or {*name}", part)
		}
		s := segment{param: m[2], rest: m[1] != "", optional: m[4] != ""}
		if (s.rest || s.optional) && !last {
			return nil, fmt.Errorf("segment %q must be the last", part)
		}
		for c := range strings.SplitSeq(strings.TrimPrefix(m[3], ":"), ":") {
			if c == "" {
				continue
			}
			check, err := parseConstraint(c)
			if err != nil {
				return nil, fmt.Errorf("segment %q: %w", part, err)
			}
			s.checks = append(s.checks, check)
		}
		r = append(r, s)
	}
	return r, nil
}

var (
	alphaForm = regexp.MustCompile(`^[A-Za-z]*$`)
	guidForm  = regexp.MustCompile(`^\{?[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\}?$|^[0-9A-Fa-f]{32}$`)
	callForm  = regexp.MustCompile(`^([a-z]+)\((-?\d+)(?:,(-?\d+))?\)$`)
)

func parseConstraint(c string) (func(string) bool, error) {
	switch c {
	case "alpha":
		return alphaForm.MatchString, nil
	case "guid":
		return guidForm.MatchString, nil
	case "bool":
		return func(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }, nil
	case "int":
		return integer(32, func(int64) bool { return true }), nil
	case "long":
		return integer(64, func(int64) bool { return true }), nil
	}
	m := callForm.FindStringSubmatch(c)
	if m == nil {
		return nil, fmt.Errorf("constraint %q is not supported", c)
	}
	a, errA := strconv.ParseInt(m[2], 10, 64)
	b, errB := a, error(nil)
	two := m[3] != ""
	if two {
		b, errB = strconv.ParseInt(m[3], 10, 64)
	}
	if err := errors.Join(errA, errB); err != nil {
		return nil, err
	}
	length := func(lo, hi int64) func(string) bool {
		return func(s string) bool { n := int64(len([]rune(s))); return lo <= n && n <= hi }
	}
	const most = 1<<63 - 1
	switch {
	case m[1] == "length":
		return length(a, b), nil
	case m[1] == "minlength" && !two:
		return length(a, most), nil
	case m[1] == "maxlength" && !two:
		return length(0, a), nil
	case m[1] == "min" && !two:
		return integer(64, func(n int64) bool { return n >= a }), nil
	case m[1] == "max" && !two:
		return integer(64, func(n int64) bool { return n <= a }), nil
	case m[1] == "range" && two:
		return integer(64, func(n int64) bool { return a <= n && n <= b }), nil
	}
	return nil, fmt.Errorf("constraint %q is not supported", c)
}

func integer(bits int, ok func(int64) bool) func(string) bool {
	return func(s string) bool {
		n, err := strconv.ParseInt(s, 10, bits)
		return err == nil && ok(n)
	}
}

// match compares an escaped path; an escaped slash stays within its segment.
func (r route) match(escaped string) (params map[string]string, ok bool) {
	var parts []string
	if p := strings.Trim(escaped, "/"); p != "" {
		parts = strings.Split(p, "/")
	}
	params = map[string]string{}
	for i, s := range r {
		if s.rest {
			rest := ""
			if i < len(parts) {
				rest = strings.Join(parts[i:], "/")
			}
			v, err := url.PathUnescape(rest)
			if err != nil || rest != "" && !s.accepts(v) {
				return nil, false
			}
			params[s.param] = v
			return params, true
		}
		if i >= len(parts) {
			return params, s.optional // which is the last one
		}
		v, err := url.PathUnescape(parts[i])
		switch {
		case err != nil, v == "":
			return nil, false
		case s.param == "":
			if !strings.EqualFold(v, s.literal) {
				return nil, false
			}
		case !s.accepts(v):
			return nil, false
		default:
			params[s.param] = v
		}
	}
	return params, len(parts) <= len(r)
}

func (s segment) accepts(v string) bool {
	for _, check := range s.checks {
		if !check(v) {
			return false
		}
	}
	return true
}

// compareRoutes puts the more specific template first: segment by segment a
// literal before a constrained parameter, that before a free one, a catch-all last.
func compareRoutes(a, b route) int {
	for i := range min(len(a), len(b)) {
		if c := cmp.Compare(a[i].rank(), b[i].rank()); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func (s segment) rank() int {
	rank := 2
	switch {
	case s.rest:
		rank = 4
	case s.param == "":
		return 0
	}
	if len(s.checks) > 0 {
		rank--
	}
	return rank
}
