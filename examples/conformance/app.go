// SPDX-License-Identifier: MIT

package main

import (
	"io"
	"net/http"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
)

// newApp keeps the contract with an app. GET routes answer HEAD as well, and the
// 404 and 405 answers are the app's own.
func newApp(log *zerolog.Logger) *pleat.App {
	app := pleat.New(pleat.Config{Logger: log})
	app.GET("/ok", func(c *pleat.Context) error { return c.Text(http.StatusOK, "ok") })
	app.POST("/echo", echo)
	app.GET("/len", length)
	app.POST("/len", length)
	app.GET("/204", func(c *pleat.Context) error { return c.NoContent() })
	app.GET("/304", func(c *pleat.Context) error { return c.Status(http.StatusNotModified) })
	app.GET("/stream", stream)
	return app
}

func echo(c *pleat.Context) error {
	body, err := c.Body()
	if err != nil {
		return err // it knows its status: 400, 408 or 413
	}
	return c.Blob(http.StatusOK, c.Header("Content-Type"), body)
}

func length(c *pleat.Context) error {
	n, err := io.Copy(io.Discard, c.Request().BodyReader())
	if err != nil {
		return err
	}
	return c.Text(http.StatusOK, strconv.FormatInt(n, 10))
}

func stream(c *pleat.Context) error {
	for _, part := range parts {
		if _, err := c.WriteString(part); err != nil {
			return err
		}
		if err := c.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// parts are what /stream writes.
var parts = []string{"aaa", "bbb", "ccc"}
