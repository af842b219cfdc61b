// SPDX-License-Identifier: MIT

package server_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/server"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// startProxied serves s behind proxies until the test ends.
func startProxied(t testing.TB, s *server.HTTPServer, proxy *server.ProxyProtocol) string {
	t.Helper()
	l, err := (&server.ListenConfig{Proxy: proxy}).Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	startOn(t, s, l)
	return l.Addr().String()
}

// whose tells what a handler sees of its connection.
func whose(r *server.HTTPRequest) {
	proxy := "none"
	if a := r.Connection().ProxyAddr(); a != nil {
		proxy = a.(*net.TCPAddr).IP.String()
	}
	_ = r.SendString(200, text, strings.Join([]string{
		r.PeerIP().String(), r.RemoteIP().String(), r.RemoteAddr(), r.LocalAddr().String(), proxy, r.StdRequest().RemoteAddr,
	}, " "))
}

const (
	relayed4 = "192.0.2.7 192.0.2.7 192.0.2.7:4321 198.51.100.1:443 127.0.0.1 192.0.2.7:4321"
	relayed6 = "2001:db8::7 2001:db8::7 [2001:db8::7]:4321 [2001:db8::1]:443 127.0.0.1 [2001:db8::7]:4321"
	line4    = "PROXY TCP4 192.0.2.7 198.51.100.1 4321 443\r\n"
	line6    = "PROXY TCP6 2001:db8::7 2001:db8::1 4321 443\r\n"
)

// binaryHeader is a header of version 2.
func binaryHeader(command, family byte, block ...byte) string {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	return string(append(binary.BigEndian.AppendUint16(b, uint16(len(block))), block...))
}

func binary4(extra ...byte) string {
	return binaryHeader(0x21, 0x11, append([]byte{192, 0, 2, 7, 198, 51, 100, 1, 0x10, 0xe1, 0x01, 0xbb}, extra...)...)
}

func TestProxyProtocol(t *testing.T) {
	addr := startProxied(t, &server.HTTPServer{Handler: server.HandlerFunc(whose)}, &server.ProxyProtocol{Trusted: loopback})
	for name, test := range map[string]struct{ header, want string }{
		"line":           {line4, relayed4},
		"line, IPv6":     {line6, relayed6},
		"binary":         {binary4(), relayed4},
		"binary, TLVs":   {binary4(append([]byte{4, 2, 0}, make([]byte, 512)...)...), relayed4},
		"UNKNOWN":        {"PROXY UNKNOWN\r\n", ""},
		"LOCAL":          {binaryHeader(0x20, 0), ""},
		"LOCAL, with it": {binaryHeader(0x20, 0x11, 192, 0, 2, 7, 198, 51, 100, 1, 0x10, 0xe1, 0x01, 0xbb), ""},
		"unspecified":    {binaryHeader(0x21, 0), ""},
		"Unix":           {binaryHeader(0x21, 0x31, make([]byte, 216)...), ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			want := test.want
			if want == "" { // the real ends
				ip, here, there := "127.0.0.1", c.conn.LocalAddr().String(), c.conn.RemoteAddr().String()
				want = strings.Join([]string{ip, ip, here, there, "none", here}, " ")
			}
			c.send("%s", test.header+"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
			c.wantAnswer(200, want)
			c.wantAnswer(200, want)
			c.get("/3") // a second header would be no request
			c.wantAnswer(200, want)

			// By itself, and in two pieces.
			c = dial(t, addr)
			c.send("%s", test.header[:9])
			c.send("%s", test.header[9:])
			c.get("/")
			if a := c.wantStatus(200); test.want != "" && a.body != want {
				t.Errorf("the header by itself: %q", a.body)
			}
			// Another header is no request.
			c.send("%s", line4)
			c.wantStatus(400)
			c.wantClosed("a second header")
		})
	}
}

func TestProxyProtocolCutAnywhere(t *testing.T) {
	addr := startProxied(t, &server.HTTPServer{Handler: server.HandlerFunc(whose)}, &server.ProxyProtocol{Trusted: loopback})
	for _, header := range []string{line4, binary4(5, 0, 2, 'i', 'd')} {
		in := header + "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
		for i := range len(in) {
			c := dial(t, addr)
			c.send("%s", in[:i])
			c.send("%s", in[i:])
			c.wantAnswer(200, relayed4)
			_ = c.conn.Close()
		}
		c := dial(t, addr) // and octet by octet
		for i := range len(in) {
			c.send("%s", in[i:i+1])
		}
		c.wantAnswer(200, relayed4)
	}
}

// wantRefused checks that a connection ends without an answer.
func (c *conversation) wantRefused(why string) {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("%s: answered with %q, %v", why, b, err)
	}
	_ = c.conn.Close()
}

func TestProxyProtocolRefusals(t *testing.T) {
	states := &stateLog{}
	s := &server.HTTPServer{Handler: server.HandlerFunc(whose), ConnState: states.add}
	addr := startProxied(t, s, &server.ProxyProtocol{Trusted: loopback})
	for name, in := range map[string]string{
		"a request":       "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"TLS":             "\x16\x03\x01\x00\x05hello",
		"one octet":       "x",
		"a bad line":      "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"an endless line": "PROXY UNKNOWN " + strings.Repeat("x", 200),
		"LF":              "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"too large":       binaryHeader(0x21, 0x11, make([]byte, 5000)...),
		"a bad checksum":  binary4(3, 0, 4, 1, 2, 3, 4) + "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"version 3":       binaryHeader(0x31, 0x11, make([]byte, 12)...),
	} {
		c := dial(t, addr)
		_, _ = io.WriteString(c.conn, in) // which the refusal may overtake
		c.wantRefused(name)
	}
	// Who ends half-way.
	c := dial(t, addr)
	c.send("PROXY TCP4 1.2")
	c.closeWrite()
	c.wantRefused("half a line")
	dial(t, addr).conn.Close()
	must(t, s.Shutdown(t.Context()))
	if got := states.all(); got != "" {
		t.Errorf("ConnState was told of refused connections: %s", got)
	}
}

// stateLog collects states of connections.
type stateLog struct {
	mu   sync.Mutex
	text []string
}

func (s *stateLog) add(c *server.HTTPConnection, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, state.String()+" "+c.RemoteAddr().String())
}

func (s *stateLog) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.text, ", ")
}

func TestProxyProtocolConnState(t *testing.T) {
	states := &stateLog{}
	s := &server.HTTPServer{Handler: server.HandlerFunc(ok), ConnState: states.add}
	addr := startProxied(t, s, &server.ProxyProtocol{Trusted: loopback})
	c := dial(t, addr)
	c.send("%s", line4+"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	c.wantStatus(200)
	c.wantClosed("asked for")
	must(t, s.Shutdown(t.Context()))
	const peer = " 192.0.2.7:4321"
	if got, want := states.all(), "new"+peer+", active"+peer+", closed"+peer; got != want {
		t.Errorf("states: %s, want %s", got, want)
	}
}

func TestProxyProtocolUntrusted(t *testing.T) {
	var out lockedBuffer
	log := zerolog.New(&out)
	addr := startProxied(t, &server.HTTPServer{Handler: server.HandlerFunc(whose), ErrorLog: &log},
		&server.ProxyProtocol{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, TrustUnix: true})
	for _, in := range []string{line4, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", ""} {
		c := dial(t, addr)
		_, _ = io.WriteString(c.conn, in)
		c.wantRefused("an untrusted peer")
	}
	if s := out.String(); !strings.Contains(s, "not trusted") || !strings.Contains(s, "127.0.0.1") {
		t.Errorf("log: %s", s)
	}
}

func TestProxyProtocolTimeout(t *testing.T) {
	addr := startProxied(t, &server.HTTPServer{Handler: server.HandlerFunc(whose), HeaderTimeout: -1},
		&server.ProxyProtocol{Trusted: loopback, Timeout: moment / 4})
	c := dial(t, addr)
	c.wantRefused("nothing came")
	c = dial(t, addr)
	c.send("PROXY TCP4 ")
	c.wantRefused("not all of it came")
	// The time of a head begins after the header.
	addr = startProxied(t, &server.HTTPServer{Handler: server.HandlerFunc(whose), HeaderTimeout: moment / 4},
		&server.ProxyProtocol{Trusted: loopback, Timeout: time.Minute})
	c = dial(t, addr)
	c.send("%s", line4+"GET / ")
	c.wantStatus(http.StatusRequestTimeout)
	c.wantClosed("too late")
	c = dial(t, addr)
	c.send("%s", line4)
	c.wantClosed("no request")
}

func TestProxyProtocolPerIP(t *testing.T) {
	addr := startProxied(t, &server.HTTPServer{Handler: server.HandlerFunc(ok), MaxConnsPerIP: 1}, &server.ProxyProtocol{Trusted: loopback})
	// Many proxies' connections, each for another client.
	first := dial(t, addr)
	first.send("%s", line4)
	first.wantOpen("/")
	other := dial(t, addr)
	other.send("%s", line6)
	other.wantOpen("/")
	second := dial(t, addr)
	second.send("%s", line4+"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	second.wantRefused("the second of one client")
	// It was not counted twice, and who leaves is counted out.
	_ = first.conn.Close()
	if !settles(func() bool {
		c := dial(t, addr)
		defer func() { _ = c.conn.Close() }()
		_, _ = io.WriteString(c.conn, line4+"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		res, err := http.ReadResponse(c.r, nil)
		return err == nil && res.StatusCode == 200
	}) {
		t.Error("a client that left is still counted")
	}
}

func TestProxyProtocolXHeaders(t *testing.T) {
	// The forwarding fields are believed of the peer that the header named.
	addr := startProxied(t, &server.HTTPServer{
		Handler:  server.HandlerFunc(whose),
		XHeaders: &server.TrustPolicy{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, TrustUnix: true, Source: server.SourceXForwardedFor},
	}, &server.ProxyProtocol{Trusted: loopback})
	for header, want := range map[string]string{
		line4: "192.0.2.7 203.0.113.9 192.0.2.7:4321",
		line6: "2001:db8::7 2001:db8::7 [2001:db8::7]:4321",
		binaryHeader(0x21, 0x31, make([]byte, 216)...): "127.0.0.1 127.0.0.1 ",
	} {
		c := dial(t, addr)
		c.send("%s", header+"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
		if a := c.wantStatus(200); !strings.HasPrefix(a.body, want) {
			t.Errorf("%q: %s, want %s", header, a.body, want)
		}
	}
}

func TestProxyProtocolTLS(t *testing.T) {
	_, pool, certFile, keyFile := certificate(t)
	failures := make(chan string, 10)
	s := &server.HTTPServer{
		Handler:  server.HandlerFunc(whose),
		TLSError: func(conn net.Conn, _ error) { failures <- conn.RemoteAddr().String() },
	}
	l, err := (&server.ListenConfig{Proxy: &server.ProxyProtocol{Trusted: loopback}}).Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeTLS(l, certFile, keyFile) }()
	for _, header := range []string{line4, binary4()} {
		for _, split := range []bool{true, false} {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			var through net.Conn = conn
			if split {
				_, err = io.WriteString(conn, header)
				must(t, err)
			} else { // in one piece with the client's first flight
				through = &prefixed{conn, []byte(header)}
			}
			c := converse(t, tls.Client(through, &tls.Config{RootCAs: pool, ServerName: "localhost"}))
			c.get("/")
			c.wantAnswer(200, relayed4)
			_ = conn.Close()
		}
	}
	c := dial(t, l.Addr().String())
	c.send("%s", line6+"GET / HTTP/1.1\r\n\r\n")
	c.wantLine("HTTP/1.0 400 Bad Request")
	_ = c.conn.Close()
	if who := <-failures; who != "[2001:db8::7]:4321" {
		t.Errorf("the handshake of %s failed", who)
	}
	must(t, s.Shutdown(t.Context()))
	<-served
}

func TestProxyProtocolHTTP2(t *testing.T) {
	_, pool, certFile, keyFile := certificate(t)
	s := &server.HTTPServer{HTTP2: server.HTTP2{Cleartext: true}, Engine: engine, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		_ = r.SendString(200, text, r.Protocol()+" "+r.PeerIP().String()+" "+r.RemoteAddr()+" "+r.LocalAddr().String())
	})}
	served := make(chan error, 2)
	for _, secure := range []bool{true, false} {
		l, err := (&server.ListenConfig{Proxy: &server.ProxyProtocol{Trusted: loopback}}).Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}, Protocols: new(http.Protocols),
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				conn, err := d.DialContext(ctx, "tcp", l.Addr().String())
				if err != nil {
					return nil, err
				}
				return &prefixed{conn, []byte(line4)}, nil
			},
		}
		url := "http://localhost/"
		if secure {
			url = "https://localhost/"
			transport.Protocols.SetHTTP2(true)
			go func() { served <- s.ServeTLS(l, certFile, keyFile) }()
		} else {
			transport.Protocols.SetUnencryptedHTTP2(true)
			go func() { served <- s.Serve(l) }()
		}
		res, err := (&http.Client{Transport: transport}).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); string(b) != "HTTP/2.0 192.0.2.7 192.0.2.7:4321 198.51.100.1:443" || err != nil {
			t.Errorf("%s: %q, %v", url, b, err)
		}
		_ = res.Body.Close()
		transport.CloseIdleConnections()
	}
	must(t, s.Shutdown(t.Context()))
	<-served
	<-served
}

// prefixed writes something in front of the first write.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Write(b []byte) (int, error) {
	n := len(p.prefix)
	all := append(p.prefix, b...)
	p.prefix = nil
	k, err := p.Conn.Write(all)
	return max(k-n, 0), err
}

func TestProxyProtocolHijack(t *testing.T) {
	addr := startProxied(t, &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		conn, rw, err := r.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, conn.RemoteAddr().String()+" "+conn.LocalAddr().String()+" "+line)
		_ = conn.Close()
	})}, &server.ProxyProtocol{Trusted: loopback})
	c := dial(t, addr)
	c.send("%s", line4+"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	c.send("hello\n")
	c.wantLine("192.0.2.7:4321 198.51.100.1:443 hello")
}

// A body that came together with the PROXY header is still a body, however much of
// it there was: nothing is left out, and nothing of it becomes another request.
func TestProxyProtocolBody(t *testing.T) {
	addr := startProxied(t, &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		body, err := r.Body()
		if err != nil {
			t.Error(err)
		}
		_ = r.SendString(200, text, fmt.Sprintf("%s %x", r.Path(), sha256.Sum256(body)))
	})}, &server.ProxyProtocol{Trusted: loopback})
	for _, size := range []int{100, 7000, 8192, 20_000, 60_000, 300_000} {
		body := strings.Repeat("GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", size/38)
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(body)))
		c := dial(t, addr)
		c.send("%s", fmt.Sprintf("%sPOST /body HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", line4, len(body), body)+
			"GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		for _, want := range []string{"/body " + sum, "/next " + fmt.Sprintf("%x", sha256.Sum256(nil))} {
			if a := c.read("GET"); a.body != want {
				t.Errorf("with a body of %d octets: %q, want %q", len(body), a.body, want)
			}
		}
	}
}

func TestProxyProtocolShutdown(t *testing.T) {
	s := &server.HTTPServer{Handler: server.HandlerFunc(whose)}
	addr := startProxied(t, s, &server.ProxyProtocol{Trusted: loopback, Timeout: time.Hour})
	silent, half, idle := dial(t, addr), dial(t, addr), dial(t, addr)
	half.send("PROXY TC")
	idle.send("%s", line4)
	idle.wantOpen("/")
	idle2 := dial(t, addr)
	idle2.send("%s", line4)
	must(t, s.Shutdown(t.Context())) // not in an hour
	silent.wantRefused("the server ends")
	half.wantRefused("the server ends")
	idle.wantRefused("the server ends")
	idle2.wantRefused("the server ends")
}

func TestProxyProtocolUnixSocket(t *testing.T) {
	t.Chdir(t.TempDir())
	l, err := (&server.ListenConfig{Proxy: &server.ProxyProtocol{TrustUnix: true}}).Listen("./a.sock")
	if err != nil {
		t.Fatal(err)
	}
	startOn(t, &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		_ = r.SendString(200, text, r.RemoteAddr()+" "+r.RemoteIP().String())
	})}, l)
	for header, want := range map[string]string{line4: "192.0.2.7:4321 192.0.2.7", "PROXY UNKNOWN\r\n": "invalid IP"} {
		conn, err := net.Dial("unix", "a.sock")
		if err != nil {
			t.Fatal(err)
		}
		c := converse(t, conn)
		c.send("%s", header)
		c.get("/")
		if a := c.wantStatus(200); !strings.HasSuffix(a.body, want) {
			t.Errorf("%q: %q, want %q", header, a.body, want)
		}
	}
}

func TestProxyProtocolAnyConn(t *testing.T) {
	// A listener of the caller's, of connections without addresses.
	here, there := net.Pipe()
	inner := &scriptedListener{results: make(chan any, 1), closed: make(chan struct{})}
	inner.results <- there
	l, err := (&server.ListenConfig{Proxy: &server.ProxyProtocol{TrustUnix: true}}).Wrap(inner)
	if err != nil {
		t.Fatal(err)
	}
	startOn(t, &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		_ = r.SendString(200, text, r.RemoteAddr())
	})}, l)
	c := &conversation{t, here, bufio.NewReader(here)}
	c.send("%s", line4+"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	c.wantAnswer(200, "192.0.2.7:4321")
	c.wantClosed("asked for")
}

func TestProxyProtocolSettings(t *testing.T) {
	for name, p := range map[string]*server.ProxyProtocol{
		"nobody":    {},
		"unbounded": {Trusted: loopback, Timeout: -1},
		"invalid":   {Trusted: []netip.Prefix{{}}},
		"mapped":    {Trusted: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}},
	} {
		if l, err := (&server.ListenConfig{Proxy: p}).Listen("127.0.0.1:0"); err == nil {
			t.Errorf("%s: no error", name)
			_ = l.Close()
		}
	}
	// Others would not know whom they talk to.
	l, err := (&server.ListenConfig{Proxy: &server.ProxyProtocol{Trusted: loopback}}).Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("Accept works for others")
	}
	must(t, l.Close())
}
