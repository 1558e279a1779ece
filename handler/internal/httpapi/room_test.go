package httpapi

import (
	"context"
	"net/http/httptest"
	"testing"

	"polis/handler/internal/fault"
)

// TestRoomForBodies: two of the largest bodies are in memory at once, small ones always, and who waits goes when
// its caller does.
func TestRoomForBodies(t *testing.T) {
	b := newBodies()
	enter := func(length int64, media string) (func(), error) {
		r := httptest.NewRequest("POST", "/", nil)
		r.ContentLength = length
		r.Header.Set("Content-Type", media)
		gone, cancel := context.WithCancel(t.Context())
		cancel() // who cannot enter at once gives up
		leave, err := b.enter(gone, r)
		if err != nil && !fault.Is(err, fault.Cancelled) {
			t.Errorf("%d bytes: %v", length, err)
		}
		return leave, err
	}
	const json = "application/json"
	first, err := enter(maxBody, json)
	if err != nil {
		t.Fatal(err)
	}
	upload, err := enter(100, "multipart/form-data; boundary=x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enter(smallBody+1, json); err == nil {
		t.Error("there is room for more than there is")
	}
	if _, err := enter(-1, json); err == nil {
		t.Error("there is room for a body of unknown length")
	}
	for range 100 {
		if _, err := enter(smallBody, json); err != nil {
			t.Error("a small body waits")
		}
	}
	first()
	second, err := enter(maxBody+1, json) // refused later, and no more than the largest until then
	if err != nil {
		t.Error(err)
	}
	upload()
	second()
}
