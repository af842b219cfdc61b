// SPDX-License-Identifier: MIT

package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// FuzzCookieHeader compares the cookies of a request with those net/http reads,
// which leaves out values that a server is not to set; and what SetCookie sets
// comes back as it was.
func FuzzCookieHeader(f *testing.F) {
	for _, v := range []string{
		"a=b", "a=b; c=d", "a=b;c=d", " a=b ;\tc=d", "a=\"b\"", "a=\"b", "a=\"", "a=\"\"", "a=", "=b", "a", ";;;", "a=b=c", "a=b; a=c", "a b=c", "a=b c", "$Version=1; a=b",
		"a=\x80", "a=b,c", "__Host-a=b", strings.Repeat("a=b; ", 200),
	} {
		f.Add(v, "second=1")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		if !validFieldValue(first) || !validFieldValue(second) || len(first)+len(second) > 4<<10 {
			t.Skip("no values of fields")
		}
		handler := func(r *HTTPRequest) {
			var ours, theirs []string
			for _, c := range r.Cookies() {
				// Whoever asks for one gets the first of that name.
				if v, ok := r.Cookie(c.Name); !ok || len(ours) == 0 && v != c.Value {
					t.Errorf("Cookie(%q) = %q, %v", c.Name, v, ok)
				}
				ours = append(ours, c.Name+"="+c.Value)
			}
			if len(ours) > maxCookies {
				t.Errorf("%d cookies", len(ours))
			}
			known := map[string]int{}
			for _, c := range ours {
				known[c]++
			}
			q := &http.Request{Header: http.Header{"Cookie": r.Header().Values("Cookie")}}
			for _, c := range q.Cookies() {
				theirs = append(theirs, c.Name+"="+c.Value)
				if known[c.Name+"="+c.Value]--; known[c.Name+"="+c.Value] < 0 && !onlyTheirs(first+";"+second, c) && len(ours) < maxCookies {
					t.Errorf("Cookie: %q, %q: net/http has %q, here they are %q", first, second, theirs, ours)
				}
			}
			if c := (&http.Cookie{Name: first, Value: second}); c.Valid() == nil {
				if err := r.SetCookie(c); err != nil {
					t.Errorf("SetCookie(%q, %q) = %v", first, second, err)
				}
			}
		}
		in := fmt.Sprintf("GET / HTTP/1.1\r\nHost: h\r\nCookie: %s\r\ncookie: %s\r\n\r\n", first, second)
		res, _ := answered(t, handler, in, whole)
		for _, c := range res.Cookies() {
			back := fmt.Sprintf("GET / HTTP/1.1\r\nHost: h\r\nCookie: %s\r\n\r\n", (&http.Cookie{Name: c.Name, Value: c.Value, Quoted: c.Quoted}).String())
			answered(t, func(r *HTTPRequest) {
				if v, ok := r.Cookie(first); !ok || v != second {
					t.Errorf("%q was set to %q and came back as %q, %v", first, second, v, ok)
				}
			}, back, whole)
		}
	})
}

// onlyTheirs reports whether net/http reads a cookie from a pair that is none
// (RFC 6265 §4.2.1): one without =, or with space before it.
func onlyTheirs(field string, c *http.Cookie) bool {
	for pair := range strings.SplitSeq(field, ";") {
		name, _, found := strings.Cut(strings.Trim(pair, " \t"), "=")
		if strings.TrimSpace(name) == c.Name && (!found || name != c.Name) {
			return true
		}
	}
	return false
}
