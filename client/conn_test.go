// SPDX-License-Identifier: MIT

package client_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pleat-go/pleat/client"
)

const (
	okAnswer     = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	emptyAnswer  = "HTTP/1.1 204 No Content\r\n\r\n"
	stolenAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"
)

// muteNetHTTP drops what net/http logs about unsolicited answers.
func muteNetHTTP(t *testing.T) {
	log.SetOutput(io.Discard)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
}

// TestExtraBytes has each answer followed by another that nobody asked for: however soon the next request is made, it is
// not given that one.
func TestExtraBytes(t *testing.T) {
	muteNetHTTP(t)
	for name, answer := range map[string]string{"body": okAnswer, "empty": emptyAnswer} {
		t.Run(name, func(t *testing.T) {
			var conns atomic.Int64
			url := rawServer(t, func(c net.Conn) {
				conns.Add(1)
				io.WriteString(c, answer+stolenAnswer)
				_, _ = io.Copy(io.Discard, c)
			})
			c := tidy(t, &client.HTTPClient{})
			const calls = 1000
			for i := range calls {
				if s, err := c.Get(url).Text(); err != nil || s == "stolen" {
					t.Fatalf("call %d: %q, %v", i, s, err)
				}
			}
			if n := conns.Load(); n != calls {
				t.Errorf("%d connections for %d calls", n, calls)
			}
		})
	}
}

// TestExtraBytesTLS is the same below TLS, where tickets come between the answers, which are not to cost a connection.
func TestExtraBytesTLS(t *testing.T) {
	muteNetHTTP(t)
	own := httptest.NewTLSServer(nil) // for its certificate
	defer own.Close()
	roots := x509.NewCertPool()
	roots.AddCert(own.Certificate())
	for name, tt := range map[string]struct {
		extra string
		conns int64
	}{"extra": {stolenAnswer, 500}, "tickets": {"", 1}} {
		t.Run(name, func(t *testing.T) {
			var conns atomic.Int64
			url := connServer(t, func(c net.Conn) {
				conns.Add(1)
				secure := tls.Server(c, &tls.Config{Certificates: own.TLS.Certificates})
				defer secure.Close()
				r := bufio.NewReader(secure)
				for {
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					io.WriteString(secure, okAnswer+tt.extra)
				}
			})
			c := tidy(t, &client.HTTPClient{TLSConfig: &tls.Config{RootCAs: roots}})
			for i := range 500 {
				if s, err := c.Get(strings.Replace(url, "http:", "https:", 1)).Text(); err != nil || s != "ok" {
					t.Fatalf("call %d: %q, %v", i, s, err)
				}
			}
			if n := conns.Load(); n != tt.conns {
				t.Errorf("%d connections, want %d", n, tt.conns)
			}
		})
	}
}

// TestAnswerBeforeRequest has an answer come when a request has the connection and is not yet written.
func TestAnswerBeforeRequest(t *testing.T) {
	send, gone := make(chan struct{}), make(chan struct{})
	var conns atomic.Int64
	url := connServer(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for n := conns.Add(1); ; {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			io.WriteString(c, okAnswer)
			if n == 1 {
				<-send
				io.WriteString(c, stolenAnswer)
				_, _ = io.Copy(io.Discard, r)
				close(gone)
				return
			}
		}
	})
	c := tidy(t, &client.HTTPClient{})
	if s, err := c.Get(url).Text(); err != nil || s != "ok" {
		t.Fatalf("%q, %v", s, err)
	}
	var wrote atomic.Int32
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteHeaders: func() {
		if wrote.Add(1) == 1 { // into a buffer
			close(send)
			<-gone
		}
	}})
	if s, err := c.Get(url, client.WithContext(ctx)).Text(); err != nil || s != "ok" {
		t.Errorf("%q, %v", s, err)
	}
	if n := conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}
