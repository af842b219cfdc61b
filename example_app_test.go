// SPDX-License-Identifier: MIT

package pleat_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/pleat-go/pleat"
)

// show prints the answer of an app to a request.
func show(app *pleat.App, method, target string, fields ...string) *http.Response {
	w := httptest.NewRecorder()
	q := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(fields); i += 2 {
		q.Header.Add(fields[i], fields[i+1])
	}
	app.ServeHTTP(w, q)
	fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Body)))
	return w.Result()
}

func Example() {
	app := pleat.New(pleat.Config{})
	app.GET("/hello/:name", func(c *pleat.Context) error {
		return c.Text(200, "Hello, "+c.Param("name")+"!")
	})
	// app.Run("127.0.0.1:8080") would serve it.
	show(app, "GET", "/hello/World")
	show(app, "GET", "/bye")
	// Output:
	// 200 Hello, World!
	// 404 404 Not Found
}

func ExampleRouter_Group() {
	staff := func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			if c.Header("Authorization") != "secret" {
				return pleat.NewError(401, "staff only").WithHeader("WWW-Authenticate", "Bearer")
			}
			return next(c)
		}
	}
	app := pleat.New(pleat.Config{})
	admin := app.Group("/admin", staff)
	admin.GET("/stats", func(c *pleat.Context) error { return c.JSON(200, map[string]int{"users": 7}) })

	show(app, "GET", "/admin/stats", "Authorization", "secret")
	show(app, "GET", "/admin/stats")
	show(app, "GET", "/admin/nothing") // no route, no middleware of the group
	// Output:
	// 200 {"users":7}
	// 401 401 Unauthorized
	// staff only
	// 404 404 Not Found
}

func ExampleKey() {
	user := pleat.NewKey[string]("user")
	app := pleat.New(pleat.Config{})
	app.Use(func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			user.Set(c, "ann")
			return next(c)
		}
	})
	app.GET("/", func(c *pleat.Context) error {
		name, ok := user.Get(c)
		return c.Text(200, fmt.Sprint(name, " ", ok))
	})
	show(app, "GET", "/")
	// Output: 200 ann true
}

func ExampleNewError() {
	find := func(id int64) (string, error) {
		if id == 1 {
			return "one", nil
		}
		return "", fs.ErrNotExist
	}
	app := pleat.New(pleat.Config{})
	app.GET("/things/:id", func(c *pleat.Context) error {
		id, err := c.ParamInt("id") // not a number: 404
		if err != nil {
			return err
		}
		thing, err := find(id)
		if errors.Is(err, fs.ErrNotExist) {
			// The client reads the message, the log gets the cause.
			return pleat.NewError(404, "no such thing").WithCause(err)
		}
		if err != nil {
			return err // 500
		}
		return c.Text(200, thing)
	})
	show(app, "GET", "/things/1")
	show(app, "GET", "/things/2")
	// Output:
	// 200 one
	// 404 404 Not Found
	// no such thing
}

func ExampleApp_OnStatus() {
	app := pleat.New(pleat.Config{})
	app.OnStatus(404, func(c *pleat.Context, _ error) error {
		return c.HTML(404, "<h1>Nothing here</h1>")
	})
	show(app, "GET", "/")
	// Output: 404 <h1>Nothing here</h1>
}

func ExampleApp_URL() {
	app := pleat.New(pleat.Config{})
	users := app.Group("/users").Name("users")
	users.GET("/:id", func(c *pleat.Context) error { return nil }).Name("show")

	link, err := app.URL("users.show", "a/b", url.Values{"tab": {"posts"}})
	fmt.Println(link, err)
	// Output: /users/a%2Fb?tab=posts <nil>
}
