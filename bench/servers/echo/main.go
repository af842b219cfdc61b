// SPDX-License-Identifier: MIT

// Command echo is the benchmark server on echo, with echo's own middleware.
package main

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"
	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/bench/contract"
)

func main() { contract.Main("echo", contract.SampleCookie, serve) }

func serve(o contract.Options) error {
	e := echo.New()
	e.Logger = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	e.Filesystem = os.DirFS(filepath.Dir(o.File))
	e.IPExtractor = echo.ExtractIPFromXFFHeader( // loopback is trusted by default
		echo.TrustLinkLocal(false), echo.TrustPrivateNet(false))
	s := &site{log: o.Logger(), sessions: contract.NewSessions(), upstream: contract.NewUpstream(o.Upstream)}
	e.GET("/hello", func(c *echo.Context) error { return c.String(http.StatusOK, contract.Hello) })
	e.GET("/json", func(c *echo.Context) error {
		return c.JSON(http.StatusOK, contract.Message{Message: contract.Hello})
	})
	e.GET("/slow", slow)
	e.GET("/upstream", s.relay)
	e.GET("/file", func(c *echo.Context) error { return c.File(filepath.Base(o.File)) })
	e.GET("/ok", ok)
	e.HEAD("/ok", ok)
	limit := middleware.BodyLimit(contract.MaxBody)
	e.POST("/echo", echoBody, limit)
	e.GET("/len", length)
	e.POST("/len", length, limit)
	app := e.Group("/app", s.accessLog(), middleware.Recover(), middleware.RequestID(), s.session)
	app.GET("/users/:id", s.profile)
	app.POST("/users", s.addUser, limit)
	return contract.ServeHTTP(o, "echo", e)
}

type site struct {
	log      zerolog.Logger
	sessions *contract.Sessions
	users    contract.Users
	upstream *contract.Upstream
}

func (s *site) accessLog() echo.MiddlewareFunc {
	return middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		HandleError:     true,
		LogMethod:       true,
		LogURIPath:      true,
		LogRoutePath:    true,
		LogStatus:       true,
		LogResponseSize: true,
		LogRemoteIP:     true,
		LogRequestID:    true,
		LogLatency:      true,
		LogValuesFunc: func(_ *echo.Context, v middleware.RequestLoggerValues) error {
			contract.LogRequest(&s.log, &contract.Access{
				Method: v.Method, Path: v.URIPath, Route: v.RoutePath, Status: v.Status, Bytes: v.ResponseSize,
				Start: v.StartTime, Remote: v.RemoteIP, RequestID: v.RequestID,
			})
			return nil
		},
	})
}

const sessionKey = "session"

func (s *site) session(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		if cookie, err := c.Cookie(contract.SessionCookie); err == nil {
			c.Set(sessionKey, s.sessions.Read(cookie.Value))
		}
		return next(c)
	}
}

func (s *site) profile(c *echo.Context) error {
	session, _ := c.Get(sessionKey).(contract.Session)
	return c.JSON(http.StatusOK, contract.Profile{ID: c.Param("id"), User: session.User, Client: c.RealIP()})
}

func (s *site) addUser(c *echo.Context) error {
	var u contract.NewUser
	if err := c.Bind(&u); err != nil {
		return err // it has its status, and echo makes JSON of it
	}
	if err := u.Check(); err != nil {
		return echo.NewHTTPError(http.StatusUnprocessableEntity, err.Error())
	}
	return c.JSON(http.StatusCreated, s.users.Add(u))
}

func (s *site) relay(c *echo.Context) error {
	m, err := s.upstream.Get(c.Request().Context())
	if err != nil {
		return echo.NewHTTPError(http.StatusBadGateway, "bad gateway")
	}
	return c.JSON(http.StatusOK, m)
}

func ok(c *echo.Context) error { return c.String(http.StatusOK, "ok") }

func slow(c *echo.Context) error {
	pause, err := contract.Pause(c.QueryParam("ms"))
	if err != nil {
		return echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	time.Sleep(pause)
	return c.String(http.StatusOK, "slept")
}

func echoBody(c *echo.Context) error {
	body, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return bodyError(err)
	}
	c.Response().Header().Set("Content-Length", strconv.Itoa(len(body)))
	return c.Blob(http.StatusOK, c.Request().Header.Get("Content-Type"), body)
}

func length(c *echo.Context) error {
	n, err := io.Copy(io.Discard, c.Request().Body)
	if err != nil {
		return bodyError(err)
	}
	return c.String(http.StatusOK, strconv.FormatInt(n, 10))
}

// bodyError keeps the status of BodyLimit's errors; others are the client's.
func bodyError(err error) error {
	var coder echo.HTTPStatusCoder
	if errors.As(err, &coder) {
		return err
	}
	return echo.NewHTTPError(http.StatusBadRequest, "bad body")
}
