// SPDX-License-Identifier: MIT

package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/server"
)

// testApp has a route for every way a request can end.
func testApp(log *logLines, config middleware.LoggerConfig, mw ...pleat.Middleware) *pleat.App {
	app := pleat.New(pleat.Config{Logger: log.logger()})
	app.Use(middleware.Logger(config))
	app.Use(mw...)
	app.GET("/hello/:name", func(c *pleat.Context) error { return c.Text(200, "hello") })
	app.POST("/made", func(c *pleat.Context) error { return c.Text(201, "") })
	app.GET("/empty", (*pleat.Context).NoContent)
	app.GET("/unset", func(c *pleat.Context) error { return nil })
	app.GET("/same", func(c *pleat.Context) error { return c.Status(304) })
	app.GET("/moved", func(c *pleat.Context) error { return c.Redirect(303, "/empty") })
	app.GET("/big", func(c *pleat.Context) error { return c.Blob(200, "text/plain", make([]byte, 100_000)) })
	app.GET("/bare", func(c *pleat.Context) error { return pleat.NewError(403, "") })
	app.GET("/refused", func(c *pleat.Context) error {
		return pleat.NewError(409, "twice").WithCause(errors.New("row 7"))
	})
	app.GET("/broken", func(c *pleat.Context) error { return errors.New("db-password") })
	app.GET("/draining", func(c *pleat.Context) error { return fmt.Errorf("waiting: %w", server.ErrServerDraining) })
	app.GET("/half", func(c *pleat.Context) error {
		_ = c.Text(200, "half an answer")
		return errors.New("no more")
	})
	app.GET("/panic", func(c *pleat.Context) error { panic("panic-value") })
	app.GET("/abort", func(c *pleat.Context) error { panic(http.ErrAbortHandler) })
	app.GET("/exit", func(c *pleat.Context) error {
		if c.Query("late") != "" {
			_ = c.Text(200, "never sent")
		}
		runtime.Goexit()
		return nil
	})
	app.GET("/cut", func(c *pleat.Context) error {
		_, _ = c.WriteString("begun")
		_ = c.Flush()
		return errors.New("no more")
	})
	app.GET("/hijack", func(c *pleat.Context) error {
		conn, _, err := c.Request().Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		return err
	})
	return app
}

// Routes of two hosts may have the same pattern.
func TestLoggerTellsTheHost(t *testing.T) {
	onBoth(t, func(t *testing.T, serve func(*testing.T, *pleat.App) string) {
		log := newLog()
		app := testApp(log, middleware.LoggerConfig{})
		app.Host("*.example.com").GET("/hello/:name", func(c *pleat.Context) error { return errors.New("broken") })
		addr := serve(t, app)
		for host, pattern := range map[string]any{"api.example.com": "*.example.com", "example.com": nil} {
			if _, err := send(t, addr, "GET /hello/ann HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			line := log.next(t)
			if pattern != nil { // that of the failure comes first
				want(t, line, map[string]any{"message": "pleat: request failed", "host": pattern, "route": "/hello/:name"})
				line = log.next(t)
			}
			want(t, line, map[string]any{"message": "request", "host": pattern, "route": "/hello/:name"})
		}
	})
}

func TestLogger(t *testing.T) {
	tests := []struct {
		name, request string
		want          map[string]any
	}{
		{"answer", "GET /hello/ann?q=1", map[string]any{
			"level": "info", "method": "GET", "path": "/hello/ann", "route": "/hello/:name", "status": 200, "bytes": 5,
			"remote": "127.0.0.1", "error": nil, "aborted": nil, "query": nil, "user_agent": nil, "sample": nil, "suspect": nil,
		}},
		{"no status set", "GET /unset", map[string]any{"level": "info", "status": 200, "bytes": 0}},
		{"created", "POST /made", map[string]any{"level": "info", "method": "POST", "status": 201, "bytes": 0}},
		{"no content", "GET /empty", map[string]any{"level": "info", "status": 204, "bytes": 0}},
		{"not modified", "GET /same", map[string]any{"level": "info", "status": 304, "bytes": 0}},
		{"head", "HEAD /hello/ann", map[string]any{"level": "info", "method": "HEAD", "status": 200, "bytes": 0}},
		{"big", "GET /big", map[string]any{"level": "info", "status": 200, "bytes": 100_000, "aborted": nil}},
		{"redirect of a handler", "GET /moved", map[string]any{"level": "info", "status": 303, "route": "/moved"}},
		{"redirect of the app", "GET /moved/", map[string]any{"level": "info", "status": 301, "route": nil, "path": "/moved/"}},
		{"options", "OPTIONS /made", map[string]any{"level": "info", "status": 204, "route": nil}},
		{"not found", "GET /nowhere", map[string]any{"level": "warn", "status": 404, "route": nil, "error": nil}},
		{"wrong method", "DELETE /made", map[string]any{"level": "warn", "status": 405, "route": nil, "error": nil}},
		{"unknown method", "BREW /made", map[string]any{"level": "warn", "method": "BREW", "status": 501}},
		{"refused", "GET /refused", map[string]any{"level": "warn", "status": 409, "error": "409 twice: row 7"}},
		{"refused without a word", "GET /bare", map[string]any{"level": "warn", "status": 403, "error": nil}},
		{"error", "GET /broken", map[string]any{"level": "error", "status": 500, "error": nil, "aborted": nil}},
		{"error behind an answer", "GET /half", map[string]any{"level": "error", "status": 500, "error": nil, "aborted": nil}},
		{"panic", "GET /panic", map[string]any{"level": "error", "status": 500, "route": "/panic", "error": nil, "stack": nil}},
		{"abort", "GET /abort", map[string]any{"level": "warn", "status": 0, "bytes": 0, "aborted": true}},
		{"cut", "GET /cut", map[string]any{"level": "warn", "status": 200, "bytes": 5, "aborted": true}},
		{"goexit", "GET /exit", map[string]any{"level": "warn", "status": 0, "bytes": 0, "aborted": true}},
		{"goexit behind an answer", "GET /exit?late=1", map[string]any{"level": "warn", "status": 0, "bytes": 0, "aborted": true}},
		{"hijack", "GET /hijack", map[string]any{"level": "info", "status": 0, "hijacked": true, "aborted": nil}},
	}
	onBoth(t, func(t *testing.T, serve func(*testing.T, *pleat.App) string) {
		log := newLog()
		addr := serve(t, testApp(log, middleware.LoggerConfig{}))
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				a, err := send(t, addr, test.request+" HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
				line := log.access(t)
				log.none(t)
				want(t, line, test.want)
				want(t, line, map[string]any{"message": "request"})
				if us, ok := line["duration_us"].(float64); !ok || us < 0 {
					t.Errorf("duration_us = %v", line["duration_us"])
				}
				if id, _ := line["request_id"].(string); len(id) != 32 {
					t.Errorf("request_id = %q", id)
				}
				broken := line["aborted"] == true
				if err != nil != broken {
					t.Errorf("answer: %v, aborted: %v", err, broken)
				}
				if !broken && line["hijacked"] == nil && float64(a.StatusCode) != line["status"] {
					t.Errorf("the client got %d, the log says %v", a.StatusCode, line["status"])
				}
				if !broken && float64(len(a.text)) != line["bytes"] && line["status"].(float64) < 400 {
					t.Errorf("the client got %d octets, the log says %v", len(a.text), line["bytes"])
				}
			})
		}
	})
}

// There is no address behind a Unix socket.
func TestLoggerUnixSocket(t *testing.T) {
	log := newLog()
	app := testApp(log, middleware.LoggerConfig{}, middleware.Forwarded(server.TrustPolicy{TrustUnix: true, Source: server.SourceXForwardedFor}))
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skip(err)
	}
	serveOn(t, app, l)
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) },
	}}
	for forwarded, remote := range map[string]any{"": nil, "192.0.2.1": "192.0.2.1"} {
		q, err := http.NewRequest("GET", "http://example.com/hello/ann", nil)
		if err != nil {
			t.Fatal(err)
		}
		if forwarded != "" {
			q.Header.Set("X-Forwarded-For", forwarded)
		}
		resp, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		want(t, log.access(t), map[string]any{"status": 200, "remote": remote, "suspect": nil})
	}
}

// The cause of a 5xx stands in the app's line, the access line leads there.
func TestLoggerDoesNotRepeatCauses(t *testing.T) {
	log := newLog()
	addr := serve(t, testApp(log, middleware.LoggerConfig{}, middleware.RequestID(middleware.RequestIDConfig{}), middleware.Recover()))
	for path, secret := range map[string]string{"/broken": "db-password", "/panic": "panic-value"} {
		a := get(t, addr, path, "Accept: text/html\r\n")
		cause, line := log.next(t), log.next(t)
		log.none(t)
		if text, _ := cause["error"].(string); !strings.Contains(text, secret) {
			t.Errorf("%s: the app's line has no cause: %v", path, cause)
		}
		want(t, line, map[string]any{"message": "request", "status": 500, "error": nil, "request_id": cause["request_id"]})
		if stack, _ := cause["stack"].(string); path == "/panic" && !strings.Contains(stack, "logger_test.go") {
			t.Errorf("no stack in %v", cause)
		}
		if a.StatusCode != 500 || strings.Contains(a.text, secret) || strings.Contains(a.text, "goroutine") || strings.Contains(a.text, ".go") {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.text)
		}
		if id := a.Header.Get("X-Request-Id"); id != cause["request_id"] || !strings.Contains(a.text, id) {
			t.Errorf("%s: request id %q of the answer, %q of the log", path, id, cause["request_id"])
		}
	}
}

// What is refused because the server ends is nothing to wake anybody for.
func TestLoggerWhileDraining(t *testing.T) {
	log := newLog()
	get(t, serve(t, testApp(log, middleware.LoggerConfig{})), "/draining", "")
	want(t, log.next(t), map[string]any{"message": "pleat: request failed", "level": "warn", "status": 503})
	want(t, log.next(t), map[string]any{"message": "request", "level": "warn", "status": 503, "error": nil})
	log.none(t)
}

// Whatever the order of the three, one request makes one line with its final
// status and the id that the client got.
func TestLoggerOrder(t *testing.T) {
	orders := [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}
	for _, order := range orders {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			log := newLog()
			all := []pleat.Middleware{
				middleware.Logger(middleware.LoggerConfig{}),
				middleware.Recover(),
				middleware.RequestID(middleware.RequestIDConfig{}),
			}
			app := pleat.New(pleat.Config{Logger: log.logger()})
			for _, i := range order {
				app.Use(all[i])
			}
			app.GET("/panic", func(c *pleat.Context) error { panic("no") })
			app.GET("/", func(c *pleat.Context) error { return c.Text(200, "yes") })
			addr := serve(t, app)
			for target, status := range map[string]int{"/": 200, "/panic": 500, "/none": 404} {
				a := get(t, addr, target, "")
				line := log.access(t)
				log.none(t)
				want(t, line, map[string]any{"status": status, "request_id": a.Header.Get("X-Request-Id")})
				if a.StatusCode != status || a.Header.Get("X-Request-Id") == "" {
					t.Errorf("%s: %d, id %q", target, a.StatusCode, a.Header.Get("X-Request-Id"))
				}
			}
		})
	}
}

// An error handler that answers with another status has the last word.
func TestLoggerFinalStatus(t *testing.T) {
	log := newLog()
	app := pleat.New(pleat.Config{Logger: log.logger(), ErrorHandler: func(c *pleat.Context, err error) error {
		if pleat.StatusOf(err) == 401 {
			return c.Redirect(303, "/login")
		}
		return c.AnswerError(err)
	}})
	app.Use(middleware.Logger(middleware.LoggerConfig{}))
	app.GET("/", func(c *pleat.Context) error { return pleat.NewError(401, "") })
	if a := get(t, serve(t, app), "/", ""); a.StatusCode != 303 {
		t.Errorf("status %d", a.StatusCode)
	}
	want(t, log.access(t), map[string]any{"status": 303, "level": "info", "aborted": nil})
}

// Nothing a client sends makes more than one line, or a line that says what the
// server did not.
func TestLoggerInjection(t *testing.T) {
	const forged = `","status":200,"x":"`
	onBoth(t, func(t *testing.T, serve func(*testing.T, *pleat.App) string) {
		log := newLog()
		app := pleat.New(pleat.Config{Logger: log.logger()})
		app.Use(
			middleware.Logger(middleware.LoggerConfig{UserAgent: true, Query: true, Fields: func(c *pleat.Context, e *zerolog.Event) {
				e.Str("status", c.Header("X-Status")).Str("agent", c.Header("User-Agent"))
			}}),
			middleware.RequestID(middleware.RequestIDConfig{}),
		)
		app.GET("/echo/*what", func(c *pleat.Context) error {
			return pleat.NewError(418, c.Param("what")+c.Query("q")+c.Header("User-Agent"))
		})
		addr := serve(t, app)
		for _, target := range []string{
			"/echo/%0d%0a%7b%22level%22:%22error%22%7d", "/echo/%1b[31m", `/echo/%22,%22status%22:200`, "/echo/%ff%fe", "/echo/%00",
			"/echo/x?q=%0aline&" + url.QueryEscape(forged), "/echo/%E2%80%AE%E2%80%A8", "/" + strings.Repeat("%0a", 4000),
		} {
			for _, agent := range []string{"plain", "\x1b[2J", forged, "\xff\xfe\x80", "tab\there", "\x7f", "back\\slash\"", strings.Repeat("a\"", 2000)} {
				a, err := send(t, addr, "GET "+target+" HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\nX-Status: 200\r\nUser-Agent: "+agent+"\r\nX-Request-Id: "+forged+"\r\n\r\n")
				if err != nil {
					t.Fatal(err)
				}
				if a.StatusCode == 400 && a.Header.Get("X-Request-Id") == "" {
					continue // it was no HTTP, and never reached the app
				}
				line := log.access(t)
				log.none(t)
				want(t, line, map[string]any{"status": a.StatusCode, "request_id": a.Header.Get("X-Request-Id"), "message": "request", "x": nil})
				for name, most := range map[string]int{"path": 2048, "query": 2048, "user_agent": 256, "error": 1024} {
					// Octets that are no UTF-8 become a replacement character each.
					if text, _ := line[name].(string); len(text) > 3*most {
						t.Errorf("%s has %d octets", name, len(text))
					}
				}
			}
		}
	})
}

// net/http hands over what its caller made up, line ends and all.
func TestLoggerInjectionInMemory(t *testing.T) {
	log := newLog()
	app := pleat.New(pleat.Config{Logger: log.logger()})
	app.Use(middleware.Logger(middleware.LoggerConfig{UserAgent: true, Query: true}))
	for _, evil := range []string{"\r\n{}", "\x1b[31m", `","status":1,"`, "\xff", "\x00", "\u2028\u202e"} {
		q := httptest.NewRequest("GET", "/", nil)
		q.URL = &url.URL{Path: "/" + evil, RawPath: "/" + evil, RawQuery: evil}
		q.Method = "M" + evil
		q.Host = evil
		q.RemoteAddr = evil
		q.Header["User-Agent"] = []string{evil}
		q.Header["X-Request-Id"] = []string{evil}
		app.ServeHTTP(httptest.NewRecorder(), q)
		line := log.access(t)
		log.none(t)
		if line["status"].(float64) < 400 {
			t.Errorf("%q: %v", evil, line)
		}
	}
}

func TestLoggerConfig(t *testing.T) {
	own := newLog()
	tests := []struct {
		name   string
		config middleware.LoggerConfig
		target string
		fields string
		want   map[string]any // nil: no line
	}{
		{"query", middleware.LoggerConfig{Query: true}, "/hello/a?b=c%20d", "", map[string]any{"query": "b=c%20d", "path": "/hello/a"}},
		{"no query", middleware.LoggerConfig{Query: true}, "/hello/a", "", map[string]any{"query": ""}},
		{"user agent", middleware.LoggerConfig{UserAgent: true}, "/hello/a", "User-Agent: me\r\n", map[string]any{"user_agent": "me"}},
		{"level", middleware.LoggerConfig{Level: func(_ *pleat.Context, status int) zerolog.Level {
			if status != 404 {
				t.Errorf("Level is asked for %d", status)
			}
			return zerolog.DebugLevel
		}}, "/none", "", map[string]any{"level": "debug", "status": 404}},
		{"level disabled", middleware.LoggerConfig{Level: func(*pleat.Context, int) zerolog.Level { return zerolog.Disabled }}, "/broken", "", nil},
		{"sampled away", middleware.LoggerConfig{SampleEvery: -1, Slow: time.Hour}, "/hello/a", "", nil},
		{"redirect sampled away", middleware.LoggerConfig{SampleEvery: -1, Slow: time.Hour}, "/moved", "", nil},
		{"4xx is not sampled", middleware.LoggerConfig{SampleEvery: -1, Slow: -1}, "/none", "", map[string]any{"status": 404, "sample": nil}},
		{"5xx is not sampled", middleware.LoggerConfig{SampleEvery: -1, Slow: -1}, "/panic", "", map[string]any{"status": 500, "sample": nil}},
		{"first of a sample", middleware.LoggerConfig{SampleEvery: 10, Slow: time.Hour}, "/hello/a", "", map[string]any{"status": 200, "sample": 10}},
		{"slow", middleware.LoggerConfig{SampleEvery: -1, Slow: 1}, "/hello/a", "", map[string]any{"status": 200, "sample": nil}},
		{"own log", middleware.LoggerConfig{Logger: own.logger()}, "/hello/a", "", nil},
		{
			"fields",
			middleware.LoggerConfig{Fields: func(c *pleat.Context, e *zerolog.Event) { e.Str("status", "mine") }},
			"/hello/a", "",
			map[string]any{"status": 200},
		},
		{
			"fields panic",
			middleware.LoggerConfig{Fields: func(*pleat.Context, *zerolog.Event) { panic("no") }},
			"/hello/a", "",
			map[string]any{"status": 200, "fields": nil},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			log := newLog()
			addr := serve(t, testApp(log, test.config))
			get(t, addr, test.target, test.fields)
			if test.want == nil {
				if text := log.rest(); strings.Contains(text, `"request"`) {
					t.Errorf("a line: %s", text)
				}
				return
			}
			line := log.access(t)
			want(t, line, test.want)
			if test.name == "fields" && line["fields"].(map[string]any)["status"] != "mine" {
				t.Errorf("fields = %v", line["fields"])
			}
		})
	}
	want(t, own.access(t), map[string]any{"status": 200, "path": "/hello/a"})
}

// Time decides what is sampled away.
func TestLoggerSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		app := pleat.New(pleat.Config{Logger: log.logger()})
		app.Use(middleware.Logger(middleware.LoggerConfig{SampleEvery: 3}))
		app.GET("/", func(c *pleat.Context) error {
			wait, err := time.ParseDuration(c.Query("wait"))
			time.Sleep(wait)
			return err
		})
		for _, step := range []struct {
			wait   string
			sample any // nil: no line, 0: a line of its own
		}{{"10ms", 3}, {"10ms", nil}, {"1s", 0}, {"999ms", nil}, {"2h", 0}, {"0s", 3}, {"0s", nil}} {
			app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/?wait="+step.wait, nil))
			if step.sample == nil {
				log.none(t)
				continue
			}
			line := log.access(t)
			wait, _ := time.ParseDuration(step.wait)
			want(t, line, map[string]any{"duration_us": int(wait.Microseconds())})
			if step.sample == 0 {
				step.sample = nil
			}
			want(t, line, map[string]any{"sample": step.sample})
		}
	})
}

func TestLoggerConcurrently(t *testing.T) {
	const clients, each = 8, 50
	log := newLog()
	out := middleware.NewLogWriter(log, middleware.LogWriterConfig{Size: 4 << 10, MaxWait: time.Hour, CloseTimeout: -1})
	zlog := zerolog.New(out)
	app := pleat.New(pleat.Config{Logger: &zlog})
	app.Use(middleware.Logger(middleware.LoggerConfig{}), middleware.RequestID(middleware.RequestIDConfig{}), middleware.Recover())
	app.GET("/:n", func(c *pleat.Context) error {
		n, err := c.ParamInt("n")
		switch {
		case err != nil:
			return err
		case n%10 == 0:
			panic(n)
		}
		return c.Text(200, c.Param("n"))
	})
	addr := serve(t, app)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for n := range each {
				resp, err := http.Get(fmt.Sprintf("http://%s/%d", addr, i*each+n))
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	paths, ids := map[string]bool{}, map[string]bool{}
	for _, text := range strings.SplitAfter(strings.TrimSuffix(log.rest(), "\n"), "\n") {
		line := parseLine(t, []byte(strings.TrimSuffix(text, "\n")+"\n"))
		if line["message"] == "request" {
			paths[line["path"].(string)] = true
			ids[line["request_id"].(string)] = true
		}
	}
	if len(paths) != clients*each || len(ids) != clients*each {
		t.Errorf("%d paths and %d ids, want %d", len(paths), len(ids), clients*each)
	}
}

func ExampleLogger() {
	var lines strings.Builder
	log := zerolog.New(&lines)
	app := pleat.New(pleat.Config{Logger: &log})
	app.Use(
		middleware.Logger(middleware.LoggerConfig{
			Fields: func(c *pleat.Context, e *zerolog.Event) { e.Str("tenant", c.Param("tenant")) },
		}),
		middleware.RequestID(middleware.RequestIDConfig{Generate: func() string { return "r1" }}),
	)
	app.GET("/of/:tenant", func(c *pleat.Context) error { return pleat.NewError(402, "no more credit") })
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/of/acme?token=secret", nil))

	// No two durations are the same.
	fmt.Print(regexp.MustCompile(`"duration_us":\d+`).ReplaceAllString(lines.String(), `"duration_us":87`))
	// Output:
	// {"level":"warn","method":"GET","path":"/of/acme","route":"/of/:tenant","status":402,"bytes":36,"duration_us":87,"remote":"192.0.2.1","request_id":"r1","error":"402 no more credit","fields":{"tenant":"acme"},"message":"request"}
}
