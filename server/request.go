// SPDX-License-Identifier: MIT

package server

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Handler answers requests. ServeRequest is called once for each request whose
// head was read and understood; returning from it completes the answer. It may
// block, start goroutines and keep the request, but once it has returned
// nothing can be added to the answer any more.
//
// Implementations must be safe for concurrent use: requests of different
// connections are served at the same time, those of one connection in turn.
type Handler interface {
	ServeRequest(r *HTTPRequest)
}

// HandlerFunc lets an ordinary function be a [Handler].
type HandlerFunc func(r *HTTPRequest)

// ServeRequest calls f.
func (f HandlerFunc) ServeRequest(r *HTTPRequest) { f(r) }

// HTTPRequest is one request and the means to answer it.
//
// What it tells about the request (method, target, header, cookies, …) never
// changes and stays valid for as long as somebody holds on to it, also after
// the handler returned. All methods are safe for concurrent use unless they say
// otherwise. Answering calls and body reads made after the handler returned
// fail with [ErrRequestDone].
//
// The answer is buffered until 16 KiB of body have been written, Flush is
// called, or the handler returns; until then status and header can be changed
// and [HTTPRequest.ResetResponse] can start it anew.
type HTTPRequest struct {
	x     *exchange
	c     *HTTPConnection // nil where net/http is the peer
	text  string          // request line and field lines, immutable
	head  head            // where things are in text
	start time.Time
	extra atomic.Pointer[requestExtra]
	done  atomic.Bool // set before the exchange goes to another request
}

// requestExtra holds what most requests never ask for.
type requestExtra struct {
	mu      sync.Mutex
	ctx     contextState
	origin  Origin // the zero value says what an unset one would
	keys    *CookieKeys
	query   url.Values
	form    *formState // nil until it was read
	ended   bool       // the request is done, its form is not to be kept
	trailer Header
	finish  []func()
	std     stdState
	http    *httpPeer // set for requests that came through net/http

	switched atomic.Bool // the connection was taken over with a 101
}

// extras returns the rarely used part of r, made on first use.
func (r *HTTPRequest) extras() *requestExtra {
	if e := r.extra.Load(); e != nil {
		return e
	}
	e := &requestExtra{}
	if r.extra.CompareAndSwap(nil, e) {
		return e
	}
	return r.extra.Load()
}

// requestSlab hands out requests carved from one allocation: their number per
// request matters more to the collector than their size.
type requestSlab struct {
	rest []HTTPRequest
}

// next is a zero request that is never handed out again.
func (s *requestSlab) next() *HTTPRequest {
	const size = 12
	if len(s.rest) == 0 {
		s.rest = make([]HTTPRequest, size)
	}
	r := &s.rest[0]
	s.rest = s.rest[1:]
	return r
}

var requestSlabs = sync.Pool{New: func() any { return new(requestSlab) }}

// allocRequest is for those who have no workspace.
func allocRequest() *HTTPRequest {
	s := requestSlabs.Get().(*requestSlab)
	r := s.next()
	requestSlabs.Put(s)
	return r
}

// Method is the request method, a token, case-sensitive as received.
func (r *HTTPRequest) Method() string { return r.head.method.of(r.text) }

// Target is the request-target exactly as received (RFC 9112, section 3.2):
// usually path and query, but a whole URL in absolute-form, "*" or an authority.
func (r *HTTPRequest) Target() string { return r.head.target.of(r.text) }

// Path is the path of the target, percent-escapes and all, as received. It is
// "*" for "OPTIONS *" and empty for CONNECT.
func (r *HTTPRequest) Path() string { return r.head.pathOf(r.text) }

// RawQuery is the query of the target without its "?", as received.
func (r *HTTPRequest) RawQuery() string { return r.head.query.of(r.text) }

// Fragment is always empty for requests read by this server: a "#" has no place
// in a request-target (RFC 9112, section 3.2) and is refused. Requests that were
// made from a net/http request show what its URL has.
func (r *HTTPRequest) Fragment() string {
	if e := r.extra.Load(); e != nil && e.http != nil && e.http.request.URL != nil {
		return e.http.request.URL.Fragment
	}
	return ""
}

// Protocol is the protocol as in the request line: "HTTP/1.1", "HTTP/1.0", or
// "HTTP/2.0" for requests that came through net/http.
func (r *HTTPRequest) Protocol() string {
	if h := r.viaHTTP(); h != nil {
		return h.request.Proto
	}
	if r.head.minor == 0 {
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// ProtocolVersion is the protocol version as two numbers.
func (r *HTTPRequest) ProtocolVersion() (major, minor int) {
	if h := r.viaHTTP(); h != nil {
		return h.request.ProtoMajor, h.request.ProtoMinor
	}
	return 1, int(r.head.minor)
}

func (r *HTTPRequest) viaHTTP() *httpPeer {
	if e := r.extra.Load(); e != nil {
		return e.http
	}
	return nil
}

// connection is the connection of an HTTPServer that r came over, by HTTP/1 or
// HTTP/2; nil where net/http has it.
func (r *HTTPRequest) connection() *HTTPConnection {
	if r.c != nil {
		return r.c
	}
	if h := r.viaHTTP(); h != nil && h.stream != nil {
		return h.stream.conn.machine
	}
	return nil
}

// Header is the request's header section.
func (r *HTTPRequest) Header() Header { return newHeader(r.head.fields.of(r.text)) }

// Host is the host the request is for, with its port if it has one: from the
// target in absolute-form, otherwise from the Host field, unless a trusted proxy
// said better. It has been checked for syntax, not for being a host of yours.
func (r *HTTPRequest) Host() string {
	if o := r.Origin(); o.Host != "" {
		return o.Host
	}
	return r.head.host.of(r.text)
}

// Hostname is the host in lower case, without port and without the brackets of
// an IPv6 address.
func (r *HTTPRequest) Hostname() string {
	host := r.Host()
	if strings.HasPrefix(host, "[") {
		if end := strings.IndexByte(host, ']'); end > 0 {
			return strings.ToLower(host[1:end])
		}
	}
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 {
		host = host[:colon]
	}
	return strings.ToLower(host)
}

// Scheme is "https" or "http": what the connection is, unless a trusted proxy
// said better.
func (r *HTTPRequest) Scheme() string {
	if o := r.Origin(); o.Scheme != "" {
		return o.Scheme
	}
	if r.TLS() != nil {
		return "https"
	}
	return "http"
}

// IsSecure reports whether Scheme is "https".
func (r *HTTPRequest) IsSecure() bool { return r.Scheme() == "https" }

// FullURL is the URL the client asked for, put together from scheme, host and
// target. The host comes from the client: do not build links for others from it
// unless it was checked.
func (r *HTTPRequest) FullURL() string {
	path := r.Path()
	switch r.head.form {
	case authorityForm:
		return r.Target()
	case asteriskForm:
		path = ""
	}
	u := r.Scheme() + "://" + r.Host() + path
	if q := r.RawQuery(); q != "" {
		u += "?" + q
	}
	return u
}

// Origin is what a forwarding policy found out about the client: the zero Origin
// when none was asked.
func (r *HTTPRequest) Origin() Origin {
	e := r.extra.Load()
	if e == nil {
		return Origin{}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.origin
}

// SetOrigin replaces what the connection says about the client by what a
// forwarding policy found out. An invalid IP and empty strings leave the
// connection's word in force. It is meant for middleware; the peer address stays
// available as PeerIP.
func (r *HTTPRequest) SetOrigin(o Origin) {
	e := r.extras()
	e.mu.Lock()
	e.origin = o
	e.mu.Unlock()
}

// RemoteIP is the address of the client: the peer's, unless a trusted proxy
// named another. It is invalid for Unix sockets.
func (r *HTTPRequest) RemoteIP() netip.Addr {
	if o := r.Origin(); o.IP.IsValid() {
		return o.IP
	}
	return r.PeerIP()
}

// PeerIP is the address of the other end of the connection, whatever header
// fields say: the one that a PROXY header named where the listener has
// ProxyProtocol, otherwise that of the socket. It is invalid for Unix sockets.
func (r *HTTPRequest) PeerIP() netip.Addr {
	if r.c != nil {
		return r.c.t.remoteIP()
	}
	if h := r.viaHTTP(); h != nil {
		return h.peerIP
	}
	return netip.Addr{}
}

// RemoteAddr is the peer's address as "IP:port", or the name of a Unix socket,
// which is often empty.
func (r *HTTPRequest) RemoteAddr() string {
	if c := r.connection(); c != nil {
		if addr := c.RemoteAddr(); addr != nil {
			return addr.String()
		}
		return ""
	}
	if h := r.viaHTTP(); h != nil {
		return h.request.RemoteAddr
	}
	return ""
}

// LocalAddr is the server's end of the connection, or where a PROXY header says the
// client had connected to; nil when unknown.
func (r *HTTPRequest) LocalAddr() net.Addr {
	if r.c != nil {
		return r.c.LocalAddr()
	}
	if h := r.viaHTTP(); h != nil {
		return h.localAddr()
	}
	return nil
}

// TLS describes the TLS connection the request came over, nil for plain ones.
// It must not be changed.
func (r *HTTPRequest) TLS() *tls.ConnectionState {
	if c := r.connection(); c != nil {
		return c.tlsState
	}
	if h := r.viaHTTP(); h != nil {
		return h.request.TLS
	}
	return nil
}

// Connection is the connection the request came over, nil for requests that
// came through net/http, as those of HTTP/2 do.
func (r *HTTPRequest) Connection() *HTTPConnection { return r.c }

// Time is when the head of the request had arrived.
func (r *HTTPRequest) Time() time.Time { return r.start }

// Elapsed is how long ago that was.
func (r *HTTPRequest) Elapsed() time.Duration { return time.Since(r.start) }

// Logger is the error log of the server; it is never nil.
func (r *HTTPRequest) Logger() *zerolog.Logger {
	if c := r.connection(); c != nil {
		return &c.set.log
	}
	return &silent
}

var silent = zerolog.Nop()

// Query is the parsed query of the target, parsed once and shared by all
// callers: change a copy. Pairs that cannot be decoded are left out.
func (r *HTTPRequest) Query() url.Values {
	if r.RawQuery() == "" {
		return url.Values{}
	}
	e := r.extras()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.query == nil {
		e.query, _ = url.ParseQuery(r.RawQuery())
	}
	return e.query
}

// QueryValue is the first value of a query parameter, "" when absent.
func (r *HTTPRequest) QueryValue(name string) string {
	if r.RawQuery() == "" {
		return ""
	}
	return r.Query().Get(name)
}

// OnFinish has f called when the answer has been completed, on the goroutine
// that served the request: last registered first. The answer can still be asked
// about (Status, BytesWritten), but not changed. A panic in f is logged. After
// the request is done f is not called.
func (r *HTTPRequest) OnFinish(f func()) {
	e := r.extras()
	e.mu.Lock()
	e.finish = append(e.finish, f)
	e.mu.Unlock()
}

// hasFinishers reports whether OnFinish was called.
func (r *HTTPRequest) hasFinishers() bool {
	e := r.extra.Load()
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.finish) > 0
}

// runFinishers runs what OnFinish collected.
func (r *HTTPRequest) runFinishers() {
	e := r.extra.Load()
	if e == nil {
		return
	}
	for {
		e.mu.Lock()
		n := len(e.finish)
		if n == 0 {
			e.mu.Unlock()
			return
		}
		f := e.finish[n-1]
		e.finish = e.finish[:n-1]
		e.mu.Unlock()
		r.guard(f)
	}
}

func (r *HTTPRequest) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			logPanic(r.Logger(), r, v)
		}
	}()
	f()
}

// Hijack hands the connection over to the caller: from now on the server
// neither reads, writes, times nor closes it, and octets that were read ahead
// are in the reader. It fails with [ErrCommitted] after part of an answer was
// sent, and with [ErrNotHijackable] where there is no connection to have.
// Deadlines set on the connection have been cleared. The connection of a
// long-lived request is closed after all when the server has waited long enough
// at its end, see [HTTPRequest.EndOnDrain].
func (r *HTTPRequest) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := r.x.lock(r); err != nil {
		return nil, nil, err
	}
	defer r.x.mu.Unlock()
	if r.x.committed {
		return nil, nil, ErrCommitted
	}
	// The connection of a long-lived request keeps its place among MaxConns.
	stays := r.c != nil && r.c.srv.longLived.has(r)
	if stays {
		r.c.srv.tracker.keep()
	}
	conn, rw, err := r.x.peer.hijack(r.x)
	if err != nil {
		if stays {
			r.c.srv.tracker.release()
		}
		return nil, nil, err
	}
	r.x.hijacked = true
	if r.c != nil {
		r.c.srv.longLived.hijacked(r, conn)
	}
	return conn, rw, nil
}

// Hijacked reports whether Hijack took the connection over.
func (r *HTTPRequest) Hijacked() bool {
	r.x.mu.Lock()
	defer r.x.mu.Unlock()
	return r.x.req.Load() == r && r.x.hijacked
}
