// SPDX-License-Identifier: MIT

package client

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// responseBody is the body of a response: what the transport yields, decompressed, counted and classified.
//
// reading is held during a read. Close does not wait for it, or it could not interrupt a read that blocks: whoever of
// the two comes last clears up.
type responseBody struct {
	x       *exchange
	res     *http.Response
	closed  atomic.Bool
	touched atomic.Bool // part of it went to the caller

	reading  sync.Mutex
	decoder  *decoder // nil when there is nothing to undo
	received int64    // after decompression
	limit    int64    // 0: none
	total    int64    // declared; -1 unknown
	err      error    // what every further read gives; io.EOF at the end
	cleared  bool
}

const (
	// drainLimit is what is read off to keep a connection, rather than give it up.
	drainLimit = 2 << 10
	drainTime  = 50 * time.Millisecond
	// presizeLimit is how much memory a declared length gets before any of it has arrived.
	presizeLimit = 256 << 10
)

// start takes over the body of res.
func (b *responseBody) start(x *exchange, res *http.Response) {
	b.x, b.res, b.total = x, res, res.ContentLength
	b.limit = x.set.MaxBody
	if x.call.maxBody != 0 {
		b.limit = max(x.call.maxBody, 0)
	}
	bodyless := x.request.Method == http.MethodHead || res.Body == http.NoBody ||
		res.StatusCode == http.StatusNoContent || res.StatusCode == http.StatusNotModified
	if bodyless {
		b.total, b.err = 0, io.EOF // whatever a transport hands over
		return
	}
	if codings := res.Header["Content-Encoding"]; len(codings) > 0 && x.decode {
		b.decoder = newDecoder(codings, res.Body)
		if b.decoder != nil {
			b.total = -1
			delete(res.Header, "Content-Encoding")
			delete(res.Header, "Content-Length")
		}
	}
	if b.limit > 0 && b.total > b.limit {
		b.err = x.wrap(PhaseBody, &LimitError{What: "response body", Limit: b.limit})
	}
}

// Read implements io.Reader. An error other than io.EOF is an *Error.
func (b *responseBody) Read(p []byte) (int, error) {
	b.touched.Store(true)
	return b.read(p)
}

func (b *responseBody) read(p []byte) (int, error) {
	if b.res == nil {
		return 0, io.EOF // of a response that no call made
	}
	b.reading.Lock()
	n, err := b.readLocked(p)
	received := b.received
	b.reading.Unlock()
	if b.closed.Load() {
		b.clearIfFree() // Close came during the read and left the rest to us
	}
	if hook := b.x.set.OnProgress; hook != nil && n > 0 {
		hook(&b.x.response, received, b.total)
	}
	return n, err
}

func (b *responseBody) readLocked(p []byte) (int, error) {
	if b.err != nil {
		b.clear(b.err)
		return 0, b.err
	}
	if b.closed.Load() {
		return 0, b.x.wrap(PhaseBody, ErrBodyClosed)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.limit > 0 {
		// One byte more than allowed is enough to know.
		p = p[:min(int64(len(p)), b.limit-b.received+1)]
	}
	var n int
	var err error
	if b.decoder != nil {
		n, err = b.decoder.Read(p)
	} else {
		n, err = b.res.Body.Read(p)
	}
	b.received += int64(n)
	if b.limit > 0 && b.received > b.limit {
		n -= int(b.received - b.limit)
		b.received = b.limit
		err = &LimitError{What: "response body", Limit: b.limit}
	}
	if err != nil {
		b.err = b.explain(err)
		b.clear(b.err)
		return n, b.err
	}
	return n, nil
}

// explain turns what reading failed with into what the caller gets.
func (b *responseBody) explain(err error) error {
	if err == io.EOF {
		if b.total < 0 || b.received == b.total {
			return io.EOF
		}
		return b.x.wrap(PhaseBody, errWrongLength) // net/http sees to that; a Transport of the caller's may not
	}
	var limit *LimitError
	switch {
	case b.closed.Load():
		err = ErrBodyClosed
	case errors.As(err, &limit):
		err = limit
	case errors.Is(err, ErrEncoding):
	default:
		err = classifyBody(b.x.ctx, err, b.res.ProtoMajor == 1)
	}
	return b.x.wrap(PhaseBody, err)
}

// clear gives everything back and reports the call. The caller holds reading.
func (b *responseBody) clear(err error) {
	if b.cleared {
		return
	}
	b.cleared = true
	if b.decoder != nil {
		b.decoder.release()
		b.decoder = nil
	}
	b.res.Body.Close()
	if err == io.EOF {
		b.x.response.Trailer = b.res.Trailer
		err = nil
	}
	b.x.end(err, b.received)
}

// Close implements io.Closer; see HTTPResponse.Close.
func (b *responseBody) Close() error {
	if b.closed.Swap(true) || b.res == nil {
		return nil
	}
	if b.reading.TryLock() {
		if left := b.total - b.received; !b.cleared && b.err == nil && left >= 0 && left <= drainLimit {
			drain(b.res.Body, left)
		}
		b.clear(nil)
		b.reading.Unlock()
		return nil
	}
	b.res.Body.Close() // ends the read, which then clears up
	b.clearIfFree()
	return nil
}

// clearIfFree clears up unless a read is in progress, which will do so when it returns.
func (b *responseBody) clearIfFree() {
	if b.reading.TryLock() {
		b.clear(nil)
		b.reading.Unlock()
	}
}

// buffers are for bodies of unknown length, so that growing to their size is paid once.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readAll reads to the end and returns bytes that nothing else refers to.
func (b *responseBody) readAll() ([]byte, error) {
	if n := b.total; n >= 0 && n <= presizeLimit {
		p := make([]byte, n)
		if _, err := io.ReadFull(bodyReader{b}, p); err != nil {
			return nil, err
		}
		// Read on to the end: only there does the transport see that the connection is free.
		var rest [1]byte
		switch m, err := b.read(rest[:]); {
		case m > 0:
			return nil, b.x.wrap(PhaseBody, errWrongLength)
		case err != io.EOF:
			return nil, err
		}
		return p, nil
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= 1<<20 {
			buf.Reset()
			buffers.Put(buf)
		}
	}()
	if _, err := buf.ReadFrom(bodyReader{b}); err != nil {
		return nil, err
	}
	return bytes.Clone(buf.Bytes()), nil
}

// bodyReader reads without marking the body as touched.
type bodyReader struct{ b *responseBody }

func (r bodyReader) Read(p []byte) (int, error) { return r.b.read(p) }

// drain reads off the little that is left of a body and closes it, so that the connection can be used again. It does not
// wait for a peer that is slow with it.
func drain(body io.ReadCloser, length int64) {
	if length <= drainLimit && body != http.NoBody {
		stop := time.AfterFunc(drainTime, func() { body.Close() })
		_, _ = io.CopyN(io.Discard, body, drainLimit+1) // what is not read is closed
		stop.Stop()
	}
	body.Close()
}
