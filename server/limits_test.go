// SPDX-License-Identifier: MIT

package server_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

func TestHeadLimits(t *testing.T) {
	fields := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "X-%d: v\r\n", i)
		}
		return b.String()
	}
	tests := []struct {
		name    string
		server  server.HTTPServer
		request string
		status  int
	}{
		{"head", server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 60<<10) + "\r\n\r\n", 200},
		{"head too large", server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431},
		{"head without an end", server.HTTPServer{MaxHeader: 1000}, "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 100<<10), 431},
		{"own head limit", server.HTTPServer{MaxHeader: 100}, "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 100) + "\r\n\r\n", 431},
		{"no head limit", server.HTTPServer{MaxHeader: -1}, "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 200<<10) + "\r\n\r\n", 200},
		{"fields", server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\n" + fields(127) + "\r\n", 200},
		{"too many fields", server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\n" + fields(128) + "\r\n", 431},
		{"own field limit", server.HTTPServer{MaxHeaderFields: 2}, "GET / HTTP/1.1\r\nHost: h\r\n" + fields(2) + "\r\n", 431},
		{"no field limit", server.HTTPServer{MaxHeaderFields: -1}, "GET / HTTP/1.1\r\nHost: h\r\n" + fields(1000) + "\r\n", 200},
		{"target", server.HTTPServer{}, "GET /" + strings.Repeat("x", 16<<10-1) + " HTTP/1.1\r\nHost: h\r\n\r\n", 200},
		{"target too long", server.HTTPServer{}, "GET /" + strings.Repeat("x", 16<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
		{"own target limit", server.HTTPServer{MaxTarget: 10}, "GET /234567890X HTTP/1.1\r\nHost: h\r\n\r\n", 414},
		{"no target limit", server.HTTPServer{MaxTarget: -1}, "GET /" + strings.Repeat("x", 40<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", 200},
		{"length beyond all bounds", server.HTTPServer{MaxRequest: -1}, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", 413},
		{"trailer too large", server.HTTPServer{MaxHeader: 200}, "POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + strings.Repeat("x", 300) + "\r\n\r\n", 431},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			tt.server.Handler = server.HandlerFunc(func(r *server.HTTPRequest) {
				if r.Path() == "/body" {
					echo(r)
					return
				}
				ok(r)
			})
			c := dial(t, start(t, &tt.server))
			c.send("%s", tt.request)
			a := c.wantStatus(tt.status)
			if tt.status == 200 {
				c.wantOpen("/")
				return
			}
			if !a.Close {
				t.Error("no Connection: close")
			}
			c.wantClosed("refused")
		})
	}
}

const soon = 40 * time.Millisecond

func TestHeaderTimeout(t *testing.T) {
	addr := start(t, &server.HTTPServer{Handler: server.HandlerFunc(ok), HeaderTimeout: moment})

	t.Run("half a head", func(t *testing.T) {
		t.Parallel()
		c := dial(t, addr)
		c.send("GET / HTTP/1.1\r\nHos")
		c.wantStatus(http.StatusRequestTimeout)
		c.wantClosed("408")
	})
	t.Run("nothing at all", func(t *testing.T) {
		t.Parallel()
		dial(t, addr).wantClosed("nothing to answer")
	})
	t.Run("only empty lines", func(t *testing.T) {
		t.Parallel()
		c := dial(t, addr)
		c.send("\r\n\r\n")
		c.wantEnd("nothing to answer")
	})
	t.Run("half of a second head", func(t *testing.T) {
		t.Parallel()
		c := dial(t, addr)
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /")
		c.wantAnswer(200, "ok")
		c.wantStatus(http.StatusRequestTimeout)
		c.wantClosed("408")
	})
	t.Run("the time of a head does not start over", func(t *testing.T) {
		t.Parallel()
		c := dial(t, addr)
		go func() { // octet by octet, until the server has had enough
			for {
				if _, err := io.WriteString(c.conn, "G"); err != nil {
					return
				}
				time.Sleep(moment / 20)
			}
		}()
		c.wantStatus(http.StatusRequestTimeout)
	})
	t.Run("an idle connection has other limits", func(t *testing.T) {
		t.Parallel()
		c := dial(t, addr)
		c.wantOpen("/")
		time.Sleep(moment * 3 / 2) // passes for the server, which must not notice
		c.wantOpen("/")
	})
}

func TestHeadCutShort(t *testing.T) {
	addr := startFunc(t, ok)
	c := dial(t, addr)
	c.send("GET / HTTP/1.1\r\nHos")
	c.closeWrite()
	c.wantStatus(400)
	c.wantClosed("cut short")

	c = dial(t, addr)
	c.get("/")
	c.closeWrite()
	c.wantAnswer(200, "ok")
	c.wantClosed("the client was done")
}

func TestIdleTimeout(t *testing.T) {
	c := dial(t, start(t, &server.HTTPServer{Handler: server.HandlerFunc(ok), IdleTimeout: soon}))
	c.wantOpen("/")
	c.wantClosed("idle")
}

func TestSlowBody(t *testing.T) {
	serve := func(t *testing.T) (c *conversation, got chan error) {
		got = make(chan error, 1)
		return dial(t, start(t, &server.HTTPServer{MinRate: 1 << 40, RateGrace: moment, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			if r.Path() == "/patient" {
				must(t, r.SetReadDeadline(time.Now().Add(time.Hour)))
			}
			_, err := r.Body()
			got <- err
			if err != nil {
				err = r.SendError(err)
			}
			must(t, err)
		})})), got
	}
	for name, framing := range map[string]string{
		"length": "Content-Length: 10\r\n\r\nabc",
		"chunks": "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, got := serve(t)
			c.send("POST / HTTP/1.1\r\nHost: h\r\n%s", framing)
			a := c.wantStatus(http.StatusRequestTimeout)
			if err := <-got; !errors.Is(err, server.ErrBodyTimeout) {
				t.Errorf("Body() = %v", err)
			}
			if !a.Close {
				t.Error("no Connection: close")
			}
			c.wantClosed("408")
		})
	}
	t.Run("a deadline of the handler's", func(t *testing.T) {
		t.Parallel()
		c, got := serve(t)
		c.send("POST /patient HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
		time.Sleep(moment * 3 / 2) // the server's patience would be over
		c.send("0123456789")
		c.wantStatus(200)
		must(t, <-got)
	})
}

func TestSlowBodyNobodyReads(t *testing.T) {
	c := dial(t, start(t, &server.HTTPServer{MinRate: 1 << 40, RateGrace: moment, Handler: server.HandlerFunc(ok)}))
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
	c.wantAnswer(200, "ok")
	c.wantClosed("the rest of the body did not come")
}

func TestReadDeadline(t *testing.T) {
	waiting := make(chan *server.HTTPRequest)
	got := make(chan error, 1)
	addr := startFunc(t, func(r *server.HTTPRequest) {
		if r.Path() == "/other" {
			go func() { waiting <- r }()
		} else {
			must(t, r.SetReadDeadline(time.Now().Add(soon)))
		}
		_, err := r.Body()
		got <- err
		_ = r.SendError(err)
	})
	c := dial(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
	c.wantStatus(http.StatusRequestTimeout)
	if err := <-got; !errors.Is(err, server.ErrBodyTimeout) {
		t.Errorf("Body() = %v", err)
	}

	// From another goroutine, while the body is being waited for.
	c = dial(t, addr)
	c.send("POST /other HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
	must(t, (<-waiting).SetReadDeadline(time.Now()))
	c.wantStatus(http.StatusRequestTimeout)
	if err := <-got; !errors.Is(err, server.ErrBodyTimeout) {
		t.Errorf("Body() = %v", err)
	}
}

func TestSlowReader(t *testing.T) {
	file := t.TempDir() + "/large"
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	must(t, f.Truncate(1<<30)) // sparse
	must(t, f.Close())
	handlers := map[string]func(r *server.HTTPRequest) error{
		"writes": func(r *server.HTTPRequest) error {
			_, err := io.Copy(r, io.LimitReader(zeros{}, 1<<30))
			return err
		},
		"one write": func(r *server.HTTPRequest) error { _, err := r.Write(make([]byte, 64<<20)); return err },
		"file":      func(r *server.HTTPRequest) error { return sendWhole(r, file) },
		"in chunks": func(r *server.HTTPRequest) error {
			_, err := io.Copy(r, struct{ io.Reader }{io.LimitReader(zeros{}, 1<<30)})
			return err
		},
		"own limits": func(r *server.HTTPRequest) error {
			must(t, r.SetWriteDeadline(time.Now().Add(soon)))
			return sendWhole(r, file)
		},
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			got := make(chan error, 1)
			s := &server.HTTPServer{MinRate: 1 << 40, RateGrace: soon}
			if name == "own limits" {
				s.MinRate = 1
			}
			s.Handler = server.HandlerFunc(func(r *server.HTTPRequest) {
				err := h(r)
				if again, err2 := r.WriteString("more"); again != 0 || err2 == nil {
					t.Errorf("a write after the failure: %d, %v", again, err2)
				}
				got <- err
			})
			c := dial(t, start(t, s))
			c.get("/")
			if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the handler got %v", err)
			}
			c.wantEnd("not read")
		})
	}
}

// sendWhole sends a file and returns what became of it. It says how long it is, as
// sendfile does not do chunks.
func sendWhole(r *server.HTTPRequest, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := r.SetHeader("Content-Length", fmt.Sprint(info.Size())); err != nil {
		return err
	}
	_, err = r.ReadFrom(f)
	return err
}

// A reader that is slow, but not too slow, gets everything: a deadline in the
// middle of a write or a sendfile is gone on from.
func TestHaltingReader(t *testing.T) {
	const size = 8 << 20
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i ^ i>>8 ^ i>>16)
	}
	file := t.TempDir() + "/large"
	must(t, os.WriteFile(file, content, 0o600))
	addr := start(t, &server.HTTPServer{
		MinRate: 1 << 18, RateGrace: moment / 4,
		Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			var err error
			if r.Path() == "/file" {
				err = sendWhole(r, file)
			} else {
				err = r.SendResponse(200, "application/octet-stream", content)
			}
			must(t, err)
		}),
	})
	for _, path := range []string{"/file", "/memory"} {
		c := dial(t, addr)
		must(t, c.conn.(*net.TCPConn).SetReadBuffer(64<<10))
		c.get(path)
		c.r.Reset(&halting{conn: c.conn, pause: moment / 2})
		if a := c.wantStatus(200); a.body != string(content) {
			t.Errorf("%s: %d octets came, or not the right ones", path, len(a.body))
		}
	}
}

// halting pauses now and then, the first time for long.
type halting struct {
	conn  net.Conn
	read  int
	pause time.Duration
}

func (h *halting) Read(p []byte) (int, error) {
	n, err := h.conn.Read(p)
	if h.read += n; h.read > 1<<20 {
		h.read = 0
		time.Sleep(h.pause)
		h.pause = 15 * time.Millisecond
	}
	return n, err
}

func TestMaxConns(t *testing.T) {
	entered := make(chan struct{})
	leave := make(chan struct{})
	addr := start(t, &server.HTTPServer{MaxConns: 2, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		entered <- struct{}{}
		<-leave
		ok(r)
	})})
	var conversations []*conversation
	for range 3 {
		c := dial(t, addr)
		c.get("/")
		conversations = append(conversations, c)
	}
	<-entered
	<-entered
	select {
	case <-entered:
		t.Fatal("three connections served at once")
	default:
	}
	leave <- struct{}{}
	leave <- struct{}{}
	// Kept alive, the two hold their places until they go.
	for _, c := range conversations[:2] {
		c.wantAnswer(200, "ok")
		_ = c.conn.Close()
	}
	<-entered
	leave <- struct{}{}
	conversations[2].wantAnswer(200, "ok")
}

func TestMaxConnsOfSeveralListeners(t *testing.T) {
	s := &server.HTTPServer{MaxConns: 1, Handler: server.HandlerFunc(ok)}
	first, second := start(t, s), start(t, s)
	for range 3 {
		for _, addr := range []string{first, second} {
			c := dial(t, addr)
			c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			c.wantAnswer(200, "ok")
			c.wantClosed("so that the next can come")
		}
	}
}

func TestMaxConnsPerIP(t *testing.T) {
	addr := start(t, &server.HTTPServer{MaxConnsPerIP: 2, Handler: server.HandlerFunc(ok)})
	a, b := dial(t, addr), dial(t, addr)
	a.wantOpen("/")
	b.wantOpen("/")
	dial(t, addr).wantEnd("a third from one address")
	a.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	a.wantAnswer(200, "ok")
	a.wantClosed("Connection: close")
	for { // there is a place again as soon as the server has noticed
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		answer, _ := io.ReadAll(conn)
		_ = conn.Close()
		if strings.HasPrefix(string(answer), "HTTP/1.1 200") {
			return
		}
	}
}
