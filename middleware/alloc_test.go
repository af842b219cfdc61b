// SPDX-License-Identifier: MIT

//go:build !race

package middleware_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/server"
)

// nullWriter is an http.ResponseWriter that keeps nothing.
type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header         { clear(w.header); return w.header }
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *nullWriter) WriteHeader(int)             {}

// allocsOf is how many allocations a request of an app with this middleware
// makes.
func allocsOf(t testing.TB, path string, mw ...pleat.Middleware) float64 {
	t.Helper()
	log := zerolog.New(io.Discard)
	app := pleat.New(pleat.Config{Logger: &log})
	app.Use(mw...)
	app.GET("/", func(c *pleat.Context) error { return c.Text(200, "ok") })
	app.GET("/gone", func(c *pleat.Context) error { return gone })
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	q, err := http.NewRequest("GET", "http://example.com"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.RemoteAddr = "127.0.0.1:1234"
	q.Header.Set("User-Agent", "test")
	q.Header.Set("X-Forwarded-For", "192.0.2.1")
	w := &nullWriter{http.Header{}}
	return testing.AllocsPerRun(1000, func() { app.ServeHTTP(w, q) })
}

var gone = pleat.NewError(410, "")

func TestAllocs(t *testing.T) {
	id := func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			c.SetRequestID("0123456789")
			return next(c)
		}
	}
	discard := zerolog.New(io.Discard)
	batched := zerolog.New(middleware.NewLogWriter(io.Discard, middleware.LogWriterConfig{}))
	policy := server.TrustPolicy{Trusted: loopback, Source: server.SourceXForwardedFor}
	tests := []struct {
		name string
		path string
		mw   pleat.Middleware
		want float64
	}{
		// The one is the list of functions that Context.OnFinish keeps.
		{"Logger", "/", middleware.Logger(middleware.LoggerConfig{}), 1},
		{"Logger of an error", "/gone", middleware.Logger(middleware.LoggerConfig{}), 1},
		{"Logger with all it has", "/", middleware.Logger(middleware.LoggerConfig{Query: true, UserAgent: true, SampleEvery: 2, Slow: 1}), 1},
		{"Logger, sampled away", "/", middleware.Logger(middleware.LoggerConfig{SampleEvery: -1}), 1},
		{"Logger to a LogWriter", "/", middleware.Logger(middleware.LoggerConfig{Logger: &batched}), 1},
		{"Logger to another log", "/", middleware.Logger(middleware.LoggerConfig{Logger: &discard}), 1},
		{"Recover", "/", middleware.Recover(), 0},
		{"When", "/", middleware.When(func(*pleat.Context) bool { return true }), 0},
		// The origin that the request keeps.
		{"Forwarded", "/", middleware.Forwarded(policy), 1},
		{"SignedCookies", "/", middleware.SignedCookies(middleware.SignedCookiesConfig{Secrets: [][]byte{secretA}}), 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			without := allocsOf(t, test.path, id)
			if got := allocsOf(t, test.path, id, test.mw) - without; got > test.want {
				t.Errorf("%v allocations a request, want %v", got, test.want)
			}
		})
	}
	t.Run("RequestID", func(t *testing.T) {
		// The id, the answer's field in net/http's map (several), and no more.
		field := func(next pleat.Handler) pleat.Handler {
			return func(c *pleat.Context) error {
				c.SetRequestID(pleat.NewRequestID())
				_ = c.SetHeader("X-Request-Id", c.RequestID())
				return next(c)
			}
		}
		if got := allocsOf(t, "/", middleware.RequestID(middleware.RequestIDConfig{})) - allocsOf(t, "/", field); got > 0 {
			t.Errorf("%v allocations more than the same by hand", got)
		}
	})
}

// A line by itself costs nothing.
func TestLoggerLineAllocs(t *testing.T) {
	discard := zerolog.New(io.Discard)
	inRequest(t, func(c *pleat.Context) {
		line := middleware.LineOf(middleware.LoggerConfig{Query: true, UserAgent: true})
		if got := testing.AllocsPerRun(1000, func() { line(c) }); got > 0 {
			t.Errorf("%v allocations a line", got)
		}
	}, &discard)
}

func TestLogWriterAllocs(t *testing.T) {
	w := middleware.NewLogWriter(io.Discard, middleware.LogWriterConfig{FlushEvery: -1})
	line := make([]byte, 330)
	got := testing.AllocsPerRun(10_000, func() { _, _ = w.Write(line) })
	if got > 0 {
		t.Errorf("%v allocations a line", got)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
