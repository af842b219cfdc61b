// SPDX-License-Identifier: MIT

// Command readme is the program of the README.
package main

import (
	"fmt"
	"log"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
)

func main() {
	if err := newApp().Run("127.0.0.1:8080"); err != nil {
		log.Fatal(err)
	}
}

func newApp() *pleat.App {
	// Makes up a cookie secret and shows why requests fail: not for strangers.
	app := pleat.New(pleat.Config{Development: true})
	app.Use(middleware.Recover())
	app.GET("/hello/:name", func(c *pleat.Context) error {
		var visits int
		_ = c.SecureCookie("visits", &visits) // absent, expired or forged: 0
		visits++
		if err := c.SetSecureCookie("visits", visits); err != nil {
			return err
		}
		return c.Text(200, fmt.Sprintf("Hello, %s! This is visit %d.\n", c.Param("name"), visits))
	})
	return app
}
