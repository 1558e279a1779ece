// Package deflate packs what is stored and says the same again and again, as JSON of many
// items does: to a tenth of its length, as a rule (DEFLATE, RFC 1951).
package deflate

import (
	"bytes"
	"compress/flate"
	"io"
	"sync"

	"polis/handler/internal/fault"
)

// packed is what packed bodies begin with; JSON begins otherwise, and needs no mark.
const packed = 'z'

// writers have half a megabyte each, which is dear to make anew.
var writers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // fails for levels that there are not
	return w
}}

// Pack is the body, packed.
func Pack(body []byte) []byte {
	out := bytes.NewBuffer(make([]byte, 0, 64+len(body)/4))
	out.WriteByte(packed)
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(out)
	_, _ = w.Write(body) // a buffer takes all
	_ = w.Close()
	return out.Bytes()
}

// Packed reports whether a body is.
func Packed(body []byte) bool { return len(body) > 0 && body[0] == packed }

// Unpack is a packed body as it was, and any other as it is. One that is damaged, or longer
// than most bytes, is fault.Internal.
func Unpack(body []byte, most int) ([]byte, error) {
	if !Packed(body) {
		return body, nil
	}
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(body[1:])), int64(most)+1))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "unpacking what is stored")
	}
	if len(out) > most {
		return nil, fault.New(fault.Internal, "what is packed is larger than %d bytes", most)
	}
	return out, nil
}
