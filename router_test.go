// SPDX-License-Identifier: MIT

package pleat

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// listing is the routes of a router as "GET /x name".
func listing(routes []*Route) (list []string) {
	for _, r := range routes {
		list = append(list, strings.TrimSpace(r.String()+" "+r.RouteName()))
	}
	return list
}

func TestRegistration(t *testing.T) {
	var r Router
	r.GET("/get", nothing)
	r.HEAD("/head", nothing)
	r.POST("/post", nothing)
	r.PUT("/put", nothing)
	r.PATCH("/patch", nothing)
	r.DELETE("/delete", nothing)
	r.OPTIONS("/options", nothing)
	r.Handle("QUERY", "/query", nothing)
	r.Any("/any", nothing)
	want := []string{
		"GET /get", "HEAD /head", "POST /post", "PUT /put", "PATCH /patch", "DELETE /delete", "OPTIONS /options", "QUERY /query", "* /any",
	}
	if got := listing(r.Routes()); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Routes() = %q, want %q", got, want)
	}
	table, err := r.build(routeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, rt := range r.Routes() {
		if found, _ := table.lookup(rt.Method(), rt.Pattern()); found != rt {
			t.Errorf("lookup of %s found %v", rt, found)
		}
	}
}

func TestGroups(t *testing.T) {
	shop := NewGroup("/shop").Name("shop")
	shop.GET("/", nothing).Name("index")
	item := shop.GET("/:item", nothing).Name("item")
	if got := item.Pattern(); got != "/shop/:item" {
		t.Errorf("in a group of its own: Pattern() = %q", got)
	}
	var bare Group
	bare.GET("/bare", nothing)

	var r Router
	api := r.Group("/api/").Name("api")
	v1 := api.Group("/v1").Name("v1")
	user := v1.GET("/users/:id", nothing).Name("user")
	v1.GET("", nothing)
	v1.GET("/", nothing)
	v1.Mount("", shop)
	r.GET("/last", nothing)
	slash := r.Group("/")
	slash.GET("", nothing)
	slash.GET("/slash", nothing)
	r.Mount("/a/", shop)
	r.Mount("/b", &bare)
	r.Mount("/c", &bare)
	r.Group("/d").Name("other").Mount("/v0", v1)
	bare.GET("/later", nothing)

	if got := user.Pattern(); got != "/api/v1/users/:id" {
		t.Errorf("Pattern() = %q before the start", got)
	}
	if got := user.RouteName(); got != "user" {
		t.Errorf("RouteName() = %q before the start", got)
	}
	table, err := r.build(routeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GET /api/v1/users/:id api.v1.user",
		"GET /api/v1",
		"GET /api/v1/",
		"GET /api/v1/shop/ api.v1.shop.index",
		"GET /api/v1/shop/:item api.v1.shop.item",
		"GET /last",
		"GET /",
		"GET /slash",
		"GET /a/shop/ shop.index",
		"GET /a/shop/:item shop.item",
		"GET /b/bare",
		"GET /b/later",
		"GET /c/bare",
		"GET /c/later",
		"GET /d/v0/v1/users/:id other.v1.user",
		"GET /d/v0/v1",
		"GET /d/v0/v1/",
		"GET /d/v0/v1/shop/ other.v1.shop.index",
		"GET /d/v0/v1/shop/:item other.v1.shop.item",
	}
	if got := listing(table.routes); !slices.Equal(got, want) {
		t.Errorf("the routes are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if found, _ := table.lookup("GET", "/api/v1/users/7"); found != user {
		t.Errorf("what GET returned is not what is served: %v", found)
	}
	if got := item.Pattern(); got != "/shop/:item" || item.RouteName() != "item" {
		t.Errorf("a mounted route changed: %s %s", item, item.RouteName())
	}
	if got := r.Routes(); !slices.Equal(got, table.routes) {
		t.Errorf("Routes() = %q after the start", listing(got))
	}
}

// trace is a middleware that says its name on the way in.
func trace(said *[]string, name string) Middleware {
	return func(next Handler) Handler {
		return func(c *Context) error {
			*said = append(*said, name)
			return next(c)
		}
	}
}

func TestMiddlewareOrder(t *testing.T) {
	var said []string
	m := func(name string) Middleware { return trace(&said, name) }
	var r Router
	r.Use(m("app")) // is not part of the chain of a route
	outer := r.Group("/o", m("outer"))
	inner := outer.Group("/i", m("inner"))
	a := inner.GET("/a", nothing, m("a1"), m("a2"))
	b := inner.GET("/b", nothing)
	inner.Use(m("used late"))
	outer.Use(m("outer late"))
	module := NewGroup("/m", m("module"))
	module.GET("/x", nothing, m("x"))
	inner.Mount("", module)
	c := outer.GET("/c", nothing, m("c"))

	table, err := r.build(routeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x, _ := table.lookup("GET", "/o/i/m/x")
	for _, tt := range []struct {
		route *Route
		want  string
	}{
		{a, "outer, outer late, inner, used late, a1, a2"},
		{b, "outer, outer late, inner, used late"},
		{c, "outer, outer late, c"},
		{x, "outer, outer late, inner, used late, module, x"},
	} {
		said = nil
		if err := compose(tt.route.handler, tt.route.middleware...)(nil); err != nil {
			t.Error(err)
		}
		if got := strings.Join(said, ", "); got != tt.want {
			t.Errorf("%s runs %s, want %s", tt.route, got, tt.want)
		}
	}
}

func TestComposeRefusesNothing(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "returned no handler") {
			t.Errorf("compose panicked with %v", err)
		}
	}()
	compose(nothing, func(Handler) Handler { return nil })
}

// Nothing panics before the start; everything that is wrong is reported together.
func TestBuildErrors(t *testing.T) {
	for _, tt := range []struct {
		name     string
		register func(r *Router)
		want     []string // in order, without sites
	}{
		{"no handler", func(r *Router) { r.GET("/x", nil) }, []string{"GET /x has no handler"}},
		{"nil middleware", func(r *Router) { r.GET("/x", nothing, nil) }, []string{"GET /x has a middleware that is nil"}},
		{"nil group middleware", func(r *Router) { r.Group("/g", nil).GET("/x", nothing) }, []string{"GET /g/x has a middleware that is nil"}},
		{"empty pattern", func(r *Router) { r.GET("", nothing) }, []string{`GET must begin with "/"`}},
		{"no slash", func(r *Router) { r.GET("x", nothing) }, []string{`GET x has a path that does not begin with "/": "x"`}},
		{"no slash in group", func(r *Router) { r.Group("/g").GET("x", nothing) }, []string{`GET /gx has a path that does not begin with "/": "x"`}},
		{"bad prefix", func(r *Router) { r.Group("g").GET("/x", nothing) }, []string{`pleat: prefix "g" must be empty or begin with "/"`}},
		{"bad prefix of param", func(r *Router) { r.Group("/*g").GET("/x", nothing) }, []string{`GET /*g/x has "*g" before its end, but a catch-all takes the rest of the path`}},
		{"bad mount", func(r *Router) { r.Mount("g", NewGroup("")) }, []string{`pleat: prefix "g" must be empty or begin with "/"`}},
		{"mount of nothing", func(r *Router) { r.Mount("/g", nil) }, []string{`pleat: prefix "/g" mounts no group`}},
		{"no method", func(r *Router) { r.Handle("", "/x", nothing) }, []string{`"" /x has no method`}},
		{"no token", func(r *Router) { r.Handle("G T", "/x", nothing) }, []string{`G T /x has a method that is not a token: "G T"`}},
		{"not ASCII", func(r *Router) { r.Handle("É", "/x", nothing) }, []string{`É /x has a method that is not a token: "É"`}},
		{"lower case", func(r *Router) { r.Handle("get", "/x", nothing) }, []string{`get /x has the method "get": methods are case-sensitive, write "GET"`}},
		{"empty name", func(r *Router) { r.GET("/x", nothing).Name("") }, []string{`GET /x has a name that is no name: ""`}},
		{"relative name", func(r *Router) { r.GET("/x", nothing).Name(".x") }, []string{`GET /x has a name that is no name: ".x"`}},
		{"group name", func(r *Router) { r.Group("/g").Name("g.").GET("/x", nothing) }, []string{`pleat: prefix "/g" has a group name that is no name: "g."`}},
		{"name used twice", func(r *Router) {
			r.GET("/x", nothing).Name("a.b")
			r.Group("/g").Name("a").GET("/y", nothing).Name("b")
		}, []string{`GET /g/y has the name "a.b", as has GET /x`}},
		{"mounted in itself", func(r *Router) {
			g := NewGroup("/g")
			g.Mount("/again", g)
			r.Mount("/x", g)
		}, []string{`pleat: prefix "/x/g/again" mounts a group inside itself`}},
		{"mounted in a child", func(r *Router) {
			g := r.Group("/g")
			g.Group("/h").Mount("/again", g)
		}, []string{`pleat: prefix "/g/h/again" mounts a group inside itself`}},
		{"mounted in each other", func(r *Router) {
			g, h := NewGroup("/g"), NewGroup("/h")
			g.Mount("", h)
			h.Mount("", g)
			r.Mount("", g)
		}, []string{`pleat: prefix "/g/h" mounts a group inside itself`}},
		{"out of reach", func(r *Router) {
			for _, p := range []string{"/a/*rest", "/a/:x", "/a/:x/*rest", "/a/"} {
				r.GET(p, nothing)
			}
		}, []string{"GET /a/*rest is never reached: its paths lead to GET /a/:x/*rest"}},
		{"everything", func(r *Router) {
			r.GET("x", nil)
			r.Handle("", "/:a/:a", nothing)
		}, []string{
			"GET x has no handler", `GET x has a path that does not begin with "/": "x"`,
			`"" /:a/:a has no method`, `"" /:a/:a uses the param name "a" twice`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Router
			tt.register(&r)
			table, err := r.build(routeOptions{})
			if err == nil || table != nil {
				t.Fatalf("build: %v, %v", table, err)
			}
			if got, want := withoutSites(err), strings.Join(tt.want, "\n"); got != want {
				t.Errorf("build: got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestRegistrationAfterStart(t *testing.T) {
	var r Router
	g := r.Group("/g")
	module := NewGroup("/m")
	module.GET("/x", nothing)
	r.Mount("", module)
	x := r.GET("/x", nothing)
	if _, err := r.build(routeOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, register := range map[string]func(){
		"GET /y":               func() { r.GET("/y", nothing) },
		"GET /g/y":             func() { g.GET("/y", nothing) },
		"GET /m/y":             func() { module.GET("/y", nothing) },
		"group /h":             func() { r.Group("/h") },
		"mount /h":             func() { r.Mount("/h", NewGroup("")) },
		"middleware of /g":     func() { g.Use() },
		"the name of group /g": func() { g.Name("g") },
		"the name of group /m": func() { module.Name("m") },
		"the name of GET /x":   func() { x.Name("x") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				got := fmt.Sprint(recover())
				ok, _ := regexp.MatchString(`^pleat: `+name+` \(\S+router_test.go:\d+\) was registered after the start$`, got)
				if !ok {
					t.Errorf("panic %q", got)
				}
			}()
			register()
		})
	}
	// Another application may still take the group as it is.
	var other Router
	other.Mount("/other", module)
	if table, err := other.build(routeOptions{}); err != nil || len(table.routes) != 1 {
		t.Errorf("mounted again: %v", err)
	}
}

func TestSite(t *testing.T) {
	var r Router
	site := r.GET("/x", nothing).Site()
	if ok, _ := regexp.MatchString(`^router_test\.go:\d+$`, filepath.Base(site)); !ok {
		t.Errorf("Site() = %q", site)
	}
	through := func() *Route { return r.Group("/g").GET("/x", nothing) }
	a, b := through(), through()
	if a.Site() != b.Site() || a.Site() == site {
		t.Errorf("sites %q, %q and %q", site, a.Site(), b.Site())
	}
}

func TestConcurrentRegistration(t *testing.T) {
	var r Router
	g := r.Group("/g")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				g.GET(fmt.Sprintf("/%d/%d", i, j), nothing).Name(fmt.Sprintf("r%d-%d", i, j))
				r.Group(fmt.Sprintf("/h%d-%d", i, j)).Use()
			}
		})
	}
	wg.Wait()
	table, err := r.build(routeOptions{})
	if err != nil || len(table.routes) != 400 {
		t.Errorf("%d routes, %v", len(table.routes), err)
	}
}
