// SPDX-License-Identifier: MIT

package server_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// http2Only is a transport that speaks HTTP/2, over TLS or without.
func http2Only(t testing.TB, config *tls.Config) *http.Transport {
	transport := &http.Transport{TLSClientConfig: config, DisableCompression: true, Protocols: &http.Protocols{}, ExpectContinueTimeout: time.Minute}
	if config != nil {
		transport.Protocols.SetHTTP2(true)
	} else {
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// startHTTP2 serves s over TLS and gives a client that speaks HTTP/2.
func startHTTP2(t testing.TB, s *server.HTTPServer) (*http.Client, string) {
	t.Helper()
	_, pool, certFile, keyFile := certificate(t)
	addr := startTLS(t, s, certFile, keyFile)
	return &http.Client{Transport: http2Only(t, &tls.Config{RootCAs: pool, ServerName: "localhost"})}, "https://" + addr
}

// startCleartext is startHTTP2 without TLS.
func startCleartext(t testing.TB, s *server.HTTPServer) (*http.Client, string) {
	t.Helper()
	s.HTTP2.Cleartext = true
	return &http.Client{Transport: http2Only(t, nil)}, "http://" + start(t, s)
}

// overHTTP2 runs a test over TLS and without.
func overHTTP2(t *testing.T, test func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string))) {
	t.Run("TLS", func(t *testing.T) {
		t.Parallel() // much of it is waiting
		test(t, func(s *server.HTTPServer) (*http.Client, string) { return startHTTP2(t, s) })
	})
	t.Run("cleartext", func(t *testing.T) {
		t.Parallel()
		test(t, func(s *server.HTTPServer) (*http.Client, string) { return startCleartext(t, s) })
	})
}

// fetch makes a request and reads its answer.
func fetch(t testing.TB, client *http.Client, q *http.Request) answer {
	t.Helper()
	a, err := wholeAnswer(client, q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fetching is fetch meanwhile.
func fetching(t testing.TB, client *http.Client, q *http.Request) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		a, err := wholeAnswer(client, q)
		if err != nil {
			t.Error(err)
			a.Response = &http.Response{}
		}
		done <- a
	}()
	return done
}

// wholeAnswer makes a request and reads all of its answer.
func wholeAnswer(client *http.Client, q *http.Request) (answer, error) {
	res, err := client.Do(q)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer: %w", err)
	}
	return answer{res, string(body)}, nil
}

func newRequest(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestHTTP2Request(t *testing.T) {
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		secrets := [][]byte{[]byte(strings.Repeat("s", 32))}
		client, url := start(&server.HTTPServer{CookieSecrets: secrets, ServerHeader: "house", Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			secure := strings.HasSuffix(t.Name(), "TLS")
			major, minor := r.ProtocolVersion()
			if r.Protocol() != "HTTP/2.0" || major != 2 || minor != 0 || r.Connection() != nil {
				t.Errorf("protocol %s, %d.%d, %v", r.Protocol(), major, minor, r.Connection())
			}
			if r.IsSecure() != secure || (r.TLS() != nil) != secure || (r.Scheme() == "https") != secure || secure && r.TLS().NegotiatedProtocol != "h2" {
				t.Errorf("secure %v, %s, %v", r.IsSecure(), r.Scheme(), r.TLS())
			}
			if r.Host() != "example.com:81" || r.Hostname() != "example.com" || r.Header().Get("Host") != "example.com:81" {
				t.Errorf("host %q, %q, %q", r.Host(), r.Hostname(), r.Header().Get("Host"))
			}
			if r.Target() != "/a%2fb?c=d" || r.Path() != "/a%2fb" || r.RawQuery() != "c=d" || r.FullURL() != r.Scheme()+"://example.com:81/a%2fb?c=d" {
				t.Errorf("target %q, path %q, query %q, URL %q", r.Target(), r.Path(), r.RawQuery(), r.FullURL())
			}
			if got := r.Header().Values("X-Two"); !slices.Equal(got, []string{"1", "2"}) {
				t.Errorf("X-Two = %q", got)
			}
			if a, _ := r.Cookie("a"); a != "1" || len(r.Cookies()) != 2 || r.CookieKeys() == nil {
				t.Errorf("cookies %v, keys %v", r.Cookies(), r.CookieKeys())
			}
			if !r.PeerIP().IsLoopback() || r.RemoteIP() != r.PeerIP() || !strings.HasPrefix(r.RemoteAddr(), "127.0.0.1:") || r.LocalAddr() == nil {
				t.Errorf("peer %v, %v, %q, local %v", r.PeerIP(), r.RemoteIP(), r.RemoteAddr(), r.LocalAddr())
			}
			std := r.StdRequest()
			if std != r.StdRequest() || std.ProtoMajor != 2 || std.Host != "example.com:81" || std.Header.Get("Host") != "" || (std.TLS != nil) != secure ||
				std.URL.Path != "/a/b" || std.Context() != r.Context() {
				t.Errorf("net/http sees %+v", std)
			}
			if r.Context().Value(http.LocalAddrContextKey) == nil || r.Context().Value(http.ServerContextKey) == nil || r.Context().Err() != nil {
				t.Error("the context lacks what net/http promises")
			}
			if _, _, err := r.Hijack(); !errors.Is(err, server.ErrNotHijackable) {
				t.Errorf("Hijack: %v", err)
			}
			ok(r)
		})})
		q := newRequest(t, "GET", url+"/a%2fb?c=d", nil)
		q.Host = "example.com:81"
		q.Header = http.Header{"X-Two": {"1", "2"}, "Cookie": {"a=1; b=2"}}
		if a := fetch(t, client, q); a.ProtoMajor != 2 || a.StatusCode != 200 || a.body != "ok" || a.Header.Get("Server") != "house" || a.Header.Get("Date") == "" {
			t.Errorf("answer %v %q", a.Response, a.body)
		}
	})
}

// HTTP/1 and HTTP/2 come to one listener.
func TestHTTP2BesideHTTP1(t *testing.T) {
	protocols := server.HandlerFunc(func(r *server.HTTPRequest) { _ = r.SendString(200, text, r.Protocol()) })
	_, pool, certFile, keyFile := certificate(t)
	config := &tls.Config{RootCAs: pool, ServerName: "localhost"}
	t.Run("TLS", func(t *testing.T) {
		url := "https://" + startTLS(t, &server.HTTPServer{Handler: protocols}, certFile, keyFile)
		one := &http.Transport{TLSClientConfig: config}
		defer one.CloseIdleConnections()
		two := &http.Client{Transport: http2Only(t, config)}
		for range 2 {
			if a := fetch(t, &http.Client{Transport: one}, newRequest(t, "GET", url, nil)); a.body != "HTTP/1.1" {
				t.Errorf("got %s", a.body)
			}
			if a := fetch(t, two, newRequest(t, "GET", url, nil)); a.body != "HTTP/2.0" {
				t.Errorf("got %s", a.body)
			}
		}
	})
	t.Run("off", func(t *testing.T) {
		addr := startTLS(t, &server.HTTPServer{Handler: protocols, HTTP2: server.HTTP2{Off: true}, TLSConfig: &tls.Config{NextProtos: []string{"h2"}}}, certFile, keyFile)
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		c := converse(t, conn)
		c.get("/")
		c.wantAnswer(200, "HTTP/1.1")
	})
	t.Run("cleartext", func(t *testing.T) {
		client, url := startCleartext(t, &server.HTTPServer{Handler: protocols})
		addr := strings.TrimPrefix(url, "http://")
		c := dial(t, addr)
		c.get("/")
		c.wantAnswer(200, "HTTP/1.1")
		if a := fetch(t, client, newRequest(t, "GET", url, nil)); a.body != "HTTP/2.0" {
			t.Errorf("got %s", a.body)
		}
		c.send(preface)
		c.wantStatus(400) // too late: HTTP/1 has been chosen
		c.wantClosed("a preface in the middle")

		// In pieces, of which the first does not tell.
		c = dial(t, addr)
		for _, piece := range []string{"P", "RI", " * HT", "TP/2.0\r\n\r\nSM", "\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"} {
			c.send(piece)
			time.Sleep(time.Millisecond) // makes it likely that they come as pieces
		}
		if head := make([]byte, 9); read(t, c.conn, head) && head[3] != 4 {
			t.Errorf("the first frame of the server is %v, not SETTINGS", head)
		}
		c = dial(t, addr)
		c.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
		c.wantEnd("half a preface")
	})
	t.Run("cleartext off", func(t *testing.T) {
		c := dial(t, start(t, &server.HTTPServer{Handler: protocols}))
		c.send(preface)
		c.wantStatus(400)
	})
	t.Run("listener with TLS of its own", func(t *testing.T) {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		for _, off := range []bool{false, true} {
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			startOn(t, &server.HTTPServer{Handler: protocols, HTTP2: server.HTTP2{Off: off}}, l)
			res, err := (&http.Client{Transport: http2Only(t, config)}).Get("https://" + l.Addr().String())
			if err == nil {
				_ = res.Body.Close()
			}
			if (err != nil) != off {
				t.Errorf("off = %v: %v", off, err)
			}
		}
	})
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func read(t testing.TB, conn net.Conn, b []byte) bool {
	t.Helper()
	if _, err := io.ReadFull(conn, b); err != nil {
		t.Errorf("reading: %v", err)
		return false
	}
	return true
}

// A protocol that was negotiated for its own sake has no requests.
func TestTLSOtherProtocol(t *testing.T) {
	_, pool, certFile, keyFile := certificate(t)
	addr := startTLS(t, &server.HTTPServer{
		Handler:   server.HandlerFunc(func(*server.HTTPRequest) { t.Error("a request") }),
		TLSConfig: &tls.Config{NextProtos: []string{"acme-tls/1", "http/1.1"}},
	}, certFile, keyFile)
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"acme-tls/1"}})
	if err != nil {
		t.Fatal(err)
	}
	c := converse(t, conn)
	if p := conn.ConnectionState().NegotiatedProtocol; p != "acme-tls/1" {
		t.Errorf("negotiated %q", p)
	}
	c.wantClosed("acme-tls/1")
	if _, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"smtp"}}); err == nil {
		t.Error("negotiated a protocol that was not offered")
	}
}

func TestHTTP2Streaming(t *testing.T) {
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		client, url := start(&server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			must(t, r.SetTrailer("X-Sum", "42"))
			must(t, r.Flush()) // the client waits for the answer to begin
			lines := bufio.NewScanner(r.BodyReader())
			for lines.Scan() {
				_, _ = r.WriteString(strings.ToUpper(lines.Text()) + "\n")
				must(t, r.Flush())
			}
			if got := r.Trailer().Get("X-End"); got != "yes" || lines.Err() != nil {
				t.Errorf("trailer %q, %v", got, lines.Err())
			}
		})})
		here, there := io.Pipe()
		q := newRequest(t, "POST", url, here)
		q.Trailer = http.Header{"X-End": nil}
		res, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		answers := bufio.NewReader(res.Body)
		for _, line := range []string{"a", "b", strings.Repeat("c", 3000)} {
			_, _ = io.WriteString(there, line+"\n")
			if got, err := answers.ReadString('\n'); got != strings.ToUpper(line)+"\n" || err != nil {
				t.Fatalf("got %q, %v", clip(got), err)
			}
		}
		q.Trailer.Set("X-End", "yes")
		_ = there.Close()
		if rest, err := io.ReadAll(answers); len(rest) > 0 || err != nil || res.Trailer.Get("X-Sum") != "42" {
			t.Errorf("rest %q, %v, trailer %v", rest, err, res.Trailer)
		}
	})
}

// The body is only asked for when somebody reads it, and informational answers
// come before.
func TestHTTP2Informational(t *testing.T) {
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		client, url := start(&server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			_ = r.SetHeader("X-Final", "1")
			switch r.Path() {
			case "/hint":
				must(t, r.SendInformational(103, http.Header{"Link": {"</style.css>; rel=preload"}}))
			case "/refuse":
				_ = r.SendString(403, text, "no")
				return
			}
			echo(r)
		})})
		var got []string
		trace := &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				got = append(got, fmt.Sprint(code, header.Get("Link"), header.Get("X-Final")))
				return nil
			},
		}
		for _, test := range []struct {
			path   string
			status int
			want   []string
		}{
			{"/", 200, []string{"100"}},
			{"/refuse", 403, nil},
			{"/hint", 200, []string{"103</style.css>; rel=preload", "100"}},
		} {
			got = nil
			q := newRequest(t, "POST", url+test.path, strings.NewReader("body"))
			q = q.WithContext(httptrace.WithClientTrace(q.Context(), trace))
			q.Header.Set("Expect", "100-continue")
			a := fetch(t, client, q)
			if a.Header.Get("X-Final") != "1" || a.StatusCode != test.status || !slices.Equal(got, test.want) {
				t.Errorf("%s: %d %q after %q, want %d after %q", test.path, a.StatusCode, a.body, got, test.status, test.want)
			}
		}
	})
}

func TestHTTP2BadOptions(t *testing.T) {
	for _, o := range []server.HTTP2{{MaxStreams: -1}, {ConnBuffer: 1}, {ConnBuffer: 5 << 20}, {StreamBuffer: -1}, {StreamBuffer: 5 << 20}} {
		s := &server.HTTPServer{Handler: server.HandlerFunc(ok), HTTP2: o}
		if err := s.ListenAndServe("127.0.0.1:0"); err == nil || errors.Is(err, server.ErrServerClosed) {
			t.Errorf("%+v is accepted", o)
		}
	}
}
