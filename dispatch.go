// SPDX-License-Identifier: MIT

package pleat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"slices"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/server"
)

// serve takes a request through router and chain and makes an answer of what
// comes back.
func (a *App) serve(r *server.HTTPRequest) {
	c := allocContext()
	c.app, c.req = a, r
	table, chain := a.table, a.miss
	if a.byHost != nil {
		if host := a.byHost.find(r.Hostname()); host != nil {
			table, chain = host.table, host.miss
		}
	}
	if route := table.static(r.Method(), r.Path()); route != nil {
		c.route, c.path = route, r.Path()
		chain = route.chain
	} else if found := table.resolve(r.Method(), r.Path(), r.RawQuery()); found.kind == routeFound {
		c.route, c.path, c.params = found.route, found.path, found.params
		chain = found.route.chain
	} else {
		miss := found // found itself stays on the stack
		c.path, c.unmatched = found.path, &miss
	}
	a.run(c, chain)
	if c.abort.Load() {
		panic(http.ErrAbortHandler)
	}
}

var errGoexit = errors.New("pleat: the handler ended its goroutine")

// run calls the chain and does what has to be done when it is through, also when
// it ends by runtime.Goexit, which cannot be stopped.
func (a *App) run(c *Context, chain Handler) {
	through := false
	defer func() {
		if !through {
			c.setFailure(errGoexit)
			c.abort.Store(!c.req.Hijacked())
			a.logFailure(c, errGoexit, http.StatusInternalServerError)
			c.runFinishers()
		}
	}()
	if err := c.guard(chain); err != nil {
		a.failSafely(c, err)
	}
	through = true
	c.runFinishers()
}

// PanicError is a panic of a handler, caught and turned into an error.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // where: the stack of the goroutine, from the function that panicked
}

// Error is the value of the panic, for the log.
func (e *PanicError) Error() string { return "pleat: handler panicked: " + panicText(e.Value) }

// Unwrap gives the value of the panic if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// StatusCode is 500.
func (e *PanicError) StatusCode() int { return http.StatusInternalServerError }

// Call calls h and turns a panic into a [*PanicError]. A panic with
// http.ErrAbortHandler goes on: it means that the connection is to be cut.
func Call(h Handler, c *Context) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if isAbort(v) {
			panic(v)
		}
		err = &PanicError{Value: v, Stack: panicStack(debug.Stack())}
	}()
	return h(c)
}

// panicStack cuts from the stack of a deferred function what stands above the
// function that panicked: who took the stack, who recovered, and the runtime. It
// leaves a stack alone that does not look as expected.
func panicStack(stack []byte) []byte {
	head, _, _ := bytes.Cut(stack, []byte("\n")) // "goroutine 7 [running]:"
	_, rest, found := bytes.Cut(stack, []byte("\npanic("))
	if !found {
		return stack
	}
	for range 2 { // what is left of this line, and the one that says where
		_, rest, found = bytes.Cut(rest, []byte("\n"))
	}
	for bytes.HasPrefix(rest, []byte("runtime.")) { // a nil pointer, an index out of range
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
		_, rest, found = bytes.Cut(rest, []byte("\n"))
	}
	if !found {
		return stack
	}
	return slices.Concat(head, []byte("\n"), rest)
}

func isAbort(v any) (abort bool) {
	err, ok := v.(error)
	if !ok {
		return false
	}
	defer func() { _ = recover() }() // of an error that cannot be looked at
	return errors.Is(err, http.ErrAbortHandler)
}

// guard is Call for functions behind which there is nothing but the server. A
// panic with http.ErrAbortHandler, or that error returned, is remembered, to be
// raised again when all else has been done.
func (c *Context) guard(h Handler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = http.ErrAbortHandler // Call lets nothing else through
		}
		if err == http.ErrAbortHandler { // not errors.Is: err may not stand it
			c.abort.Store(true)
		}
	}()
	return Call(h, c)
}

// answerMiss is the handler for whatever has no route; the app's middleware is
// folded around it like around any other.
func answerMiss(c *Context) error {
	u := c.unmatched
	switch u.kind {
	case redirected:
		if err := c.req.SetHeader("Location", c.mountPrefix()+u.location); err != nil {
			return err
		}
		return c.Status(u.status)
	case optionsAnswered:
		if err := c.req.SetHeader("Allow", u.allow); err != nil {
			return err
		}
		return c.Status(u.status)
	case methodNotAllowed:
		return NewError(u.status, "").WithHeader("Allow", u.allow)
	}
	return NewError(u.status, "")
}

// failSafely is fail for errors that may not even stand being looked at: nil
// pointers of some error type, say.
func (a *App) failSafely(c *Context, err error) {
	failure := c.guard(func(c *Context) error {
		a.fail(c, err)
		return nil
	})
	if failure == nil || c.abort.Load() {
		return
	}
	c.setFailure(failure)
	c.logPanic(failure, "pleat: the error of a handler cannot be answered")
	if c.req.SendError(NewError(http.StatusInternalServerError, "")) != nil {
		c.abort.Store(!c.req.Hijacked())
	}
}

// fail makes the one error answer of a request, and logs what went wrong.
func (a *App) fail(c *Context, err error) {
	if c.abort.Load() || errors.Is(err, http.ErrAbortHandler) {
		c.abort.Store(true)
		c.setFailure(err)
		return
	}
	err = c.withCause(err)
	c.setFailure(err)
	status := StatusOf(err)
	a.logFailure(c, err, status)
	if c.req.Hijacked() {
		return // whoever has the connection has to answer, or to close it
	}
	if c.req.Committed() {
		// Part of an answer is out: only the end of the connection can tell the
		// client that it is not whole.
		c.abort.Store(true)
		return
	}
	failure := c.guard(func(c *Context) error { return a.answer(c, err, status) })
	if failure == nil || c.abort.Load() {
		return
	}
	c.logPanic(failure, "pleat: the error handler failed")
	if c.req.SendError(NewError(status, "")) != nil {
		c.abort.Store(!c.req.Hijacked())
	}
}

// answer has the error handler answer err.
func (a *App) answer(c *Context, err error, status int) error {
	if err := c.req.ResetResponse(); err != nil {
		return err
	}
	if err := c.addErrorHeader(err); err != nil {
		return err
	}
	handler := a.config.ErrorHandler
	if handler == nil {
		return c.AnswerError(err)
	}
	if err := handler(c, err); err != nil {
		return err
	}
	if c.req.Status() == 0 && !c.req.Committed() {
		return c.req.SetStatus(status) // a failure does not become a success by default
	}
	return nil
}

// withCause adds to an error why it came about where the error does not say so
// itself: what failed because the client has gone, or because the server ends, is
// no failure of the app.
func (c *Context) withCause(err error) error {
	if errors.Is(err, server.ErrClientGone) || errors.Is(err, server.ErrServerDraining) {
		return err
	}
	if c.unwritable(err) {
		return &causedError{err, server.ErrClientGone}
	}
	if !errors.Is(err, context.Canceled) {
		return err
	}
	ctx := c.req.Context()
	if ctx.Err() == nil {
		return err // somebody else's context
	}
	cause := context.Cause(ctx)
	if cause == context.Canceled {
		cause = server.ErrClientGone // net/http gives no cause
	}
	return &causedError{err, cause}
}

// unwritable reports whether err is that of a write to the client.
func (c *Context) unwritable(err error) bool {
	_, failed := c.req.Write(nil)
	return failed != nil && errors.Is(err, failed) && !c.req.Hijacked() &&
		!errors.Is(failed, io.ErrUnexpectedEOF) // a file that shrank while it was sent
}

// causedError is an error with what brought it about.
type causedError struct{ err, cause error }

func (e *causedError) Error() string   { return e.err.Error() + ": " + e.cause.Error() }
func (e *causedError) Unwrap() []error { return []error{e.err, e.cause} }

// logFailure writes what clients are not told. Errors that are the client's own
// doing are left to the access log; so is what the router makes of a request, even
// if it is a 501.
func (a *App) logFailure(c *Context, err error, status int) {
	missed := c.unmatched != nil && status == c.unmatched.status
	if status < http.StatusInternalServerError || missed {
		return
	}
	event := c.Log().Error()
	if errors.Is(err, server.ErrServerDraining) { // the server was told to end: nothing is broken
		event = c.Log().Warn()
	}
	event.Err(err).Int("status", status).Str("method", c.req.Method()).Str("path", clip(c.req.Path()))
	if c.route != nil {
		if c.route.host != "" {
			event = event.Str("host", c.route.host)
		}
		event = event.Str("route", c.route.pattern)
	}
	withStack(event, err).Msg("pleat: request failed")
}

// logPanic logs an error of a function that nobody is told about, with the stack
// if it panicked.
func (c *Context) logPanic(err error, message string) {
	withStack(c.Log().Error().Err(err), err).Msg(message)
}

func withStack(event *zerolog.Event, err error) *zerolog.Event {
	var p *PanicError
	if errors.As(err, &p) {
		event = event.Bytes("stack", p.Stack)
	}
	return event
}

// clip bounds what the log takes of text that comes from outside.
func clip(s string) string {
	const most = 2048
	if len(s) > most {
		return s[:most]
	}
	return s
}
