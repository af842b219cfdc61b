// SPDX-License-Identifier: MIT

package middleware_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
)

// mark is middleware that leaves a letter on the way in and one on the way out.
func mark(letter string) pleat.Middleware {
	return func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			_ = c.AddHeader("Trace", letter)
			err := next(c)
			_ = c.AddHeader("Trace", strings.ToUpper(letter))
			return err
		}
	}
}

func TestWhen(t *testing.T) {
	wanted := func(c *pleat.Context) bool { return c.Query("on") == "1" }
	tests := []struct {
		name string
		mw   []pleat.Middleware
		on   string
		off  string
	}{
		{"none", nil, "", ""},
		{"one", []pleat.Middleware{mark("a")}, "aA", ""},
		{"first outermost", []pleat.Middleware{mark("a"), mark("b")}, "abBA", ""},
		{"nested", []pleat.Middleware{mark("a"), middleware.When(wanted, mark("b"))}, "abBA", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			app := pleat.New(pleat.Config{})
			app.Use(middleware.When(wanted, test.mw...))
			app.GET("/", func(c *pleat.Context) error { return c.Text(200, "ok") })
			for target, trace := range map[string]string{"/?on=1": test.on, "/": test.off} {
				w := httptest.NewRecorder()
				app.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
				if got := strings.Join(w.Header()["Trace"], ""); w.Code != 200 || got != trace {
					t.Errorf("%s: %d, trace %q, want %q", target, w.Code, got, trace)
				}
			}
		})
	}
}

func TestWhenRefused(t *testing.T) {
	always := func(*pleat.Context) bool { return true }
	for name, mw := range map[string]pleat.Middleware{
		"no condition":        middleware.When(nil, mark("a")),
		"middleware 1 is nil": middleware.When(always, mark("a"), nil),
		"returned no handler": middleware.When(always, func(pleat.Handler) pleat.Handler { return nil }),
		// What the middleware under the condition refuses is refused as well.
		"no cookie secret": middleware.When(always, middleware.SignedCookies(middleware.SignedCookiesConfig{})),
	} {
		app := pleat.New(pleat.Config{})
		app.GET("/", (*pleat.Context).NoContent, mw)
		if err := app.Start(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: Start() = %v", name, err)
		}
	}
}

// What was given must not change under the app.
func TestWhenCopies(t *testing.T) {
	mws := []pleat.Middleware{mark("a")}
	mw := middleware.When(func(*pleat.Context) bool { return true }, mws...)
	mws[0] = nil
	app := pleat.New(pleat.Config{})
	app.Use(mw)
	if err := app.Start(); err != nil {
		t.Error(err)
	}
}

func ExampleWhen() {
	notHealth := func(c *pleat.Context) bool { return c.Path() != "/healthz" }
	hello := func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			fmt.Println("seen", c.Path())
			return next(c)
		}
	}
	app := pleat.New(pleat.Config{})
	app.Use(middleware.When(notHealth, hello))
	app.GET("/healthz", (*pleat.Context).NoContent)
	app.GET("/", (*pleat.Context).NoContent)
	for _, path := range []string{"/healthz", "/", "/none"} {
		app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	// Output:
	// seen /
	// seen /none
}
