// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/pleat-go/pleat/server"
)

// WrapHTTP makes a handler of one written for net/http. Its request's context is
// the [Context] (see [FromContext]), and params are its path values.
func WrapHTTP(h http.Handler) Handler {
	return func(c *Context) error {
		h.ServeHTTP(c.req.ResponseWriter(), c.stdRequest())
		return nil
	}
}

// stdRequest is the request for net/http, with c as its context.
func (c *Context) stdRequest() *http.Request {
	q := c.req.StdRequest().WithContext(c)
	for i := range c.params {
		q.SetPathValue(c.params[i].Key, c.params[i].Value)
	}
	if c.route != nil {
		q.Pattern = c.route.pattern
	}
	return q
}

// MountHTTP hands everything below a prefix to a net/http handler, with the
// prefix taken off the path as http.StripPrefix does: a ServeMux, a file server,
// another app. The prefix is the handler's "/".
func (a *App) MountHTTP(prefix string, h http.Handler, mw ...Middleware) *Route {
	prefix = strings.TrimSuffix(prefix, "/")
	return a.Any(prefix+"/*path", func(c *Context) error {
		q := c.stdRequest()
		tail := c.route.parsed.escapedTail(c.path)
		u := *q.URL
		u.Path, u.RawPath = tail, ""
		if plain, err := url.PathUnescape(tail); err == nil {
			u.Path, u.RawPath = plain, tail
		}
		q.URL = &u
		h.ServeHTTP(c.req.ResponseWriter(), q)
		return nil
	}, mw...)
}

// WrapMiddleware makes a middleware of one written for net/http. What it does to
// the response writer and to the request (its context, URL, header, body) holds
// for the rest of the chain. If it does not call its next handler, the chain ends
// there. An error returned further down goes past it to the app.
func WrapMiddleware(mw func(http.Handler) http.Handler) Middleware {
	return func(next Handler) Handler {
		h := mw(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			pass, ok := q.Context().Value(passKey{}).(*pass)
			if !ok {
				panic("pleat: a wrapped middleware replaced the request's context by one that does not descend from it")
			}
			pass.err = pass.run(next, w, q)
		}))
		return func(c *Context) error {
			p := &pass{c: c, given: c.stdRequest()}
			p.given = p.given.WithContext(context.WithValue(c, passKey{}, p))
			h.ServeHTTP(c.req.ResponseWriter(), p.given)
			return p.err
		}
	}
}

type passKey struct{}

// pass is one passage through a wrapped middleware.
type pass struct {
	c     *Context
	given *http.Request
	err   error
}

// run goes on with the chain behind the middleware. Where nothing but the context
// is new the chain sees the same Context; otherwise it gets one of its own, which
// writes to the middleware's writer.
func (p *pass) run(next Handler, w http.ResponseWriter, q *http.Request) error {
	c := p.c
	ctx := derived{q.Context(), c}
	if w == c.req.ResponseWriter() && sameRequest(p.given, q) {
		if q.Context() == p.given.Context() {
			return next(c)
		}
		defer c.SetContext(ctx)()
		return next(c)
	}
	req, finish := server.FromHTTP(w, q.WithContext(ctx))
	if keys := c.req.CookieKeys(); keys != nil {
		req.SetCookieKeys(keys)
	}
	req.SetOrigin(c.req.Origin())
	d := &Context{app: c.app, req: req, route: c.route, params: c.params, path: c.path, unmatched: c.unmatched}
	c.mu.Lock()
	d.id, d.values = c.id, c.values
	c.mu.Unlock()
	err := next(d)
	c.adopt(d)
	if err == nil {
		finish()
	}
	return err
}

// adopt takes over what the rest of the chain left on a Context of its own.
func (c *Context) adopt(d *Context) {
	d.mu.Lock()
	id, values, finishers := d.id, d.values, d.finishers
	d.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id, c.values = id, values
	c.finishers = append(c.finishers, finishers...)
}

// sameRequest reports whether b is a with at most another context.
func sameRequest(a, b *http.Request) bool {
	if a == b {
		return true
	}
	sameHeader := len(a.Header) == len(b.Header)
	for name := range a.Header {
		x, y := a.Header[name], b.Header[name]
		if !sameHeader || len(x) != len(y) {
			return false
		}
		for i := range x {
			sameHeader = sameHeader && x[i] == y[i]
		}
	}
	return sameHeader && a.Method == b.Method && a.URL == b.URL && a.Body == b.Body && a.Host == b.Host &&
		a.RemoteAddr == b.RemoteAddr && a.ContentLength == b.ContentLength
}
