// Bare is what Polis is measured against: a net/http server that does nothing, and one
// that only decodes and encodes the JSON of a score request.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"polis/handler/internal/portfolio"
)

func main() {
	http.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	http.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			AsOf       portfolio.Date        `json:"as_of"`
			Aggregates []portfolio.Aggregate `json:"aggregates"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			http.Error(w, "not JSON", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(q) // the caller may have gone
	})
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"), nil); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}
