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
		q.Pattern = c.route.host + c.route.pattern
	}
	if b := c.bodyRead(); b != nil {
		q.Body = b.reader()
	}
	return q
}

// MountHTTP hands everything below a prefix to a net/http handler, with the
// prefix taken off the path as http.StripPrefix does: a ServeMux, a file server,
// another app. The prefix is the handler's "/", and it knows nothing of it: a
// redirect of its own to a path lacks the prefix, and so do the URLs of an App that
// is mounted. Only the redirects of an App to the same path with or without a slash
// at its end have it.
func (r *routes) MountHTTP(prefix string, h http.Handler, mw ...Middleware) *Route {
	var handler Handler
	if h != nil {
		handler = func(c *Context) error {
			q := c.stdRequest()
			tail := c.route.parsed.escapedTail(c.path)
			q = q.WithContext(context.WithValue(c, mountKey{}, c.mountPrefix()+strings.TrimSuffix(c.path, tail)))
			q.URL = belowPrefix(q.URL, tail)
			h.ServeHTTP(c.req.ResponseWriter(), q)
			return nil
		}
	}
	return r.Any(strings.TrimSuffix(prefix, "/")+"/*path", handler, mw...)
}

type mountKey struct{}

// mountPrefix is what MountHTTP has taken off the path on the way from another App
// to this one, escaped; "" when the App is not mounted.
func (c *Context) mountPrefix() string {
	if c.req.Connection() != nil {
		return "" // it came from the socket; and its context need not be made
	}
	prefix, _ := c.req.Context().Value(mountKey{}).(string)
	return prefix
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
	r, finish := server.FromHTTP(w, q)
	returned := false
	defer func() { finish(returned) }() // what is left of an answer that was given up must not look whole
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
