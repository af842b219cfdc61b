// SPDX-License-Identifier: MIT

package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

const text = "text/plain; charset=utf-8"

// start serves s on a port of its own until the test ends and returns the
// address.
func start(t testing.TB, s *server.HTTPServer) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	startOn(t, s, l)
	return l.Addr().String()
}

func startOn(t testing.TB, s *server.HTTPServer, l net.Listener) {
	t.Helper()
	if s.Engine == server.EngineAuto && engine != server.EngineAuto {
		s.Engine = engine
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve() = %v, want ErrServerClosed", err)
		}
	})
}

// startFunc serves one handler function with default settings.
func startFunc(t testing.TB, h func(*server.HTTPRequest)) string {
	t.Helper()
	return start(t, &server.HTTPServer{Handler: server.HandlerFunc(h)})
}

// conversation is a raw client.
type conversation struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// patience is when a conversation that hangs is given up.
const patience = 30 * time.Second

// moment is a time limit for servers: a test can wait until it is over, and a client
// that has something to do before that is in time on a busy machine, too.
const moment = time.Second

func dial(t testing.TB, addr string) *conversation {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return converse(t, conn)
}

func converse(t testing.TB, conn net.Conn) *conversation {
	t.Cleanup(func() { _ = conn.Close() })
	c := &conversation{t, conn, bufio.NewReader(conn)}
	c.goOn()
	return c
}

// goOn begins the wait for the peer anew: a conversation may be long.
func (c *conversation) goOn() { _ = c.conn.SetDeadline(time.Now().Add(patience)) }

func (c *conversation) send(format string, args ...any) {
	c.t.Helper()
	c.goOn()
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	if _, err := io.WriteString(c.conn, format); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

func (c *conversation) get(path string) {
	c.t.Helper()
	c.send("GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
}

func (c *conversation) closeWrite() {
	c.t.Helper()
	if err := c.conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// answer is a response read to its end.
type answer struct {
	*http.Response
	body string
}

// read reads the answer to a request with the given method.
func (c *conversation) read(method string) answer {
	c.t.Helper()
	c.goOn()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("reading the answer: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatalf("reading the body of the answer: %v", err)
	}
	return answer{res, string(body)}
}

func (c *conversation) wantStatus(status int) answer {
	c.t.Helper()
	a := c.read(http.MethodGet)
	if a.StatusCode != status {
		c.t.Fatalf("status = %d (%q), want %d", a.StatusCode, a.body, status)
	}
	return a
}

func (c *conversation) wantAnswer(status int, body string) answer {
	c.t.Helper()
	a := c.wantStatus(status)
	if a.body != body {
		c.t.Fatalf("body = %q, want %q", clip(a.body), clip(body))
	}
	return a
}

// wantLine reads one line as it came.
func (c *conversation) wantLine(want string) {
	c.t.Helper()
	c.goOn()
	got, err := c.r.ReadString('\n')
	if err != nil || strings.TrimRight(got, "\r\n") != want {
		c.t.Fatalf("line = %q, %v, want %q", got, err, want)
	}
}

// wantClosed checks that nothing more comes and the connection ends in order,
// and ends it from this side.
func (c *conversation) wantClosed(why string) {
	c.t.Helper()
	c.goOn()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		c.t.Fatalf("%s: after the answer came %q, %v, want the end of the connection", why, clip(string(rest)), err)
	}
	_ = c.conn.Close()
}

// wantReset checks that the connection breaks off.
func (c *conversation) wantReset(why string) {
	c.t.Helper()
	c.goOn()
	_, err := io.Copy(io.Discard, c.r)
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		c.t.Fatalf("%s: the connection ended with %v, want a reset", why, err)
	}
}

// wantOpen checks that the connection still serves requests.
func (c *conversation) wantOpen(path string) {
	c.t.Helper()
	c.get(path)
	c.wantStatus(http.StatusOK)
}

func clip(s string) string {
	if len(s) > 300 {
		return s[:300] + "…"
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
