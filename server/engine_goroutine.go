// SPDX-License-Identifier: MIT

package server

import (
	"container/list"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// goroutineEngine gives every connection a goroutine of its own. It runs on any
// net.Conn: every platform, TLS, listeners of the caller's, tests in memory.
type goroutineEngine struct {
	srv *HTTPServer
	tls *tls.Config // nil for plain HTTP
}

func (e *goroutineEngine) serve(on *serving, l *openListener) error {
	return acceptEach(e.srv, listenerSource{l}, func(conn net.Conn) { e.add(on, conn) })
}

// add gives a connection its goroutine.
func (e *goroutineEngine) add(on *serving, conn net.Conn) {
	g := &goroutineConn{engine: e, conn: conn, raw: conn}
	remote := conn.RemoteAddr()
	if on.proxy != nil {
		if err := on.proxy.mayRelay(conn); err != nil {
			on.refuse(remote, err)
			e.srv.tracker.release()
			_ = conn.Close()
			return
		}
		remote = nil // remains to be said
		g.raw = &relay{Conn: conn}
	}
	if e.tls != nil {
		g.gentle = &gentleConn{Conn: g.raw}
		g.conn = tls.Server(g.gentle, e.tls)
	} else if t, ok := conn.(*tls.Conn); ok { // of a listener that does TLS itself
		g.raw = t.NetConn()
	}
	if !e.srv.tracker.add(g, remote) {
		e.srv.tracker.release()
		_ = conn.Close()
		return
	}
	if _, ok := g.conn.(*tls.Conn); ok {
		g.shaking = e.srv.set.handshakes.begin(g.raw) // here, for the order in which they came
	}
	go g.serve(on)
}

// goroutineConn is a connection and its goroutine; it is the transport of its
// machine.
type goroutineConn struct {
	engine *goroutineEngine
	conn   net.Conn // TLS, where there is TLS
	raw    net.Conn
	gentle *gentleConn // what ends HTTP/2: below TLS that is ours, or without TLS
	c      *HTTPConnection

	shaking *list.Element // of the server's handshakes; nil without TLS, and when it is over

	// The pace of the current request and the handler's write deadline, guarded
	// by the lock that the caller of read or write holds.
	readPace  pace
	writePace pace
	writeBy   time.Time

	// readMu makes one step of choosing a read deadline and setting it.
	readMu sync.Mutex
	readBy time.Time // the handler's; guarded by readMu

	interrupted atomic.Bool
	watchDone   chan struct{}

	http2 atomic.Pointer[http2Conn] // what net/http has of the connection, nil for HTTP/1
}

func (g *goroutineConn) serve(on *serving) {
	srv := g.engine.srv
	defer func() {
		if g.http2.Load() == nil {
			srv.tracker.forget(g)
		}
	}()
	if on.proxy != nil && !g.proxyHeader(on) {
		g.endHandshake()
		_ = g.raw.Close()
		return
	}
	var state *tls.ConnectionState
	if t, ok := g.handshake(on.base); !ok {
		_ = g.raw.Close()
		return
	} else if t != nil {
		state = t
	}
	c := &HTTPConnection{}
	c.init(on, g, state)
	g.c = c
	srv.tracker.ready(g, c)
	ended := false
	defer func() {
		if c.State() == http.StateHijacked || g.http2.Load() != nil {
			return
		}
		if !ended { // a handler called runtime.Goexit
			g.abort()
		}
		c.setState(http.StateClosed)
	}()
	c.setState(http.StateNew)
	if state != nil && state.NegotiatedProtocol == protocolHTTP2 {
		g.serveHTTP2(c, g.conn)
	} else {
		g.loop(c)
	}
	c.drop()
	ended = true
}

// serveHTTP2 gives the connection to net/http.
func (g *goroutineConn) serveHTTP2(c *HTTPConnection, conn net.Conn) {
	h := c.set.http2.take(g, c)
	_ = conn.SetDeadline(time.Time{})
	c.set.http2.serve(h, conn)
}

// proxyHeader receives the PROXY header; false when the connection is refused.
func (g *goroutineConn) proxyHeader(on *serving) bool {
	r, srv := g.raw.(*relay), g.engine.srv
	by := time.Now().Add(on.proxy.timeout)
	err := r.receive(func() time.Time {
		if srv.draining.Load() {
			by = earlier(by, time.Now().Add(drainGrace))
		}
		return by
	})
	var refused proxyError
	switch {
	case err == nil:
		return srv.tracker.identifyConn(g, ipOf(r.RemoteAddr()))
	case errors.As(err, &refused) && !(refused == errProxyTimeout && srv.draining.Load()):
		on.refuse(r.Conn.RemoteAddr(), refused)
	}
	return false
}

// loop reads, runs the machine, and ends the connection as it asks.
func (g *goroutineConn) loop(c *HTTPConnection) {
	set := g.engine.srv.set
	var headBy time.Time
	if set.headerTimeout > 0 {
		headBy = time.Now().Add(set.headerTimeout)
	}
	for {
		n, err := g.readHead(c, headBy)
		c.received(n)
		act := actRead
		served := c.requests
		if n > 0 {
			act = c.run()
		}
		switch {
		case act == actHijacked:
			return
		case act == actHTTP2:
			g.serveHTTP2(c, g.replay(g.named(), c.takeAhead()))
			return
		case act == actClose:
			g.closeGently(c)
			return
		case act == actAbort:
			g.abort()
			return
		case err != nil:
			if c.noMore(errors.Is(err, os.ErrDeadlineExceeded)) {
				g.closeGently(c)
			} else {
				_ = g.conn.Close()
			}
			return
		}
		headBy = g.nextHead(c, headBy, served)
	}
}

// drainGrace is how long a connection without a request is kept when the server
// drains: a request may already be on its way.
const drainGrace = 250 * time.Millisecond

// readHead reads when no handler runs.
func (g *goroutineConn) readHead(c *HTTPConnection, headBy time.Time) (int, error) {
	for {
		by := headBy
		draining := g.engine.srv.draining.Load()
		if draining && !c.midHead() {
			by = earlier(by, time.Now().Add(drainGrace))
		}
		_ = g.conn.SetReadDeadline(by)
		if !draining && g.engine.srv.draining.Load() {
			continue // the nudge may have come before our deadline
		}
		n, err := g.receive(c.room())
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && !passed(by) {
			continue // a nudge
		}
		return n, err
	}
}

// receive reads from the connection: first what came with a PROXY header, unless it
// is TLS's. Whoever reads octets of HTTP reads here.
func (g *goroutineConn) receive(p []byte) (int, error) {
	if r, ok := g.raw.(*relay); ok && len(r.ahead) > 0 && g.conn == r.Conn {
		return r.Read(p)
	}
	return g.conn.Read(p)
}

// nudge makes a connection that waits for a request notice that the server
// drains. net/http tells those it has by itself.
func (g *goroutineConn) nudge() {
	if g.http2.Load() == nil {
		_ = g.conn.SetReadDeadline(time.Now().Add(drainGrace))
	}
}

// passed reports whether a deadline is over.
func passed(by time.Time) bool { return !by.IsZero() && !time.Now().Before(by) }

// nextHead says by when the next octets must come: the whole head within its
// time from its first octet, that octet within the idle time.
func (g *goroutineConn) nextHead(c *HTTPConnection, headBy time.Time, served int) time.Time {
	set := g.engine.srv.set
	fresh := c.requests != served || c.State() == http.StateIdle
	switch {
	case !c.midHead():
		if c.requests == 0 {
			return headBy
		}
		c.rest()
		c.setState(http.StateIdle)
		if set.idleTimeout > 0 {
			return time.Now().Add(set.idleTimeout)
		}
		return time.Time{}
	case fresh:
		c.setState(http.StateActive)
		if set.headerTimeout > 0 {
			return time.Now().Add(set.headerTimeout)
		}
		return time.Time{}
	}
	return headBy
}

const (
	lingerTime  = 2 * time.Second
	lingerBytes = 16 << 20
)

// closeGently closes so that the peer can read the answer: closing a socket
// with unread input makes the kernel reset the connection, and the reset may
// overtake the answer (RFC 9112, section 9.6).
func (g *goroutineConn) closeGently(c *HTTPConnection) {
	defer func() { _ = g.conn.Close() }()
	c.setThrough()
	if !c.linger {
		return
	}
	if t, ok := g.conn.(*tls.Conn); ok {
		_ = g.raw.SetWriteDeadline(time.Now().Add(lingerTime))
		_ = t.CloseWrite() // close_notify
	}
	drain(g.raw, lingerTime)
}

// drain ends the sending half and discards what the peer goes on sending, within
// bounds.
func drain(conn net.Conn, most time.Duration) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(most))
	buf := copyPool.Get().(*[]byte)
	defer copyPool.Put(buf)
	for total := 0; total < lingerBytes; {
		n, err := conn.Read(*buf)
		if err != nil {
			return
		}
		total += n
	}
}

// abort ends the connection so that the peer can tell that the answer is not
// whole.
func (g *goroutineConn) abort() {
	raw := g.raw
	if r, ok := raw.(*relay); ok {
		raw = r.Conn
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = raw.Close()
}
