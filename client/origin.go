// SPDX-License-Identifier: MIT

package client

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// origin is what credentials are bound to (RFC 6454 §4): scheme, host and port. Comparable.
type origin struct {
	scheme string
	host   string // canonical: ASCII, lower case, no trailing dot; an IPv6 address without brackets, with its zone
	port   uint16 // the effective one
}

// originOf returns the origin of an address that parseURL accepted.
func originOf(u *url.URL) origin {
	o := origin{scheme: u.Scheme, port: 80}
	if o.scheme == "https" {
		o.port = 443
	}
	if p := u.Port(); p != "" {
		n, _ := strconv.ParseUint(p, 10, 16)
		o.port = uint16(n)
	}
	o.host, _ = canonicalHost(u.Hostname())
	return o
}

// parseOrigin reads "https://host:port".
func parseOrigin(s string) (origin, error) {
	u, err := parseURL(s)
	if err != nil {
		return origin{}, err
	}
	if u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return origin{}, fmt.Errorf("%w: not an origin", ErrURL)
	}
	return originOf(u), nil
}

// same reports whether what was meant for o may go to next. The one exception to equality is the upgrade that servers
// redirect their own plain port to: http on 80 to https on 443 of the same host.
func (o origin) same(next origin) bool {
	if o == next {
		return true
	}
	return o.host == next.host && o.scheme == "http" && o.port == 80 && next.scheme == "https" && next.port == 443
}

// canonicalHost brings a host, without brackets and port, into the one spelling that hosts are compared in. It refuses
// what is neither an address nor a name.
func canonicalHost(host string) (string, bool) {
	if host == "" {
		return "", false
	}
	if strings.Contains(host, ":") {
		addr, err := netip.ParseAddr(host)
		if err != nil || strings.ContainsFunc(addr.Zone(), func(r rune) bool { return !unreserved(r) }) {
			return "", false
		}
		return addr.String(), true
	}
	canonical := true
	for i := range len(host) {
		switch b := host[i]; {
		case 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '-', b == '.', b == '_':
		case 'A' <= b && b <= 'Z':
			canonical = false
		case b >= 0x80:
			ascii, err := idna.Lookup.ToASCII(host)
			if err != nil || ascii == "" {
				return "", false
			}
			return canonicalHost(ascii)
		default:
			return "", false
		}
	}
	if !canonical {
		host = strings.ToLower(host)
	}
	host = strings.TrimSuffix(host, ".")
	emptyLabel := host == "" || host[0] == '.' || host[len(host)-1] == '.' || strings.Contains(host, "..")
	return host, !emptyLabel
}

// unreserved is RFC 3986 §2.3, which is what RFC 6874 §2 lets a zone consist of.
func unreserved(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_' || r == '~'
}
