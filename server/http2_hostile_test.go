// SPDX-License-Identifier: MIT

package server_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/pleat-go/pleat/server"
)

// framed is a raw client of HTTP/2.
type framed struct {
	t    testing.TB
	conn net.Conn
	*http2.Framer
	stream  uint32
	encoded bytes.Buffer
	encoder *hpack.Encoder
}

// frame opens a connection of HTTP/2, over TLS where there is a configuration.
func frame(t testing.TB, addr string, config *tls.Config) *framed {
	t.Helper()
	var conn net.Conn
	var err error
	if config != nil {
		config.NextProtos = []string{"h2"}
		conn, err = tls.Dial("tcp", addr, config)
	} else {
		conn, err = net.Dial("tcp", addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	f := &framed{t: t, conn: conn, Framer: http2.NewFramer(conn, conn), stream: 1}
	f.encoder = hpack.NewEncoder(&f.encoded)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	must(t, f.WriteSettings())
	return f
}

// open sends the head of a request, fields in pairs, and tells its stream.
func (f *framed) open(end bool, fields ...string) (stream uint32, err error) {
	f.encoded.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = f.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	stream = f.stream
	f.stream += 2
	return stream, f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: f.encoded.Bytes(), EndHeaders: true, EndStream: end,
	})
}

func (f *framed) get(path string) (uint32, error) {
	return f.open(true, ":method", "GET", ":scheme", "https", ":authority", "h", ":path", path)
}

// status reads until a stream is answered, or ends otherwise.
func (f *framed) status(stream uint32) string {
	f.t.Helper()
	for {
		got, err := f.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch got := got.(type) {
		case *http2.MetaHeadersFrame:
			if got.StreamID == stream {
				return got.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if got.StreamID == stream {
				return got.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			return "GOAWAY " + got.ErrCode.String()
		case *http2.SettingsFrame:
			if !got.IsAck() {
				_ = f.WriteSettingsAck()
			}
		}
	}
}

// What a request of HTTP/2 can say, and HTTP/1 cannot, reaches no handler.
func TestHTTP2MalformedRequests(t *testing.T) {
	addr := start(t, &server.HTTPServer{HTTP2: server.HTTP2{Cleartext: true}, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		if r.Path() != "/fine" && r.Path() != "*" {
			t.Errorf("the handler gets %s %q for %q with %v", r.Method(), r.Target(), r.Host(), r.Header().Map())
		}
		ok(r)
	})})
	request := func(method, path string, more ...string) []string {
		return append([]string{":method", method, ":scheme", "http", ":authority", "h", ":path", path}, more...)
	}
	reset := "PROTOCOL_ERROR"
	tests := []struct {
		name   string
		fields []string
		want   string
	}{
		{"fine", request("GET", "/fine"), "200"},
		{"asterisk", request("OPTIONS", "*"), "200"},
		{"asterisk of GET", request("GET", "*"), "400"},
		{"method with a space", request("GET /fine HTTP/1.1", "/"), "400"},
		{"path with a space", request("GET", "/fine HTTP/1.1"), "400"},
		{"path that is a URL", request("GET", "http://evil/"), "400"},
		{"path without a slash", request("GET", "fine"), reset},
		{"fragment", request("GET", "/fine#x"), "400"},
		{"no authority", []string{":method", "GET", ":scheme", "http", ":path", "/x"}, "400"},
		{"authority that is none", []string{":method", "GET", ":scheme", "http", ":authority", "a b", ":path", "/x"}, "400"},
		{"authority with a user", []string{":method", "GET", ":scheme", "http", ":authority", "a@b", ":path", "/x"}, reset},
		{"other Host", request("GET", "/x", "host", "evil"), "400"},
		{"same Host", request("GET", "/fine", "host", "h"), "200"},
		{"two Hosts", request("GET", "/x", "host", "h", "host", "h"), "400"},
		{"length without a body", request("GET", "/x", "content-length", "5"), "400"},
		{"two lengths", request("POST", "/x", "content-length", "0", "content-length", "1"), "400"},
		{"length that is none", request("POST", "/x", "content-length", "+1"), "400"},
		{"Connection", request("GET", "/x", "connection", "close"), "400"},
		{"Transfer-Encoding", request("GET", "/x", "transfer-encoding", "chunked"), "400"},
		{"Upgrade", request("GET", "/x", "upgrade", "h2c"), "400"},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "h:1"}, "501"},
		{"extended CONNECT", append(request("CONNECT", "/x"), ":protocol", "websocket"), "closed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := frame(t, addr, nil)
			stream, err := f.open(true, test.fields...)
			must(t, err)
			got := f.status(stream)
			// net/http finds more and more of this by itself.
			refused := test.want == "400" && got == reset || test.want == "closed" && !strings.HasPrefix(got, "2")
			if got != test.want && !refused {
				t.Errorf("answered %s, want %s", got, test.want)
			}
		})
	}
}

// A client that opens streams and resets them at once, and goes on, occupies no more
// than a bounded number of handlers, and loses its connection; others are served
// meanwhile.
func TestHTTP2RapidReset(t *testing.T) {
	_, pool, certFile, keyFile := certificate(t)
	const most = 10
	var running, peak atomic.Int64
	s := &server.HTTPServer{
		HTTP2: server.HTTP2{MaxStreams: most},
		Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			if r.Path() == "/" {
				ok(r)
				return
			}
			n := running.Add(1)
			for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
			}
			<-r.Context().Done()
			time.Sleep(soon) // it takes a moment to end what was begun
			running.Add(-1)
		}),
	}
	addr := startTLS(t, s, certFile, keyFile)
	config := &tls.Config{RootCAs: pool, ServerName: "localhost"}
	before := runtime.NumGoroutine()
	f := frame(t, addr, config.Clone())
	ended := make(chan error, 1)
	go func() {
		for {
			got, err := f.ReadFrame()
			if err != nil {
				ended <- err
				return
			}
			if away, ok := got.(*http2.GoAwayFrame); ok {
				ended <- http2.ConnectionError(away.ErrCode)
				return
			}
		}
	}()
	var end error
	sent := 0
	for err := error(nil); err == nil && end == nil; sent++ {
		select {
		case end = <-ended:
			continue
		default:
		}
		var stream uint32
		if stream, err = f.get("/slow"); err == nil {
			err = f.WriteRSTStream(stream, http2.ErrCodeCancel)
		}
		if sent == 20 {
			other := frame(t, addr, config.Clone())
			stream, err := other.get("/")
			must(t, err)
			if got := other.status(stream); got != "200" {
				t.Errorf("another client is answered %s", got)
			}
			_ = other.conn.Close()
		}
	}
	if end == nil {
		end = <-ended
	}
	// A reset may overtake the reason.
	var code http2.ConnectionError
	if errors.As(end, &code) && http2.ErrCode(code) != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("the connection ended with %v", end)
	}
	t.Logf("%d streams, then %v", sent, end)
	if p := peak.Load(); p > most {
		t.Errorf("%d handlers at once, want at most %d", p, most)
	}
	_ = f.conn.Close()
	if !settles(func() bool { return running.Load() == 0 && runtime.NumGoroutine() <= before+5 }) {
		t.Errorf("%d handlers and %d goroutines are left of %d", running.Load(), runtime.NumGoroutine(), before)
	}
}

// Floods of frames that are no requests end with the connection, or are answered
// within bounds.
func TestHTTP2Floods(t *testing.T) {
	t.Parallel()
	addr := start(t, &server.HTTPServer{
		HTTP2: server.HTTP2{Cleartext: true}, MaxHeader: 8192, Handler: server.HandlerFunc(ok),
		HeaderTimeout: time.Hour, // which would end them, too
	})
	floods := map[string]func(f *framed, i int) error{
		"CONTINUATION": func(f *framed, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: nil, EndHeaders: false})
			}
			f.encoded.Reset()
			_ = f.encoder.WriteField(hpack.HeaderField{Name: "x-a", Value: strings.Repeat("x", 1000), Sensitive: true})
			return f.WriteContinuation(1, false, f.encoded.Bytes())
		},
		"PING unread": func(f *framed, _ int) error {
			if i := len(f.encoded.Bytes()); i == 0 {
				f.encoded.Write(bytes.Repeat([]byte{0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, 1000))
			}
			_, err := f.conn.Write(f.encoded.Bytes())
			return err
		},
		"SETTINGS unread": func(f *framed, _ int) error {
			if i := len(f.encoded.Bytes()); i == 0 {
				f.encoded.Write(bytes.Repeat([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}, 1000))
			}
			_, err := f.conn.Write(f.encoded.Bytes())
			return err
		},
	}
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := frame(t, addr, nil)
			_ = f.conn.(*net.TCPConn).SetReadBuffer(4096)
			_ = f.conn.SetDeadline(time.Now().Add(time.Second))
			ended := false
			for i := 0; i < 20_000 && !ended; i++ {
				ended = flood(f, i) != nil // reset, or nothing is read from us any more
			}
			if !ended { // sockets may hold all of it
				_ = f.conn.SetDeadline(time.Now().Add(patience))
				_, err := io.Copy(io.Discard, f.conn)
				ended = !errors.Is(err, os.ErrDeadlineExceeded)
			}
			if !ended {
				t.Error("the flood goes on")
			}
			other := frame(t, addr, nil)
			stream, err := other.get("/")
			must(t, err)
			if got := other.status(stream); got != "200" {
				t.Errorf("another client is answered %s", got)
			}
		})
	}
}
