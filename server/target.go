// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"net/netip"
)

// targetForm is the form of a request target (RFC 9112 §3.2).
type targetForm uint8

const (
	originForm    targetForm = iota // /path?query
	absoluteForm                    // http://authority/path?query
	authorityForm                   // host:port, with CONNECT only
	asteriskForm                    // *, with OPTIONS only
)

// pathOf returns the escaped path the target names, given the head as a
// string: "/" for an absolute-form without a path, "*" for OPTIONS on the
// server as a whole, "" for CONNECT.
func (h *head) pathOf(s string) string {
	switch {
	case h.form == asteriskForm:
		return "*"
	case !h.path.empty() || h.form == authorityForm:
		return h.path.of(s)
	case h.query.empty() && h.method.of(s) == "OPTIONS":
		// RFC 9112 §3.2.4: an absolute-form with neither path nor query is
		// how a proxy was asked for what "*" asks an origin server.
		return "*"
	default:
		return "/"
	}
}

// splitTarget takes the target, which b ends with, apart. b starts at the
// request line, and every octet of the target is known to be one a URI may
// have; classes holds the classes that occur in it.
func (h *head) splitTarget(b []byte, classes uint8) *ProtocolError {
	target := b[h.target.start:]
	method := b[:h.method.end]
	start := h.target.start
	switch {
	case string(method) == "CONNECT":
		if !validConnectTarget(target) {
			return errTargetForm
		}
		h.form = authorityForm
		h.authority = h.target
		return nil
	case target[0] == '/':
		h.form = originForm
	case len(target) == 1 && target[0] == '*' && string(method) == "OPTIONS":
		h.form = asteriskForm
		return nil
	default:
		n, err := h.splitAbsolute(target)
		if err != nil {
			return err
		}
		h.form = absoluteForm
		start += uint32(n)
		target = target[n:]
	}
	h.path = span{start, h.target.end}
	if classes&octetQuery != 0 {
		if i := bytes.IndexByte(target, '?'); i >= 0 {
			h.path.end = start + uint32(i)
			h.query = span{h.path.end + 1, h.target.end}
			target = target[:i]
		}
	}
	// A broken escape in the path could mean different things to whoever
	// decodes it. The query is left alone: it is opaque to the server, and
	// people do link to "?discount=50%".
	if classes&octetEscape != 0 && !validEscapes(target) {
		return errTargetEscape
	}
	return nil
}

// splitAbsolute reads "http://authority" at the start of target and returns
// its length. RFC 9110 §4.2 makes an empty host an error, and userinfo one
// for a target from an untrusted source; nothing sends it but attacks.
func (h *head) splitAbsolute(target []byte) (int, *ProtocolError) {
	scheme := len("http")
	if len(target) > scheme && target[scheme]|0x20 == 's' {
		scheme++
	}
	if len(target) < scheme+len("://") || !equalFoldASCII(target[:scheme], "https"[:scheme]) ||
		string(target[scheme:scheme+3]) != "://" {
		return 0, errTargetForm
	}
	start := scheme + len("://")
	end := len(target)
	if i := bytes.IndexAny(target[start:], "/?"); i >= 0 {
		end = start + i
	}
	if !validAuthority(target[start:end]) {
		return 0, errTargetAuthority
	}
	at := h.target.start
	h.scheme = span{at, at + uint32(scheme)}
	h.authority = span{at + uint32(start), at + uint32(end)}
	return end, nil
}

// validEscapes reports whether every '%' in b starts a percent-encoding.
func validEscapes(b []byte) bool {
	for i, c := range b {
		if c == '%' && !escapeAt(b, i) {
			return false
		}
	}
	return true
}

// escapeAt reports whether two hexadecimal digits follow b[i].
func escapeAt(b []byte, i int) bool {
	return i+2 < len(b) && octetClass[b[i+1]]&octetClass[b[i+2]]&octetHex != 0
}

// validConnectTarget reports whether b is authority-form. RFC 9110 §9.3.6
// wants a port that is there and valid.
func validConnectTarget(b []byte) bool {
	host, port, ok := splitAuthority(b)
	return ok && validHost(host) && len(port) > 1 && !allZero(port[1:])
}

func allZero(digits []byte) bool {
	for _, c := range digits {
		if c != '0' {
			return false
		}
	}
	return true
}

// validAuthority reports whether b is uri-host [ ":" port ] with a host that
// is not empty. The port may be empty (RFC 3986 §3.2.3) and is at most 65535.
// Userinfo is not part of an authority in HTTP.
func validAuthority(b []byte) bool {
	host, _, ok := splitAuthority(b)
	return ok && validHost(host)
}

// splitAuthority splits before the colon of the port, if there is one; ok is
// false when the port is not a port number.
func splitAuthority(b []byte) (host, port []byte, ok bool) {
	host = b
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return nil, nil, false
		}
		host, port = b[:end+1], b[end+1:]
	} else if i := bytes.IndexByte(b, ':'); i >= 0 {
		host, port = b[:i], b[i:]
	}
	if len(port) == 0 {
		return host, nil, true
	}
	if port[0] != ':' {
		return nil, nil, false
	}
	n := 0
	for _, c := range port[1:] {
		if c < '0' || c > '9' {
			return nil, nil, false
		}
		if n = n*10 + int(c-'0'); n > 65535 {
			return nil, nil, false
		}
	}
	return host, port, true
}

// validHost reports whether b is an IP literal in brackets, an IPv4 address
// or a name. A name may hold percent-encoded octets, but none that stands for
// a delimiter, a space or a control octet: decoded by somebody, it would read
// as something else.
func validHost(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	if b[0] == '[' {
		return b[len(b)-1] == ']' && validIPLiteral(b[1:len(b)-1])
	}
	for i := 0; i < len(b); i++ {
		if octetClass[b[i]]&octetRegName != 0 {
			continue
		}
		if b[i] != '%' || !escapeAt(b, i) {
			return false
		}
		if c := unhex(b[i+1])<<4 | unhex(b[i+2]); c < 0x80 && !isUnreserved(c) {
			return false
		}
		i += 2
	}
	return true
}

func isUnreserved(c byte) bool {
	return c >= '0' && c <= '9' || octetClass[c]&octetAlpha != 0 ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// validIPLiteral reports whether b, without its brackets, is an IPv6 address
// without a zone (a zone means something on the sender's machine only) or an
// IPvFuture (RFC 3986 §3.2.2).
func validIPLiteral(b []byte) bool {
	const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
	if len(b) > 0 && b[0]|0x20 == 'v' {
		version, address, ok := bytes.Cut(b[1:], []byte{'.'})
		if !ok || len(version) == 0 || len(address) == 0 {
			return false
		}
		for _, c := range version {
			if octetClass[c]&octetHex == 0 {
				return false
			}
		}
		for _, c := range address {
			if octetClass[c]&octetRegName == 0 && c != ':' {
				return false
			}
		}
		return true
	}
	if len(b) > longest {
		return false
	}
	addr, err := netip.ParseAddr(string(b))
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
