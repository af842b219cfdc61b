// SPDX-License-Identifier: MIT

package client_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pleat-go/pleat/client"
)

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestJar(t *testing.T) {
	for _, tt := range []struct {
		name, from, set, to string
		want                string
	}{
		{"plain", "https://a.example/", "a=1", "https://a.example/", "a=1"},
		{"supercookie", "https://evil.co.uk/", "a=1; Domain=co.uk", "https://bank.co.uk/", ""},
		{"supercookie at home", "https://evil.co.uk/", "a=1; Domain=co.uk", "https://evil.co.uk/", ""},
		{"foreign domain", "https://evil.example/", "a=1; Domain=bank.example", "https://bank.example/", ""},
		{"domain suffix without dot", "https://evilbank.example/", "a=1; Domain=bank.example", "https://bank.example/", ""},
		{"__Host- with Domain", "https://evil.co.uk/", "__Host-x=1; Secure; Path=/; Domain=evil.co.uk", "https://evil.co.uk/", ""},
		{"__Host- without Secure", "https://a.example/", "__Host-x=1; Path=/", "https://a.example/", ""},
		{"__Host- with a path", "https://a.example/p/", "__Host-x=1; Secure; Path=/p", "https://a.example/p/", ""},
		{"__host- in small letters", "https://a.example/", "__host-x=1; Path=/", "https://a.example/", ""},
		{"__Host- as it must be", "https://a.example/", "__Host-x=1; Secure; Path=/", "https://a.example/", "__Host-x=1"},
		{"__Secure- without Secure", "https://evil.co.uk/", "__Secure-y=1", "https://evil.co.uk/", ""},
		{"__Secure- from http", "http://a.example/", "__Secure-y=1; Secure", "https://a.example/", ""},
		{"__Secure- as it must be", "https://a.example/", "__Secure-y=1; Secure", "https://a.example/", "__Secure-y=1"},
		{"Secure from http", "http://a.example/", "a=1; Secure", "https://a.example/", ""},
		{"Secure to http", "https://a.example/", "a=1; Secure", "http://a.example/", ""},
		{"path", "https://a.example/x/y", "a=1", "https://a.example/xy", ""},
		{"too large", "https://a.example/", "a=" + strings.Repeat("x", 4096), "https://a.example/", ""},
		{"subdomain", "https://www.a.example/", "a=1; Domain=a.example", "https://api.a.example/", "a=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := client.NewJar()
			set := (&http.Response{Header: http.Header{"Set-Cookie": {tt.set}}}).Cookies()
			j.SetCookies(mustURL(t, tt.from), set)
			var got []string
			for _, c := range j.Cookies(mustURL(t, tt.to)) {
				got = append(got, c.Name+"="+c.Value)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}

// TestJarIsBounded sets many cookies and makes sure that deleting and expiry make room again.
func TestJarIsBounded(t *testing.T) {
	j := client.NewJar()
	set := func(host, name string, maxAge int) {
		j.SetCookies(mustURL(t, "https://"+host+"/"), []*http.Cookie{nil, {Name: name, Value: "1", Path: "/", MaxAge: maxAge}})
	}
	has := func(host, name string) bool {
		return slices.ContainsFunc(j.Cookies(mustURL(t, "https://"+host+"/")), func(c *http.Cookie) bool { return c.Name == name })
	}
	for i := range 200 {
		set(fmt.Sprintf("h%d.flood.example", i%7), fmt.Sprint("c", i), 0)
	}
	total := 0
	for i := range 7 {
		total += len(j.Cookies(mustURL(t, fmt.Sprintf("https://h%d.flood.example/", i))))
	}
	if total != 180 {
		t.Errorf("one site keeps %d cookies, want 180", total)
	}
	set("h0.flood.example", "c0", 0) // a cookie known already is not a new one
	set("h0.flood.example", "c0", -1)
	set("h0.flood.example", "new", 0)
	if has("h0.flood.example", "c0") || !has("h0.flood.example", "new") {
		t.Error("deleting a cookie made no room")
	}
	for i := range 4000 {
		set(fmt.Sprintf("s%d.example", i), "c", 0)
	}
	if !has("s2000.example", "c") || has("s3999.example", "c") {
		t.Error("the jar is not bounded")
	}
	if set("other.test", "c", 0); has("other.test", "c") {
		t.Error("a full jar took a cookie")
	}
}

// TestJarExpiry fills a site with cookies that run out, which makes room again.
func TestJarExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := client.NewJar()
		u := mustURL(t, "https://a.example/deep/page")
		for i := range 180 {
			c := &http.Cookie{Name: fmt.Sprint("c", i), Value: "1", MaxAge: 60}
			if i%2 == 0 {
				c = &http.Cookie{Name: c.Name, Value: "1", Domain: ".A.example", Expires: time.Now().Add(time.Minute)}
			}
			j.SetCookies(u, []*http.Cookie{c})
		}
		j.SetCookies(u, []*http.Cookie{{Name: "more", Value: "1"}})
		if n := len(j.Cookies(u)); n != 180 {
			t.Errorf("%d cookies, want 180", n)
		}
		time.Sleep(2 * time.Minute)
		j.SetCookies(u, []*http.Cookie{{Name: "more", Value: "1"}})
		if cs := j.Cookies(u); len(cs) != 1 || cs[0].Name != "more" {
			t.Errorf("after they ran out: %v", cs)
		}
		if cs := j.Cookies(mustURL(t, "https://a.example/elsewhere")); len(cs) != 0 {
			t.Errorf("default path: %v", cs)
		}
	})
}
