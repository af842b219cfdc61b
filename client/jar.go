// SPDX-License-Identifier: MIT

package client

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Limits of a Jar. RFC 6265 §6.1 asks for at least 50 per domain and 3000 in all; cookies beyond are refused, for a
// server must not be able to fill the memory of its client.
const (
	maxCookieBytes = 4096
	maxSiteCookies = 180
	maxJarCookies  = 3000
)

// Jar keeps cookies by the rules of RFC 6265, with the public suffix list, so that no site sets cookies for a whole
// registry. On top of net/http/cookiejar it holds cookies to what their name promises (__Host-, __Secure-), takes Secure
// cookies from https only, and bounds their size and number. Safe for concurrent use. The zero value is not usable; see
// NewJar.
type Jar struct {
	jar *cookiejar.Jar

	mu    sync.Mutex
	kept  map[cookieKey]time.Time // until when; zero for the session
	sites map[string]int          // how many of kept belong to each registrable domain
	now   func() time.Time
}

// cookieKey is what makes a cookie replace another (RFC 6265 §5.3, step 11).
type cookieKey struct{ site, domain, path, name string }

// NewJar returns an empty Jar.
func NewJar() *Jar {
	jar, err := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
	if err != nil {
		panic(err) // cookiejar.New documents that it returns none
	}
	return &Jar{jar: jar, kept: make(map[cookieKey]time.Time), sites: make(map[string]int), now: time.Now}
}

// Cookies implements http.CookieJar.
func (j *Jar) Cookies(u *url.URL) []*http.Cookie { return j.jar.Cookies(u) }

// SetCookies implements http.CookieJar. Cookies that break the rules are left out.
func (j *Jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.jar.SetCookies(u, slices.DeleteFunc(slices.Clone(cookies), func(c *http.Cookie) bool {
		return c == nil || !keepsPromise(u, c) || len(c.Name)+len(c.Value) > maxCookieBytes || !j.admit(u, c)
	}))
}

// keepsPromise checks name prefixes and the Secure attribute (RFC 6265bis §5.7).
func keepsPromise(u *url.URL, c *http.Cookie) bool {
	secure := c.Secure && u.Scheme == "https"
	if c.Secure && !secure {
		return false
	}
	name := strings.ToLower(c.Name)
	switch {
	case strings.HasPrefix(name, "__host-"):
		return secure && c.Domain == "" && c.Path == "/"
	case strings.HasPrefix(name, "__secure-"):
		return secure
	}
	return true
}

// admit keeps count, and reports whether there is room. The caller holds mu.
func (j *Jar) admit(u *url.URL, c *http.Cookie) bool {
	host, ok := canonicalHost(u.Hostname())
	if !ok {
		return false
	}
	site, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		site = host // an address, or a name without dots
	}
	domain := host
	if d := strings.TrimPrefix(c.Domain, "."); d != "" {
		domain = strings.ToLower(d)
	}
	path := c.Path
	if path == "" || path[0] != '/' {
		path = u.Path[:max(strings.LastIndexByte(u.Path, '/'), 0)]
	}
	key := cookieKey{site: site, domain: domain, path: path, name: c.Name}
	now := j.now()
	until := c.Expires
	if c.MaxAge > 0 {
		until = now.Add(time.Duration(c.MaxAge) * time.Second)
	}
	if c.MaxAge < 0 || !until.IsZero() && !until.After(now) {
		j.forget(key)
		return true // the jar deletes it
	}
	if _, known := j.kept[key]; !known {
		if j.sites[site] >= maxSiteCookies || len(j.kept) >= maxJarCookies {
			j.expire(now)
		}
		if j.sites[site] >= maxSiteCookies || len(j.kept) >= maxJarCookies {
			return false
		}
		j.sites[site]++
	}
	j.kept[key] = until
	return true
}

func (j *Jar) forget(key cookieKey) {
	if _, known := j.kept[key]; known {
		delete(j.kept, key)
		if j.sites[key.site]--; j.sites[key.site] == 0 {
			delete(j.sites, key.site)
		}
	}
}

func (j *Jar) expire(now time.Time) {
	for key, until := range j.kept {
		if !until.IsZero() && !until.After(now) {
			j.forget(key)
		}
	}
}

// keepCookies stores what an answer sets. A cookie of the caller's that the server set anew has been replaced.
func (x *exchange) keepCookies() {
	if x.set.Jar == nil || len(x.res.Header["Set-Cookie"]) == 0 {
		return
	}
	cookies := x.res.Cookies()
	x.set.Jar.SetCookies(x.request.URL, cookies)
	if x.cookie == "" {
		return
	}
	x.cookie = strings.Join(slices.DeleteFunc(strings.Split(x.cookie, "; "), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.ContainsFunc(cookies, func(c *http.Cookie) bool { return c.Name == name })
	}), "; ")
}

// jarCookies returns the Cookie value for the coming hop: the caller's own, and the jar's that do not share a name with one.
func (x *exchange) jarCookies(own string) string {
	cookies := x.set.Jar.Cookies(x.request.URL)
	if len(cookies) == 0 {
		return own
	}
	var pairs, names []string
	if own != "" {
		pairs = strings.Split(own, "; ")
	}
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name)
	}
	for _, c := range cookies {
		if !slices.Contains(names, c.Name) {
			pairs = append(pairs, (&http.Cookie{Name: c.Name, Value: c.Value, Quoted: c.Quoted}).String())
		}
	}
	return strings.Join(pairs, "; ")
}
