// SPDX-License-Identifier: MIT

package client

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"sync"
)

// Request is what was sent last: after redirects, not what the call began with.
type Request struct {
	Method string
	URL    *url.URL
	header http.Header
}

// Header returns a copy of the fields that were sent, without Host and framing, which the transport adds.
func (r *Request) Header() http.Header { return r.header.Clone() }

// Wire is what the header said about the body before it was decompressed.
type Wire struct {
	ContentEncoding string // "" for none
	ContentLength   int64  // -1 unknown
}

// HTTPResponse is the answer to a call.
//
// The header has arrived; the body is read on demand: whole with Bytes, Text or JSON, or bit by bit with Body or Lines.
// The time of the call runs on until the body has been read or closed, so Close, or read to the end, every response that
// Do gives. Reading it whole does both. Bytes and strings belong to the caller.
//
// A response is for one goroutine at a time, except Close, which may come from any and ends a blocked read.
type HTTPResponse struct {
	Client      *HTTPClient
	Request     *Request
	HTTPVersion string // "HTTP/1.1", "HTTP/2.0"
	Status      int
	StatusText  string      // "Not Found": what the peer sent; may be empty
	Header      http.Header // without Content-Encoding and Content-Length when the body is decompressed; see Wire
	Trailer     http.Header // complete once the body has been read to its end
	URL         *url.URL    // the address that answered
	History     []Hop       // the redirects followed, oldest first
	Attempts    int         // requests sent, redirects and retries included
	Wire        Wire

	body responseBody

	reading sync.Mutex // guards what follows
	whole   bool       // Bytes was called
	content []byte
	failure error
}

// OK reports whether the status is 200 to 299.
func (r *HTTPResponse) OK() bool { return r.Status >= 200 && r.Status <= 299 }

// Cookies returns the cookies that the answer sets.
func (r *HTTPResponse) Cookies() []*http.Cookie {
	return (&http.Response{Header: r.Header}).Cookies()
}

// Body returns the body, decompressed, limited by MaxBody and by the time of the call. It is the response's one body: a
// second Body goes on where the first stands; after Bytes, Text or JSON it begins anew each time. Closing it is Close.
func (r *HTTPResponse) Body() io.ReadCloser {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.whole && r.failure == nil {
		return io.NopCloser(bytes.NewReader(r.content))
	}
	return &r.body
}

// Bytes reads the body to its end and closes it. It returns the same bytes, or the same error, each time. A body over
// the limit, cut short or damaged gives no bytes.
func (r *HTTPResponse) Bytes() ([]byte, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	if !r.whole {
		if r.body.touched.Load() && !r.body.closed.Load() {
			return nil, r.wrap(PhaseBody, ErrBodyRead)
		}
		r.whole = true
		r.content, r.failure = r.body.readAll()
		if r.failure != nil {
			r.content = nil
		}
		r.Close()
	}
	return r.content, r.failure
}

// Close gives up what has not been read. It is safe to call at any time and more than once; it returns nil. What Bytes,
// Text or JSON read stays readable.
func (r *HTTPResponse) Close() error { return r.body.Close() }

func (r *HTTPResponse) wrap(phase Phase, err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	e := &Error{Phase: phase, Attempt: r.Attempts, Err: err}
	if r.Request != nil {
		e.Op, e.URL = r.Request.Method, redact(r.Request.URL)
	}
	return e
}
