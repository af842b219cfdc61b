// SPDX-License-Identifier: MIT

package pleat

import (
	"errors"
	"net/http"
	"runtime/debug"

	"github.com/pleat-go/pleat/server"
)

// serve takes a request through router and chain and makes an answer of what
// comes back.
func (a *App) serve(r *server.HTTPRequest) {
	c := allocContext()
	c.app, c.req = a, r
	found := a.table.resolve(r.Method(), r.Path(), r.RawQuery())
	c.path = found.path
	chain := a.miss
	if found.kind == routeFound {
		c.route, c.params = found.route, found.params
		chain = found.route.chain
	} else {
		miss := found // found itself stays on the stack
		c.unmatched = &miss
	}
	c.err = c.runChain(chain)
	if c.err != nil && !r.Hijacked() {
		a.fail(c)
	}
	if len(c.finishers) > 0 {
		c.runFinishers()
	}
	if c.abort {
		panic(http.ErrAbortHandler)
	}
}

// PanicError is a panic of a handler, caught and turned into an error.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // where
}

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
		if cause, ok := v.(error); ok && errors.Is(cause, http.ErrAbortHandler) {
			panic(v)
		}
		err = &PanicError{Value: v, Stack: debug.Stack()}
	}()
	return h(c)
}

// runChain is the last guard around a chain. http.ErrAbortHandler gets through
// only after the finishers have run.
func (c *Context) runChain(chain Handler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.abort = true // Call lets nothing else through
			err = http.ErrAbortHandler
		}
	}()
	return Call(chain, c)
}

// answerMiss is the handler for whatever has no route; the app's middleware is
// folded around it like around any other.
func answerMiss(c *Context) error {
	u := c.unmatched
	switch u.kind {
	case redirected:
		if err := c.req.SetHeader("Location", u.location); err != nil {
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

// fail makes the one error answer of a request, and logs what went wrong.
func (a *App) fail(c *Context) {
	if c.abort {
		return
	}
	status := StatusOf(c.err)
	a.logFailure(c, status)
	if c.req.Committed() {
		// Part of an answer is out: only the end of the connection can tell the
		// client that it is not whole.
		c.abort = true
		return
	}
	handler := a.config.ErrorHandler
	if handler == nil {
		handler = (*Context).AnswerError
	}
	err := Call(func(c *Context) error {
		if err := c.req.ResetResponse(); err != nil {
			return err
		}
		return handler(c, c.err)
	}, c)
	if err == nil {
		return
	}
	c.Log().Error().Err(err).Msg("pleat: the error handler failed")
	if errors.Is(c.req.ResetResponse(), server.ErrCommitted) {
		c.abort = true
		return
	}
	_ = c.req.SendError(c.err)
}

// logFailure writes what clients are not told. Errors that are the client's own
// doing are left to the access log.
func (a *App) logFailure(c *Context, status int) {
	if status < http.StatusInternalServerError {
		return
	}
	event := c.Log().Error().Err(c.err).Int("status", status).Str("method", c.req.Method()).Str("path", clip(c.req.Path()))
	if c.route != nil {
		event = event.Str("route", c.route.pattern)
	}
	var p *PanicError
	if errors.As(c.err, &p) {
		event = event.Bytes("stack", p.Stack)
	}
	event.Msg("pleat: request failed")
}

// clip bounds what the log takes of text that comes from outside.
func clip(s string) string {
	const most = 2048
	if len(s) > most {
		return s[:most]
	}
	return s
}
