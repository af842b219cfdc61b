// SPDX-License-Identifier: MIT

package pleat_test

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

var errBroken = errors.New("broken")

func TestErrorsBeforeTheCommit(t *testing.T) {
	failures := map[string]func(c *pleat.Context) error{
		"error": func(*pleat.Context) error { return errBroken },
		"panic": func(*pleat.Context) error { panic("broken") },
		"after writing": func(c *pleat.Context) error {
			_, _ = c.WriteString("half an ans")
			return errBroken
		},
		"after answering": func(c *pleat.Context) error {
			_ = c.SetHeader("ETag", `"1"`)
			_ = c.SetHeader("Cache-Control", "max-age=1000")
			_ = c.SetHeader("Content-Encoding", "gzip")
			_ = c.SetHeader("Content-Disposition", "attachment")
			_ = c.SetHeader("Last-Modified", "Sun, 22 Nov 2026 00:00:00 GMT")
			_ = c.JSON(200, map[string]string{"a": "b"})
			return errBroken
		},
		"after a redirect": func(c *pleat.Context) error {
			_ = c.Redirect(303, "/elsewhere")
			return errBroken
		},
		"through the net/http view": func(c *pleat.Context) error {
			w := c.Request().ResponseWriter()
			w.Header().Set("Content-Type", "application/zip")
			w.Header().Set("Content-Length", "100")
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(206)
			_, _ = io.WriteString(w, "half")
			return errBroken
		},
		"JSON that cannot be": func(c *pleat.Context) error { return c.JSON(200, map[string]any{"a": 1, "f": func() {}}) },
		"XML that cannot be":  func(c *pleat.Context) error { return c.XML(200, map[string]any{"a": 1}) },
		"no templates":        func(c *pleat.Context) error { return c.Render(200, "page", nil) },
		"no such status":      func(c *pleat.Context) error { return c.Text(99, "x") },
		"typed nil": func(*pleat.Context) error {
			var e *pleat.HTTPError
			return e
		},
		"typed nil, panicked": func(*pleat.Context) error {
			var e *pleat.HTTPError
			panic(error(e))
		},
		"no header value": func(c *pleat.Context) error { return c.SetHeader("X-A", "a\r\nX-B: b") },
		"Stream": func(c *pleat.Context) error {
			_ = c.SetHeader("Content-Length", "100")
			return c.Stream(200, "text/csv", io.MultiReader(strings.NewReader("half"), failingReader{}))
		},
	}
	for name, h := range failures {
		everywhere(t, func(*testing.T) *pleat.App {
			app := pleat.New(pleat.Config{})
			app.Use(func(next pleat.Handler) pleat.Handler {
				return func(c *pleat.Context) error {
					_ = c.SetHeader("X-Request-Id", "r-1")
					_ = c.SetHeader("Access-Control-Allow-Origin", "https://a.example")
					_ = c.SetHeader("Vary", "Origin")
					_ = c.SetHeader("Content-Security-Policy", "default-src 'none'")
					c.OnFinish(func(c *pleat.Context) {
						if c.Aborted() {
							t.Error("an answer that was whole passes for cut")
						}
					})
					return next(c)
				}
			})
			app.GET("/", h)
			return app
		}, func(t *testing.T, s *site) {
			a, err := s.try("GET", "/")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if a.StatusCode != 500 || !strings.HasPrefix(a.body, "500 Internal Server Error\n") {
				t.Errorf("%s: answer = %d %q", name, a.StatusCode, a.body)
			}
			for _, field := range []string{"ETag", "Location", "Content-Encoding", "Content-Disposition", "Last-Modified", "X-B"} {
				if v := a.Header.Get(field); v != "" {
					t.Errorf("%s: %s of the failed answer is sent: %q", name, field, v)
				}
			}
			for field, want := range map[string]string{
				"X-Request-Id": "r-1", "Access-Control-Allow-Origin": "https://a.example", "Cache-Control": "no-store",
				"Content-Security-Policy": "default-src 'none'", "Content-Type": "text/plain; charset=utf-8",
				"Content-Length": strconv.Itoa(len(a.body)),
			} {
				if field == "Cache-Control" && strings.HasPrefix(name, "typed nil") {
					continue // answered by the last guard
				}
				if got := a.Header.Get(field); got != want {
					t.Errorf("%s: %s = %q, want %q", name, field, got, want)
				}
			}
			if vary := strings.Join(a.Header.Values("Vary"), ", "); vary != "Origin, Accept" && !strings.HasPrefix(name, "typed nil") {
				t.Errorf("%s: Vary = %q", name, vary)
			}
			if again := s.get("/"); again.StatusCode != 500 { // the connection is in order
				t.Errorf("%s: the second answer is %d", name, again.StatusCode)
			}
		})
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errBroken }

// After the commit only the end of the connection can say that there is an error.
func TestErrorsAfterTheCommit(t *testing.T) {
	failures := map[string]func(c *pleat.Context) error{
		"error": func(c *pleat.Context) error {
			_, _ = c.WriteString("part")
			_ = c.Flush()
			_, _ = c.WriteString("more")
			return errBroken
		},
		"panic": func(c *pleat.Context) error {
			_, _ = c.WriteString("part")
			_ = c.Flush()
			panic("broken")
		},
		"with a length": func(c *pleat.Context) error {
			_ = c.SetHeader("Content-Length", "8")
			_, _ = c.WriteString("part")
			_ = c.Flush()
			_, _ = c.WriteString("more") // all of it, but the handler failed
			return errBroken
		},
		"large": func(c *pleat.Context) error {
			_, _ = c.WriteString(strings.Repeat("x", 100_000))
			return errBroken
		},
		"stream": func(c *pleat.Context) error {
			return c.Stream(200, "text/plain", io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), failingReader{}))
		},
		"returned ErrAbortHandler": func(c *pleat.Context) error {
			_, _ = c.WriteString("part")
			return http.ErrAbortHandler
		},
		"ErrAbortHandler": func(c *pleat.Context) error {
			_, _ = c.WriteString("part")
			panic(http.ErrAbortHandler)
		},
		"Goexit": func(c *pleat.Context) error {
			_, _ = c.WriteString("part")
			runtime.Goexit()
			return nil
		},
	}
	for name, h := range failures {
		var handled, finished atomic.Int32
		log := &logBook{}
		everywhere(t, func(*testing.T) *pleat.App {
			app := pleat.New(pleat.Config{Logger: log.logger(), ErrorHandler: func(*pleat.Context, error) error {
				handled.Add(1)
				return nil
			}})
			app.GET("/", func(c *pleat.Context) error {
				c.OnFinish(func(c *pleat.Context) {
					if c.Failure() == nil {
						t.Errorf("%s: OnFinish sees no failure", name)
					}
					if !c.Aborted() {
						t.Errorf("%s: OnFinish does not see that the answer was cut", name)
					}
					finished.Add(1)
				})
				return h(c)
			})
			app.GET("/ok", text("ok"))
			return app
		}, func(t *testing.T, s *site) {
			if name == "Goexit" && s.http2 {
				t.Skip("net/http leaves the stream open")
			}
			if a, err := s.try("GET", "/"); err == nil {
				t.Errorf("%s: the client takes %d %.20q for a whole answer", name, a.StatusCode, a.body)
			}
			if finished.Swap(0) != 1 {
				t.Errorf("%s: OnFinish did not run once", name)
			}
			if a := s.get("/ok"); a.body != "ok" {
				t.Errorf("%s: the next answer is %d %q", name, a.StatusCode, a.body)
			}
		})
		if handled.Load() != 0 {
			t.Errorf("%s: the error handler was called", name)
		}
		want := 3
		switch {
		case strings.Contains(name, "ErrAbortHandler"):
			want = 0
		case name == "Goexit":
			want = 2
		}
		if lines := log.lines(t, "error"); len(lines) != want {
			t.Errorf("%s: %d lines in the log, want %d: %v", name, len(lines), want, log)
		}
	}
}

func TestTheErrorHandler(t *testing.T) {
	failing := func(c *pleat.Context) error {
		_, _ = c.WriteString("half")
		return pleat.NewError(401, "who are you").WithHeader("WWW-Authenticate", "Basic").WithCause(errBroken)
	}
	for _, test := range []struct {
		name    string
		handler func(*pleat.Context, error) error
		status  int
		body    string
		logged  int
	}{
		{"answers", func(c *pleat.Context, err error) error { return c.Text(pleat.StatusOf(err), "mine") }, 401, "mine", 0},
		{"another status", func(c *pleat.Context, _ error) error { return c.Text(404, "hidden") }, 404, "hidden", 0},
		{"leaves it to the app", func(c *pleat.Context, err error) error { return c.AnswerError(err) }, 401, "401 Unauthorized\nwho are you\n", 0},
		{"does nothing", func(*pleat.Context, error) error { return nil }, 401, "", 0},
		{"writes only", func(c *pleat.Context, _ error) error { _, err := c.WriteString("mine"); return err }, 401, "mine", 0},
		{"by net/http", func(c *pleat.Context, _ error) error {
			http.Error(c.Request().ResponseWriter(), "mine", http.StatusPaymentRequired)
			return nil
		}, 402, "mine\n", 0},
		{"fails", func(c *pleat.Context, _ error) error {
			_, _ = c.WriteString("secret")
			return errors.New("handler failed")
		}, 401, "401 Unauthorized\n", 1},
		{"panics", func(*pleat.Context, error) error { panic("handler failed") }, 401, "401 Unauthorized\n", 1},
		{"cuts", func(*pleat.Context, error) error { panic(http.ErrAbortHandler) }, 0, "", 0},
		{"fails late", func(c *pleat.Context, _ error) error {
			_, _ = c.WriteString("part")
			_ = c.Flush()
			return errors.New("handler failed")
		}, 0, "", 1},
	} {
		var calls atomic.Int32
		log := &logBook{}
		app := pleat.New(pleat.Config{Logger: log.logger(), ErrorHandler: func(c *pleat.Context, err error) error {
			if calls.Add(1); !errors.Is(err, errBroken) || c.Failure() != err {
				t.Errorf("%s: called with %v, Failure() = %v", test.name, err, c.Failure())
			}
			return test.handler(c, err)
		}})
		finished := make(chan int, 1)
		app.Use(func(next pleat.Handler) pleat.Handler {
			return func(c *pleat.Context) error {
				c.OnFinish(func(c *pleat.Context) { finished <- c.ResponseStatus() })
				return next(c)
			}
		})
		app.GET("/", failing)
		a, err := serve(t, app).try("GET", "/")
		status := <-finished
		switch {
		case test.status == 0:
			if err == nil {
				t.Errorf("%s: answer = %d %q", test.name, a.StatusCode, a.body)
			}
		case err != nil:
			t.Errorf("%s: %v", test.name, err)
		case a.StatusCode != test.status || a.body != test.body || status != test.status:
			t.Errorf("%s: answer = %d %q, want %d %q; OnFinish saw %d", test.name, a.StatusCode, a.body, test.status, test.body, status)
		case len(a.Header.Values("WWW-Authenticate")) != 1:
			t.Errorf("%s: WWW-Authenticate = %q", test.name, a.Header.Values("WWW-Authenticate"))
		}
		if calls.Load() != 1 {
			t.Errorf("%s: called %d times", test.name, calls.Load())
		}
		lines := log.lines(t, "error")
		if len(lines) != test.logged {
			t.Errorf("%s: log = %v", test.name, log)
		} else if test.logged > 0 {
			contains(t, log.String(), "handler failed", "the error handler failed")
		}
	}
}

// A 405 has to name the methods, whoever writes it.
func TestAllowReachesCustomPages(t *testing.T) {
	app := pleat.New(pleat.Config{ErrorHandler: func(c *pleat.Context, err error) error { return c.JSON(pleat.StatusOf(err), "x") }})
	app.GET("/", text("x"))
	if a := serve(t, app).do("POST", "/"); a.StatusCode != 405 || a.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("answer = %d, Allow %q", a.StatusCode, a.Header.Get("Allow"))
	}
}

func TestOnStatus(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		app.OnStatus(404, func(c *pleat.Context, err error) error {
			return c.HTML(c.ResponseStatus(), "<h1>"+err.Error()+"</h1>")
		})
		app.OnStatus(409, func(c *pleat.Context, _ error) error { _, err := c.WriteString("written"); return err })
		app.OnStatus(410, func(*pleat.Context, error) error { return errBroken })
		app.OnStatus(422, func(c *pleat.Context, err error) error {
			_, _ = c.WriteString("dropped")
			if err := c.AnswerError(err); err != nil {
				return err
			}
			return c.WithContext(c).AnswerError(pleat.NewError(404, "of another status"))
		})
		app.GET("/invalid", func(*pleat.Context) error { return pleat.NewError(422, "no name") })
		app.GET("/found", func(*pleat.Context) error { return pleat.NewError(404, "no user") })
		app.GET("/taken", func(*pleat.Context) error { return pleat.NewError(409, "") })
		app.GET("/gone", func(*pleat.Context) error { return pleat.NewError(410, "") })
		return app
	}, func(t *testing.T, s *site) {
		for _, test := range []struct {
			target string
			status int
			body   string
		}{
			{"/nope", 404, "<h1>404 Not Found</h1>"},
			{"/found", 404, "<h1>404 no user</h1>"},
			{"/taken", 409, "written"},
			{"/gone", 410, "410 Gone\n"},
			{"/invalid", 404, "404 Not Found\nof another status\n"}, // and no recursion
		} {
			if a := s.get(test.target); a.StatusCode != test.status || a.body != test.body {
				t.Errorf("%s = %d %q, want %d %q", test.target, a.StatusCode, a.body, test.status, test.body)
			}
		}
	})
}

// What the router makes of a request is the client's doing, even if it is a 501;
// what middleware makes of it is not.
func TestMissesAreNoFailures(t *testing.T) {
	log := &logBook{}
	app := pleat.New(pleat.Config{Logger: log.logger()})
	app.Use(func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			if c.Query("fail") != "" {
				return errBroken
			}
			return next(c)
		}
	})
	app.GET("/", text("x"))
	app.GET("/missing", func(*pleat.Context) error { return pleat.NewError(501, "not yet") })
	s := serve(t, app)
	for _, test := range []struct {
		method, target string
		status, lines  int
	}{
		{"BREW", "/", 501, 0},
		{"BREW", "/nope", 501, 0},
		{"GET", "/nope", 404, 0},
		{"POST", "/", 405, 0},
		{"GET", "/missing", 501, 1},
		{"GET", "/nope?fail=1", 500, 2},
		{"BREW", "/nope?fail=1", 500, 3},
	} {
		a := s.do(test.method, test.target)
		if lines := log.lines(t, "error"); a.StatusCode != test.status || len(lines) != test.lines {
			t.Errorf("%s %s = %d, log %v", test.method, test.target, a.StatusCode, lines)
		}
	}
}

// Functions given to OnFinish run in reverse order, whatever one of them does.
func TestOnFinish(t *testing.T) {
	log := &logBook{}
	var order []string
	done := make(chan struct{})
	app := pleat.New(pleat.Config{Logger: log.logger()})
	app.GET("/", func(c *pleat.Context) error {
		c.OnFinish(func(*pleat.Context) { close(done) })
		c.OnFinish(func(c *pleat.Context) { order = append(order, "first "+c.RequestID()) })
		c.OnFinish(func(*pleat.Context) { panic("in a finisher") })
		c.OnFinish(func(*pleat.Context) { panic(http.ErrAbortHandler) })
		c.OnFinish(func(c *pleat.Context) {
			order = append(order, "last")
			c.OnFinish(func(*pleat.Context) { order = append(order, "added") })
		})
		c.SetRequestID("id")
		return c.Text(200, "x")
	})
	_, _ = serve(t, app).try("GET", "/")
	<-done
	if got := strings.Join(order, ", "); got != "last, added, first id" {
		t.Errorf("order = %s", got)
	}
	lines := log.lines(t, "error")
	if len(lines) != 1 || lines[0]["stack"] == nil {
		t.Errorf("log = %v", log)
	}
}

// A handler that ends because the client has gone has not failed.
func TestClientsThatLeaveAreNoFailures(t *testing.T) {
	for name, wait := range map[string]func(*pleat.Context) error{
		"context error": func(c *pleat.Context) error {
			<-c.Done()
			return c.Err()
		},
		"write error": func(c *pleat.Context) error {
			for {
				if _, err := c.WriteString(strings.Repeat("x", 100_000)); err != nil {
					return err
				}
			}
		},
	} {
		log := &logBook{}
		failure := make(chan error, 1)
		begun := make(chan struct{})
		app := pleat.New(pleat.Config{Logger: log.logger()})
		app.GET("/", func(c *pleat.Context) error {
			c.OnFinish(func(c *pleat.Context) { failure <- c.Failure() })
			close(begun)
			return wait(c)
		})
		s := serve(t, app)
		conn := s.dial()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		<-begun
		conn.Close()
		if err := <-failure; !errors.Is(err, server.ErrClientGone) || pleat.StatusOf(err) != 499 {
			t.Errorf("%s: failure = %v, status %d", name, err, pleat.StatusOf(err))
		}
		if lines := log.lines(t, "warn"); len(lines) != 0 {
			t.Errorf("%s: log = %v", name, lines)
		}
	}
}
