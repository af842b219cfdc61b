// SPDX-License-Identifier: MIT

package client

import (
	"fmt"
	"maps"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// hopFields is a set of the fields that dress decides about anew for each hop, in the order of hopFieldNames.
type hopFields uint8

const (
	addedAuthorization hopFields = 1 << iota
	addedRequestID
	addedTraceparent
)

var hopFieldNames = [...]string{"Authorization", "X-Request-Id", "Traceparent"}

// setPlain prepares the header of a call without options, which most calls can share.
func (s *settings) setPlain() error {
	for _, name := range []string{"Accept-Encoding", "Range", "Cookie"} {
		if _, ok := s.header[name]; ok {
			return nil
		}
	}
	if s.Transport != nil {
		return nil // it might write to what it is given; many do
	}
	s.plain = maps.Clone(s.header)
	if _, ok := s.plain["User-Agent"]; !ok {
		s.plain["User-Agent"] = []string{userAgent}
	}
	s.plain["Accept-Encoding"] = []string{acceptEncoding}
	return nil
}

// firstHeader settles the header of the first hop.
func (x *exchange) firstHeader() error {
	s, k := x.set, x.call
	home := s.base == nil || s.baseOrigin.same(originOf(x.request.URL))
	user := x.request.URL.User
	if s.plain != nil && home && user == nil && k.header == nil && k.cookies == "" && !k.raw && x.body == nil &&
		x.request.Method != http.MethodHead {
		x.decode = true
		x.dress(s.plain, true)
		return nil
	}

	h := make(http.Header, len(s.header)+len(k.header)+4)
	for name, values := range s.header {
		if home || crossesOrigin(name) || s.crossOrigin[name] {
			h[name] = values
		}
	}
	maps.Copy(h, k.header)
	values := make([]string, 0, 4) // one array for all single values
	one := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if agent, ok := h["User-Agent"]; !ok {
		one("User-Agent", userAgent)
	} else if len(agent) == 0 {
		one("User-Agent", "") // net/http reads that as: none
	}
	if _, ok := h["Accept-Encoding"]; !ok && !k.raw && h["Range"] == nil {
		x.decode = true
		if x.request.Method != http.MethodHead { // as net/http: servers get the header of a compressed HEAD wrong
			one("Accept-Encoding", acceptEncoding)
		}
	}
	if x.body != nil && x.body.contentType != "" {
		if _, ok := k.header["Content-Type"]; !ok {
			one("Content-Type", x.body.contentType)
		}
	}
	if user != nil {
		x.request.URL.User = nil
		if _, ok := k.header["Authorization"]; !ok {
			password, _ := user.Password()
			value, err := basic(user.Username(), password)
			if err != nil {
				return err
			}
			one("Authorization", value)
		}
	}
	if own := h["Cookie"]; len(own) > 0 {
		x.cookie = strings.Join(own, "; ")
	}
	if k.cookies != "" {
		x.cookie = strings.TrimPrefix(x.cookie+"; "+k.cookies, "; ")
	}
	for name, values := range h {
		if len(values) == 0 {
			delete(h, name)
		}
	}
	x.dress(h, false)
	return nil
}

// dress adds what belongs to the coming hop alone: cookies, credentials bound to its origin, and the request id when
// that origin may have it. A shared header is copied before it is changed.
func (x *exchange) dress(h http.Header, shared bool) {
	x.added = 0
	here := originOf(x.request.URL)
	set := func(name, value string) {
		if shared {
			h, shared = maps.Clone(h), false
		}
		h[name] = []string{value}
	}
	add := func(field hopFields, name, value string) {
		if _, ok := h[name]; ok || value == "" {
			return
		}
		if _, refused := x.call.header[name]; refused && len(x.response.History) == 0 {
			return // WithHeader(name) without values
		}
		set(name, value)
		x.added |= field
	}
	add(addedAuthorization, "Authorization", x.set.authorization(here))
	if b := x.client.bound; b != nil && (b.RequestID != "" || b.Traceparent != "") && x.set.propagates(here) {
		add(addedRequestID, "X-Request-Id", b.RequestID)
		add(addedTraceparent, "Traceparent", b.Traceparent)
	}
	cookie := x.cookie
	if x.set.Jar != nil {
		cookie = x.jarCookies(cookie)
	}
	if cookie != "" {
		set("Cookie", cookie)
	} else if !shared {
		delete(h, "Cookie")
	}
	x.request.header = h
}

// ownedHeaders are the fields that the client or its transport makes itself. Set by a caller they would be dropped in
// silence or would break the framing.
var ownedHeaders = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "Connection": true,
	"Keep-Alive": true, "Proxy-Connection": true, "Upgrade": true, "Http2-Settings": true,
}

// checkHeader says whether a field can be sent as it is.
func checkHeader(name string, values ...string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return fmt.Errorf("%w: name %q is not a token", ErrHeader, name)
	}
	if ownedHeaders[http.CanonicalHeaderKey(name)] {
		return fmt.Errorf("%w: %s is set by the client itself", ErrHeader, http.CanonicalHeaderKey(name))
	}
	for _, v := range values {
		if !httpguts.ValidHeaderFieldValue(v) {
			// The value may be a secret and stays out of the text.
			return fmt.Errorf("%w: value of %s holds a control byte", ErrHeader, name)
		}
	}
	return nil
}
