// SPDX-License-Identifier: MIT

package pleat_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pleat-go/pleat"
)

func routedApp(*testing.T) *pleat.App {
	app := pleat.New(pleat.Config{})
	app.Use(mark("app"))
	show := func(c *pleat.Context) error {
		return c.Text(200, c.Method()+" "+c.Route().Pattern()+" "+strings.Join(c.ParamNames(), ",")+" "+c.Param("id"))
	}
	app.GET("/", show)
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "PURGE"} {
		app.Handle(method, "/items/:id", show)
	}
	app.HEAD("/head", func(c *pleat.Context) error { return c.SetHeader("X-Head", "own") })
	app.OPTIONS("/options", func(c *pleat.Context) error { return c.Text(200, "own options") })
	app.Any("/any", show)
	admin := app.Group("/admin", mark("admin")).Name("admin")
	admin.Use(mark("used"))
	admin.GET("/stats", show, mark("route")).Name("stats")
	admin.GET("/users/:id", func(c *pleat.Context) error {
		link, err := c.URL(".user", "a/b", url.Values{"q": {"1"}})
		if err != nil {
			return err
		}
		return c.Text(200, link)
	}).Name("user")
	return app
}

func TestRoutingThroughTheApp(t *testing.T) {
	everywhere(t, routedApp, func(t *testing.T, s *site) {
		tests := []struct {
			method, target string
			status         int
			body, trace    string
			field, value   string // of the answer
		}{
			{"GET", "/", 200, "GET /  ", "app", "Content-Type", "text/plain; charset=utf-8"},
			{"GET", "/items/7", 200, "GET /items/:id id 7", "app", "Content-Length", "19"},
			{"POST", "/items/7", 200, "POST /items/:id id 7", "app", "", ""},
			{"PUT", "/items/7", 200, "PUT /items/:id id 7", "app", "", ""},
			{"PATCH", "/items/7", 200, "PATCH /items/:id id 7", "app", "", ""},
			{"DELETE", "/items/7", 200, "DELETE /items/:id id 7", "app", "", ""},
			{"PURGE", "/items/7", 200, "PURGE /items/:id id 7", "app", "", ""},
			{"HEAD", "/items/7", 200, "", "app", "Content-Length", "20"},
			{"HEAD", "/head", 200, "", "app", "X-Head", "own"},
			{"GET", "/items/a%2Fb%20c", 200, "GET /items/:id id a/b c", "app", "", ""},
			{"GET", "/items/%D1%8F?id=2", 200, "GET /items/:id id я", "app", "", ""},
			{"OPTIONS", "/options", 200, "own options", "app", "", ""},
			{"OPTIONS", "/items/7", 204, "", "app", "Allow", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PURGE, PUT"},
			{"OPTIONS", "/nope", 404, "404 Not Found\n", "app", "", ""},
			{"TRACE", "/items/7", 405, "405 Method Not Allowed\n", "app", "Allow", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PURGE, PUT"},
			{"POST", "/head", 405, "405 Method Not Allowed\n", "app", "Allow", "HEAD, OPTIONS"},
			{"BREW", "/any", 200, "BREW /any  ", "app", "", ""},
			{"BREW", "/items/7", 501, "*", "app", "", ""},
			{"GET", "/nope", 404, "404 Not Found\n", "app", "Cache-Control", "no-store"},
			{"GET", "/items/7/", 301, "", "app", "Location", "/items/7"},
			{"GET", "/items/7/?q=/", 301, "", "app", "Location", "/items/7?q=/"},
			{"POST", "/items/7/", 308, "", "app", "Location", "/items/7"},
			{"GET", "//items//7", 301, "", "app", "Location", "/items/7"},
			{"GET", "//evil.example/", 404, "404 Not Found\n", "app", "", ""},
			{"GET", "/items/../admin/./stats", 301, "", "app", "Location", "/admin/stats"},
			{"GET", "/admin/stats", 200, "GET /admin/stats  ", "app,admin,used,route", "", ""},
			{"POST", "/admin/stats", 405, "*", "app", "Allow", "GET, HEAD, OPTIONS"},
			{"GET", "/admin/nope", 404, "404 Not Found\n", "app", "", ""},
			{"GET", "/admin/stats/", 301, "", "app", "Location", "/admin/stats"},
			{"GET", "/admin/users/1", 200, "/admin/users/a%2Fb?q=1", "app,admin,used", "", ""},
		}
		for _, test := range tests {
			a := s.do(test.method, test.target)
			if a.StatusCode != test.status || test.body != "*" && a.body != test.body {
				t.Errorf("%s %s = %d %q, want %d %q", test.method, test.target, a.StatusCode, a.body, test.status, test.body)
			}
			if trace := strings.Join(a.Header.Values("X-Trace"), ","); trace != test.trace {
				t.Errorf("%s %s went through %q, want %q", test.method, test.target, trace, test.trace)
			}
			if test.field != "" && a.Header.Get(test.field) != test.value {
				t.Errorf("%s %s: %s = %q, want %q", test.method, test.target, test.field, a.Header.Get(test.field), test.value)
			}
		}
	})
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		app.GET("/text", text("hello"))
		app.GET("/long", text(strings.Repeat("x", 100_000)))
		app.GET("/error", func(*pleat.Context) error { return pleat.NewError(409, "taken") })
		app.GET("/nothing", func(c *pleat.Context) error { return c.NoContent() })
		return app
	}, func(t *testing.T, s *site) {
		for _, target := range []string{"/text", "/long", "/error", "/nothing", "/nope"} {
			get, head := s.get(target), s.do("HEAD", target)
			if head.body != "" || head.StatusCode != get.StatusCode {
				t.Errorf("HEAD %s = %d %q, GET %d", target, head.StatusCode, head.body, get.StatusCode)
			}
			get.Header.Del("Date")
			head.Header.Del("Date")
			for name := range get.Header {
				if got, want := head.Header.Get(name), get.Header.Get(name); got != want {
					t.Errorf("HEAD %s: %s = %q, GET has %q", target, name, got, want)
				}
			}
			if len(head.Header) != len(get.Header) {
				t.Errorf("HEAD %s has %v, GET %v", target, head.Header, get.Header)
			}
		}
	})
}

func TestOptionsAsterisk(t *testing.T) {
	for _, s := range []*site{serve(t, routedApp(t)), serveHTTP(t, routedApp(t), false)} {
		a := s.raw("OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if !s.own {
			// net/http's server answers it itself.
			if a.StatusCode != 200 {
				t.Errorf("net/http: OPTIONS * = %d", a.StatusCode)
			}
			continue
		}
		if a.StatusCode != 204 || !strings.Contains(a.Header.Get("Allow"), "PURGE") || a.Header.Get("X-Trace") != "app" {
			t.Errorf("OPTIONS * = %d %v", a.StatusCode, a.Header)
		}
	}
}

// Targets that clients do not send on their own.
func TestHostileTargets(t *testing.T) {
	app := routedApp(t)
	app.GET("/:a/:b/", text("two"))
	s := serve(t, app)
	for target, want := range map[string]struct {
		status   int
		location string
	}{
		"//evil.example":                {404, ""},
		"//evil.example/x":              {301, "/evil.example/x/"},
		`/\evil.example/x`:              {400, ""}, // no octet of a target
		"/%5Cevil.example/x":            {301, "/%5Cevil.example/x/"},
		"/%5cevil.example/x":            {301, "/%5Cevil.example/x/"},
		"/%2F/evil.example":             {301, "/%2F/evil.example/"},
		"/a/b/%00":                      {400, ""},
		"/a%0d%0aSet-Cookie:x/b":        {301, "/a%0D%0ASet-Cookie:x/b/"},
		"http://evil.example/a/b":       {301, "/a/b/"},
		"/a/b?x=http://evil.example":    {301, "/a/b/?x=http://evil.example"},
		"/..//evil.example/..//a/b":     {301, "/a/b/"},
		"/items/..%2f..%2fetc%2fpasswd": {200, ""},
	} {
		a := s.raw("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if a.StatusCode != want.status || a.Header.Get("Location") != want.location {
			t.Errorf("GET %s = %d Location %q, want %d %q", target, a.StatusCode, a.Header.Get("Location"), want.status, want.location)
		}
	}
}

func TestNamedURLs(t *testing.T) {
	app := routedApp(t)
	for _, test := range []struct {
		name string
		args []any
		want string
	}{
		{"admin.user", []any{7}, "/admin/users/7"},
		{"admin.user", []any{"//evil", url.Values{"a": {"b c"}}}, "/admin/users/%2F%2Fevil?a=b+c"},
		{"admin.stats", nil, "/admin/stats"},
		{"admin.user", nil, ""},
		{"admin.user", []any{""}, ""},
		{"nope", nil, ""},
	} {
		got, err := app.URL(test.name, test.args...)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("URL(%q, %v) = %q, %v, want %q", test.name, test.args, got, err, test.want)
		}
	}
}

func adminOnly(c *pleat.Context) error { return c.Text(200, "x") }

func functional(next pleat.Handler) pleat.Handler { return next }

func TestExplain(t *testing.T) {
	app := routedApp(t)
	app.GET("/only/:x", adminOnly, functional)
	for _, test := range []struct {
		method, path string
		want         []string // in this order
	}{
		{"GET", "/admin/users/7?x=1", []string{"GET /admin/users/7?x=1 → GET /admin/users/:id (", "app_routing_test.go:", `id = "7"`, ".mark (rig_test.go:", ".mark (", ".mark (", "pleat_test.routedApp (app_routing_test.go:"}},
		{"GET", "/only/a%2Fb", []string{`x = "a/b"`, ".mark (", "pleat_test.functional (", "pleat_test.adminOnly ("}},
		{"GET", "/admin/stats/", []string{"→ 301 to /admin/stats\n", ".mark ("}},
		{"POST", "/admin/stats", []string{"→ 405, Allow: GET, HEAD, OPTIONS\n"}},
		{"OPTIONS", "*", []string{"→ 204, Allow: "}},
		{"GET", "/nope", []string{"→ 404\n"}},
		{"GET", "no path", []string{"→ 400\n"}},
	} {
		got := app.Explain(test.method, test.path)
		rest := got
		for _, part := range test.want {
			at := strings.Index(rest, part)
			if at < 0 {
				t.Errorf("Explain(%s, %s) lacks %q in its place:\n%s", test.method, test.path, part, got)
				break
			}
			rest = rest[at+len(part):]
		}
	}
	broken := pleat.New(pleat.Config{})
	broken.GET("x", adminOnly)
	if got := broken.Explain("GET", "/"); !strings.Contains(got, `does not begin with "/"`) {
		t.Errorf("Explain of an app that cannot start = %q", got)
	}
}

func TestMountHTTP(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		mux := http.NewServeMux()
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, q *http.Request) {
			_, _ = w.Write([]byte("root " + q.URL.Path + " of " + q.RequestURI))
		})
		mux.HandleFunc("/users/{id}", func(w http.ResponseWriter, q *http.Request) {
			_, _ = w.Write([]byte(q.Method + " " + q.PathValue("id") + " " + q.URL.EscapedPath() + " " + pleat.FromContext(q.Context()).Route().Pattern()))
		})
		app.MountHTTP("/mux/", mux, mark("mounted"))

		inner := pleat.New(pleat.Config{})
		inner.GET("/echo/:x", func(c *pleat.Context) error {
			return c.Text(200, c.Param("x")+" "+c.Path()+" "+c.Query("q")+" "+c.RequestID()+" "+c.RemoteIP().String())
		})
		app.Use(func(next pleat.Handler) pleat.Handler {
			return func(c *pleat.Context) error {
				c.SetRequestID("outer-id")
				o := c.Request().Origin()
				o.IP = testIP
				c.Request().SetOrigin(o)
				return next(c)
			}
		})
		app.MountHTTP("/app", inner)
		return app
	}, func(t *testing.T, s *site) {
		for _, test := range []struct {
			method, target string
			status         int
			body           string
		}{
			{"GET", "/mux/", 200, "root / of /mux/"},
			{"GET", "/mux", 301, ""},
			{"GET", "/mux/users/7", 200, "GET 7 /users/7 /mux/*path"},
			{"PURGE", "/mux/users/a%2Fb", 200, "PURGE a/b /users/a%2Fb /mux/*path"},
			{"GET", "/mux/nope", 404, "404 page not found\n"},
			{"GET", "/app/echo/1?q=2", 200, "1 /echo/1 2 outer-id 192.0.2.7"},
			{"GET", "/app/echo/a%2Fb%3F", 200, "a/b? /echo/a%2Fb%3F  outer-id 192.0.2.7"},
			{"GET", "/app/nope", 404, "404 Not Found\n"},
			{"POST", "/app/echo/1", 405, "405 Method Not Allowed\n"},
		} {
			a := s.do(test.method, test.target)
			if a.StatusCode != test.status || a.body != test.body {
				t.Errorf("%s %s = %d %q, want %d %q", test.method, test.target, a.StatusCode, a.body, test.status, test.body)
			}
		}
	})
}

// A mounted app redirects to where its routes are for the client.
func TestRedirectsOfMountedApps(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		inner := pleat.New(pleat.Config{})
		inner.GET("/", text("index"))
		inner.GET("/a", text("a"))
		inner.GET("/b/", text("b"))
		middle := pleat.New(pleat.Config{})
		middle.GET("/c/", text("c"))
		middle.MountHTTP("/in", inner)
		middle.Use(pleat.WrapMiddleware(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				next.ServeHTTP(struct{ http.ResponseWriter }{w}, q)
			})
		}))
		app := pleat.New(pleat.Config{})
		app.MountHTTP("/app", inner)
		app.MountHTTP("/of/:who", middle)
		app.GET("/wrapped", pleat.WrapHTTP(inner)) // not mounted: the path is whole
		root := pleat.New(pleat.Config{})
		root.MountHTTP("/", app)
		return root
	}, func(t *testing.T, s *site) {
		for target, want := range map[string]string{
			"/app/a/":              "/app/a",
			"/app/b?q=1":           "/app/b/?q=1",
			"/of/ann%20x/c":        "/of/ann%20x/c/",
			"/of/%5Cevil/c":        "/of/%5Cevil/c/",
			"/of/%2F%2Fevil/c":     "/of/%2F%2Fevil/c/",
			"/of/me/in/a/?a=b&c":   "/of/me/in/a?a=b&c",
			"/of/me/in":            "/of/me/in/",
			"/app//a":              "/app/a",
			"/app/x/../b":          "/app/b",
			"/of/me/in//evil.test": "/of/me/in/evil.test", // by the outermost, where all below /of is routed
			"/wrapped/":            "/wrapped",
		} {
			a := s.get(target)
			if a.StatusCode != 301 || a.Header.Get("Location") != want {
				t.Errorf("%s = %d, to %q, want %q", target, a.StatusCode, a.Header.Get("Location"), want)
			}
		}
	})
}
