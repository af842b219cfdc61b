// SPDX-License-Identifier: MIT

package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pleat-go/pleat/server"
)

func TestCookiesIn(t *testing.T) {
	tests := []struct{ name, fields, want string }{
		{"none", "", ""},
		{"one", "Cookie: a=1\r\n", "a=1"},
		{"several", "Cookie: a=1; b=2;c=3;  d=4 \r\n", "a=1 b=2 c=3 d=4"},
		{"over lines", "Cookie: a=1\r\nX: y\r\ncookie: b=2\r\n", "a=1 b=2"},
		{"repeated", "Cookie: a=1; a=2\r\n", "a=1 a=2"},
		{"quoted", "Cookie: a=\"x y\"; b=\"\"; c=\"\r\n", "a=x y b= c=\""},
		{"empty value", "Cookie: a=; b\r\n", "a="},
		{"equals signs", "Cookie: a=b=c==\r\n", "a=b=c=="},
		{"no names", "Cookie: =1; ; a b=2; c=3\r\n", "c=3"},
		{"too many", "Cookie: " + strings.Repeat("a=1; ", 200) + "z=1\r\n", strings.TrimSpace(strings.Repeat("a=1 ", 128))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ask(t, &server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\n"+tt.fields+"\r\n", func(r *server.HTTPRequest) {
				var got []string
				first := map[string]string{}
				for _, c := range r.Cookies() {
					got = append(got, c.Name+"="+c.Value)
					if _, has := first[c.Name]; !has {
						first[c.Name] = c.Value
					}
				}
				if g := strings.Join(got, " "); g != tt.want {
					t.Errorf("Cookies() = %q, want %q", g, tt.want)
				}
				for name, want := range first {
					if v, ok := r.Cookie(name); v != want || !ok {
						t.Errorf("Cookie(%q) = %q, %v", name, v, ok)
					}
				}
				if v, ok := r.Cookie("none"); v != "" || ok {
					t.Errorf("Cookie(none) = %q, %v", v, ok)
				}
			})
		})
	}
}

func TestCookiesOut(t *testing.T) {
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		set := func(c *http.Cookie) {
			t.Helper()
			must(t, r.SetCookie(c))
		}
		set(&http.Cookie{Name: "a", Value: "1"})
		set(&http.Cookie{Name: "a", Value: "2", Path: "/x"})
		set(&http.Cookie{Name: "b", Value: "3"})
		set(&http.Cookie{Name: "a", Value: "4"}) // replaces the first
		set(&http.Cookie{Name: "a", Value: "5", Domain: "example.com"})
		for _, bad := range []*http.Cookie{nil, {}, {Name: "a b", Value: "x"}, {Name: "a", Value: "x;y"}, {Name: "a", Value: "x", Domain: "a b"}} {
			if err := r.SetCookie(bad); err == nil {
				t.Errorf("SetCookie(%v) went through", bad)
			}
		}
		must(t, r.ClearCookie("gone"))
		if n := len(r.CookiesOut()); n != 5 {
			t.Errorf("CookiesOut() = %q", r.CookiesOut())
		}
		ok(r)
	}))
	c.get("/")
	got := c.wantAnswer(200, "ok").Header["Set-Cookie"]
	want := []string{"a=2; Path=/x", "b=3", "a=4", "a=5; Domain=example.com"}
	if len(got) != 5 || fmt.Sprint(got[:4]) != fmt.Sprint(want) || !strings.HasPrefix(got[4], "gone=; Path=/; Expires=") || !strings.Contains(got[4], "Max-Age=0") {
		t.Errorf("Set-Cookie: %q", got)
	}
}

func TestSecureCookies(t *testing.T) {
	secret := bytes.Repeat([]byte("k"), 32)
	other := bytes.Repeat([]byte("o"), 32)
	type account struct{ ID int }
	addr := start(t, &server.HTTPServer{CookieSecrets: [][]byte{secret}, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		switch r.Path() {
		case "/set":
			must(t, r.SetSecureCookie("text", "hello"))
			must(t, r.SetSecureCookie("json", account{7}, server.WithEncryption()))
			if err := r.SetSecureCookie("big", strings.Repeat("x", 10_000)); !errors.Is(err, server.ErrCookieTooLarge) {
				t.Errorf("a cookie that is too large: %v", err)
			}
		case "/get":
			var s string
			must(t, r.SecureCookie("text", &s))
			var a account
			must(t, r.SecureCookie("json", &a))
			b, ok := r.GetSecureCookie("text")
			_ = r.SendString(200, text, fmt.Sprint(s, " ", a.ID, " ", string(b), " ", ok))
		case "/bad":
			var s string
			err := r.SecureCookie("text", &s)
			_, ok := r.GetSecureCookie("text")
			_ = r.SendString(200, text, fmt.Sprint(errors.Is(err, server.ErrCookieTampered), errors.Is(err, server.ErrNoCookie), ok, s))
		case "/other":
			keys, err := server.NewCookieKeys(other)
			must(t, err)
			before := r.CookieKeys()
			r.SetCookieKeys(keys)
			if r.CookieKeys() != keys || before == keys || before == nil {
				t.Error("SetCookieKeys changed nothing")
			}
			var s string
			if err := r.SecureCookie("text", &s); !errors.Is(err, server.ErrCookieTampered) {
				t.Errorf("a cookie of other keys: %v", err)
			}
		}
	})})
	c := dial(t, addr)
	c.get("/set")
	var pairs []string
	for _, cookie := range c.wantStatus(200).Cookies() {
		pairs = append(pairs, cookie.Name+"="+cookie.Value)
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Secure || cookie.MaxAge != 30*24*3600 {
			t.Errorf("cookie %+v", cookie)
		}
	}
	jar := strings.Join(pairs, "; ")
	with := func(path, cookies, want string) {
		t.Helper()
		c.send("GET %s HTTP/1.1\r\nHost: h\r\nCookie: %s\r\n\r\n", path, cookies)
		c.wantAnswer(200, want)
	}
	with("/get", jar, "hello 7 hello true")
	with("/other", jar, "")
	with("/get", jar, "hello 7 hello true") // the other keys were for one request
	with("/bad", "text=forged", "true false false")
	with("/bad", "x=y", "false true false")
	with("/bad", pairs[0]+"; "+pairs[0], "false true false") // tossed from a sibling domain

	ask(t, &server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\n\r\n", func(r *server.HTTPRequest) {
		var s string
		if r.CookieKeys() != nil || !errors.Is(r.SetSecureCookie("a", "b"), server.ErrNoCookieSecret) || !errors.Is(r.SecureCookie("a", &s), server.ErrNoCookieSecret) {
			t.Error("signed cookies without secrets")
		}
	})
}
