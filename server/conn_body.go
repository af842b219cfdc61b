// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// discardLimit is how much of a body that no handler wanted is read and
	// thrown away to keep a connection.
	discardLimit = 256 << 10
	// directRead is the size from which a handler's own buffer is read into.
	directRead = 4 << 10
)

// requestBody is the state of the body being received. A request without one never
// owns it: all that is said about those is that they are complete.
type requestBody struct {
	owner     *HTTPRequest
	remaining int64 // of a Content-Length
	chunks    *chunkedReader
	received  int64 // content octets so far
	limit     int64 // of content octets, negative = none
	expecting bool  // the client waits for a 100
	discard   bool  // what is left is thrown away: owner is done
	err       error // sticky
	complete  atomic.Bool
}

var chunkedPool = sync.Pool{New: func() any { return new(chunkedReader) }}

func (b *requestBody) begin(r *HTTPRequest, limit int64) {
	b.owner, b.received, b.limit, b.discard, b.err = r, 0, limit, false, nil
	b.expecting = r.head.expectContinue
	b.remaining, b.chunks = max(r.head.contentLength, 0), nil
	if r.head.chunked {
		b.chunks = chunkedPool.Get().(*chunkedReader)
		*b.chunks = chunkedReader{}
	}
	b.complete.Store(false)
}

// hasBody reports whether the request has a body, be it an empty one in chunks.
func (r *HTTPRequest) hasBody() bool { return r.head.chunked || r.head.contentLength > 0 }

// end forgets a body.
func (b *requestBody) end() {
	if b.chunks != nil {
		chunkedPool.Put(b.chunks)
	}
	b.owner, b.chunks, b.err = nil, nil, nil
}

// setLimit changes the limit on the content; it applies from the next read on.
func (c *HTTPConnection) setLimit(r *HTTPRequest, n int64) {
	if r.done.Load() || !r.hasBody() {
		return
	}
	c.bodyMu.Lock()
	if !r.done.Load() && c.body.owner == r {
		c.body.limit = n
	}
	c.bodyMu.Unlock()
}

// readBody reads content of r's body, waiting for the peer when none has
// arrived.
func (c *HTTPConnection) readBody(r *HTTPRequest, p []byte) (int, error) {
	if r.done.Load() {
		return 0, ErrRequestDone // without waiting for whoever reads the next body
	}
	if !r.hasBody() {
		return 0, io.EOF
	}
	c.bodyMu.Lock()
	defer c.bodyMu.Unlock()
	// While the request is not done its workspace does not go, nor another come.
	if r.done.Load() || c.body.owner != r {
		return 0, ErrRequestDone
	}
	n, err := c.readContent(p)
	if err == io.EOF && c.body.chunks != nil && c.body.chunks.trailer().Len() > 0 {
		e := r.extras()
		e.mu.Lock()
		e.trailer = c.body.chunks.trailer()
		e.mu.Unlock()
	}
	return n, err
}

func (c *HTTPConnection) readContent(p []byte) (int, error) {
	b := &c.body
	for {
		if b.err != nil {
			return 0, b.err
		}
		if b.complete.Load() {
			return 0, io.EOF
		}
		if b.limit >= 0 && b.received+b.remaining > b.limit {
			b.err = ErrBodyTooLarge
			c.closing.Store(true)
			continue
		}
		if len(p) == 0 {
			return 0, nil
		}
		if n := c.takeContent(p); n > 0 {
			return n, nil
		}
		if b.err != nil || b.complete.Load() {
			continue
		}
		n, err := c.awaitContent(p)
		if err != nil {
			b.err = err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// takeContent moves content from the input buffer to p. What came before an
// error counts, wherever the octets were cut.
func (c *HTTPConnection) takeContent(p []byte) (n int) {
	b := &c.body
	if b.chunks == nil {
		n = copy(p[:min(int64(len(p)), b.remaining)], c.buf[c.r:c.w])
		c.r += n
		c.gotContent(n)
		return n
	}
	for n == 0 && !b.complete.Load() && b.err == nil && c.buffered() {
		limits := c.set.chunks
		limits.bodyBytes = max(b.limit, 0)
		ndst, nsrc, done, perr := b.chunks.read(p, c.buf[c.r:c.w], &limits)
		c.r += nsrc
		n += ndst
		b.received += int64(ndst)
		switch {
		case perr != nil:
			b.err = perr
			if perr == errChunkedTooLarge {
				b.err = ErrBodyTooLarge
			}
			c.linger = true
			c.closing.Store(true)
		case b.limit >= 0 && b.received > b.limit:
			n -= int(b.received - b.limit)
			b.err = ErrBodyTooLarge
			c.closing.Store(true)
		case done:
			c.contentComplete()
		}
		if nsrc == 0 && ndst == 0 {
			break
		}
	}
	return n
}

// gotContent accounts for content of a body with a Content-Length.
func (c *HTTPConnection) gotContent(n int) {
	b := &c.body
	b.remaining -= int64(n)
	b.received += int64(n)
	if b.remaining == 0 {
		c.contentComplete()
	}
}

// contentComplete is the last time the body looks at the input buffer: from
// here on it may be the watcher's.
func (c *HTTPConnection) contentComplete() {
	c.body.expecting = false
	c.body.complete.Store(true)
	r := c.body.owner
	e := r.extra.Load()
	if e == nil || c.body.discard {
		return
	}
	if r.x.lock(r) != nil {
		return
	}
	defer r.x.mu.Unlock()
	e.mu.Lock()
	wanted := e.ctx.cancel != nil
	e.mu.Unlock()
	if wanted {
		c.wantWatch(r)
	}
}

// awaitContent waits for octets, into p itself where nothing has to be decoded.
func (c *HTTPConnection) awaitContent(p []byte) (int, error) {
	b := &c.body
	if !b.discard {
		if err := c.beforeWaiting(); err != nil {
			return 0, err
		}
	}
	var n int
	var err error
	direct := b.chunks == nil && len(p) >= directRead
	if direct {
		n, err = c.t.read(p[:min(int64(len(p)), b.remaining)])
	} else {
		n, err = c.t.read(c.room())
		c.received(n)
	}
	if err != nil && n == 0 {
		c.closing.Store(true)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.linger = true
			return 0, ErrBodyTimeout
		case err == io.EOF:
			err = errBodyCut
		default:
			err = bodyCutBy(err)
		}
		b.owner.endContext(ErrClientGone)
		return 0, err
	}
	if direct {
		c.gotContent(n)
		return n, nil
	}
	return 0, nil
}

// beforeWaiting sends what the peer may be waiting for before it sends more: a
// 100, and answers to earlier requests. Somebody else writing is as good: what
// waits goes first, and a 100 comes too late.
func (c *HTTPConnection) beforeWaiting() error {
	x := c.body.owner.x
	for !x.mu.TryLock() {
		if c.writing.Load() {
			return nil
		}
		runtime.Gosched() // everything else that is done with the lock is short
	}
	defer x.mu.Unlock()
	if x.req.Load() == c.body.owner && x.hijacked {
		return ErrHijacked
	}
	if c.body.expecting {
		c.body.expecting = false
		if !x.committed {
			c.out = append(c.out, "HTTP/1.1 100 Continue\r\n\r\n"...)
		}
	}
	_ = c.flushOut()
	return nil
}

// willDiscard reports whether the rest of the body is small enough to be read
// and thrown away, so that the connection can be kept. The caller holds bodyMu.
func (c *HTTPConnection) willDiscard() bool {
	b := &c.body
	if b.complete.Load() {
		return true
	}
	if b.expecting {
		// The client may send the body or, seeing the answer, may not: what
		// follows cannot be told apart.
		return false
	}
	return b.chunks != nil || b.remaining <= discardLimit
}

// discardBody reads what is left of the body of r, which has been cut off from
// it, with the answer on its way first. It reports whether the next request can
// follow.
func (c *HTTPConnection) discardBody(r *HTTPRequest) bool {
	if !r.hasBody() {
		return true
	}
	c.bodyMu.Lock()
	defer c.bodyMu.Unlock()
	b := &c.body
	if b.complete.Load() && b.err == nil {
		c.dropChunks()
		return true
	}
	if b.err != nil || !c.keep || c.closing.Load() || !c.willDiscard() || c.flushOut() != nil {
		c.linger = true
		return false
	}
	// The limit was for the handler; this bound is ours.
	b.limit = b.received + discardLimit
	b.owner, b.discard = r, true
	buf := copyPool.Get().(*[]byte)
	defer copyPool.Put(buf)
	for {
		_, err := c.readContent(*buf)
		if err == nil {
			continue
		}
		b.owner = nil
		c.linger = c.linger || err != io.EOF
		if err == io.EOF {
			c.dropChunks()
		}
		return err == io.EOF
	}
}

func (c *HTTPConnection) dropChunks() {
	if c.body.chunks != nil {
		chunkedPool.Put(c.body.chunks)
		c.body.chunks = nil
	}
}

// endBody cuts r off its body. A goroutine that is still waiting for content is
// sent home first.
func (c *HTTPConnection) endBody(r *HTTPRequest) {
	if !c.bodyMu.TryLock() {
		c.t.interrupt()
		c.bodyMu.Lock()
		c.t.resume()
	}
	if c.body.owner == r {
		c.body.owner = nil
	}
	c.bodyMu.Unlock()
}
