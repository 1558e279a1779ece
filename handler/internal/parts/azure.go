//go:build !standins

package parts

import "polis/handler/internal/fault"

// standins are refused: what is deployed knows no tokens but Azure's.
func standins(string) (azure, error) {
	return azure{}, fault.New(fault.Unconfigured, "POLIS_STANDINS is set, and this program was built without -tags standins")
}
