package cosmos

import (
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// TestRetryAfter: what the service says of when to come again, in each of its forms.
func TestRetryAfter(t *testing.T) {
	const noon = "Thu, 26 Nov 2026 12:00:00 GMT"
	for name, tc := range map[string]struct {
		ms, after, date string
		wait            time.Duration
		said            bool
	}{
		"milliseconds":        {"250", "9", noon, 250 * time.Millisecond, true},
		"seconds":             {"", "3", noon, 3 * time.Second, true},
		"a date":              {"", "Thu, 26 Nov 2026 12:00:07 GMT", noon, 7 * time.Second, true},
		"a date that is past": {"", "Thu, 26 Nov 2026 11:00:00 GMT", noon, 0, true},
		"nothing":             {"", "", noon, 0, false},
		"something else":      {"", "soon", noon, 0, false},
		"less than nothing":   {"-1", "-1", noon, 0, false},
	} {
		h := http.Header{}
		h.Set("x-ms-retry-after-ms", tc.ms)
		h.Set("Retry-After", tc.after)
		h.Set("Date", tc.date)
		wait, said := backOff(1, &azcore.ResponseError{RawResponse: &http.Response{Header: h}})
		if said != tc.said || said && wait != tc.wait {
			t.Errorf("%s: %v, %t", name, wait, said)
		}
	}
}
