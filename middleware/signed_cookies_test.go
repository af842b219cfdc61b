// SPDX-License-Identifier: MIT

package middleware_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/server"
)

var (
	secretA = []byte("the first secret: 32 octets long")
	secretB = []byte("the other secret, a bit longer still")
	secretC = []byte("the last secret is as long as it is")
)

func setCookie(c *pleat.Context) error {
	if err := c.SetSecureCookie("who", "ann"); err != nil {
		return err
	}
	return c.Text(200, "set")
}

func readCookie(c *pleat.Context) error {
	who, ok := c.GetSecureCookie("who")
	if !ok {
		return c.Text(200, "nobody")
	}
	return c.Text(200, string(who))
}

// cookieApp has the same two handlers outside of any group and in several.
func cookieApp(log *logLines) *pleat.App {
	app := pleat.New(pleat.Config{Logger: log.logger(), CookieSecrets: [][]byte{secretA}})
	app.Use(middleware.Logger(middleware.LoggerConfig{}))
	groups := map[string][]pleat.Middleware{
		"/app":     nil,
		"/same":    {middleware.SignedCookies(middleware.SignedCookiesConfig{Secrets: [][]byte{secretA}})},
		"/purpose": {middleware.SignedCookies(middleware.SignedCookiesConfig{Secrets: [][]byte{secretA}, Purpose: "admin"})},
		"/other":   {middleware.SignedCookies(middleware.SignedCookiesConfig{Secrets: [][]byte{secretB}})},
		"/rotated": {middleware.SignedCookies(middleware.SignedCookiesConfig{Secrets: [][]byte{secretC, secretB}})},
		"/nested": {
			middleware.SignedCookies(middleware.SignedCookiesConfig{Secrets: [][]byte{secretA}}),
			middleware.SignedCookies(middleware.SignedCookiesConfig{Secrets: [][]byte{secretC}}),
		},
	}
	for prefix, mw := range groups {
		g := app.Group(prefix, mw...)
		g.GET("/set", setCookie)
		g.GET("/get", readCookie)
		g.GET("/fail", func(*pleat.Context) error { return errors.New("failed") })
		g.GET("/panic", func(*pleat.Context) error { panic("failed") })
	}
	return app
}

func TestSignedCookies(t *testing.T) {
	log := newLog()
	addr := serve(t, cookieApp(log))
	// Which group opens cookies of which.
	opens := map[string][]string{
		"/app":     {"/app", "/same"},
		"/same":    {"/app", "/same"},
		"/purpose": {"/purpose"},
		"/other":   {"/other", "/rotated"},
		"/rotated": {"/rotated", "/nested"}, // its newest secret is that of /nested
		"/nested":  {"/rotated", "/nested"},
	}
	var cookies []string
	for from, to := range opens {
		set := get(t, addr, from+"/set", "")
		if set.StatusCode != 200 || len(set.Cookies()) != 1 {
			t.Fatalf("%s/set: %d, %v", from, set.StatusCode, set.Cookies())
		}
		value := set.Cookies()[0].Value
		cookies = append(cookies, value)
		for prefix := range opens {
			wanted := "nobody"
			for _, p := range to {
				if p == prefix {
					wanted = "ann"
				}
			}
			if a := get(t, addr, prefix+"/get", "Cookie: who="+value+"\r\n"); a.text != wanted {
				t.Errorf("cookie of %s in %s: %q, want %q", from, prefix, a.text, wanted)
			}
		}
	}
	// Neither keys nor cookies get into the log or an error page.
	for prefix := range opens {
		for _, path := range []string{"/fail", "/panic", "/nowhere"} {
			a := get(t, addr, prefix+path, "Cookie: who="+cookies[0]+"\r\nAuthorization: Bearer topsecret\r\n")
			noSecret(t, a.text, cookies)
		}
	}
	noSecret(t, log.rest(), cookies)
}

func noSecret(t *testing.T, text string, others []string) {
	t.Helper()
	for _, secret := range append([]string{string(secretA), string(secretB), string(secretC), "topsecret"}, others...) {
		if strings.Contains(text, secret) {
			t.Errorf("%q in %s", secret, text)
		}
	}
}

// Middleware outside of the group has its own keys again, whatever happens inside.
func TestSignedCookiesRestoresKeys(t *testing.T) {
	for name, handler := range map[string]pleat.Handler{
		"answer": func(c *pleat.Context) error { return c.Text(200, "ok") },
		"error":  func(*pleat.Context) error { return errors.New("no") },
		"panic":  func(*pleat.Context) error { panic("no") },
	} {
		for _, secrets := range [][][]byte{nil, {secretA}} {
			var before, after *server.CookieKeys
			app := pleat.New(pleat.Config{CookieSecrets: secrets})
			app.Use(func(next pleat.Handler) pleat.Handler {
				return func(c *pleat.Context) error {
					_, _ = c.GetSecureCookie("x") // has the app's keys put in place
					before = c.Request().CookieKeys()
					err := next(c)
					after = c.Request().CookieKeys()
					return err
				}
			}, middleware.Recover())
			app.GET("/", handler, middleware.SignedCookies(middleware.SignedCookiesConfig{Secrets: [][]byte{secretB}}))
			app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			if before != after || (before == nil) != (secrets == nil) {
				t.Errorf("%s: keys %v before, %v after", name, before, after)
			}
		}
	}
}

func TestSignedCookiesRefused(t *testing.T) {
	tests := []struct {
		name   string
		config middleware.SignedCookiesConfig
		is     error // nil: any
	}{
		{"no secret", middleware.SignedCookiesConfig{}, server.ErrNoCookieSecret},
		{"no secret but a purpose", middleware.SignedCookiesConfig{Purpose: "admin"}, server.ErrNoCookieSecret},
		{"empty secret", middleware.SignedCookiesConfig{Secrets: [][]byte{nil}}, server.ErrNoCookieSecret},
		{"short secret", middleware.SignedCookiesConfig{Secrets: [][]byte{secretA[:31]}}, server.ErrShortCookieSecret},
		{"short old secret", middleware.SignedCookiesConfig{Secrets: [][]byte{secretA, secretB[:31]}}, server.ErrShortCookieSecret},
		{"equal secrets", middleware.SignedCookiesConfig{Secrets: [][]byte{secretA, secretA}}, server.ErrInvalidCookieSecrets},
		{"bad purpose", middleware.SignedCookiesConfig{Secrets: [][]byte{secretA}, Purpose: "Admin Area"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			app := pleat.New(pleat.Config{})
			app.Group("/admin", middleware.SignedCookies(test.config)).GET("/", setCookie)
			err := app.Start()
			if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), "middleware: SignedCookies: ") {
				t.Fatalf("Start() = %v", err)
			}
			noSecret(t, err.Error(), []string{string(secretA[:31]), string(secretB[:31])})
		})
	}
}

func TestSignedCookiesCopies(t *testing.T) {
	secret := bytes.Clone(secretB)
	app := pleat.New(pleat.Config{})
	mw := middleware.SignedCookies(middleware.SignedCookiesConfig{Secrets: [][]byte{secret}})
	clear(secret)
	app.GET("/set", setCookie, mw)
	a := get(t, serve(t, app), "/set", "")
	keys, err := server.NewCookieKeys(secretB)
	if err != nil {
		t.Fatal(err)
	}
	var who string
	if err := keys.Decode("who", a.Cookies()[0].Value, &who); err != nil || who != "ann" {
		t.Errorf("%q, %v", who, err)
	}
}

func TestSignedCookiesConfigPrintsNoSecret(t *testing.T) {
	config := middleware.SignedCookiesConfig{Secrets: [][]byte{secretA}, Purpose: "admin"}
	wrapped := struct {
		C middleware.SignedCookiesConfig
	}{config}
	encoded, err := json.Marshal(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	log := newLog()
	log.logger().Info().Interface("config", config).Send()
	text := fmt.Sprintf("%v %+v %#v %s %x %v %+v %#v %s %d", config, config, config, config, config, wrapped, wrapped, wrapped, wrapped, wrapped)
	text += string(encoded) + log.rest()
	noSecret(t, text, []string{fmt.Sprintf("%x", secretA), fmt.Sprint(secretA), "dGhlIGZpcnN0"})
	if !strings.Contains(text, `purpose "admin", secrets 1`) {
		t.Error(text)
	}
}

func ExampleSignedCookies() {
	app := pleat.New(pleat.Config{CookieSecrets: [][]byte{[]byte("32 octets of crypto/rand, kept..")}})
	app.GET("/login", func(c *pleat.Context) error { return c.SetSecureCookie("user", "ann") })

	admin := app.Group("/admin", middleware.SignedCookies(middleware.SignedCookiesConfig{
		Secrets: [][]byte{[]byte("32 other octets that few can see")},
		Purpose: "admin",
	}))
	admin.GET("/", func(c *pleat.Context) error {
		if _, ok := c.GetSecureCookie("user"); !ok {
			return pleat.NewError(403, "not an administrator's cookie")
		}
		return c.Text(200, "welcome")
	})

	login := httptest.NewRecorder()
	app.ServeHTTP(login, httptest.NewRequest("GET", "/login", nil))

	q := httptest.NewRequest("GET", "/admin/", nil)
	q.AddCookie(login.Result().Cookies()[0])
	w := httptest.NewRecorder()
	app.ServeHTTP(w, q)
	fmt.Print(w.Body)
	// Output:
	// 403 Forbidden
	// not an administrator's cookie
}
