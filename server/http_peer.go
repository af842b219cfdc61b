// SPDX-License-Identifier: MIT

package server

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// httpPeer is net/http standing behind an exchange.
type httpPeer struct {
	writer    http.ResponseWriter
	request   *http.Request
	peerIP    netip.Addr
	inherited []string    // fields of the answer that were there before, see inherit
	stream    *peerStream // set where an HTTPServer has the connection

	bodyMu   sync.Mutex
	limit    int64 // octets of content that may be asked for, negative = none; guarded by bodyMu
	received int64 // guarded by bodyMu
}

// FromHTTP makes a request out of what a net/http handler is given, so that the
// same [Handler] runs behind net/http, in httptest or behind any adapter. Fields
// of the answer that others have set in w are set in the request's answer, too,
// where they can be changed, added to and removed.
//
// Call finish when the handler has returned, and with that the request is done.
// finish(true) completes the answer. finish(false) gives it up: nothing more of it
// is sent. As net/http would complete what has been sent already, whoever calls it
// has then to end the connection by a panic with http.ErrAbortHandler. Calling
// finish again does nothing.
//
// The request's body has no limit until SetBodyLimit gives it one; wrap the
// handler in http.MaxBytesHandler or use an App, which sets its own.
func FromHTTP(w http.ResponseWriter, q *http.Request) (r *HTTPRequest, finish func(whole bool)) {
	r = allocRequest()
	r.start = time.Now()
	p := &httpPeer{writer: w, request: q, limit: -1}
	if addr, err := netip.ParseAddrPort(q.RemoteAddr); err == nil {
		p.peerIP = addr.Addr().Unmap().WithZone("")
	}
	r.fillFromHTTP(q)
	r.extras().http = p
	p.inherit(newExchange(r, p))
	return r, func(whole bool) { _ = r.finishHTTP(whole) }
}

// inherit takes over the fields that a middleware of net/http has set for the
// answer. What belongs to one answer with its body is left out: it is in force
// unless the request's answer says otherwise.
func (p *httpPeer) inherit(x *exchange) {
	for name, values := range p.writer.Header() {
		if kindOf(name) != fieldOther && kindOf(name) != fieldServer || name == "Trailer" || strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		for i, value := range values {
			if validFieldName(name) && validFieldValue(value) { // net/http leaves out what is not
				_ = x.putField(name, value, i > 0)
			}
		}
		p.inherited = append(p.inherited, name)
	}
}

// finishHTTP ends a request that came through net/http. The error is that of
// completing the answer.
func (r *HTTPRequest) finishHTTP(whole bool) (err error) {
	x, p := r.x, r.viaHTTP()
	x.mu.Lock()
	if x.req.Load() != r || x.finished { // called twice, or by an OnFinish
		x.mu.Unlock()
		return nil
	}
	if x.hijacked || !whole {
		x.finished = true
	} else {
		err = x.finish()
	}
	sent := x.sent
	x.mu.Unlock()
	r.runFinishers()
	x.mu.Lock()
	r.done.Store(true)
	if x.release() {
		exchangePool.Put(x)
	}
	r.endContext(ErrRequestDone)
	p.stream.end(whole && sent > 0)
	r.cleanUpForm()
	return err
}

// fillFromHTTP writes the head of q the way it is kept for requests that were
// read from a connection.
func (r *HTTPRequest) fillFromHTTP(q *http.Request) {
	method, target := q.Method, q.RequestURI
	if method == "" {
		method = http.MethodGet
	}
	if q.URL != nil && target != "*" && method != http.MethodConnect {
		// Not what was received but what is left of it, by http.StripPrefix, say.
		target = q.URL.RequestURI()
	}
	header := q.Header
	if _, has := header["Host"]; has { // net/http keeps it in Request.Host
		header = header.Clone()
		delete(header, "Host")
	}
	fields := headerFromMap(header).raw
	host := q.Host
	if !validFieldValue(host) {
		host = ""
	}
	if host != "" {
		fields = "Host: " + host + "\r\n" + fields
	}
	h := &r.head
	var text strings.Builder
	put := func(s string) span {
		start := uint32(text.Len())
		text.WriteString(s)
		return span{start, uint32(text.Len())}
	}
	h.method = put(method)
	put(" ")
	h.target = put(target)
	put(" HTTP/1.1\r\n")
	h.fields = put(fields)
	if host != "" {
		h.host = span{h.fields.start + 6, h.fields.start + 6 + uint32(len(host))}
		h.hasHost = true
	}
	r.text = text.String()
	h.minor = 1
	if q.ProtoMajor == 1 && q.ProtoMinor == 0 {
		h.minor = 0
	}
	h.contentLength = q.ContentLength
	h.chunked = q.ContentLength < 0

	path, query := target, ""
	at := h.target.start
	switch {
	case method == http.MethodConnect:
		h.form = authorityForm
		return
	case target == "*":
		h.form = asteriskForm
		return
	case !strings.HasPrefix(target, "/"):
		h.form = absoluteForm
		if i := strings.Index(target, "://"); i >= 0 {
			rest := target[i+3:]
			slash := strings.IndexAny(rest, "/?")
			if slash < 0 {
				slash = len(rest)
			}
			path = rest[slash:]
			at += uint32(i + 3 + slash)
		}
	}
	path, query, _ = strings.Cut(path, "?")
	h.path = span{at, at + uint32(len(path))}
	if query != "" {
		h.query = span{h.path.end + 1, h.path.end + 1 + uint32(len(query))}
	}
}

func (p *httpPeer) localAddr() net.Addr {
	addr, _ := p.request.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return addr
}

// ---- request body

func (p *httpPeer) setLimit(n int64) {
	p.bodyMu.Lock()
	p.limit = n
	p.bodyMu.Unlock()
}

func (p *httpPeer) readBody(r *HTTPRequest, b []byte) (int, error) {
	if r.done.Load() {
		return 0, ErrRequestDone
	}
	p.bodyMu.Lock()
	defer p.bodyMu.Unlock()
	switch {
	case p.request.Body == nil:
		return 0, io.EOF
	case p.limit >= 0 && max(p.request.ContentLength, p.received) > p.limit:
		return 0, ErrBodyTooLarge
	}
	n, err := p.stream.read(p.request.Body, b)
	if r.done.Load() {
		return 0, ErrRequestDone
	}
	p.received += int64(n)
	var tooLarge *http.MaxBytesError
	switch {
	case p.limit >= 0 && p.received > p.limit, errors.As(err, &tooLarge):
		return 0, ErrBodyTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = ErrBodyTimeout
	case err == io.ErrUnexpectedEOF:
		err = errBodyCut
	case err != nil && err != io.EOF && StatusOf(err) == http.StatusInternalServerError:
		// Of a stream that was reset, say: the fault is the client's.
		err = bodyCutBy(err)
	}
	return n, err
}

// ---- answer

func (p *httpPeer) commit(x *exchange, body []byte, final bool) error {
	status := x.status
	if status == 0 {
		status = http.StatusOK
	}
	x.status = status
	head := p.writer.Header()
	fields := x.fieldsAsMap()
	for _, name := range p.inherited {
		if _, kept := fields[http.CanonicalHeaderKey(name)]; !kept {
			delete(head, name)
		}
	}
	maps.Copy(head, fields)
	p.stream.complete(x, head)
	isHead := p.request.Method == http.MethodHead
	x.bodyless = isHead || status == http.StatusNoContent || status == http.StatusNotModified
	switch {
	case status == http.StatusNoContent:
		head.Del("Content-Length")
		head.Del("Content-Type")
	case status == http.StatusResetContent:
		x.bodyless = true
		head.Set("Content-Length", "0")
	case final && !x.bodyless && (x.declared >= 0 || len(x.trailer) == 0):
		head.Set("Content-Length", strconv.Itoa(len(body)))
		if x.declared >= 0 { // whatever was promised, this is what there is
			x.declared = int64(len(body))
		}
	case final && isHead && len(body) > 0 && x.declared < 0:
		head.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if x.declared < 0 && !x.bodyless {
		for name := range newHeader(string(x.trailer)).All() {
			head.Add("Trailer", name) // makes net/http choose a framing that has trailers
		}
	}
	if _, ok := head["Content-Type"]; !ok {
		head["Content-Type"] = nil // no guessing: none was given
	}
	p.writer.WriteHeader(status)
	if x.bodyless {
		return nil
	}
	if err := p.writeBody(x, body); err != nil || !final {
		return err
	}
	return p.end(x)
}

func (p *httpPeer) writeBody(_ *exchange, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return p.stream.writeBody(p.writer, b)
}

func (p *httpPeer) sendFile(_ *exchange, f *os.File, n int64) (int64, bool, error) {
	to, ok := p.writer.(io.ReaderFrom)
	if !ok {
		return 0, false, nil
	}
	if p.stream != nil {
		return 0, false, nil
	}
	sent, err := to.ReadFrom(io.LimitReader(f, n))
	if err == nil && sent < n {
		err = io.ErrUnexpectedEOF // the file shrank
	}
	return sent, true, err
}

func (p *httpPeer) flush(*exchange) error {
	err := p.stream.write(0, http.NewResponseController(p.writer).Flush)
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

func (p *httpPeer) end(x *exchange) error {
	for name, value := range newHeader(string(x.trailer)).All() {
		p.writer.Header().Add(http.TrailerPrefix+name, value)
	}
	if x.declared >= 0 && x.sent < x.declared && !x.bodyless {
		return io.ErrShortWrite // over HTTP/1 net/http notices by itself and ends the connection
	}
	return nil
}

func (p *httpPeer) informational(status int, fields []byte) error {
	if !p.request.ProtoAtLeast(1, 1) {
		return nil
	}
	head := p.writer.Header()
	saved := head.Clone()
	clear(head)
	for name, value := range newHeader(string(fields)).All() {
		head.Add(name, value)
	}
	p.writer.WriteHeader(status)
	clear(head)
	if p.stream != nil && p.request.ContentLength != 0 {
		// After any other informational answer net/http forgets to ask the client for
		// its body where it waits for that.
		p.writer.WriteHeader(http.StatusContinue)
	}
	maps.Copy(head, saved)
	return nil
}

func (p *httpPeer) hijack(*exchange) (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(p.writer).Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		err = ErrNotHijackable
	}
	return conn, rw, err
}

// deadline is called with the exchange locked: without it, net/http might already
// serve another request by the same writer.
func (p *httpPeer) deadline(t time.Time, write bool) error {
	rc := http.NewResponseController(p.writer)
	p.stream.setOwn(t, write)
	if write {
		return rc.SetWriteDeadline(t)
	}
	return rc.SetReadDeadline(t)
}
