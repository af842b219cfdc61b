// SPDX-License-Identifier: MIT

package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
	"github.com/rs/zerolog"
)

// drain begins a Shutdown with all the patience there is; its result follows.
func drain(s *server.HTTPServer) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	return done
}

// wantDraining wants a Shutdown that has not returned, as handlers run.
func wantDraining(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		t.Fatalf("Shutdown = %v while handlers run", err)
	default:
	}
}

func TestShutdown(t *testing.T) {
	entered := make(chan *server.HTTPRequest)
	leave := make(chan struct{})
	s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		switch r.Path() {
		case "/":
			ok(r)
		case "/run":
			entered <- r
			<-leave
			ok(r)
		case "/stream":
			_, _ = r.WriteString("one ")
			_ = r.Flush()
			entered <- r
			<-leave
			_, _ = r.WriteString("two")
		case "/body":
			entered <- r
			echo(r)
		}
	})}
	addr := start(t, s)

	idle, midHead, running, streaming, sending, pipelined := dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr)
	fresh := dial(t, addr)
	idle.wantOpen("/")
	midHead.wantOpen("/")
	midHead.send("GET / HTTP/1.1\r\nHo")
	running.get("/run")
	<-entered
	streaming.get("/stream")
	<-entered
	sending.send("POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
	<-entered
	pipelined.send("GET /run HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-entered

	done := drain(s)
	idle.wantClosed("idle")
	fresh.wantClosed("no request")
	if conn, err := net.Dial("tcp", addr); err == nil {
		_ = conn.Close()
		t.Error("still listening")
	}

	midHead.send("st: h\r\n\r\n")
	if a := midHead.wantAnswer(200, "ok"); !a.Close {
		t.Error("an answer while draining does not say close")
	}
	midHead.wantClosed("draining")

	sending.send("cd")
	if a := sending.wantAnswer(200, "abcd"); !a.Close {
		t.Error("an answer while draining does not say close")
	}
	sending.wantClosed("draining")

	wantDraining(t, done)
	close(leave)
	running.wantAnswer(200, "ok")
	running.wantClosed("draining")
	streaming.wantAnswer(200, "one two")
	streaming.wantClosed("draining")
	pipelined.wantAnswer(200, "ok")
	pipelined.wantClosed("draining: the second request was not accepted")
	if err := <-done; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("second Shutdown = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close after Shutdown = %v", err)
	}
}

func TestClose(t *testing.T) {
	entered := make(chan struct{})
	causes := make(chan error, 1)
	s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		if r.Path() == "/" {
			ok(r)
			return
		}
		_ = r.Context().Done()
		close(entered)
		<-r.Context().Done()
		causes <- context.Cause(r.Context())
	})}
	addr := start(t, s)
	idle, running, midHead := dial(t, addr), dial(t, addr), dial(t, addr)
	idle.wantOpen("/")
	midHead.wantOpen("/")
	midHead.send("GET")
	running.get("/run")
	<-entered
	must(t, s.Close())
	idle.wantEnd("closed")
	midHead.wantEnd("closed")
	running.wantEnd("closed")
	if cause := <-causes; !errors.Is(cause, server.ErrServerDraining) {
		t.Errorf("cause %v", cause)
	}
	must(t, s.Close())
}

func TestServeAfterShutdown(t *testing.T) {
	for name, end := range map[string]func(*server.HTTPServer) error{
		"Shutdown": func(s *server.HTTPServer) error { return s.Shutdown(context.Background()) },
		"Close":    (*server.HTTPServer).Close,
	} {
		s := &server.HTTPServer{Handler: server.HandlerFunc(ok)}
		must(t, end(s)) // before anything was served
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(l); !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve after %s = %v", name, err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve after %s left the listener open", name)
		}
		if err := s.ListenAndServe("127.0.0.1:0"); !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("ListenAndServe after %s = %v", name, err)
		}
	}
}

func TestShutdownOfSeveralListeners(t *testing.T) {
	s := &server.HTTPServer{Handler: server.HandlerFunc(ok)}
	var conversations []*conversation
	for range 3 {
		conversations = append(conversations, dial(t, start(t, s)))
	}
	for _, c := range conversations {
		c.wantOpen("/")
	}
	var ends sync.WaitGroup
	for range 3 {
		ends.Go(func() { must(t, s.Shutdown(context.Background())) })
	}
	ends.Wait()
	for _, c := range conversations {
		c.wantClosed("draining")
	}
}

// Whatever clients do while a server ends, each gets whole answers or none, and
// nothing is left over.
func TestShutdownUnderLoad(t *testing.T) {
	for _, end := range []func(*server.HTTPServer){
		func(s *server.HTTPServer) { must(t, s.Shutdown(context.Background())) },
		func(s *server.HTTPServer) { must(t, s.Close()) },
	} {
		body := strings.Repeat("x", 20_000)
		served := make(chan struct{}, 1000)
		s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			_ = r.Context().Done()
			select {
			case served <- struct{}{}:
			default:
			}
			_ = r.SendString(200, text, body)
		})}
		addr := start(t, s)
		var clients sync.WaitGroup
		for range 10 {
			clients.Go(func() {
				client := &http.Client{Transport: &http.Transport{}}
				defer client.CloseIdleConnections()
				for {
					res, err := client.Get("http://" + addr)
					if err != nil {
						return
					}
					b, err := io.ReadAll(res.Body)
					_ = res.Body.Close()
					if err == nil && string(b) != body {
						t.Errorf("%d octets of answer", len(b))
						return
					}
					if err != nil {
						return
					}
				}
			})
		}
		for range 50 {
			<-served
		}
		end(s)
		clients.Wait()
	}
}

func TestHijackedConnectionsAreNotWaitedFor(t *testing.T) {
	conns := make(chan net.Conn, 1)
	s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		conn, _, err := r.Hijack()
		must(t, err)
		conns <- conn
	})}
	c := dial(t, start(t, s))
	c.get("/")
	conn := <-conns
	must(t, s.Shutdown(context.Background()))
	_, err := io.WriteString(conn, "still here\n")
	must(t, err)
	c.wantLine("still here")
	must(t, conn.Close())
}

// scriptedListener fails and accepts as it is told.
type scriptedListener struct {
	results chan any // error or net.Conn
	closed  chan struct{}
	once    sync.Once
	_       []int // not comparable, where it is used by value
}

func (l *scriptedListener) Accept() (net.Conn, error) {
	select {
	case r := <-l.results:
		if conn, ok := r.(net.Conn); ok {
			return conn, nil
		}
		return nil, r.(error)
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *scriptedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}
func (l *scriptedListener) Addr() net.Addr { return &net.TCPAddr{} }

type passingError struct{}

func (passingError) Error() string   { return "too many open files" }
func (passingError) Timeout() bool   { return false }
func (passingError) Temporary() bool { return true }

// byValue is a listener that cannot be a map key.
type byValue struct {
	*scriptedListener
	_ []int
}

func TestAcceptErrors(t *testing.T) {
	var out lockedBuffer
	log := zerolog.New(&out)
	l := &scriptedListener{results: make(chan any), closed: make(chan struct{})}
	s := &server.HTTPServer{Handler: server.HandlerFunc(ok), ErrorLog: &log}
	served := make(chan error, 1)
	go func() { served <- s.Serve(byValue{scriptedListener: l}) }()
	for range 3 {
		l.results <- passingError{}
	}
	here, there := net.Pipe()
	l.results <- there
	c := converse(t, here)
	c.wantOpen("/")
	if n := strings.Count(out.String(), "too many open files"); n < 1 || n > 2 {
		t.Errorf("%d lines logged for three errors in a moment", n)
	}
	final := errors.New("broken for good")
	l.results <- final
	if err := <-served; !errors.Is(err, final) {
		t.Errorf("Serve = %v", err)
	}
	c.wantOpen("/") // connections outlive their listener
	must(t, s.Close())
	c.wantEnd("closed")
}

func TestShutdownWhileBackingOff(t *testing.T) {
	l := &scriptedListener{results: make(chan any), closed: make(chan struct{})}
	s := &server.HTTPServer{Handler: server.HandlerFunc(ok)}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	l.results <- passingError{}
	must(t, s.Shutdown(context.Background()))
	if err := <-served; !errors.Is(err, server.ErrServerClosed) {
		t.Errorf("Serve = %v", err)
	}
}

func TestServerSetUpWrong(t *testing.T) {
	short := [][]byte{[]byte("short")}
	tests := map[string]*server.HTTPServer{
		"no Handler":        {},
		"short secret":      {Handler: server.HandlerFunc(ok), CookieSecrets: short},
		"bad trust policy":  {Handler: server.HandlerFunc(ok), XHeaders: &server.TrustPolicy{Hops: -1}},
		"bad Sendfile":      {Handler: server.HandlerFunc(ok), Sendfile: server.Sendfile{Header: "a b"}},
		"framing Sendfile":  {Handler: server.HandlerFunc(ok), Sendfile: server.Sendfile{Header: "Content-Length"}},
		"bad Sendfile path": {Handler: server.HandlerFunc(ok), Sendfile: server.Sendfile{Header: "X-Sendfile", Prefix: "a\nb"}},
	}
	for name, s := range tests {
		for range 2 {
			if err := s.ListenAndServe("127.0.0.1:0"); err == nil {
				t.Errorf("%s: ListenAndServe succeeded", name)
			}
		}
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("%s: Shutdown = %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: Close = %v", name, err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Serve(l); err == nil {
			t.Errorf("%s: Serve succeeded", name)
		}
		if err := l.(*net.TCPListener).SetDeadline(time.Now()); err == nil {
			t.Errorf("%s: Serve left the listener open", name)
		}
	}
}

// Who has come as far as the backlog of a listener has been accepted, for all the
// client knows.
func TestShutdownAnswersTheBacklog(t *testing.T) {
	late, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accept := make(chan struct{})
	s := &server.HTTPServer{Handler: server.HandlerFunc(ok), BaseContext: func(l net.Listener) context.Context {
		if l == late {
			<-accept
		}
		return context.Background()
	}}
	dial(t, start(t, s)).wantOpen("/")
	startOn(t, s, late)
	var waiting []*conversation
	for range 20 {
		c := dial(t, late.Addr().String())
		c.get("/")
		waiting = append(waiting, c)
	}
	done := drain(s)
	for { // until it drains
		probe := &scriptedListener{results: make(chan any, 1), closed: make(chan struct{})}
		probe.results <- errors.New("not yet")
		if errors.Is(s.Serve(probe), server.ErrServerClosed) {
			break
		}
	}
	close(accept)
	for _, c := range waiting {
		if a := c.wantAnswer(200, "ok"); !a.Close {
			t.Error("it does not say close")
		}
		c.wantClosed("draining")
	}
	must(t, <-done)
	if conn, err := net.Dial("tcp", late.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("still listening")
	}
}
