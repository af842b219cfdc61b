// SPDX-License-Identifier: MIT

package pleat

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

// Handler answers a request or returns an error, which the app turns into an
// answer. See [HTTPError] for errors that carry a status.
type Handler func(c *Context) error

// Middleware wraps a handler in another that does something before and after
// it, or instead of it. It is called once for each chain it is part of, when the
// app starts. One whose configuration cannot work panics then with an error that
// says why; [App.Start] returns it.
type Middleware func(next Handler) Handler

// Config is what an App is made of. The zero value works: it is an app that
// logs to nowhere, not even why a request failed, and cannot sign cookies.
type Config struct {
	// Name names the app in its log. Empty means no name.
	Name string
	// Development shows causes and stacks of errors in error pages, and makes up a
	// cookie secret if none is given. Never set it where strangers can reach the
	// app.
	Development bool

	// Logger is the app's log; nil discards it.
	Logger *zerolog.Logger
	// CookieSecrets sign cookies: newest first, at most four, each of at least 32
	// octets. Shorter ones are an error at the start. With none, signed cookies
	// fail with server.ErrNoCookieSecret.
	CookieSecrets [][]byte

	// Server configures the HTTP server that Run and Serve use: limits, timeouts,
	// TLS, trusted proxies. With Certificates or a TLSConfig they serve TLS. Its
	// Handler, CookieSecrets and ErrorLog are set by the app where they are not. nil
	// means all defaults.
	Server *server.HTTPServer
	// Client makes the outbound calls of Context.Client; nil means all defaults.
	Client *client.HTTPClient

	// Templates are what Context.Render renders; they are parsed at the start.
	Templates *render.Templates
	// JSON encodes and decodes JSON; nil means render.JSON{}.
	JSON render.Codec
	// XML encodes and decodes XML; nil means render.XML{}.
	XML render.Codec

	// ErrorHandler makes the answer for an error instead of the app's own error
	// pages. It is called once for a request that failed and of which nothing has
	// been sent, with the error's own header fields set already. It can leave the
	// answer to the app with Context.AnswerError; where it answers nothing, the
	// status is that of the error, and where it fails the app sends a few words.
	ErrorHandler func(c *Context, err error) error

	// NoSlashRedirect answers 404 where only a path with, or without, a slash at
	// its end is routed, instead of redirecting there.
	NoSlashRedirect bool
	// NoCleanRedirect answers 404 for paths with empty or dot segments whose clean
	// form is routed, instead of redirecting there.
	NoCleanRedirect bool

	// ShutdownTimeout is how long Run and RunListener wait for requests that are being
	// answered when they are told to end, 15 s by default, negative for as long as it
	// takes. HTTPServer.ShutdownGrace is added to it for what is not done by then.
	ShutdownTimeout time.Duration
	// DrainDelay is how long Run and RunListener go on accepting after they are told to
	// end, while Ready already says no: give load balancers that ask for it at
	// intervals the time to find out. None by default.
	DrainDelay time.Duration
	// RestartOn is a signal on which Run starts the program anew, hands its listeners
	// over, and ends when the new process serves, see Restart: syscall.SIGHUP, say. nil
	// is none.
	RestartOn os.Signal
}

// App bundles routes, middleware, renderer, client, server and log. It is a
// server.Handler and an http.Handler, so that it runs on pleat's own server as
// well as on net/http's. Register routes, then call Run, or Start and Serve; the
// registration methods of its [Router] can be called until then.
type App struct {
	Router

	config    Config
	log       zerolog.Logger
	client    *client.HTTPClient
	json, xml render.Codec
	pages     map[int]func(*Context, error) error // by status; guarded by pagesMu until the start
	pagesMu   sync.Mutex

	once     sync.Once
	startErr error
	hosts    []*Router   // made with Host; guarded by the mu of Router
	table    *routeTable // of the App's own routes
	miss     Handler     // the chain for whatever has no route
	byHost   *hostTable  // nil without hosts
	server   *server.HTTPServer
	besides  []beside // guarded by pagesMu until the start
	keys     *server.CookieKeys
	secrets  [][]byte // that keys were made of

	draining atomic.Bool
	running  atomic.Pointer[run] // nil outside of Run
	announce atomic.Bool         // log what is served: in Run and RunListeners
	ready    atomic.Pointer[readiness]
}

// New makes an app. What is wrong with its configuration or its routes is
// reported by Start.
func New(config Config) *App {
	a := &App{config: config, log: zerolog.Nop(), client: config.Client, json: config.JSON, xml: config.XML}
	if config.Logger != nil {
		a.log = *config.Logger
	}
	if config.Name != "" {
		a.log = a.log.With().Str("app", config.Name).Logger()
	}
	if a.client == nil {
		a.client = &client.HTTPClient{}
	}
	if a.json == nil {
		a.json = render.JSON{}
	}
	if a.xml == nil {
		a.xml = render.XML{}
	}
	return a
}

// Log is the app's log.
func (a *App) Log() *zerolog.Logger { return &a.log }

// Client is the app's outbound client, not bound to any request.
func (a *App) Client() *client.HTTPClient { return a.client }

// CookieKeys are the keys of the app's signed cookies, nil when it has none or
// has not started.
func (a *App) CookieKeys() *server.CookieKeys { return a.keys }

// OnStatus makes h answer errors of one status: app.OnStatus(404, notFoundPage).
// h is called with the error and answers in any way it likes; the status is
// already set. [Context.Problem] is what may be told about the error, and
// [Context.AnswerError] leaves the answer to the app after all.
func (a *App) OnStatus(status int, h func(c *Context, err error) error) {
	a.pagesMu.Lock()
	defer a.pagesMu.Unlock()
	if a.table != nil {
		panic("pleat: OnStatus after the start")
	}
	if a.pages == nil {
		a.pages = map[int]func(*Context, error) error{}
	}
	a.pages[status] = h
}

// Start checks the configuration and the routes, composes the chains and freezes
// all of it. It reports everything that is wrong at once. Run, Serve, ServeHTTP
// and ServeRequest call it; calling it again returns the same.
func (a *App) Start() error {
	a.once.Do(func() { a.startErr = a.start() })
	return a.startErr
}

func (a *App) start() error {
	routers := a.routers(true)
	tables, err := buildTables(routers, routeOptions{noSlashRedirect: a.config.NoSlashRedirect, noCleanRedirect: a.config.NoCleanRedirect})
	misses, errs := a.composeChains(routers)
	errs = append([]error{err}, errs...)
	if a.config.Templates != nil {
		if err := a.config.Templates.Load(); err != nil {
			errs = append(errs, fmt.Errorf("pleat: templates: %w", err))
		}
	}
	if err := a.client.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("pleat: Config.Client: %w", err))
	}
	errs = append(errs, a.makeKeys(), a.makeServer(), a.makeBesides())
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var hosts []*hostRoutes
	for i, r := range routers[1:] {
		hosts = append(hosts, &hostRoutes{router: r, table: tables[i+1], miss: misses[i+1]})
	}
	if len(hosts) > 0 {
		a.byHost = newHostTable(hosts)
	}
	a.miss = misses[0]
	a.pagesMu.Lock()
	a.table = tables[0]
	a.pagesMu.Unlock()
	return nil
}

// makeKeys makes the keys of signed cookies.
func (a *App) makeKeys() error {
	secrets := a.config.CookieSecrets
	if s := a.config.Server; s != nil && len(s.CookieSecrets) > 0 {
		if len(secrets) > 0 && !slices.EqualFunc(secrets, s.CookieSecrets, bytes.Equal) {
			return errors.New("pleat: Config.CookieSecrets and Config.Server.CookieSecrets differ")
		}
		secrets = s.CookieSecrets
	}
	if len(secrets) == 0 {
		if !a.config.Development {
			return nil
		}
		a.log.Warn().Msg("pleat: no CookieSecrets: signed cookies will not survive this process")
		secrets = [][]byte{randomBytes(32)}
	}
	keys, err := server.NewCookieKeys(secrets...)
	if err != nil {
		return fmt.Errorf("pleat: CookieSecrets: %w", err)
	}
	a.keys, a.secrets = keys, secrets
	return nil
}

// makeServer completes the configuration of the app's own server.
func (a *App) makeServer() error {
	a.server = a.config.Server
	if a.server == nil {
		a.server = &server.HTTPServer{}
	}
	return a.complete(a.server, "Config.Server")
}

// complete completes the configuration of a server.
func (a *App) complete(s *server.HTTPServer, name string) error {
	if s.Handler == nil {
		s.Handler = a
	}
	if s.ErrorLog == nil {
		s.ErrorLog = &a.log
	}
	if len(s.CookieSecrets) == 0 {
		s.CookieSecrets = a.secrets
	}
	a.heedServing(s)
	if p := s.XHeaders; p != nil {
		if err := p.Validate(); err != nil {
			return fmt.Errorf("pleat: %s.XHeaders: %w", name, err)
		}
	}
	return nil
}

// URL builds the path and query of a URL to a named route. The arguments are the
// values of its params, in order, and after them, if wanted, url.Values for the
// query. It fails with ErrUnknownRoute, or when the values do not make a URL that
// leads back to the route. The app must have started.
func (a *App) URL(name string, args ...any) (string, error) {
	if err := a.Start(); err != nil {
		return "", err
	}
	return a.table.urlFor(nil, name, args...)
}

// ServeRequest answers a request of pleat's server.
func (a *App) ServeRequest(r *server.HTTPRequest) {
	if err := a.Start(); err != nil {
		a.log.Error().Err(err).Msg("pleat: the app cannot start")
		_ = r.SendError(NewError(http.StatusInternalServerError, ""))
		return
	}
	a.serve(r)
}
