// SPDX-License-Identifier: MIT

package server

import "math"

// This file holds the few fields that decide where a request ends, who it is
// for and whether the connection lives on. The parser reads them as it
// passes, because a mistake here is how requests are smuggled.

// isFramingField reports whether a field name of that first octet and length
// may be one that framingField knows; it spares the others a call.
func isFramingField(first byte, length int) bool {
	switch length {
	case len("Host"):
		return first|0x20 == 'h'
	case len("Expect"):
		return first|0x20 == 'e'
	case len("Upgrade"):
		return first|0x20 == 'u'
	case len("Connection"), len("Content-Length"):
		return first|0x20 == 'c'
	case len("Transfer-Encoding"):
		return first|0x20 == 't'
	default:
		return false
	}
}

// framingField looks at the field line b[line:end] if its name is one that
// matters here.
func (p *headParser) framingField(b []byte, line, colon, end int) *ProtocolError {
	h := &p.head
	name := b[line:colon]
	start := colon + 1
	for start < end && (b[start] == ' ' || b[start] == '\t') {
		start++
	}
	value := trimOWS(b[start:end])
	switch len(name) {
	case len("Host"):
		if equalFoldASCII(name, "host") {
			return h.readHost(value, p.offset(start))
		}
	case len("Expect"):
		if equalFoldASCII(name, "expect") && h.minor == 1 {
			return h.readExpect(value)
		}
	case len("Upgrade"):
		if equalFoldASCII(name, "upgrade") {
			p.upgradeField = true
		}
	case len("Connection"):
		if equalFoldASCII(name, "connection") {
			p.readConnection(value)
		}
	case len("Content-Length"):
		if equalFoldASCII(name, "content-length") {
			return h.readLength(value)
		}
	case len("Transfer-Encoding"):
		if equalFoldASCII(name, "transfer-encoding") {
			return h.readCoding(value)
		}
	}
	return nil
}

// readHost enforces RFC 9112 §3.2: "A server MUST respond with a 400 (Bad
// Request) status code to any HTTP/1.1 request message that lacks a Host
// header field and to any request message that contains more than one Host
// header field line or a Host header field with an invalid field value."
// An empty value is valid: it says that the target has no authority.
func (h *head) readHost(value []byte, start uint32) *ProtocolError {
	if h.hasHost {
		return errHostRepeated
	}
	if len(value) > 0 && !validAuthority(value) {
		return errHostInvalid
	}
	h.hasHost = true
	h.host = span{start, start + uint32(len(value))}
	return nil
}

// readExpect knows one expectation (RFC 9110 §10.1.1). HTTP/1.0 has none, so
// the caller does not ask then.
func (h *head) readExpect(value []byte) *ProtocolError {
	for len(value) > 0 {
		var member []byte
		if member, value = cutMember(value); len(member) == 0 {
			continue
		}
		if !equalFoldASCII(member, "100-continue") {
			return errExpect
		}
		h.expectContinue = true
	}
	return nil
}

// readConnection notes the connection options that mean something here; they
// may be spread over several lines (RFC 9110 §7.6.1).
func (p *headParser) readConnection(value []byte) {
	for len(value) > 0 {
		var member []byte
		member, value = cutMember(value)
		switch len(member) {
		case len("close"):
			p.head.close = p.head.close || equalFoldASCII(member, "close")
		case len("upgrade"):
			p.upgradeOption = p.upgradeOption || equalFoldASCII(member, "upgrade")
		case len("keep-alive"):
			p.head.keepAlive = p.head.keepAlive || equalFoldASCII(member, "keep-alive")
		}
	}
}

// cutMember splits a comma separated list after its first member, which comes
// without the whitespace around it and may be empty.
func cutMember(list []byte) (member, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trimOWS(list[:i]), list[i+1:]
		}
	}
	return trimOWS(list), nil
}

// readLength accepts one decimal number. RFC 9112 §6.3 lets a server take
// several equal values for one; refusing them is as conforming, and then no
// peer on the way can have taken the other.
func (h *head) readLength(value []byte) *ProtocolError {
	switch {
	case h.chunked:
		return errCodingAndLength
	case h.contentLength >= 0:
		return errLengthRepeated
	case len(value) == 0:
		return errLength
	}
	// The whole value is judged before its size: digits and a stray octet is
	// malformed, not large.
	var n int64
	large := false
	for _, c := range value {
		if c < '0' || c > '9' {
			return errLength
		}
		d := int64(c - '0')
		if n > (math.MaxInt64-d)/10 {
			large = true
			continue
		}
		n = n*10 + d
	}
	if large {
		return errLengthTooLarge
	}
	h.contentLength = n
	return nil
}

// readCoding accepts exactly "chunked". RFC 9112 §6.1 asks for 501 when the
// coding is not understood, §6.3 for 400 when chunked is not the final one,
// because the body has no known end then.
func (h *head) readCoding(value []byte) *ProtocolError {
	switch {
	case h.minor == 0:
		// RFC 9112 §6.1: the framing is to be treated as faulty.
		return errCodingVersion
	case h.chunked:
		return errCodingRepeated
	case h.contentLength >= 0:
		return errCodingAndLength
	case equalFoldASCII(value, "chunked"):
		h.chunked = true
		return nil
	case unknownBeforeChunked(value):
		return errCodingUnknown
	default:
		return errCoding
	}
}

// unknownBeforeChunked reports whether value is a well-formed list of coding
// names that ends in chunked and has chunked nowhere else.
func unknownBeforeChunked(value []byte) bool {
	for {
		member, rest := cutMember(value)
		for _, c := range member {
			if octetClass[c]&octetToken == 0 {
				return false
			}
		}
		chunked := equalFoldASCII(member, "chunked")
		if len(member) == 0 || chunked || rest == nil {
			return chunked && rest == nil
		}
		value = rest
	}
}
