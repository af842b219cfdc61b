// SPDX-License-Identifier: MIT

// Command fiber is the benchmark server on fiber, with fiber's own middleware and
// client.
package main

import (
	"strconv"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/client"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/requestid"
	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/bench/contract"
)

func main() { contract.Main("fiber", contract.SampleCookie, serve) }

func serve(o contract.Options) error {
	// The limit of a request head is the size of the buffer that each connection
	// has; it is left at its default of 4 KiB.
	f := fiber.New(fiber.Config{
		ServerHeader:       "fiber",
		BodyLimit:          contract.MaxBody,
		ReadTimeout:        contract.HeaderTimeout,
		IdleTimeout:        contract.IdleTimeout,
		ProxyHeader:        fiber.HeaderXForwardedFor,
		EnableIPValidation: true,
		TrustProxy:         true,
		TrustProxyConfig:   fiber.TrustProxyConfig{Proxies: []string{contract.TrustedProxy}},
	})
	s := &site{
		log:      o.Logger(),
		sessions: contract.NewSessions(),
		upstream: o.Upstream,
		client:   client.New().SetTimeout(30 * time.Second),
	}
	f.Get("/hello", func(c fiber.Ctx) error { return c.SendString(contract.Hello) })
	f.Get("/json", func(c fiber.Ctx) error { return c.JSON(contract.Message{Message: contract.Hello}) })
	f.Get("/slow", slow)
	f.Get("/upstream", s.relay)
	f.Get("/file", func(c fiber.Ctx) error { return c.SendFile(o.File) })
	f.Get("/ok", func(c fiber.Ctx) error { return c.SendString("ok") })
	f.Post("/echo", func(c fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, c.Get(fiber.HeaderContentType))
		return c.Send(c.Body())
	})
	f.Get("/len", length)
	f.Post("/len", length)
	app := f.Group("/app", s.accessLog, recover.New(), requestid.New(), s.session)
	app.Get("/users/:id", s.profile)
	app.Post("/users", s.addUser)

	l, err := o.Listen()
	if err != nil {
		return err
	}
	return f.Listener(l, fiber.ListenConfig{DisableStartupMessage: true})
}

type site struct {
	log      zerolog.Logger
	sessions *contract.Sessions
	users    contract.Users
	upstream string
	client   *client.Client
}

// accessLog has errors answered before it writes the line, as fiber's logger does.
func (s *site) accessLog(c fiber.Ctx) error {
	start := time.Now()
	if err := c.Next(); err != nil {
		if err := c.App().Config().ErrorHandler(c, err); err != nil {
			_ = c.SendStatus(fiber.StatusInternalServerError)
		}
	}
	contract.LogRequest(&s.log, &contract.Access{
		Method: c.Method(), Path: c.Path(), Route: c.Route().Path,
		Status: c.Response().StatusCode(), Bytes: int64(len(c.Response().Body())),
		Start: start, Remote: c.IP(), RequestID: requestid.FromContext(c),
	})
	return nil
}

type sessionKey struct{}

func (s *site) session(c fiber.Ctx) error {
	c.Locals(sessionKey{}, s.sessions.Read(c.Cookies(contract.SessionCookie)))
	return c.Next()
}

func (s *site) profile(c fiber.Ctx) error {
	session := fiber.Locals[contract.Session](c, sessionKey{})
	return c.JSON(contract.Profile{ID: c.Params("id"), User: session.User, Client: c.IP()})
}

func (s *site) addUser(c fiber.Ctx) error {
	var u contract.NewUser
	if err := c.Bind().JSON(&u); err != nil {
		return c.Status(fiber.StatusBadRequest).JSON(contract.Failure{Error: err.Error()})
	}
	if err := u.Check(); err != nil {
		return c.Status(fiber.StatusUnprocessableEntity).JSON(contract.Failure{Error: err.Error()})
	}
	return c.Status(fiber.StatusCreated).JSON(s.users.Add(u))
}

func (s *site) relay(c fiber.Ctx) error {
	resp, err := s.client.Get(s.upstream)
	if err != nil {
		return fiber.ErrBadGateway
	}
	defer resp.Close()
	var m contract.Message
	if resp.StatusCode() != fiber.StatusOK || resp.JSON(&m) != nil {
		return fiber.ErrBadGateway
	}
	return c.JSON(m)
}

func slow(c fiber.Ctx) error {
	pause, err := contract.Pause(c.Query("ms"))
	if err != nil {
		return fiber.NewError(fiber.StatusBadRequest, err.Error())
	}
	time.Sleep(pause)
	return c.SendString("slept")
}

func length(c fiber.Ctx) error { return c.SendString(strconv.Itoa(len(c.Body()))) }
