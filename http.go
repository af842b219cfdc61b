// SPDX-License-Identifier: MIT

package pleat

import (
	"net/http"
	"net/url"
	"strings"
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
	if b := c.bodyRead(); b != nil {
		q.Body = b.reader()
	}
	return q
}

// MountHTTP hands everything below a prefix to a net/http handler, with the
// prefix taken off the path as http.StripPrefix does: a ServeMux, a file server,
// another app. The prefix is the handler's "/". What it knows nothing of is the
// prefix: a redirect of its own to a path lacks it.
func (a *App) MountHTTP(prefix string, h http.Handler, mw ...Middleware) *Route {
	var handler Handler
	if h != nil {
		handler = func(c *Context) error {
			q := c.stdRequest()
			q.URL = belowPrefix(q.URL, c.route.parsed.escapedTail(c.path))
			h.ServeHTTP(c.req.ResponseWriter(), q)
			return nil
		}
	}
	return a.Any(strings.TrimSuffix(prefix, "/")+"/*path", handler, mw...)
}

// belowPrefix is u with another path, which is escaped.
func belowPrefix(u *url.URL, escaped string) *url.URL {
	v := *u
	v.Path, v.RawPath = escaped, ""
	if plain, err := url.PathUnescape(escaped); err == nil {
		v.Path, v.RawPath = plain, escaped
	}
	return &v
}

// ServeHTTP answers a request of net/http's server. Limit of bodies and trusted
// proxies are those of the configured server. An app that is mounted in another
// has the request's id and the client's address from that.
func (a *App) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r, gate, finish := fromHTTP(w, q)
	returned := false
	defer func() {
		if !returned { // what is left of an answer that was given up must not look whole
			gate.shut.Store(true)
		}
		finish()
	}()
	limit := int64(defaultBodyLimit)
	if s := a.config.Server; s != nil && s.MaxRequest != 0 {
		limit = s.MaxRequest
	}
	r.SetBodyLimit(limit)
	if outer := FromContext(q.Context()); outer != nil {
		r.SetOrigin(outer.req.Origin())
	} else if s := a.config.Server; s != nil && s.XHeaders != nil {
		origin, err := s.XHeaders.Resolve(r.PeerIP(), r.Header())
		if err != nil {
			_ = r.SendError(NewError(http.StatusBadRequest, "").WithCause(err))
			returned = true
			return
		}
		r.SetOrigin(origin)
	}
	a.ServeRequest(r)
	returned = true
}

const defaultBodyLimit = 10 << 20
