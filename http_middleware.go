// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"maps"
	"mime"
	"net/http"
	"slices"
	"sync"

	"github.com/pleat-go/pleat/server"
)

// WrapMiddleware makes a middleware of one written for net/http. What it does to
// the response writer and to the request (its context, URL, header, body) holds
// for the rest of the chain; the route stays what it was. If it does not call its
// next handler, the chain ends there. An error returned further down goes past it
// to the app, which answers; the middleware sees its status and no body. A limit
// on the body that is larger than the server's has to be set outside of it.
func WrapMiddleware(mw func(http.Handler) http.Handler) Middleware {
	return func(next Handler) Handler {
		h := mw(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			p, ok := q.Context().Value(passKey{}).(*pass)
			if !ok {
				panic("pleat: a wrapped middleware replaced the request's context by one that does not descend from it")
			}
			p.settle(p.run(next, w, q))
		}))
		return func(c *Context) error {
			p := &pass{c: c, pristine: c.stdRequest()}
			p.ctx = context.WithValue(c, passKey{}, p)
			// A middleware may change the request it is given in place.
			h.ServeHTTP(c.req.ResponseWriter(), p.pristine.Clone(p.ctx))
			return p.end()
		}
	}
}

type passKey struct{}

// pass is one passage through a wrapped middleware.
type pass struct {
	c        *Context
	pristine *http.Request
	ctx      context.Context

	mu   sync.Mutex
	err  error // guarded by mu
	over bool  // the middleware has returned; guarded by mu
}

// settle keeps the outcome of the chain behind the middleware. The middleware may
// call the chain in another goroutine and not wait for it, as http.TimeoutHandler
// does; then nobody is left to answer an error.
func (p *pass) settle(err error) {
	p.mu.Lock()
	over := p.over
	if !over {
		p.err = err
	}
	p.mu.Unlock()
	if over && err != nil {
		p.c.logPanic(err, "pleat: a chain failed after the middleware around it had answered")
	}
}

func (p *pass) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	return p.err
}

// run goes on with the chain behind the middleware, by the same answer and
// request where they are the same.
func (p *pass) run(next Handler, w http.ResponseWriter, q *http.Request) error {
	c := p.c
	if w != c.req.ResponseWriter() || !sameRequest(p.pristine, q) {
		return p.divert(next, w, q)
	}
	if formRead(q) {
		c.keepForm(q)
	}
	if q.Context() == p.ctx {
		return next(c)
	}
	return next(c.WithContext(q.Context()))
}

// divert goes on with the middleware's own writer and request.
func (p *pass) divert(next Handler, w http.ResponseWriter, q *http.Request) (err error) {
	c := p.c
	d := c.derive()
	req, finish := server.FromHTTP(w, q)
	if keys := c.req.CookieKeys(); keys != nil {
		req.SetCookieKeys(keys)
	}
	req.SetOrigin(c.req.Origin())
	d.req = req
	if formRead(q) {
		d.keepForm(q)
	}
	returned := false
	defer func() {
		if o := req.Origin(); o != c.req.Origin() {
			c.req.SetOrigin(o) // what was found out about the client holds outside, too
		}
		whole := returned
		if returned && err != nil {
			if whole = req.ResetResponse() == nil; whole {
				_ = req.SetStatus(StatusOf(err))
			}
		}
		finish(whole)
	}()
	err = next(d)
	returned = true
	return err
}

// sameRequest reports whether b is a with at most another context.
func sameRequest(a, b *http.Request) bool {
	return a.Method == b.Method && (a.URL == b.URL || a.URL != nil && b.URL != nil && *a.URL == *b.URL) &&
		a.Body == b.Body && a.Host == b.Host && a.RemoteAddr == b.RemoteAddr && a.ContentLength == b.ContentLength &&
		a.TLS == b.TLS && maps.EqualFunc(a.Header, b.Header, slices.Equal)
}

// formRead reports whether the body of q was read as a form. ParseForm makes an
// empty one where it reads nothing.
func formRead(q *http.Request) bool {
	if q.MultipartForm != nil || len(q.PostForm) > 0 {
		return true
	}
	mediaType, _, _ := mime.ParseMediaType(q.Header.Get("Content-Type"))
	return q.PostForm != nil && mediaType == "application/x-www-form-urlencoded" && q.Method != http.MethodGet && q.Method != http.MethodHead
}
