// SPDX-License-Identifier: MIT

package server

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"
)

// responseWriter is an answer under construction as net/http's handlers and
// middleware want to see it. Its header map is where the answer's fields live
// from the moment somebody asks for it until WriteHeader, which moves them to
// the exchange.
type responseWriter struct {
	r       *HTTPRequest
	header  http.Header
	status  int
	sniffed bool

	// switching is the head of a 101, which goes out when the handler hijacks.
	switching []byte

	// Guarded by exchange.mu.
	taken   bool // the map has been read: what is set in it from now on is trailers
	noSniff bool // the map had a Content-Type, if only an empty one
}

var (
	_ http.Flusher    = (*responseWriter)(nil)
	_ http.Hijacker   = (*responseWriter)(nil)
	_ io.ReaderFrom   = (*responseWriter)(nil)
	_ io.StringWriter = (*responseWriter)(nil)
)

// ResponseWriter is the answer as an http.ResponseWriter, for handlers and
// middleware written for net/http. It is an http.Flusher, http.Hijacker,
// io.ReaderFrom and io.StringWriter and does what http.ResponseController asks.
// It and the answering calls of the request work on one and the same answer.
// As in net/http, its header map is not safe for concurrent use.
func (r *HTTPRequest) ResponseWriter() http.ResponseWriter {
	x := r.x
	if x.lock(r) != nil {
		return &responseWriter{r: r, header: http.Header{}}
	}
	defer x.mu.Unlock()
	if x.std == nil {
		x.std = &responseWriter{r: r, header: x.fieldsAsMap()}
	}
	return x.std
}

// fieldsAsMap is headerMap without looking at the net/http view.
func (x *exchange) fieldsAsMap() http.Header {
	std := x.std
	x.std = nil
	defer func() { x.std = std }()
	return x.headerMap()
}

// reopen makes the map the place of the fields again, for an answer that starts
// anew. The caller holds x.mu.
func (w *responseWriter) reopen(x *exchange) {
	fields := x.fieldsAsMap()
	clear(w.header)
	maps.Copy(w.header, fields)
	w.status, w.sniffed, w.taken, w.switching = 0, false, false, nil
}

func (w *responseWriter) Header() http.Header { return w.header }

// WriteHeader keeps net/http's contract: 1xx codes are sent at once, the first
// other code counts, and later ones are ignored. 101 counts like those: libraries
// for other protocols write it and then hijack.
func (w *responseWriter) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		w.switchProtocols()
		return
	}
	if status >= 100 && status < 200 {
		fields := http.Header{}
		for name, values := range w.header {
			if kindOf(name) == fieldOther {
				fields[name] = values
			}
		}
		_ = w.r.SendInformational(status, fields)
		return
	}
	x := w.r.x
	if x.lock(w.r) != nil {
		return
	}
	defer x.mu.Unlock()
	if w.status != 0 || x.committed || status < 200 || status > 999 {
		return
	}
	w.status, x.status = status, status
	x.takeStdHeader()
}

// switchProtocols gets the head of a 101 ready. Should the handler not hijack, the
// answer is a 500.
func (w *responseWriter) switchProtocols() {
	x := w.r.x
	if x.lock(w.r) != nil {
		return
	}
	defer x.mu.Unlock()
	if w.status != 0 || x.committed {
		return
	}
	w.status, x.status = http.StatusSwitchingProtocols, http.StatusInternalServerError
	w.switching = appendStatusLine(nil, http.StatusSwitchingProtocols)
	for name, values := range w.header {
		kind := kindOf(name)
		for _, value := range values {
			if (kind == fieldOther || kind == fieldConnection) && validFieldName(name) && validFieldValue(value) {
				w.switching = appendField(w.switching, name, value)
			}
		}
	}
	w.switching = append(w.switching, "\r\n"...)
}

// implyHeader is WriteHeader for those that did not call it: the status is what
// was set on the request before, else 200.
func (w *responseWriter) implyHeader() {
	if w.status != 0 {
		return
	}
	status := w.r.Status()
	if status == 0 {
		status = http.StatusOK
	}
	w.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.beforeWrite(p)
	if len(p) > 0 && (w.status == http.StatusNoContent || w.status == http.StatusNotModified) {
		return 0, http.ErrBodyNotAllowed
	}
	n, err := w.r.Write(p)
	switch err {
	case ErrContentLength:
		err = http.ErrContentLength
	case ErrHijacked:
		err = http.ErrHijacked
	}
	return n, err
}

func (w *responseWriter) WriteString(s string) (int, error) { return w.Write(bytesOf(s)) }

// beforeWrite does what net/http does at the first write: the head is decided,
// and a content type is guessed where none was given.
func (w *responseWriter) beforeWrite(p []byte) {
	w.implyHeader()
	if w.sniffed || len(p) == 0 {
		return
	}
	w.sniffed = true
	x := w.r.x
	if x.lock(w.r) != nil {
		return
	}
	defer x.mu.Unlock()
	if x.committed || x.contentType != "" || w.noSniff || x.field("Content-Encoding") != "" {
		return
	}
	x.contentType = http.DetectContentType(p)
}

func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	w.implyHeader()
	if w.sniffed || w.r.ResponseHeader("Content-Type") != "" {
		return w.r.ReadFrom(src)
	}
	buf := copyPool.Get().(*[]byte)
	defer copyPool.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{w}, src, *buf)
}

func (w *responseWriter) Flush() { _ = w.FlushError() }

func (w *responseWriter) FlushError() error {
	w.implyHeader()
	return w.r.Flush()
}

func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.r.Hijack()
	if err == nil && w.switching != nil {
		// Answers to earlier requests that nobody reads may be in the way.
		_ = conn.SetWriteDeadline(time.Now().Add(switchingTime))
		if _, err = conn.Write(w.switching); err != nil {
			_ = conn.Close()
			return nil, nil, err
		}
		_ = conn.SetWriteDeadline(time.Time{})
		w.r.extras().switched.Store(true)
	}
	return conn, rw, err
}

// switchingTime is how long a client may take to accept the head of a 101.
const switchingTime = 10 * time.Second

func (w *responseWriter) SetReadDeadline(t time.Time) error { return w.r.SetReadDeadline(t) }

func (w *responseWriter) SetWriteDeadline(t time.Time) error { return w.r.SetWriteDeadline(t) }

func (w *responseWriter) EnableFullDuplex() error { return w.r.FullDuplex() }

// takeTrailers collects what a net/http handler set after its body: fields with
// http.TrailerPrefix, and those it announced in a Trailer field.
func (w *responseWriter) takeTrailers(x *exchange) {
	add := func(name string, values []string) {
		for _, value := range values {
			if validFieldName(name) && validFieldValue(value) && kindOf(name) == fieldOther {
				x.trailer = appendField(x.trailer, name, value)
			}
		}
	}
	for name, values := range w.header {
		if trailer, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			add(trailer, values)
		}
	}
	for _, line := range w.header["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			add(name, w.header[name])
		}
	}
}
