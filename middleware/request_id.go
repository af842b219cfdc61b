// SPDX-License-Identifier: MIT

package middleware

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"golang.org/x/net/http/httpguts"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// RequestIDConfig configures [RequestID]. The zero value gives every request a
// random id and believes no peer.
type RequestIDConfig struct {
	// Header is the name of the field, in requests and answers. Empty:
	// X-Request-Id.
	Header string
	// TrustedPeers are the networks of the proxies whose ids are taken over.
	// It is the address of the connection that counts, whatever forwarding fields
	// say. Empty: nobody's. server.ParsePrefixes reads them from text.
	//
	// Security: who can choose ids can make two requests look like one in the
	// log.
	TrustedPeers []netip.Prefix
	// TrustUnix takes ids over from whoever connects through a Unix socket.
	TrustUnix bool
	// Generate makes ids of 1 to 64 letters, digits, ".", "_" and "-". It is
	// called concurrently. Ids of another form are not used: the request gets a
	// random one, and the log is told, once. nil means pleat.NewRequestID.
	Generate func() string
}

// RequestID gives every request an id, which is in each line of its log, in error
// answers and in calls to trusted upstreams, and sends it back to the client. An
// id that a trusted peer sent is kept if it is 1 to 64 letters, digits, ".", "_"
// and "-", and is the only one in the request.
//
// Used twice in a chain, the inner one does nothing; in an app that is mounted in
// another app the request keeps the id it has there. A Header that is no field
// name, and an invalid prefix, are errors of the start.
func RequestID(config RequestIDConfig) pleat.Middleware {
	if config.Header == "" {
		config.Header = "X-Request-Id"
	}
	if config.Generate == nil {
		config.Generate = pleat.NewRequestID
	}
	config.TrustedPeers = slices.Clone(config.TrustedPeers)
	ids := &requestIDs{config: config}
	invalid := ids.validate()
	return func(next pleat.Handler) pleat.Handler {
		if invalid != nil {
			panic(fmt.Errorf("middleware: RequestID: %w", invalid))
		}
		return func(c *pleat.Context) error {
			if c.Request().ResponseHeader(config.Header) == "" {
				id := ids.of(c)
				c.SetRequestID(id)
				if err := c.SetHeader(config.Header, id); err != nil {
					return fmt.Errorf("middleware: RequestID: %w", err)
				}
			}
			return next(c)
		}
	}
}

type requestIDs struct {
	config RequestIDConfig
	told   atomic.Bool // that Generate does not work
}

func (r *requestIDs) validate() error {
	if !httpguts.ValidHeaderFieldName(r.config.Header) {
		return fmt.Errorf("%w: %q is not a field name", server.ErrInvalidHeader, r.config.Header)
	}
	for _, prefix := range r.config.TrustedPeers {
		if !prefix.IsValid() {
			return errors.New("TrustedPeers holds an invalid prefix")
		}
		if prefix.Addr().Is4In6() {
			return fmt.Errorf("TrustedPeers: %v is IPv4 in IPv6 form and would match nothing", prefix)
		}
	}
	return nil
}

// of is the id for a request: the peer's if it may choose, otherwise a new one.
func (r *requestIDs) of(c *pleat.Context) string {
	if c.Request().Connection() == nil { // it came through net/http, perhaps from another app
		if outer := pleat.FromContext(c.Request().Context()); outer != nil && outer.App() != c.App() {
			return outer.RequestID()
		}
	}
	if r.trusts(c.Request().PeerIP()) {
		// Of several it is not known which one the peer wrote.
		if sent := c.Request().Header().Values(r.config.Header); len(sent) == 1 && isRequestID(sent[0]) {
			return sent[0]
		}
	}
	id := r.config.Generate()
	if isRequestID(id) {
		return id
	}
	if !r.told.Swap(true) {
		c.Log().Error().Str("id", id[:min(len(id), maxRequestID)]).Msg("middleware: RequestIDConfig.Generate made an id that is none")
	}
	return pleat.NewRequestID()
}

func (r *requestIDs) trusts(peer netip.Addr) bool {
	if !peer.IsValid() {
		return r.config.TrustUnix
	}
	for _, prefix := range r.config.TrustedPeers {
		if prefix.Contains(peer) {
			return true
		}
	}
	return false
}

const maxRequestID = 64

func isRequestID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		if b := s[i]; !isAlphanumeric(b) && b != '.' && b != '_' && b != '-' {
			return false
		}
	}
	return true
}

func isAlphanumeric(b byte) bool {
	return b-'0' < 10 || b|0x20 >= 'a' && b|0x20 <= 'z'
}
