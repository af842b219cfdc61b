// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCookieAttributes(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	tests := []struct {
		name   string
		cookie string
		secure bool
		opts   []CookieOption
		want   string
	}{
		{"default", "n", false, nil, "n=v; Path=/; Expires=Tue, 31 Mar 2026 11:00:00 GMT; Max-Age=2592000; HttpOnly; SameSite=Lax"},
		{"nil option", "n", false, []CookieOption{nil}, "n=v; Path=/; Expires=Tue, 31 Mar 2026 11:00:00 GMT; Max-Age=2592000; HttpOnly; SameSite=Lax"},
		{"secure", "n", true, nil, "n=v; Path=/; Expires=Tue, 31 Mar 2026 11:00:00 GMT; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"},
		{"insecure", "n", true, []CookieOption{Insecure(), WithMaxAge(-1)}, "n=v; Path=/; HttpOnly; SameSite=Lax"},
		{"for scripts", "n", true, []CookieOption{ReadableByScripts(), WithMaxAge(-1)}, "n=v; Path=/; Secure; SameSite=Lax"},
		{"path and domain", "n", false, []CookieOption{WithPath("/a"), WithDomain("example.com"), WithMaxAge(-1)}, "n=v; Path=/a; Domain=example.com; HttpOnly; SameSite=Lax"},
		{"strict", "n", false, []CookieOption{WithSameSite(http.SameSiteStrictMode), WithMaxAge(-1)}, "n=v; Path=/; HttpOnly; SameSite=Strict"},
		{"none", "n", true, []CookieOption{WithSameSite(http.SameSiteNoneMode), WithMaxAge(-1)}, "n=v; Path=/; HttpOnly; Secure; SameSite=None"},
		{"left out", "n", false, []CookieOption{WithSameSite(http.SameSiteDefaultMode), WithMaxAge(-1)}, "n=v; Path=/; HttpOnly"},
		{"a minute", "n", false, []CookieOption{WithMaxAge(time.Minute)}, "n=v; Path=/; Expires=Sun, 01 Mar 2026 11:01:00 GMT; Max-Age=60; HttpOnly; SameSite=Lax"},
		{"a nanosecond", "n", false, []CookieOption{WithMaxAge(1)}, "n=v; Path=/; Expires=Sun, 01 Mar 2026 11:00:01 GMT; Max-Age=1; HttpOnly; SameSite=Lax"},
		{"zero is the default", "n", false, []CookieOption{WithMaxAge(time.Hour), WithMaxAge(0)}, "n=v; Path=/; Expires=Tue, 31 Mar 2026 11:00:00 GMT; Max-Age=2592000; HttpOnly; SameSite=Lax"},
		{"longest", "n", false, []CookieOption{WithMaxAge(math.MaxInt64)}, "n=v; Path=/; Expires=Mon, 05 Apr 2027 11:00:00 GMT; Max-Age=34560000; HttpOnly; SameSite=Lax"},
		{"__Host-", "__Host-n", true, []CookieOption{WithMaxAge(-1)}, "__Host-n=v; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{"__Secure-", "__Secure-n", true, []CookieOption{WithMaxAge(-1), WithDomain("example.com")}, "__Secure-n=v; Path=/; Domain=example.com; HttpOnly; Secure; SameSite=Lax"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := newCookieOptions(tt.opts).cookie(tt.cookie, "v", tt.secure, now)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.String(); got != tt.want {
				t.Errorf("cookie = %s\nwant     %s", got, tt.want)
			}
		})
	}
}

func TestCookieAttributesRefused(t *testing.T) {
	tests := []struct {
		name   string
		cookie string
		secure bool
		opts   []CookieOption
		want   string
	}{
		{"no name", "", true, nil, "Name"},
		{"name with =", "a=b", true, nil, "Name"},
		{"name with line break", "a\r\nb", true, nil, "Name"},
		{"path with ;", "n", true, []CookieOption{WithPath("/;Secure")}, "Path"},
		{"relative path", "n", true, []CookieOption{WithPath("a")}, "slash"},
		{"path with line break", "n", true, []CookieOption{WithPath("/\r\nX: y")}, "Path"},
		{"bad domain", "n", true, []CookieOption{WithDomain("exa mple")}, "Domain"},
		{"domain with ;", "n", true, []CookieOption{WithDomain("a;b")}, "Domain"},
		{"SameSite=None in the clear", "n", false, []CookieOption{WithSameSite(http.SameSiteNoneMode)}, "SameSite=None needs Secure"},
		{"SameSite=None, insecure", "n", true, []CookieOption{WithSameSite(http.SameSiteNoneMode), Insecure()}, "SameSite=None needs Secure"},
		{"unknown SameSite", "n", true, []CookieOption{WithSameSite(99)}, "unknown SameSite"},
		{"__Host- in the clear", "__Host-n", false, nil, "__Host-"},
		{"__Host- insecure", "__Host-n", true, []CookieOption{Insecure()}, "__Host-"},
		{"__Host- with domain", "__Host-n", true, []CookieOption{WithDomain("example.com")}, "__Host-"},
		{"__Host- with path", "__Host-n", true, []CookieOption{WithPath("/a")}, "__Host-"},
		{"__host- in lower case", "__host-n", false, nil, "__Host-"},
		{"__Secure- in the clear", "__Secure-n", false, nil, "__Secure-"},
		{"__SECURE- insecure", "__SECURE-n", true, []CookieOption{Insecure()}, "__Secure-"},
		{"__Http- for scripts", "__Http-n", true, []CookieOption{ReadableByScripts()}, "__Http-"},
		{"__Host-Http- for scripts", "__Host-Http-n", true, []CookieOption{ReadableByScripts()}, "__Host-Http-"},
	}
	k := testKeys(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := k.Cookie(tt.cookie, "v", tt.secure, tt.opts...)
			if c != nil || !errors.Is(err, ErrInvalidCookie) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Cookie = %v, %v, want ErrInvalidCookie with %q", c, err, tt.want)
			}
			if tt.secure {
				if _, err := k.Encode(tt.cookie, "v", tt.opts...); !errors.Is(err, ErrInvalidCookie) {
					t.Errorf("Encode: %v, want ErrInvalidCookie", err)
				}
			}
		})
	}
}

func TestCookieKeysCookie(t *testing.T) {
	k := testKeys(t)
	c, err := k.Cookie("n", testUser{ID: 7}, true, WithEncryption(), WithMaxAge(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := http.ParseSetCookie(c.String())
	if err != nil {
		t.Fatal(err)
	}
	if !parsed.Secure || !parsed.HttpOnly || parsed.MaxAge != 3600 || parsed.SameSite != http.SameSiteLaxMode || parsed.Path != "/" {
		t.Errorf("Set-Cookie: %v", parsed)
	}
	var u testUser
	if err := k.Decode("n", parsed.Value, &u, WithEncryption()); err != nil || u.ID != 7 {
		t.Errorf("Decode = %+v, %v", u, err)
	}
	if _, err := k.Cookie("n", strings.Repeat("x", 5000), true); !errors.Is(err, ErrCookieTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestExpiredCookie(t *testing.T) {
	c := expiredCookie("n", true, WithPath("/a"), WithDomain("example.com"), WithMaxAge(time.Hour))
	if got, want := c.String(), "n=; Path=/a; Domain=example.com; Max-Age=0; HttpOnly; Secure; SameSite=Lax"; got != want {
		t.Errorf("cookie = %s\nwant     %s", got, want)
	}
}
