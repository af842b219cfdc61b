// SPDX-License-Identifier: MIT

// Command hello is the first program of the guide in docs/getting-started.md.
package main

import (
	"log"

	"github.com/pleat-go/pleat"
)

func main() {
	app := pleat.New(pleat.Config{})
	app.GET("/", func(c *pleat.Context) error {
		return c.Text(200, "Hello, World!\n")
	})
	if err := app.Run("127.0.0.1:8080"); err != nil {
		log.Fatal(err)
	}
}
