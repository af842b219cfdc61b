// SPDX-License-Identifier: MIT

// Command fasthttp is the benchmark server on fasthttp alone, with a switch for
// a router and middleware as it is usually written by hand.
package main

import (
	"encoding/json"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"github.com/pleat-go/pleat/bench/contract"
)

func main() { contract.Main("fasthttp", contract.SampleCookie, serve) }

func serve(o contract.Options) error {
	s := &site{
		log:      o.Logger(),
		sessions: contract.NewSessions(),
		upstream: o.Upstream,
		client:   &fasthttp.Client{MaxConnsPerHost: 512},
		file:     o.File,
	}
	l, err := o.Listen()
	if err != nil {
		return err
	}
	// The limit of a request head is the size of the buffer that each connection
	// has; it is left at its default of 4 KiB.
	server := &fasthttp.Server{
		Handler:            s.serveRequest,
		ErrorHandler:       answerError,
		Name:               "fasthttp",
		ReadTimeout:        contract.HeaderTimeout,
		IdleTimeout:        contract.IdleTimeout,
		MaxRequestBodySize: contract.MaxBody,
	}
	return server.Serve(l)
}

type site struct {
	log      zerolog.Logger
	sessions *contract.Sessions
	users    contract.Users
	upstream string
	client   *fasthttp.Client
	file     string
}

func (s *site) serveRequest(ctx *fasthttp.RequestCtx) {
	switch path := string(ctx.Path()); {
	case path == "/hello" && ctx.IsGet():
		writeText(ctx, contract.Hello)
	case path == "/json" && ctx.IsGet():
		writeJSON(ctx, fasthttp.StatusOK, contract.Message{Message: contract.Hello})
	case len(path) > len(usersPath) && path[:len(usersPath)] == usersPath && ctx.IsGet():
		s.stack(ctx, "/app/users/:id", s.profile)
	case path == "/app/users" && ctx.IsPost():
		s.stack(ctx, "/app/users", s.addUser)
	case path == "/slow" && ctx.IsGet():
		slow(ctx)
	case path == "/upstream" && ctx.IsGet():
		s.relay(ctx)
	case path == "/file" && ctx.IsGet():
		ctx.SendFile(s.file)
	case path == "/ok" && (ctx.IsGet() || ctx.IsHead()):
		writeText(ctx, "ok")
	case path == "/echo" && ctx.IsPost():
		ctx.SetContentTypeBytes(ctx.Request.Header.ContentType())
		ctx.SetBody(ctx.PostBody())
	case path == "/len" && (ctx.IsGet() || ctx.IsPost()):
		writeText(ctx, strconv.Itoa(len(ctx.PostBody())))
	default:
		ctx.Error("not found", fasthttp.StatusNotFound)
	}
}

const usersPath = "/app/users/"

// visit is what the stack knows about a request.
type visit struct {
	requestID string
	client    string
	session   contract.Session
}

// stack is the middleware around the handlers below /app.
func (s *site) stack(ctx *fasthttp.RequestCtx, route string, h func(*fasthttp.RequestCtx, *visit)) {
	start := time.Now()
	v := &visit{requestID: contract.NewRequestID()}
	ctx.Response.Header.Set("X-Request-Id", v.requestID)
	if peer, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		forwardedFor := string(ctx.Request.Header.Peek("X-Forwarded-For"))
		v.client = contract.ClientAddr(peer.AddrPort().Addr(), forwardedFor).String()
	}
	if cookie := ctx.Request.Header.Cookie(contract.SessionCookie); len(cookie) > 0 {
		v.session = s.sessions.Read(string(cookie))
	}
	defer func() {
		if e := recover(); e != nil {
			s.log.Error().Interface("panic", e).Msg("handler panicked")
			ctx.Error("internal server error", fasthttp.StatusInternalServerError)
		}
		contract.LogRequest(&s.log, &contract.Access{
			Method: string(ctx.Method()), Path: string(ctx.Path()), Route: route,
			Status: ctx.Response.StatusCode(), Bytes: int64(len(ctx.Response.Body())),
			Start: start, Remote: v.client, RequestID: v.requestID,
		})
	}()
	h(ctx, v)
}

func (s *site) profile(ctx *fasthttp.RequestCtx, v *visit) {
	id := string(ctx.Path()[len(usersPath):])
	writeJSON(ctx, fasthttp.StatusOK, contract.Profile{ID: id, User: v.session.User, Client: v.client})
}

func (s *site) addUser(ctx *fasthttp.RequestCtx, _ *visit) {
	var u contract.NewUser
	if err := json.Unmarshal(ctx.PostBody(), &u); err != nil {
		writeJSON(ctx, fasthttp.StatusBadRequest, contract.Failure{Error: err.Error()})
		return
	}
	if err := u.Check(); err != nil {
		writeJSON(ctx, fasthttp.StatusUnprocessableEntity, contract.Failure{Error: err.Error()})
		return
	}
	writeJSON(ctx, fasthttp.StatusCreated, s.users.Add(u))
}

func (s *site) relay(ctx *fasthttp.RequestCtx) {
	status, body, err := s.client.Get(nil, s.upstream)
	var m contract.Message
	if err == nil && status == fasthttp.StatusOK {
		err = json.Unmarshal(body, &m)
	}
	if err != nil || status != fasthttp.StatusOK {
		ctx.Error("bad gateway", fasthttp.StatusBadGateway)
		return
	}
	writeJSON(ctx, fasthttp.StatusOK, m)
}

func slow(ctx *fasthttp.RequestCtx) {
	pause, err := contract.Pause(string(ctx.QueryArgs().Peek("ms")))
	if err != nil {
		ctx.Error(err.Error(), fasthttp.StatusBadRequest)
		return
	}
	time.Sleep(pause)
	writeText(ctx, "slept")
}

func answerError(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	switch {
	case errors.As(err, &small):
		ctx.Error("request head too large", fasthttp.StatusRequestHeaderFieldsTooLarge)
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		ctx.Error("body too large", fasthttp.StatusRequestEntityTooLarge)
	default:
		ctx.Error("bad request", fasthttp.StatusBadRequest)
	}
}

func writeText(ctx *fasthttp.RequestCtx, text string) {
	ctx.SetContentType(contract.TextPlain)
	ctx.SetBodyString(text)
}

func writeJSON(ctx *fasthttp.RequestCtx, status int, v any) {
	ctx.SetContentType("application/json")
	ctx.SetStatusCode(status)
	_ = json.NewEncoder(ctx).Encode(v)
}
