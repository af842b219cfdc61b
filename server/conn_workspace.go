// SPDX-License-Identifier: MIT

package server

import (
	"sync"
	"time"
)

// workspace is what a connection needs between the first octet of a request and
// the last of its answer. An idle connection has none: workspaces are pooled,
// and no handler ever sees one.
type workspace struct {
	// Input: buf[r:w] has been received and not consumed.
	buf     []byte
	r, w    int
	arrived time.Time // when the last octets before w did
	parser  headParser

	slab  requestSlab // requests to be handed out
	spare *exchange   // of the request before, for the next one

	// Output that waits to be written, guarded by exchange.mu while a handler runs.
	out    []byte
	broken error // first failure to write

	body requestBody // guarded by bodyMu
}

// exchangeFor gives r the exchange that the request before it has left, if any.
func (c *HTTPConnection) exchangeFor(r *HTTPRequest) *exchange {
	x := c.spare
	if x == nil {
		return newExchange(r, c)
	}
	c.spare = nil
	x.begin(r, c)
	return x
}

const (
	inputSize  = 8 << 10
	outputSize = 4 << 10
)

var workspaces = sync.Pool{New: func() any {
	return &workspace{buf: make([]byte, inputSize), out: make([]byte, 0, outputSize)}
}}

// room returns space for at least some octets at the end of the input.
func (c *HTTPConnection) room() []byte {
	if c.workspace == nil {
		c.workspace = workspaces.Get().(*workspace)
	}
	s := c.workspace
	switch {
	case s.r == s.w:
		s.r, s.w = 0, 0
	case s.w < len(s.buf):
	case s.r > 0:
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	default:
		// The head limit bounds this: a machine that has read too much without an
		// end of the head refuses before it asks for more.
		grown := make([]byte, 2*len(s.buf))
		copy(grown, s.buf[:s.w])
		s.buf = grown
	}
	return s.buf[s.w:]
}

// rest gives the workspace back when nothing is left in it.
func (c *HTTPConnection) rest() {
	if s := c.workspace; s != nil && s.r == s.w && len(s.out) == 0 && !c.parser.started() {
		c.drop()
	}
}

// drop gives the workspace back whatever is left in it.
func (c *HTTPConnection) drop() {
	s := c.workspace
	if s == nil {
		return
	}
	c.bodyMu.Lock() // a goroutine of an earlier request may be looking for its body
	c.workspace = nil
	c.bodyMu.Unlock()
	if len(s.buf) != inputSize || cap(s.out) > keptBuffer {
		return // it grew for once
	}
	s.r, s.w, s.out, s.broken = 0, 0, s.out[:0], nil
	s.parser.reset()
	s.body.end()
	workspaces.Put(s)
}

// received says that n octets were put into room.
func (c *HTTPConnection) received(n int) { c.receivedAt(n, time.Now()) }

// receivedAt is received for an engine that knows the time.
func (c *HTTPConnection) receivedAt(n int, at time.Time) {
	c.w += n
	c.arrived = at
}

// buffered reports whether there is input that was not consumed.
func (c *HTTPConnection) buffered() bool { return c.workspace != nil && c.r < c.w }

// midHead reports whether a request has begun to arrive.
func (c *HTTPConnection) midHead() bool { return c.buffered() && c.parser.started() }
