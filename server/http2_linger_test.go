// SPDX-License-Identifier: MIT

package server_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/pleat-go/pleat/server"
)

// tardyConn is a connection on which much is under way when its client pauses: longer
// than net/http waits before it closes, and shorter than a client may be silent. Then
// it takes a little at a time for a while; doing so for all of it would take longer on
// a busy machine than a client may.
type tardyConn struct {
	net.Conn
	taken int
}

func (c *tardyConn) Read(p []byte) (int, error) {
	const pauseAt, fastFrom = 64 << 10, 192 << 10
	n, err := c.Conn.Read(p[:min(len(p), 4<<10)])
	switch before := c.taken; {
	case before >= pauseAt && before < fastFrom:
		time.Sleep(10 * time.Millisecond)
	case before < pauseAt && before+n >= pauseAt:
		time.Sleep(1500 * time.Millisecond)
	}
	c.taken += n
	return n, err
}

// An answer that is whole for the server, as the system has it all, is whole for a
// client that takes it later, and sends updates of its window meanwhile.
func TestHTTP2EndTardyClient(t *testing.T) {
	t.Parallel()
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		body, answered := strings.Repeat("x", 1<<20), make(chan struct{})
		s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			if r.Path() == "/large" {
				defer close(answered)
			}
			_ = r.SendString(http.StatusOK, "text/plain", body)
		})}
		client, url := start(s)
		transport := client.Transport.(*http.Transport)
		dial := transport.DialContext
		if dial == nil {
			dial = (&net.Dialer{}).DialContext
		}
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetReadBuffer(64 << 10)
			}
			return &tardyConn{Conn: conn}, nil
		}
		ended := make(chan error, 1)
		go func() {
			<-answered
			ended <- s.Shutdown(context.Background())
		}()
		if a := fetch(t, client, newRequest(t, "GET", url+"/large", nil)); a.body != body {
			t.Errorf("%d octets of %d", len(a.body), len(body))
		}
		if err := <-ended; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// A connection that has not come to HTTP/2 yet, which net/http closes itself when it
// is 5 s old, holds up nobody, not even its like.
func TestHTTP2EndBeforePreface(t *testing.T) {
	t.Parallel()
	s := &server.HTTPServer{HeaderTimeout: time.Minute, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		_ = r.SendString(http.StatusOK, "text/plain", "ok")
	})}
	_, url := startCleartext(t, s)
	for range 40 { // which would take more than a minute
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, http2.ClientPreface[:18]); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(6500 * time.Millisecond) // their age, in whole seconds
	began := time.Now()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("Shutdown took %v", took)
	}
}

// TestHTTP2EndQuietClient has a slow client of which nothing is heard for a while.
func TestHTTP2EndQuietClient(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 1<<20)
	answered := make(chan struct{})
	s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		defer close(answered)
		_ = r.SendString(http.StatusOK, "text/plain", body)
	})}
	_, url := startCleartext(t, s)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	var fields bytes.Buffer
	encoder := hpack.NewEncoder(&fields)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 4 << 20})
	_ = framer.WriteWindowUpdate(0, 4<<20)
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields.Bytes(), EndHeaders: true, EndStream: true})
	ended := make(chan error, 1)
	go func() {
		<-answered
		ended <- s.Shutdown(context.Background())
	}()
	taken, owed, updated := 0, 0, time.Now()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			if err != io.EOF || taken != len(body) {
				t.Errorf("%d octets of %d, %v", taken, len(body), err)
			}
			break
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.DataFrame:
			taken += len(f.Data())
			owed += len(f.Data())
			time.Sleep(time.Duration(len(f.Data())) * time.Second / (150 << 10)) // the client's pace
			if time.Since(updated) > 3*time.Second {
				_ = framer.WriteWindowUpdate(0, uint32(owed))
				owed, updated = 0, time.Now()
			}
		}
	}
	_ = conn.Close()
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
