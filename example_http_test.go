// SPDX-License-Identifier: MIT

package pleat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/pleat-go/pleat"
)

func ExampleWrapHTTP() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		c := pleat.FromContext(q.Context())
		_, _ = io.WriteString(w, "Hello, "+q.PathValue("name")+" at "+c.Route().Pattern())
	})
	app := pleat.New(pleat.Config{})
	app.GET("/hello/:name", pleat.WrapHTTP(hello))
	show(app, "GET", "/hello/ann")
	// Output: 200 Hello, ann at /hello/:name
}

func ExampleWrapMiddleware() {
	app := pleat.New(pleat.Config{})
	app.Use(pleat.WrapMiddleware(func(next http.Handler) http.Handler {
		return http.MaxBytesHandler(next, 1<<20)
	}))
	app.GET("/", func(c *pleat.Context) error { return c.Text(200, "ok") })
	show(app, "GET", "/")
	// Output: 200 ok
}

func ExampleContext_WithContext() {
	deadline := func(d time.Duration) pleat.Middleware {
		return func(next pleat.Handler) pleat.Handler {
			return func(c *pleat.Context) error {
				ctx, cancel := context.WithTimeout(c, d)
				defer cancel()
				return next(c.WithContext(ctx))
			}
		}
	}
	app := pleat.New(pleat.Config{})
	app.GET("/slow", func(c *pleat.Context) error {
		<-c.Done()
		return c.Err() // context.DeadlineExceeded is a 503
	}, deadline(time.Millisecond))
	// The answer has the id of the request, so it is another each time.
	fmt.Println(show(app, "HEAD", "/slow").Status)
	// Output:
	// 503
	// 503 Service Unavailable
}

func ExampleContext_SetSecureCookie() {
	type session struct{ User string }
	app := pleat.New(pleat.Config{CookieSecrets: [][]byte{[]byte(strings.Repeat("from a safe place", 2))}})
	app.GET("/login", func(c *pleat.Context) error {
		if err := c.SetSecureCookie("session", session{"ann"}); err != nil {
			return err
		}
		return c.Redirect(303, "/me")
	})
	app.GET("/me", func(c *pleat.Context) error {
		var s session
		if err := c.SecureCookie("session", &s); err != nil {
			return pleat.NewError(401, "log in first").WithCause(err)
		}
		return c.Text(200, s.User)
	})
	cookie := show(app, "GET", "/login").Cookies()[0]
	show(app, "GET", "/me", "Cookie", cookie.Name+"="+cookie.Value)
	show(app, "GET", "/me", "Cookie", cookie.Name+"=forged")
	// Output:
	// 303
	// 200 ann
	// 401 401 Unauthorized
	// log in first
}

func ExampleFromContext() {
	id := func(ctx context.Context) (string, error) {
		if c := pleat.FromContext(ctx); c != nil {
			return c.RequestID(), nil
		}
		return "", errors.New("not in a request")
	}
	_, err := id(context.Background())
	fmt.Println(err)
	// Output: not in a request
}
