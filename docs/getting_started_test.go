// SPDX-License-Identifier: MIT

package docs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/server"
)

// The code of getting-started.md, run. A fragment of the guide is a piece of these
// files, word for word.

// ask sends a request to an app and returns the answer.
func ask(app http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		q.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	app.ServeHTTP(w, q)
	return w
}

// want asks and compares status and body.
func want(t *testing.T, app http.Handler, method, target string, status int, body string, header ...string) {
	t.Helper()
	w := ask(app, method, target, "", header...)
	if w.Code != status || body != "*" && w.Body.String() != body {
		t.Errorf("%s %s = %d %q, want %d %q", method, target, w.Code, w.Body, status, body)
	}
}

// note answers with what led to it.
func note(text string) pleat.Handler {
	return func(c *pleat.Context) error {
		return c.Text(200, text)
	}
}

func TestRoutes(t *testing.T) {
	app := pleat.New(pleat.Config{})
	newUser, listPosts, listFiles, getUser := note("new"), note("posts"), note("files"), note("user")

	app.GET("/users/new", newUser)
	app.GET("/users/:id", getUser)
	app.GET("/users/:id/posts", listPosts)
	app.GET("/files/*path", listFiles)

	app.GET("/invoices/:number", func(c *pleat.Context) error {
		number, err := c.ParamInt("number") // not a number: 404
		if err != nil {
			return err
		}
		page, err := pleat.QueryAs(c, "page", 1, positive) // not what positive takes: 400
		if err != nil {
			return err
		}
		return c.Text(200, fmt.Sprintf("invoice %d, page %d", number, page))
	})

	want(t, app, "GET", "/users/new", 200, "new")
	want(t, app, "GET", "/users/7", 200, "user")
	want(t, app, "GET", "/users/7/posts", 200, "posts")
	want(t, app, "GET", "/files/a/b", 200, "files")
	want(t, app, "GET", "/files/", 200, "files")
	want(t, app, "GET", "/users/7/", 301, "")
	want(t, app, "POST", "/users/7/", 404, "*")
	want(t, app, "GET", "//users/./7", 301, "")
	want(t, app, "HEAD", "/users/7", 200, "")
	want(t, app, "OPTIONS", "/users/7", 204, "")
	want(t, app, "POST", "/users/7", 405, "*")
	want(t, app, "BREW", "/users/7", 501, "*")
	want(t, app, "GET", "/none", 404, "*")
	want(t, app, "GET", "/invoices/12?page=3", 200, "invoice 12, page 3")
	want(t, app, "GET", "/invoices/12", 200, "invoice 12, page 1")
	want(t, app, "GET", "/invoices/x", 404, "*")
	want(t, app, "GET", "/invoices/12?page=x", 400, "*")
	want(t, app, "GET", "/invoices/12?page=0", 400, "*")
}

func positive(s string) (int, error) {
	var n int
	if _, err := fmt.Sscan(s, &n); err != nil {
		return 0, err
	}
	if n < 1 {
		return 0, errors.New("not positive")
	}
	return n, nil
}

func TestHosts(t *testing.T) {
	app := pleat.New(pleat.Config{})
	home, show, tenantHome := note("home"), note("show"), note("tenant")

	app.GET("/", home) // for all other hosts
	api := app.Host("api.example.com")
	api.GET("/users/:id", show)
	tenants := app.Host("*.example.com")
	tenants.GET("/", tenantHome)

	want(t, app, "GET", "http://api.example.com/users/7", 200, "show")
	want(t, app, "GET", "http://api.example.com/", 404, "*")
	want(t, app, "GET", "http://a.b.example.com/", 200, "tenant")
	want(t, app, "GET", "http://example.com/", 200, "home")
	if text := app.Explain("GET", "http://api.example.com/users/7"); !strings.Contains(text, "→ GET api.example.com/users/:id (") {
		t.Error(text)
	}
}

func TestGroups(t *testing.T) {
	app := pleat.New(pleat.Config{})
	list, show, stats := note("list"), note("show"), note("stats")
	onlyStaff := func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			if c.Header("X-Staff") == "" {
				return pleat.NewError(403, "")
			}
			return next(c)
		}
	}

	api := app.Group("/api").Name("api")
	api.GET("/users", list).Name("users")
	api.GET("/users/:id", show).Name("user")

	admin := api.Group("/admin", onlyStaff)
	admin.GET("/stats", stats)

	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	link, err := app.URL("api.user", 7, url.Values{"tab": {"posts"}}) // /api/users/7?tab=posts
	if link != "/api/users/7?tab=posts" || err != nil {
		t.Error(link, err)
	}
	want(t, app, "GET", "/api/users", 200, "list")
	want(t, app, "GET", "/api/admin/stats", 403, "*")
	want(t, app, "GET", "/api/admin/stats", 200, "stats", "X-Staff", "yes")
	want(t, app, "GET", "/api/admin/none", 404, "*")

	if text := app.Explain("GET", "/api/admin/stats"); !strings.HasPrefix(text, "GET /api/admin/stats → GET /api/admin/stats") {
		t.Error(text)
	}
}

// A group that no app has yet.
func blog() *pleat.Group {
	g := pleat.NewGroup("")
	g.GET("/", note("index"))
	g.GET("/:slug", note("post"))
	return g
}

func TestMount(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.Mount("/blog", blog())
	app.Mount("/news", blog())
	want(t, app, "GET", "/blog/", 200, "index")
	want(t, app, "GET", "/news/today", 200, "post")
}

// A middleware, and a value it leaves for handlers.
var userKey = pleat.NewKey[string]("user")

func signedIn(next pleat.Handler) pleat.Handler {
	return func(c *pleat.Context) error {
		var name string
		if err := c.SecureCookie("user", &name); err != nil {
			return pleat.NewError(401, "sign in first").WithCause(err)
		}
		userKey.Set(c, name)
		return next(c)
	}
}

func deadline(d time.Duration) pleat.Middleware {
	if d <= 0 {
		panic(fmt.Errorf("deadline: %v is not positive", d)) // while the app is put together
	}
	return func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			ctx, cancel := context.WithTimeout(c, d)
			defer cancel()
			return next(c.WithContext(ctx))
		}
	}
}

func TestMiddleware(t *testing.T) {
	app := pleat.New(pleat.Config{Development: true})
	app.GET("/me", func(c *pleat.Context) error {
		name, _ := userKey.Get(c)
		return c.Text(200, name)
	}, signedIn)
	app.GET("/slow", func(c *pleat.Context) error {
		<-c.Done()
		return c.Err()
	}, deadline(time.Millisecond))
	want(t, app, "GET", "/me", 401, "*")
	want(t, app, "GET", "/slow", 503, "*")
}

func TestMiddlewarePackage(t *testing.T) {
	proxies, err := server.ParsePrefixes("192.0.2.1") // where httptest says it comes from
	if err != nil {
		t.Fatal(err)
	}
	secret := bytes.Repeat([]byte("s"), 32)
	out := middleware.NewLogWriter(io.Discard, middleware.LogWriterConfig{})
	defer out.Close()
	log := zerolog.New(out)
	app := pleat.New(pleat.Config{Logger: &log})

	notHealth := func(c *pleat.Context) bool { return c.Path() != "/healthz" }
	app.Use(
		middleware.When(notHealth, middleware.Logger(middleware.LoggerConfig{})),
		middleware.RequestID(middleware.RequestIDConfig{TrustedPeers: proxies}),
		middleware.Forwarded(server.TrustPolicy{Trusted: proxies, Source: server.SourceXForwardedFor}),
		middleware.Recover(),
	)
	admin := app.Group("/admin", middleware.SignedCookies(middleware.SignedCookiesConfig{
		Secrets: [][]byte{secret},
		Purpose: "admin",
	}))

	admin.GET("/", func(c *pleat.Context) error {
		if err := c.SetSecureCookie("a", "b"); err != nil {
			return err
		}
		return c.Text(200, c.RemoteIP().String())
	})
	want(t, app, "GET", "/admin/", 200, "203.0.113.9", "X-Forwarded-For", "203.0.113.9")
	w := ask(app, "GET", "/admin/", "", "X-Request-Id", "abc")
	if w.Header().Get("X-Request-Id") != "abc" || w.Header().Get("Set-Cookie") == "" {
		t.Error(w.Header())
	}
}

func TestMiddlewareRefusesItsConfiguration(t *testing.T) {
	app := pleat.New(pleat.Config{})
	defer func() {
		if recover() == nil {
			t.Error("deadline(0) did not panic")
		}
	}()
	app.Use(deadline(0))
}
