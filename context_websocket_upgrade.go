// SPDX-License-Identifier: MIT

package pleat

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// checkUpgrade tells whether the request can be upgraded to WebSocket (RFC 6455,
// section 4.2.1), and if not by what error it is to be answered.
func (c *Context) checkUpgrade(origins []string) error {
	if major, _ := c.req.ProtocolVersion(); major > 1 {
		// A 426 would have to name the protocol in a field that HTTP/2 has not (RFC
		// 9113, section 8.2.2).
		return NewError(http.StatusBadRequest, "WebSocket is to be had over HTTP/1.1 only")
	}
	header := c.req.Header()
	if _, minor := c.req.ProtocolVersion(); minor == 0 || c.Method() != http.MethodGet ||
		!header.HasToken("Connection", "upgrade") || !header.HasToken("Upgrade", "websocket") {
		return upgradeRequired("this is to be had over WebSocket only")
	}
	if version := header.Values("Sec-WebSocket-Version"); len(version) != 1 || version[0] != "13" {
		return upgradeRequired("the version of WebSocket has to be 13").WithHeader("Sec-WebSocket-Version", "13")
	}
	key := header.Values("Sec-WebSocket-Key")
	if len(key) != 1 {
		return NewError(http.StatusBadRequest, "one Sec-WebSocket-Key wanted")
	}
	if nonce, err := base64.StdEncoding.DecodeString(key[0]); err != nil || len(nonce) != 16 {
		return NewError(http.StatusBadRequest, "the Sec-WebSocket-Key is not 16 octets in base64")
	}
	if c.req.ContentLength() != 0 {
		// Its octets would be taken for frames.
		return NewError(http.StatusBadRequest, "a request for WebSocket has no body")
	}
	return c.checkOrigin(origins)
}

func upgradeRequired(message string) *HTTPError {
	return NewError(http.StatusUpgradeRequired, message).WithHeader("Upgrade", "websocket").WithHeader("Connection", "Upgrade")
}

// checkOrigin tells whether pages of the request's origin may connect.
func (c *Context) checkOrigin(allowed []string) error {
	patterns := make([]originPattern, len(allowed))
	for i, text := range allowed {
		var ok bool
		if patterns[i], ok = parseOriginPattern(text); !ok {
			return fmt.Errorf("pleat: WebSocketOptions.Origins: %q is no origin", text)
		}
	}
	lines := c.req.Header().Values("Origin")
	if len(lines) == 0 {
		return nil // no browser
	}
	refused := NewError(http.StatusForbidden, "pages of this origin may not connect")
	if len(lines) > 1 {
		return refused
	}
	o, ok := parseOrigin(lines[0])
	if ok && o.host != "" && o.isHost(c.req.Host()) && (o.scheme == "https" || !c.req.IsSecure()) {
		return nil
	}
	for _, p := range patterns {
		if p.any || ok && p.matches(o) {
			return nil
		}
	}
	return refused.WithCause(fmt.Errorf("pleat: WebSocket from a page of %q for %q", clip(lines[0]), clip(c.req.Host())))
}

// origin is an origin (RFC 6454) in lower case, without the port of its scheme; the
// zero origin is "null".
type origin struct{ scheme, host, port string }

// parseOrigin reads an origin as browsers send it.
func parseOrigin(text string) (o origin, ok bool) {
	if text == "null" {
		return origin{}, true
	}
	u, err := url.Parse(strings.ToLower(text))
	if err != nil || u.Hostname() == "" || u.String() != u.Scheme+"://"+u.Host {
		return origin{}, false
	}
	o = origin{u.Scheme, u.Hostname(), u.Port()}
	o.dropPort()
	return o, true
}

func (o *origin) dropPort() {
	if o.scheme == "http" && o.port == "80" || o.scheme == "https" && o.port == "443" {
		o.port = ""
	}
}

// isHost tells whether a host, as in a Host field, is that of the origin. The port
// that it may leave out is that of the origin's scheme: what a proxy in front made of
// the scheme is not known here.
func (o origin) isHost(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), ""
	}
	h := origin{o.scheme, strings.ToLower(host), port}
	h.dropPort()
	return h == o
}

// originPattern is one of WebSocketOptions.Origins.
type originPattern struct {
	origin
	any   bool // "*"
	below bool // hosts below this one
}

func parseOriginPattern(text string) (p originPattern, ok bool) {
	if text == "*" {
		return originPattern{any: true}, true
	}
	scheme, host, found := strings.Cut(text, "://*.")
	if found {
		text = scheme + "://" + host
	}
	p.origin, ok = parseOrigin(text)
	p.below = found
	return p, ok && !strings.Contains(p.host, "*")
}

func (p originPattern) matches(o origin) bool {
	if !p.below {
		return p.origin == o
	}
	return p.scheme == o.scheme && p.port == o.port && strings.HasSuffix(o.host, "."+p.host)
}
