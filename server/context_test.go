// SPDX-License-Identifier: MIT

package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

type (
	contextKey struct{}
	otherKey   struct{}
)

func TestContextClientGone(t *testing.T) {
	tests := []struct {
		name    string
		request string
		before  func(r *server.HTTPRequest)
		leave   func(c *conversation)
	}{
		{"close", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", nil, func(c *conversation) { _ = c.conn.Close() }},
		{"reset", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", nil, func(c *conversation) {
			_ = c.conn.(*net.TCPConn).SetLinger(0)
			_ = c.conn.Close()
		}},
		{"half-close", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", nil, func(c *conversation) { c.closeWrite() }},
		{"after a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", func(r *server.HTTPRequest) { _, _ = r.Body() }, func(c *conversation) { _ = c.conn.Close() }},
		{"after chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", func(r *server.HTTPRequest) { _, _ = r.Body() }, func(c *conversation) { _ = c.conn.Close() }},
		{"in a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab", func(r *server.HTTPRequest) {
			go func() { _, _ = r.Body() }()
		}, func(c *conversation) { _ = c.conn.Close() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			running := make(chan struct{})
			causes := make(chan [3]error, 1)
			c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
				if tt.name != "in a body" {
					_ = r.Context().Done() // asked before the body was read
				}
				if tt.before != nil {
					tt.before(r)
				}
				derived, cancel := context.WithTimeout(context.WithValue(r.Context(), contextKey{}, 1), time.Hour)
				defer cancel()
				close(running)
				<-derived.Done()
				causes <- [3]error{context.Cause(r.Context()), context.Cause(derived), r.Context().Err()}
			}))
			c.send("%s", tt.request)
			<-running
			tt.leave(c)
			got := <-causes
			if !errors.Is(got[0], server.ErrClientGone) || !errors.Is(got[1], server.ErrClientGone) || !errors.Is(got[2], context.Canceled) {
				t.Errorf("causes %v, want ErrClientGone, ErrClientGone, context.Canceled", got)
			}
		})
	}
}

func TestContextHalfClosedClientGetsAnswer(t *testing.T) {
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		<-r.Context().Done()
		ok(r)
	}))
	c.get("/")
	c.closeWrite()
	c.wantAnswer(200, "ok")
	c.wantClosed("the client was done")
}

func TestContextEndsWithRequest(t *testing.T) {
	kept := make(chan context.Context, 2)
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		ctx := r.Context()
		if r.Path() == "/asked" && ctx.Err() != nil {
			t.Errorf("ended early: %v", context.Cause(ctx))
		}
		kept <- ctx
	}))
	for _, path := range []string{"/asked", "/not-asked"} {
		c.get(path)
		c.wantStatus(200)
		ctx := <-kept
		<-ctx.Done()
		if cause := context.Cause(ctx); cause != server.ErrRequestDone || ctx.Err() != context.Canceled {
			t.Errorf("%s: cause %v, err %v", path, cause, ctx.Err())
		}
		derived, cancel := context.WithCancel(ctx)
		<-derived.Done()
		cancel()
	}
}

func TestContextValues(t *testing.T) {
	base := context.WithValue(context.Background(), contextKey{}, "base")
	base, cancel := context.WithDeadline(base, time.Now().Add(time.Hour))
	defer cancel()
	want, _ := base.Deadline()
	c := dial(t, start(t, &server.HTTPServer{
		BaseContext: func(net.Listener) context.Context { return base },
		Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			ctx := r.Context()
			if ctx.Value(contextKey{}) != "base" || context.WithValue(ctx, otherKey{}, 2).Value(contextKey{}) != "base" {
				t.Error("values of BaseContext are not there")
			}
			if ctx.Value(http.LocalAddrContextKey) != r.LocalAddr() {
				t.Error("no local address")
			}
			if _, ok := ctx.Value(http.ServerContextKey).(*http.Server); !ok {
				t.Error("no server, which httputil.ReverseProxy asks for")
			}
			if d, ok := ctx.Deadline(); !ok || !d.Equal(want) {
				t.Errorf("Deadline() = %v, %v", d, ok)
			}
		}),
	}))
	c.get("/")
	c.wantStatus(200)
}

func TestBaseContextEnds(t *testing.T) {
	base, cancel := context.WithCancelCause(context.Background())
	reason := errors.New("enough")
	running := make(chan struct{})
	got := make(chan error, 1)
	c := dial(t, start(t, &server.HTTPServer{
		BaseContext: func(net.Listener) context.Context { return base },
		Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			close(running)
			<-r.Context().Done()
			got <- context.Cause(r.Context())
		}),
	}))
	c.get("/")
	<-running
	cancel(reason)
	if err := <-got; !errors.Is(err, reason) {
		t.Errorf("cause %v", err)
	}
}

func TestBaseContextNil(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server.HTTPServer{Handler: server.HandlerFunc(ok), BaseContext: func(net.Listener) context.Context { return nil }}
	if err := s.Serve(l); err == nil {
		t.Error("Serve with a nil BaseContext succeeded")
	}
}

// A request whose context nobody waits for costs no goroutine; one that is
// waited for costs one, however many contexts descend from it.
func TestContextGoroutines(t *testing.T) {
	counts := make(chan int)
	resume := make(chan struct{})
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		ctx := r.Context()
		_ = ctx.Value(contextKey{})
		_, _ = ctx.Deadline()
		report := func() {
			counts <- runtime.NumGoroutine()
			<-resume
		}
		report()
		_ = ctx.Done()
		report()
		for range 10 {
			derived, cancel := context.WithTimeout(context.WithValue(ctx, contextKey{}, 1), time.Hour)
			defer cancel()
			_ = derived.Done()
		}
		report()
	}))
	watchers := 0 // event loops see the peer leave without anybody waiting for it
	if engine == server.EngineGoroutine {
		watchers = 1
	}
	var got [3]int
	for range 100 { // others, of earlier tests, may be ending meanwhile
		c.get("/")
		for i := range got {
			got[i] = <-counts
			resume <- struct{}{}
		}
		c.wantStatus(200)
		if got[1] == got[0]+watchers && got[2] == got[1] {
			return
		}
	}
	t.Errorf("goroutines: %d before, %d with Done asked for, %d with contexts derived", got[0], got[1], got[2])
}

// What arrives while the peer is being watched is the next request.
func TestContextWatchLosesNothing(t *testing.T) {
	sent := make(chan struct{})
	served := 0
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		_ = r.Context().Done()
		if served%2 == 0 {
			<-sent // the rest of the batch, or of a head, is there or on its way
		}
		served++
		body, err := r.Body()
		must(t, err)
		_ = r.SendString(200, text, r.Path()+string(body))
	}))
	const n = 100
	for i := range n {
		c.get(fmt.Sprintf("/%d", i))
		c.send("POST /x%d HTTP/1.1\r\nHost: h\r\nContent-Le", i)
		sent <- struct{}{}
		c.wantAnswer(200, fmt.Sprintf("/%d", i))
		c.send("ngth: 3\r\n\r\nabc")
		c.wantAnswer(200, fmt.Sprintf("/x%dabc", i))
	}
}

func TestContextWatchAndHijack(t *testing.T) {
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		ctx := r.Context()
		_ = ctx.Done()
		conn, rw, err := r.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		line, err := rw.ReadString('\n')
		must(t, err)
		_, _ = rw.WriteString("got " + line)
		must(t, rw.Flush())
		if ctx.Err() != nil {
			t.Errorf("the context ended with the hijack: %v", context.Cause(ctx))
		}
	}))
	c.get("/")
	c.send("hello\n")
	c.wantLine("got hello")
	c.wantClosed("the handler closed")
}
