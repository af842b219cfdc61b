// SPDX-License-Identifier: MIT

// Command hertz is the benchmark server on hertz with its netpoll transport, with
// hertz's own middleware and client.
package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/cloudwego/hertz/pkg/app"
	"github.com/cloudwego/hertz/pkg/app/client"
	"github.com/cloudwego/hertz/pkg/app/middlewares/server/recovery"
	"github.com/cloudwego/hertz/pkg/app/server"
	"github.com/cloudwego/hertz/pkg/common/config"
	"github.com/cloudwego/hertz/pkg/common/hlog"
	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/bench/contract"
)

func main() { contract.Main("hertz", contract.SampleCookie, serve) }

func serve(o contract.Options) error {
	hlog.SetLevel(hlog.LevelError)
	options := []config.Option{
		server.WithHostPorts(o.Addr),
		server.WithReadTimeout(contract.HeaderTimeout),
		server.WithIdleTimeout(contract.IdleTimeout),
		server.WithKeepAliveTimeout(contract.IdleTimeout),
		server.WithMaxRequestBodySize(contract.MaxBody),
		server.WithMaxHeaderBytes(contract.MaxHeader),
		server.WithDisablePrintRoute(true),
	}
	if o.TLS {
		certificate, err := contract.TLSConfig()
		if err != nil {
			return err
		}
		options = append(options, server.WithTLS(certificate))
	}
	upstream, err := client.NewClient(client.WithMaxConnsPerHost(512))
	if err != nil {
		return err
	}
	_, trusted, err := net.ParseCIDR(contract.TrustedProxy)
	if err != nil {
		return err
	}
	s := &site{log: o.Logger(), sessions: contract.NewSessions(), upstream: o.Upstream, client: upstream, file: o.File}
	h := server.New(options...)
	h.SetClientIPFunc(app.ClientIPWithOption(app.ClientIPOptions{
		RemoteIPHeaders: []string{"X-Forwarded-For"},
		TrustedCIDRs:    []*net.IPNet{trusted},
	}))
	s.route(h)
	return h.Run()
}

type site struct {
	log      zerolog.Logger
	sessions *contract.Sessions
	users    contract.Users
	upstream string
	client   *client.Client
	file     string
}

func (s *site) route(h *server.Hertz) {
	h.GET("/hello", func(_ context.Context, c *app.RequestContext) { c.String(http.StatusOK, contract.Hello) })
	h.GET("/json", func(_ context.Context, c *app.RequestContext) {
		c.JSON(http.StatusOK, contract.Message{Message: contract.Hello})
	})
	h.GET("/slow", slow)
	h.GET("/upstream", s.relay)
	h.GET("/file", func(_ context.Context, c *app.RequestContext) { c.File(s.file) })
	h.GET("/ok", ok)
	h.HEAD("/ok", ok)
	h.POST("/echo", echo)
	h.GET("/len", length)
	h.POST("/len", length)
	g := h.Group("/app", s.accessLog, recovery.Recovery(), s.requestID, s.session)
	g.GET("/users/:id", s.profile)
	g.POST("/users", s.addUser)
}

const (
	requestIDKey = "request_id"
	sessionKey   = "session"
)

func (s *site) accessLog(ctx context.Context, c *app.RequestContext) {
	start := time.Now()
	c.Next(ctx)
	contract.LogRequest(&s.log, &contract.Access{
		Method: string(c.Method()), Path: string(c.Path()), Route: c.FullPath(),
		Status: c.Response.StatusCode(), Bytes: int64(len(c.Response.Body())),
		Start: start, Remote: c.ClientIP(), RequestID: c.GetString(requestIDKey),
	})
}

func (s *site) requestID(ctx context.Context, c *app.RequestContext) {
	id := contract.NewRequestID()
	c.Set(requestIDKey, id)
	c.Header("X-Request-Id", id)
	c.Next(ctx)
}

func (s *site) session(ctx context.Context, c *app.RequestContext) {
	c.Set(sessionKey, s.sessions.Read(string(c.Cookie(contract.SessionCookie))))
	c.Next(ctx)
}

func (s *site) profile(_ context.Context, c *app.RequestContext) {
	session, _ := c.Value(sessionKey).(contract.Session)
	c.JSON(http.StatusOK, contract.Profile{ID: c.Param("id"), User: session.User, Client: c.ClientIP()})
}

func (s *site) addUser(_ context.Context, c *app.RequestContext) {
	var u contract.NewUser
	if err := c.BindJSON(&u); err != nil {
		c.JSON(http.StatusBadRequest, contract.Failure{Error: err.Error()})
		return
	}
	if err := u.Check(); err != nil {
		c.JSON(http.StatusUnprocessableEntity, contract.Failure{Error: err.Error()})
		return
	}
	c.JSON(http.StatusCreated, s.users.Add(u))
}

func (s *site) relay(ctx context.Context, c *app.RequestContext) {
	status, body, err := s.client.Get(ctx, nil, s.upstream)
	var m contract.Message
	if err == nil && status == http.StatusOK {
		err = json.Unmarshal(body, &m)
	}
	if err != nil || status != http.StatusOK {
		c.String(http.StatusBadGateway, "bad gateway")
		return
	}
	c.JSON(http.StatusOK, m)
}

func ok(_ context.Context, c *app.RequestContext) { c.String(http.StatusOK, "ok") }

func slow(_ context.Context, c *app.RequestContext) {
	pause, err := contract.Pause(c.Query("ms"))
	if err != nil {
		c.String(http.StatusBadRequest, "%v", err)
		return
	}
	time.Sleep(pause)
	c.String(http.StatusOK, "slept")
}

func echo(_ context.Context, c *app.RequestContext) {
	c.Data(http.StatusOK, string(c.ContentType()), c.Request.Body())
}

func length(_ context.Context, c *app.RequestContext) {
	c.String(http.StatusOK, strconv.Itoa(len(c.Request.Body())))
}
