// SPDX-License-Identifier: MIT

package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
	"github.com/rs/zerolog"
)

// over is a context that has ended.
func over() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// stubborn is a server whose handlers do not look at their contexts.
type stubborn struct {
	*server.HTTPServer
	addr   string
	log    lockedBuffer
	begun  chan struct{}
	goOn   chan struct{}
	ending chan error // what the contexts of requests say when they go on
}

func newStubborn(t *testing.T, grace time.Duration) *stubborn {
	s := &stubborn{begun: make(chan struct{}, 200), goOn: make(chan struct{}), ending: make(chan error, 200)}
	log := zerolog.New(&s.log)
	s.HTTPServer = &server.HTTPServer{ErrorLog: &log, ShutdownGrace: grace, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		s.begun <- struct{}{}
		<-s.goOn
		s.ending <- context.Cause(r.Context())
		ok(r)
	})}
	s.addr = start(t, s.HTTPServer)
	return s
}

func (s *stubborn) ask(t *testing.T, request string) *conversation {
	t.Helper()
	c := dial(t, s.addr)
	c.send(request)
	<-s.begun
	return c
}

// What is over is only the patience: who looks at the context still answers.
func TestShutdownGrace(t *testing.T) {
	entered := make(chan struct{})
	s := &server.HTTPServer{ShutdownGrace: patience, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		_ = r.Context().Done()
		close(entered)
		<-r.Context().Done()
		if cause := context.Cause(r.Context()); !errors.Is(cause, server.ErrServerDraining) {
			t.Errorf("cause %v", cause)
		}
		_ = r.SendString(503, text, "some other time")
	})}
	c := dial(t, start(t, s))
	c.get("/")
	<-entered
	must(t, s.Shutdown(over()))
	if a := c.wantAnswer(503, "some other time"); !a.Close {
		t.Error("it does not say close")
	}
	c.wantClosed("draining")
}

func TestShutdownSaysWhoWasCut(t *testing.T) {
	s := newStubborn(t, time.Millisecond)
	c := s.ask(t, "POST /some/path?secret=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n")
	long := s.ask(t, "GET /"+strings.Repeat("long", 100)+" HTTP/1.1\r\nHost: h\r\n\r\n")
	idle := dial(t, s.addr)

	err := s.Shutdown(over())
	var cut *server.CutError
	if !errors.As(err, &cut) || !errors.Is(err, context.Canceled) {
		t.Fatalf("Shutdown = %v", err)
	}
	if cut.Connections != 2 || len(cut.Requests) != 2 || cut.More != 0 {
		t.Fatalf("cut %+v", cut)
	}
	first := cut.Requests[0]
	if first.Ran <= 0 || first.Ran < cut.Requests[1].Ran {
		t.Errorf("ran %v, then %v", first.Ran, cut.Requests[1].Ran)
	}
	first.Ran = 0
	if want := (server.CutRequest{Method: "POST", Path: "/some/path", Peer: c.conn.LocalAddr().String()}); first != want {
		t.Errorf("cut %+v, want %+v", first, want)
	}
	if p := cut.Requests[1].Path; len(p) > 300 {
		t.Errorf("a path of %d octets", len(p))
	}
	for _, text := range []string{err.Error(), s.log.String()} {
		for _, want := range []string{"cut", "POST", "/some/path", c.conn.LocalAddr().String(), "context canceled"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
		if strings.Contains(text, "secret") {
			t.Errorf("a query in %s", text)
		}
	}
	c.wantEnd("cut")
	long.wantEnd("cut")
	idle.wantEnd("closed")
	close(s.goOn)
	for range 2 {
		if cause := <-s.ending; !errors.Is(cause, server.ErrServerDraining) {
			t.Errorf("cause %v", cause)
		}
	}
	must(t, s.Shutdown(context.Background())) // waits for the handlers
}

// Connections on which nothing is asked are closed, but that is no loss; a request
// that was only begun is one.
func TestShutdownDoesNotReportIdleConnections(t *testing.T) {
	idle := make(chan struct{}, 1)
	s := &server.HTTPServer{ShutdownGrace: -1, Handler: server.HandlerFunc(ok), ConnState: func(_ *server.HTTPConnection, state http.ConnState) {
		if state == http.StateIdle {
			idle <- struct{}{}
		}
	}}
	addr := start(t, s)
	c, fresh := dial(t, addr), dial(t, addr)
	c.wantOpen("/")
	<-idle // its client has the answer a little earlier
	must(t, s.Shutdown(over()))
	c.wantEnd("closed")
	fresh.wantEnd("closed")

	s = &server.HTTPServer{ShutdownGrace: -1, Handler: server.HandlerFunc(ok)}
	c = dial(t, start(t, s))
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / ")
	c.wantAnswer(200, "ok")
	err := s.Shutdown(over())
	var cut *server.CutError
	if !errors.As(err, &cut) || cut.Connections != 1 || len(cut.Requests) != 0 ||
		err.Error() != "server: shutdown cut a connection: context canceled" {
		t.Errorf("Shutdown = %v", err)
	}
	c.wantEnd("cut")
}

// A connection that was answered for the last time stays a while for its peer to
// read that. No more is lost when it is closed before.
func TestShutdownDoesNotReportAnsweredConnections(t *testing.T) {
	s := &server.HTTPServer{ShutdownGrace: -1, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		must(t, r.SetHeader("Connection", "close"))
		ok(r)
	})}
	c := dial(t, start(t, s))
	c.get("/")
	c.wantAnswer(200, "ok")
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 { // it lingers from here on
		t.Fatalf("then came %q, %v", rest, err)
	}
	must(t, s.Shutdown(over()))
}

func TestShutdownReportIsBounded(t *testing.T) {
	s := newStubborn(t, -1)
	const n = 105
	for i := range n {
		s.ask(t, fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i))
	}
	err := s.Shutdown(over())
	var cut *server.CutError
	if !errors.As(err, &cut) || cut.Connections != n || len(cut.Requests) != 100 || cut.More != n-100 {
		t.Fatalf("Shutdown = %v", err)
	}
	for i, r := range cut.Requests {
		if r.Path != fmt.Sprintf("/%d", i) {
			t.Errorf("%d is %s: not by age", i, r.Path)
			break
		}
	}
	if text := err.Error(); len(text) > 300 || !strings.Contains(text, " and 102 more requests: ") {
		t.Errorf("it says %s", text)
	}
	close(s.goOn)
	must(t, s.Shutdown(context.Background()))
}

// Of several the one that is out of patience first counts, and only that one has
// something to report.
func TestShutdownByTwo(t *testing.T) {
	s := newStubborn(t, -1)
	c := s.ask(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	patient := drain(s.HTTPServer)
	err := s.Shutdown(over())
	var cut *server.CutError
	if !errors.As(err, &cut) {
		t.Errorf("Shutdown = %v", err)
	}
	c.wantEnd("cut")
	wantDraining(t, patient)
	close(s.goOn)
	must(t, <-patient)
}

func TestShutdownAfterClose(t *testing.T) {
	s := newStubborn(t, -1)
	c := s.ask(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	must(t, s.Close())
	c.wantEnd("closed")
	done := drain(s.HTTPServer)
	wantDraining(t, done)
	close(s.goOn)
	must(t, <-done)
}
