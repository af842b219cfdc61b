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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// TestHostileSlowHead has peers that send heads octet by octet, without an end.
// None of them stays longer than HeaderTimeout, however busy it keeps its
// connection.
func TestHostileSlowHead(t *testing.T) {
	addr := besieged(t, &server.HTTPServer{HeaderTimeout: time.Duration(scale(1, 3)) * moment, Handler: orNonce(func(*server.HTTPRequest) {
		t.Error("a head that never ended reached a handler")
	})})
	b := standBy(t, addr)
	before := footingNow()
	forms := []string{ // longer than what is sent of them in that time
		"GET /" + strings.Repeat("a", 1000),
		"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("y", 1000),
		"GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X: y\r\n", 100),
	}
	conns := crowd(t, scale(60, 1000), addr)
	var drips sync.WaitGroup
	for i, conn := range conns {
		drips.Go(func() { drip(conn, forms[i%len(forms)], 10*time.Millisecond) })
	}
	b.wantServed()
	for i, conn := range conns {
		// Who is cut while it sends may see only the cut.
		if status := statusOf(conn); status != http.StatusRequestTimeout && status != 0 {
			t.Errorf("peer %d got %d, want 408", i, status)
		}
		_ = conn.Close()
	}
	drips.Wait()
	before.wantBack(t)
}

// TestHostileSlowBody has peers that send bodies octet by octet, in both framings,
// to handlers that want them and to handlers that do not.
func TestHostileSlowBody(t *testing.T) {
	var running atomic.Int64
	addr := besieged(t, &server.HTTPServer{MinRate: 10_000, RateGrace: moment / 2, Handler: orNonce(func(r *server.HTTPRequest) {
		running.Add(1)
		defer running.Add(-1)
		if r.Path() == "/unread" {
			ok(r)
			return
		}
		_, err := r.Body()
		if !errors.Is(err, server.ErrBodyTimeout) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Body() = %v", err)
		}
		_ = r.SendError(err)
	})})
	b := standBy(t, addr)
	before := footingNow()
	conns := crowd(t, scale(60, 1000), addr)
	var drips sync.WaitGroup
	for i, conn := range conns {
		path := []string{"/read", "/unread"}[i%2]
		framing, body := "Content-Length: 100000", "x"
		if i/2%2 == 1 {
			framing, body = "Transfer-Encoding: chunked", "1\r\nx\r\n"
		}
		_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", path, framing)
		drips.Go(func() { drip(conn, body, 10*time.Millisecond) })
	}
	b.wantServed()
	for i, conn := range conns {
		want := []int{http.StatusRequestTimeout, http.StatusOK}[i%2]
		if status := statusOf(conn); status != want && status != 0 {
			t.Errorf("peer %d got %d, want %d", i, status, want)
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("peer %d was not cut", i)
		}
		_ = conn.Close()
	}
	drips.Wait()
	before.wantBack(t)
	if n := running.Load(); n != 0 {
		t.Errorf("%d handlers wait for good", n)
	}
}

// TestHostileWithinGrace has peers that are slow, but within what RateGrace
// allows, so that nobody cuts them: each must cost little, and as little after the
// tenth request as after the first.
func TestHostileWithinGrace(t *testing.T) {
	addr := besieged(t, &server.HTTPServer{HeaderTimeout: 2 * patience, RateGrace: 2 * patience, Handler: orNonce(func(r *server.HTTPRequest) {
		if !readBody(r) {
			return
		}
		ok(r)
	})})
	b := standBy(t, addr)
	conns := crowd(t, scale(100, 2000), addr)
	idle := memoryInUse()
	const head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234"
	entered := func() {
		for _, conn := range conns {
			if _, err := io.WriteString(conn, head); err != nil {
				t.Fatal(err)
			}
		}
		b.wantServed()
	}
	cost := func(round string) {
		// A stack for the handler, input and output of the connection, the body.
		const most = 48 << 10
		if each := (memoryInUse() - idle) / int64(len(conns)); each > most {
			t.Errorf("%s round: a stalled body costs %d octets, want at most %d", round, each, most)
		} else {
			t.Logf("%s round: a stalled body costs %d octets", round, each)
		}
	}
	entered()
	cost("first")
	for range 10 {
		for i, conn := range conns {
			_, _ = io.WriteString(conn, "56789")
			if status := statusOf(conn); status != 200 {
				t.Fatalf("peer %d got %d", i, status)
			}
		}
		entered()
	}
	cost("last")
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// TestHostileSlowReader has peers that ask for more than the system buffers and
// read nothing of it, or an octet now and then. Handlers that wait for them come
// back, whichever way they answer.
func TestHostileSlowReader(t *testing.T) {
	file := t.TempDir() + "/large"
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, os.Truncate(file, 1<<30)) // sparse
	piece := make([]byte, 64<<10)
	var running atomic.Int64
	results := make(chan error, 1<<12)
	addr := besieged(t, &server.HTTPServer{MinRate: 1 << 40, RateGrace: moment / 2, Handler: orNonce(func(r *server.HTTPRequest) {
		running.Add(1)
		defer running.Add(-1)
		if r.Path() == "/file" {
			results <- sendWhole(r, file)
			return
		}
		for {
			if _, err := r.Write(piece); err != nil {
				results <- err
				return
			}
		}
	})})
	b := standBy(t, addr)
	before := footingNow()
	conns := crowd(t, scale(40, 400), addr)
	for i, conn := range conns {
		must(t, conn.(*net.TCPConn).SetReadBuffer(8<<10))
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", []string{"/file", "/writes"}[i%2])
		if i%4 > 1 { // an octet now and then keeps nobody
			go func() {
				for octet := make([]byte, 1); ; time.Sleep(20 * time.Millisecond) {
					if _, err := conn.Read(octet); err != nil {
						return
					}
				}
			}()
		}
	}
	b.wantServed()
	for range conns {
		select {
		case err := <-results:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a handler got %v, want a timeout", err)
			}
		case <-time.After(patience):
			t.Fatalf("%d handlers still wait for peers that do not read", running.Load())
		}
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	before.wantBack(t)
}
