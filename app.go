// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
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
// logs to nowhere and cannot sign cookies.
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
	// TLS, trusted proxies. Its Handler is set by the app, and its CookieSecrets
	// and ErrorLog where they are not. nil means all defaults.
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
	// pages. It is called once for a request that failed, and can leave it to the
	// app with Context.AnswerError.
	ErrorHandler func(c *Context, err error) error

	// NoSlashRedirect answers 404 where only a path with, or without, a slash at
	// its end is routed, instead of redirecting there.
	NoSlashRedirect bool
	// NoCleanRedirect answers 404 for paths with empty or dot segments whose clean
	// form is routed, instead of redirecting there.
	NoCleanRedirect bool

	// ShutdownTimeout is how long Run waits for requests that are being answered
	// when it is told to end, 15 s by default, negative for as long as it takes.
	ShutdownTimeout time.Duration
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
	table    *routeTable
	miss     Handler // the chain for whatever has no route
	server   *server.HTTPServer
	keys     *server.CookieKeys
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
// already set.
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
	var errs []error
	table, err := a.Router.build(routeOptions{noSlashRedirect: a.config.NoSlashRedirect, noCleanRedirect: a.config.NoCleanRedirect})
	if err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, a.composeChains(table)...)
	}
	if a.config.Templates != nil {
		if err := a.config.Templates.Load(); err != nil {
			errs = append(errs, fmt.Errorf("pleat: templates: %w", err))
		}
	}
	if err := a.makeKeys(); err != nil {
		errs = append(errs, err)
	}
	a.makeServer()
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	a.pagesMu.Lock()
	a.table = table
	a.pagesMu.Unlock()
	return nil
}

// composeChains folds the middleware around every handler. The app's own comes
// first in each chain, and stands around what has no route as well.
func (a *App) composeChains(table *routeTable) (errs []error) {
	own := a.Router.middleware
	for _, route := range table.routes {
		chain, err := composeSafely(route.handler, own, route.middleware)
		if err != nil {
			errs = append(errs, fmt.Errorf("pleat: route %s (%s): %w", route, route.site, err))
			continue
		}
		route.chain = chain
	}
	miss, err := composeSafely(answerMiss, own, nil)
	if err != nil && len(table.routes) == 0 { // otherwise it is in errs already
		errs = append(errs, fmt.Errorf("pleat: middleware of the app: %w", err))
	}
	a.miss = miss
	return errs
}

// composeSafely turns the panic of a middleware that refuses its configuration
// into an error.
func composeSafely(h Handler, outer, inner []Middleware) (chain Handler, err error) {
	defer func() {
		if v := recover(); v != nil {
			var ok bool
			if err, ok = v.(error); !ok {
				err = fmt.Errorf("middleware: %v", v)
			}
		}
	}()
	return compose(compose(h, inner...), outer...), nil
}

func (a *App) makeKeys() error {
	secrets := a.config.CookieSecrets
	if len(secrets) == 0 && a.config.Server != nil {
		secrets = a.config.Server.CookieSecrets
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
	a.keys = keys
	return nil
}

func (a *App) makeServer() {
	a.server = a.config.Server
	if a.server == nil {
		a.server = &server.HTTPServer{}
	}
	if a.server.Handler == nil {
		a.server.Handler = a
	}
	if a.server.ErrorLog == nil {
		a.server.ErrorLog = &a.log
	}
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
		_ = r.SendError(err)
		return
	}
	a.serve(r)
}

// ServeHTTP answers a request of net/http's server. Bodies have the limit of the
// configured server.
func (a *App) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r, finish := server.FromHTTP(w, q)
	defer finish()
	limit := int64(defaultBodyLimit)
	if s := a.config.Server; s != nil && s.MaxRequest != 0 {
		limit = s.MaxRequest
	}
	r.SetBodyLimit(limit)
	a.ServeRequest(r)
}

const defaultBodyLimit = 10 << 20

// Serve answers requests on connections that l accepts until Shutdown, whereupon
// it returns server.ErrServerClosed.
func (a *App) Serve(l net.Listener) error {
	if err := a.Start(); err != nil {
		_ = l.Close()
		return err
	}
	return a.server.Serve(l)
}

// Shutdown ends Serve and Run gently, as server.HTTPServer.Shutdown does.
func (a *App) Shutdown(ctx context.Context) error {
	if err := a.Start(); err != nil {
		return err
	}
	return a.server.Shutdown(ctx)
}

// Run serves an address (in one of the forms of server.HTTPServer.ListenAndServe)
// until the process gets SIGINT or SIGTERM. Then it stops accepting, waits up to
// ShutdownTimeout until what was accepted is answered, and returns nil. A second
// signal ends it at once.
func (a *App) Run(addr string) error {
	if err := a.Start(); err != nil {
		return err
	}
	l, err := server.Listen(addr, "80")
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	served := make(chan error, 1)
	go func() { served <- a.server.Serve(l) }()
	a.log.Info().Stringer("address", l.Addr()).Msg("pleat: serving")
	select {
	case err := <-served:
		return err
	case s := <-signals:
		a.log.Info().Stringer("signal", s).Msg("pleat: ending")
	}
	return a.end(signals)
}

// end is the graceful end of Run.
func (a *App) end(signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	timeout := a.config.ShutdownTimeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	if timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	done := make(chan error, 1)
	go func() { done <- a.server.Shutdown(ctx) }()
	select {
	case err := <-done:
		if err != nil {
			a.log.Warn().Err(err).Msg("pleat: requests were cut")
		}
		return err
	case <-signals:
		return a.server.Close()
	}
}
