// SPDX-License-Identifier: MIT

package pleat

import (
	"net/http"

	"github.com/pleat-go/pleat/server"
)

// Cookie is the value of a cookie as the client sent it. Anybody can send
// anything: see SecureCookie.
func (c *Context) Cookie(name string) (value string, ok bool) { return c.req.Cookie(name) }

// SetCookie sets a cookie.
func (c *Context) SetCookie(cookie *http.Cookie) error { return c.req.SetCookie(cookie) }

// ClearCookie tells the client to forget a cookie. Path and domain must be those
// it was set with.
func (c *Context) ClearCookie(name string, opts ...server.CookieOption) error {
	return c.req.ClearCookie(name, opts...)
}

// SetSecureCookie signs value and sets it as a cookie: []byte and string as they
// are, anything else as JSON. Signed is not secret: the client can read it, unless
// server.WithEncryption is given. By default it lasts 30 days and is HttpOnly,
// SameSite=Lax, for the path "/", and Secure when the request is. Errors:
// server.ErrNoCookieSecret, server.ErrCookieTooLarge, and what cannot be encoded.
func (c *Context) SetSecureCookie(name string, value any, opts ...server.CookieOption) error {
	c.useAppKeys()
	return c.req.SetSecureCookie(name, value, opts...)
}

// SecureCookie reads a signed cookie into a *[]byte, a *string, or by JSON into
// any other pointer. Errors: server.ErrNoCookie, server.ErrCookieExpired,
// server.ErrCookieTampered, server.ErrCookieType, server.ErrNoCookieSecret. To
// most handlers they all mean the same: there is no such cookie.
func (c *Context) SecureCookie(name string, into any, opts ...server.CookieOption) error {
	c.useAppKeys()
	return c.req.SecureCookie(name, into, opts...)
}

// GetSecureCookie is the content of a signed cookie as octets; false when it is
// absent, expired or not ours.
func (c *Context) GetSecureCookie(name string, opts ...server.CookieOption) ([]byte, bool) {
	c.useAppKeys()
	return c.req.GetSecureCookie(name, opts...)
}

// useAppKeys gives the request the app's keys unless it has others: those of
// middleware.SignedCookies, or of the server.
func (c *Context) useAppKeys() {
	if c.app.keys != nil && c.req.CookieKeys() == nil {
		c.req.SetCookieKeys(c.app.keys)
	}
}
