// SPDX-License-Identifier: MIT

package server

import (
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Header is the field section of a request: a read-only, ordered view of the
// lines as they were received, repeated fields included. Names compare
// without regard to case, values come without the whitespace around them.
//
// The zero value is an empty section. A Header is one immutable string, so it
// can be copied, kept, and read by several goroutines at once, and looking
// something up allocates nothing but what the answer itself needs.
type Header struct {
	// raw is zero or more lines "name:value\r\n". Whoever makes a Header has
	// validated them: a token before the colon, no CR, LF or NUL after it.
	raw string
}

// newHeader makes a Header of field lines the parser accepted.
func newHeader(raw string) Header { return Header{raw} }

// Get returns the value of the first field of that name, "" when there is
// none. Use [Header.Lookup] to tell an empty value from an absent one.
func (h Header) Get(name string) string {
	v, _ := h.Lookup(name)
	return v
}

// Lookup returns the value of the first field of that name and whether there
// is one.
func (h Header) Lookup(name string) (string, bool) {
	v, _, ok := nextField(h.raw, name)
	return v, ok
}

// Values returns the values of all fields of that name in the order of the
// lines, nil when there are none. A value that is itself a comma separated
// list is not taken apart. The slice belongs to the caller.
func (h Header) Values(name string) []string {
	var values []string
	for raw := h.raw; ; {
		v, rest, ok := nextField(raw, name)
		if !ok {
			return values
		}
		values = append(values, v)
		raw = rest
	}
}

// All ranges over the fields in the order they were received, names spelled
// as the sender spelled them.
func (h Header) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for raw := h.raw; raw != ""; {
			line, rest := cutFieldLine(raw)
			colon := strings.IndexByte(line, ':')
			if !yield(line[:colon], trimOWS(line[colon+1:])) {
				return
			}
			raw = rest
		}
	}
}

// Len returns the number of field lines.
func (h Header) Len() int { return strings.Count(h.raw, "\n") }

// HasToken reports whether token is a member of the comma separated list that
// the fields of that name make up together, as in
// HasToken("Connection", "upgrade"). It compares without regard to case
// (RFC 9110 §5.6.1).
func (h Header) HasToken(name, token string) bool {
	for raw := h.raw; ; {
		list, rest, ok := nextField(raw, name)
		if !ok {
			return false
		}
		for list != "" {
			var member string
			member, list, _ = strings.Cut(list, ",")
			member = trimOWS(member)
			if member != "" && equalFoldASCII(member, token) {
				return true
			}
		}
		raw = rest
	}
}

// Map returns the fields as a new map with canonical keys, for code that is
// written against net/http. Unlike [http.Request.Header] it has Host in it,
// as it came.
func (h Header) Map() http.Header {
	m := make(http.Header, h.Len())
	for name, value := range h.All() {
		m.Add(name, value)
	}
	return m
}

// nextField finds the first line in raw with the given name; rest is what
// follows that line.
func nextField(raw, name string) (value, rest string, ok bool) {
	for raw != "" {
		line, rest := cutFieldLine(raw)
		// A token holds no colon, so a colon right where the wanted name
		// would end settles nearly every line without comparing names.
		if len(name) < len(line) && line[len(name)] == ':' &&
			equalFoldASCII(line[:len(name)], name) && strings.IndexByte(name, ':') < 0 {
			return trimOWS(line[len(name)+1:]), rest, true
		}
		raw = rest
	}
	return "", "", false
}

// cutFieldLine splits raw after its first line; line comes without CRLF.
func cutFieldLine(raw string) (line, rest string) {
	lf := strings.IndexByte(raw, '\n')
	return raw[:lf-1], raw[lf+1:]
}

// headerFromMap makes a Header of a net/http map. The map has lost the order
// of the names, so they come sorted. What could not have come over the wire,
// a name that is no token or a value with a control octet, is left out.
func headerFromMap(m http.Header) Header {
	var raw []byte
	for _, name := range slices.Sorted(maps.Keys(m)) {
		for _, value := range m[name] {
			if validFieldName(name) && validFieldValue(value) {
				raw = appendField(raw, name, value)
			}
		}
	}
	return Header{string(raw)}
}

// appendField appends one field line. Name and value must be valid.
func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// validFieldName reports whether name is a token (RFC 9110 §5.6.2).
func validFieldName(name string) bool {
	for i := range len(name) {
		if octetClass[name[i]]&octetToken == 0 {
			return false
		}
	}
	return name != ""
}

// validFieldValue reports whether value holds no control octet but HTAB.
// RFC 9110 §5.5 forbids CR, LF and NUL outright and calls the others invalid;
// nobody needs them. Octets above 0x7f are allowed as opaque data.
func validFieldValue(value string) bool {
	for i := range len(value) {
		if octetClass[value[i]]&octetValue == 0 {
			return false
		}
	}
	return true
}
