// SPDX-License-Identifier: MIT

package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"sync"
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
	res, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return answer{res, string(body)}
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

// A request over HTTP/2 is refused where the same over HTTP/1 is.
func TestHTTP2Limits(t *testing.T) {
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		client, url := start(&server.HTTPServer{
			MaxRequest: 1000, MaxHeader: 4096, MaxHeaderFields: 20, MaxTarget: 1024,
			Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				if b, err := r.Body(); err != nil {
					_ = r.SendError(err)
				} else {
					_ = r.SendString(200, text, fmt.Sprint(len(b)))
				}
			}),
		})
		many := http.Header{}
		for i := range 21 {
			many.Set(fmt.Sprint("X-", i), "x")
		}
		tests := []struct {
			name, method, target, body string
			header                     http.Header
			stream                     bool
			status                     int
		}{
			{name: "fine", method: "POST", body: strings.Repeat("x", 1000), status: 200},
			{name: "body", method: "POST", body: strings.Repeat("x", 1001), status: 413},
			{name: "body of unknown length", method: "POST", body: strings.Repeat("x", 1001), stream: true, status: 413},
			{name: "target", target: "/" + strings.Repeat("x", 1024), status: 414},
			{name: "fields", header: many, status: 431},
			{name: "head", header: http.Header{"X": {strings.Repeat("x", 4096)}}, status: 431},
			{name: "expectation", header: http.Header{"Expect": {"tea"}}, status: 417},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				var body io.Reader
				if test.body != "" {
					body = strings.NewReader(test.body)
				}
				if test.stream {
					body = struct{ io.Reader }{body}
				}
				q := newRequest(t, test.method, url, body)
				if test.target != "" {
					q.URL.Opaque = "//" + q.URL.Host + test.target
				}
				if test.header != nil {
					q.Header = test.header
				}
				if a := fetch(t, client, q); a.StatusCode != test.status {
					t.Errorf("status %d (%q), want %d", a.StatusCode, a.body, test.status)
				}
			})
		}
	})
}

func TestHTTP2ContextEnds(t *testing.T) {
	t.Parallel()
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		causes, entered := make(chan error, 1), make(chan *server.HTTPRequest, 1)
		type key struct{}
		s := &server.HTTPServer{
			BaseContext: func(net.Listener) context.Context { return context.WithValue(context.Background(), key{}, "base") },
			Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				if r.Path() == "/drain" {
					r.EndOnDrain()
				}
				if r.Context().Value(key{}) != "base" {
					t.Error("not the server's base context")
				}
				entered <- r
				if r.Path() == "/" {
					return
				}
				<-r.Context().Done()
				causes <- context.Cause(r.Context())
			}),
		}
		client, url := start(s)
		fetch(t, client, newRequest(t, "GET", url+"/", nil))
		if r := <-entered; !settles(func() bool { return errors.Is(context.Cause(r.Context()), server.ErrRequestDone) }) {
			t.Errorf("after the handler the cause is %v", context.Cause(r.Context()))
		} else if err := r.SetReadDeadline(time.Now()); !errors.Is(err, server.ErrRequestDone) {
			t.Errorf("after the handler SetReadDeadline is %v", err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan struct{})
		q := newRequest(t, "GET", url+"/reset", nil).WithContext(ctx)
		go func() {
			defer close(failed)
			if res, err := client.Do(q); err == nil {
				_ = res.Body.Close()
				t.Error("a request that was given up was answered")
			}
		}()
		<-entered
		cancel() // RST_STREAM
		if cause := <-causes; !errors.Is(cause, server.ErrClientGone) {
			t.Errorf("after RST_STREAM the cause is %v", cause)
		}
		<-failed

		done := make(chan answer, 1)
		q = newRequest(t, "GET", url+"/drain", nil)
		go func() { done <- fetch(t, client, q) }()
		<-entered
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if cause := <-causes; !errors.Is(cause, server.ErrServerDraining) {
			t.Errorf("while draining the cause is %v", cause)
		}
		if a := <-done; a.StatusCode != 200 {
			t.Errorf("the draining server answered %d", a.StatusCode)
		}
	})
}

func TestHTTP2ClientGone(t *testing.T) {
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		causes, entered := make(chan error, 1), make(chan struct{})
		client, url := start(&server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			close(entered)
			<-r.Context().Done()
			causes <- context.Cause(r.Context())
		})})
		var conn net.Conn
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { conn = info.Conn }}
		q := newRequest(t, "GET", url, nil)
		q = q.WithContext(httptrace.WithClientTrace(q.Context(), trace))
		done := make(chan struct{})
		go func() {
			defer close(done)
			if res, err := client.Do(q); err == nil {
				_ = res.Body.Close()
			}
		}()
		<-entered
		_ = conn.Close()
		if cause := <-causes; !errors.Is(cause, server.ErrClientGone) {
			t.Errorf("the cause is %v", cause)
		}
		<-done
	})
}

// Shutdown waits for requests over HTTP/2, and cuts them when its patience is over.
func TestHTTP2Shutdown(t *testing.T) {
	t.Parallel()
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		t.Run("patient", func(t *testing.T) {
			t.Parallel()
			entered, release := make(chan struct{}), make(chan struct{})
			s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				if r.Path() == "/slow" {
					close(entered)
					<-release
					if r.Context().Err() != nil {
						t.Error("the context ended while Shutdown had patience")
					}
				}
				ok(r)
			})}
			client, url := start(s)
			fetch(t, client, newRequest(t, "GET", url, nil))
			done := make(chan answer, 1)
			q := newRequest(t, "GET", url+"/slow", nil)
			go func() { done <- fetch(t, client, q) }()
			<-entered
			ended := make(chan error, 1)
			go func() { ended <- s.Shutdown(t.Context()) }()
			select {
			case err := <-ended:
				t.Fatalf("Shutdown did not wait: %v", err)
			case <-time.After(400 * time.Millisecond):
			}
			close(release)
			if a := <-done; a.body != "ok" {
				t.Errorf("answer %q", a.body)
			}
			if err := <-ended; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		t.Run("idle", func(t *testing.T) {
			t.Parallel()
			s := &server.HTTPServer{Handler: server.HandlerFunc(ok)}
			client, url := start(s)
			fetch(t, client, newRequest(t, "GET", url, nil))
			if err := s.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			if _, err := client.Do(newRequest(t, "GET", url, nil)); err == nil {
				t.Error("answered after Shutdown")
			}
		})
		t.Run("impatient", func(t *testing.T) {
			t.Parallel()
			causes, entered, release := make(chan error, 1), make(chan struct{}), make(chan struct{})
			s := &server.HTTPServer{ShutdownGrace: -1, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				close(entered)
				<-r.Context().Done()
				causes <- context.Cause(r.Context())
				<-release
			})}
			client, url := start(s)
			done := make(chan error, 1)
			q := newRequest(t, "GET", url, nil)
			go func() {
				res, err := client.Do(q)
				if err == nil {
					_ = res.Body.Close()
				}
				done <- err
			}()
			<-entered
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err := s.Shutdown(ctx)
			var cut *server.CutError
			if !errors.As(err, &cut) || !errors.Is(err, context.DeadlineExceeded) || cut.Connections != 1 || len(cut.Requests) != 1 || cut.Requests[0].Method != "GET" {
				t.Errorf("Shutdown: %v", err)
			}
			if cause := <-causes; !errors.Is(cause, server.ErrServerDraining) {
				t.Errorf("the cause is %v", cause)
			}
			if err := <-done; err == nil {
				t.Error("what was cut looks whole")
			}
			close(release)
		})
	})
}

func TestHTTP2Endings(t *testing.T) {
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		finished := make(chan int, 1)
		client, url := start(&server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			r.OnFinish(func() { finished <- r.Status() })
			switch r.Path() {
			case "/panic":
				_ = r.SetHeader("X-Kept", "1")
				_, _ = r.WriteString("half")
				panic("mine")
			case "/late":
				_, _ = r.WriteString("half")
				_ = r.Flush()
				panic("mine")
			case "/abort":
				_, _ = r.WriteString("half")
				_ = r.Flush()
				panic(http.ErrAbortHandler)
			case "/short":
				_ = r.SetHeader("Content-Length", "10")
				_, _ = r.WriteString("half")
				_ = r.Flush()
			}
		})})
		a := fetch(t, client, newRequest(t, "GET", url+"/panic", nil))
		if a.StatusCode != 500 || strings.Contains(a.body, "mine") || a.Header.Get("X-Kept") != "1" {
			t.Errorf("a panic is answered %d %q %v", a.StatusCode, a.body, a.Header)
		}
		if status := <-finished; status != 500 {
			t.Errorf("finished with %d", status)
		}
		for _, path := range []string{"/late", "/abort", "/short"} {
			res, err := client.Do(newRequest(t, "GET", url+path, nil))
			if err == nil {
				_, err = io.ReadAll(res.Body)
				_ = res.Body.Close()
			}
			if err == nil {
				t.Errorf("%s: half an answer looks whole", path)
			}
			<-finished
		}
		if a := fetch(t, client, newRequest(t, "GET", url, nil)); a.StatusCode != 200 {
			t.Errorf("after all that: %d", a.StatusCode)
		}
		<-finished
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

// MaxConns and MaxConnsPerIP count connections of HTTP/2, and give their places
// back.
func TestHTTP2Counts(t *testing.T) {
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		var mu sync.Mutex
		states := map[*server.HTTPConnection][]http.ConnState{}
		client, url := start(&server.HTTPServer{
			Handler: server.HandlerFunc(ok), MaxConns: 1, MaxConnsPerIP: 1,
			ConnState: func(c *server.HTTPConnection, state http.ConnState) {
				mu.Lock()
				states[c] = append(states[c], state)
				mu.Unlock()
			},
		})
		for range 3 {
			for range 2 {
				fetch(t, client, newRequest(t, "GET", url, nil))
			}
			client.CloseIdleConnections()
		}
		if !settles(func() bool {
			mu.Lock()
			defer mu.Unlock()
			closed := 0
			for _, s := range states {
				if s[len(s)-1] == http.StateClosed {
					closed++
				}
			}
			return len(states) == 3 && closed == 3
		}) {
			t.Errorf("states %v", states)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, s := range states {
			if s[0] != http.StateNew || !slices.Contains(s, http.StateActive) || !slices.Contains(s, http.StateIdle) {
				t.Errorf("states %v", s)
			}
		}
	})
}

func TestHTTP2Times(t *testing.T) {
	t.Parallel()
	_, pool, certFile, keyFile := certificate(t)
	for name, s := range map[string]*server.HTTPServer{
		"no request": {HeaderTimeout: soon},
		"idle":       {IdleTimeout: soon},
	} {
		t.Run(name, func(t *testing.T) {
			s.Handler = server.HandlerFunc(ok)
			addr := startTLS(t, s, certFile, keyFile)
			conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			c := converse(t, conn)
			_, _ = io.WriteString(conn, preface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00") // its time may be over already
			_, err = io.Copy(io.Discard, c.conn)
			if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection was kept")
			}
		})
	}
	t.Run("slow body", func(t *testing.T) {
		overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
			client, url := start(&server.HTTPServer{RateGrace: soon, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				if _, err := r.Body(); err != nil {
					_ = r.SendError(err)
				}
			})})
			here, there := io.Pipe()
			go func() { _, _ = there.Write([]byte("x")) }()
			defer func() { _ = there.Close() }()
			if a := fetch(t, client, newRequest(t, "POST", url, here)); a.StatusCode != 408 {
				t.Errorf("a slow body is answered %d", a.StatusCode)
			}
		})
	})
	t.Run("slow reader", func(t *testing.T) {
		overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
			failed := make(chan error, 1)
			client, url := start(&server.HTTPServer{RateGrace: soon, MinRate: 1 << 40, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				var err error
				for piece := make([]byte, 64<<10); err == nil; {
					_, err = r.Write(piece)
				}
				failed <- err
			})})
			res, err := client.Do(newRequest(t, "GET", url, nil))
			if err != nil {
				t.Fatal(err)
			}
			<-failed // the flow control window is full, and stays so
			_ = res.Body.Close()
		})
	})
	t.Run("own deadline", func(t *testing.T) {
		overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
			client, url := start(&server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				must(t, r.SetReadDeadline(time.Now().Add(soon)))
				_, err := r.Body()
				if !errors.Is(err, server.ErrBodyTimeout) {
					t.Errorf("Body: %v", err)
				}
			})})
			here, there := io.Pipe()
			defer func() { _ = there.Close() }()
			if a := fetch(t, client, newRequest(t, "POST", url, here)); a.StatusCode != 200 {
				t.Errorf("status %d", a.StatusCode)
			}
		})
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

// A connection that was accepted before the end and shakes hands long after it has
// begun is served like any other.
func TestHTTP2HandshakeWhileDraining(t *testing.T) {
	t.Parallel()
	_, pool, certFile, keyFile := certificate(t)
	shaking, goOn := make(chan struct{}), make(chan struct{})
	s := &server.HTTPServer{Handler: server.HandlerFunc(ok), TLSConfig: &tls.Config{}}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	must(t, err)
	s.TLSConfig.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		close(shaking)
		<-goOn
		return &pair, nil
	}
	url := "https://" + startTLS(t, s, "", "")
	client := &http.Client{Transport: http2Only(t, &tls.Config{RootCAs: pool, ServerName: "localhost"})}
	done := make(chan answer, 1)
	q := newRequest(t, "GET", url, nil)
	go func() { done <- fetch(t, client, q) }()
	<-shaking
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(t.Context()) }()
	time.Sleep(600 * time.Millisecond) // longer than the moment that idle connections have
	close(goOn)
	if a := <-done; a.body != "ok" || a.ProtoMajor != 2 {
		t.Errorf("answer %q by %s", a.body, a.Proto)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
