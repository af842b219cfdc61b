// SPDX-License-Identifier: MIT

package server

import (
	"net/netip"
	"strconv"
	"strings"
)

// This file reads the texts of the forwarding fields. It holds pure functions
// over strings: whom to believe is decided in trust_policy.go.

const (
	// maxForwardedHops bounds the elements of a forwarding field that are
	// looked at, over all its lines.
	maxForwardedHops = 32
	// maxForwardedPairs bounds the parameters of one Forwarded element. Four
	// are registered (RFC 7239 §5); the bound keeps the search for
	// repeated names from growing with the square of a hostile header.
	maxForwardedPairs = 16
	// maxForwardedNode is the length of the longest address with brackets,
	// port and some room: "[" + 45 + "]:65535".
	maxForwardedNode = 53
)

// parseForwardedIP reads an address without port, brackets or zone. IPv4 in
// IPv6 form is unmapped, so that it meets the same prefixes as plain IPv4.
func parseForwardedIP(s string) (netip.Addr, bool) {
	if s == "" || len(s) > maxForwardedNode || strings.IndexByte(s, '%') >= 0 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// parseXForwardedFor reads one element of X-Forwarded-For, a field without a
// specification: an IPv4 or IPv6 address, IPv4:port, [IPv6] or [IPv6]:port,
// with spaces and tabs around it.
func parseXForwardedFor(elem string) (netip.Addr, bool) {
	s := trimOWS(elem)
	if s == "" || len(s) > maxForwardedNode {
		return netip.Addr{}, false
	}
	if s[0] == '[' {
		return parseBracketedIP(s, isPort)
	}
	if i := strings.IndexByte(s, ':'); i >= 0 && i == strings.LastIndexByte(s, ':') {
		return parsePortedIPv4(s, i, isPort)
	}
	return parseForwardedIP(s)
}

// parseForwardedNode reads the value of a for or by parameter:
//
//	node     = nodename [ ":" node-port ]
//	nodename = IPv4address / "[" IPv6address "]" / "unknown" / obfnode
//
// "unknown" and obfnode are not addresses, so they are not ok here.
// (RFC 7239 §6).
func parseForwardedNode(s string) (netip.Addr, bool) {
	if s == "" || len(s) > maxForwardedNode {
		return netip.Addr{}, false
	}
	if s[0] == '[' {
		return parseBracketedIP(s, isNodePort)
	}
	if i := strings.IndexByte(s, ':'); i >= 0 {
		return parsePortedIPv4(s, i, isNodePort)
	}
	return parseForwardedIP(s)
}

// parseBracketedIP reads [IPv6] or [IPv6]:port; s starts with the bracket.
func parseBracketedIP(s string, port func(string) bool) (netip.Addr, bool) {
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return netip.Addr{}, false
	}
	inner, rest := s[1:end], s[end+1:]
	if strings.IndexByte(inner, ':') < 0 {
		return netip.Addr{}, false // [1.2.3.4] is no address
	}
	if rest != "" && (rest[0] != ':' || !port(rest[1:])) {
		return netip.Addr{}, false
	}
	return parseForwardedIP(inner)
}

// parsePortedIPv4 reads IPv4:port, with the colon at s[colon].
func parsePortedIPv4(s string, colon int, port func(string) bool) (netip.Addr, bool) {
	if !port(s[colon+1:]) {
		return netip.Addr{}, false
	}
	return parseForwardedIP(s[:colon])
}

// isPort reports whether s is a port number, one to five digits.
func isPort(s string) bool {
	if s == "" || len(s) > 5 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	n, err := strconv.Atoi(s)
	return err == nil && n <= 65535
}

// isNodePort reports whether s is a node-port: a port number or an obfuscated
// one, "_" 1*( ALPHA / DIGIT / "." / "_" / "-" ).
func isNodePort(s string) bool {
	if len(s) < 2 || s[0] != '_' {
		return isPort(s)
	}
	for i := 1; i < len(s); i++ {
		if !isHostByte(s[i]) {
			return false
		}
	}
	return true
}

// isHostByte reports whether b may stand in a host name: letters, digits, "-",
// "." and "_". The rest of reg-name (percent-encoding, sub-delims) names no
// host that resolves.
func isHostByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' ||
		b == '-' || b == '.' || b == '_'
}

// splitForwardedHost takes a forwarded host apart and says whether it is one:
// a host name, an IPv4 address or a bracketed IPv6 address, with an optional
// port. User information, paths, lists and empty ports are refused.
func splitForwardedHost(s string) (host, port string, ok bool) {
	if s == "" || len(s) > 255+len(":65535") {
		return "", "", false
	}
	if s[0] == '[' {
		_, valid := parseBracketedIP(s, isPort)
		if !valid {
			return "", "", false
		}
		end := strings.IndexByte(s, ']') + 1
		return s[:end], strings.TrimPrefix(s[end:], ":"), true
	}
	host, port, ported := strings.Cut(s, ":")
	if host == "" || len(host) > 255 || ported && !isPort(port) {
		return "", "", false
	}
	for i := range len(host) {
		if !isHostByte(host[i]) {
			return "", "", false
		}
	}
	return host, port, true
}

// forwardedElement is what pleat uses of one element of Forwarded. A parameter
// that is absent is "".
type forwardedElement struct {
	node, proto, host string // for, proto, host
}

// parseForwarded appends the elements of one Forwarded field line to dst, in
// the order they stand, and reports whether the whole line keeps to the
// grammar:
//
//	Forwarded         = 1#forwarded-element
//	forwarded-element = forwarded-pair *( ";" forwarded-pair )
//	forwarded-pair    = token "=" ( token / quoted-string )
//
// It is stricter than RFC 7239 §4 in that empty pairs and empty list
// elements are errors: nobody sends them but to confuse. A parameter may
// "occur at most once per forwarded-element", extensions included.
//
// Lines are read one by one and never joined, so that a quote left open in a
// line that a client sent cannot swallow the line that a proxy added.
func parseForwarded(dst []forwardedElement, line string) ([]forwardedElement, bool) {
	rest := trimOWS(line)
	for n := 0; ; n++ {
		if n == maxForwardedHops {
			return dst, false
		}
		elem, tail, ok := consumeForwardedElement(rest)
		if !ok {
			return dst, false
		}
		dst = append(dst, elem)
		tail = skipOWS(tail)
		if tail == "" {
			return dst, true
		}
		if tail[0] != ',' {
			return dst, false
		}
		rest = skipOWS(tail[1:])
	}
}

// consumeForwardedElement reads pairs up to the end of the element and returns
// what follows the last one.
func consumeForwardedElement(s string) (elem forwardedElement, rest string, ok bool) {
	var seen [maxForwardedPairs]string
	for n := 0; ; n++ {
		if n == maxForwardedPairs {
			return elem, s, false
		}
		name, tail := consumeToken(s)
		if name == "" || tail == "" || tail[0] != '=' {
			return elem, s, false
		}
		for _, earlier := range seen[:n] {
			if equalFoldASCII(earlier, name) {
				return elem, s, false
			}
		}
		seen[n] = name
		value, tail, ok := consumeForwardedValue(tail[1:])
		if !ok {
			return elem, s, false
		}
		switch {
		case equalFoldASCII(name, "for"):
			elem.node = value
		case equalFoldASCII(name, "proto"):
			elem.proto = value
		case equalFoldASCII(name, "host"):
			elem.host = value
		}
		if tail == "" || tail[0] != ';' {
			return elem, tail, true
		}
		s = tail[1:]
	}
}

// consumeForwardedValue reads a token or a quoted-string.
func consumeForwardedValue(s string) (value, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		value, rest = consumeToken(s)
		return value, rest, value != ""
	}
	return consumeQuoted(s[1:])
}

// consumeQuoted reads a quoted-string whose opening quote is gone. The value
// is a part of s unless there is an escape in it. Control bytes but tab are
// refused (RFC 9110 §5.6.4).
func consumeQuoted(s string) (value, rest string, ok bool) {
	var unescaped []byte
	escapes := false
	start := 0 // of what is not in unescaped yet
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b == '"':
			if !escapes {
				return s[:i], s[i+1:], true
			}
			return string(append(unescaped, s[start:i]...)), s[i+1:], true
		case b == '\\':
			unescaped = append(unescaped, s[start:i]...)
			escapes = true
			i++
			if i == len(s) || octetClass[s[i]]&octetValue == 0 {
				return "", s, false
			}
			start = i
		case octetClass[b]&octetValue == 0:
			return "", s, false
		}
	}
	return "", s, false
}

// skipOWS removes SP and HTAB from the start of s.
func skipOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

// consumeToken splits s after its longest prefix that is a token.
func consumeToken(s string) (token, rest string) {
	for i := range len(s) {
		if octetClass[s[i]]&octetToken == 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}
