// SPDX-License-Identifier: MIT

package middleware

import "github.com/pleat-go/pleat"

// LineOf is what Logger does at the end of a request, to be measured by itself.
func LineOf(config LoggerConfig) func(*pleat.Context) {
	return (&accessLog{config: config}).finish
}
