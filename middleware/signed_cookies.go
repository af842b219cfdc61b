// SPDX-License-Identifier: MIT

package middleware

import (
	"fmt"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// SignedCookiesConfig configures [SignedCookies]. Printing it, or encoding it as
// JSON, shows no secret.
type SignedCookiesConfig struct {
	// Secrets sign the cookies: newest first, one to four, each of at least 32
	// random octets. The newest signs, all verify, so a secret is replaced by
	// putting the new one in front. They are copied.
	Secrets [][]byte `json:"-"`
	// Purpose separates cookies that are made with the same secrets: what was
	// made for one purpose is not accepted for another. 1 to 32 lower case
	// letters, digits and hyphens; empty means "cookie", which is that of the
	// app's own.
	Purpose string
}

// Format prints the purpose and the number of secrets, whatever the verb.
func (s SignedCookiesConfig) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "SignedCookiesConfig(purpose %q, secrets %d)", s.Purpose, len(s.Secrets))
}

// SignedCookies gives a group, or a route, keys of its own for signed cookies:
// inside it SetSecureCookie, SecureCookie and GetSecureCookie use them instead of
// the app's, and cookies of one are not accepted by the other. Middleware outside
// of it has the keys it had before when the rest of the chain has returned.
//
// Secrets that are missing or too short are an error of the start that wraps
// server.ErrNoCookieSecret or server.ErrShortCookieSecret.
//
// To have signed cookies in the whole app, set pleat.Config.CookieSecrets; it
// needs no middleware.
func SignedCookies(config SignedCookiesConfig) pleat.Middleware {
	keys, invalid := server.NewCookieKeys(config.Secrets...)
	if invalid == nil && config.Purpose != "" {
		keys, invalid = keys.For(config.Purpose)
	}
	return func(next pleat.Handler) pleat.Handler {
		if invalid != nil {
			panic(fmt.Errorf("middleware: SignedCookies: %w", invalid))
		}
		return func(c *pleat.Context) error {
			req := c.Request()
			// Deferred: a panic is answered by middleware outside, too.
			defer req.SetCookieKeys(req.CookieKeys())
			req.SetCookieKeys(keys)
			return next(c)
		}
	}
}
