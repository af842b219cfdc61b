// SPDX-License-Identifier: MIT

// Command quickstart is a small website that shows how the parts of pleat work
// together: pages and their layout, middleware, signed cookies, a JSON API,
// errors, and calls to another service. It needs no configuration and no network:
// the service that it calls is a second app, started beside it (station.go).
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

//go:embed templates static
var files embed.FS

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()

	// The first Ctrl-C ends the context, and with it the program, gently; the
	// second one kills it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := listenAndRun(ctx, *addr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func listenAndRun(ctx context.Context, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log := newLog(os.Stderr)
	return run(ctx, l, os.Stdout, log, newStation(log))
}

// run serves the website on l until ctx ends, and the weather station with it.
func run(ctx context.Context, l net.Listener, out io.Writer, log zerolog.Logger, station *station) error {
	if err := station.start(); err != nil {
		_ = l.Close()
		return err
	}
	defer station.stop()

	app := newApp(log, station)
	fmt.Fprintf(out, tryThis, "http://"+reachable(l.Addr()))

	return app.RunListener(ctx, l)
}

// newApp puts the website together.
func newApp(log zerolog.Logger, station *station) *pleat.App {
	app := pleat.New(pleat.Config{
		Name:   "website",
		Logger: &log,

		// A secret of this run only: whoever was logged in is logged out when the
		// program starts again. In production it comes from where you keep your
		// secrets and is the same on every machine. To replace it put a new one in
		// front and drop the old one when its cookies have expired.
		CookieSecrets: [][]byte{randomSecret()},

		Templates: &render.Templates{FS: files, Root: "templates", Layout: "layouts/base"},

		// What Context.Client calls. A call ends when its time is over, and when
		// the visitor who caused it goes away.
		Client: &client.HTTPClient{BaseURL: station.url(), Timeout: station.patience},

		ErrorHandler: answerError,

		// What was accepted when the program ends is answered first, within reason.
		ShutdownTimeout: 10 * time.Second,
	})

	// Middleware of the app stands around every answer, 404 and redirects
	// included. The first one is outermost.
	app.Use(
		middleware.Logger(middleware.LoggerConfig{}),
		middleware.RequestID(middleware.RequestIDConfig{}),
		// Believes nobody about the client's address. Behind a proxy, name it:
		// server.TrustPolicy{Trusted: …, Source: server.SourceXForwardedFor}.
		middleware.Forwarded(server.TrustPolicy{}),
		middleware.Recover(),
		secured, // one of our own: a function from handler to handler
	)

	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the folder is not in the program
	}
	app.Static("/static", static, pleat.Static{MaxAge: time.Hour})

	// Pages that are about their visitor, and are nobody else's business.
	pages := app.Group("", noStore)
	pages.GET("/", home).Name("home")
	pages.GET("/login", loginPage)
	pages.GET("/boom", boom)

	// Forms, which must come from pages of this site.
	forms := pages.Group("", sameOrigin())
	forms.POST("/login", login)
	forms.POST("/logout", logout)
	forms.POST("/station", station.change)

	pages.GET("/weather", station.page).Name("weather")
	pages.GET("/weather/:city", weather)

	api := app.Group("/api", noStore)
	api.GET("/users", listUsers)
	api.GET("/users/:id", showUser).Name("user")
	api.GET("/me", whoAmI, requireUser) // this route has a middleware of its own
	return app
}

func randomSecret() []byte {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// newLog makes a log for people to read. For machines it is zerolog.New(w).
func newLog(w *os.File) zerolog.Logger {
	info, err := w.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return zerolog.New(zerolog.ConsoleWriter{
		Out:           w,
		NoColor:       !terminal,
		TimeFormat:    time.TimeOnly,
		FieldsOrder:   []string{"app", "method", "path", "url", "status", "duration_us", "error"},
		FieldsExclude: []string{"stack", "remote", "route"},
		FormatExtra:   appendStack, // as lines of its own
	}).With().Timestamp().Logger()
}

// appendStack adds the stack of a panic to its line.
func appendStack(event map[string]any, b *bytes.Buffer) error {
	if stack, ok := event["stack"].(string); ok {
		b.WriteString("\n" + stack)
	}
	return nil
}

// reachable is an address that can be called on this machine.
func reachable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(tcp.Port))
	}
	return addr.String()
}

var tryThis = strings.TrimLeft(`
pleat quickstart: open %[1]s in a browser, or try

  curl -i %[1]s/                          a page, and a signed cookie that counts
  curl -i %[1]s/api/users/1               JSON
  curl -i %[1]s/api/users/99              an error, as the client likes it:
  curl -i %[1]s/api/users/99 -H 'Accept: application/json'
  curl -i %[1]s/weather/oslo              asks another service, which redirects twice
  curl -i %[1]s/weather/atlantis          … and takes too long: 504
  curl -i %[1]s/boom                      a panic: 500

  curl -i -c jar -d name=ada -d password=pleat %[1]s/login
  curl -i -b jar %[1]s/api/me             who the signed session says you are

  curl -i -d power=off %[1]s/station      stops the other service …
  curl -i %[1]s/weather/oslo              … 502, and the cause is in this log
  curl -i -d power=on %[1]s/station

Ctrl-C ends it.

`, "\n")
