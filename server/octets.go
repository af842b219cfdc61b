// SPDX-License-Identifier: MIT

package server

// trimOWS removes SP and HTAB, and nothing else, from both ends (RFC 9110
// §5.6.3). VT, FF or a Unicode space is part of the value: treating those as
// space is how two parsers come to disagree about a Transfer-Encoding.
func trimOWS[T string | []byte](s T) T {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// equalFoldASCII compares without regard to the case of ASCII letters. Unlike
// [strings.EqualFold] it does not take U+212A for a k.
func equalFoldASCII[A, B string | []byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if c := a[i]; c != b[i] {
			if c^b[i] != 0x20 || octetClass[c]&octetAlpha == 0 {
				return false
			}
		}
	}
	return true
}

// Classes of octets; one table answers every per-octet question of the
// parsers with one load.
const (
	octetToken   uint8 = 1 << iota // tchar, RFC 9110 §5.6.2
	octetTarget                    // may occur in a request target
	octetValue                     // may occur in a field value
	octetRegName                   // may occur unescaped in a host name
	octetAlpha                     // ASCII letter
	octetHex                       // HEXDIG, either case
	octetQuery                     // '?': the path ends
	octetEscape                    // '%': a percent-encoding begins
)

var octetClass = makeOctetClass()

func makeOctetClass() (t [256]uint8) {
	mark := func(octets string, class uint8) {
		for i := range len(octets) {
			t[octets[i]] |= class
		}
	}
	const (
		digits     = "0123456789"
		letters    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		unreserved = letters + digits + "-._~"
	)
	mark(letters+digits+"!#$%&'*+-.^_`|~", octetToken)
	// All of RFC 3986 but the fragment's '#', see also leftRawInQuery. Square
	// brackets belong to an IP literal only, but browsers send them as they are in
	// a query ("?id[]=1"), and no reader can take them for anything else.
	mark(unreserved+"!$&'()*+,;=:@/?%[]", octetTarget)
	// A comma is a sub-delim too, but in a Host it is two hosts joined into
	// one line by some middlebox.
	mark(unreserved+"!$&'()*+;=", octetRegName)
	mark(letters, octetAlpha)
	mark(digits+"abcdefABCDEF", octetHex)
	mark("?", octetQuery)
	mark("%", octetEscape)
	mark("\t", octetValue)
	for c := ' '; c <= 0xff; c++ {
		if c != 0x7f {
			t[c] |= octetValue
		}
	}
	return t
}

// leftRawInQuery reports whether c, which no URI may have, is left as it is by
// browsers behind the question mark: all that the WHATWG URL Standard's query
// percent-encode set lacks. A query means nothing to anybody but the handler.
func leftRawInQuery(c byte) bool {
	switch c {
	case '\\', '^', '`', '{', '|', '}':
		return true
	}
	return false
}
