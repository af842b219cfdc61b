// SPDX-License-Identifier: MIT

package server

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// defaultCookieAge is how long a signed cookie is valid unless the caller
	// says otherwise; Pants had the same 30 days.
	defaultCookieAge = 30 * 24 * time.Hour
	// maxCookieAge is the longest time browsers keep any cookie (RFC 6265bis
	// §5.5).
	maxCookieAge = 400 * 24 * time.Hour
)

// CookieOptions says how long a signed cookie is valid, whether it can be read
// by its bearer, and what the browser is told about it. The zero value is a
// signed, readable cookie for 30 days, for every path of the host that set it,
// sent on same-site requests and on links from elsewhere, hidden from scripts,
// and kept to secure connections if it was set on one.
type CookieOptions struct {
	// MaxAge is how long the cookie is valid, for the browser (Max-Age) and
	// for Decode, rounded up to seconds. Zero: 30 days. Negative: the browser
	// is given no time and drops the cookie when it closes; Decode still
	// accepts it for 30 days. More than 400 days counts as 400 days. To
	// delete a cookie set a plain one of the same name, path and domain with
	// [http.Cookie.MaxAge] -1.
	MaxAge time.Duration
	// Encrypt hides the value from whoever holds the cookie (AES-256). The
	// length of the value stays visible.
	Encrypt bool
	// Path is the Path attribute. Empty: "/".
	Path string
	// Domain is the Domain attribute. Empty: none, and the cookie is sent to
	// the host that set it only, not to those below it.
	Domain string
	// SameSite is the SameSite attribute. Zero: Lax.
	// [http.SameSiteDefaultMode] leaves it out. [http.SameSiteNoneMode] is
	// refused without Secure, as browsers do.
	SameSite http.SameSite
	// Insecure leaves out Secure even on a secure connection.
	//
	// Security: the cookie then travels in the clear with every request for
	// http://, which anybody on the way can cause.
	Insecure bool
	// ReadableByScripts leaves out HttpOnly.
	//
	// Security: a script injected into a page can then send the cookie away.
	ReadableByScripts bool
}

// CookieOption changes one thing about one signed cookie.
type CookieOption func(*CookieOptions)

// WithMaxAge sets [CookieOptions.MaxAge].
func WithMaxAge(d time.Duration) CookieOption { return func(o *CookieOptions) { o.MaxAge = d } }

// WithEncryption sets [CookieOptions.Encrypt]. Given to Decode it refuses
// cookies that are only signed.
func WithEncryption() CookieOption { return func(o *CookieOptions) { o.Encrypt = true } }

// WithPath sets [CookieOptions.Path].
func WithPath(path string) CookieOption { return func(o *CookieOptions) { o.Path = path } }

// WithDomain sets [CookieOptions.Domain].
func WithDomain(domain string) CookieOption { return func(o *CookieOptions) { o.Domain = domain } }

// WithSameSite sets [CookieOptions.SameSite].
func WithSameSite(s http.SameSite) CookieOption { return func(o *CookieOptions) { o.SameSite = s } }

// Insecure sets [CookieOptions.Insecure].
func Insecure() CookieOption { return func(o *CookieOptions) { o.Insecure = true } }

// ReadableByScripts sets [CookieOptions.ReadableByScripts].
func ReadableByScripts() CookieOption { return func(o *CookieOptions) { o.ReadableByScripts = true } }

// newCookieOptions applies opts to the defaults, in order. A nil option is
// skipped.
func newCookieOptions(opts []CookieOption) CookieOptions {
	if len(opts) == 0 {
		return CookieOptions{} // without allocating: o is at the mercy of opts
	}
	var o CookieOptions
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	return o
}

// lifetime returns for how many seconds the value is valid, at least one.
func (o CookieOptions) lifetime() int64 {
	d := o.MaxAge
	if d <= 0 {
		d = defaultCookieAge
	}
	d = min(d, maxCookieAge)
	return int64((d + time.Second - 1) / time.Second)
}

// cookie builds the Set-Cookie of a value that Encode returned. secure says
// that the client reached us on a secure connection. The error wraps
// ErrInvalidCookie: browsers drop such a cookie without a word.
func (o CookieOptions) cookie(name, value string, secure bool, now time.Time) (*http.Cookie, error) {
	c := o.attributes(name, value, secure)
	if o.MaxAge >= 0 {
		// Max-Age wins over Expires where it is known (RFC 6265 §4.1.2.2) and
		// does not depend on the clock of the client.
		c.MaxAge = int(o.lifetime())
		c.Expires = now.Add(time.Duration(c.MaxAge) * time.Second).UTC()
	}
	if err := checkCookie(c); err != nil {
		return nil, err
	}
	return c, nil
}

// attributes builds a cookie without time.
func (o CookieOptions) attributes(name, value string, secure bool) *http.Cookie {
	c := &http.Cookie{
		Name:     name,
		Value:    value,
		Path:     o.Path,
		Domain:   o.Domain,
		Secure:   secure && !o.Insecure,
		HttpOnly: !o.ReadableByScripts,
		SameSite: o.SameSite,
	}
	if c.Path == "" {
		c.Path = "/"
	}
	if c.SameSite == 0 {
		c.SameSite = http.SameSiteLaxMode
	}
	return c
}

// expiredCookie builds the Set-Cookie that makes a browser forget a cookie
// which was set with the same opts.
func expiredCookie(name string, secure bool, opts ...CookieOption) *http.Cookie {
	c := newCookieOptions(opts).attributes(name, "", secure)
	c.MaxAge = -1
	return c
}

// checkCookie refuses what a browser would refuse, or would have to guess at.
func checkCookie(c *http.Cookie) error {
	if err := c.Valid(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidCookie, err)
	}
	refuse := func(why string) error { return fmt.Errorf("%w %q: %s", ErrInvalidCookie, c.Name, why) }
	switch {
	case c.Path[0] != '/':
		return refuse("Path does not start with a slash")
	case c.SameSite == http.SameSiteNoneMode && !c.Secure:
		return refuse("SameSite=None needs Secure")
	case c.SameSite < http.SameSiteDefaultMode || c.SameSite > http.SameSiteNoneMode:
		return refuse("unknown SameSite mode")
	}
	// Prefixes promise attributes by name, as a server is not told which
	// attributes a cookie came with (RFC 6265bis §4.1.3). Browsers compare them
	// without regard to case.
	switch {
	case hasPrefixFold(c.Name, "__Host-"):
		if !c.Secure || c.Domain != "" || c.Path != "/" {
			return refuse("the prefix __Host- needs Secure, Path=/ and no Domain")
		}
		if hasPrefixFold(c.Name, "__Host-Http-") && !c.HttpOnly {
			return refuse("the prefix __Host-Http- needs HttpOnly")
		}
	case hasPrefixFold(c.Name, "__Secure-"):
		if !c.Secure {
			return refuse("the prefix __Secure- needs Secure")
		}
	case hasPrefixFold(c.Name, "__Http-"):
		if !c.Secure || !c.HttpOnly {
			return refuse("the prefix __Http- needs Secure and HttpOnly")
		}
	}
	return nil
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
