// SPDX-License-Identifier: MIT

package server

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// Status is the status that will be or was sent, 0 when none was set yet; an
// answer without one goes out as 200. When the connection was taken over it is 101
// if that was sent by ResponseWriter, and otherwise 0.
func (r *HTTPRequest) Status() int {
	if err := r.x.lock(r); err != nil {
		if e := r.extra.Load(); e != nil && err == ErrHijacked && e.switched.Load() {
			return http.StatusSwitchingProtocols
		}
		return 0
	}
	defer r.x.mu.Unlock()
	return r.x.status
}

// SetStatus sets the status of the answer, 200 to 599; use
// [HTTPRequest.SendInformational] for 1xx. It fails with [ErrCommitted] after
// the head was sent.
func (r *HTTPRequest) SetStatus(code int) error {
	if code < 200 || code > 599 {
		return ErrInvalidStatus
	}
	if err := r.x.lock(r); err != nil {
		return err
	}
	defer r.x.mu.Unlock()
	if r.x.committed {
		return ErrCommitted
	}
	r.x.status = code
	return nil
}

// SetHeader sets a field of the answer, replacing what it had. Names must be
// tokens and values free of control characters ([ErrInvalidHeader]); framing
// fields belong to the connection, except Content-Length, which may announce
// the length of a streamed body, and Connection, where "close" ends the
// connection after this answer. It fails with [ErrCommitted] after the head was
// sent.
func (r *HTTPRequest) SetHeader(name, value string) error { return r.field(name, value, false) }

// AddHeader adds a field line to the answer, keeping those it has. Otherwise it
// is like SetHeader.
func (r *HTTPRequest) AddHeader(name, value string) error { return r.field(name, value, true) }

func (r *HTTPRequest) field(name, value string, add bool) error {
	if err := r.x.lock(r); err != nil {
		return err
	}
	defer r.x.mu.Unlock()
	return r.x.setField(name, value, add)
}

// DelHeader removes a field from the answer. After the head was sent it does
// nothing.
func (r *HTTPRequest) DelHeader(name string) {
	if r.x.lock(r) != nil {
		return
	}
	defer r.x.mu.Unlock()
	r.x.delField(name)
}

// ResponseHeader is the first value of a field of the answer, "" when it is not
// set or the request is done.
func (r *HTTPRequest) ResponseHeader(name string) string {
	if r.x.lock(r) != nil {
		return ""
	}
	defer r.x.mu.Unlock()
	return r.x.field(name)
}

// ResponseHeaders is a copy of the answer's header, without what the connection
// adds when it is sent.
func (r *HTTPRequest) ResponseHeaders() http.Header {
	if r.x.lock(r) != nil {
		return http.Header{}
	}
	defer r.x.mu.Unlock()
	return r.x.headerMap()
}

// SetTrailer adds a field to be sent after a streamed body. It takes effect
// where the protocol has trailers (HTTP/1.1 with a chunked body, HTTP/2) and is
// dropped elsewhere, as RFC 9110, section 6.5.1 foresees.
func (r *HTTPRequest) SetTrailer(name, value string) error {
	if !validFieldName(name) || !validFieldValue(value) || kindOf(name) != fieldOther {
		return ErrInvalidHeader
	}
	if err := r.x.lock(r); err != nil {
		return err
	}
	defer r.x.mu.Unlock()
	r.x.trailer = appendField(r.x.trailer, name, value)
	return nil
}

// Write adds p to the body of the answer. p is copied or sent before Write
// returns. Where the answer can have no body (HEAD, 204, 304) the octets are
// counted and dropped.
func (r *HTTPRequest) Write(p []byte) (int, error) {
	if err := r.x.lock(r); err != nil {
		return 0, err
	}
	defer r.x.mu.Unlock()
	return r.x.write(p)
}

// WriteString is Write for strings.
func (r *HTTPRequest) WriteString(s string) (int, error) {
	return r.Write(bytesOf(s))
}

// ReadFrom adds everything src has to the body, by sendfile where src is a file
// and the connection can.
func (r *HTTPRequest) ReadFrom(src io.Reader) (n int64, err error) {
	if err := r.x.lock(r); err != nil {
		return 0, err
	}
	n, handled, err := r.x.sendFile(src)
	r.x.mu.Unlock()
	if handled {
		return n, err
	}
	// Reading may take its time and may lead back here, as it does when src is
	// the body of this very request: the exchange is not locked meanwhile.
	buf := copyPool.Get().(*[]byte)
	defer copyPool.Put(buf)
	for {
		k, rerr := src.Read(*buf)
		if k > 0 {
			w, werr := r.Write((*buf)[:k])
			n += int64(w)
			if werr != nil {
				return n, werr
			}
		}
		if rerr == io.EOF {
			return n, nil
		}
		if rerr != nil {
			return n, rerr
		}
	}
}

// Flush sends everything written so far, the head first. From then on the body
// is streamed: chunked, unless a Content-Length was set.
func (r *HTTPRequest) Flush() error {
	if err := r.x.lock(r); err != nil {
		return err
	}
	defer r.x.mu.Unlock()
	return r.x.flush()
}

// SendResponse sets status and content type and makes body the whole body of
// the answer, replacing what was written before. body is copied or sent before
// SendResponse returns. An empty contentType sends none.
func (r *HTTPRequest) SendResponse(status int, contentType string, body []byte) error {
	if status < 200 || status > 599 {
		return ErrInvalidStatus
	}
	if !validFieldValue(contentType) {
		return ErrInvalidHeader
	}
	if err := r.x.lock(r); err != nil {
		return err
	}
	defer r.x.mu.Unlock()
	x := r.x
	if x.committed {
		return ErrCommitted
	}
	x.status = status
	if m := x.stdHeader(); m != nil {
		m.Set("Content-Type", contentType)
		m.Del("Content-Length")
	} else {
		x.contentType = contentType
	}
	x.body, x.sent, x.declared = x.body[:0], 0, -1
	if len(body) > commitSize {
		// The length is known: say so, or the body would go out chunked.
		if err := x.setField("Content-Length", decimal(len(body)), false); err != nil {
			return err
		}
	}
	_, err := x.write(body)
	return err
}

// SendString is SendResponse for strings.
func (r *HTTPRequest) SendString(status int, contentType, body string) error {
	return r.SendResponse(status, contentType, bytesOf(body))
}

// SendError answers with the status an error carries (by a StatusCode method,
// as the errors of this package have), 500 if it has none, and the standard
// phrase of that status as text. The error's own text is not sent: it may name
// what is nobody's business. What was buffered is dropped.
func (r *HTTPRequest) SendError(err error) error {
	status := StatusOf(err)
	if rerr := r.ResetResponse(); rerr != nil {
		return rerr
	}
	text := strings.TrimSuffix(decimal(status)+" "+http.StatusText(status), " ")
	return r.SendString(status, "text/plain; charset=utf-8", text+"\n")
}

// SendInformational sends an informational answer (RFC 9110, section 15.2)
// ahead of the final one: 103 with Link fields, or 102. 100 is sent by the server
// itself, and 101 by whoever hijacks. HTTP/1.0 clients do not know of them;
// nothing is sent there.
func (r *HTTPRequest) SendInformational(status int, header http.Header) error {
	if status < 102 || status > 199 {
		return ErrInvalidStatus
	}
	var fields []byte
	for name, values := range header {
		for _, value := range values {
			if !validFieldName(name) || !validFieldValue(value) || kindOf(name) != fieldOther {
				return ErrInvalidHeader
			}
			fields = appendField(fields, name, value)
		}
	}
	if err := r.x.lock(r); err != nil {
		return err
	}
	defer r.x.mu.Unlock()
	if r.x.committed {
		return ErrCommitted
	}
	return r.x.peer.informational(status, fields)
}

// ResetResponse starts the answer anew: status, body and the fields that
// describe a body (Content-*, ETag, Last-Modified, Cache-Control, Location, …)
// are dropped; others, such as a request id or CORS fields, stay. It fails with
// [ErrCommitted] after the head was sent.
func (r *HTTPRequest) ResetResponse() error {
	if err := r.x.lock(r); err != nil {
		return err
	}
	defer r.x.mu.Unlock()
	if r.x.committed {
		return ErrCommitted
	}
	r.x.reset()
	return nil
}

func (x *exchange) reset() {
	x.takeStdHeader()
	x.status, x.contentType, x.declared, x.sent = 0, "", -1, 0
	x.body, x.trailer = x.body[:0], x.trailer[:0]
	for at := 0; at < len(x.fields); {
		line := lineLength(x.fields[at:])
		if describesBody(x.fields[at : at+line]) {
			x.fields = append(x.fields[:at], x.fields[at+line:]...)
			continue
		}
		at += line
	}
	if x.std != nil {
		x.std.reopen(x)
	}
}

// Committed reports whether the head of the answer was sent, or the request is
// done.
func (r *HTTPRequest) Committed() bool {
	if r.x.lock(r) != nil {
		return true
	}
	defer r.x.mu.Unlock()
	return r.x.committed
}

// BytesWritten is the number of body octets the handler has written so far.
func (r *HTTPRequest) BytesWritten() int64 {
	r.x.mu.Lock()
	defer r.x.mu.Unlock()
	if r.x.req.Load() != r {
		return 0
	}
	return r.x.sent
}

// SetReadDeadline bounds reading the rest of the body in place of the server's
// MinRate; the zero time goes back to that. It also ends a read that is waiting.
// It fails where the peer has no deadlines.
func (r *HTTPRequest) SetReadDeadline(t time.Time) error { return r.deadline(t, false) }

// SetWriteDeadline bounds writing the rest of the answer in place of the
// server's MinRate, from the next write on; the zero time goes back to that. It
// fails where the peer has no deadlines.
func (r *HTTPRequest) SetWriteDeadline(t time.Time) error { return r.deadline(t, true) }

func (r *HTTPRequest) deadline(t time.Time, write bool) error {
	if err := r.x.lock(r); err != nil {
		return err
	}
	defer r.x.mu.Unlock()
	if h := r.viaHTTP(); h != nil {
		return h.deadline(t, write)
	}
	if write {
		r.c.t.setWriteDeadline(t)
	} else {
		r.c.t.setReadDeadline(t)
	}
	return nil
}
