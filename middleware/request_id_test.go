// SPDX-License-Identifier: MIT

package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/server"
)

var (
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	private  = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
)

func TestRequestID(t *testing.T) {
	const random = `^[0-9a-f]{32}$`
	tests := []struct {
		name   string
		config middleware.RequestIDConfig
		fields string // of the request
		want   string // pattern of the id
	}{
		{"none sent", middleware.RequestIDConfig{}, "", random},
		{"nobody is trusted", middleware.RequestIDConfig{}, "X-Request-Id: mine\r\n", random},
		{"another is trusted", middleware.RequestIDConfig{TrustedPeers: private}, "X-Request-Id: mine\r\n", random},
		{"a Unix socket is trusted", middleware.RequestIDConfig{TrustUnix: true}, "X-Request-Id: mine\r\n", random},
		{"forwarding fields do not count", middleware.RequestIDConfig{TrustedPeers: private}, "X-Forwarded-For: 10.0.0.1\r\nX-Request-Id: mine\r\n", random},
		{"trusted", middleware.RequestIDConfig{TrustedPeers: loopback}, "X-Request-Id: mine\r\n", "^mine$"},
		{"trusted, all letters", middleware.RequestIDConfig{TrustedPeers: loopback}, "x-request-id: AZaz09._-\r\n", "^AZaz09._-$"},
		{"trusted, longest", middleware.RequestIDConfig{TrustedPeers: loopback}, "X-Request-Id: " + strings.Repeat("a", 64) + "\r\n", "^a{64}$"},
		{"trusted, too long", middleware.RequestIDConfig{TrustedPeers: loopback}, "X-Request-Id: " + strings.Repeat("a", 65) + "\r\n", random},
		{"trusted, empty", middleware.RequestIDConfig{TrustedPeers: loopback}, "X-Request-Id:\r\n", random},
		{"trusted, twice", middleware.RequestIDConfig{TrustedPeers: loopback}, "X-Request-Id: a\r\nX-Request-Id: b\r\n", random},
		{"trusted, list", middleware.RequestIDConfig{TrustedPeers: loopback}, "X-Request-Id: a, b\r\n", random},
		{"trusted, space", middleware.RequestIDConfig{TrustedPeers: loopback}, "X-Request-Id: a b\r\n", random},
		{"trusted, quote", middleware.RequestIDConfig{TrustedPeers: loopback}, "X-Request-Id: \"\r\n", random},
		{"trusted, slash", middleware.RequestIDConfig{TrustedPeers: loopback}, "X-Request-Id: ../x\r\n", random},
		{"trusted, not ASCII", middleware.RequestIDConfig{TrustedPeers: loopback}, "X-Request-Id: \u00e9\r\n", random},
		{"trusted, at", middleware.RequestIDConfig{TrustedPeers: loopback}, "X-Request-Id: a@`[{\r\n", random},
		{"other name", middleware.RequestIDConfig{Header: "Trace-Id", TrustedPeers: loopback}, "X-Request-Id: a\r\nTrace-Id: b\r\n", "^b$"},
		{"generated", middleware.RequestIDConfig{Generate: func() string { return "gen-1" }}, "", "^gen-1$"},
		{"generated empty", middleware.RequestIDConfig{Generate: func() string { return "" }}, "", random},
		{"generated hostile", middleware.RequestIDConfig{Generate: func() string { return "a\r\nSet-Cookie: x=y" }}, "", random},
		{"generated too long", middleware.RequestIDConfig{Generate: func() string { return strings.Repeat("a", 1000) }}, "", random},
	}
	onBoth(t, func(t *testing.T, serve func(*testing.T, *pleat.App) string) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				var inside string
				app := pleat.New(pleat.Config{})
				app.Use(middleware.RequestID(test.config))
				app.GET("/", func(c *pleat.Context) error {
					inside = c.RequestID()
					return c.Text(200, "ok")
				})
				a := get(t, serve(t, app), "/", test.fields)
				name := test.config.Header
				if name == "" {
					name = "X-Request-Id"
				}
				ids := a.Header.Values(name)
				if len(ids) != 1 || ids[0] != inside || !regexp.MustCompile(test.want).MatchString(inside) {
					t.Errorf("answer has %q, handler has %q, want %s", ids, inside, test.want)
				}
				if a.Header.Get("Set-Cookie") != "" {
					t.Error("an id made a cookie")
				}
			})
		}
	})
}

// Answers that the app makes by itself have an id too, each its own.
func TestRequestIDOnErrors(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.Use(middleware.RequestID(middleware.RequestIDConfig{}))
	app.GET("/panic", func(c *pleat.Context) error { panic("no") })
	app.GET("/dir", (*pleat.Context).NoContent)
	addr := serve(t, app)
	seen := map[string]bool{}
	for target, status := range map[string]int{"/none": 404, "/panic": 500, "/dir/": 301, "/dir": 204} {
		a := get(t, addr, target, "")
		id := a.Header.Get("X-Request-Id")
		if a.StatusCode != status || len(id) != 32 || seen[id] {
			t.Errorf("%s: %d, id %q", target, a.StatusCode, id)
		}
		seen[id] = true
	}
}

// The id does not change half-way.
func TestRequestIDTwice(t *testing.T) {
	outer := ""
	app := pleat.New(pleat.Config{})
	app.Use(middleware.RequestID(middleware.RequestIDConfig{}), func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			outer = c.RequestID()
			return next(c)
		}
	})
	app.GET("/", func(c *pleat.Context) error { return c.Text(200, c.RequestID()) },
		middleware.RequestID(middleware.RequestIDConfig{Generate: func() string { return "inner" }}))
	a := get(t, serve(t, app), "/", "")
	if ids := a.Header.Values("X-Request-Id"); len(ids) != 1 || ids[0] != outer || a.text != outer {
		t.Errorf("ids %q, in the handler %q, outside %q", ids, a.text, outer)
	}
}

// An app in an app speaks of the same request.
func TestRequestIDMounted(t *testing.T) {
	mw := middleware.RequestID(middleware.RequestIDConfig{TrustedPeers: loopback})
	inner := pleat.New(pleat.Config{})
	inner.Use(mw)
	inner.GET("/", func(c *pleat.Context) error { return c.Text(200, c.RequestID()) })
	outer := pleat.New(pleat.Config{})
	outer.Use(middleware.RequestID(middleware.RequestIDConfig{}))
	outer.MountHTTP("/inner", inner)
	a := get(t, serve(t, outer), "/inner/", "X-Request-Id: mine\r\n")
	if id := a.Header.Values("X-Request-Id"); len(id) != 1 || id[0] != a.text || len(a.text) != 32 {
		t.Errorf("answer has %q, handler has %q", id, a.text)
	}
}

// Behind middleware for net/http the app is still the same.
func TestRequestIDBehindWrapped(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.Use(
		pleat.WrapMiddleware(func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				h.ServeHTTP(struct{ http.ResponseWriter }{w}, q)
			})
		}),
		middleware.RequestID(middleware.RequestIDConfig{TrustedPeers: loopback}),
	)
	app.GET("/", func(c *pleat.Context) error { return c.Text(200, c.RequestID()) })
	a := get(t, serve(t, app), "/", "X-Request-Id: mine\r\n")
	if a.text != "mine" || a.Header.Get("X-Request-Id") != "mine" {
		t.Errorf("answer has %q, handler has %q", a.Header, a.text)
	}
}

// A generator that does not work is reported once, without what it made going
// anywhere but into a field.
func TestRequestIDGeneratorReported(t *testing.T) {
	log := newLog()
	app := pleat.New(pleat.Config{Logger: log.logger()})
	app.Use(middleware.RequestID(middleware.RequestIDConfig{Generate: func() string { return strings.Repeat("\n", 1000) }}))
	for range 3 {
		app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	want(t, log.next(t), map[string]any{"level": "error", "id": strings.Repeat("\n", 64)})
	log.none(t)
}

func TestRequestIDRefused(t *testing.T) {
	tests := []struct {
		name   string
		config middleware.RequestIDConfig
		is     error
	}{
		{"name with a space", middleware.RequestIDConfig{Header: "X Request"}, server.ErrInvalidHeader},
		{"name with a line end", middleware.RequestIDConfig{Header: "X\r\nY"}, server.ErrInvalidHeader},
		{"name with a colon", middleware.RequestIDConfig{Header: "X:"}, server.ErrInvalidHeader},
		{"name not ASCII", middleware.RequestIDConfig{Header: "\u00e9"}, server.ErrInvalidHeader},
		{"invalid prefix", middleware.RequestIDConfig{TrustedPeers: []netip.Prefix{{}}}, nil},
		{"prefix that matches nothing", middleware.RequestIDConfig{TrustedPeers: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			app := pleat.New(pleat.Config{})
			app.Use(middleware.RequestID(test.config))
			err := app.Start()
			if err == nil || !strings.Contains(err.Error(), "middleware: RequestID: ") || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("Start() = %v", err)
			}
		})
	}
}

func ExampleRequestID() {
	proxies, err := server.ParsePrefixes("192.0.2.0/24")
	if err != nil {
		panic(err)
	}
	app := pleat.New(pleat.Config{})
	app.Use(middleware.RequestID(middleware.RequestIDConfig{TrustedPeers: proxies}))
	app.GET("/", func(c *pleat.Context) error { return c.Text(200, c.RequestID()) })

	ask := func(peer, id string) *http.Response {
		q := httptest.NewRequest("GET", "/", nil)
		q.RemoteAddr = peer
		q.Header.Set("X-Request-Id", id)
		w := httptest.NewRecorder()
		app.ServeHTTP(w, q)
		return w.Result()
	}
	fmt.Println(ask("192.0.2.7:1234", "from-the-proxy").Header.Get("X-Request-Id"))
	fmt.Println(ask("203.0.113.9:1234", "from-anybody").Header.Get("X-Request-Id") == "from-anybody")
	// Output:
	// from-the-proxy
	// false
}
