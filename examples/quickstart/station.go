// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
)

// station is the weather service that the website calls: an app of its own, on a
// port of its own. It can be switched off and on, to see what the website makes of
// that.
type station struct {
	log      zerolog.Logger
	patience time.Duration // that its callers have

	mu    sync.Mutex         // guards what follows
	addr  string             // where it was first started, and is started again
	end   context.CancelFunc // ends its app; nil while it is off
	ended chan error         // how the app ended
}

// newStation makes a station that is off.
func newStation(log zerolog.Logger) *station {
	return &station{log: log, patience: 2 * time.Second, addr: "127.0.0.1:0"}
}

// url is where the station is to be called, once it was started.
func (s *station) url() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "http://" + s.addr
}

// start switches the station on, on a port that is free the first time and on the
// same one from then on. A station that is on stays so.
func (s *station) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.addr = l.Addr().String()
	ctx, end := context.WithCancel(context.Background())
	app, ended := newStationApp(s.log), make(chan error, 1)
	go func() { ended <- app.RunListener(ctx, l) }()
	s.end, s.ended = end, ended
	return nil
}

// stop switches the station off: what it has accepted gets a moment.
func (s *station) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil {
		return
	}
	s.end()
	if err := <-s.ended; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn().Err(err).Msg("weather station: ending")
	}
	s.end = nil
}

func (s *station) on() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end != nil
}

// page is the website's page about the station.
func (s *station) page(c *pleat.Context) error {
	return c.Render(http.StatusOK, "station", struct {
		frame
		Observed []observation
		On       bool
	}{newFrame(c), observed, s.on()})
}

// change switches the station off or on. A real website has no such form.
func (s *station) change(c *pleat.Context) error {
	switch c.Form("power") {
	case "on":
		if err := s.start(); err != nil {
			return err
		}
	case "off":
		s.stop()
	default:
		return pleat.NewError(http.StatusBadRequest, `The field "power" is "on" or "off"`)
	}
	to, err := c.URL("weather")
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, to)
}

var observed = []observation{
	{"Lisbon", "clear", 21.5},
	{"Nairobi", "a few clouds", 24},
	{"Oslo", "light snow", -3.5},
	{"Ulan Bator", "clear", -17},
}

// newStationApp puts the station's own app together. It has moved house twice, and
// says so.
func newStationApp(log zerolog.Logger) *pleat.App {
	app := pleat.New(pleat.Config{Name: "station", Logger: &log, ShutdownTimeout: time.Second})
	app.Use(
		middleware.Logger(middleware.LoggerConfig{}),
		// The ids of callers on this machine are taken over, so that one id runs
		// through the log lines of both apps.
		middleware.RequestID(middleware.RequestIDConfig{TrustedPeers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
	)
	app.GET("/now/:city", moved(http.StatusFound, "v1"))
	app.GET("/v1/now/:city", moved(http.StatusTemporaryRedirect, "v2")).Name("v1")
	app.GET("/v2/observations/:city", observe).Name("v2")
	// More specific than :city, and so preferred to it.
	app.GET("/v2/observations/atlantis", dive)
	app.GET("/v2/observations/pompeii", boom)
	return app
}

// moved sends callers to the route of that name.
func moved(status int, route string) pleat.Handler {
	return func(c *pleat.Context) error {
		to, err := c.URL(route, c.Param("city"))
		if err != nil {
			return err
		}
		return c.Redirect(status, to)
	}
}

func observe(c *pleat.Context) error {
	for _, o := range observed {
		if strings.EqualFold(o.City, c.Param("city")) {
			return c.JSON(http.StatusOK, o)
		}
	}
	return pleat.NewError(http.StatusNotFound, "no such city")
}

// dive takes for ever, or until the caller loses patience: then the context ends,
// and with it the work that nobody waits for any more.
func dive(c *pleat.Context) error {
	<-c.Done()
	return context.Cause(c)
}
