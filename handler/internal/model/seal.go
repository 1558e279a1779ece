package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"polis/handler/internal/fault"
)

// A model's file ends with the checksum of all that comes before it: what lost a digit on
// its way would else be scored with. Line ends do not count, so that a model may be a line
// of another file.
var checksum = []byte(`"sha256":"`)

// Seal ends a model's file, one JSON object, with its checksum, in place of one that is
// there. It is for programs that write such files.
func Seal(content []byte) []byte {
	body := content
	if at := bytes.LastIndex(content, checksum); at >= 0 {
		body = content[:at]
	} else if body = bytes.TrimSuffix(bytes.TrimSpace(content), []byte{'}'}); len(body) > 1 {
		body = append(bytes.TrimRight(bytes.Clone(body), "\n"), ",\n"...)
	}
	out := append(bytes.Clone(body), checksum...)
	return append(append(out, sumOf(body)...), "\"\n}\n"...)
}

// checkSeal returns the checksum.
func checkSeal(content []byte) (string, error) {
	at := bytes.LastIndex(content, checksum)
	if at < 0 {
		return "", fault.New(fault.Malformed, "the model's file has no checksum: it was cut off, or written by hand")
	}
	sum := sumOf(content[:at])
	if !bytes.HasPrefix(content[at+len(checksum):], []byte(sum+`"`)) {
		return "", fault.New(fault.Malformed, "the model's file is not as it was written: its checksum is of another")
	}
	return sum, nil
}

// sumOf is the SHA-256 of the text without line ends, in hexadecimal.
func sumOf(content []byte) string {
	h := sha256.New()
	for len(content) > 0 {
		end := bytes.IndexByte(content, '\n')
		if end < 0 {
			end = len(content)
		}
		line := content[:end]
		for at := 0; at >= 0; {
			if at = bytes.IndexByte(line, '\r'); at >= 0 {
				h.Write(line[:at])
				line = line[at+1:]
			}
		}
		h.Write(line)
		content = content[min(end+1, len(content)):]
	}
	return hex.EncodeToString(h.Sum(nil))
}
