// SPDX-License-Identifier: MIT

package server_test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// The tests whose names begin with TestHostile are attacks, over real sockets and
// on both engines. Each ends with the server as it was: the peers that were bad
// are refused or cut, a client that is not was served all the while, and nothing
// is left of it, be it memory, goroutines or descriptors. In the ordinary run they
// are small; `make hostile` runs them at full size, and `make hostile-latency`
// measures what of an attack a client notices.

var hostile = flag.String("hostile", "", `size of the attacks: "full", or "latency" for the measurement`)

// scale is the size of an attack, in the ordinary run and at full size.
func scale(small, full int) int {
	if *hostile == "full" {
		return full
	}
	return small
}

// sameOnAll skips what is the same on all engines when the first has had its turn:
// TLS has only one.
func sameOnAll(t *testing.T) {
	t.Helper()
	if engine != engines()[0] {
		t.Skip("the first engine has done it")
	}
}

// besieged starts a server that is going to be attacked. When the test is over
// and the server closed, nothing may be left.
func besieged(t *testing.T, s *server.HTTPServer) string {
	t.Helper()
	leavesNothing(t)
	return start(t, s)
}

// leavesNothing checks that at the end of the test there are as many goroutines
// and descriptors as now.
func leavesNothing(t *testing.T) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles()
	t.Cleanup(func() {
		if !settles(func() bool { return openFiles() <= files }) {
			t.Errorf("%d descriptors before, %d after: %v", files, openFiles(), descriptors())
		}
		if !settles(func() bool { return runtime.NumGoroutine() <= goroutines }) {
			stacks := make([]byte, 1<<20)
			t.Errorf("%d goroutines before, %d after\n%s", goroutines, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	})
}

// footing is what a server that is up stands on: goroutines and descriptors.
type footing struct{ goroutines, files int }

func footingNow() footing { return footing{runtime.NumGoroutine(), openFiles()} }

// wantBack checks that a server that is still up has got rid of an attack. Its
// loops may keep a few more workers than they had.
func (f footing) wantBack(t *testing.T) {
	t.Helper()
	const workers = 4
	if !settles(func() bool { return runtime.NumGoroutine() <= f.goroutines+workers*runtime.GOMAXPROCS(0) }) {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines before the attack, %d after it\n%s", f.goroutines, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
	}
	if !settles(func() bool { return openFiles() <= f.files }) {
		t.Errorf("%d descriptors before the attack, %d after it: %v", f.files, openFiles(), descriptors())
	}
}

// descriptors says what the open ones are, for a message.
func descriptors() (list []string) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		target, _ := os.Readlink("/proc/self/fd/" + e.Name())
		list = append(list, target)
	}
	return list
}

// memoryInUse is what the heap and the stacks hold after a collection.
func memoryInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools keep what they have for one more
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// bystander is a client that behaves, and asks for "/nonce?…" again and again
// over one connection while others attack. The answer has to be the target.
type bystander struct {
	t         testing.TB
	addr      string
	conn      net.Conn
	r         *bufio.Reader
	stop      chan struct{}
	done      sync.WaitGroup
	answered  atomic.Int64
	latencies []time.Duration // of all answers, once it has stopped
}

// standBy starts a bystander, which rests for a moment between requests. When
// standBy returns, the server is up.
func standBy(t testing.TB, addr string) *bystander {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	b := &bystander{t: t, addr: addr, conn: conn, r: bufio.NewReader(conn), stop: make(chan struct{})}
	b.done.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-b.stop:
				return
			case <-time.After(time.Millisecond):
			}
			began := time.Now()
			if err := b.ask(n); err != nil {
				t.Errorf("a client that behaves, request %d: %v", n, err)
				return
			}
			b.latencies = append(b.latencies, time.Since(began))
			b.answered.Add(1)
		}
	})
	t.Cleanup(b.leave)
	if !settles(func() bool { return b.answered.Load() > 0 || t.Failed() }) {
		t.Fatal("not served before the attack")
	}
	return b
}

func (b *bystander) ask(n int) error {
	_ = b.conn.SetDeadline(time.Now().Add(patience))
	target := fmt.Sprintf("/nonce?%d", n)
	if _, err := fmt.Fprintf(b.conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target); err != nil {
		return err
	}
	res, err := http.ReadResponse(b.r, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != 200 || string(body) != target) {
		err = fmt.Errorf("the answer is %d %q", res.StatusCode, clip(string(body)))
	}
	return err
}

// wantServed checks that the bystander goes on being served, and somebody who
// comes now as well.
func (b *bystander) wantServed() {
	b.t.Helper()
	before := b.answered.Load()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	c := converse(b.t, conn)
	c.get("/nonce?new")
	c.wantAnswer(200, "/nonce?new")
	_ = conn.Close()
	if !settles(func() bool { return b.answered.Load() > before || b.t.Failed() }) {
		b.t.Fatal("a client that behaves is not served during the attack")
	}
}

// leave ends the bystander.
func (b *bystander) leave() {
	select {
	case <-b.stop:
		return
	default:
	}
	close(b.stop)
	b.done.Wait()
	_ = b.conn.Close()
	slices.Sort(b.latencies)
}

// percentile is a latency, of a bystander that has left.
func (b *bystander) percentile(p float64) time.Duration {
	if len(b.latencies) == 0 {
		return 0
	}
	return b.latencies[min(int(p*float64(len(b.latencies))), len(b.latencies)-1)]
}

// answerTarget answers a request with its target.
func answerTarget(r *server.HTTPRequest) { _ = r.SendString(200, text, r.Target()) }

// readBody reads the body of a request, or answers why it cannot be read.
func readBody(r *server.HTTPRequest) bool {
	_, err := r.Body()
	if err != nil {
		_ = r.SendError(err)
	}
	return err == nil
}

// orNonce answers what bystanders ask, and leaves the rest to h.
func orNonce(h func(*server.HTTPRequest)) server.HandlerFunc {
	return func(r *server.HTTPRequest) {
		if r.Path() == "/nonce" {
			answerTarget(r)
			return
		}
		h(r)
	}
}

// source is an address of this machine that connections can come from: there are
// more of them than a single one has ports.
func source(i int) net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 1+byte(i>>16)&0x3f, byte(i>>8), byte(i)|1)}
}

// dialFrom connects from a source address; unlike dial it leaves the closing to
// the caller.
func dialFrom(i int, addr string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: source(i), Timeout: patience}
	conn, err := d.Dial("tcp", addr)
	if err != nil { // a system that has only one loopback address
		conn, err = net.Dial("tcp", addr)
	}
	return conn, err
}

// crowd connects n times, a quarter of a thousand from each address, until the
// end of the test.
func crowd(t testing.TB, n int, addr string) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, 0, n)
	t.Cleanup(func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	for i := range n {
		conn, err := dialFrom(i/250, addr)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		_ = conn.SetDeadline(time.Now().Add(4 * patience))
		conns = append(conns, conn)
	}
	return conns
}

// statusOf reads the first answer of a connection whose server may have cut it: 0
// then, and -1 when it neither answers nor cuts.
func statusOf(conn net.Conn) int {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return res.StatusCode
	case errors.As(err, &timeout) && timeout.Timeout():
		return -1
	}
	return 0
}

// drip sends one octet of s after another, with a pause, and s again when it is
// through, until the connection is cut.
func drip(conn net.Conn, s string, pause time.Duration) {
	for i := 0; ; i++ {
		if _, err := io.WriteString(conn, s[i%len(s):i%len(s)+1]); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// countOpen is a ConnState that counts the open connections.
func countOpen(n *atomic.Int64) func(*server.HTTPConnection, http.ConnState) {
	return func(_ *server.HTTPConnection, s http.ConnState) {
		switch s {
		case http.StateNew:
			n.Add(1)
		case http.StateClosed:
			n.Add(-1)
		}
	}
}
