// SPDX-License-Identifier: MIT

package client

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Hop is a redirect that was followed.
type Hop struct {
	Method   string      // of the request that was redirected
	URL      *url.URL    // where it had gone
	Status   int         // 301, 302, 303, 307 or 308
	Header   http.Header // of that answer
	Location *url.URL    // where it pointed, made absolute, without user and password
	Dropped  []string    // the request's fields that were not sent on, sorted
}

// redirect decides about an answer: false means that it is the final one, true that the next request stands ready.
//
// The rules are those of the Fetch standard (HTTP-redirect fetch) and RFC 9110 §15.4, with the stricter choice where
// they leave one.
func (x *exchange) redirect() (bool, error) {
	res := x.res
	switch res.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return false, nil
	}
	if len(res.Header["Location"]) == 0 {
		return false, nil
	}
	allowed := x.set.MaxRedirects
	if x.call.maxRedirects != 0 {
		allowed = max(x.call.maxRedirects, 0)
	}
	if allowed == 0 {
		return false, nil
	}
	if len(x.response.History) >= allowed {
		return false, ErrTooManyRedirects
	}
	target, err := x.location()
	if err != nil {
		return false, err
	}
	here, next := originOf(x.request.URL), originOf(target)
	if here.scheme == "https" && next.scheme == "http" && !x.set.AllowDowngrade {
		return false, ErrInsecureRedirect
	}
	same := here.same(next)
	method, body := redirectMethod(x.request.Method, res.StatusCode), x.body
	if method != x.request.Method {
		body = nil
	}
	switch {
	case body != nil && body.once:
		return false, ErrNotReplayable
	case body != nil && !same && x.set.PublicOnly:
		// An address from a user must not decide where a body ends up.
		return false, ErrBodyCrossOrigin
	case x.loops(method, target):
		return false, ErrRedirectLoop
	}
	if b := x.client.bound; b != nil && !b.takeHop() {
		return false, fmt.Errorf("%w: %d hops", ErrBudget, b.MaxHops)
	}
	header, dropped := x.reduce(same, method != x.request.Method)
	x.response.History = append(x.response.History, Hop{
		Method: x.request.Method, URL: x.request.URL, Status: res.StatusCode, Header: res.Header, Location: target, Dropped: dropped,
	})
	x.noHost = x.noHost || absolute(res.Header.Get("Location"))
	x.request.Method, x.request.URL, x.body = method, target, body
	x.dress(header, false)
	return true, nil
}

// redirectMethod returns the method of the next request. 301 and 302 turn POST into GET, 303 turns everything but GET
// and HEAD into GET; all else stays as it is (net/http turns PUT into GET as well; neither RFC nor Fetch does).
func redirectMethod(method string, status int) string {
	switch {
	case (status == http.StatusMovedPermanently || status == http.StatusFound) && method == http.MethodPost:
		return http.MethodGet
	case status == http.StatusSeeOther && method != http.MethodGet && method != http.MethodHead:
		return http.MethodGet
	}
	return method
}

// location reads where an answer points. Two that differ have no right reading.
func (x *exchange) location() (*url.URL, error) {
	values := x.res.Header["Location"]
	for _, v := range values[1:] {
		if v != values[0] {
			return nil, fmt.Errorf("%w: two Locations", ErrURL)
		}
	}
	return followLocation(x.request.URL, values[0])
}

// followLocation resolves a Location against the address that sent it. User and password are discarded, a fragment is
// inherited (RFC 9110 §10.2.2).
func followLocation(from *url.URL, location string) (*url.URL, error) {
	ref, err := splitURL(location)
	if err != nil {
		return nil, err
	}
	if ref.Opaque != "" || ref.Scheme != "" && ref.Host == "" {
		// ResolveReference would take "http:/path" for an address of its own without a host.
		if ref.Scheme != "http" && ref.Scheme != "https" {
			return nil, fmt.Errorf("%w: scheme is not http or https", ErrURL)
		}
		return nil, fmt.Errorf("%w: no host", ErrURL)
	}
	target := from.ResolveReference(ref)
	target.User = nil
	if err := checkURL(target); err != nil {
		return nil, err
	}
	if ref.Fragment == "" {
		target.Fragment, target.RawFragment = from.Fragment, from.RawFragment
	}
	return target, nil
}

// absolute reports whether a Location, known to be good, names a host.
func absolute(location string) bool {
	u, err := url.Parse(location)
	return err == nil && u.Host != ""
}

// loops reports whether the request was made before. A new cookie may change the answer, so it starts the list anew.
func (x *exchange) loops(method string, target *url.URL) bool {
	if x.seen == nil || x.set.Jar != nil && len(x.res.Header["Set-Cookie"]) > 0 {
		x.seen = new([]string)
	}
	if x.set.Jar == nil || len(x.res.Header["Set-Cookie"]) == 0 {
		*x.seen = append(*x.seen, requestKey(x.request.Method, x.request.URL))
	}
	return slices.Contains(*x.seen, requestKey(method, target))
}

func requestKey(method string, u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	o := originOf(u)
	return fmt.Sprint(method, " ", o.scheme, "://", o.host, ":", o.port, path, "?", u.RawQuery)
}

// reduce returns a copy of the header that may go to the next hop, and what of it was dropped. It starts from what the
// last hop still had, so nothing that was dropped once comes back.
func (x *exchange) reduce(same, methodChanged bool) (http.Header, []string) {
	h := maps.Clone(x.request.header)
	for i, name := range hopFieldNames {
		if x.added&(1<<i) != 0 {
			delete(h, name) // dress decides again
		}
	}
	var dropped []string
	drop := func(name string) {
		delete(h, name)
		dropped = append(dropped, name)
	}
	for name := range h {
		switch {
		case name == "Cookie":
			if x.cookie == "" || same {
				continue // the jar's, and dress decides again
			}
			x.cookie = ""
			drop(name)
		case name == "Proxy-Authorization":
			drop(name) // was for a proxy in front of the first hop
		case methodChanged && describesContent(name):
			drop(name)
		case !same && !crossesOrigin(name) && !x.set.crossOrigin[name]:
			drop(name)
		}
	}
	slices.Sort(dropped)
	return h, dropped
}

// crossesOrigin lists what is harmless to any host. Content fields are here because they are gone already when the body
// does not go along.
func crossesOrigin(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Accept-Language", "User-Agent", "Range",
		"Content-Type", "Content-Language", "Content-Encoding":
		return true
	}
	return false
}

// describesContent lists the fields that make no sense once the body is gone (RFC 9110 §15.4 and Fetch).
func describesContent(name string) bool {
	switch name {
	case "Digest", "Repr-Digest", "Last-Modified", "Expect", "Te":
		return true
	}
	return strings.HasPrefix(name, "Content-")
}
