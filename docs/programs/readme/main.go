// SPDX-License-Identifier: MIT

// Command readme is the program in README.md.
package main

import (
	"log"
	"os"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/middleware"
)

func main() {
	if err := newApp("https://api.github.com").Run("127.0.0.1:8080"); err != nil {
		log.Fatal(err)
	}
}

func newApp(upstream string) *pleat.App {
	logger := zerolog.New(os.Stderr)
	app := pleat.New(pleat.Config{
		Development: true, // causes in error pages, and a cookie secret made up for this run
		Logger:      &logger,
		Client:      &client.HTTPClient{BaseURL: upstream},
	})
	app.Use(middleware.Logger(middleware.LoggerConfig{}), middleware.Recover())

	app.GET("/hello/:name", func(c *pleat.Context) error {
		before := "nobody"
		_ = c.SecureCookie("last", &before) // none, expired or not ours: still nobody
		if err := c.SetSecureCookie("last", c.Param("name")); err != nil {
			return err
		}
		return c.Text(200, "Hello, "+c.Param("name")+"! Before you came "+before+".\n")
	})
	app.GET("/zen", func(c *pleat.Context) error {
		zen, err := c.Client().Get("zen").Text() // ends when our client goes away
		if err != nil {
			return err // 502, or 504 when it took too long
		}
		return c.Text(200, zen+"\n")
	})
	return app
}
