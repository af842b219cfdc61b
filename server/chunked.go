// SPDX-License-Identifier: MIT

package server

import (
	"math"
	"slices"
)

// This file takes the chunked coding (RFC 9112 §7.1) off a body, octets in,
// octets out, at whatever boundaries they come. A chunk line is read octet by
// octet, as nothing in it is long; data is copied.

const (
	// maxChunkLine bounds a chunk line with its CRLF. net/http has the same
	// bound, so what passes here passes a Go server behind us as well.
	maxChunkLine = 4<<10 - 1
	// maxChunkOverhead bounds how far framing may run ahead of data over the
	// whole body; see chunkedReader.overhead.
	maxChunkOverhead = 16 << 10
	// maxChunkDigits is enough for any size an int64 holds.
	maxChunkDigits = 16
)

// chunkLimits bounds a chunked body; zero or less means no limit.
type chunkLimits struct {
	bodyBytes     int64 // data of all chunks together: 413
	trailerBytes  int   // trailer section: 431
	trailerFields int   // trailer fields: 431
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkSizeDigits
	chunkSizeSpace  // BWS after the size
	chunkExtStart   // after ';'
	chunkExtName    // in the name
	chunkExtNameEnd // BWS after the name
	chunkExtEqual   // after '='
	chunkExtToken   // in a token value
	chunkExtQuoted  // in a quoted value
	chunkExtEscape  // after a backslash in it
	chunkExtEnd     // after the closing quote
	chunkExtSpace   // BWS after a value
	chunkLineLF     // after the CR of the line
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerName
	trailerValue
	trailerLF
	trailerEndLF
	chunkedDone
)

// chunkedReader decodes one chunked body. The zero value is ready; it is used
// for one body and then dropped or zeroed.
type chunkedReader struct {
	err       *ProtocolError
	remaining int64 // data octets of the current chunk to come
	total     int64 // data octets of all chunks whose size is known

	// overhead grows by the octets of framing and shrinks by 16 for a chunk
	// and by 2 for each octet of it. A client that sends one octet at a time
	// stays below zero, and one that hides megabytes in extensions does not:
	// RFC 9112 §7.1.1 asks to limit their total.
	overhead int

	lineLen int // octets of the current chunk line
	digits  int

	raw       []byte // accepted trailer lines, then the one being read
	lineStart int    // where that one starts in raw
	nameEnd   int    // where its name ends in raw
	received  int    // octets of the trailer section
	fields    int

	state chunkState
}

// trailer returns the trailer fields once read has said done. It does not
// refer to memory the reader goes on using.
func (c *chunkedReader) trailer() Header { return newHeader(string(c.raw)) }

// read takes octets from src and puts chunk data into dst. It returns how
// much of each it used and, once the CRLF after the last trailer field is
// consumed, done. Framing is consumed as far as it goes even when dst is full
// or empty; nsrc < len(src) otherwise means that dst is full or the body
// ended. An error is final.
func (c *chunkedReader) read(dst, src []byte, lim *chunkLimits) (ndst, nsrc int, done bool, err *ProtocolError) {
	for nsrc < len(src) && c.err == nil {
		switch {
		case c.state == chunkData:
			n := int(min(c.remaining, int64(len(dst)-ndst), int64(len(src)-nsrc)))
			if n == 0 {
				return ndst, nsrc, false, nil
			}
			copy(dst[ndst:], src[nsrc:nsrc+n])
			ndst, nsrc = ndst+n, nsrc+n
			if c.remaining -= int64(n); c.remaining == 0 {
				c.state = chunkDataCR
			}
		case c.state == chunkedDone:
			return ndst, nsrc, true, nil
		case c.state >= trailerStart:
			c.err = c.trailerOctet(src[nsrc], lim)
			nsrc++
		default:
			c.err = c.lineOctet(src[nsrc], lim)
			nsrc++
		}
	}
	if c.err != nil {
		return ndst, nsrc, false, c.err
	}
	return ndst, nsrc, c.state == chunkedDone, nil
}

// lineOctet reads an octet of a chunk line or of the CRLF after chunk data.
func (c *chunkedReader) lineOctet(b byte, lim *chunkLimits) *ProtocolError {
	switch c.state {
	case chunkDataCR:
		if b != '\r' {
			return errChunkDataEnd
		}
		c.state = chunkDataLF
		return nil
	case chunkDataLF:
		if b != '\n' {
			return errChunkDataEnd
		}
		c.state = chunkSize
		return nil
	}
	if c.lineLen++; c.lineLen > maxChunkLine {
		return errChunkLineTooLong
	}
	switch c.state {
	case chunkSize, chunkSizeDigits:
		return c.sizeOctet(b, lim)
	case chunkLineLF:
		if b != '\n' {
			return errChunkLineEnd
		}
		return c.endLine()
	default:
		return c.extensionOctet(b)
	}
}

// sizeOctet reads the size. It must be hexadecimal digits and nothing else:
// every "0x", sign or space some reader is lenient about is a way to make two
// readers see different bodies.
func (c *chunkedReader) sizeOctet(b byte, lim *chunkLimits) *ProtocolError {
	if octetClass[b]&octetHex != 0 {
		if c.digits++; c.digits > maxChunkDigits || c.remaining > math.MaxInt64>>4 {
			return errChunkSizeTooLarge
		}
		c.remaining = c.remaining<<4 | int64(unhex(b))
		c.state = chunkSizeDigits
		return nil
	}
	if c.state == chunkSize {
		return errChunkSize
	}
	// Only here is the size known, and before any of the data is read.
	if c.remaining > math.MaxInt64-c.total {
		return errChunkSizeTooLarge
	}
	if c.total += c.remaining; lim.bodyBytes > 0 && c.total > lim.bodyBytes {
		return errChunkedTooLarge
	}
	switch b {
	case '\r':
		c.state = chunkLineLF
	case ';':
		c.state = chunkExtStart
	case ' ', '\t':
		c.state = chunkSizeSpace
	case '\n':
		return errChunkLineEnd
	default:
		return errChunkSize
	}
	return nil
}

// endLine accounts for the chunk line just read and goes on to its data.
func (c *chunkedReader) endLine() *ProtocolError {
	const crlf = 2 // after the data
	credit := int(min(c.remaining, maxChunkOverhead))
	c.overhead = max(0, c.overhead+c.lineLen+crlf-16-2*credit)
	if c.overhead > maxChunkOverhead {
		return errChunkOverhead
	}
	c.state = chunkData
	if c.remaining == 0 {
		c.state = trailerStart
	}
	c.lineLen, c.digits = 0, 0
	return nil
}

// extensionOctet reads
//
//	chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
//
// No extension means anything here, but a line that is not of this form might
// be no chunk line at all in the eyes of somebody else.
func (c *chunkedReader) extensionOctet(b byte) *ProtocolError {
	space := b == ' ' || b == '\t'
	token := octetClass[b]&octetToken != 0
	next := chunkedDone // not a successor of any state below
	switch c.state {
	case chunkSizeSpace, chunkExtSpace:
		next = extensionNext(b, space, c.state, 0)
	case chunkExtStart:
		switch {
		case space:
			next = chunkExtStart
		case token:
			next = chunkExtName
		}
	case chunkExtName, chunkExtNameEnd:
		switch {
		case b == '=':
			next = chunkExtEqual
		case c.state == chunkExtName && token:
			next = chunkExtName
		case c.state == chunkExtName:
			next = extensionNext(b, space, chunkExtNameEnd, chunkLineLF)
		default:
			next = extensionNext(b, space, chunkExtNameEnd, 0)
		}
	case chunkExtEqual:
		switch {
		case space:
			next = chunkExtEqual
		case b == '"':
			next = chunkExtQuoted
		case token:
			next = chunkExtToken
		}
	case chunkExtToken, chunkExtEnd:
		if token && c.state == chunkExtToken {
			next = chunkExtToken
		} else {
			next = extensionNext(b, space, chunkExtSpace, chunkLineLF)
		}
	case chunkExtQuoted:
		switch {
		case b == '"':
			next = chunkExtEnd
		case b == '\\':
			next = chunkExtEscape
		case octetClass[b]&octetValue != 0:
			next = chunkExtQuoted
		}
	case chunkExtEscape:
		if octetClass[b]&octetValue != 0 {
			next = chunkExtQuoted
		}
	}
	if next == chunkedDone {
		if b == '\r' || b == '\n' {
			return errChunkLineEnd
		}
		return errChunkExtension
	}
	c.state = next
	return nil
}

// extensionNext is what may follow a size, a name or a value: whitespace,
// after which the line must go on, another extension, or, unless atCR is
// zero, the end of the line.
func extensionNext(b byte, space bool, atSpace, atCR chunkState) chunkState {
	switch {
	case space:
		return atSpace
	case b == ';':
		return chunkExtStart
	case b == '\r' && atCR != 0:
		return atCR
	default:
		return chunkedDone
	}
}

// trailerOctet reads the trailer section by the rules of the header section.
func (c *chunkedReader) trailerOctet(b byte, lim *chunkLimits) *ProtocolError {
	if c.received++; lim.trailerBytes > 0 && c.received > lim.trailerBytes {
		return errTrailerTooLarge
	}
	switch c.state {
	case trailerStart:
		if b == '\r' {
			c.state = trailerEndLF
			return nil
		}
		if c.fields++; lim.trailerFields > 0 && c.fields > lim.trailerFields {
			return errTooManyTrailers
		}
		c.lineStart = len(c.raw)
		c.state = trailerName
		fallthrough
	case trailerName:
		if b == ':' && len(c.raw) > c.lineStart {
			c.nameEnd = len(c.raw)
			c.state = trailerValue
		} else if octetClass[b]&octetToken == 0 {
			return fieldNameError(b, len(c.raw) == c.lineStart)
		}
	case trailerValue:
		if b == '\r' {
			c.state = trailerLF
		} else if octetClass[b]&octetValue == 0 {
			return fieldValueError(b)
		}
	case trailerLF:
		if b != '\n' {
			return errFieldBareCR
		}
		c.raw = append(c.raw, b)
		c.state = trailerStart
		return c.endTrailerLine()
	case trailerEndLF:
		if b != '\n' {
			return errFieldBareCR
		}
		c.state = chunkedDone
		return nil
	}
	c.raw = append(c.raw, b)
	return nil
}

// endTrailerLine decides about the line that has just become complete.
// RFC 9110 §6.5.1 forbids a sender to put into a trailer what is needed to
// frame, route or authorise the message or to make sense of its content, and
// a recipient to act on it. The fields that could only be an attack on the
// framing end the request; the others are dropped.
func (c *chunkedReader) endTrailerLine() *ProtocolError {
	name := c.raw[c.lineStart:c.nameEnd]
	is := func(s string) bool { return equalFoldASCII(name, s) }
	switch {
	case slices.ContainsFunc(trailersRefused[:], is):
		return errTrailerForbidden
	case slices.ContainsFunc(trailersDropped[:], is):
		c.raw = c.raw[:c.lineStart]
	}
	return nil
}

var trailersRefused = [...]string{"content-length", "transfer-encoding", "host", "trailer"}

var trailersDropped = [...]string{
	"authorization", "cache-control", "connection", "content-encoding", "content-range", "content-type",
	"cookie", "expect", "forwarded", "if-match", "if-modified-since", "if-none-match", "if-range",
	"if-unmodified-since", "keep-alive", "max-forwards", "origin", "proxy-authenticate",
	"proxy-authorization", "proxy-connection", "range", "referer", "set-cookie", "te", "upgrade",
	"www-authenticate", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip",
}
