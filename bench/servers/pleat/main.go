// SPDX-License-Identifier: MIT

// Command pleat is the benchmark server on pleat.
package main

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/bench/contract"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/server"
)

func main() { contract.Main("pleat", sampleCookie, serve) }

// sampleCookie is a session cookie of pleat's own making: securecookie with JSON
// inside like the others, but with keys derived from the secret.
func sampleCookie() (string, error) {
	keys, err := server.NewCookieKeys(contract.Secret)
	if err != nil {
		return "", err
	}
	return keys.Encode(contract.SessionCookie, contract.SampleSession)
}

func serve(o contract.Options) error {
	if o.Log != io.Discard {
		log := middleware.NewLogWriter(o.Log, middleware.LogWriterConfig{})
		defer func() { _ = log.Close() }()
		o.Log = log
	}
	trusted, err := server.ParsePrefixes(contract.TrustedProxy)
	if err != nil {
		return err
	}
	logger := o.Logger()
	s := &server.HTTPServer{
		MaxRequest:    contract.MaxBody,
		MaxHeader:     contract.MaxHeader,
		HeaderTimeout: contract.HeaderTimeout,
		IdleTimeout:   contract.IdleTimeout,
	}
	app := pleat.New(pleat.Config{Logger: &logger, CookieSecrets: [][]byte{contract.Secret}, Server: s})
	route(app, o, server.TrustPolicy{Trusted: trusted, Source: server.SourceXForwardedFor})
	if !o.TLS {
		return app.Run(o.Addr)
	}
	if err := app.Start(); err != nil {
		return err
	}
	if s.TLSConfig, err = contract.TLSConfig(); err != nil {
		return err
	}
	return s.ListenAndServeTLS(o.Addr, "", "")
}

func route(app *pleat.App, o contract.Options, policy server.TrustPolicy) {
	site := &site{upstream: o.Upstream}
	app.GET("/hello", func(c *pleat.Context) error { return c.Text(http.StatusOK, contract.Hello) })
	app.GET("/json", func(c *pleat.Context) error {
		return c.JSON(http.StatusOK, contract.Message{Message: contract.Hello})
	})
	app.GET("/slow", slow)
	app.GET("/upstream", site.relay)
	app.GET("/file", func(c *pleat.Context) error { return c.File(o.File) })
	app.GET("/ok", func(c *pleat.Context) error { return c.Text(http.StatusOK, "ok") })
	app.POST("/echo", echo)
	app.GET("/len", length)
	app.POST("/len", length)
	group := app.Group("/app",
		middleware.Logger(middleware.LoggerConfig{}),
		middleware.RequestID(middleware.RequestIDConfig{}),
		middleware.Forwarded(policy),
		middleware.Recover(),
	)
	group.GET("/users/:id", profile)
	group.POST("/users", site.addUser)
}

type site struct {
	users    contract.Users
	upstream string
}

func profile(c *pleat.Context) error {
	var session contract.Session
	_ = c.SecureCookie(contract.SessionCookie, &session) // without one there is no user
	return c.JSON(http.StatusOK, contract.Profile{
		ID: c.Param("id"), User: session.User, Client: c.RemoteIP().String(),
	})
}

func (s *site) addUser(c *pleat.Context) error {
	var u contract.NewUser
	if err := c.Bind(&u); err != nil {
		return err
	}
	if err := u.Check(); err != nil {
		return pleat.NewError(http.StatusUnprocessableEntity, err.Error())
	}
	return c.JSON(http.StatusCreated, s.users.Add(u))
}

func (s *site) relay(c *pleat.Context) error {
	var m contract.Message
	if err := c.Client().Get(s.upstream).JSON(&m); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, m)
}

func slow(c *pleat.Context) error {
	pause, err := contract.Pause(c.Query("ms"))
	if err != nil {
		return pleat.NewError(http.StatusBadRequest, err.Error())
	}
	time.Sleep(pause)
	return c.Text(http.StatusOK, "slept")
}

func echo(c *pleat.Context) error {
	body, err := c.Body()
	if err != nil {
		return err
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
