package httpapi

import (
	"bytes"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"polis/handler/internal/fault"
)

// docs lists the operations on one page without scripts or anything from elsewhere.
func (a *API) docs(w http.ResponseWriter, _ *http.Request, _ call) error {
	type row struct{ Method, Path, Role, Function string }
	var rows []row
	for _, rt := range routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		rows = append(rows, row{method, path, string(rt.role), rt.function})
	}
	var buf bytes.Buffer
	if err := docsPage().Execute(&buf, rows); err != nil {
		return fault.Wrap(fault.Internal, err, "rendering the docs")
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	return writeBody(w, http.StatusOK, "text/html; charset=utf-8", buf.Bytes())
}

// docsPage is parsed when it is first asked for: a cold start has better things to do.
var docsPage = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("docs").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Polis API</title>
<style>
:root { color-scheme: light dark; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
ul { list-style: none; padding: 0; }
li { border-top: 1px solid var(--line); padding: .6rem 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: baseline; }
b { min-width: 4.2rem; }
code { font: .95em ui-monospace, monospace; overflow-wrap: anywhere; flex: 1 1 20rem; }
small { opacity: .75; }
</style></head><body>
<h1>Polis API</h1>
<p>Every operation, with its schemas and errors, is in <a href="openapi.yaml">openapi.yaml</a>.
Send <code>Authorization: Bearer</code> and your key; errors are problem documents (RFC 9457).</p>
<ul>{{range .}}<li><b>{{.Method}}</b> <code>{{.Path}}</code> <small>{{if .Role}}needs {{.Role}}{{else}}public{{end}}</small></li>
{{end}}</ul></body></html>
`))
})
