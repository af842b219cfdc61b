// SPDX-License-Identifier: MIT

package docs_test

import (
	"context"
	"errors"
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

// The code of server.md, run.

// talkTo sends something to an address and returns the answer.
func talkTo(t *testing.T, addr net.Addr, request string) string {
	t.Helper()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const lastRequest = "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

func TestServerAlone(t *testing.T) {
	srv := &server.HTTPServer{
		Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			if r.Path() != "/" {
				_ = r.SendString(http.StatusNotFound, "text/plain; charset=utf-8", "no such page\n")
				return
			}
			_ = r.SendString(http.StatusOK, "text/plain; charset=utf-8", "Hello, "+r.RemoteIP().String()+"\n")
		}),
		MaxRequest:  1 << 20,
		IdleTimeout: time.Minute,
	}
	l, err := server.Listen("127.0.0.1:0", "80")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- func() error {
			go func() {
				<-ctx.Done()
				wait, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				_ = srv.Shutdown(wait)
			}()
			err := srv.Serve(l)
			if errors.Is(err, server.ErrServerClosed) {
				return nil
			}
			return err
		}()
	}()
	if a := talkTo(t, l.Addr(), strings.Replace(lastRequest, "/a", "/", 1)); !strings.HasSuffix(a, "Hello, 127.0.0.1\n") {
		t.Errorf("answer %q", a)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	must := srv.Shutdown(t.Context()) // waits for the end
	if must != nil {
		t.Error(must)
	}
}

func TestServerListeners(t *testing.T) {
	folder, err := os.MkdirTemp("", "pleat") //nolint:usetesting // the path of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "app.sock")
	config := server.ListenConfig{
		Mode:      0o660,
		KeepAlive: time.Minute,
		Backlog:   4096,
	}
	ls, err := config.ListenAll("127.0.0.1:0", path)
	if err != nil {
		t.Fatal(err)
	}
	app := pleat.New(pleat.Config{Server: &server.HTTPServer{ListenConfig: config}})
	app.GET("/a", func(c *pleat.Context) error { return c.Text(200, "a") })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.RunListeners(ctx, ls...) }()
	for _, l := range ls {
		if a := talkTo(t, l.Addr(), lastRequest); !strings.HasSuffix(a, "\r\n\r\na") {
			t.Errorf("%v answers %q", l.Addr(), a)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServerPassedSockets(t *testing.T) {
	serve := func() error {
		passed, err := server.ListenersFromEnv()
		if err != nil {
			return err
		}
		for _, p := range passed {
			switch p.Name {
			case "web", "admin":
			default:
				return errors.New("a socket for " + p.Name + " was passed")
			}
		}
		return nil
	}
	if err := serve(); err != nil {
		t.Error(err)
	}
}

func TestServerProxyProtocol(t *testing.T) {
	proxies, err := server.ParsePrefixes("127.0.0.0/8", "10.1.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	config := server.ListenConfig{
		Proxy: &server.ProxyProtocol{Trusted: proxies},
	}
	l, err := config.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		_ = r.SendString(200, "text/plain", r.RemoteAddr()+" through "+r.Connection().ProxyAddr().Network())
	})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	a := talkTo(t, l.Addr(), "PROXY TCP4 192.0.2.7 192.0.2.1 4321 80\r\n"+lastRequest)
	if !strings.HasSuffix(a, "192.0.2.7:4321 through tcp") {
		t.Errorf("answer %q", a)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-served
}
