// SPDX-License-Identifier: MIT

package server_test

import (
	"crypto/tls"
	"testing"

	"github.com/pleat-go/pleat/server"
)

// TestTLSClosureAlert has connections end from the server's side. crypto/tls tells
// an end with a closure alert, io.EOF, from one without, which wantClosed takes for
// a failure (RFC 9112 §9.8).
func TestTLSClosureAlert(t *testing.T) {
	_, pool, certFile, keyFile := certificate(t)
	addr := startTLS(t, &server.HTTPServer{Handler: server.HandlerFunc(ok)}, certFile, keyFile)
	for name, request := range map[string]string{
		"close asked for": "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"HTTP/1.0":        "GET / HTTP/1.0\r\n\r\n",
		"refused":         "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := dialTLS(t, addr, pool)
			c.send("%s", request)
			c.read("GET")
			c.wantClosed(name)
		})
	}
}

// TestTLSClientWithoutAlert has clients end their connections without a word: with
// nothing asked, within a request, and with an answer on its way.
func TestTLSClientWithoutAlert(t *testing.T) {
	_, pool, certFile, keyFile := certificate(t)
	addr := startTLS(t, &server.HTTPServer{Handler: server.HandlerFunc(ok)}, certFile, keyFile)
	for _, said := range []string{"", "GET / HTT", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"} {
		c := dialTLS(t, addr, pool)
		c.wantOpen("/")
		c.send("%s", said)
		_ = c.conn.(*tls.Conn).NetConn().Close()
		other := dialTLS(t, addr, pool)
		other.wantOpen("/")
	}
}
