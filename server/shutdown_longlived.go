// SPDX-License-Identifier: MIT

package server

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"
)

// EndOnDrain makes r a long-lived request: an event stream, a WebSocket, whatever
// goes on until somebody ends it. Call it before Hijack, and before the handler
// settles down to wait.
//
// From then on the context of r ends with the cause [ErrServerDraining] as soon as
// the server begins to drain, at once if it does already; the context of any other
// request stays whole until the patience of Shutdown is over. And Shutdown waits
// for the handler of r to return even when it has taken the connection over, which
// is closed under it when the patience and ShutdownGrace are over. Other hijacked
// connections are neither waited for nor closed.
//
// Calling it again does nothing, nor does calling it when r is done. Behind
// net/http (see [FromHTTP]) it does nothing either, since nobody tells a request
// there that its server drains: use http.Server.RegisterOnShutdown. Over HTTP/2 it
// works where an HTTPServer has the connection.
func (r *HTTPRequest) EndOnDrain() {
	srv := r.drainedBy()
	if srv == nil {
		return
	}
	r.makeCancellable()
	r.x.mu.Lock()
	if r.done.Load() || r.x.finished { // a request that is not done still has its exchange
		r.x.mu.Unlock()
		return
	}
	entered, draining := srv.longLived.enter(r)
	if entered {
		e := r.extras()
		e.mu.Lock()
		// First in, last out: Shutdown waits for the other finishers, too.
		e.finish = slices.Insert(e.finish, 0, func() { srv.longLived.leave(r) })
		e.mu.Unlock()
	}
	r.x.mu.Unlock()
	if draining {
		r.endContext(ErrServerDraining)
	}
}

// serverKey is the key under which the context of a connection that an HTTPServer
// has handed to net/http's implementation of a protocol holds that server.
type serverKey struct{}

// drainedBy is the server whose draining concerns r, nil where there is none.
func (r *HTTPRequest) drainedBy() *HTTPServer {
	if r.done.Load() {
		return nil
	}
	if r.c != nil {
		return r.c.srv
	}
	if h := r.viaHTTP(); h != nil {
		srv, _ := h.request.Context().Value(serverKey{}).(*HTTPServer)
		return srv
	}
	return nil
}

// makeCancellable gives r a context that endContext ends.
func (r *HTTPRequest) makeCancellable() {
	h := r.viaHTTP()
	if h == nil {
		(*requestContext)(r).real()
		return
	}
	if h.stream != nil {
		r.Context()
		return
	}
	e := r.extras()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.ctx == nil {
		e.ctx.ctx, e.ctx.cancel = context.WithCancelCause(h.request.Context())
	}
}

// longLived is the register of the requests that called EndOnDrain.
type longLived struct {
	mu       sync.Mutex
	requests map[*HTTPRequest]net.Conn // with the connections they took over, which still count; guarded by mu
	draining bool                      // guarded by mu
	cutting  bool                      // connections are closed as they are taken over; guarded by mu
	empty    chan struct{}             // closed when none is left; guarded by mu
}

// enter takes note of a request, unless it has been, and reports whether the
// server drains already. The caller holds the lock of the request's exchange.
func (l *longLived) enter(r *HTTPRequest) (entered, draining bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.requests[r]; known {
		return false, l.draining
	}
	if l.requests == nil {
		l.requests = map[*HTTPRequest]net.Conn{}
	}
	l.requests[r] = nil
	return true, l.draining
}

// has reports whether r is in the register.
func (l *longLived) has(r *HTTPRequest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.requests[r]
	return known
}

// hijacked takes note of the connection that a request took over.
func (l *longLived) hijacked(r *HTTPRequest, conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.requests[r]; !known {
		return
	}
	l.requests[r] = conn
	if l.cutting {
		closeUnder(conn)
	}
}

func (l *longLived) leave(r *HTTPRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.requests[r] != nil {
		r.c.srv.tracker.release()
	}
	delete(l.requests, r)
	if len(l.requests) == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// drain ends the contexts of the requests, and of those that come.
func (l *longLived) drain() {
	l.mu.Lock()
	l.draining = true
	requests := make([]*HTTPRequest, 0, len(l.requests))
	for r := range l.requests {
		requests = append(requests, r)
	}
	l.mu.Unlock()
	for _, r := range requests {
		r.endContext(ErrServerDraining)
	}
}

// drained is closed when no request is left.
func (l *longLived) drained() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.requests) == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	return l.empty
}

// cut closes the connections that were taken over.
func (l *longLived) cut(cut *cutting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutting = true
	for r, conn := range l.requests {
		if conn != nil {
			cut.connections++
			cut.requests = append(cut.requests, r)
			closeUnder(conn)
		}
	}
}

// closeUnder closes a connection that somebody else uses. Closing TLS in good
// order could mean waiting for the peer.
func closeUnder(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close()
}
