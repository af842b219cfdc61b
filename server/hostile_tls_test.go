// SPDX-License-Identifier: MIT

package server_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// helloBeginning is a TLS record with the beginning of a handshake, cut after n octets.
func helloBeginning(t *testing.T, n int) string {
	t.Helper()
	ours, theirs := net.Pipe()
	defer func() { _ = ours.Close() }()
	go func() {
		_ = tls.Client(theirs, &tls.Config{ServerName: "localhost"}).Handshake()
		_ = theirs.Close()
	}()
	record := make([]byte, n)
	if _, err := io.ReadFull(ours, record); err != nil {
		t.Fatal(err)
	}
	return string(record)
}

// TestHostileHandshakes floods a TLS port with handshakes that stop half-way, that
// are done and left, and that go wrong. Those who stop are given up when there are
// too many or their time is over; a client that behaves gets through.
func TestHostileHandshakes(t *testing.T) {
	sameOnAll(t)
	leavesNothing(t)
	_, pool, certFile, keyFile := certificate(t)
	const at = 16 // handshakes at once
	var open, failed atomic.Int64
	addr := startTLS(t, &server.HTTPServer{
		MaxHandshakes: at, HeaderTimeout: patience, // far away: it is the number that counts
		ConnState: countOpen(&open), TLSError: func(net.Conn, error) { failed.Add(1) },
		Handler: server.HandlerFunc(answerTarget),
	}, certFile, keyFile)
	first := dialTLS(t, addr, pool)
	ask := func(c *conversation, target string) {
		t.Helper()
		c.get(target)
		c.wantAnswer(200, target)
	}
	ask(first, "/first")
	before := footingNow()
	memory := memoryInUse()

	hello := helloBeginning(t, 100)
	stops := []string{"", hello[:3], hello, "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03"} // the last promises 16 KiB
	n := scale(100, 3000)
	conns := crowd(t, n, addr)
	for i, conn := range conns {
		_, _ = io.WriteString(conn, stops[i%len(stops)])
	}
	ask(first, "/meanwhile")
	newcomer := func() (*tls.Conn, error) {
		return tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "localhost"})
	}
	// While the flood is being accepted any handshake may be the oldest, that of a
	// client that behaves as well; who tries again gets through.
	visit := func(target string) bool {
		conn, err := newcomer()
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", target)
		answer, _ := io.ReadAll(conn)
		return strings.HasSuffix(string(answer), target)
	}
	if !settles(func() bool { return visit("/new") }) {
		t.Error("nobody gets through")
	}
	if !settles(func() bool { return failed.Load() >= int64(n-at) }) {
		t.Errorf("of %d stopped handshakes %d were given up, want all but %d", n, failed.Load(), at)
	}
	if more := memoryInUse() - memory; more > int64(n)*1024+at*(64<<10) {
		t.Errorf("%d stopped handshakes hold %d octets", n, more)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}

	// Handshakes that cost the server most: done, and left without a request.
	var flooding sync.WaitGroup
	for range 4 {
		flooding.Go(func() {
			for i := range scale(25, 500) {
				conn, err := newcomer()
				if err != nil {
					continue // given up: there were too many
				}
				if i%2 == 0 {
					_ = conn.NetConn().(*net.TCPConn).SetLinger(0)
				}
				_ = conn.NetConn().Close()
			}
		})
	}
	flooding.Wait()
	ask(first, "/after")
	if !settles(func() bool { return visit("/later") }) {
		t.Error("nobody gets through afterwards")
	}
	before.wantBack(t)
	if !settles(func() bool { return open.Load() <= 1 }) {
		t.Errorf("%d connections are left", open.Load())
	}
	_ = first.conn.Close()
}

// TestHostileHandshakeTime ends handshakes that go on, octet by octet, when their
// time is over.
func TestHostileHandshakeTime(t *testing.T) {
	sameOnAll(t)
	leavesNothing(t)
	_, pool, certFile, keyFile := certificate(t)
	addr := startTLS(t, &server.HTTPServer{HeaderTimeout: moment, Handler: server.HandlerFunc(answerTarget)}, certFile, keyFile)
	record := "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03" + strings.Repeat("x", 16<<10)
	conns := crowd(t, scale(40, 500), addr)
	var drips sync.WaitGroup
	for _, conn := range conns {
		drips.Go(func() { drip(conn, record, 10*time.Millisecond) })
	}
	for i, conn := range conns {
		if statusOf(conn) != 0 {
			t.Errorf("peer %d is not cut", i)
		}
		_ = conn.Close()
	}
	drips.Wait()
	c := dialTLS(t, addr, pool)
	c.get("/after")
	c.wantAnswer(200, "/after")
	_ = c.conn.Close()
}

// TestHostileRenegotiation asks for another handshake within a TLS 1.2 connection,
// which crypto/tls grants to no client of a server. There is a client that can ask:
// that of OpenSSL.
func TestHostileRenegotiation(t *testing.T) {
	sameOnAll(t)
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl to ask for renegotiation with")
	}
	leavesNothing(t)
	_, _, certFile, keyFile := certificate(t)
	var called atomic.Int64
	addr := startTLS(t, &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		called.Add(1)
		answerTarget(r)
	})}, certFile, keyFile)
	cmd := exec.Command(openssl, "s_client", "-tls1_2", "-connect", addr, "-servername", "localhost")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer hung.Stop()
	_, _ = io.WriteString(stdin, "GET /before HTTP/1.1\r\nHost: h\r\n\r\n")
	r := bufio.NewReader(stdout)
	var out strings.Builder
	for !strings.HasSuffix(out.String(), "/before") {
		octet, err := r.ReadByte()
		if err != nil {
			t.Fatalf("no answer: %v\n%s\n%s", err, out.String(), log.String())
		}
		out.WriteByte(octet)
	}
	_, _ = io.WriteString(stdin, "R\n")
	rest, _ := io.ReadAll(r) // until it gives up
	_ = stdin.Close()
	_ = cmd.Wait()
	said := string(rest) + log.String()
	if !strings.Contains(said, "RENEGOTIATING") {
		t.Skipf("openssl did not ask: %s", clip(said))
	}
	if !strings.Contains(said, "alert") {
		t.Errorf("renegotiation was not refused with an alert: %s", said)
	}
	if called.Load() != 1 {
		t.Errorf("%d requests were served, want the one before", called.Load())
	}
}

// TestHostileTLSRecords sends, within TLS, what is hostile without it, and records
// that carry nothing.
func TestHostileTLSRecords(t *testing.T) {
	sameOnAll(t)
	leavesNothing(t)
	_, pool, certFile, keyFile := certificate(t)
	addr := startTLS(t, &server.HTTPServer{HeaderTimeout: moment, MinRate: 1 << 40, RateGrace: moment / 2, Handler: orNonce(func(r *server.HTTPRequest) {
		if !readBody(r) {
			return
		}
		for {
			if _, err := r.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})}, certFile, keyFile)
	before := footingNow()
	for _, tt := range []struct {
		name, sends string
		status      int
	}{
		{"half a head", "GET / HTT", http.StatusRequestTimeout},
		{"half a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1", http.StatusRequestTimeout},
		{"no HTTP", "\x00\x01\x02", http.StatusBadRequest},
		{"a head that is too large", "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 100<<10), http.StatusRequestHeaderFieldsTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dialTLS(t, addr, pool)
			c.send("%s", tt.sends)
			c.wantStatus(tt.status)
			c.wantEnd(tt.name)
			_ = c.conn.Close()
		})
	}
	t.Run("an answer nobody reads", func(t *testing.T) {
		c := dialTLS(t, addr, pool)
		c.get("/")
		raw := c.conn.(*tls.Conn).NetConn()
		// The peer neither reads nor leaves: that the server cuts shows in a write.
		if !settles(func() bool { _, err := fmt.Fprint(raw, "x"); return err != nil }) {
			t.Error("a peer that reads nothing is not cut")
		}
		_ = raw.Close()
	})
	before.wantBack(t)
}
