package httpapi

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"time"

	"polis/handler/internal/exports"
	"polis/handler/internal/fault"
)

// startExport takes no body: an export is of all that there is.
func (a *API) startExport(w http.ResponseWriter, r *http.Request, c call) error {
	list, err := a.Exports.List(r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	if err := room(a.Now(), list, "exports", a.Quotas.Of(c.tenant.ID).Exports, func(e *exports.Export) (string, time.Time) { return e.Status, e.Created }); err != nil {
		return err
	}
	e, err := a.Exports.Start(r.Context(), c.tenant)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/exports/"+e.ID)
	return writeJSON(w, http.StatusAccepted, e)
}

func (a *API) listExports(w http.ResponseWriter, r *http.Request, c call) error {
	list, err := a.Exports.List(r.Context(), c.tenant.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Exports []exports.Export `json:"exports"`
	}{orEmpty(list)})
}

func (a *API) getExport(w http.ResponseWriter, r *http.Request, c call) error {
	e, err := a.Exports.Get(r.Context(), c.tenant.ID, r.PathValue("export"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, e)
}

func (a *API) deleteExport(w http.ResponseWriter, r *http.Request, c call) error {
	if err := a.Exports.Delete(r.Context(), c.tenant.ID, r.PathValue("export")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// exportFile streams a file. Who reads it can tell by its length and digest whether all of it came.
func (a *API) exportFile(w http.ResponseWriter, r *http.Request, c call) error {
	body, f, err := a.Exports.Open(r.Context(), c.tenant.ID, r.PathValue("export"), r.PathValue("file"))
	if err != nil {
		return err
	}
	defer body.Close() // only read
	sum, err := hex.DecodeString(f.SHA256)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "reading an export's manifest")
	}
	h := w.Header()
	h.Set("Content-Type", exports.Media)
	h.Set("Content-Length", strconv.FormatInt(f.Bytes, 10))
	h.Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
	h.Set("ETag", strconv.Quote(f.SHA256))
	h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(w, body); err != nil {
		a.Log.Warn().Err(err).Msg("a file of an export was cut off")
	}
	return nil
}
