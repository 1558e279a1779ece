//go:build standins

package parts

import (
	"os"
	"path/filepath"
	"strings"

	"polis/handler/internal/fault"
	"polis/handler/internal/standin"
)

// standins are what plays Azure's part here: a folder has their certificate, cert.pem, and, in
// bus, where the bus listens.
func standins(dir string) (azure, error) {
	const doing = "finding the stand-ins"
	c, err := standin.ReadCertificate(dir)
	if err != nil {
		return azure{}, err
	}
	at, err := os.ReadFile(filepath.Join(dir, "bus"))
	if err != nil {
		return azure{}, fault.Wrap(fault.Unconfigured, err, doing)
	}
	return azure{credential: standin.Token{}, client: c.Client(), tls: c.TLS(), endpoint: strings.TrimSpace(string(at))}, nil
}
