// SPDX-License-Identifier: MIT

package pleat_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

var errRefused = errors.New("limits: negative")

func refusing(pleat.Handler) pleat.Handler { panic(errRefused) }

// Everything that is wrong is reported, and reported at once.
func TestStartReportsAll(t *testing.T) {
	app := pleat.New(pleat.Config{
		CookieSecrets: [][]byte{[]byte("short")},
		Templates:     &render.Templates{FS: fstest.MapFS{"page.html": {Data: []byte("{{.x")}}},
		Client:        &client.HTTPClient{BaseURL: "ftp://x"},
		Server:        &server.HTTPServer{XHeaders: &server.TrustPolicy{Source: server.SourceXForwardedFor}},
	})
	app.GET("/a/:x", text("1"))
	app.GET("/a/:y", text("2"))
	app.GET("/nil", nil)
	app.MountHTTP("/mount", nil)
	app.Static("/files", nil, pleat.Static{})
	app.Static("/more", fstest.MapFS{}, pleat.Static{Deny: []string{"[a-"}})
	app.Static("/fallback", fstest.MapFS{}, pleat.Static{Fallback: "/index.html"})
	app.StaticDir("/dir", "/no/such/directory", pleat.Static{})
	group := app.Group("/group", refusing)
	group.GET("/1", text("1"))
	group.GET("/2", text("2"))
	group.GET("/3", text("3"))
	app.GET("/none", text("1"), func(pleat.Handler) pleat.Handler { return nil })
	app.GET("/nilmw", text("1"), nil)
	app.Use(functional, nil)

	err := app.Start()
	if err == nil {
		t.Fatal("it starts")
	}
	for _, want := range []string{
		"route GET /a/:y (", "conflicts with GET /a/:x (", "app_start_test.go:", "both match /a/x",
		"route GET /nil (", "has no handler", "route * /mount/*path (",
		"static files: no file system", `Deny "[a-": syntax error in pattern`, "/no/such/directory", `"/index.html" is no path in a file system`,
		"middleware of the app: a middleware is nil",
		"route GET /group/1 (", "limits: negative (and 2 more routes)",
		"a middleware returned no handler", "has a middleware that is nil",
		"CookieSecrets: server:", "templates: render:", "field BaseURL", "XHeaders",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q", want)
		}
	}
	for _, want := range []error{errRefused, server.ErrShortCookieSecret, client.ErrConfig, server.ErrInvalidTrustPolicy} {
		if !errors.Is(err, want) {
			t.Errorf("the error is not %v", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
	if again := app.Start(); again != err {
		t.Errorf("the second Start gives %v", again)
	}

	for name, failing := range map[string]func() error{
		"Run":      func() error { return app.Run("127.0.0.1:0") },
		"Serve":    func() error { return app.Serve(noListener{}) },
		"Shutdown": func() error { return app.Shutdown(t.Context()) },
		"URL":      func() error { _, err := app.URL("x"); return err },
	} {
		if got := failing(); got != err {
			t.Errorf("%s = %v, want the error of Start", name, got)
		}
	}
}

func TestAnAppThatCannotStartAnswers500(t *testing.T) {
	log := &logBook{}
	app := pleat.New(pleat.Config{Logger: log.logger()})
	app.GET("secret-path", text("x"))
	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/x", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "secret-path") {
		t.Errorf("answer = %d %q", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "secret-path") {
		t.Errorf("the log does not say why: %s", log)
	}
}

func TestSecretsThatDiffer(t *testing.T) {
	one, two := [][]byte{[]byte(strings.Repeat("1", 32))}, [][]byte{[]byte(strings.Repeat("2", 32))}
	if err := pleat.New(pleat.Config{CookieSecrets: one, Server: &server.HTTPServer{CookieSecrets: two}}).Start(); err == nil {
		t.Error("two different sets of secrets start")
	}
	if err := pleat.New(pleat.Config{CookieSecrets: one, Server: &server.HTTPServer{CookieSecrets: one}}).Start(); err != nil {
		t.Error(err)
	}
	app := pleat.New(pleat.Config{Server: &server.HTTPServer{CookieSecrets: two}})
	if err := app.Start(); err != nil || app.CookieKeys() == nil {
		t.Errorf("the server's secrets are not the app's: %v", err)
	}
}

func TestStartIsIdempotentAndConcurrent(t *testing.T) {
	app := pleat.New(pleat.Config{})
	composed := 0
	app.GET("/", text("x"), func(next pleat.Handler) pleat.Handler {
		composed++
		return next
	})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := app.Start(); err != nil {
				t.Error(err)
			}
			w := httptest.NewRecorder()
			app.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
			if w.Code != 200 {
				t.Errorf("answer = %d", w.Code)
			}
		})
	}
	all.Wait()
	if composed != 1 {
		t.Errorf("the chain was composed %d times", composed)
	}
}

func TestRegistrationAfterTheStart(t *testing.T) {
	app := pleat.New(pleat.Config{})
	group := app.Group("/g")
	route := group.GET("/x", text("x"))
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	for name, register := range map[string]func(){
		"GET":       func() { app.GET("/y", text("y")) },
		"Use":       func() { app.Use(mark("x")) },
		"Group":     func() { app.Group("/h") },
		"in group":  func() { group.POST("/y", text("y")) },
		"Group.Use": func() { group.Use(mark("x")) },
		"Name":      func() { route.Name("x") },
		"Mount":     func() { app.Mount("/m", pleat.NewGroup("")) },
		"MountHTTP": func() { app.MountHTTP("/m", http.NotFoundHandler()) },
		"Static":    func() { app.Static("/s", fstest.MapFS{}, pleat.Static{}) },
		"OnStatus":  func() { app.OnStatus(404, func(*pleat.Context, error) error { return nil }) },
	} {
		func() {
			defer func() {
				if v := recover(); v == nil || !strings.Contains(v.(string), "after the start") {
					t.Errorf("%s panics with %v", name, v)
				}
			}()
			register()
		}()
	}
}

// What proxies are believed about does not depend on who serves the app.
func TestTrustedProxies(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{Server: &server.HTTPServer{XHeaders: &server.TrustPolicy{
			Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Source: server.SourceXForwardedFor, Scheme: true,
			RequireForwarded: true,
		}}})
		app.GET("/", func(c *pleat.Context) error { return c.Text(200, c.RemoteIP().String()+" "+c.Request().Scheme()) })
		return app
	}, func(t *testing.T, s *site) {
		if a := s.get("/", "X-Forwarded-For", "6.6.6.6, 192.0.2.7", "X-Forwarded-Proto", "https"); a.body != "192.0.2.7 https" {
			t.Errorf("answer = %d %q", a.StatusCode, a.body)
		}
		if a := s.get("/"); a.StatusCode != 400 {
			t.Errorf("without the field: %d %q", a.StatusCode, a.body)
		}
	})
}

// Fields that middleware of net/http has set outside of the app are kept.
func TestFieldsFromOutside(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/", func(c *pleat.Context) error {
		if err := c.SetCookie(&http.Cookie{Name: "inner", Value: "1"}); err != nil {
			return err
		}
		return c.AddHeader("Vary", "Cookie")
	})
	s := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Vary", "Origin")
		http.SetCookie(w, &http.Cookie{Name: "outer", Value: "1"})
		app.ServeHTTP(w, q)
	}), false)
	for _, target := range []string{"/", "/nope"} {
		a := s.get(target)
		if vary := a.Header.Values("Vary"); len(vary) != 2 || vary[0] != "Origin" {
			t.Errorf("%s: Vary = %q", target, vary)
		}
		want := 2
		if target == "/nope" {
			want = 1
		}
		if cookies := a.Cookies(); len(cookies) != want || cookies[0].Name != "outer" {
			t.Errorf("%s: cookies = %v", target, cookies)
		}
	}
}
