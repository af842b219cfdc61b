// SPDX-License-Identifier: MIT

package pleat

import "strings"

// The path that routes are looked up by is the canonical spelling of the escaped request path.
// Everything that decides by path (routes, groups, static files, redirects) uses this one spelling,
// so that no two of them can read a path differently. Params are decoded once, after the match.
//
// Canonical is (RFC 3986 §6.2.2): unreserved characters are not escaped, escapes have upper-case
// digits, and what may not stand in a path ("\", "|", …) is escaped. An escaped delimiter stays as it
// is: "%2F" is not "/", it separates nothing.

// pathVerdict is what canonicalPath says of a path.
type pathVerdict uint8

const (
	pathClean   pathVerdict = iota // look it up
	pathUnclean                    // has "//", "/./" or "/../": no route matches it, its clean form may be routed
	pathBad                        // no path at all: 400
)

// byteClass is what canonicalPath does with a byte of a path.
type byteClass uint8

const (
	badByte        byteClass = iota // control, space, "#", "?", not ASCII
	escapedByte                     // allowed in no URI, sent by some clients: escaped
	delimiterByte                   // sub-delims, ":", "@": stays as it came
	unreservedByte                  // never escaped
	slashByte
	dotByte // unreserved too
	percentByte
)

// pathBytes is the class of each byte.
var pathBytes = func() (t [256]byteClass) {
	for c := range 0x80 {
		if c > ' ' && c != 0x7f {
			t[c] = escapedByte
		}
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			t[c] = unreservedByte
		}
	}
	for _, c := range "-_~" {
		t[c] = unreservedByte
	}
	for _, c := range "!$&'()*+,;=:@" {
		t[c] = delimiterByte
	}
	t['/'], t['.'], t['%'] = slashByte, dotByte, percentByte
	t['?'], t['#'] = badByte, badByte
	return t
}()

// canonicalPath returns the canonical spelling of an escaped path that begins with "/". A path that
// is canonical already, as nearly all are, is returned as it is, without allocation.
func canonicalPath(raw string) (string, pathVerdict) {
	if raw == "" || raw[0] != '/' {
		return "", pathBad
	}
	for i := 0; i < len(raw); i++ {
		switch pathBytes[raw[i]] {
		case unreservedByte, delimiterByte, dotByte:
		case slashByte:
			if i+1 < len(raw) && (raw[i+1] == '/' || raw[i+1] == '.') {
				return respellPath(raw)
			}
		case badByte:
			return "", pathBad
		default:
			return respellPath(raw)
		}
	}
	return raw, pathClean
}

// respellPath is canonicalPath for paths that need a second look.
func respellPath(raw string) (string, pathVerdict) {
	b := make([]byte, 0, len(raw)+8)
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch pathBytes[c] {
		case badByte:
			return "", pathBad
		case percentByte:
			if !isEscape(raw[i:]) {
				return "", pathBad
			}
			// NUL ends a string for the systems behind us, and stands in no honest path.
			v := unescapeByte(raw[i:])
			if v == 0 {
				return "", pathBad
			}
			b = appendCanonical(b, v, true)
			i += 2
		default:
			b = appendCanonical(b, c, false)
		}
	}
	path := string(b)
	for rest := path; ; {
		segment, tail, more := strings.Cut(rest[1:], "/")
		if isDotSegment(segment) || segment == "" && more {
			return path, pathUnclean
		}
		if !more {
			return path, pathClean
		}
		rest = rest[len(rest)-len(tail)-1:]
	}
}

// appendCanonical appends the canonical spelling of a byte of a path other than "/", that came
// escaped or not.
func appendCanonical(b []byte, c byte, escaped bool) []byte {
	switch pathBytes[c] {
	case unreservedByte, dotByte:
		return append(b, c)
	case delimiterByte, slashByte:
		if !escaped {
			return append(b, c)
		}
	}
	const upperHex = "0123456789ABCDEF"
	return append(b, '%', upperHex[c>>4], upperHex[c&15])
}

// cleanPath removes empty and dot segments from a canonical path, RFC 3986 §5.2.4. It keeps a slash
// at the end; a dot segment at the end leaves one.
func cleanPath(path string) string {
	var kept []string
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		switch s {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, s)
			continue
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

func isDotSegment(s string) bool { return s == "." || s == ".." }

// isEscape tells whether s begins with "%" and two hex digits.
func isEscape(s string) bool {
	return len(s) >= 3 && s[0] == '%' && isHex(s[1]) && isHex(s[2])
}

// unescapeByte is the byte of the escape at the beginning of s.
func unescapeByte(s string) byte { return unhex(s[1])<<4 | unhex(s[2]) }

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}
