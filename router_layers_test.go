// SPDX-License-Identifier: MIT

package pleat

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/julienschmidt/httprouter"
)

func nothing(*Context) error { return nil }

// tableOf builds the table of "METHOD /pattern" routes; without a method it is GET.
func tableOf(t testing.TB, routes ...string) *routeTable {
	t.Helper()
	table, err := tryTable(routes...)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func tryTable(routes ...string) (*routeTable, error) {
	var r Router
	for _, s := range routes {
		method, path, ok := strings.Cut(s, " /")
		if !ok {
			r.GET(s, nothing)
			continue
		}
		r.Handle(method, "/"+path, nothing)
	}
	return r.build(routeOptions{})
}

// outcome writes a match as "/users/:id id=7".
func outcome(r *Route, params httprouter.Params) string {
	if r == nil {
		return ""
	}
	s := r.Pattern()
	for _, p := range params {
		s += fmt.Sprintf(" %s=%s", p.Key, p.Value)
	}
	return s
}

var exampleRoutes = []string{
	"/", "/login", "/users/me", "/users/:id", "/users/:name/posts", "/users/me/posts", "/users/:id/posts/:post",
	"/api/v1/status", "/static/*f", "/static/app.css", "/:lang/docs", "/*all", "/a/:a/b/:b/c/:c/d/:d/e/:e",
}

func TestLookupMostSpecific(t *testing.T) {
	table := tableOf(t, exampleRoutes...)
	if n := len(table.methods["GET"].layers); n != 4 {
		t.Errorf("the table has %d layers, want 4", n)
	}
	for path, want := range map[string]string{
		"/":                      "/",
		"/login":                 "/login",
		"/users/me":              "/users/me",
		"/users/me/posts":        "/users/me/posts",
		"/static/app.css":        "/static/app.css",
		"/users/7":               "/users/:id id=7",
		"/users/7/posts":         "/users/:name/posts name=7",
		"/users/7/posts/9":       "/users/:id/posts/:post id=7 post=9",
		"/static/x/y":            "/static/*f f=/x/y",
		"/static/":               "/static/*f f=/",
		"/static":                "/*all all=/static",
		"/en/docs":               "/:lang/docs lang=en",
		"/zzz/y":                 "/*all all=/zzz/y",
		"/users//posts":          "/users/:name/posts name=", // resolve never asks for such a path
		"/a/1/b/2/c/3/d/4/e/5":   "/a/:a/b/:b/c/:c/d/:d/e/:e a=1 b=2 c=3 d=4 e=5",
		"/a/1/b/2/c/3/d/4/e/5/6": "/*all all=/a/1/b/2/c/3/d/4/e/5/6",
	} {
		if got := outcome(table.lookup("GET", path)); got != want {
			t.Errorf("lookup(%q) = %q, want %q", path, got, want)
		}
	}
	if r, _ := table.lookup("POST", "/login"); r != nil {
		t.Errorf("lookup of POST found %v", r)
	}
}

// Nothing of this fits into one httprouter, but the last two are mistakes in any router.
func TestConflicts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		routes []string
		reason string // "" = accepted
	}{
		{"static before param", []string{"/users/me", "/users/:id"}, ""},
		{"static after param", []string{"/users/:id", "/users/me"}, ""},
		{"param names", []string{"/users/:id", "/users/:name/posts"}, ""},
		{"catch-all and static", []string{"/*all", "/login"}, ""},
		{"catch-all and its slash", []string{"/static/*f", "/static/"}, ""},
		{"catch-all and params", []string{"/files/*p", "/files/:a/b"}, ""},
		{"param at the root", []string{"/:lang/docs", "/login"}, ""},
		{"catch-all and its root", []string{"/static", "/static/*f"}, ""},
		{"param with slash", []string{"/users/:id", "/users/:id/"}, ""},
		{"param with rest", []string{"/:p", "/:p/*rest"}, ""},
		{"prefix", []string{"/v:ver/x"}, ""},
		{"two prefixes", []string{"/v:ver/x", "/:lang/x", "/vx:b/x"}, ""},
		{"slash", []string{"/x", "/x/"}, ""},
		{"escaped text", []string{"/a b", "/é/:x"}, ""},
		{"methods", []string{"GET /x", "POST /x", "PROPFIND /x", "* /x"}, ""},

		{"twice", []string{"/x", "/x"}, "GET /x conflicts with GET /x: both match /x"},
		{"same shape", []string{"/users/:id", "/users/:name"}, "GET /users/:name conflicts with GET /users/:id: both match /users/x"},
		{"same shape with prefix", []string{"/v:a/b", "/v:b/b"}, "GET /v:b/b conflicts with GET /v:a/b: both match /vx/b"},
		{"two catch-alls", []string{"/a/*x", "/a/*y"}, "GET /a/*y conflicts with GET /a/*x: both match /a/x/x"},
		{"two spellings", []string{"/é", "/%C3%A9"}, "GET /%C3%A9 conflicts with GET /é: both match /%C3%A9"},
		{"any twice", []string{"* /x", "* /x"}, "* /x conflicts with * /x: both match /x"},
		{"all of them", []string{"/x", "/x", "/y", "/y"}, "GET /x conflicts with GET /x: both match /x\nGET /y conflicts with GET /y: both match /y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tryTable(tt.routes...)
			got := ""
			if err != nil {
				got = withoutSites(err)
			}
			if got != tt.reason {
				t.Errorf("build(%q): got error %q, want %q", tt.routes, got, tt.reason)
			}
		})
	}
}

// withoutSites takes what varies out of the text of joined RouteErrors.
func withoutSites(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "pleat: route ")
		for {
			i := strings.IndexByte(line, '(')
			j := strings.IndexByte(line, ')')
			if i < 0 || j < i {
				break
			}
			line = strings.TrimSpace(line[:i]) + line[j+1:]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestConflictNamesBothSites(t *testing.T) {
	var r Router
	first := r.GET("/users/:id", nothing)
	second := r.GET("/users/:name", nothing)
	_, err := r.build(routeOptions{})
	want := fmt.Sprintf("pleat: route GET /users/:name (%s) conflicts with GET /users/:id (%s): both match /users/x", second.Site(), first.Site())
	if err == nil || err.Error() != want {
		t.Errorf("build: got %v, want %s", err, want)
	}
	var re *RouteError
	if !errors.As(err, &re) || re.Other != first || re.Path != "/users/x" {
		t.Errorf("build: got %#v", re)
	}
}

func TestParamPrefix(t *testing.T) {
	table := tableOf(t, "/v:ver/x", "/:lang/x", "/vx:b/x", "/v:ver", "/va", "/v/:p", "/:a/w:b", "/v:a/:b")
	for path, want := range map[string]string{
		"/v1/x":  "/v:ver/x ver=1",
		"/vxy/x": "/vx:b/x b=y",
		"/vx/x":  "/v:ver/x ver=x",
		"/v/x":   "/v/:p p=x",
		"/en/x":  "/:lang/x lang=en",
		"/va":    "/va",
		"/vb":    "/v:ver ver=b",
		"/v":     "",
		"/v1/w2": "/v:a/:b a=1 b=w2", // equal kinds: the leftmost prefix decides
		"/u1/w2": "/:a/w:b a=u1 b=2",
		"/u1/w":  "",
		"/v1/":   "",
	} {
		if got := outcome(table.lookup("GET", path)); got != want {
			t.Errorf("lookup(%q) = %q, want %q", path, got, want)
		}
	}
	if got := outcome(tableOf(t, "/v:ver/x", "/:lang/x").lookup("GET", "/v/x")); got != "/:lang/x lang=v" {
		t.Errorf("a prefix alone matched a param: %q", got)
	}
}

func TestAny(t *testing.T) {
	table := tableOf(t, "* /x", "GET /x", "* /any/:id", "POST /*all", "HEAD /head", "* /head")
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/x", "GET /x"},
		{"HEAD", "/x", "GET /x"},
		{"POST", "/x", "* /x"},
		{"BREW", "/x", "* /x"},
		{"POST", "/any/7", "* /any/:id"}, // more specific than POST /*all
		{"POST", "/other", "POST /*all"},
		{"GET", "/head", "* /head"},
		{"HEAD", "/head", "HEAD /head"},
		{"HEAD", "/any/7", "* /any/:id"},
		{"OPTIONS", "/any/7", "* /any/:id"},
	} {
		got := table.resolve(tt.method, tt.path, "")
		if got.kind != routeFound || got.route.String() != tt.want {
			t.Errorf("resolve(%s %s) = %+v, want %s", tt.method, tt.path, got, tt.want)
		}
	}
}

func TestParamLimit(t *testing.T) {
	pattern := ""
	for i := range maxPatternParams {
		pattern += fmt.Sprintf("/:p%d", i)
	}
	path := strings.Repeat("/x", maxPatternParams)
	r, params := tableOf(t, pattern, "/:p0/:p1").lookup("GET", path)
	if r == nil || len(params) != maxPatternParams {
		t.Errorf("a pattern with %d params: got %v, %d params", maxPatternParams, r, len(params))
	}
	if _, err := tryTable(pattern + "/:more"); err == nil {
		t.Errorf("a pattern with %d params was accepted", maxPatternParams+1)
	}
}
