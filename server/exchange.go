// SPDX-License-Identifier: MIT

package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// commitSize is how much of a body is held back before the head is sent.
	// Up to here an error can still become a clean error answer.
	commitSize = 16 << 10
	// keptBuffer is the largest buffer that goes back into a pool.
	keptBuffer = 64 << 10
)

// peer is what stands behind an exchange: an [HTTPConnection], or net/http.
// Its methods are called with the exchange locked.
type peer interface {
	// commit sends the head of x. With final, body is all there will ever be;
	// otherwise body is the first of it.
	commit(x *exchange, body []byte, final bool) error
	// writeBody sends body octets after commit.
	writeBody(x *exchange, p []byte) error
	// sendFile sends n octets of f after commit; false when it cannot do better
	// than copying.
	sendFile(x *exchange, f *os.File, n int64) (sent int64, handled bool, err error)
	// flush makes sure that what was written is on its way.
	flush(x *exchange) error
	// end completes the body after commit.
	end(x *exchange) error
	// informational sends a 1xx answer.
	informational(status int, fields []byte) error
	hijack(x *exchange) (net.Conn, *bufio.ReadWriter, error)
}

// exchange is one request being answered: the response under construction and
// the peer it goes to. Exchanges are pooled; req is the fence that keeps a
// finished request from reaching the exchange of a later one: whoever is not
// req gets ErrRequestDone.
type exchange struct {
	mu   sync.Mutex
	req  atomic.Pointer[HTTPRequest] // changes without mu only from nil, in begin
	peer peer

	status      int
	fields      []byte // encoded field lines, without those kept apart below
	contentType string
	connection  string // value of a Connection field given by the handler
	declared    int64  // Content-Length given by the handler, -1 when none
	body        []byte // body octets not yet handed to the peer
	trailer     []byte // encoded trailer lines
	sent        int64  // body octets accepted from the handler

	std *responseWriter // the net/http view, once somebody asked for it

	hasDate, hasServer bool
	committed          bool
	chunked            bool // framing chosen at commit
	bodyless           bool // the answer has no body on the wire
	finished           bool // the answer is complete: nothing can be added
	closeAfter         bool // the connection ends with this answer
	hijacked           bool
	failed             error // first write error
}

var exchangePool = sync.Pool{New: func() any { return &exchange{declared: -1} }}

// newExchange gives r an exchange from the pool.
func newExchange(r *HTTPRequest, p peer) *exchange {
	x := exchangePool.Get().(*exchange)
	x.begin(r, p)
	return x
}

// begin gives an exchange that nobody has to r. It needs no lock: who still knows
// the exchange from an earlier request looks at req, and at nothing else.
func (x *exchange) begin(r *HTTPRequest, p peer) {
	r.x, x.peer = x, p
	x.req.Store(r)
}

// release ends the exchange and reports whether it is worth keeping for another
// one. The caller holds x.mu, which release gives up.
func (x *exchange) release() (keep bool) {
	x.req.Store(nil)
	x.peer, x.std = nil, nil
	x.status, x.contentType, x.connection, x.declared, x.sent = 0, "", "", -1, 0
	x.fields, x.trailer = x.fields[:0], x.trailer[:0]
	x.hasDate, x.hasServer, x.committed, x.chunked, x.bodyless = false, false, false, false, false
	x.finished, x.closeAfter, x.hijacked = false, false, false
	x.failed = nil
	keep = cap(x.body) <= keptBuffer && cap(x.fields) <= keptBuffer
	x.body = x.body[:0]
	x.mu.Unlock()
	return keep
}

// lock gives r access to its exchange, or says why it has none any more.
func (x *exchange) lock(r *HTTPRequest) error {
	if r.done.Load() {
		return ErrRequestDone // without waiting for a lock that may be another connection's by now
	}
	x.mu.Lock()
	if x.req.Load() != r {
		x.mu.Unlock()
		return ErrRequestDone
	}
	if x.hijacked {
		x.mu.Unlock()
		return ErrHijacked
	}
	return nil
}

// ---- header fields

// setField sets or adds a response field. The caller holds x.mu.
func (x *exchange) setField(name, value string, add bool) error {
	if !validFieldName(name) || !validFieldValue(value) {
		return fmt.Errorf("%w: %.64q", ErrInvalidHeader, name) // a value may be a secret
	}
	if x.committed {
		return ErrCommitted
	}
	if err := checkFraming(name, value); err != nil {
		return fmt.Errorf("%w: %.64q", err, name)
	}
	if m := x.stdHeader(); m != nil {
		if add && kindOf(name) == fieldOther {
			m.Add(name, value)
		} else {
			m.Set(name, value)
		}
		return nil
	}
	return x.putField(name, value, add)
}

// checkFraming refuses fields that would interfere with where the answer ends.
func checkFraming(name, value string) error {
	switch kindOf(name) {
	case fieldFraming:
		return ErrInvalidHeader
	case fieldContentLength:
		if _, err := strconv.ParseUint(value, 10, 63); err != nil {
			return ErrInvalidHeader
		}
	}
	return nil
}

func (x *exchange) putField(name, value string, add bool) error {
	switch kindOf(name) {
	case fieldContentType:
		x.contentType = value
	case fieldContentLength:
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return ErrInvalidHeader
		}
		x.declared = int64(n)
	case fieldConnection:
		x.connection = value
	case fieldFraming:
		return ErrInvalidHeader
	case fieldDate:
		x.dropField(name)
		x.hasDate = true
		x.fields = appendField(x.fields, name, value)
	case fieldServer:
		x.dropField(name)
		x.hasServer = true
		x.fields = appendField(x.fields, name, value)
	default:
		if !add {
			x.dropField(name)
		}
		x.fields = appendField(x.fields, name, value)
	}
	return nil
}

func (x *exchange) delField(name string) {
	if x.committed {
		return
	}
	if m := x.stdHeader(); m != nil {
		m.Del(name)
		return
	}
	switch kindOf(name) {
	case fieldContentType:
		x.contentType = ""
	case fieldContentLength:
		x.declared = -1
	case fieldConnection:
		x.connection = ""
	case fieldDate:
		x.hasDate = false
		x.dropField(name)
	case fieldServer:
		x.hasServer = false
		x.dropField(name)
	default:
		x.dropField(name)
	}
}

// dropField removes all lines of a field from the encoded block.
func (x *exchange) dropField(name string) {
	for at := 0; at < len(x.fields); {
		line := lineLength(x.fields[at:])
		if isField(x.fields[at:at+line], name) {
			x.fields = append(x.fields[:at], x.fields[at+line:]...)
			continue
		}
		at += line
	}
}

func (x *exchange) field(name string) string {
	if m := x.stdHeader(); m != nil {
		return m.Get(name)
	}
	switch kindOf(name) {
	case fieldContentType:
		return x.contentType
	case fieldContentLength:
		if x.declared < 0 {
			return ""
		}
		return strconv.FormatInt(x.declared, 10)
	case fieldConnection:
		return x.connection
	}
	for at := 0; at < len(x.fields); {
		line := lineLength(x.fields[at:])
		if isField(x.fields[at:at+line], name) {
			return string(x.fields[at+len(name)+2 : at+line-2])
		}
		at += line
	}
	return ""
}

// headerMap copies all response fields into a map.
func (x *exchange) headerMap() http.Header {
	if m := x.stdHeader(); m != nil {
		return m.Clone()
	}
	h := http.Header{}
	for at := 0; at < len(x.fields); {
		line := x.fields[at : at+lineLength(x.fields[at:])]
		at += len(line)
		name, value, _ := strings.Cut(string(line[:len(line)-2]), ": ")
		h.Add(name, value)
	}
	if x.contentType != "" {
		h.Set("Content-Type", x.contentType)
	}
	if x.declared >= 0 {
		h.Set("Content-Length", strconv.FormatInt(x.declared, 10))
	}
	if x.connection != "" {
		h.Set("Connection", x.connection)
	}
	return h
}

// stdHeader is the map of the net/http view while that is where headers are
// kept, nil otherwise.
func (x *exchange) stdHeader() http.Header {
	if x.std == nil || x.std.taken || x.committed {
		return nil
	}
	return x.std.header
}

// takeStdHeader moves the fields of the net/http view into the exchange.
// What net/http handlers set without any check is checked here: bad fields are
// left out rather than sent.
func (x *exchange) takeStdHeader() {
	m := x.stdHeader()
	if m == nil {
		return
	}
	x.std.taken = true
	_, x.std.noSniff = m["Content-Type"]
	x.fields, x.contentType, x.connection, x.declared = x.fields[:0], "", "", -1
	x.hasDate, x.hasServer = false, false
	for name, values := range m {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		for i, value := range values {
			value = strings.Trim(value, " \t")
			if validFieldName(name) && validFieldValue(value) {
				_ = x.putField(name, value, i > 0) // refused only for what is the connection's own
			}
		}
	}
}

// ---- body

// declaredLength is the Content-Length that the handler gave, -1 when none.
func (x *exchange) declaredLength() int64 {
	if m := x.stdHeader(); m != nil {
		if n, err := strconv.ParseUint(m.Get("Content-Length"), 10, 63); err == nil {
			return int64(n)
		}
		return -1
	}
	return x.declared
}

// write accepts body octets. The caller holds x.mu.
func (x *exchange) write(p []byte) (int, error) {
	if x.finished {
		return 0, ErrRequestDone
	}
	if x.failed != nil {
		return 0, x.failed
	}
	if declared := x.declaredLength(); declared >= 0 && x.sent+int64(len(p)) > declared && !x.bodyless {
		return 0, ErrContentLength
	}
	if len(x.body)+len(p) <= commitSize {
		x.body = append(x.body, p...)
		x.sent += int64(len(p))
		return len(p), nil
	}
	if err := x.pushBody(); err != nil {
		return 0, err
	}
	if len(p) < commitSize {
		x.body = append(x.body, p...)
	} else if err := x.push(p); err != nil {
		return 0, err
	}
	x.sent += int64(len(p))
	return len(p), nil
}

// push hands octets to the peer, committing first when that is still to be done.
func (x *exchange) push(p []byte) error {
	var err error
	if !x.committed {
		x.takeStdHeader()
		err = x.peer.commit(x, p, false)
		x.committed = true
	} else if !x.bodyless {
		err = x.peer.writeBody(x, p)
	}
	if err != nil && x.failed == nil {
		x.failed = err
	}
	return err
}

// pushBody hands over what is buffered.
func (x *exchange) pushBody() error {
	if len(x.body) == 0 && x.committed {
		return nil
	}
	err := x.push(x.body)
	x.body = x.body[:0]
	return err
}

func (x *exchange) flush() error {
	if x.finished {
		return ErrRequestDone
	}
	if x.failed != nil {
		return x.failed
	}
	if err := x.pushBody(); err != nil {
		return err
	}
	if err := x.peer.flush(x); err != nil {
		x.failed = err
		return err
	}
	return nil
}

// finish completes the answer. The caller holds x.mu.
func (x *exchange) finish() error {
	x.finished = true
	if x.failed != nil {
		return x.failed
	}
	var err error
	x.takeStdHeader()
	if x.std != nil {
		x.std.takeTrailers(x)
	}
	if !x.committed {
		err = x.peer.commit(x, x.body, true)
		x.committed = true
	} else if err = x.pushBody(); err == nil {
		err = x.peer.end(x)
	}
	x.body = x.body[:0]
	return err
}

// sendFile adds a large file to the body without reading it, where the peer can
// do that; handled is false where it has to be copied.
func (x *exchange) sendFile(src io.Reader) (sent int64, handled bool, err error) {
	f, limit, isFile := fileOf(src)
	if !isFile || limit <= commitSize {
		return 0, false, nil
	}
	switch declared := x.declaredLength(); {
	case x.finished:
		return 0, true, ErrRequestDone
	case x.failed != nil:
		return 0, true, x.failed
	case declared >= 0 && x.sent+limit > declared && !x.bodyless:
		return 0, true, ErrContentLength
	}
	if err := x.pushBody(); err != nil {
		return 0, true, err
	}
	if x.bodyless || x.chunked {
		return 0, false, nil
	}
	sent, handled, err = x.peer.sendFile(x, f, limit)
	x.sent += sent
	if err != nil {
		x.failed = err
	}
	if l, ok := src.(*io.LimitedReader); ok {
		l.N -= sent
	}
	return sent, handled, err
}

var copyPool = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// fileOf finds the regular file, and how much of it is asked for, behind a
// reader as io.Copy and io.CopyN hand it over.
func fileOf(src io.Reader) (f *os.File, limit int64, ok bool) {
	limit = 1<<63 - 1
	if l, isLimited := src.(*io.LimitedReader); isLimited {
		src, limit = l.R, l.N
	}
	f, ok = src.(*os.File)
	if !ok {
		return nil, 0, false
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, false
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0, false
	}
	if rest := info.Size() - at; rest < limit {
		limit = max(rest, 0)
	}
	return f, limit, true
}
