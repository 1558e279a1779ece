// Package environments holds what each environment is deployed with, and what it is promised to be.
package environments

import _ "embed" // the promises

// Promises is promises.json: what an environment is to be, whatever its parameters say. To give a promise up, or to make
// another, is a change of that file, which somebody reviews.
//
//go:embed promises.json
var Promises []byte
