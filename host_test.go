// SPDX-License-Identifier: MIT

package pleat_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// hostApp has routes for some hosts, and a few that they do not share.
func hostApp(*testing.T) *pleat.App {
	app := pleat.New(pleat.Config{})
	app.Use(mark("app"))
	tell := func(c *pleat.Context) error {
		return c.Text(200, c.Route().Host()+c.Route().Pattern()+" "+c.Param("id"))
	}
	app.GET("/", tell)
	app.GET("/own", tell)
	for _, host := range []string{"API.Example.com.", "*.example.com", "*.eu.example.com", "192.0.2.1", "[2001:DB8:0::1]"} {
		r := app.Host(host)
		r.GET("/", tell)
		r.POST("/users/:id", tell)
		r.Use(mark(host))
	}
	api := app.Host("deep.eu.example.com")
	api.Use(mark("deep"))
	v1 := api.Group("/v1", mark("group")).Name("v1")
	v1.GET("/users/:id", func(c *pleat.Context) error {
		link, err := c.URL(".user", 7)
		if err != nil {
			return err
		}
		own, err := c.URL("home")
		return errors.Join(err, c.Text(200, link+" "+own))
	}, mark("route")).Name("user")
	module := pleat.NewGroup("/m")
	module.GET("/x/", tell)
	api.Mount("", module)
	app.Mount("", module)
	app.GET("/home", tell).Name("home")
	return app
}

func TestHosts(t *testing.T) {
	everywhere(t, hostApp, func(t *testing.T, s *site) {
		for _, test := range []struct {
			method, host, target string
			status               int
			body                 string
			trace                string
		}{
			{"GET", "", "/", 200, "/ ", "app"},
			{"GET", "example.com", "/", 200, "/ ", "app"}, // not below itself
			{"GET", "example.com", "/own", 200, "/own ", "app"},
			{"GET", "myexample.com", "/", 200, "/ ", "app"},
			{"GET", "api.example.com.evil.test", "/", 200, "/ ", "app"},
			{"GET", "api.example.com", "/", 200, "api.example.com/ ", "app API.Example.com."},
			{"GET", "API.example.COM:8080", "/", 200, "api.example.com/ ", "app API.Example.com."},
			{"GET", "api.example.com.", "/", 200, "api.example.com/ ", "app API.Example.com."},
			{"GET", "api.example.com", "/own", 404, "404 Not Found\n", "app API.Example.com."},
			{"GET", "api.example.com", "/nope", 404, "404 Not Found\n", "app API.Example.com."},
			{"POST", "api.example.com", "/users/7", 200, "api.example.com/users/:id 7", "app API.Example.com."},
			{"GET", "api.example.com", "/users/7", 405, "405 Method Not Allowed\n", "app API.Example.com."},
			{"OPTIONS", "api.example.com", "/users/7", 204, "", "app API.Example.com."},
			{"POST", "api.example.com", "/users/7/", 308, "", "app API.Example.com."},
			{"POST", "example.com", "/users/7", 404, "404 Not Found\n", "app"},
			{"GET", "a.example.com", "/", 200, "*.example.com/ ", "app *.example.com"},
			{"GET", "b.a.example.com", "/", 200, "*.example.com/ ", "app *.example.com"},
			{"GET", "api.api.example.com", "/", 200, "*.example.com/ ", "app *.example.com"},
			{"GET", "eu.example.com", "/", 200, "*.example.com/ ", "app *.example.com"},
			{"GET", "a.eu.example.com", "/", 200, "*.eu.example.com/ ", "app *.eu.example.com"},
			{"GET", "b.a.eu.example.com", "/", 200, "*.eu.example.com/ ", "app *.eu.example.com"},
			{"GET", "deep.eu.example.com", "/", 404, "404 Not Found\n", "app deep"}, // the exact one has no such route
			{"GET", "deep.eu.example.com", "/v1/users/1", 200, "/v1/users/7 /home", "app deep group route"},
			{"GET", "deep.eu.example.com", "/m/x/", 200, "deep.eu.example.com/m/x/ ", "app deep"},
			{"GET", "deep.eu.example.com", "/m/x", 301, "", "app deep"},
			{"GET", "other.test", "/m/x/", 200, "/m/x/ ", "app"},
			{"GET", "192.0.2.1:80", "/", 200, "192.0.2.1/ ", "app 192.0.2.1"},
			{"GET", "[2001:db8::0:1]:80", "/", 200, "2001:db8::1/ ", "app [2001:DB8:0::1]"},
			{"GET", "[2001:db8::2]", "/", 200, "/ ", "app"},
			{"GET", strings.Repeat("a.", 200) + "example.com", "/", 200, "/ ", "app"}, // no name in the DNS
		} {
			fields := []string{"Host", test.host}
			if test.host == "" {
				fields = nil
			}
			a := s.do(test.method, test.target, fields...)
			if trace := strings.Join(a.Header.Values("X-Trace"), " "); a.StatusCode != test.status || a.body != test.body || trace != test.trace {
				t.Errorf("%s %s%s = %d %q by %s, want %d %q by %s", test.method, test.host, test.target, a.StatusCode, a.body, trace, test.status, test.body, test.trace)
			}
		}
	})
}

// Without a Host field, as HTTP/1.0 allows, and in absolute form.
func TestHostsOfOddRequests(t *testing.T) {
	s := serve(t, hostApp(t))
	for request, want := range map[string]string{
		"GET / HTTP/1.0\r\n\r\n": "/ ",
		"GET http://api.example.com/ HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n": "api.example.com/ ",
	} {
		if a := s.raw(request); a.body != want {
			t.Errorf("%q = %d %q, want %q", request, a.StatusCode, a.body, want)
		}
	}
}

func TestHostOfATrustedProxy(t *testing.T) {
	app := pleat.New(pleat.Config{Server: &server.HTTPServer{XHeaders: &server.TrustPolicy{
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Source: server.SourceXForwardedFor,
		Host: true, AllowedHosts: []string{"api.example.com"},
	}}})
	app.GET("/", text("own"))
	app.Host("api.example.com").GET("/", text("api"))
	app.Host("secret.example.com").GET("/", text("secret"))
	s := serve(t, app)
	for host, want := range map[string]string{"api.example.com": "api", "secret.example.com": "own"} {
		if a := s.get("/", "X-Forwarded-For", "192.0.2.7", "X-Forwarded-Host", host); a.body != want {
			t.Errorf("X-Forwarded-Host: %s = %d %q, want %q", host, a.StatusCode, a.body, want)
		}
	}
}

func TestHostsThatCannotBe(t *testing.T) {
	app := pleat.New(pleat.Config{})
	bad := []string{
		"", "*", "*.", ".", "a..b", ".a", "*.*.a", "a.*.b", "a*.b", "a:80", "a/b", "http://a", "a b", "bücher.example", "[::1]:80", "[::1", "*.[::1]",
		"::1%eth0", "a\x00", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a", "a_b..", "?",
	}
	for _, pattern := range bad {
		app.Host(pattern).GET("/", text(""))
	}
	err := app.Start()
	if err == nil {
		t.Fatal("the app starts")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(bad) {
		t.Errorf("%d errors for %d patterns: %v", len(lines), len(bad), err)
	}
	for i, pattern := range bad {
		want := fmt.Sprintf("pleat: host %q (", pattern)
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) || !strings.Contains(lines[i], "host_test.go:") {
			t.Errorf("no error for %q in %q", pattern, lines[min(i, len(lines)-1)])
		}
	}
}

// What clashes is told with both places.
func TestHostsThatClash(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/", text("")).Name("home")
	app.GET("/same", text(""))
	api := app.Host("api.example.com")
	api.GET("/", text("")).Name("home")
	api.GET("/same", text(""))
	api.GET("/:a", text(""))
	api.POST("/:b", text(""))
	api.GET("/:c", text(""))
	api.Use(func(pleat.Handler) pleat.Handler { panic(errBroken) })
	app.Host("API.example.com.").GET("/", nil)
	app.Host("*.example.com").Use(nil)
	err := app.Start()
	if err == nil {
		t.Fatal("the app starts")
	}
	var e *pleat.RouteError
	if !errors.As(err, &e) || e.Host != `"api.example.com"` {
		t.Errorf("the first is %+v", e)
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		`host "api.example.com" (/ was registered before (/`,
		`route GET api.example.com/ (/ has no handler`,
		`route GET api.example.com/ (/ has the name "home", as has GET / (/`,
		`route GET api.example.com/:c (/ conflicts with GET api.example.com/:a (/: both match /x`,
		`middleware of host api.example.com (/: broken`,
		`middleware of host *.example.com (/: a middleware is nil`,
	} {
		found := false
		for _, line := range lines {
			rest, all := line, true
			for _, part := range strings.SplitAfter(want, "(/") {
				i := strings.Index(rest, part)
				if all = all && i >= 0; all {
					rest = rest[i+len(part):]
				}
			}
			found = found || all
		}
		if !found {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

func TestHostsAreFrozenAndListed(t *testing.T) {
	app := hostApp(t)
	before := fmt.Sprint(app.Routes())
	contains(t, before, "GET /own", "POST *.eu.example.com/users/:id", "GET deep.eu.example.com/v1/users/:id", "GET deep.eu.example.com/m/x/", "GET /m/x/")
	api := app.Host("late.example.com")
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	if after := fmt.Sprint(app.Routes()); after != before {
		t.Errorf("Routes() = %s, before the start %s", after, before)
	}
	for name, register := range map[string]func(){
		"a host":  func() { app.Host("later.example.com") },
		"a route": func() { api.GET("/", text("")) },
	} {
		func() {
			defer func() {
				if v := fmt.Sprint(recover()); !strings.Contains(v, "after the start") {
					t.Errorf("%s: %v", name, v)
				}
			}()
			register()
		}()
	}
}

func TestExplainHosts(t *testing.T) {
	app := hostApp(t)
	for target, want := range map[string][]string{
		"http://api.example.com/":                   {"→ GET api.example.com/ (", "hostApp"},
		"https://x.EXAMPLE.com:8443?q":              {"→ GET *.example.com/ ("},
		"http://deep.eu.example.com/v1/users/1?x=1": {"→ GET deep.eu.example.com/v1/users/:id (", `id = "1"`},
		"http://deep.eu.example.com/own":            {"→ 404"},
		"http://[2001:db8::1]:80/":                  {"→ GET 2001:db8::1/ ("},
		"http://other.test/own":                     {"→ GET /own ("},
		"http://%zz/own":                            {"→ GET /own ("},
		"/own":                                      {"→ GET /own ("},
		"http://api.example.com/users/7":            {"→ 405, Allow: OPTIONS, POST"},
		"ftp://api.example.com/":                    {"→ 400"},
	} {
		contains(t, app.Explain("GET", target), append(want, "GET "+target+" ")...)
	}
	if n := strings.Count(app.Explain("GET", "http://deep.eu.example.com/v1/users/1"), "mark ("); n != 4 {
		t.Errorf("%d middlewares: %s", n, app.Explain("GET", "http://deep.eu.example.com/v1/users/1"))
	}
}
