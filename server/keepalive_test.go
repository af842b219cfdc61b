// SPDX-License-Identifier: MIT

package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pleat-go/pleat/server"
)

func ok(r *server.HTTPRequest) { _ = r.SendString(200, text, "ok") }

func TestKeepAlive(t *testing.T) {
	tests := []struct {
		name    string
		server  server.HTTPServer
		request string
		want    string // Connection of the answer
		open    bool
	}{
		{"1.1", server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "", true},
		{"1.1 close", server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "close", false},
		{"1.1 close in a list", server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n", "close", false},
		{"1.1 keep-alive", server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", "", true},
		{"1.0", server.HTTPServer{}, "GET / HTTP/1.0\r\n\r\n", "close", false},
		{"1.0 keep-alive", server.HTTPServer{}, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "keep-alive", true},
		{"1.0 keep-alive and close", server.HTTPServer{}, "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "close", false},
		{"switched off", server.HTTPServer{DisableKeepAlive: true}, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "close", false},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			tt.server.Handler = server.HandlerFunc(ok)
			c := dial(t, start(t, &tt.server))
			c.send("%s", tt.request)
			a := c.wantAnswer(200, "ok")
			if got := a.Header.Get("Connection"); got != tt.want {
				if !a.Close || tt.want != "close" { // net/http takes "close" out
					t.Errorf("Connection: %q, want %q", got, tt.want)
				}
			}
			if tt.open {
				c.wantOpen("/again")
			} else {
				c.wantClosed("not kept alive")
			}
		})
	}
}

func TestHandlerClosesConnection(t *testing.T) {
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		must(t, r.SetHeader("Connection", "close"))
		ok(r)
	}))
	c.get("/")
	if a := c.wantAnswer(200, "ok"); !a.Close {
		t.Error("no Connection: close")
	}
	c.wantClosed("the handler said so")
}

// A client that was not going to end the connection may be sending when the server
// ends it. A reset would make it lose what it has not read yet.
func TestServerEndsConnectionGently(t *testing.T) {
	for _, tt := range []struct{ name, request string }{
		{"HTTP/1.1", "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"HTTP/1.0", "GET /%d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
				must(t, r.SetHeader("Connection", "close"))
				_ = r.SendString(200, text, r.Path())
			}))
			c.send(tt.request, 0)
			if _, err := c.r.Peek(1); err != nil {
				t.Fatal(err)
			}
			for i := range 100 { // the first would have met a closed socket, the others a reset
				c.send(tt.request, i+1)
			}
			c.wantAnswer(200, "/0")
			c.wantClosed("nothing that came later is served")
		})
	}
}

func TestPipelining(t *testing.T) {
	var served atomic.Int32
	addr := startFunc(t, func(r *server.HTTPRequest) {
		served.Add(1)
		body, err := r.Body()
		must(t, err)
		_ = r.SendString(200, text, r.Path()+":"+string(body))
	})

	t.Run("answers in order", func(t *testing.T) {
		c := dial(t, addr)
		var b strings.Builder
		const n = 100
		for i := range n {
			body := strings.Repeat("x", i)
			switch i % 3 {
			case 0:
				fmt.Fprintf(&b, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
			case 1:
				fmt.Fprintf(&b, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", i, i, body)
			case 2:
				fmt.Fprintf(&b, "POST /%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", i, i, body)
			}
		}
		c.send("%s", b.String())
		for i := range n {
			want := fmt.Sprintf("/%d:", i)
			if i%3 > 0 {
				want += strings.Repeat("x", i)
			}
			c.wantAnswer(200, want)
		}
	})

	t.Run("nothing is served after a close", func(t *testing.T) {
		before := served.Load()
		c := dial(t, addr)
		c.send("GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
		c.wantAnswer(200, "/1:")
		c.wantClosed("Connection: close")
		if n := served.Load() - before; n != 1 {
			t.Errorf("%d requests served, want 1", n)
		}
	})

	t.Run("nothing is served after an error", func(t *testing.T) {
		before := served.Load()
		c := dial(t, addr)
		c.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost : h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n")
		c.wantAnswer(200, "/1:")
		c.wantStatus(400)
		c.wantClosed("space before a colon")
		if n := served.Load() - before; n != 1 {
			t.Errorf("%d requests served, want 1", n)
		}
	})

	t.Run("an earlier answer does not wait for a later body", func(t *testing.T) {
		c := dial(t, addr)
		c.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
		c.wantAnswer(200, "/1:")
		c.send("cd")
		c.wantAnswer(200, "/2:abcd")
	})
}

func TestConnStates(t *testing.T) {
	var states []http.ConnState // written by one connection
	closed := make(chan struct{})
	addr := start(t, &server.HTTPServer{
		Handler: server.HandlerFunc(ok),
		ConnState: func(c *server.HTTPConnection, s http.ConnState) {
			states = append(states, s)
			if c.State() != s {
				t.Errorf("State() = %v in the hook for %v", c.State(), s)
			}
			if s == http.StateClosed {
				close(closed)
			}
		},
	})
	c := dial(t, addr)
	c.wantOpen("/")
	c.wantOpen("/")
	_ = c.conn.Close()
	<-closed
	want := []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateIdle, http.StateClosed}
	if fmt.Sprint(states) != fmt.Sprint(want) {
		t.Errorf("states %v, want %v", states, want)
	}
}
