// SPDX-License-Identifier: MIT

package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// parked waits until n goroutines wait for their peers, as their stacks tell.
func parked(t *testing.T, n int) {
	t.Helper()
	stacks := make([]byte, 4<<20)
	if !settles(func() bool {
		all := stacks[:runtime.Stack(stacks, true)]
		return bytes.Count(all, []byte("(*loopConn).await(")) == n
	}) {
		t.Fatalf("not %d handlers are parked", n)
	}
}

// TestLoopBodiesDribble has many handlers wait for bodies that come an octet at a
// time.
func TestLoopBodiesDribble(t *testing.T) {
	onLoops(t)
	addr := start(t, &server.HTTPServer{MinRate: -1, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		body, err := r.Body()
		must(t, err)
		_ = r.SendString(200, text, r.Target()+string(body))
	})})
	const n, size = 50, 20
	var conns []*conversation
	for i := range n {
		c := dial(t, addr)
		if i%2 == 0 {
			c.send("POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", i, size)
		} else {
			c.send("POST /%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", i)
		}
		conns = append(conns, c)
	}
	parked(t, n)
	want := ""
	for j := range size {
		digit := string(rune('a' + j))
		want += digit
		for i, c := range conns {
			if i%2 == 0 {
				c.send("%s", digit)
			} else {
				c.send("1\r\n%s\r\n", digit)
			}
		}
	}
	for i, c := range conns {
		if i%2 == 1 {
			c.send("0\r\n\r\n")
		}
		c.wantAnswer(200, fmt.Sprintf("/%d%s", i, want))
		c.get("/again")
		c.wantAnswer(200, "/again")
	}
}

// takesLittle has a client's system buffer little of what it does not read: by
// default that may be megabytes.
func takesLittle(t *testing.T, c *conversation) {
	t.Helper()
	must(t, c.conn.(*net.TCPConn).SetReadBuffer(64<<10))
}

// pattern is size octets that tell where they belong.
func pattern(size int) []byte {
	b := make([]byte, 0, size+sha256.Size)
	for sum := sha256.Sum256(nil); len(b) < size; sum = sha256.Sum256(sum[:]) {
		b = append(b, sum[:]...)
	}
	return b[:size]
}

// TestLoopSlowReaders has peers that take their time with answers larger than what
// fits between here and there, written and sent from files.
func TestLoopSlowReaders(t *testing.T) {
	onLoops(t)
	balanced(t)
	large := pattern(12 << 20)
	name := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(name, large, 0o600); err != nil {
		t.Fatal(err)
	}
	addr := startFunc(t, func(r *server.HTTPRequest) {
		switch r.Path() {
		case "/whole":
			_ = r.SendResponse(200, text, large)
		case "/pieces":
			for rest := large; len(rest) > 0; {
				n := min(len(rest), 100_000)
				_, err := r.Write(rest[:n])
				must(t, err)
				rest = rest[n:]
			}
		case "/file":
			must(t, r.SendFile(name, server.FileOptions{}))
		default:
			ok(r)
		}
	})
	paths := []string{"/whole", "/pieces", "/file"}
	var conns []*conversation
	for _, path := range paths {
		c := dial(t, addr)
		takesLittle(t, c)
		c.get(path)
		c.get("/next") // waits behind it
		conns = append(conns, c)
	}
	parked(t, len(paths))
	dial(t, addr).wantOpen("/") // everybody else goes on
	for i, c := range conns {
		res, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(res.Body); !bytes.Equal(got, large) || err != nil {
			t.Errorf("%s: %d octets, %v", paths[i], len(got), err)
		}
		c.wantAnswer(200, "ok")
	}
}

// TestLoopDeadlinesOfParked sets deadlines before and while a handler is parked.
func TestLoopDeadlinesOfParked(t *testing.T) {
	onLoops(t)
	name := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(name, make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	requests := make(chan *server.HTTPRequest, 1)
	result := make(chan error, 1)
	control := func(r *server.HTTPRequest) *http.ResponseController {
		return http.NewResponseController(r.ResponseWriter())
	}
	addr := start(t, &server.HTTPServer{MinRate: -1, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		soon := time.Now().Add(20 * time.Millisecond)
		switch r.Path() {
		case "/read":
			requests <- r
			_, err := r.Body()
			result <- err
		case "/read-soon":
			must(t, control(r).SetReadDeadline(soon))
			_, err := r.Body()
			result <- err
		case "/write-soon":
			must(t, control(r).SetWriteDeadline(soon))
			_, err := r.Write(make([]byte, 16<<20))
			result <- err
		case "/file-soon":
			must(t, control(r).SetWriteDeadline(soon))
			result <- sendWhole(r, name)
		case "/file-late":
			must(t, control(r).SetWriteDeadline(time.Unix(1, 0)))
			result <- sendWhole(r, name)
		}
	})})
	post := func(path string) *conversation {
		c := dial(t, addr)
		c.send("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab", path)
		return c
	}

	t.Run("read, set before", func(t *testing.T) {
		post("/read-soon")
		if err := <-result; !errors.Is(err, server.ErrBodyTimeout) {
			t.Errorf("Body: %v", err)
		}
	})
	t.Run("read, set while parked", func(t *testing.T) {
		post("/read")
		r := <-requests
		parked(t, 1)
		must(t, control(r).SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		if err := <-result; !errors.Is(err, server.ErrBodyTimeout) {
			t.Errorf("Body: %v", err)
		}
	})
	t.Run("read, put forward, put off and taken back", func(t *testing.T) {
		c := post("/read")
		r := <-requests
		parked(t, 1)
		for _, by := range []time.Time{time.Now().Add(time.Hour), time.Now().Add(time.Minute), time.Now().Add(2 * time.Hour), {}} {
			must(t, control(r).SetReadDeadline(by))
		}
		parked(t, 1)
		c.send("cd")
		must(t, <-result)
		c.wantStatus(200)
	})
	t.Run("read, over while parked", func(t *testing.T) {
		post("/read")
		r := <-requests
		parked(t, 1)
		must(t, control(r).SetReadDeadline(time.Now().Add(time.Hour)))
		must(t, control(r).SetReadDeadline(time.Unix(1, 0)))
		if err := <-result; !errors.Is(err, server.ErrBodyTimeout) {
			t.Errorf("Body: %v", err)
		}
	})
	for _, path := range []string{"/write-soon", "/file-soon", "/file-late"} {
		t.Run(path[1:], func(t *testing.T) {
			c := dial(t, addr)
			takesLittle(t, c)
			c.get(path)
			if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
			c.wantReset("cut short")
		})
	}
}

// TestLoopHijackedEcho takes a connection out of the loop and uses it as protocols
// do that come after HTTP.
func TestLoopHijackedEcho(t *testing.T) {
	onLoops(t)
	balanced(t)
	s := &server.HTTPServer{}
	deadlines := make(chan error, 1)
	s.Handler = server.HandlerFunc(func(r *server.HTTPRequest) {
		if r.Path() != "/echo" {
			ok(r)
			return
		}
		_ = r.Context().Done()
		conn, rw, err := r.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		must(t, rw.Flush())
		for {
			line, err := rw.ReadString('\n')
			switch {
			case line == "deadline\n":
				must(t, conn.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
				_, err := rw.ReadByte()
				deadlines <- err
				must(t, conn.SetReadDeadline(time.Time{}))
				line = "over\n"
			case err != nil:
				return
			}
			if _, err := rw.WriteString(line); err != nil || rw.Flush() != nil {
				return
			}
		}
	})
	addr := start(t, s)
	first := dial(t, addr)
	first.wantOpen("/") // the loops are there from here on
	before := openFiles()
	var conns []*conversation
	const n = 20
	for range n {
		c := dial(t, addr)
		c.wantOpen("/")
		// More than the handler's reader holds is there before it asks.
		c.send("GET /echo HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n%s\n", bytes.Repeat([]byte("x"), 5000))
		conns = append(conns, c)
	}
	for i, c := range conns {
		c.wantLine("HTTP/1.1 101 Switching Protocols")
		c.wantLine("Connection: Upgrade")
		c.wantLine("Upgrade: echo")
		c.wantLine("")
		c.wantLine(string(bytes.Repeat([]byte("x"), 5000)))
		for j := range 5 {
			c.send("%d-%d\n", i, j)
			c.wantLine(fmt.Sprintf("%d-%d", i, j))
		}
	}
	if got := openFiles(); got > before+2*n {
		t.Errorf("%d descriptors for %d connections, want at most %d", got-before, n, 2*n)
	}
	conns[0].send("deadline\n")
	if err := <-deadlines; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read by a deadline: %v", err)
	}
	conns[0].wantLine("over")
	conns[0].send("alive\n")
	conns[0].wantLine("alive")

	// They are nobody's business but the handlers': the server ends without them,
	// though these have not returned.
	must(t, s.Shutdown(t.Context()))
	for i, c := range conns {
		c.send("still %d\n", i)
		c.wantLine(fmt.Sprintf("still %d", i))
		c.closeWrite()
		c.wantClosed("the handler has read the end")
	}
}

// TestLoopHijackWhileReading refuses to hand out a connection whose body somebody
// is reading.
func TestLoopHijackWhileReading(t *testing.T) {
	onLoops(t)
	read, refused := make(chan error, 1), make(chan struct{})
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		go func() {
			_, err := r.Body()
			read <- err
		}()
		parked(t, 1)
		if _, _, err := r.Hijack(); !errors.Is(err, server.ErrNotHijackable) {
			t.Errorf("Hijack = %v", err)
		}
		close(refused)
		must(t, <-read)
		_ = r.SendString(200, text, "mine")
	}))
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
	<-refused
	c.send("ab")
	c.wantAnswer(200, "mine")
}

// TestLoopPeersGone has clients go while their handlers run. Nobody waits for that
// on a goroutine of its own.
func TestLoopPeersGone(t *testing.T) {
	onLoops(t)
	balanced(t)
	entered, causes := make(chan struct{}), make(chan error)
	addr := startFunc(t, func(r *server.HTTPRequest) {
		if r.Path() == "/up" {
			ok(r)
			return
		}
		if r.Method() == http.MethodPost {
			_, err := r.Body()
			must(t, err)
		}
		done := r.Context().Done()
		entered <- struct{}{}
		<-done
		causes <- context.Cause(r.Context())
		_ = r.SendString(200, text, "too late")
	})
	const n = 60
	dial(t, addr).wantOpen("/up") // the loops and their clock are there from here on
	goroutines := runtime.NumGoroutine()
	var conns []*conversation
	for i := range n {
		c := dial(t, addr)
		if i%2 == 0 {
			c.get("/")
		} else {
			c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na")
			c.send("b")
		}
		<-entered
		conns = append(conns, c)
	}
	// A handler each, and for each loop a worker or two.
	if got := runtime.NumGoroutine() - goroutines; got > n+4*runtime.GOMAXPROCS(0) {
		t.Errorf("%d goroutines for %d handlers", got, n)
	}
	for i, c := range conns {
		switch i % 3 {
		case 0: // FIN
			c.closeWrite()
		case 1: // RST
			must(t, c.conn.(*net.TCPConn).SetLinger(0))
			must(t, c.conn.Close())
		case 2: // the next request, and FIN behind it
			c.get("/next")
			c.closeWrite()
		}
		if cause := <-causes; !errors.Is(cause, server.ErrClientGone) {
			t.Errorf("connection %d: %v", i, cause)
		}
		if i%3 == 0 {
			c.wantAnswer(200, "too late")
			c.wantClosed("nothing more comes")
		}
		if i%3 == 2 {
			c.wantAnswer(200, "too late")
			<-entered // the second handler finds the client gone already
			if cause := <-causes; !errors.Is(cause, server.ErrClientGone) {
				t.Errorf("connection %d, next: %v", i, cause)
			}
			c.wantAnswer(200, "too late")
			c.wantClosed("nothing more comes")
		}
	}
}

// TestLoopDataAndEndAtOnce sends a request and the end of the connection in one
// segment, where the kernel has but one event to tell of both.
func TestLoopDataAndEndAtOnce(t *testing.T) {
	onLoops(t)
	addr := startFunc(t, nonces)
	for i := range 50 {
		c := dial(t, addr)
		raw, err := c.conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		must(t, raw.Control(func(fd uintptr) { // holds the octets back until the end
			must(t, syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1))
		}))
		if i%2 == 1 {
			c.get("/before")
		}
		c.get(fmt.Sprintf("/%d", i))
		c.closeWrite()
		if i%2 == 1 {
			c.wantAnswer(200, "/before")
		}
		c.wantAnswer(200, fmt.Sprintf("/%d", i))
		c.wantClosed("the end")
	}
}
