// SPDX-License-Identifier: MIT

package client

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"
)

func TestResolve(t *testing.T) {
	for _, tt := range []struct{ base, in, want string }{ // want "" is ErrURL
		{"", "http://h/a?b#c", "http://h/a?b#c"},
		{"", "HTTP://H:8080", "http://H:8080"},
		{"", "http://h:/a", "http://h/a"},
		{"", "http://h/?a b", "http://h/?a%20b"},
		{"", "http://h/a b", "http://h/a%20b"},
		{"", "http://h/ü?ü", "http://h/%C3%BC?%C3%BC"},
		{"", "http://[::1]:80/", "http://[::1]:80/"},
		{"", "", ""},
		{"", "/a", ""},
		{"", "h/a", ""},
		{"", "//h/a", ""},
		{"", "http:///a", ""},
		{"", "http://", ""},
		{"", "http://:80/", ""},
		{"", "http:h", ""},
		{"", "ftp://h/", ""},
		{"", "app://self/", ""},
		{"", "javascript:alert(1)", ""},
		{"", "http://h:0/", ""},
		{"", "http://h:65536/", ""},
		{"", "http://h:x/", ""},
		{"", "http://h:-1/", ""},
		{"", "http://h/%zz", ""},
		{"", "http://h/?%", ""},
		{"", "http://h/?%a", ""},
		{"", "http://h/\r\nX: y", ""},
		{"", "http://h/?\x00", ""},
		{"", "http://h/\x7f", ""},
		{"", " http://h/", ""},
		{"", "http://exa mple/", ""},
		{"", "http://ex<ample/", ""},
		{"", `http://ex"ample/`, ""},
		{"", "http://ex%41mple/", ""},
		{"", "http://a@b@c/", "http://a%40b@c/"},
		{"", "http://./", ""},
		{"", "http://h../", ""},
		{"", "http://.h/", ""},
		{"", "http://[::1/", ""},
		{"", "http://[fe80::zz]/", ""},
		{"", "http://[fe80::1%25eth0]/", "http://[fe80::1%25eth0]/"},
		{"", "http://[fe80::1%25%20]/", ""},
		{"http://h/v1/", "users", "http://h/v1/users"},
		{"http://h/v1", "/users?a=1#f", "http://h/v1/users?a=1#f"},
		{"http://h/v1", "", "http://h/v1"},
		{"http://h/v1/", "?a=1", "http://h/v1/?a=1"},
		{"http://h", "a%2Fb/", "http://h/a%2Fb/"},
		{"http://h", "https://other/x", "https://other/x"},
		{"http://h", "//evil/x", ""},
		{"http://h", "///x", ""},
		{"http://h/v1", "../admin", ""},
		{"http://h/v1", "users/..%2f..%2fadmin", ""},
		{"http://h/v1", "users/%2e%2E/admin", ""},
		{"http://h/v1", "mailto:x", ""},
	} {
		c := &HTTPClient{BaseURL: tt.base}
		u, err := c.settings().resolve(tt.in)
		switch {
		case tt.want == "":
			if !errors.Is(err, ErrURL) {
				t.Errorf("resolve(%q, %q) = %v, %v, want ErrURL", tt.base, tt.in, u, err)
			}
		case err != nil || u.String() != tt.want:
			t.Errorf("resolve(%q, %q) = %v, %v, want %s", tt.base, tt.in, u, err, tt.want)
		}
	}
}

// failing is a transport that never gets through.
type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }

// TestURLErrorsKeepSecrets makes sure that no part of an address that may be a password gets into an error.
func TestURLErrorsKeepSecrets(t *testing.T) {
	c := &HTTPClient{Transport: failing{}}
	for _, in := range []string{
		"http://user:hunter2@h:0/", "http://user:hunter2@h /", "http://user:hunter2/x@h/", "ftp://user:hunter2@h/",
		"http://h/?token=hunter2%", "http://user:hunter2%zz@h/", "http://user:hunter2@h/?hunter2#hunter2",
	} {
		if _, err := c.Get(in).Bytes(); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Get(%q): %v", in, err)
		}
	}
}

func FuzzLocation(f *testing.F) {
	for _, s := range []string{
		"/land", "land", "//h/x", "?q", "#f", "", "http://[::1%25.www.example.com]/x", "https://EXAMPLE.com.:443/x", "http:x", "http:///x",
		"ftp://127.0.0.1/x", "file:///etc/passwd", "javascript:alert(1)", "http://exa mple/%zz", "http://user:pass@a/land",
		"http://a:b@c:d@e/", "\\\\evil\\x", "/\\evil", "http://h/\r\nX: y", "http://h?a b\"<>", "http://bücher.example/ü?ü", "http://h:065536/",
		"http://h:/", "HTTPS://H:00443/", "/%2e%2e/x", "http://h/%", "http://.", "http://[v1.x]/", "/a;b=c,d|e^f`g",
	} {
		f.Add("http://example.com/dir/page?x=1#frag", s)
	}
	f.Fuzz(func(t *testing.T, base, location string) {
		from, err := parseURL(base)
		if err != nil {
			t.Skip()
		}
		u, err := followLocation(from, location)
		if err != nil {
			if !errors.Is(err, ErrURL) {
				t.Errorf("followLocation(%q): %v is not ErrURL", location, err)
			}
			return
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Opaque != "" {
			t.Fatalf("followLocation(%q) = %#v", location, u)
		}
		// What goes into the request line is visible ASCII without spaces, whatever came in.
		if uri := u.RequestURI(); strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || uri[0] != '/' {
			t.Errorf("request target %q", uri)
		}
		o := originOf(u)
		if o.port == 0 || o.host == "" || !httpguts.ValidHostHeader(o.host) && !strings.Contains(o.host, "%") {
			t.Errorf("origin %+v", o)
		}
		if host, ok := canonicalHost(o.host); !ok || host != o.host {
			t.Errorf("canonicalHost(%q) = %q, %v", o.host, host, ok)
		}
		// A second reading of the address leads to the same place.
		again, err := parseURL(u.String())
		if err != nil || originOf(again) != o || again.RequestURI() != u.RequestURI() {
			t.Errorf("%q reads again as %v, %v", u, again, err)
		}
		// And so does what the standard library makes of it.
		std, err := url.Parse(u.String())
		if err != nil || std.Hostname() != u.Hostname() || std.Port() != u.Port() {
			t.Errorf("net/url reads %q as %v, %v", u, std, err)
		}
	})
}

func FuzzOrigin(f *testing.F) {
	f.Add("http://example.com", "http://EXAMPLE.com.:80/x")
	f.Add("http://example.com", "https://example.com")
	f.Add("http://[::1]", "http://[0:0::1]:80")
	f.Fuzz(func(t *testing.T, a, b string) {
		ua, err := parseURL(a)
		if err != nil {
			t.Skip()
		}
		ub, err := parseURL(b)
		if err != nil {
			t.Skip()
		}
		oa, ob := originOf(ua), originOf(ub)
		if !oa.same(oa) {
			t.Errorf("%+v is not the same as itself", oa)
		}
		if oa.same(ob) && oa.host != ob.host {
			t.Errorf("%+v and %+v are the same", oa, ob)
		}
		if oa.same(ob) && ob.same(oa) && oa != ob {
			t.Errorf("%+v and %+v are the same in both directions: a downgrade", oa, ob)
		}
	})
}
