// SPDX-License-Identifier: MIT

package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// HTTPConnection is the protocol machine of one connection: octets go in,
// requests and octets to write come out. It does no I/O of its own; its engine
// moves the octets, and where a handler has to wait for its peer the machine
// asks the engine's transport.
//
// # States
//
//	            octets                    head complete
//	[idle] ───────────────► [reading head] ─────────────► [handler runs] ──┐
//	   ▲                         │ not HTTP, too large, …       │          │ Hijack
//	   │ answer done, kept alive ▼                              ▼          ▼
//	   └────────────────── [error answer] ──► [closing] ◄── [answer done] [gone]
//
// # Who may touch what
//
// The engine's goroutine owns the machine. While a handler runs it is that same
// goroutine; calls that other goroutines make on the request are let in by two
// locks: exchange.mu (the answer and the output buffer) and bodyMu (the body and
// the input buffer). Where both are taken bodyMu comes first. While the peer is
// being watched, the watcher owns the input buffer; it is only set to work when
// the whole body has been read, and it is stopped before the machine goes on.
type HTTPConnection struct {
	*serving
	*workspace // nil while the connection is idle

	t        transport
	tlsState *tls.ConnectionState

	at       atomic.Pointer[HTTPRequest] // the request, or the state, see marks
	bodyMu   sync.Mutex                  // guards workspace.body, and the workspace's going
	requests int                         // served so far

	watching bool // guarded by exchange.mu
	keep     bool // the peer agreed that the connection outlives this answer
	linger   bool // the peer may still be sending when we close

	// closing is set when something happened after which no request can follow.
	closing atomic.Bool
	// writing is set while the transport writes, which may take as long as the
	// peer likes; waiting for exchange.mu then would be waiting for the peer.
	writing atomic.Bool
}

// serving is what the connections of one listener have in common.
type serving struct {
	srv  *HTTPServer
	set  *settings
	base context.Context
	on   net.Addr // of the listener

	tcp   *tcpOptions  // nil: the defaults
	proxy *proxyPolicy // not nil: there is a PROXY header to come first
	named bool         // on is what a PROXY header named
}

// transport is the engine's half of a connection: how a machine whose handler
// is running reaches its socket. Calls may block the goroutine that makes them.
type transport interface {
	// read waits for octets, bounded by the handler's deadline or the pace that
	// settings demand; os.ErrDeadlineExceeded when time is up.
	read(p []byte) (int, error)
	// write writes all of a and then all of b, in one go where it can.
	write(a, b []byte) error
	// sendFile writes n octets of f; handled is false when it cannot do better
	// than copying.
	sendFile(f *os.File, n int64) (sent int64, handled bool, err error)
	// watch calls c.peerGone when the peer leaves, and keeps octets that arrive
	// meanwhile for c.received; unwatch ends that before it returns.
	watch(c *HTTPConnection)
	unwatch()
	// interrupt makes a blocked read return; resume undoes it.
	interrupt()
	resume()
	setReadDeadline(t time.Time)
	setWriteDeadline(t time.Time)
	// next says that a new request begins: deadlines and pace start over.
	next()
	// late reports whether so much time has passed that answers which have waited
	// since then should wait no longer.
	late(since time.Time) bool
	// hijack gives the socket up.
	hijack() (net.Conn, error)
	// closeNow closes the socket, from any goroutine.
	closeNow()
	remoteAddr() net.Addr
	remoteIP() netip.Addr
	localAddr() net.Addr
}

// action is what a machine wants of its engine when it has done what it could.
type action uint8

const (
	actRead     action = iota // more octets are needed
	actClose                  // close after the peer had a chance to read
	actAbort                  // close at once
	actHijacked               // forget the connection
	actHTTP2                  // give the connection, and what was received, to net/http
)

func (c *HTTPConnection) init(on *serving, t transport, state *tls.ConnectionState) {
	c.serving, c.t, c.tlsState = on, t, state
}

// RemoteAddr is the peer's address.
func (c *HTTPConnection) RemoteAddr() net.Addr { return c.t.remoteAddr() }

// LocalAddr is this end's address.
func (c *HTTPConnection) LocalAddr() net.Addr { return c.t.localAddr() }

// TLS describes the TLS session, nil for plain connections.
func (c *HTTPConnection) TLS() *tls.ConnectionState { return c.tlsState }

// ---- the machine

// run serves what has been received and says what is needed next. Answers to
// requests that came in one piece leave in one piece.
func (c *HTTPConnection) run() action {
	for {
		n, perr := c.parser.parse(c.buf[c.r:c.w], &c.set.head)
		if perr != nil {
			if c.beginsHTTP2() {
				return actHTTP2
			}
			c.reject(perr)
			if c.flushOut() != nil {
				return actAbort
			}
			return actClose
		}
		if n == 0 {
			if c.flushOut() != nil {
				return actAbort
			}
			return actRead
		}
		if act := c.serve(c.takeRequest(n)); act != actRead {
			if act == actClose && c.flushOut() != nil {
				return actAbort
			}
			return act
		}
		// Requests that came together may each take their time. Their answers do not
		// wait for the last of them; and who left after sending them is found out.
		if len(c.out) > keptBuffer || len(c.out) > 0 && c.buffered() && c.t.late(c.arrived) {
			if c.flushOut() != nil {
				return actAbort
			}
		}
	}
}

// takeRequest makes the request whose head is the first n octets of the input.
func (c *HTTPConnection) takeRequest(n int) *HTTPRequest {
	r := c.slab.next()
	r.c = c
	r.start = c.arrived
	r.head = c.parser.head
	r.text = string(c.buf[c.r+int(r.head.skipped) : c.r+n])
	c.parser.reset()
	c.r += n
	c.requests++
	c.linger = false
	if r.hasBody() {
		c.bodyMu.Lock() // a goroutine of the previous request may be asking for its body
		c.body.begin(r, c.set.maxRequest)
		if c.buffered() {
			c.body.expecting = false // the client did not wait to be asked
		}
		c.bodyMu.Unlock()
	} else if !c.body.complete.Load() {
		c.body.complete.Store(true)
	}
	c.keep = !c.set.disableKeepAlive && !c.srv.draining.Load() && r.head.persists()
	c.t.next()
	return r
}

// serve has the handler answer r and completes the answer.
func (c *HTTPConnection) serve(r *HTTPRequest) action {
	c.setActive(r)
	x := c.exchangeFor(r)
	if c.set.xheaders != nil {
		origin, err := c.set.xheaders.Resolve(c.t.remoteIP(), r.Header())
		if err != nil {
			return c.refuse(r, x, errNoForwarded)
		}
		r.SetOrigin(origin)
	}
	if r.head.form == absoluteForm && c.tlsState == nil && r.Scheme() == "http" && strings.EqualFold(r.head.scheme.of(r.text), "https") {
		return c.refuse(r, x, errMisdirected) // RFC 9110, section 7.4
	}
	aborted := c.dispatch(r, x)
	return c.finish(r, x, aborted)
}

// refuse answers a request that was understood but is not for a handler.
func (c *HTTPConnection) refuse(r *HTTPRequest, x *exchange, why *ProtocolError) action {
	c.keep = false
	_ = r.SendError(why)
	return c.finish(r, x, false)
}

// dispatch calls the handler and stands between it and the connection: a panic
// becomes a 500, http.ErrAbortHandler an abrupt end, and runtime.Goexit, which
// cannot be stopped, leaves the engine to close.
func (c *HTTPConnection) dispatch(r *HTTPRequest, x *exchange) (aborted bool) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil { // Goexit
			c.finish(r, x, true)
			return
		}
		aborted = true
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			return
		}
		logPanic(&c.set.log, r, v)
		c.closing.Store(true)
		if r.ResetResponse() == nil {
			aborted = r.SendError(errors.New("panic")) != nil
		}
	}()
	c.srv.Handler.ServeRequest(r)
	returned = true
	return false
}

func logPanic(log *zerolog.Logger, r *HTTPRequest, v any) {
	log.Error().Interface("panic", panicText(v)).Str("method", r.Method()).Str("path", clip(r.Path(), 2048)).
		Bytes("stack", stack()).Msg("server: handler panicked")
}

// finish completes the answer, fences the request off, and gets the connection
// ready for the next one.
func (c *HTTPConnection) finish(r *HTTPRequest, x *exchange, aborted bool) action {
	x.mu.Lock()
	hijacked, closeAfter := x.hijacked, false
	var err error
	switch {
	case hijacked || aborted:
		x.finished = true
	default:
		err = x.finish()
		closeAfter = x.closeAfter
	}
	if c.watching {
		c.watching = false
		c.t.unwatch()
	}
	// A request that has no body, and of which nothing unusual was asked, leaves
	// nothing behind to see to.
	if r.hasBody() || r.extra.Load() != nil {
		if r.hasFinishers() && !hijacked && !aborted && !c.buffered() {
			_ = c.flushOut() // finishers take their time; the peer need not wait for them
		}
		x.mu.Unlock()
		if !hijacked {
			c.endBody(r)
		}
		r.runFinishers()
		x.mu.Lock()
	}
	r.done.Store(true)
	if x.release() {
		c.spare = x
	}
	r.endContext(ErrRequestDone)
	r.cleanUpForm()

	if hijacked {
		return actHijacked
	}
	if aborted || err != nil || c.broken != nil {
		_ = c.flushOut() // answers to earlier requests
		return actAbort
	}
	if !c.discardBody(r) || closeAfter || !c.keep || c.closing.Load() {
		// A peer that was not going to end the connection may be sending already.
		c.linger = c.linger || c.buffered() || r.head.persists()
		return actClose
	}
	return actRead
}

// reject answers octets that are no HTTP request. They are never looked at again.
func (c *HTTPConnection) reject(perr *ProtocolError) {
	c.linger = true
	c.keep = false
	text := perr.page()
	c.out = appendStatusLine(c.out, perr.Status)
	c.out = c.set.clock.appendTo(c.out)
	c.out = append(c.out, "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"...)
	c.out = appendLength(c.out, int64(len(text)))
	c.out = append(c.out, "\r\n"...)
	c.out = append(c.out, text...)
	c.r, c.w = 0, 0
	c.set.log.Debug().Int("status", perr.Status).Str("reason", perr.Reason).Stringer("remote", c.RemoteAddr()).Msg("server: request refused")
}

var (
	errHeadTimeout = &ProtocolError{http.StatusRequestTimeout, "the request head did not arrive in time"}
	errHeadCut     = &ProtocolError{http.StatusBadRequest, "the request head was cut short"}
	errMisdirected = &ProtocolError{http.StatusMisdirectedRequest, "an https target on a connection without TLS"}
	errNoForwarded = &ProtocolError{http.StatusBadRequest, "forwarding fields required"}
)

// noMore is called by the engine when no more octets will come, because time is
// up or the peer is done sending. It reports whether an answer was sent.
func (c *HTTPConnection) noMore(timeout bool) bool {
	switch {
	case !c.midHead():
		return false
	case timeout:
		c.reject(errHeadTimeout)
	default:
		c.reject(errHeadCut)
	}
	return c.flushOut() == nil
}

// peerGone is called when the peer went away while a handler runs.
func (c *HTTPConnection) peerGone(r *HTTPRequest) { r.endContext(ErrClientGone) }

// wantWatch sets the watch on the peer going, now or as soon as the body has
// been read. The caller holds exchange.mu.
func (c *HTTPConnection) wantWatch(r *HTTPRequest) {
	if c.watching || r.x.finished || !c.body.complete.Load() {
		return
	}
	// What is pending could be what the peer waits for before it does anything.
	_ = c.flushOut()
	c.watching = true
	c.t.watch(c)
}

func (c *HTTPConnection) hijack(*exchange) (net.Conn, *bufio.ReadWriter, error) {
	if c.watching {
		c.watching = false
		c.t.unwatch()
	}
	if err := c.flushOut(); err != nil {
		return nil, nil, err
	}
	// Whoever is reading the body has to be through: from here on neither the input
	// nor the socket is ours. bodyMu comes first elsewhere, so there is no waiting.
	if !c.bodyMu.TryLock() {
		return nil, nil, fmt.Errorf("%w: its body is being read", ErrNotHijackable)
	}
	defer c.bodyMu.Unlock()
	conn, err := c.t.hijack()
	if err != nil {
		return nil, nil, err
	}
	c.body.err = ErrHijacked
	ahead := c.takeAhead()
	// Octets that were read ahead have to show up as buffered: that is where
	// protocol libraries look for them.
	br := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(ahead), conn), max(4096, len(ahead)))
	_, _ = br.Peek(len(ahead))
	c.setState(http.StateHijacked)
	return conn, bufio.NewReadWriter(br, bufio.NewWriter(conn)), nil
}
