// SPDX-License-Identifier: MIT

package server_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// repeated is text without an end.
type repeated struct {
	text string // many times what is repeated
	at   int
}

func repeat(text string) *repeated {
	return &repeated{text: strings.Repeat(text, 1+(32<<10)/len(text))}
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) {
		k := copy(p[n:], r.text[r.at:])
		n += k
		r.at = (r.at + k) % len(r.text)
	}
	return n, nil
}

// pour sends a beginning and then what repeats, until it is cut or has sent a lot,
// and tells how much of that went.
func pour(conn net.Conn, beginning, text string, most int64) int64 {
	if _, err := io.WriteString(conn, beginning); err != nil {
		return 0
	}
	n, _ := io.Copy(conn, io.LimitReader(repeat(text), most))
	return n
}

// TestHostileFieldFloods has heads and trailer sections that do not end. Each is
// refused with the status that says what there was too much of, as soon as it is
// too much.
func TestHostileFieldFloods(t *testing.T) {
	var called, open atomic.Int64
	addr := besieged(t, &server.HTTPServer{ConnState: countOpen(&open), Handler: orNonce(func(r *server.HTTPRequest) {
		called.Add(1)
		if r.Path() == "/unread" {
			ok(r)
			return
		}
		if !readBody(r) {
			return
		}
		ok(r)
	})})
	const (
		head    = "GET / HTTP/1.1\r\nHost: h\r\n"
		chunked = " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
	)
	floods := []struct {
		name, beginning, text string
		status, calls         int
	}{
		{"fields", head, "A: b\r\n", 431, 0},
		{"long fields", head, "A: " + strings.Repeat("b", 1000) + "\r\n", 431, 0},
		{"one field", head + "A: ", "b", 431, 0},
		{"one field name", head, "a", 431, 0},
		{"spaces", head + "A:", " ", 431, 0},
		{"empty fields", head, "A:\r\n", 431, 0},
		{"cookies", head + "Cookie: ", "a=b; ", 431, 0},
		{"hosts", head, "Host: h\r\n", 400, 0},
		{"lengths", head, "Content-Length: 1\r\n", 400, 0},
		{"codings", head, "Transfer-Encoding: chunked\r\n", 400, 0},
		{"connection options", head + "Connection: ", "close,", 431, 0},
		{"target", "GET /", "a", 414, 0},
		{"target of slashes", "GET /", "/", 414, 0},
		{"target of escapes", "GET /", "%2e", 414, 0},
		{"method", "", "A", 501, 0},
		{"version", "GET / HTTP/1.", "1", 400, 0},
		{"empty lines", "", "\r\n", 400, 0},
		{"zeros", "", "\x00", 400, 0},
		{"trailers", "POST /read" + chunked, "A: b\r\n", 431, 1},
		{"one trailer", "POST /read" + chunked + "A: ", "b", 431, 1},
		{"trailers that are dropped", "POST /read" + chunked, "Cookie: b\r\n", 431, 1},
		{"trailers nobody reads", "POST /unread" + chunked, "A: b\r\n", 200, 1},
		{"one trailer nobody reads", "POST /unread" + chunked + "A: ", "b", 200, 1},
	}
	b := standBy(t, addr)
	before := footingNow()
	for _, f := range floods {
		t.Run(f.name, func(t *testing.T) {
			called.Store(0)
			empty := memoryInUse()
			conns := crowd(t, scale(2, 20), addr)
			var sent atomic.Int64
			var pouring sync.WaitGroup
			for _, conn := range conns {
				pouring.Go(func() { sent.Add(pour(conn, f.beginning, f.text, 4<<20)) })
			}
			for i, conn := range conns {
				if status := statusOf(conn); status != f.status && status != 0 {
					t.Errorf("peer %d got %d, want %d", i, status, f.status)
				}
			}
			pouring.Wait()
			b.wantServed()
			if n := called.Load(); n > int64(f.calls*len(conns)) {
				t.Errorf("%d requests for %d peers", n, len(conns))
			}
			for _, conn := range conns {
				_ = conn.Close()
			}
			if !settles(func() bool { return open.Load() <= 1 }) { // the bystander
				t.Errorf("%d connections are open", open.Load()-1)
			}
			// Much less than was poured. Pools have something left for later.
			const each, pools = 64 << 10, 2 << 20
			if more := memoryInUse() - empty; more > each*int64(len(conns))+pools {
				t.Errorf("a flood of %d octets left %d", sent.Load(), more)
			}
		})
	}
	before.wantBack(t)
}

// TestHostileTinyChunks has bodies of a hundred thousand chunks of an octet each,
// which is allowed, and must cost no more than its octets: it is read as they come,
// nothing is kept of the chunks, and the connection goes on.
func TestHostileTinyChunks(t *testing.T) {
	const chunks = 100_000
	addr := besieged(t, &server.HTTPServer{Handler: orNonce(func(r *server.HTTPRequest) {
		if r.Path() == "/unread" {
			ok(r)
			return
		}
		n, err := io.Copy(io.Discard, r.BodyReader())
		must(t, err)
		_ = r.SendString(200, text, fmt.Sprint(n))
	})})
	b := standBy(t, addr)
	for _, tt := range []struct{ name, path, chunk, answer string }{
		{"read", "/read", "1\r\nx\r\n", fmt.Sprint(chunks)},
		{"unread", "/unread", "1\r\nx\r\n", "ok"},
		{"with extensions of an octet", "/read", "1;a\r\nx\r\n", fmt.Sprint(chunks)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, addr)
			sent := make(chan error, 1)
			go func() {
				_, err := fmt.Fprintf(c.conn, "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", tt.path)
				if err == nil {
					_, err = io.Copy(c.conn, io.LimitReader(repeat(tt.chunk), int64(chunks*len(tt.chunk))))
				}
				if err == nil {
					_, err = io.WriteString(c.conn, "0\r\n\r\n")
				}
				sent <- err
			}()
			c.wantAnswer(200, tt.answer)
			must(t, <-sent)
			c.wantOpen("/nonce")
			b.wantServed()
		})
	}
	t.Run("octet by octet", func(t *testing.T) {
		c := dial(t, addr)
		c.send("POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
		n := scale(500, 20_000)
		for range n {
			c.send("1")
			c.send("\r\nx\r\n")
		}
		c.send("0\r\n\r\n")
		c.wantAnswer(200, fmt.Sprint(n))
	})
}

// TestHostileChunkFraming has chunks that are all framing. It may not run far ahead
// of the data (RFC 9112, section 7.1.1).
func TestHostileChunkFraming(t *testing.T) {
	addr := besieged(t, &server.HTTPServer{MaxRequest: 256 << 10, Handler: orNonce(func(r *server.HTTPRequest) {
		if r.Path() == "/unread" {
			ok(r)
			return
		}
		if !readBody(r) {
			return
		}
		t.Error("a body without an end was read")
	})})
	b := standBy(t, addr)
	before := footingNow()
	for _, f := range []struct {
		name, beginning, text string
		status                int
	}{
		{"extensions of an octet", "1", ";a", 400},
		{"an extension of an octet and its value", "1", ";a=b", 400},
		{"one extension", "1;", "a", 400},
		{"a quoted value", "1;a=\"", "b", 400},
		{"escapes", "1;a=\"", "\\b", 400},
		{"spaces", "1", " ", 400},
		{"a size of zeros", "", "0", 413},
		{"chunks with long extensions", "", "1;" + strings.Repeat("a", 100) + "\r\nx\r\n", 400},
		{"chunks with many extensions", "", "1" + strings.Repeat(";a", 100) + "\r\nx\r\n", 400},
		{"chunks with an extension", "", "1;a\r\nx\r\n", 413}, // in proportion: the limit on the content ends it
		{"no chunks", "", "\r\n", 400},
	} {
		paths := []string{"/read", "/unread"}
		for _, path := range paths[:scale(1, 2)] {
			t.Run(f.name+path, func(t *testing.T) {
				c := dial(t, addr)
				poured := make(chan int64, 1)
				head := "POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
				go func() { poured <- pour(c.conn, head+f.beginning, f.text, 100<<20) }()
				want := map[string]int{"/read": f.status, "/unread": 200}[path]
				if status := statusOf(c.conn); status != want && status != 0 {
					t.Errorf("status %d, want %d", status, want)
				}
				_ = c.conn.SetReadDeadline(time.Now().Add(patience))
				c.wantEnd("an endless body")
				n := <-poured
				// What is in the buffers of the system, and what a server throws away
				// so that the peer can read the answer, is not read as chunks.
				if most := int64(100 << 20); n >= most {
					t.Errorf("all of %d octets were taken", most)
				}
				b.wantServed()
			})
		}
	}
	before.wantBack(t)
}

// TestHostilePipelines has peers that send requests without an end and read no
// answer. When the system takes no more of the answers the server reads no more of
// the requests; in the end it cuts.
func TestHostilePipelines(t *testing.T) {
	small, large := strings.Repeat("x", 4000), make([]byte, 60<<10)
	var handled, open atomic.Int64
	addr := besieged(t, &server.HTTPServer{MinRate: 1 << 40, RateGrace: 800 * time.Millisecond, ConnState: countOpen(&open), Handler: orNonce(func(r *server.HTTPRequest) {
		handled.Add(1)
		switch r.Path() {
		case "/small":
			_ = r.SendString(200, text, small)
		case "/large":
			_ = r.SendResponse(200, text, large)
		default: // in pieces, so that it is committed early
			for range 5 {
				_, _ = r.WriteString(small)
				_ = r.Flush()
			}
		}
	})})
	b := standBy(t, addr)
	before := footingNow()
	empty := memoryInUse()
	conns := crowd(t, scale(30, 300), addr)
	var pouring sync.WaitGroup
	for i, conn := range conns {
		must(t, conn.(*net.TCPConn).SetReadBuffer(4<<10))
		must(t, conn.(*net.TCPConn).SetWriteBuffer(16<<10))
		request := "GET " + []string{"/small", "/large", "/pieces"}[i%3] + " HTTP/1.1\r\nHost: h\r\n\r\n"
		pouring.Go(func() {
			_ = conn.SetWriteDeadline(time.Now().Add(patience))
			if _, err := io.Copy(conn, repeat(request)); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("peer %d reads nothing and is not cut", i)
			}
		})
	}
	for n := int64(-1); n != handled.Load(); { // until nothing moves
		n = handled.Load()
		time.Sleep(200 * time.Millisecond)
	}
	b.wantServed()
	// Input and output of the connection, an answer that is being written, a
	// goroutine that waits.
	const most = 160 << 10
	each := (memoryInUse() - empty) / int64(len(conns))
	t.Logf("%d requests; a pipeline whose answers nobody reads costs %d octets", handled.Load(), each)
	if each > most {
		t.Errorf("a pipeline whose answers nobody reads costs %d octets, want at most %d", each, most)
	}
	pouring.Wait()
	if !settles(func() bool { return open.Load() <= 1 }) { // the bystander
		t.Errorf("%d connections are open", open.Load()-1)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	before.wantBack(t)
}
