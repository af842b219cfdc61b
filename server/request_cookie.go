// SPDX-License-Identifier: MIT

package server

import (
	"net/http"
	"strings"
	"time"
)

// maxCookies bounds how many cookies of a request are looked at.
const maxCookies = 128

// Cookie is the value of the first cookie of that name, quotes removed.
func (r *HTTPRequest) Cookie(name string) (value string, ok bool) {
	r.eachCookie(func(n, v string) bool {
		if n == name {
			value, ok = v, true
			return false
		}
		return true
	})
	return value, ok
}

// Cookies are all cookies of the request in the order received, with only Name
// and Value set.
func (r *HTTPRequest) Cookies() []*http.Cookie {
	var cookies []*http.Cookie
	r.eachCookie(func(n, v string) bool {
		cookies = append(cookies, &http.Cookie{Name: n, Value: v})
		return true
	})
	return cookies
}

// eachCookie walks the cookie pairs (RFC 6265, section 4.2.1) until f returns
// false. Pairs that are none are passed over.
func (r *HTTPRequest) eachCookie(f func(name, value string) bool) {
	count := 0
	for rest := r.head.fields.of(r.text); ; {
		line, tail, ok := nextField(rest, "Cookie")
		if !ok {
			return
		}
		rest = tail
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			name, value, found := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !found || !validFieldName(name) {
				continue
			}
			if count++; count > maxCookies {
				return
			}
			if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			if !f(name, value) {
				return
			}
		}
	}
}

// SetCookie adds a Set-Cookie field to the answer, replacing an earlier one for
// the same name, domain and path. A cookie that http.Cookie.Valid rejects is
// refused with its error.
func (r *HTTPRequest) SetCookie(cookie *http.Cookie) error {
	if cookie == nil {
		return ErrInvalidHeader
	}
	if err := cookie.Valid(); err != nil {
		return err
	}
	if err := r.x.lock(r); err != nil {
		return err
	}
	defer r.x.mu.Unlock()
	if r.x.committed {
		return ErrCommitted
	}
	r.x.dropCookie(cookie)
	return r.x.setField("Set-Cookie", cookie.String(), true)
}

// dropCookie removes Set-Cookie lines that the new cookie would override anyway:
// two for the same cookie in one answer are left to chance (RFC 6265, section
// 4.1.1).
func (x *exchange) dropCookie(cookie *http.Cookie) {
	same := func(line string) bool {
		old, err := http.ParseSetCookie(line)
		return err == nil && old.Name == cookie.Name && old.Domain == cookie.Domain && old.Path == cookie.Path
	}
	if m := x.stdHeader(); m != nil {
		kept := m["Set-Cookie"][:0]
		for _, line := range m["Set-Cookie"] {
			if !same(line) {
				kept = append(kept, line)
			}
		}
		m["Set-Cookie"] = kept
		return
	}
	for at := 0; at < len(x.fields); {
		line := x.fields[at : at+lineLength(x.fields[at:])]
		if isField(line, "Set-Cookie") && same(string(line[len("Set-Cookie: "):len(line)-2])) {
			x.fields = append(x.fields[:at], x.fields[at+len(line):]...)
			continue
		}
		at += len(line)
	}
}

// CookiesOut are the values of the Set-Cookie fields of the answer so far.
func (r *HTTPRequest) CookiesOut() []string { return r.ResponseHeaders().Values("Set-Cookie") }

// CookieKeys are the keys that signed cookies of this request use: those of the
// server unless SetCookieKeys gave others; nil when there are none.
func (r *HTTPRequest) CookieKeys() *CookieKeys {
	if e := r.extra.Load(); e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.keys != nil {
			return e.keys
		}
	}
	if c := r.connection(); c != nil {
		return c.set.cookieKeys
	}
	return nil
}

// SetCookieKeys gives this request other keys for its signed cookies.
func (r *HTTPRequest) SetCookieKeys(keys *CookieKeys) {
	e := r.extras()
	e.mu.Lock()
	e.keys = keys
	e.mu.Unlock()
}

// SetSecureCookie signs value and sets it as a cookie: []byte and string as they
// are, anything else as JSON. Unless options say otherwise it lasts 30 days,
// is HttpOnly, SameSite=Lax, for the path "/", and Secure when the request is.
// Without keys it fails with [ErrNoCookieSecret], and with [ErrCookieTooLarge]
// when a browser would drop the cookie.
func (r *HTTPRequest) SetSecureCookie(name string, value any, opts ...CookieOption) error {
	keys := r.CookieKeys()
	if keys == nil {
		return ErrNoCookieSecret
	}
	cookie, err := keys.Cookie(name, value, r.IsSecure(), opts...)
	if err != nil {
		return err
	}
	return r.SetCookie(cookie)
}

// SecureCookie reads a signed cookie into a *[]byte, a *string, or by JSON into
// any other pointer. It fails with [ErrNoCookie], [ErrCookieExpired],
// [ErrCookieTampered] or [ErrCookieType]. A name that comes more than once is
// treated as absent: somebody may be tossing cookies from a sibling domain.
func (r *HTTPRequest) SecureCookie(name string, into any, opts ...CookieOption) error {
	keys := r.CookieKeys()
	if keys == nil {
		return ErrNoCookieSecret
	}
	value, count := "", 0
	r.eachCookie(func(n, v string) bool {
		if n == name {
			value = v
			count++
		}
		return true
	})
	if count != 1 {
		return ErrNoCookie
	}
	return keys.Decode(name, value, into, opts...)
}

// GetSecureCookie is the content of a signed cookie as octets; false when it is
// absent, expired or not ours.
func (r *HTTPRequest) GetSecureCookie(name string, opts ...CookieOption) ([]byte, bool) {
	var value []byte
	err := r.SecureCookie(name, &value, opts...)
	return value, err == nil
}

// ClearCookie tells the client to forget a cookie that was set for the path "/"
// or, with options, for another path and domain.
func (r *HTTPRequest) ClearCookie(name string, opts ...CookieOption) error {
	cookie := expiredCookie(name, r.IsSecure(), opts...)
	cookie.Expires = time.Unix(1, 0)
	return r.SetCookie(cookie)
}
