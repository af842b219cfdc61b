// SPDX-License-Identifier: MIT

// Command gin is the benchmark server on gin in release mode.
package main

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-contrib/requestid"
	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/bench/contract"
)

func main() { contract.Main("gin", contract.SampleCookie, serve) }

func serve(o contract.Options) error {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	if err := r.SetTrustedProxies([]string{contract.TrustedProxy}); err != nil {
		return err
	}
	s := &site{log: o.Logger(), sessions: contract.NewSessions(), upstream: contract.NewUpstream(o.Upstream)}
	r.GET("/hello", func(c *gin.Context) { c.String(http.StatusOK, contract.Hello) })
	r.GET("/json", func(c *gin.Context) { c.JSON(http.StatusOK, contract.Message{Message: contract.Hello}) })
	r.GET("/slow", slow)
	r.GET("/upstream", s.relay)
	r.GET("/file", func(c *gin.Context) { c.File(o.File) })
	r.GET("/ok", ok)
	r.HEAD("/ok", ok)
	r.POST("/echo", echo)
	r.GET("/len", length)
	r.POST("/len", length)
	app := r.Group("/app", s.accessLog, gin.RecoveryWithWriter(o.Log), requestid.New(), s.session)
	app.GET("/users/:id", s.profile)
	app.POST("/users", s.addUser)
	return contract.ServeHTTP(o, "gin", r)
}

type site struct {
	log      zerolog.Logger
	sessions *contract.Sessions
	users    contract.Users
	upstream *contract.Upstream
}

func (s *site) accessLog(c *gin.Context) {
	start := time.Now()
	c.Next()
	contract.LogRequest(&s.log, &contract.Access{
		Method: c.Request.Method, Path: c.Request.URL.Path, Route: c.FullPath(),
		Status: c.Writer.Status(), Bytes: int64(c.Writer.Size()),
		Start: start, Remote: c.ClientIP(), RequestID: requestid.Get(c),
	})
}

const sessionKey = "session"

func (s *site) session(c *gin.Context) {
	if cookie, err := c.Cookie(contract.SessionCookie); err == nil {
		c.Set(sessionKey, s.sessions.Read(cookie))
	}
}

func (s *site) profile(c *gin.Context) {
	session, _ := c.Get(sessionKey)
	known, _ := session.(contract.Session)
	c.JSON(http.StatusOK, contract.Profile{ID: c.Param("id"), User: known.User, Client: c.ClientIP()})
}

func (s *site) addUser(c *gin.Context) {
	var u contract.NewUser
	limitBody(c)
	if err := c.ShouldBindJSON(&u); err != nil {
		c.JSON(statusOf(err), contract.Failure{Error: err.Error()})
		return
	}
	if err := u.Check(); err != nil {
		c.JSON(http.StatusUnprocessableEntity, contract.Failure{Error: err.Error()})
		return
	}
	c.JSON(http.StatusCreated, s.users.Add(u))
}

func (s *site) relay(c *gin.Context) {
	m, err := s.upstream.Get(c.Request.Context())
	if err != nil {
		c.String(http.StatusBadGateway, "bad gateway")
		return
	}
	c.JSON(http.StatusOK, m)
}

func ok(c *gin.Context) { c.String(http.StatusOK, "ok") }

func slow(c *gin.Context) {
	pause, err := contract.Pause(c.Query("ms"))
	if err != nil {
		c.String(http.StatusBadRequest, "%v", err)
		return
	}
	time.Sleep(pause)
	c.String(http.StatusOK, "slept")
}

func echo(c *gin.Context) {
	limitBody(c)
	body, err := c.GetRawData()
	if err != nil {
		c.String(statusOf(err), "%v", err)
		return
	}
	c.Header("Content-Length", strconv.Itoa(len(body)))
	c.Data(http.StatusOK, c.ContentType(), body)
}

func length(c *gin.Context) {
	limitBody(c)
	n, err := io.Copy(io.Discard, c.Request.Body)
	if err != nil {
		c.String(statusOf(err), "%v", err)
		return
	}
	c.String(http.StatusOK, strconv.FormatInt(n, 10))
}

func limitBody(c *gin.Context) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, contract.MaxBody)
}

func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}
