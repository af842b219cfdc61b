// SPDX-License-Identifier: MIT

package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// longRunning is a server whose handlers run until their contexts end.
type longRunning struct {
	*server.HTTPServer
	begun  chan string
	causes chan error
	goOn   chan struct{} // those of /held return when it is closed
}

func newLongRunning(t *testing.T) *longRunning {
	l := &longRunning{begun: make(chan string, 10), causes: make(chan error, 10), goOn: make(chan struct{})}
	l.HTTPServer = &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		ctx := r.Context()
		var conn net.Conn
		hijack := func() {
			var err error
			conn, _, err = r.Hijack()
			must(t, err)
		}
		switch r.Path() {
		case "/":
			ok(r)
			return
		case "/stream":
			r.EndOnDrain()
			_, _ = r.WriteString("begun\n")
			_ = r.Flush()
		case "/twice":
			r.EndOnDrain()
			r.EndOnDrain()
		case "/hijacked", "/held":
			r.EndOnDrain()
			hijack()
		case "/late":
			hijack()
			r.EndOnDrain()
		case "/short":
			_ = ctx.Done()
			l.begun <- r.Path()
			select {
			case <-l.goOn:
				ok(r)
			case <-ctx.Done():
				t.Errorf("the context of a request that is answered ended: %v", context.Cause(ctx))
			}
			return
		}
		l.begun <- r.Path()
		<-ctx.Done()
		l.causes <- context.Cause(ctx)
		if r.Path() == "/held" {
			<-l.goOn
		}
		if conn != nil {
			_, _ = io.WriteString(conn, "bye\n")
			_ = conn.Close()
			return
		}
		_, _ = r.WriteString("bye\n")
	})}
	return l
}

func (l *longRunning) wantCauses(t *testing.T, n int) {
	t.Helper()
	for range n {
		if cause := <-l.causes; !errors.Is(cause, server.ErrServerDraining) {
			t.Errorf("cause %v", cause)
		}
	}
}

func TestEndOnDrain(t *testing.T) {
	l := newLongRunning(t)
	addr := start(t, l.HTTPServer)
	stream, twice, hijacked, held, late, short := dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr)
	for path, c := range map[string]*conversation{
		"/stream": stream, "/twice": twice, "/hijacked": hijacked, "/held": held, "/late": late, "/short": short,
	} {
		c.get(path)
		<-l.begun
	}
	done := drain(l.HTTPServer)
	l.wantCauses(t, 5)
	stream.wantAnswer(200, "begun\nbye\n")
	twice.wantAnswer(200, "bye\n")
	hijacked.wantLine("bye")
	late.wantLine("bye")
	wantDraining(t, done)
	close(l.goOn)
	short.wantAnswer(200, "ok")
	held.wantLine("bye")
	must(t, <-done)
}

// A handler that is alone with a connection it has taken over is waited for.
func TestShutdownWaitsForHijackedLongLivedRequests(t *testing.T) {
	l := newLongRunning(t)
	c := dial(t, start(t, l.HTTPServer))
	c.get("/held")
	<-l.begun
	done := drain(l.HTTPServer)
	l.wantCauses(t, 1)
	wantDraining(t, done)
	close(l.goOn)
	must(t, <-done)
	c.wantLine("bye")
}

func TestShutdownClosesHijackedLongLivedRequests(t *testing.T) {
	returned := make(chan struct{})
	entered := make(chan struct{})
	s := &server.HTTPServer{ShutdownGrace: -1, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		defer close(returned)
		r.EndOnDrain()
		conn, _, err := r.Hijack()
		must(t, err)
		close(entered)
		_, err = conn.Read(make([]byte, 1)) // never looks at its context
		if err == nil {
			t.Error("read something")
		}
	})}
	c := dial(t, start(t, s))
	c.get("/")
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown = %v", err)
	}
	<-returned
	c.wantEnd("closed")
}

// A request that becomes long-lived when the server drains already is told at
// once; one that is done is not entered.
func TestEndOnDrainTooLate(t *testing.T) {
	entered, drains := make(chan *server.HTTPRequest, 1), make(chan struct{})
	s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		entered <- r
		<-drains
		r.EndOnDrain()
		<-r.Context().Done()
		if cause := context.Cause(r.Context()); !errors.Is(cause, server.ErrServerDraining) {
			t.Errorf("cause %v", cause)
		}
		ok(r)
	})}
	addr := start(t, s)
	c, fresh := dial(t, addr), dial(t, addr)
	c.get("/")
	r := <-entered
	done := drain(s)
	fresh.wantEnd("the server drains")
	close(drains)
	c.wantAnswer(200, "ok")
	must(t, <-done)
	r.EndOnDrain()
	must(t, s.Shutdown(context.Background()))
}

// Requests come and go, and with them what is known of them.
func TestEndOnDrainAndPanic(t *testing.T) {
	s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		r.EndOnDrain()
		panic(http.ErrAbortHandler)
	})}
	c := dial(t, start(t, s))
	c.get("/")
	c.wantEnd("aborted")
	must(t, s.Shutdown(context.Background()))
}

func TestEndOnDrainBehindNetHTTP(t *testing.T) {
	q := httptest.NewRequest(http.MethodGet, "/", nil)
	r, finish := server.FromHTTP(httptest.NewRecorder(), q)
	r.EndOnDrain()
	if r.Context() != q.Context() {
		t.Error("another context")
	}
	finish(true)
	r.EndOnDrain()
}

// A connection that a long-lived request took over still takes up room, until its
// handler returns.
func TestEndOnDrainCountsAmongMaxConns(t *testing.T) {
	l := newLongRunning(t)
	l.MaxConns = 1
	addr := start(t, l.HTTPServer)
	first := dial(t, addr)
	first.get("/held")
	<-l.begun
	next := dial(t, addr)
	next.get("/")
	must(t, next.conn.SetReadDeadline(time.Now().Add(soon)))
	if n, err := next.conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("beside the only connection there may be, another got %d octets, %v", n, err)
	}
	must(t, next.conn.SetReadDeadline(time.Now().Add(patience)))
	ended := make(chan error, 1)
	go func() { ended <- l.Shutdown(t.Context()) }()
	<-l.causes
	close(l.goOn)
	must(t, <-ended)
}
