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
	type row struct{ Method, Path, Summary, Role string }
	var rows []row
	says := summaries()
	for _, rt := range routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		rows = append(rows, row{method, path, says[rt.pattern], string(rt.role)})
	}
	var buf bytes.Buffer
	if err := docsPage().Execute(&buf, rows); err != nil {
		return fault.Wrap(fault.Internal, err, "rendering the docs")
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	return writeBody(w, http.StatusOK, "text/html; charset=utf-8", buf.Bytes())
}

// summaries are the specification's, by method and path. They are found by how far their
// lines are indented, which spares the deployed handler a YAML parser.
func summaries() map[string]string {
	says := make(map[string]string)
	path, method := "", ""
	for line := range strings.Lines(string(spec)) {
		text := strings.TrimSpace(line)
		switch indent := len(line) - len(strings.TrimLeft(line, " ")); {
		case indent == 2 && strings.HasPrefix(text, "/"):
			path = Prefix + strings.TrimSuffix(text, ":")
		case indent == 4:
			method = strings.ToUpper(strings.TrimSuffix(text, ":"))
		case indent == 6:
			if summary, ok := strings.CutPrefix(text, "summary: "); ok && says[method+" "+path] == "" {
				says[method+" "+path] = summary
			}
		}
	}
	return says
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
li { border-top: 1px solid var(--line); padding: .6rem 0; display: grid; grid-template-columns: 4.5rem 1fr auto; gap: 0 1rem; align-items: baseline; }
code { font: .95em ui-monospace, monospace; overflow-wrap: anywhere; }
span { grid-column: 2 / -1; }
small { opacity: .75; }
@media (max-width: 40rem) { li { grid-template-columns: 4.5rem 1fr; } small { grid-column: 2; } }
</style></head><body>
<h1>Polis API</h1>
<p>Every operation, with its schemas and errors, is in <a href="openapi.yaml">openapi.yaml</a>.
Send <code>Authorization: Bearer</code> and your key; errors are problem documents (RFC 9457).</p>
<ul>{{range .}}<li><b>{{.Method}}</b> <code>{{.Path}}</code> <small>{{if .Role}}needs {{.Role}}{{else}}public{{end}}</small> <span>{{.Summary}}</span></li>
{{end}}</ul></body></html>
`))
})
