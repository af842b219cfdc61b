// SPDX-License-Identifier: MIT

package server_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// TestHostileChurn has connections come and go, most of them with a reset, in all
// stages of a request.
func TestHostileChurn(t *testing.T) {
	var open, wrong atomic.Int64
	addr := besieged(t, &server.HTTPServer{
		ConnState: countOpen(&open),
		Handler: orNonce(func(r *server.HTTPRequest) {
			switch r.Path() {
			case "/wait":
				<-r.Context().Done()
			case "/body":
				_, _ = r.Body()
			}
			answerTarget(r)
		}),
	})
	b := standBy(t, addr)
	before := footingNow()
	memory := memoryInUse()
	total, clients := scale(3000, 50_000), 8
	var churning sync.WaitGroup
	for client := range clients {
		churning.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(client), 11))
			for n := range total / clients {
				conn, err := dialFrom(client<<8+n/4000, addr)
				if err != nil {
					t.Errorf("connection %d of client %d: %v", n, client, err)
					return
				}
				how := rng.IntN(8)
				target := fmt.Sprintf("/%d/%d", client, n)
				switch how {
				case 0: // nothing at all
				case 1:
					_, _ = io.WriteString(conn, "GET / HT")
				case 2, 3: // a whole request, whose answer is not waited for
					_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target)
				case 4: // within a body
					_, _ = io.WriteString(conn, "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc")
				case 5: // a handler that waits for the peer to leave
					_, _ = io.WriteString(conn, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n")
				case 6: // no HTTP
					_, _ = io.WriteString(conn, "\x16\x03\x01\r\n\r\n")
				case 7: // a client that behaves
					_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", target)
					_ = conn.SetReadDeadline(time.Now().Add(patience))
					if answer, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(answer), target) {
						wrong.Add(1)
					}
				}
				if how != 7 && rng.IntN(4) > 0 {
					_ = conn.(*net.TCPConn).SetLinger(0) // a reset
				}
				_ = conn.Close()
			}
		})
	}
	b.wantServed()
	churning.Wait()
	b.wantServed()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d answers were not those of their requests", n)
	}
	before.wantBack(t)
	if !settles(func() bool { return open.Load() <= 1 }) { // the bystander
		t.Errorf("%d connections are still open", open.Load())
	}
	// Loops keep a few workers, and these their stacks.
	if more := memoryInUse() - memory; more > 4<<20+int64(runtime.GOMAXPROCS(0))*(64<<10) {
		t.Errorf("%d connections left %d octets", total, more)
	} else {
		t.Logf("%d connections left %d octets", total, more)
	}
}

// TestHostileHalfOpen has peers that connect and leave it at that: without a
// word, within a head, after a request whose answer was large. What each of them
// costs is bounded, and HeaderTimeout ends them all.
func TestHostileHalfOpen(t *testing.T) {
	large := make([]byte, 32<<10)
	kinds := []struct {
		name, sends string
		answered    bool
		most        int64 // memory of each, goroutine included
	}{
		{"silent", "", false, 20 << 10},
		{"half a head", "GET / HTTP/1.1\r\nHost: h\r\nX: ", false, 36 << 10},
		{"most of a large head", "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 60<<10), false, 96 << 10},
		{"half a head after an answer", "GET /large HTTP/1.1\r\nHost: h\r\n\r\nGET / HT", true, 96 << 10},
	}
	addr := besieged(t, &server.HTTPServer{HeaderTimeout: time.Duration(scale(2, 6)) * moment, Handler: orNonce(func(r *server.HTTPRequest) {
		_ = r.SendResponse(200, text, large)
	})})
	b := standBy(t, addr)
	before := footingNow()
	all := make([][]net.Conn, len(kinds))
	for i, kind := range kinds {
		n := scale(100, 5000)
		if kind.sends != "" {
			n /= 5
		}
		empty := memoryInUse()
		all[i] = crowd(t, n, addr)
		for _, conn := range all[i] {
			_, err := io.WriteString(conn, kind.sends)
			must(t, err)
		}
		b.wantServed()
		const pools = 1 << 20
		more := memoryInUse() - empty
		t.Logf("%s: a connection costs %d octets", kind.name, more/int64(n))
		if more > kind.most*int64(n)+pools {
			t.Errorf("%s: a connection costs %d octets, want at most %d", kind.name, more/int64(n), kind.most)
		}
	}
	for i, kind := range kinds {
		want := 0
		switch {
		case kind.answered:
			want = http.StatusOK
		case kind.sends != "":
			want = http.StatusRequestTimeout
		}
		for k, conn := range all[i] {
			if status := statusOf(conn); status != want {
				t.Fatalf("%s: peer %d got %d, want %d", kind.name, k, status, want)
			}
			_ = conn.Close()
		}
	}
	before.wantBack(t)
}

// TestHostileClosedSides has peers that go on with a connection one side of which
// is closed.
func TestHostileClosedSides(t *testing.T) {
	var more atomic.Int64
	addr := besieged(t, &server.HTTPServer{Handler: orNonce(func(r *server.HTTPRequest) {
		if r.Path() == "/more" {
			more.Add(1)
		}
		answerTarget(r)
	})})
	b := standBy(t, addr)
	before := footingNow()
	const request = "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"

	t.Run("their own, with requests before it", func(t *testing.T) {
		for range scale(20, 500) {
			c := dial(t, addr)
			for i := range 100 {
				c.send(request, i)
			}
			c.closeWrite()
			for i := range 100 {
				c.wantAnswer(200, fmt.Sprintf("/%d", i))
			}
			c.wantClosed("all are answered")
		}
	})
	t.Run("their own, within a request", func(t *testing.T) {
		for _, part := range []string{"G", "GET / HTTP/1.1\r\nHost: h\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r"} {
			c := dial(t, addr)
			c.send(request, 1)
			c.send("%s", part)
			c.closeWrite()
			c.wantAnswer(200, "/1")
			c.wantStatus(http.StatusBadRequest)
			c.wantClosed("cut short")
		}
	})
	t.Run("their own, at once", func(t *testing.T) {
		for range scale(20, 500) {
			c := dial(t, addr)
			c.closeWrite()
			c.wantClosed("nothing was asked")
		}
	})
	t.Run("their reading one", func(t *testing.T) { // the answers meet a reset
		for range scale(20, 500) {
			c := dial(t, addr)
			must(t, c.conn.(*net.TCPConn).CloseRead())
			for i := range 50 {
				if _, err := fmt.Fprintf(c.conn, request, i); err != nil {
					break
				}
			}
			_ = c.conn.Close()
		}
	})
	t.Run("the server's", func(t *testing.T) {
		for _, last := range []string{
			"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
			"GET /last HTTP/1.0\r\n\r\n",
			"GET /last HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
		} {
			c := dial(t, addr)
			c.send("%s", last)
			if _, err := io.ReadAll(c.r); err != nil {
				t.Errorf("reading the last answer: %v", err)
			}
			// Request after request: thrown away, for a while, and then cut.
			sent := pour(c.conn, "", "GET /more HTTP/1.1\r\nHost: h\r\n\r\n", 1<<30)
			if sent >= 1<<30 {
				t.Error("the connection takes requests for good")
			}
			b.wantServed()
			if n := more.Load(); n > 0 {
				t.Errorf("%d requests were handled after the last", n)
			}
			_ = c.conn.Close()
		}
	})
	before.wantBack(t)
}

// TestHostilePipelineAbandoned has peers that send as many requests as go into one
// segment, and leave without waiting for an answer. A handler that takes its time
// must not be called for all of them: that would be a lot of work for one packet.
func TestHostilePipelineAbandoned(t *testing.T) {
	var called atomic.Int64
	addr := besieged(t, &server.HTTPServer{Handler: orNonce(func(r *server.HTTPRequest) {
		called.Add(1)
		time.Sleep(50 * time.Millisecond) // work
		answerTarget(r)
	})})
	b := standBy(t, addr)
	before := footingNow()
	const requests = 200
	conns := crowd(t, scale(10, 200), addr)
	for _, conn := range conns {
		_, err := io.WriteString(conn, strings.Repeat("GET /work HTTP/1.1\r\nHost: h\r\n\r\n", requests))
		must(t, err)
	}
	b.wantServed()
	for _, conn := range conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
	there := called.Load() // while they were there
	before.wantBack(t)
	b.wantServed()
	if n := (called.Load() - there) / int64(len(conns)); n > requests/4 {
		t.Errorf("a handler was called %d times for a peer that had left", n)
	} else {
		t.Logf("called %d times for each peer, and then %d times", there/int64(len(conns)), n)
	}
}
