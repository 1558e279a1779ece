//go:build standins

package parts

import "polis/handler/internal/standin"

// standins are what plays Azure's part here, where a folder says that they are: see
// standin.Places.
func standins(dir string) (azure, error) {
	p, err := standin.Find(dir)
	if err != nil {
		return azure{}, err
	}
	return azure{credential: standin.Token{}, client: p.Client(), tls: p.TLS(), endpoint: p.Bus}, nil
}
