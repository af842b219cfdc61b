// SPDX-License-Identifier: MIT

package server

import (
	"context"
	"net/http"
	"time"
)

// requestContext is a request seen as a context. Making one costs nothing; the
// machinery behind it (a cancel function, watching the peer) comes into being
// when somebody first asks for Done or Err.
type requestContext HTTPRequest

// contextState is guarded by requestExtra.mu.
type contextState struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Context ends when the client goes away ([ErrClientGone]), when the server is
// done waiting for this request at its own end ([ErrServerDraining]), which with
// [HTTPRequest.EndOnDrain] is when that end begins, or when the handler has
// returned ([ErrRequestDone]): context.Cause tells which. It carries the values of
// the server's BaseContext.
//
// A client that closes its sending half counts as gone: over TCP the two cannot
// be told apart. What the handler answers is still sent.
func (r *HTTPRequest) Context() context.Context {
	if h := r.viaHTTP(); h != nil {
		e := r.extras()
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.ctx.ctx != nil { // EndOnDrain was called
			return e.ctx.ctx
		}
		if h.stream != nil {
			e.ctx.ctx, e.ctx.cancel = h.stream.newContext(h.request.Context(), r)
			return e.ctx.ctx
		}
		return h.request.Context()
	}
	return (*requestContext)(r)
}

var endedContext = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(ErrRequestDone)
	return ctx
}()

// real builds the context behind the view.
func (v *requestContext) real() context.Context {
	r := (*HTTPRequest)(v)
	e := r.extras()
	e.mu.Lock()
	if e.ctx.ctx != nil {
		defer e.mu.Unlock()
		return e.ctx.ctx
	}
	e.mu.Unlock()

	// The exchange decides whether the request is still on; its lock comes first.
	err := r.x.lock(r)
	if err == nil {
		defer r.x.mu.Unlock()
	}
	e.mu.Lock()
	made := e.ctx.ctx == nil
	switch {
	case !made:
	case err == ErrRequestDone || r.done.Load(): // of a hijacked request the lock was not kept
		e.ctx.ctx = endedContext
	default:
		e.ctx.ctx, e.ctx.cancel = context.WithCancelCause(r.c.base)
	}
	ctx := e.ctx.ctx
	e.mu.Unlock()
	if made && err == nil {
		r.c.wantWatch(r)
	}
	return ctx
}

// Deadline is that of the server's BaseContext: requests have none of their own.
func (v *requestContext) Deadline() (time.Time, bool) { return v.c.base.Deadline() }

// Done is closed when the context ends.
func (v *requestContext) Done() <-chan struct{} { return v.real().Done() }

// Err is nil until the context ends.
func (v *requestContext) Err() error { return v.real().Err() }

// Value looks up values of the BaseContext, http.LocalAddrContextKey and
// http.ServerContextKey, which is there but no server that does anything.
func (v *requestContext) Value(key any) any {
	switch key {
	case http.LocalAddrContextKey:
		return (*HTTPRequest)(v).LocalAddr()
	case http.ServerContextKey:
		// httputil.ReverseProxy takes its presence as leave to abort the handler
		// when an upstream body breaks off; otherwise it would end the answer as
		// if it were whole.
		return v.c.set.std
	}
	// The context package finds the cancelling context behind a view by asking
	// for a private key, a pointer to an int. Everything else is the base's, and
	// looking it up need not set the machinery going.
	if _, ok := key.(*int); ok {
		return v.real().Value(key)
	}
	return v.c.base.Value(key)
}

// endContext ends the context of a request, if anybody asked for it.
func (r *HTTPRequest) endContext(cause error) {
	e := r.extra.Load()
	if e == nil {
		return
	}
	e.mu.Lock()
	cancel := e.ctx.cancel
	e.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
}
