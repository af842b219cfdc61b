// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// ContentLength is the length of the body as the request states it, 0 when it
// has none, -1 when it is not known beforehand (chunked).
func (r *HTTPRequest) ContentLength() int64 {
	if h := r.viaHTTP(); h != nil {
		return h.request.ContentLength
	}
	if r.head.chunked {
		return -1
	}
	return max(r.head.contentLength, 0)
}

// SetBodyLimit replaces the server's MaxRequest for this request, in octets of
// content; negative means none. A smaller or larger limit than the server's is
// possible, for a route that takes uploads, say. It applies to what has not been
// read yet.
func (r *HTTPRequest) SetBodyLimit(n int64) {
	if h := r.viaHTTP(); h != nil {
		h.setLimit(n)
	} else if r.c != nil {
		r.c.setLimit(r, n)
	}
}

// BodyReader reads the content of the request as it arrives. Its errors:
// [ErrBodyTooLarge] at the limit, [ErrBodyTimeout] when the client is too slow,
// *[ProtocolError] for broken framing, io.ErrUnexpectedEOF when the client left
// half-way, [ErrRequestDone] after the handler returned. A client that expects
// to be asked for its body (RFC 9110, section 10.1.1) is asked at the first read.
func (r *HTTPRequest) BodyReader() io.Reader { return (*requestBodyReader)(r) }

// FullDuplex announces that the body is going to be read while the answer is being
// written. A connection of the server's own needs no announcement; net/http has to
// be told before the first write, over HTTP/1.1, and where it cannot do it the error
// is http.ErrNotSupported. A body read by turns with writing is bounded by MinRate
// like any other: where pauses are meant to be, use SetReadDeadline.
func (r *HTTPRequest) FullDuplex() error {
	if p := r.viaHTTP(); p != nil {
		return http.NewResponseController(p.writer).EnableFullDuplex()
	}
	return nil
}

// Body reads all of the content. The slice is the caller's. Read what BodyReader
// has already given out, and it is missing here.
func (r *HTTPRequest) Body() ([]byte, error) {
	size := r.ContentLength()
	if size == 0 {
		return nil, nil
	}
	// A stated length is believed only as far as it costs little: memory grows
	// with what has really arrived.
	var b bytes.Buffer
	b.Grow(int(min(max(size, 512), 64<<10)) + bytes.MinRead)
	_, err := b.ReadFrom(r.BodyReader())
	if err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Trailer is the trailer section of a chunked request, empty until the body has
// been read to its end.
func (r *HTTPRequest) Trailer() Header {
	e := r.extra.Load()
	if e == nil {
		return Header{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.http != nil {
		return headerFromMap(e.http.request.Trailer)
	}
	return e.trailer
}

// requestBodyReader is a request seen as the reader of its body.
type requestBodyReader HTTPRequest

func (b *requestBodyReader) Read(p []byte) (int, error) {
	r := (*HTTPRequest)(b)
	if h := r.viaHTTP(); h != nil {
		return h.readBody(r, p)
	}
	return r.c.readBody(r, p)
}

// WriteTo is for io.Copy, which would otherwise ask for as little at a time as the
// writer likes, at a system call each.
func (b *requestBodyReader) WriteTo(w io.Writer) (n int64, err error) {
	buf := uploadPool.Get().(*[]byte)
	defer uploadPool.Put(buf)
	for {
		k, err := b.Read(*buf)
		if k > 0 {
			written, werr := w.Write((*buf)[:k])
			n += int64(written)
			if werr == nil && written < k {
				werr = io.ErrShortWrite
			}
			if werr != nil {
				return n, werr
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

var uploadPool = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// Close does nothing: what is left of a body is dealt with after the handler.
func (b *requestBodyReader) Close() error { return nil }
