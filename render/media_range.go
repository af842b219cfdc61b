// SPDX-License-Identifier: MIT

package render

import (
	"strings"

	"golang.org/x/net/http/httpguts"
)

// mediaRange is one element of an Accept field:
//
//	media-range [ weight ], media-range = ( "*/*" / type "/*" / type "/" subtype ) parameters
type mediaRange struct {
	typ, subtype string // "*" for any
	params       string // before the weight, checked, `a=b; c="d"`
	quality      int    // thousandths, 0 to 1000
}

// parseRange reads one element. A lone "*" counts as "*/*": the client of the
// Java platform has sent "text/html, *; q=.2" for decades.
func parseRange(s string) (r mediaRange, ok bool) {
	mediaType, n := cutUnquoted(s, ';')
	params := s[n:]
	r.typ, r.subtype, ok = strings.Cut(trim(mediaType), "/")
	if !ok && r.typ == "*" {
		r.subtype, ok = "*", true
	}
	if !ok || !isToken(r.typ) || !isToken(r.subtype) || r.typ == "*" && r.subtype != "*" {
		return r, false
	}
	r.quality = 1000
	r.params = params
	for rest := params; trim(rest) != ""; {
		before := len(params) - len(rest)
		name, value, tail, ok := nextParam(rest)
		if !ok {
			return r, false
		}
		if strings.EqualFold(name, "q") {
			// What follows the weight was "accept-ext" once and means nothing
			// now (RFC 9110 §12.5.1).
			r.params = params[:before]
			r.quality, ok = parseQuality(value)
			return r, ok
		}
		rest = tail
	}
	return r, true
}

// nextParam takes the first parameter off a list "name=value; name=value". A
// quoted value is returned without its quotes, but with its escapes. Empty
// places between semicolons are allowed (RFC 9110 §5.6.6); a list of nothing else
// gives an empty name.
func nextParam(s string) (name, value, rest string, ok bool) {
	part := ""
	for s != "" && part == "" {
		p, n := cutUnquoted(s, ';')
		part, s = trim(p), s[n:]
	}
	name, value, ok = strings.Cut(part, "=")
	if !ok || !isToken(name) {
		return "", "", s, part == "" && s == ""
	}
	if strings.HasPrefix(value, `"`) {
		if !isQuoted(value) {
			return "", "", s, false
		}
		return name, value[1 : len(value)-1], s, true
	}
	return name, value, s, isToken(value)
}

// parseQuality reads a weight in thousandths. The grammar allows three digits and
// wants one before the point; clients that send ".2" or more digits are
// understood, and the digits beyond the third dropped. More than 1 is an error.
func parseQuality(s string) (int, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if whole == "" && fraction == "" {
		return 0, false
	}
	q := 0
	switch whole {
	case "", "0":
	case "1":
		q = 1000
	default:
		return 0, false
	}
	for i, place := 0, 100; i < len(fraction); i++ {
		if fraction[i] < '0' || fraction[i] > '9' {
			return 0, false
		}
		q += int(fraction[i]-'0') * place
		place /= 10
	}
	return q, q <= 1000
}

// cutUnquoted gives what stands before the first sep outside a quoted string,
// and where to go on behind it.
func cutUnquoted(s string, sep byte) (before string, next int) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			return s[:i], i + 1
		}
	}
	return s, len(s)
}

// isQuoted reports whether s is one quoted-string (RFC 9110 §5.6.4).
func isQuoted(s string) bool {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		switch c := s[i]; {
		case c == '"', c < ' ' && c != '\t', c == 0x7F:
			return false
		case c == '\\':
			i++
			if i == len(s)-1 { // the last quote is escaped
				return false
			}
		}
	}
	return true
}

// isToken reports whether s is a token (RFC 9110 §5.6.2), which is what a field
// name is.
func isToken(s string) bool { return httpguts.ValidHeaderFieldName(s) }

// trim takes optional white space off both ends (RFC 9110 §5.6.3).
func trim(s string) string { return strings.Trim(s, " \t") }
