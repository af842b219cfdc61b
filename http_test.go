// SPDX-License-Identifier: MIT

package pleat_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

func TestWrapHTTP(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big"), []byte(strings.Repeat("x", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		app.GET("/value/:id", pleat.WrapHTTP(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			c := pleat.FromContext(q.Context())
			user, _ := userKey.Get(c)
			fmt.Fprintf(w, "%s %s %s %v %v", q.PathValue("id"), q.Pattern, user, q.Context().Value(userKey), c.Err())
		})), func(next pleat.Handler) pleat.Handler {
			return func(c *pleat.Context) error {
				userKey.Set(c, "ann")
				return next(c)
			}
		})
		app.GET("/file", pleat.WrapHTTP(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			http.ServeFile(w, q, filepath.Join(dir, "big"))
		})))
		app.GET("/error", pleat.WrapHTTP(http.NotFoundHandler()))
		app.GET("/panic", pleat.WrapHTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic("boom")
		})))
		app.POST("/echo", pleat.WrapHTTP(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.ProtoMajor == 1 { // where net/http would have to be asked for full duplex
				b, _ := io.ReadAll(q.Body)
				q.Body = io.NopCloser(bytes.NewReader(b))
			}
			_, _ = io.Copy(w, q.Body)
		})))
		app.GET("/flush", pleat.WrapHTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			_, _ = io.WriteString(w, "b")
		})))
		return app
	}, func(t *testing.T, s *site) {
		for _, test := range []struct {
			method, target string
			status         int
			body           string
		}{
			{"GET", "/value/a%2Fb", 200, "a/b /value/:id ann ann <nil>"},
			{"GET", "/file", 200, strings.Repeat("x", 1<<20)},
			{"GET", "/error", 404, "404 page not found\n"},
			{"GET", "/panic", 500, ""},
			{"POST", "/echo", 200, strings.Repeat("e", 100_000)},
			{"GET", "/flush", 200, "ab"},
		} {
			var fields []string
			if test.method == "POST" {
				fields = []string{"Body", test.body}
			}
			a := s.do(test.method, test.target, fields...)
			if a.StatusCode != test.status || test.body != "" && a.body != test.body {
				t.Errorf("%s = %d %.100q, want %d %.100q", test.target, a.StatusCode, a.body, test.status, test.body)
			}
		}
	})
}

func TestHijackThroughWrappedHandlers(t *testing.T) {
	hijack := pleat.WrapHTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotImplemented)
			return
		}
		defer conn.Close()
		line, _ := rw.ReadString('\n')
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\n\r\necho %s", line)
		_ = rw.Flush()
	}))
	app := pleat.New(pleat.Config{})
	status := make(chan int, 1)
	app.Use(func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			c.OnFinish(func(c *pleat.Context) { status <- c.ResponseStatus() })
			return next(c)
		}
	})
	app.GET("/bare", hijack)
	app.GET("/wrapped", hijack, pleat.WrapMiddleware(shouting))
	app.GET("/failing", func(c *pleat.Context) error {
		_ = hijack(c)
		return errBroken
	})
	for _, s := range []*site{serve(t, app), serveHTTP(t, app, false)} {
		for _, target := range []string{"/bare", "/wrapped", "/failing"} {
			conn := s.dial()
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\nhello\n", target)
			b, err := io.ReadAll(conn)
			if got := string(b); err != nil || got != "HTTP/1.1 101 Switching Protocols\r\n\r\necho hello\n" {
				t.Errorf("%s: %q, %v", target, got, err)
			}
			if got := <-status; got != 101 {
				t.Errorf("%s: status %d", target, got)
			}
		}
	}
}

// shouting is a middleware that wraps the writer the careless way: with Unwrap,
// but without Flush and Hijack of its own.
func shouting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { next.ServeHTTP(&shoutingWriter{w}, q) })
}

type shoutingWriter struct{ w http.ResponseWriter }

func (w *shoutingWriter) Header() http.Header         { return w.w.Header() }
func (w *shoutingWriter) WriteHeader(status int)      { w.w.WriteHeader(status) }
func (w *shoutingWriter) Unwrap() http.ResponseWriter { return w.w }
func (w *shoutingWriter) Write(p []byte) (int, error) {
	return w.w.Write([]byte(strings.ToUpper(string(p))))
}

// zipping compresses like the usual middleware for net/http.
func zipping(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Add("Vary", "Accept-Encoding")
		z := &zippingWriter{ResponseWriter: w, zip: gzip.NewWriter(w)}
		defer z.zip.Close()
		next.ServeHTTP(z, q)
	})
}

type zippingWriter struct {
	http.ResponseWriter
	zip *gzip.Writer
}

func (z *zippingWriter) WriteHeader(status int) {
	z.Header().Del("Content-Length")
	z.ResponseWriter.WriteHeader(status)
}

func (z *zippingWriter) Write(p []byte) (int, error) { return z.zip.Write(p) }

func (z *zippingWriter) Flush() {
	_ = z.zip.Flush()
	z.ResponseWriter.(http.Flusher).Flush()
}

func unzip(t *testing.T, s string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		t.Fatalf("%v in %q", err, s)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWrappedWriters(t *testing.T) {
	long := strings.Repeat("long ", 20_000)
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		app.Use(func(next pleat.Handler) pleat.Handler {
			return func(c *pleat.Context) error {
				_ = c.SetCookie(&http.Cookie{Name: "outer", Value: "1"})
				_ = c.SetHeader("Vary", "Origin")
				return next(c)
			}
		}, pleat.WrapMiddleware(zipping))
		app.GET("/text", text("hello"))
		app.GET("/long", text(long))
		app.GET("/json", func(c *pleat.Context) error {
			_ = c.SetCookie(&http.Cookie{Name: "inner", Value: "1"})
			userKey.Set(c, "ann")
			return c.JSON(201, c.Route().Pattern())
		})
		app.GET("/std", pleat.WrapHTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(202)
			_, _ = io.WriteString(w, "std")
		})))
		app.GET("/flush", func(c *pleat.Context) error {
			_, _ = c.WriteString("a")
			if err := c.Flush(); err != nil {
				return err
			}
			_, err := c.WriteString("b")
			return err
		})
		app.GET("/error", func(c *pleat.Context) error {
			_, _ = c.WriteString("half")
			return pleat.NewError(409, "taken").WithHeader("X-Why", "because")
		})
		app.GET("/panic", func(c *pleat.Context) error {
			_, _ = c.WriteString("half")
			panic("boom")
		})
		app.GET("/late", func(c *pleat.Context) error {
			_, _ = c.WriteString(long)
			_ = c.Flush()
			return errBroken
		})
		return app
	}, func(t *testing.T, s *site) {
		for _, test := range []struct {
			target string
			status int
			body   string
			zipped bool
		}{
			{"/text", 200, "hello", true},
			{"/long", 200, long, true},
			{"/json", 201, `"/json"`, true},
			{"/std", 202, "std", true},
			{"/flush", 200, "ab", true},
			{"/error", 409, "409 Conflict\ntaken\n", false},
			{"/panic", 500, "", false},
			{"/nope", 404, "404 Not Found\n", false},
		} {
			a := s.get(test.target)
			body := a.body
			if test.zipped {
				body = unzip(t, body)
			}
			if a.StatusCode != test.status || test.body != "" && body != test.body {
				t.Errorf("%s = %d %.100q, want %d %.100q", test.target, a.StatusCode, body, test.status, test.body)
			}
			if got := a.Header.Get("Content-Encoding"); (got == "gzip") != test.zipped {
				t.Errorf("%s: Content-Encoding %q", test.target, got)
			}
			if got := strings.Join(a.Header.Values("Vary"), ", "); !strings.HasPrefix(got, "Origin, Accept-Encoding") {
				t.Errorf("%s: Vary %q", test.target, got)
			}
			cookies := 1
			if test.target == "/json" {
				cookies = 2
			}
			if len(a.Cookies()) != cookies {
				t.Errorf("%s: cookies %v", test.target, a.Cookies())
			}
			if test.target == "/error" && a.Header.Get("X-Why") != "because" {
				t.Errorf("%s: the error's fields are lost: %v", test.target, a.Header)
			}
		}
		if a, err := s.try("GET", "/late"); err == nil {
			t.Errorf("/late: the client takes %d octets for a whole answer", len(a.body))
		}
	})
}

// What a middleware does to the request holds, in place or on a copy.
func TestWrappedRequests(t *testing.T) {
	show := func(c *pleat.Context) error {
		body, err := c.Body()
		if err != nil {
			return err
		}
		return c.Text(200, strings.Join([]string{c.Method(), c.Path(), c.Query("q"), c.Header("X-A"), c.Request().Host(), string(body), c.Param("id"), fmt.Sprint(c.Value(plainKey{}))}, "|"))
	}
	edit := func(change func(q *http.Request) *http.Request) pleat.Middleware {
		return pleat.WrapMiddleware(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { next.ServeHTTP(w, change(q)) })
		})
	}
	in := func(change func(q *http.Request)) pleat.Middleware {
		return edit(func(q *http.Request) *http.Request { change(q); return q })
	}
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		for path, mw := range map[string]pleat.Middleware{
			"nothing": in(func(*http.Request) {}),
			"context": edit(func(q *http.Request) *http.Request {
				return q.WithContext(context.WithValue(q.Context(), plainKey{}, "v"))
			}),
			"header":         in(func(q *http.Request) { q.Header.Set("X-A", "set") }),
			"header removed": in(func(q *http.Request) { q.Header.Del("X-A") }),
			"method":         in(func(q *http.Request) { q.Method = "PATCH" }),
			"url":            in(func(q *http.Request) { q.URL.Path, q.URL.RawQuery = "/other", "q=2" }),
			"host":           in(func(q *http.Request) { q.Host = "other" }),
			"body": in(func(q *http.Request) {
				q.Body = io.NopCloser(io.MultiReader(q.Body, strings.NewReader("+")))
				q.ContentLength = -1
			}),
			"strip": pleat.WrapMiddleware(func(next http.Handler) http.Handler { return http.StripPrefix("/strip", next) }),
			"limit": pleat.WrapMiddleware(func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, 3) }),
			"form": in(func(q *http.Request) {
				if q.FormValue("b") != "1" {
					t.Error("no form")
				}
			}),
		} {
			app.POST("/"+path+"/:id", show, mw)
			app.POST("/twice/"+path+"/:id", show, mw, in(func(*http.Request) {}))
		}
		app.POST("/formvalues/:id", func(c *pleat.Context) error { return c.Text(200, c.Form("b")) },
			in(func(q *http.Request) { _ = q.ParseForm() }))
		app.POST("/json/:id", show, in(func(q *http.Request) { _ = q.ParseForm() })) // reads nothing
		return app
	}, func(t *testing.T, s *site) {
		for target, want := range map[string]string{
			"/nothing/7":          "POST|/nothing/7|1|a|HOST|body|7|<nil>",
			"/context/7":          "POST|/context/7|1|a|HOST|body|7|v",
			"/header/7":           "POST|/header/7|1|set|HOST|body|7|<nil>",
			"/header%20removed/7": "POST|/header%20removed/7|1||HOST|body|7|<nil>",
			"/method/7":           "PATCH|/method/7|1|a|HOST|body|7|<nil>",
			"/url/7":              "POST|/other|2|a|HOST|body|7|<nil>",
			"/host/7":             "POST|/host/7|1|a|other|body|7|<nil>",
			"/body/7":             "POST|/body/7|1|a|HOST|body+|7|<nil>",
			"/strip/7":            "POST|/7|1|a|HOST|body|7|<nil>",
			"/limit/7":            "413 Request Entity Too Large\n",
		} {
			for _, prefix := range []string{"", "/twice"} {
				if prefix != "" && strings.HasPrefix(target, "/strip") {
					continue
				}
				want := strings.Replace(strings.ReplaceAll(want, "HOST", s.addr), "|/"+target[1:], "|"+prefix+target, 1)
				if a := s.do("POST", prefix+target+"?q=1", "X-A", "a", "Content-Type", "text/plain", "Body", "body"); a.body != want {
					t.Errorf("%s: %d %q, want %q", prefix+target, a.StatusCode, a.body, want)
				}
			}
		}
		const form = "application/x-www-form-urlencoded"
		if a := s.do("POST", "/formvalues/7", "Content-Type", form, "Body", "b=1"); a.body != "1" {
			t.Errorf("a form that was read by the middleware: %d %q", a.StatusCode, a.body)
		}
		if a := s.do("POST", "/json/7", "Content-Type", "application/json", "Body", "{}"); !strings.Contains(a.body, "|{}|") {
			t.Errorf("a body that was not read by the middleware: %d %q", a.StatusCode, a.body)
		}
	})
}

func TestWrappedMiddlewareThatDoesNotGoOn(t *testing.T) {
	stop := pleat.WrapMiddleware(func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	})
	retry := pleat.WrapMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			next.ServeHTTP(w, q)
			next.ServeHTTP(w, q)
		})
	})
	astray := pleat.WrapMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			next.ServeHTTP(w, q.WithContext(context.Background()))
		})
	})
	calls := 0
	app := pleat.New(pleat.Config{})
	app.GET("/stop", text("x"), stop)
	app.GET("/retry", func(c *pleat.Context) error {
		if calls++; calls == 1 {
			return errBroken
		}
		return c.Text(200, "second")
	}, retry)
	app.GET("/astray", text("x"), astray)
	s := serve(t, app)
	for target, want := range map[string]string{"/stop": "403 no\n", "/retry": "200 second", "/astray": "500 "} {
		if a := s.get(target); !strings.HasPrefix(fmt.Sprint(a.StatusCode, " ", a.body), want) {
			t.Errorf("%s = %d %q, want %q", target, a.StatusCode, a.body, want)
		}
	}
}

// http.TimeoutHandler answers while the chain is still running.
func TestTimeoutHandler(t *testing.T) {
	release, ended := make(chan struct{}, 1), make(chan error, 1)
	log := &logBook{}
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{Logger: log.logger()})
		timeout := func(d time.Duration) pleat.Middleware {
			return pleat.WrapMiddleware(func(next http.Handler) http.Handler { return http.TimeoutHandler(next, d, "slow") })
		}
		app.GET("/slow", func(c *pleat.Context) error {
			<-c.Done()
			<-release
			_ = c.SetHeader("X-Late", "1")
			userKey.Set(c, "late")
			_, _ = c.WriteString("late")
			ended <- c.Flush()
			return errBroken
		}, timeout(time.Millisecond))
		app.GET("/fast", text("fast"), timeout(time.Hour))
		app.GET("/error", func(*pleat.Context) error { return pleat.NewError(409, "taken") }, timeout(time.Hour))
		app.GET("/panic", func(*pleat.Context) error { panic("boom") }, timeout(time.Hour))
		return app
	}, func(t *testing.T, s *site) {
		for target, want := range map[string]string{
			"/slow": "503 slow", "/fast": "200 fast", "/error": "409 409 Conflict\ntaken\n", "/panic": "500 500 Internal",
		} {
			a := s.get(target)
			if got := fmt.Sprint(a.StatusCode, " ", a.body); !strings.HasPrefix(got, want) || a.Header.Get("X-Late") != "" {
				t.Errorf("%s = %q, want %q", target, got, want)
			}
			if target == "/slow" {
				release <- struct{}{}
				if err := <-ended; err == nil {
					t.Error("what comes too late is taken")
				}
			}
		}
	})
	if !settles(func() bool { return strings.Count(log.String(), "after the middleware around it had answered") == 3 }) {
		t.Errorf("log = %v", log)
	}
}

func TestSignedCookiesBehindWrappedMiddleware(t *testing.T) {
	app := pleat.New(pleat.Config{CookieSecrets: [][]byte{secret("k")}})
	app.Use(pleat.WrapMiddleware(shouting))
	app.GET("/set", func(c *pleat.Context) error { return c.SetSecureCookie("name", "ann") })
	app.GET("/get", func(c *pleat.Context) error {
		var name string
		if err := c.SecureCookie("name", &name); err != nil {
			return err
		}
		return c.Text(200, name)
	})
	s := serve(t, app)
	if a := s.get("/get", "Cookie", cookieHeader(s.get("/set"))); a.body != "ANN" {
		t.Errorf("answer = %d %q", a.StatusCode, a.body)
	}
}

// The context of the request ends for what is behind a middleware, too.
func TestClientGoneBehindWrappedMiddleware(t *testing.T) {
	begun, cause := make(chan struct{}), make(chan error, 1)
	app := pleat.New(pleat.Config{})
	app.GET("/", func(c *pleat.Context) error {
		close(begun)
		<-c.Done()
		cause <- context.Cause(c)
		return c.Err()
	}, pleat.WrapMiddleware(zipping))
	conn := serve(t, app).dial()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	_ = conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
	if err := <-cause; err != server.ErrClientGone {
		t.Errorf("cause = %v", err)
	}
}
