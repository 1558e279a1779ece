package localhost

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// admin serves the routes that need the master key:
//
//	GET  /admin/host/status        the host and its handler
//	GET  /admin/functions          every function
//	GET  /admin/functions/<Name>   one
//	POST /admin/functions/<Name>   {"input": "…"}: call it; 202 at once
func (w *web) admin(rw http.ResponseWriter, r *http.Request) {
	if !keyMatches(r, w.host.masterKey) {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	for i := range min(2, len(path)) {
		path[i] = strings.ToLower(path[i])
	}
	get := r.Method == http.MethodGet
	switch {
	case get && strings.Join(path, "/") == "admin/host/status":
		w.status(rw)
	case get && strings.Join(path, "/") == "admin/functions":
		list := []functionInfo{}
		for _, fn := range w.host.functions {
			list = append(list, describe(fn))
		}
		writeJSON(rw, list)
	case len(path) == 3 && path[1] == "functions":
		fn := w.host.function(path[2])
		switch {
		case fn == nil:
			rw.WriteHeader(http.StatusNotFound)
		case get:
			writeJSON(rw, describe(fn))
		case r.Method == http.MethodPost:
			w.fire(rw, r, fn)
		default:
			rw.WriteHeader(http.StatusNotFound)
		}
	default:
		rw.WriteHeader(http.StatusNotFound)
	}
}

type functionInfo struct {
	Name    string `json:"name"`
	Trigger string `json:"trigger"`
	Route   string `json:"invoke_route_template,omitempty"`
}

func describe(fn *function) functionInfo {
	info := functionInfo{Name: fn.name, Trigger: fn.trigger.Type}
	if fn.trigger.Type == httpTrigger && fn.trigger.Route != nil {
		info.Route = *fn.trigger.Route
	}
	return info
}

func (w *web) status(rw http.ResponseWriter) {
	state := "Running"
	select {
	case <-w.host.ready:
	default:
		state = "Starting"
	}
	writeJSON(rw, map[string]any{
		"id": w.host.id, "state": state, "version": hostVersion,
		"processUptime": time.Since(w.host.started).Milliseconds(), "handlerProcess": w.host.Handler(),
	})
}

// fire calls a queue or timer function by hand.
func (w *web) fire(rw http.ResponseWriter, r *http.Request, fn *function) {
	var body struct {
		Input string `json:"input"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(rw, r.Body, maxBody)).Decode(&body); err != nil {
		http.Error(rw, `want {"input": "…"}`, http.StatusBadRequest)
		return
	}
	fire, ok := w.host.triggers[fn.name]
	if !ok {
		http.Error(rw, "an HTTP function is called by its route", http.StatusBadRequest)
		return
	}
	w.host.background(func() { fire.byHand(w.host.life, []byte(body.Input)) })
	rw.WriteHeader(http.StatusAccepted)
}

func writeJSON(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(rw).Encode(v) // the caller may have gone
}
