// SPDX-License-Identifier: MIT

package middleware

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pleat-go/pleat"
)

// When runs middleware only for requests that cond accepts; the others go on to
// the next handler. The first middleware is the outermost. cond is asked once for
// each request, concurrently, and must not answer it:
//
//	quiet := func(c *pleat.Context) bool { return c.Path() != "/healthz" }
//	app.Use(middleware.When(quiet, middleware.Logger(middleware.LoggerConfig{})))
//
// A missing cond or middleware is an error of the start.
func When(cond func(*pleat.Context) bool, mw ...pleat.Middleware) pleat.Middleware {
	mw = slices.Clone(mw)
	return func(next pleat.Handler) pleat.Handler {
		if cond == nil {
			panic(errors.New("middleware: When: no condition"))
		}
		chain := next
		for i, m := range slices.Backward(mw) {
			if m == nil {
				panic(fmt.Errorf("middleware: When: middleware %d is nil", i))
			}
			if chain = m(chain); chain == nil {
				panic(fmt.Errorf("middleware: When: middleware %d returned no handler", i))
			}
		}
		return func(c *pleat.Context) error {
			if cond(c) {
				return chain(c)
			}
			return next(c)
		}
	}
}
