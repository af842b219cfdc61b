// SPDX-License-Identifier: MIT

package middleware

import "github.com/pleat-go/pleat"

// Recover turns a panic further down the chain into a [*pleat.PanicError], so
// that the middleware around it sees an error like any other: it can count it,
// roll back, or answer it. The client gets a 500 without a word of the panic, the
// log gets its value and stack.
//
// A panic with http.ErrAbortHandler goes on: it asks for the connection to be
// cut. The app catches every panic by itself; without Recover the middleware in
// between is left by the panic, and only what it deferred runs.
func Recover() pleat.Middleware {
	return func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error { return pleat.Call(next, c) }
	}
}
