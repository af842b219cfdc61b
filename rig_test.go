// SPDX-License-Identifier: MIT

package pleat_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// site is an app that is being served.
type site struct {
	t      testing.TB
	url    string
	addr   string // host and port
	own    bool   // by pleat's server
	http2  bool
	client *http.Client
}

// serve serves an app by pleat's own server for the rest of the test.
func serve(t testing.TB, app *pleat.App) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := app.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return &site{t: t, url: "http://" + l.Addr().String(), addr: l.Addr().String(), own: true, client: clientOf(transport)}
}

// serveHTTP serves a handler by net/http.
func serveHTTP(t testing.TB, h http.Handler, http2 bool) *site {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nullLog
	if http2 {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	transport := s.Client().Transport.(*http.Transport)
	transport.DisableCompression = true
	return &site{t: t, url: s.URL, addr: s.Listener.Addr().String(), http2: http2, client: clientOf(transport)}
}

func clientOf(transport *http.Transport) *http.Client {
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// everywhere runs a test on an app in all the ways it can be served.
func everywhere(t *testing.T, newApp func(t *testing.T) *pleat.App, test func(t *testing.T, s *site)) {
	t.Helper()
	t.Run("pleat", func(t *testing.T) { test(t, serve(t, newApp(t))) })
	t.Run("net-http", func(t *testing.T) { test(t, serveHTTP(t, newApp(t), false)) })
	t.Run("http2", func(t *testing.T) { test(t, serveHTTP(t, newApp(t), true)) })
}

// answer is what came back.
type answer struct {
	*http.Response
	body string
}

func (a *answer) json(t testing.TB) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return m
}

// do makes a request; fields are names and values in turn, "Body" being the body.
func (s *site) do(method, target string, fields ...string) *answer {
	s.t.Helper()
	a, err := s.try(method, target, fields...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

func (s *site) get(target string, fields ...string) *answer {
	s.t.Helper()
	return s.do("GET", target, fields...)
}

func (s *site) try(method, target string, fields ...string) (*answer, error) {
	s.t.Helper()
	var body io.Reader
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "Body" {
			body = strings.NewReader(fields[i+1])
		}
	}
	q, err := http.NewRequestWithContext(s.t.Context(), method, s.url+target, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		switch fields[i] {
		case "Body":
		case "Host":
			q.Host = fields[i+1]
		default:
			q.Header.Add(fields[i], fields[i+1])
		}
	}
	r, err := s.client.Do(q)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return &answer{r, string(b)}, err
}

// dial opens a connection that is closed with the test.
func (s *site) dial() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// raw sends octets over a connection of its own and reads one answer.
func (s *site) raw(request string) *answer {
	s.t.Helper()
	conn := s.dial()
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		s.t.Fatalf("%.60q: %v", request, err)
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return &answer{r, string(b)}
}

// logBook collects a log.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBook) logger() *zerolog.Logger {
	log := zerolog.New(l)
	return &log
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines are the lines of at least a level.
func (l *logBook) lines(t testing.TB, level string) (lines []map[string]any) {
	t.Helper()
	least, err := zerolog.ParseLevel(level)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(l.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if at, _ := zerolog.ParseLevel(m["level"].(string)); at >= least {
			lines = append(lines, m)
		}
	}
	return lines
}

func text(s string) pleat.Handler {
	return func(c *pleat.Context) error { return c.Text(200, s) }
}

// mark is a middleware that leaves a trace in the answer.
func mark(name string) pleat.Middleware {
	return func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			if err := c.AddHeader("X-Trace", name); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// shortDir is a folder for sockets, whose paths have to be short.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pleat") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// askOnce asks for "/" on a connection of its own.
func askOnce(t testing.TB, network, addr string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	r, body, err := readAnswer(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	return r, body
}

func readAnswer(br *bufio.Reader) (r *http.Response, body string, err error) {
	if r, err = http.ReadResponse(br, nil); err != nil {
		return nil, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r, string(b), err
}
