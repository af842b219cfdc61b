// SPDX-License-Identifier: MIT

package server_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/pleat-go/pleat/server"
)

// garbage is what other protocols, scanners and broken clients send to a port. None
// of it is a request.
func garbage() map[string]string {
	wide := func(s string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return string(b)
	}
	const get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	return map[string]string{
		"TLS client hello":       "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x5a", 160),
		"SSL 2 client hello":     "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + strings.Repeat("\x01", 37),
		"TLS alert":              "\x15\x03\x03\x00\x02\x02\x28\r\n\r\n",
		"SSH":                    "SSH-2.0-OpenSSH_9.6\r\n" + strings.Repeat("\x00", 40),
		"SMTP":                   "EHLO mail.example\r\nMAIL FROM:<a@b>\r\n",
		"FTP":                    "USER anonymous\r\nPASS x\r\n",
		"Redis":                  "*1\r\n$4\r\nPING\r\n",
		"memcached":              "stats\r\n",
		"SOCKS 4":                "\x04\x01\x00\x50\x7f\x00\x00\x01\x00\r\n",
		"SOCKS 5":                "\x05\x01\x00\r\n\r\n",
		"DNS":                    "\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01",
		"SMB":                    "\x00\x00\x00\x2f\xffSMBr\x00\x00\x00\x00",
		"RDP":                    "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
		"PostgreSQL":             "\x00\x00\x00\x08\x04\xd2\x16\x2f",
		"a PROXY line":           "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get,
		"a PROXY header":         "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x01\x00\x02" + get,
		"HTTP/2":                 "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		"HTTP/0.9":               "GET /\r\n",
		"RTSP":                   "DESCRIBE rtsp://h/s RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"SIP":                    "OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n\r\n",
		"an answer":              "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"a WebSocket frame":      "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\r\n",
		"a request in UTF-16":    "\xff\xfe" + wide(get),
		"a byte order mark":      "\xef\xbb\xbf" + get,
		"lines without CR":       "GET / HTTP/1.1\nHost: h\n\n",
		"lines without LF":       "GET / HTTP/1.1\rHost: h\r\r",
		"JSON":                   `{"jsonrpc":"2.0","method":"x"}` + "\r\n",
		"a shell":                "id; uname -a\n",
		"NULs":                   strings.Repeat("\x00", 10_000),
		"0xff":                   strings.Repeat("\xff", 10_000),
		"format verbs":           "%s%n%x%d" + strings.Repeat("%n", 1000) + "\r\n\r\n",
		"escape sequences":       "\x1b[2J\x1b]0;owned\x07\r\n\r\n",
		"a NUL in the method":    "GE\x00T / HTTP/1.1\r\nHost: h\r\n\r\n",
		"a request in a request": "GET GET / HTTP/1.1\r\nHost: h\r\n\r\n",
	}
}

// noise makes random octets: of all kinds, of those that heads are made of, and
// heads with some octets changed.
func noise(rng *rand.Rand) string {
	b := make([]byte, 1+rng.IntN(4000))
	switch rng.IntN(3) {
	case 0:
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
	case 1:
		const some = "GETPOST /HTTP/1.1\r\n\r\n:; ,\t\"%20abc0\x00\x80"
		for i := range b {
			b[i] = some[rng.IntN(len(some))]
		}
	default:
		b = []byte("POST /never HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nX-Y: z\r\n\r\nabc")
		for range 1 + rng.IntN(5) {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
		b[rng.IntN(18)] = "\x00\r\n\x7f"[rng.IntN(4)] // within "POST /never HTTP/1": no request in any case
	}
	return string(b)
}

// port is a place to send garbage to.
type port struct {
	name string
	dial func() (net.Conn, error)
	ask  func(*testing.T) // as a client that behaves
}

// TestHostileGarbage sends to every kind of port what is no request. It is refused,
// no handler sees it, and nobody else notices.
func TestHostileGarbage(t *testing.T) {
	leavesNothing(t)
	_, pool, certFile, keyFile := certificate(t)
	newServer := func() *server.HTTPServer {
		return &server.HTTPServer{HeaderTimeout: 5 * time.Second, Handler: orNonce(func(r *server.HTTPRequest) {
			t.Errorf("garbage reached a handler: %q", clip(r.Method()+" "+r.Target()))
		})}
	}
	tcp := start(t, newServer())
	secure := startTLS(t, newServer(), certFile, keyFile)
	socket, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	startOn(t, newServer(), socket)
	nonce := func(t *testing.T, c *conversation) {
		c.get("/nonce")
		c.wantAnswer(200, "/nonce")
		_ = c.conn.Close()
	}
	ports := []port{
		{"tcp", func() (net.Conn, error) { return net.Dial("tcp", tcp) }, func(t *testing.T) { nonce(t, dial(t, tcp)) }},
		{"unix", func() (net.Conn, error) { return net.Dial("unix", socket.Addr().String()) }, func(t *testing.T) {
			conn, err := net.Dial("unix", socket.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			nonce(t, converse(t, conn))
		}},
		{"tls", func() (net.Conn, error) { return net.Dial("tcp", secure) }, func(t *testing.T) { nonce(t, dialTLS(t, secure, pool)) }},
	}
	for _, p := range ports {
		t.Run(p.name, func(t *testing.T) {
			for name, octets := range garbage() {
				p.offer(t, name, octets)
			}
			p.ask(t)
			var offering sync.WaitGroup
			for worker := range 4 {
				offering.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(worker), 13))
					for n := range scale(50, 2000) {
						p.offer(t, fmt.Sprintf("noise %d of worker %d", n, worker), noise(rng))
					}
				})
			}
			offering.Wait()
			p.ask(t)
		})
	}
}

// offer sends octets and looks at what comes back, which must be a refusal, or
// nothing.
func (p port) offer(t *testing.T, name, octets string) {
	conn, err := p.dial()
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, octets)
	_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	answer, err := io.ReadAll(io.LimitReader(conn, 1<<20))
	if timeout, ok := err.(interface{ Timeout() bool }); ok && timeout.Timeout() {
		t.Errorf("%s: the connection stays open", name)
	}
	if len(answer) == 0 || p.name == "tls" && answer[0] == 0x15 { // an alert
		return
	}
	line, _, _ := strings.Cut(string(answer), "\r\n")
	if !strings.HasPrefix(line, "HTTP/1.1 4") && !strings.HasPrefix(line, "HTTP/1.1 5") && !(p.name == "tls" && line == "HTTP/1.0 400 Bad Request") {
		t.Errorf("%s: the answer begins with %q", name, clip(line))
	}
	// What was sent comes back to nobody.
	if body := string(answer); strings.Contains(body, "\x1b") || strings.Contains(body, "%n") || strings.Contains(body, "\x00") {
		t.Errorf("%s: the answer repeats it: %q", name, clip(body))
	}
}
