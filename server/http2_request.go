// SPDX-License-Identifier: MIT

package server

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

var (
	errConnect        = &ProtocolError{http.StatusNotImplemented, "CONNECT is not served over HTTP/2"}
	errTargetPath     = &ProtocolError{http.StatusBadRequest, "the path of an HTTP/2 request does not begin with a slash"}
	errHostDiffers    = &ProtocolError{http.StatusBadRequest, "Host differs from the authority of the request"}
	errLengthNoBody   = &ProtocolError{http.StatusBadRequest, "Content-Length of a request without a body"}
	errHeadUnreadable = &ProtocolError{http.StatusBadRequest, "the request cannot be said in HTTP/1"}
)

// request makes a request of what net/http has read from a stream.
func (c *http2Conn) request(w http.ResponseWriter, q *http.Request) (*HTTPRequest, *ProtocolError) {
	r := allocRequest()
	r.start = time.Now()
	if err := r.readHTTP2(q, &c.set.head); err != nil {
		return nil, err
	}
	pace := newPace(c.set.minRate, c.set.rateGrace)
	p := &httpPeer{
		writer: w, request: q, limit: c.set.maxRequest, peerIP: c.machine.t.remoteIP(),
		stream: &peerStream{conn: c, controller: http.NewResponseController(w), readPace: pace, writePace: pace},
	}
	r.extras().http = p
	newExchange(r, p)
	return r, nil
}

// readHTTP2 writes down what net/http has read as the head of an HTTP/1 request
// and reads that: so a request is held to one set of rules, and of limits, however
// it came.
func (r *HTTPRequest) readHTTP2(q *http.Request, limits *headLimits) *ProtocolError {
	switch {
	case q.Method == "" || !validFieldName(q.Method): // it may hold anything but control octets
		return errMethod
	case q.Method == http.MethodConnect:
		return errConnect
	case !strings.HasPrefix(q.RequestURI, "/") && q.RequestURI != "*":
		return errTargetPath // RFC 9113, section 8.3.1
	}
	if hosts := q.Header["Host"]; len(hosts) > 1 || len(hosts) == 1 && hosts[0] != q.Host {
		return errHostDiffers
	}
	text := make([]byte, 0, 512)
	text = append(text, q.Method...)
	text = append(text, ' ')
	text = append(text, q.RequestURI...)
	text = append(text, " HTTP/1.1\r\n"...)
	if q.Host != "" {
		text = appendField(text, "Host", q.Host)
	}
	for _, name := range slices.Sorted(maps.Keys(q.Header)) {
		if name == "Host" {
			continue
		}
		for _, value := range q.Header[name] {
			text = appendField(text, name, value)
		}
	}
	text = append(text, "\r\n"...)
	var p headParser
	n, err := p.parse(text, limits)
	switch {
	case err != nil:
		return err
	case n != len(text) || p.head.chunked:
		return errHeadUnreadable
	case p.head.contentLength > 0 && q.ContentLength == 0:
		return errLengthNoBody
	}
	r.head, r.text = p.head, string(text)
	// Here bodies end where their streams do.
	r.head.contentLength, r.head.chunked = q.ContentLength, q.ContentLength < 0
	if r.Method() != q.Method || r.Target() != q.RequestURI {
		return errHeadUnreadable
	}
	return nil
}

// http2Context is the context of a request over HTTP/2: it ends as those of HTTP/1
// do, and has the values that net/http gives it.
type http2Context struct {
	context.Context
	std context.Context
}

func (c *http2Context) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.std.Value(key)
}

// newContext makes the context of r.
func (s *peerStream) newContext(std context.Context, r *HTTPRequest) (context.Context, context.CancelCauseFunc) {
	if r.done.Load() {
		return endedContext, func(error) {}
	}
	ctx, cancel := context.WithCancelCause(s.conn.base)
	context.AfterFunc(std, func() {
		cause := context.Cause(std) // of the server's context, perhaps
		if cause == context.Canceled {
			cause = ErrClientGone
		}
		cancel(cause)
	})
	return &http2Context{ctx, std}, cancel
}

// stdRequest is the request for net/http's handlers and middleware: what net/http
// has read, with the context, the TLS connection and the limited body of r.
func (s *peerStream) stdRequest(r *HTTPRequest, q *http.Request) *http.Request {
	q = q.WithContext(r.Context())
	q.TLS = r.TLS()
	if q.ContentLength != 0 {
		q.Body = (*requestBodyReader)(r)
	}
	return q
}
