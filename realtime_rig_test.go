// SPDX-License-Identifier: MIT

package pleat_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// overHTTP1 runs a test on an app in all the ways it can be served over HTTP/1.1:
// both engines, TLS, net/http. The routes are registered anew for each.
func overHTTP1(t *testing.T, config func() pleat.Config, routes func(app *pleat.App), test func(t *testing.T, s *site)) {
	t.Helper()
	if config == nil {
		config = func() pleat.Config { return pleat.Config{} }
	}
	newApp := func(srv *server.HTTPServer) *pleat.App {
		c := config()
		c.Server = srv
		app := pleat.New(c)
		routes(app)
		return app
	}
	t.Run("auto", func(t *testing.T) { test(t, serve(t, newApp(nil))) })
	t.Run("goroutine", func(t *testing.T) {
		test(t, serve(t, newApp(&server.HTTPServer{Engine: server.EngineGoroutine})))
	})
	t.Run("tls", func(t *testing.T) { test(t, serveTLS(t, newApp)) })
	t.Run("net-http", func(t *testing.T) { test(t, serveHTTP(t, newApp(nil), false)) })
}

// serveTLS serves an app over TLS by pleat's own server.
func serveTLS(t *testing.T, newApp func(*server.HTTPServer) *pleat.App) *site {
	t.Helper()
	lender := httptest.NewUnstartedServer(nil)
	lender.StartTLS()
	config := &tls.Config{Certificates: lender.TLS.Certificates}
	trust := lender.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	lender.Close()
	s := serve(t, newApp(&server.HTTPServer{TLSConfig: config}))
	s.url = "https" + strings.TrimPrefix(s.url, "http")
	s.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: trust, ServerName: "example.com"}
	return s
}

// socket opens a connection that speaks the site's protocol below HTTP.
func (s *site) socket() net.Conn {
	s.t.Helper()
	conn := s.dial()
	if c := s.client.Transport.(*http.Transport).TLSClientConfig; c != nil && strings.HasPrefix(s.url, "https") {
		conn = tls.Client(conn, c)
	}
	return conn
}

// websocket opens a WebSocket.
func (s *site) websocket(target string, fields ...string) *websocket.Conn {
	s.t.Helper()
	conn, _, err := s.tryWebSocket(target, fields...)
	if err != nil {
		s.t.Fatalf("%s: %v", target, err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func (s *site) tryWebSocket(target string, fields ...string) (*websocket.Conn, *http.Response, error) {
	header := http.Header{}
	for i := 0; i < len(fields); i += 2 {
		header.Add(fields[i], fields[i+1])
	}
	protocols := header.Values("Sec-WebSocket-Protocol")
	header.Del("Sec-WebSocket-Protocol")
	return websocket.Dial(s.t.Context(), s.url+target, &websocket.DialOptions{
		HTTPClient: s.client, HTTPHeader: header, Subprotocols: protocols,
	})
}

const upgradeFields = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// upgraded opens a WebSocket by hand: what is behind the 101 is the reader's.
func (s *site) upgraded(target string) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	conn := s.socket()
	if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: "+s.addr+"\r\n"+upgradeFields+"\r\n"); err != nil {
		s.t.Fatal(err)
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != 101 {
		s.t.Fatalf("%s: %s", target, resp.Status)
	}
	return conn, br
}

// await waits for a value; tests give up rather than hang.
func await[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(30 * time.Second):
		t.Errorf("no %s", what)
	}
	return v
}

// leftovers counts what a test may not leave behind.
func leftovers() (goroutines, descriptors int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		entries = nil
	}
	return runtime.NumGoroutine(), len(entries)
}

// shutdown ends an app that serve serves; serve does it again, to no effect.
func shutdown(t testing.TB, app *pleat.App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := app.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// closeCode is the code of the close frame that ended reads, -1 without one.
func closeCode(err error) websocket.StatusCode {
	var closing websocket.CloseError
	if errors.As(err, &closing) {
		return closing.Code
	}
	return -1
}

// memoryListener accepts what was dialled, in memory: such connections may be used
// where time is that of testing/synctest.
type memoryListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Net: "memory", Name: "h"} }

func (l *memoryListener) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// serveInMemory serves an app of a server on connections in memory, by that server,
// over TLS with "tls", or by net/http with "net-http".
func serveInMemory(t *testing.T, app *pleat.App, srv *server.HTTPServer, how string) *site {
	t.Helper()
	l := &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	transport := &http.Transport{DialContext: l.dial}
	s := &site{t: t, url: "http://h", addr: "h", own: how != "net-http", client: clientOf(transport)}
	served, end := make(chan error, 1), app.Shutdown
	if how == "tls" {
		lender := httptest.NewUnstartedServer(nil)
		lender.StartTLS()
		srv.TLSConfig = &tls.Config{Certificates: lender.TLS.Certificates}
		lender.Close()
		s.url = "https://h"
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // whose it is does not matter here
	}
	if s.own {
		go func() { served <- app.Serve(l) }()
	} else {
		std := &http.Server{Handler: app, ErrorLog: nullLog} //nolint:gosec // no timeouts wanted
		end = std.Shutdown
		go func() { served <- std.Serve(l) }()
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := end(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		<-served
		time.Sleep(time.Minute) // of the bubble's clock, for what is still on its way out
	})
	return s
}
