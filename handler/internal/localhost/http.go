package localhost

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"polis/handler/internal/fault"
)

// web is the host's public face: the routes of HTTP functions, and /admin.
type web struct {
	host        *Host
	functions   []*function // HTTP functions, most specific route first
	outstanding atomic.Int64
	running     chan struct{} // a place per request that may run; nil: no limit
}

func newWeb(h *Host) *web {
	w := &web{host: h}
	for _, fn := range h.functions {
		if fn.trigger.Type == httpTrigger {
			w.functions = append(w.functions, fn)
		}
	}
	slices.SortStableFunc(w.functions, func(a, b *function) int { return compareRoutes(a.route, b.route) })
	if n := h.cfg.maxRequests; n != unbounded {
		w.running = make(chan struct{}, n)
	}
	return w
}

func (w *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if path := strings.ToLower(r.URL.Path); path == "/admin" || strings.HasPrefix(path, "/admin/") {
		w.admin(rw, r)
		return
	}
	n := w.outstanding.Add(1)
	defer w.outstanding.Add(-1)
	if limit := w.host.cfg.maxOutstanding; limit != unbounded && n > int64(limit) {
		rw.WriteHeader(http.StatusTooManyRequests)
		return
	}
	// As in Azure a known path with another method is 404, not 405: the method
	// is part of the route.
	fn, params := w.find(r)
	if fn == nil {
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	if !w.allowed(fn, r) {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.ContentLength > maxBody {
		rw.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = http.MaxBytesReader(rw, r.Body, maxBody)
	if w.running != nil {
		select {
		case w.running <- struct{}{}:
			defer func() { <-w.running }()
		case <-r.Context().Done():
			return
		}
	}
	w.serve(rw, r, fn, params)
}

func (w *web) find(r *http.Request) (*function, map[string]string) {
	for _, fn := range w.functions {
		if methods := fn.trigger.Methods; len(methods) > 0 && !slices.ContainsFunc(methods, func(m string) bool { return strings.EqualFold(m, r.Method) }) {
			continue
		}
		if params, ok := fn.route.match(r.URL.EscapedPath()); ok {
			return fn, params
		}
	}
	return nil, nil
}

// allowed checks the function's authLevel: function takes the function's keys,
// the host's and the master key; admin the master key alone.
func (w *web) allowed(fn *function, r *http.Request) bool {
	h := w.host
	switch fn.trigger.AuthLevel {
	case "anonymous":
		return true
	case "admin":
		return keyMatches(r, h.masterKey)
	}
	return keyMatches(r, slices.Concat([]string{h.masterKey}, h.hostKeys, h.functionKeys[fn.name])...)
}

// keyMatches compares the caller's key with every key given, in constant time.
func keyMatches(r *http.Request, keys ...string) bool {
	given := r.Header.Get("X-Functions-Key")
	if given == "" {
		given = r.URL.Query().Get("code")
	}
	sum, match := sha256.Sum256([]byte(given)), 0
	for _, k := range keys {
		if k != "" {
			want := sha256.Sum256([]byte(k))
			match |= subtle.ConstantTimeCompare(sum[:], want[:])
		}
	}
	return given != "" && match == 1
}

func (w *web) serve(rw http.ResponseWriter, r *http.Request, fn *function, params map[string]string) {
	c := w.host.newCall(fn)
	var err error
	switch cfg := w.host.cfg; {
	case fn.plain && cfg.proxy:
		err = w.proxy(rw, r, c)
	case fn.plain && cfg.forward:
		err = w.forward(rw, r, c)
	default:
		err = w.payload(rw, r, c, params)
	}
	c.done(err)
	if err != nil {
		rw.WriteHeader(statusOf(err))
	}
}

// statusOf tells the handler's failures (500) from its absence (502).
func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errTimeout):
		return http.StatusGatewayTimeout
	case fault.Is(err, fault.Unavailable):
		return http.StatusBadGateway
	case fault.Is(err, fault.Cancelled):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// hopByHop are the headers that belong to one connection (RFC 9110, 7.6.1).
var hopByHop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// forward rebuilds the request for the handler and buffers both bodies. As in
// Azure, a body without a Content-Length is not passed on.
func (w *web) forward(rw http.ResponseWriter, r *http.Request, c *call) error {
	var body []byte
	if r.ContentLength > 0 {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return fault.Wrap(fault.Cancelled, err, "read the request")
		}
	}
	return w.host.within(r.Context(), func(ctx context.Context, handler *child) error {
		target := "http://" + handler.address + r.URL.EscapedPath()
		if q := joinQuery(r.URL.RawQuery); q != "" {
			target += "?" + q
		}
		req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(body))
		if err != nil {
			return fault.Wrap(fault.Malformed, err, "rebuild the request")
		}
		req.Header, req.Host = r.Header.Clone(), r.Host
		c.mark(req.Header)
		req.Header.Set("User-Agent", strings.TrimSpace(r.UserAgent()+" "+userAgent))
		dropHopByHop(req.Header)
		resp, err := w.host.client.RoundTrip(req)
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "call the handler")
		}
		defer func() { _ = resp.Body.Close() }()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "read the handler's answer")
		}
		dropHopByHop(resp.Header)
		rw.Header()["Content-Type"] = nil // unless the handler gives one: no guessing
		for k, v := range resp.Header {
			rw.Header()[k] = v
		}
		if r.Method != http.MethodHead {
			rw.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		}
		rw.WriteHeader(resp.StatusCode)
		_, _ = rw.Write(answer) // the caller may have gone; the call succeeded all the same
		return nil
	})
}

func dropHopByHop(h http.Header) {
	for _, names := range h["Connection"] {
		for name := range strings.SplitSeq(names, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		h.Del(name)
	}
}

// joinQuery gives every key once, its values joined by commas, in the order of first use.
func joinQuery(raw string) string {
	values, _ := url.ParseQuery(raw) // what cannot be read is left out
	var out []string
	for pair := range strings.SplitSeq(raw, "&") {
		key, _, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(key)
		if v, ok := values[key]; ok && err == nil {
			out = append(out, url.QueryEscape(key)+"="+url.QueryEscape(strings.Join(v, ",")))
			delete(values, key)
		}
	}
	return strings.Join(out, "&")
}

// forwardedHeaders say where a request came from; ReverseProxy would drop them.
var forwardedHeaders = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}

// proxy streams the request to the handler and the answer back.
func (w *web) proxy(rw http.ResponseWriter, r *http.Request, c *call) error {
	return w.host.within(r.Context(), func(ctx context.Context, handler *child) error {
		var failed error
		defer func() {
			// An answer that breaks off leaves ReverseProxy by a panic, which
			// net/http needs to see, to break off its own.
			if broken := recover(); broken != nil {
				c.done(fault.New(fault.Unavailable, "the handler's answer broke off"))
				panic(broken)
			}
		}()
		p := httputil.ReverseProxy{
			Transport:     w.host.client,
			FlushInterval: -1,
			Rewrite: func(pr *httputil.ProxyRequest) {
				pr.SetURL(&url.URL{Scheme: "http", Host: handler.address})
				pr.Out.URL.RawQuery = pr.In.URL.RawQuery
				pr.Out.Host = pr.In.Host
				for _, name := range forwardedHeaders {
					if v, ok := pr.In.Header[name]; ok {
						pr.Out.Header[name] = v
					}
				}
				c.mark(pr.Out.Header)
				pr.Out.Header.Set(headerProxied, c.id)
			},
			ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) {
				failed = fault.Wrap(fault.Unavailable, err, "call the handler")
			},
		}
		p.ServeHTTP(rw, r.WithContext(ctx))
		return failed
	})
}

// requestData is an HTTP request as Data.<name> carries it.
type requestData struct {
	URL        string `json:"Url"`
	Method     string
	Query      map[string]string
	Headers    http.Header
	Params     map[string]string
	Identities []any
	Body       any `json:",omitempty"`
}

func (w *web) payload(rw http.ResponseWriter, r *http.Request, c *call, params map[string]string) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return fault.Wrap(fault.Cancelled, err, "read the request")
	}
	data := requestData{
		URL: "http://" + r.Host + r.URL.RequestURI(), Method: r.Method,
		Query: map[string]string{}, Headers: r.Header.Clone(), Params: params, Identities: []any{},
	}
	data.Headers.Set("Host", r.Host)
	for k, v := range r.URL.Query() {
		data.Query[k] = strings.Join(v, ",")
	}
	if len(raw) > 0 {
		data.Body = string(raw)
		if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil &&
			(media == "application/octet-stream" || strings.HasPrefix(media, "multipart/")) {
			data.Body = raw // base64 in JSON
		}
	}
	metadata := map[string]any{}
	for k, v := range params {
		metadata[k] = v
	}
	a, err := w.host.invoke(r.Context(), c, envelope{Data: map[string]any{c.fn.trigger.Name: data}, Metadata: metadata})
	if err != nil {
		return err
	}
	for _, b := range c.fn.outputs {
		if b.Type == httpOut {
			return respond(rw, b, a)
		}
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

// respond writes the response that the http output describes.
func respond(rw http.ResponseWriter, b binding, a answer) error {
	raw := a.output(b)
	out, err := decodeHTTPOutput(raw)
	if b.Name == returnName && (err != nil || out.empty()) {
		out, err = httpOutput{Body: raw}, nil // any value will do as a body
	}
	if err != nil {
		return err
	}
	for name, v := range out.Headers {
		if v != nil {
			rw.Header().Set(name, fmt.Sprint(v))
		}
	}
	if null(out.Body) {
		rw.WriteHeader(out.status())
		return nil
	}
	body, contentType := []byte(out.Body), "application/json; charset=utf-8"
	var text string
	if json.Unmarshal(out.Body, &text) == nil {
		body, contentType = []byte(text), "text/plain; charset=utf-8"
	}
	if rw.Header().Get("Content-Type") == "" {
		rw.Header().Set("Content-Type", contentType)
	}
	rw.WriteHeader(out.status())
	_, _ = rw.Write(body) // the caller may have gone; the call succeeded all the same
	return nil
}
