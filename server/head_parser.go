// SPDX-License-Identifier: MIT

package server

import (
	"encoding/binary"
	"math/bits"
)

// This file reads a request head, the request line and the field lines up to
// the empty line, out of a buffer that may hold it whole or any part of it.
// It does no I/O and copies nothing: the result is offsets.
//
// The parser is one pass of small scanning loops, each of which can stop at
// the end of the buffer and go on from there when more has arrived. Verdicts
// are given strictly in the order of the octets: what is wrong with octet n
// is reported before anybody looks at octet n+1. So an error is known as soon
// as it is certain, and how the request was cut into reads never changes the
// verdict.

const (
	// maxEmptyLines bounds the empty lines that are skipped before a request
	// line; RFC 9112 §2.2 asks for at least one.
	maxEmptyLines = 4
	// maxMethod bounds the method in octets. No registered method comes near;
	// a longer one is answered 501 (RFC 9112 §3).
	maxMethod = 256
	// maxHead bounds a head when the caller sets no limit, so that offsets
	// fit a span with room to spare.
	maxHead = 1 << 30
)

// headLimits bounds a request head; zero or less means no limit.
type headLimits struct {
	headBytes   int // whole head, request line and empty line included: 431
	fields      int // field lines: 431
	targetBytes int // request target: 414
}

// span is a range of octets in a head, counted from the first octet of the
// request line.
type span struct{ start, end uint32 }

// of returns the octets of the span in s, the head as a string that starts
// with the request line.
func (s span) of(head string) string { return head[s.start:s.end] }

// empty reports whether the span has no octets.
func (s span) empty() bool { return s.start == s.end }

// head is what a complete request head says.
type head struct {
	skipped uint32 // octets of empty lines before the request line

	method    span
	target    span // as received
	path      span // of origin-form and absolute-form, see pathOf
	query     span // without the question mark
	scheme    span // of absolute-form, "http" or "https" in any case
	authority span // of absolute-form and of authority-form (CONNECT)
	host      span // value of Host, or the authority of the target, which replaces it (RFC 9112 §3.2.2)
	fields    span // field lines with their CRLFs, without the empty line

	contentLength int64 // -1 when absent
	fieldCount    int
	form          targetForm
	minor         uint8 // 0 or 1; a higher minor version is treated as 1 (RFC 9110 §2.5)

	hasHost        bool // there is a Host field, perhaps an empty one
	chunked        bool // Transfer-Encoding: chunked
	close          bool // Connection: close
	keepAlive      bool // Connection: keep-alive
	upgrade        bool // Connection: upgrade with an Upgrade field, on HTTP/1.1
	expectContinue bool // Expect: 100-continue, on HTTP/1.1
}

// persists reports whether the client would go on with the connection (RFC 9112,
// section 9.3).
func (h *head) persists() bool { return !h.close && (h.minor >= 1 || h.keepAlive) }

// headState says what the next octet belongs to.
type headState uint8

const (
	inEmptyLines headState = iota
	inMethod
	inTarget
	inVersion
	atFieldLine
	inFieldName
	inFieldValue
	headComplete
)

// headParser reads one request head. The zero value is ready; reset makes it
// ready for the next request. It keeps no reference to the buffer.
type headParser struct {
	head  head
	err   *ProtocolError
	pos   int // octets before pos have been judged; relative to the buffer
	line  int // start of the field line being read
	colon int // end of its name

	state         headState
	emptyLines    uint8
	targetClasses uint8 // classes of the target's octets seen so far, or-ed
	upgradeOption bool  // Connection: upgrade
	upgradeField  bool
}

// reset makes the parser ready for the next request.
func (p *headParser) reset() { *p = headParser{} }

// started reports whether an octet of a request, and not just empty lines,
// has been seen.
func (p *headParser) started() bool { return p.state != inEmptyLines || p.err != nil }

// parse examines buf, which starts at the same octet as in the calls before
// but may have grown and moved. It returns n > 0 when the head is complete
// and occupies buf[:n], skipped empty lines included, and p.head tells what
// it says; n == 0 and no error when more octets are needed; or the first
// error, which is final: every later call returns it again.
func (p *headParser) parse(buf []byte, lim *headLimits) (n int, err *ProtocolError) {
	if p.err != nil {
		return 0, p.err
	}
	limit := lim.headBytes
	if limit <= 0 || limit > maxHead {
		limit = maxHead
	}
	b := buf
	if len(b) > limit {
		b = b[:limit]
	}
	n = p.advance(b, lim)
	if p.err == nil && n == 0 && len(buf) >= limit {
		// The head does not end within its limit, whatever comes next.
		p.err = errHeadTooLarge
		if p.state <= inTarget {
			p.err = errTargetTooLong
		}
	}
	if p.err != nil {
		return 0, p.err
	}
	return n, nil
}

// advance judges the octets of b from p.pos on and returns the length of the
// head when it is complete. Errors are left in p.err.
func (p *headParser) advance(b []byte, lim *headLimits) int {
	switch p.state {
	case inEmptyLines:
		if !p.skipEmptyLines(b) {
			return 0
		}
		fallthrough
	case inMethod:
		if !p.readMethod(b) {
			return 0
		}
		fallthrough
	case inTarget:
		if !p.readTarget(b, lim.targetBytes) {
			return 0
		}
		fallthrough
	case inVersion:
		if !p.readVersion(b) {
			return 0
		}
		fallthrough
	case atFieldLine, inFieldName, inFieldValue:
		return p.readFields(b, lim.fields)
	default:
		return p.pos
	}
}

// fail records the verdict; its result is that of the caller.
func (p *headParser) fail(err *ProtocolError) bool {
	p.err = err
	return false
}

// offset converts a position in the buffer to one in the head.
func (p *headParser) offset(pos int) uint32 { return uint32(pos) - p.head.skipped }

// skipEmptyLines passes over the few empty lines RFC 9112 §2.2 tolerates in
// front of a request line, as old clients send after a body.
func (p *headParser) skipEmptyLines(b []byte) bool {
	for {
		if p.pos == len(b) {
			return false
		}
		switch b[p.pos] {
		case '\r':
			if p.pos+1 == len(b) {
				return false
			}
			if b[p.pos+1] != '\n' {
				return p.fail(errLineEnd)
			}
			if p.emptyLines++; p.emptyLines > maxEmptyLines {
				return p.fail(errTooManyEmptyLines)
			}
			p.pos += 2
		case '\n':
			return p.fail(errLineEnd)
		default:
			p.head.skipped = uint32(p.pos)
			p.head.contentLength = -1
			p.state = inMethod
			return true
		}
	}
}

func (p *headParser) readMethod(b []byte) bool {
	start := int(p.head.skipped)
	end := min(len(b), start+maxMethod)
	i := p.pos
	for i < end && octetClass[b[i]]&octetToken != 0 {
		i++
	}
	p.pos = i
	switch {
	case i == start+maxMethod:
		return p.fail(errMethodTooLong)
	case i == len(b):
		return false
	case b[i] != ' ' || i == start:
		return p.fail(errMethod)
	}
	p.head.method = span{0, p.offset(i)}
	p.head.target.start = p.offset(i + 1)
	p.pos = i + 1
	p.state = inTarget
	return true
}

func (p *headParser) readTarget(b []byte, limit int) bool {
	start := int(p.head.target.start + p.head.skipped)
	end := len(b)
	if limit > 0 && limit < end-start {
		// One octet more than allowed: a target of exactly the limit is
		// followed by a space, anything else is too long.
		end = start + limit + 1
	}
	i, classes := p.pos, p.targetClasses
	for i < end {
		c := octetClass[b[i]]
		if c&octetTarget == 0 && (classes&octetQuery == 0 || !leftRawInQuery(b[i])) {
			break
		}
		classes |= c
		i++
	}
	p.pos, p.targetClasses = i, classes
	switch {
	case limit > 0 && i > start+limit:
		return p.fail(errTargetTooLong)
	case i == len(b):
		return false
	case b[i] == '\r': // HTTP/0.9
		return p.fail(errVersion)
	case b[i] != ' ' || i == start:
		return p.fail(errTarget)
	}
	p.head.target.end = p.offset(i)
	if err := p.head.splitTarget(b[p.head.skipped:i], classes); err != nil {
		return p.fail(err)
	}
	p.pos = i + 1
	p.state = inVersion
	return true
}

func (p *headParser) readVersion(b []byte) bool {
	const line = "HTTP/1.1\r\n"
	b = b[p.pos:]
	switch {
	case len(b) < len(line):
		// Not all there, but what is there must be right.
		for i, c := range b {
			if c != line[i] && (i != 5 && i != 7 || c < '0' || c > '9') {
				return p.fail(errVersion)
			}
		}
		return false
	case string(b[:len(line)]) == line:
		p.head.minor = 1
	case string(b[:5]) != "HTTP/" || b[5] < '0' || b[5] > '9' || b[6] != '.' ||
		b[7] < '0' || b[7] > '9' || b[8] != '\r' || b[9] != '\n':
		return p.fail(errVersion)
	case b[5] != '1':
		return p.fail(errVersionUnknown)
	default:
		p.head.minor = min(b[7]-'0', 1)
	}
	p.pos += len(line)
	p.head.fields.start = p.offset(p.pos)
	p.state = atFieldLine
	return true
}

// readFields reads field lines until the empty line and returns the length of
// the head then.
func (p *headParser) readFields(b []byte, limit int) int {
	pos, line, colon, state := p.pos, p.line, p.colon, p.state
	for {
		if state == atFieldLine {
			if pos == len(b) {
				break
			}
			if b[pos] == '\r' {
				if pos+1 == len(b) {
					break
				}
				return p.finish(b, pos)
			}
			if limit > 0 && p.head.fieldCount >= limit {
				p.err = errTooManyFields
				return 0
			}
			line, state = pos, inFieldName
		}
		if state == inFieldName {
			for pos < len(b) && octetClass[b[pos]]&octetToken != 0 {
				pos++
			}
			if pos == len(b) {
				break
			}
			if b[pos] != ':' || pos == line {
				p.err = fieldNameError(b[pos], pos == line)
				return 0
			}
			colon, state = pos, inFieldValue
			pos++
		}
		pos = scanFieldValue(b, pos)
		if pos+1 >= len(b) {
			if pos < len(b) && b[pos] != '\r' {
				p.err = fieldValueError(b[pos])
				return 0
			}
			break
		}
		if b[pos] != '\r' || b[pos+1] != '\n' {
			p.err = fieldValueError(b[pos])
			return 0
		}
		p.head.fieldCount++
		if isFramingField(b[line], colon-line) {
			if p.err = p.framingField(b, line, colon, pos); p.err != nil {
				return 0
			}
		}
		pos += 2
		state = atFieldLine
	}
	p.pos, p.line, p.colon, p.state = pos, line, colon, state
	return 0
}

// scanFieldValue returns the index of the first octet of b from pos on that
// may not occur in a field value, or len(b).
func scanFieldValue(b []byte, pos int) int {
	const (
		ones = 0x0101010101010101
		tops = 0x8080808080808080
	)
	for pos+8 <= len(b) {
		// Eight octets at a time: the top bit of each octet below 0x20 or
		// equal to 0x7f is set in stop. Borrows can set it in octets above
		// such a one, never below, so the lowest bit is right.
		w := binary.LittleEndian.Uint64(b[pos:])
		del := w ^ 0x7f*ones
		stop := ((w-0x20*ones)&^w | (del-ones)&^del) & tops
		if stop == 0 {
			pos += 8
			continue
		}
		pos += bits.TrailingZeros64(stop) / 8
		if b[pos] != '\t' {
			return pos
		}
		pos++
	}
	for pos < len(b) && octetClass[b[pos]]&octetValue != 0 {
		pos++
	}
	return pos
}

func fieldNameError(c byte, first bool) *ProtocolError {
	switch {
	case c == '\r':
		return errFieldBareCR // no colon in the line
	case c == '\n':
		return errFieldBareLF
	case (c == ' ' || c == '\t') && first:
		return errFieldFold
	case c == ' ' || c == '\t':
		return errFieldNameSpace
	case c == ':':
		return errFieldNameEmpty
	default:
		return errFieldName
	}
}

func fieldValueError(c byte) *ProtocolError {
	switch c {
	case '\r':
		return errFieldBareCR
	case '\n':
		return errFieldBareLF
	default:
		return errFieldValue
	}
}

// finish is called at the CR of the empty line, one more octet being there.
func (p *headParser) finish(b []byte, pos int) int {
	h := &p.head
	switch {
	case b[pos+1] != '\n':
		p.err = errFieldBareCR
		return 0
	case !h.hasHost && h.minor == 1:
		p.err = errHostMissing
		return 0
	}
	if !h.authority.empty() {
		h.host = h.authority
	}
	h.upgrade = p.upgradeOption && p.upgradeField && h.minor == 1
	h.fields.end = p.offset(pos)
	p.pos = pos + 2
	p.state = headComplete
	return p.pos
}
