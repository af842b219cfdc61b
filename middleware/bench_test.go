// SPDX-License-Identifier: MIT

package middleware_test

import (
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/server"
)

// What a middleware adds to a request: compare with "none".
func BenchmarkMiddleware(b *testing.B) {
	discard := zerolog.New(io.Discard)
	policy := server.TrustPolicy{Trusted: loopback, Source: server.SourceXForwardedFor}
	benchmarks := []struct {
		name string
		mw   []pleat.Middleware
	}{
		{"none", nil},
		{"Logger", []pleat.Middleware{middleware.Logger(middleware.LoggerConfig{Logger: &discard})}},
		{"Logger/sampled", []pleat.Middleware{middleware.Logger(middleware.LoggerConfig{Logger: &discard, SampleEvery: 100})}},
		{"Recover", []pleat.Middleware{middleware.Recover()}},
		{"RequestID", []pleat.Middleware{middleware.RequestID(middleware.RequestIDConfig{})}},
		{"Forwarded", []pleat.Middleware{middleware.Forwarded(policy)}},
		{"SignedCookies", []pleat.Middleware{middleware.SignedCookies(middleware.SignedCookiesConfig{Secrets: [][]byte{secretA}})}},
		{"recommended", []pleat.Middleware{
			middleware.Logger(middleware.LoggerConfig{Logger: &discard}),
			middleware.RequestID(middleware.RequestIDConfig{}),
			middleware.Forwarded(policy),
			middleware.Recover(),
		}},
	}
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			app := pleat.New(pleat.Config{})
			app.Use(bench.mw...)
			app.GET("/", func(c *pleat.Context) error { return c.Text(200, "ok") })
			q := httptest.NewRequest("GET", "/", nil)
			q.RemoteAddr = "127.0.0.1:1234"
			q.Header.Set("X-Forwarded-For", "192.0.2.1")
			b.ReportAllocs()
			for b.Loop() {
				app.ServeHTTP(httptest.NewRecorder(), q)
			}
		})
	}
}

// One line of Logger, made and thrown away.
func BenchmarkLoggerLine(b *testing.B) {
	discard := zerolog.New(io.Discard)
	for _, bench := range []struct {
		name   string
		config middleware.LoggerConfig
	}{
		{"plain", middleware.LoggerConfig{}},
		{"agent and query", middleware.LoggerConfig{UserAgent: true, Query: true}},
		{"left out", middleware.LoggerConfig{SampleEvery: -1, Slow: -1}},
		{"level off", middleware.LoggerConfig{Level: func(*pleat.Context, int) zerolog.Level { return zerolog.Disabled }}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			inRequest(b, func(c *pleat.Context) {
				line := middleware.LineOf(bench.config)
				for b.Loop() {
					line(c)
				}
			}, &discard)
		})
	}
}

// inRequest calls f while a request is being answered.
func inRequest(tb testing.TB, f func(*pleat.Context), log *zerolog.Logger) {
	app := pleat.New(pleat.Config{Logger: log})
	app.GET("/users/:id", func(c *pleat.Context) error {
		c.SetRequestID("0123456789abcdef0123456789abcdef")
		f(c)
		return c.Text(200, "ok")
	})
	q := httptest.NewRequest("GET", "/users/17?verbose=1", nil)
	q.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	w := httptest.NewRecorder()
	app.ServeHTTP(w, q)
	if w.Code != 200 {
		tb.Errorf("status %d: %s", w.Code, w.Body)
	}
}

// An access line of 330 octets on its way into a file.
func BenchmarkLogWriter(b *testing.B) {
	file := func(b *testing.B) *os.File {
		f, err := os.OpenFile(filepath.Join(b.TempDir(), "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		return f
	}
	run := func(b *testing.B, w io.Writer, flush func() error) {
		line := make([]byte, 330)
		line[len(line)-1] = '\n'
		b.SetBytes(int64(len(line)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.Write(line); err != nil {
				b.Fatal(err)
			}
		}
		if err := flush(); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("direct", func(b *testing.B) { run(b, file(b), func() error { return nil }) })
	b.Run("LogWriter", func(b *testing.B) {
		w := middleware.NewLogWriter(file(b), middleware.LogWriterConfig{})
		run(b, w, w.Close)
		if w.Dropped() > 0 {
			b.Errorf("%d lines dropped", w.Dropped())
		}
	})
}
