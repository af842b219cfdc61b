// SPDX-License-Identifier: MIT

package server

import (
	"io"
	"net/http"
	"net/url"
)

// stdState is guarded by requestExtra.mu.
type stdState struct{ request *http.Request }

// StdRequest is the request as net/http's handlers and middleware want to see
// it. It is made on the first call; later calls return the same. Its context is
// that of the request and its body is read from where the request's is. Changing
// it does not change the request.
func (r *HTTPRequest) StdRequest() *http.Request {
	e := r.extras()
	e.mu.Lock()
	p, made := e.http, e.std.request
	e.mu.Unlock()
	switch {
	case p != nil && p.stream == nil:
		return p.request
	case made != nil:
		return made
	}
	var q *http.Request
	if p != nil {
		q = p.stream.stdRequest(r, p.request)
	} else {
		q = r.newStdRequest()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.std.request == nil {
		e.std.request = q
	}
	return e.std.request
}

func (r *HTTPRequest) newStdRequest() *http.Request {
	major, minor := r.ProtocolVersion()
	q := &http.Request{
		Method:        r.Method(),
		URL:           r.stdURL(),
		Proto:         r.Protocol(),
		ProtoMajor:    major,
		ProtoMinor:    minor,
		Header:        r.Header().Map(),
		Body:          http.NoBody,
		ContentLength: r.ContentLength(),
		Host:          r.Host(),
		RemoteAddr:    r.RemoteAddr(),
		RequestURI:    r.Target(),
		TLS:           r.TLS(),
	}
	q.Header.Del("Host") // net/http keeps it in Request.Host alone
	if q.ContentLength != 0 {
		q.Body = io.NopCloser(r.BodyReader())
	}
	if r.head.chunked {
		q.TransferEncoding = []string{"chunked"}
		q.Trailer = http.Header{}
		q.Body = &trailerBody{r: r, q: q}
	}
	return q.WithContext(r.Context())
}

func (r *HTTPRequest) stdURL() *url.URL {
	switch r.head.form {
	case authorityForm:
		return &url.URL{Host: r.Target()}
	case asteriskForm:
		return &url.URL{Path: "*"}
	}
	u, err := url.ParseRequestURI(r.Target())
	if err != nil { // an escape that makes no sense: show the path as it came
		return &url.URL{Path: r.Path(), RawQuery: r.RawQuery()}
	}
	return u
}

// trailerBody fills in the trailers of a net/http request at the end of its body.
type trailerBody struct {
	r *HTTPRequest
	q *http.Request
}

func (b *trailerBody) Read(p []byte) (int, error) {
	n, err := (*requestBodyReader)(b.r).Read(p)
	if err == io.EOF {
		for name, value := range b.r.Trailer().All() {
			b.q.Trailer.Add(name, value)
		}
	}
	return n, err
}

func (b *trailerBody) Close() error { return nil }
