// SPDX-License-Identifier: MIT

package server_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

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
	config := &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"h2"}}
	wantGone := func(t *testing.T, conn net.Conn) {
		c := converse(t, conn)
		_, _ = io.WriteString(conn, preface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00") // its time may be over already
		if _, err := io.Copy(io.Discard, c.conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the connection was kept")
		}
	}
	t.Run("no request", func(t *testing.T) {
		// The handshake has the same time: as much as it takes on a busy machine.
		for timeout := soon; ; timeout *= 4 {
			addr := startTLS(t, &server.HTTPServer{HeaderTimeout: timeout, Handler: server.HandlerFunc(ok)}, certFile, keyFile)
			conn, err := tls.Dial("tcp", addr, config)
			if err == nil {
				wantGone(t, conn)
				return
			}
			if timeout > patience/4 {
				t.Fatal(err)
			}
		}
	})
	t.Run("idle", func(t *testing.T) {
		addr := startTLS(t, &server.HTTPServer{IdleTimeout: soon, Handler: server.HandlerFunc(ok)}, certFile, keyFile)
		conn, err := tls.Dial("tcp", addr, config)
		if err != nil {
			t.Fatal(err)
		}
		wantGone(t, conn)
	})
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
			<-failed        // the flow control window is full, and stays so
			if err == nil { // otherwise the head of the answer was too late already
				_ = res.Body.Close()
			}
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
