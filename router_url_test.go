// SPDX-License-Identifier: MIT

package pleat

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

type userID int64

func urlTable(t *testing.T) *routeTable {
	t.Helper()
	var r Router
	r.GET("/", nothing).Name("home")
	r.GET("/a b/é", nothing).Name("static")
	r.GET("/users/:id", nothing).Name("user")
	r.GET("/v:major/:topic/x", nothing).Name("version")
	r.GET("/.:x", nothing).Name("dot")
	r.GET("/files/*path", nothing).Name("files")
	admin := r.Group("/admin").Name("admin")
	admin.GET("", nothing).Name("index")
	users := admin.Group("/users").Name("users")
	users.GET("", nothing).Name("index")
	users.GET("/:id", nothing).Name("show")
	table, err := r.build(routeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestURL(t *testing.T) {
	table := urlTable(t)
	for _, tt := range []struct {
		name, want string
		args       []any
	}{
		{"home", "/", nil},
		{"home", "/?a=1&b=x+y%2F", []any{url.Values{"b": {"x y/"}, "a": {"1"}}}},
		{"home", "/", []any{url.Values{}}},
		{"static", "/a%20b/%C3%A9", nil},
		{"user", "/users/7", []any{7}},
		{"user", "/users/7", []any{userID(7)}},
		{"user", "/users/7", []any{uint8(7)}},
		{"user", "/users/true", []any{true}},
		{"user", "/users/1.5", []any{1.5}},
		{"user", "/users/a%2Fb%5C%3F%23%25%20%C3%A9", []any{`a/b\?#% é`}},
		{"user", "/users/...", []any{"..."}},
		{"user", "/users/127.0.0.1", []any{netip.MustParseAddr("127.0.0.1")}},
		{"user", "/users/1s", []any{time.Second}},
		{"user", "/users/7?q=1", []any{7, url.Values{"q": {"1"}}}},
		{"version", "/v2/a..b/x", []any{2, "a..b"}},
		{"files", "/files/a/b%20c", []any{"a/b c"}},
		{"files", "/files/a/b%20c/", []any{"/a/b c/"}},
		{"files", "/files/", []any{"/"}},
		{"admin.index", "/admin", nil},
		{"admin.users.show", "/admin/users/7", []any{7}},
	} {
		got, err := table.urlFor(nil, tt.name, tt.args...)
		if err != nil || got != tt.want {
			t.Errorf("URL(%q, %v) = %q, %v, want %q", tt.name, tt.args, got, err, tt.want)
		}
	}
}

func TestURLErrors(t *testing.T) {
	table := urlTable(t)
	var nilURL *url.URL
	for _, tt := range []struct {
		name, want string
		args       []any
	}{
		{"", "no route has this name", nil},
		{"nobody", "no route has this name", nil},
		{"show", "no route has this name", []any{7}},
		{".show", "no route has this name", []any{7}},
		{"user", "got 0 values for 1 params", nil},
		{"user", "got 2 values for 1 params", []any{7, 8}},
		{"user", "got 0 values for 1 params", []any{url.Values{}}},
		{"user", "got 2 values for 1 params", []any{url.Values{}, 7}},
		{"home", "got 1 values for 0 params", []any{7}},
		{"user", "is empty", []any{""}},
		{"user", "dot segment", []any{"."}},
		{"user", "dot segment", []any{".."}},
		{"user", "NUL", []any{"a\x00"}},
		{"user", "is nil", []any{nil}},
		{"user", "is nil", []any{nilURL}},
		{"user", "has no text", []any{[]int{1}}},
		{"user", "has no text", []any{struct{}{}}},
		{"dot", "dot segment", []any{"."}},
		{"files", "is empty", []any{""}},
		{"files", "empty segment", []any{"a//b"}},
		{"files", "empty segment", []any{"//a"}},
		{"files", "dot segment", []any{"a/../b"}},
		{"files", "dot segment", []any{"a/."}},
	} {
		got, err := table.urlFor(nil, tt.name, tt.args...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("URL(%q, %v) = %q, %v, want error %q", tt.name, tt.args, got, err, tt.want)
		}
	}
	if _, err := table.urlFor(nil, "nobody"); !errors.Is(err, ErrUnknownRoute) {
		t.Errorf("the error of an unknown name is %v", err)
	}
}

func TestURLRelative(t *testing.T) {
	table := urlTable(t)
	show := table.names["admin.users.show"]
	for _, tt := range []struct{ name, want string }{
		{".index", "/admin/users"},
		{"..index", "/admin"},
		{"...home", "/"},
		{"home", "/"},
		{"....home", ""},
		{".home", ""},
		{".", ""},
	} {
		got, err := table.urlFor(show, tt.name)
		if got != tt.want || (tt.want == "") != errors.Is(err, ErrUnknownRoute) {
			t.Errorf("URL(%q) from %s = %q, %v, want %q", tt.name, show.RouteName(), got, err, tt.want)
		}
	}
	if got, err := table.urlFor(table.names["home"], ".user", 7); got != "/users/7" {
		t.Errorf("URL(.user) from home = %q, %v", got, err)
	}
}

// A URL leads back to its route, with the very values it was made of.
func TestURLRoundTrip(t *testing.T) {
	table := urlTable(t)
	rnd := rand.New(rand.NewPCG(3, 0))
	const alphabet = "ab./\\%?#:*;é \x7f\xff+&="
	for range 5000 {
		value := ""
		for range 1 + rnd.IntN(6) {
			i := rnd.IntN(len(alphabet))
			value += alphabet[i : i+1]
		}
		for _, name := range []string{"user", "files"} {
			u, err := table.urlFor(nil, name, value)
			if err != nil {
				continue
			}
			checkLocation(t, u)
			got := table.resolve("GET", u, "")
			want := value
			if name == "files" {
				want = "/" + strings.TrimPrefix(value, "/")
			}
			if got.kind != routeFound || got.route.RouteName() != name || got.params[0].Value != want || got.path != u {
				t.Fatalf("URL(%q, %q) = %q leads to %s", name, value, u, describe(got))
			}
		}
	}
}
