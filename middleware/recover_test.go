// SPDX-License-Identifier: MIT

package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
)

func TestRecover(t *testing.T) {
	cause := errors.New("the cause")
	tests := []struct {
		name    string
		handler pleat.Handler
		status  int
		is      error // in the chain of what outer middleware sees
		panics  bool  // it is a *PanicError
	}{
		{"no panic", func(c *pleat.Context) error { return c.Text(200, "fine") }, 200, nil, false},
		{"an error", func(*pleat.Context) error { return cause }, 500, cause, false},
		{"string", func(*pleat.Context) error { panic("secret") }, 500, nil, true},
		{"error", func(*pleat.Context) error { panic(cause) }, 500, cause, true},
		{"error with a status", func(*pleat.Context) error { panic(pleat.NewError(404, "").WithCause(cause)) }, 500, nil, true},
		{"runtime error", func(c *pleat.Context) error { return c.Text(200, []string{""}[c.Request().Header().Len()]) }, 500, nil, true},
		{"nil", func(c *pleat.Context) error { panic(c.Value("nothing")) }, 500, nil, true},
		{"after an answer", func(c *pleat.Context) error { _ = c.Text(200, "secret"); panic("secret") }, 500, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var seen error
			app := pleat.New(pleat.Config{})
			app.Use(func(next pleat.Handler) pleat.Handler {
				return func(c *pleat.Context) error {
					seen = next(c)
					return seen
				}
			}, middleware.Recover())
			app.GET("/", test.handler)
			a := get(t, serve(t, app), "/", "")
			if a.StatusCode != test.status || strings.Contains(a.text, "secret") || strings.Contains(a.text, "cause") {
				t.Errorf("%d %q", a.StatusCode, a.text)
			}
			if test.is != nil && !errors.Is(seen, test.is) {
				t.Errorf("middleware outside sees %v", seen)
			}
			var p *pleat.PanicError
			if got := errors.As(seen, &p); got != test.panics {
				t.Errorf("middleware outside sees %T %v", seen, seen)
			}
			if test.panics && !strings.Contains(string(p.Stack), "recover_test.go") {
				t.Errorf("the stack does not lead to the panic:\n%s", p.Stack)
			}
		})
	}
}

func TestRecoverLetsAbortThrough(t *testing.T) {
	returned := false
	app := pleat.New(pleat.Config{})
	app.Use(func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			err := next(c)
			returned = true
			return err
		}
	}, middleware.Recover())
	app.GET("/", func(c *pleat.Context) error { panic(http.ErrAbortHandler) })
	a, err := send(t, serve(t, app), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if err == nil || returned {
		t.Errorf("answer %v, returned %v", a, returned)
	}
}

func ExampleRecover() {
	count := func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			err := next(c)
			var p *pleat.PanicError
			if errors.As(err, &p) {
				fmt.Println("counted a panic:", p.Value)
			}
			return err
		}
	}
	app := pleat.New(pleat.Config{})
	app.Use(count, middleware.Recover())
	app.GET("/", func(c *pleat.Context) error { panic("out of cheese") })

	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(w.Code)
	// Output:
	// counted a panic: out of cheese
	// 500
}
