// SPDX-License-Identifier: MIT

package pleat_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

func TestRunListeners(t *testing.T) {
	ls, err := (&server.ListenConfig{}).ListenAll("127.0.0.1:0", "127.0.0.1:0", filepath.Join(shortDir(t), "a"))
	if err != nil {
		t.Fatal(err)
	}
	app := pleat.New(pleat.Config{})
	app.GET("/", text("here"))
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.RunListeners(ctx, ls...) }()
	for _, l := range ls {
		transport := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial(l.Addr().Network(), l.Addr().String())
		}}
		a, err := clientOf(transport).Get("http://h/") //nolint:noctx // ends with the connection
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(a.Body); string(b) != "here" || err != nil {
			t.Errorf("%v answers %q, %v", l.Addr(), b, err)
		}
		_ = a.Body.Close()
	}
	end()
	if err := <-ended; err != nil {
		t.Errorf("RunListeners = %v", err)
	}
	for _, l := range ls {
		if conn, err := net.Dial(l.Addr().Network(), l.Addr().String()); err == nil {
			_ = conn.Close()
			t.Errorf("%v is still open", l.Addr())
		}
	}
}

func TestRunListenersOfWhichOneFails(t *testing.T) {
	ls, err := (&server.ListenConfig{}).ListenAll("127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	failing := &failingListener{Listener: ls[0], fail: make(chan error, 1)}
	app := pleat.New(pleat.Config{ShutdownTimeout: time.Minute})
	ended := make(chan error, 1)
	go func() { ended <- app.RunListeners(t.Context(), failing, ls[1]) }()
	failing.fail <- broken
	if err := <-ended; !errors.Is(err, broken) || errors.Is(err, net.ErrClosed) {
		t.Errorf("RunListeners = %v", err)
	}
	for _, l := range ls {
		if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
			_ = conn.Close()
			t.Errorf("%v is still open", l.Addr())
		}
	}
	if err := app.RunListeners(t.Context()); err == nil {
		t.Error("RunListeners of nothing runs")
	}
}

// failingListener accepts nothing and fails when it is told to.
type failingListener struct {
	net.Listener
	fail chan error
}

func (l *failingListener) Accept() (net.Conn, error) { return nil, <-l.fail }

func TestRunOnSeveralAddressesOfWhichOneIsNone(t *testing.T) {
	app := pleat.New(pleat.Config{Server: &server.HTTPServer{ListenConfig: server.ListenConfig{Network: "tcp4"}}})
	if err := app.Run("127.0.0.1:0", "[::1]:0"); err == nil {
		t.Error("an IPv6 address is none of tcp4")
	}
	if err := app.Run("127.0.0.1:0", "systemd:"); !errors.Is(err, server.ErrNoSockets) {
		t.Errorf("Run(systemd:) = %v", err)
	}
}
