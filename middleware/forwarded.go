// SPDX-License-Identifier: MIT

package middleware

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// Forwarded finds out who the client is behind trusted proxies, as policy says:
// it sets what Context.RemoteIP, and Scheme, Host and Origin of the request say
// for the rest of the request, in place of what server.HTTPServer.XHeaders found.
// The address of the connection stays available as PeerIP. Origin().Suspect tells
// of fields that could not be believed.
//
// With RequireForwarded a request that came through a trusted proxy without a
// believable field is answered with 400. A policy that makes no sense is an error
// of the start that wraps server.ErrInvalidTrustPolicy. The policy is copied.
//
// Use it where the app does not run on pleat's own server, or where a group is
// reached through other proxies than the rest. Security: the same fields can be
// sent by anybody; see [server.TrustPolicy].
func Forwarded(policy server.TrustPolicy) pleat.Middleware {
	policy.Trusted = slices.Clone(policy.Trusted)
	policy.AllowedHosts = slices.Clone(policy.AllowedHosts)
	invalid := policy.Validate()
	return func(next pleat.Handler) pleat.Handler {
		if invalid != nil {
			panic(fmt.Errorf("middleware: Forwarded: %w", invalid))
		}
		return func(c *pleat.Context) error {
			req := c.Request()
			origin, err := policy.Resolve(req.PeerIP(), req.Header())
			req.SetOrigin(origin)
			if err != nil {
				return pleat.NewError(http.StatusBadRequest, "").WithCause(err)
			}
			return next(c)
		}
	}
}
