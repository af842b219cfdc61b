// SPDX-License-Identifier: MIT

package server_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

func TestListen(t *testing.T) {
	for _, addr := range []string{"0", ":0", "127.0.0.1:0", "localhost:0"} {
		l, err := server.Listen(addr, "80")
		if err != nil {
			t.Errorf("Listen(%q) = %v", addr, err)
			continue
		}
		if l.Addr().Network() != "tcp" {
			t.Errorf("Listen(%q) listens on %v", addr, l.Addr())
		}
		must(t, l.Close())
	}
	if l, err := server.Listen("", "0"); err != nil {
		t.Errorf("Listen with a default port: %v", err)
	} else {
		must(t, l.Close())
	}
	for _, addr := range []string{"localhost", "1:2:3", "65536", "-1", "unix:", "127.0.0.1:99999", "app.sock", "/no/such/folder/app.sock"} {
		if l, err := server.Listen(addr, "80"); err == nil {
			t.Errorf("Listen(%q) listens on %v, want an error", addr, l.Addr())
			_ = l.Close()
		}
	}
}

func TestUnixSocket(t *testing.T) {
	t.Chdir(socketFolder(t))
	absolute, err := filepath.Abs("abs.sock")
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"./rel.sock", "unix:short.sock", absolute} {
		path := strings.TrimPrefix(addr, "unix:")
		l, err := server.Listen(addr, "80")
		if err != nil {
			t.Fatalf("Listen(%q) = %v", addr, err)
		}
		if l, err := server.Listen(addr, "80"); err == nil {
			_ = l.Close()
			t.Errorf("Listen(%q) took a socket that is in use", addr)
		}
		s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			if r.RemoteIP().IsValid() || r.PeerIP().IsValid() {
				t.Errorf("a Unix socket has an address: %v", r.RemoteIP())
			}
			_ = r.RemoteAddr()
			if r.LocalAddr().String() != path {
				t.Errorf("LocalAddr() = %v", r.LocalAddr())
			}
			_ = r.Context().Done()
			ok(r)
		})}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c := converse(t, conn)
		c.wantOpen("/")
		c.send("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 10000000\r\n\r\n")
		if _, err := io.Copy(conn, io.LimitReader(zeros{}, 10_000_000)); err != nil {
			t.Errorf("sending a body nobody wants: %v", err)
		}
		c.wantAnswer(200, "ok")
		c.wantClosed("lingered")
		must(t, s.Shutdown(context.Background()))
		<-served
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind: %v", path, err)
		}
	}
}

func TestStaleUnixSocket(t *testing.T) {
	t.Chdir(t.TempDir())
	stale, err := net.Listen("unix", "app.sock")
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false) // as if the process had died
	must(t, stale.Close())
	l, err := server.Listen("./app.sock", "80")
	if err != nil {
		t.Fatalf("a stale socket was not replaced: %v", err)
	}
	must(t, l.Close())

	must(t, os.WriteFile("precious", []byte("data"), 0o600))
	if l, err := server.Listen("./precious", "80"); err == nil {
		_ = l.Close()
		t.Error("a file that is no socket was replaced")
	}
	if b, err := os.ReadFile("precious"); string(b) != "data" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	must(t, os.Mkdir("folder.sock", 0o700))
	if l, err := server.Listen("./folder.sock", "80"); err == nil {
		_ = l.Close()
		t.Error("a folder was replaced")
	}
}

// certificate makes a certificate for localhost and 127.0.0.1, and its files.
func certificate(t testing.TB) (cert tls.Certificate, pool *x509.CertPool, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
	pool = x509.NewCertPool()
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool, certFile, keyFile
}

// startTLS serves s over TLS until the test ends.
func startTLS(t testing.TB, s *server.HTTPServer, certFile, keyFile string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeTLS(l, certFile, keyFile) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("ServeTLS() = %v", err)
		}
	})
	return l.Addr().String()
}

func dialTLS(t testing.TB, addr string, pool *x509.CertPool) *conversation {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	return converse(t, conn)
}

func TestTLS(t *testing.T) {
	cert, pool, certFile, keyFile := certificate(t)
	handler := server.HandlerFunc(func(r *server.HTTPRequest) {
		if r.TLS() == nil || !r.TLS().HandshakeComplete || r.TLS().NegotiatedProtocol != "http/1.1" || !r.IsSecure() || r.Scheme() != "https" ||
			r.Connection().TLS() != r.TLS() || !strings.HasPrefix(r.FullURL(), "https://h/") {
			t.Errorf("TLS() = %+v, %s", r.TLS(), r.FullURL())
		}
		_ = r.Context().Done()
		if r.Path() == "/ok" {
			ok(r)
			return
		}
		echo(r)
	})
	servers := map[string]func() string{
		"files": func() string { return startTLS(t, &server.HTTPServer{Handler: handler}, certFile, keyFile) },
		"config": func() string {
			return startTLS(t, &server.HTTPServer{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}, "", "")
		},
		"listener": func() string {
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}})
			if err != nil {
				t.Fatal(err)
			}
			startOn(t, &server.HTTPServer{Handler: handler}, l)
			return l.Addr().String()
		},
	}
	for name, startServer := range servers {
		t.Run(name, func(t *testing.T) {
			addr := startServer()
			c := dialTLS(t, addr, pool)
			c.wantOpen("/")
			body := strings.Repeat("0123456789", 30_000)
			c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			c.wantAnswer(200, body)
			c.send("POST /ok HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n%s", strings.Repeat("x", 1_000_000))
			c.wantAnswer(200, "ok")
			c.wantClosed("too much body to throw away")

			c = dialTLS(t, addr, pool)
			c.send("GET / HTTP/1.1\r\nHost : h\r\n\r\n")
			c.wantStatus(400)
			c.wantClosed("refused")
		})
	}
}

func TestTLSAbort(t *testing.T) {
	cert, pool, _, _ := certificate(t)
	c := dialTLS(t, startTLS(t, &server.HTTPServer{
		Handler:   server.HandlerFunc(func(*server.HTTPRequest) { panic(http.ErrAbortHandler) }),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
	}, "", ""), pool)
	c.get("/")
	if _, err := c.r.ReadByte(); err == nil || err == io.EOF {
		t.Errorf("an aborted answer over TLS ends with %v", err)
	}
}

func TestTLSHandshakeFailures(t *testing.T) {
	_, _, certFile, keyFile := certificate(t)
	failures := make(chan error, 10)
	s := &server.HTTPServer{
		Handler: server.HandlerFunc(ok), HeaderTimeout: 10 * time.Second,
		TLSError: func(conn net.Conn, err error) {
			if conn.RemoteAddr() == nil {
				t.Error("no address")
			}
			failures <- err
		},
	}
	addr := startTLS(t, s, certFile, keyFile)

	t.Run("plain HTTP", func(t *testing.T) {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			c := dial(t, addr)
			c.send("%s / HTTP/1.1\r\nHost: h\r\nX: %s\r\n\r\n", method, strings.Repeat("x", 30_000))
			c.wantLine("HTTP/1.0 400 Bad Request")
			rest, err := io.ReadAll(c.r)
			if err != nil || !strings.Contains(string(rest), "without TLS") {
				t.Errorf("%s: %q, %v", method, rest, err)
			}
			_ = c.conn.Close()
			if err := <-failures; err == nil {
				t.Error("the hook got no error")
			}
		}
	})
	t.Run("noise", func(t *testing.T) {
		c := dial(t, addr)
		c.send("\x00\x01\x02\x03\x04\x05\x06\x07\x08")
		c.wantEnd("no TLS")
		<-failures
	})
	t.Run("unknown authority", func(t *testing.T) {
		conn, err := tls.Dial("tcp", addr, &tls.Config{ServerName: "localhost"})
		if err == nil {
			_ = conn.Close()
			t.Fatal("a client that trusts nobody connected")
		}
		<-failures
	})
	t.Run("a client that leaves", func(t *testing.T) {
		_ = dial(t, addr).conn.Close()
		<-failures
	})
}

func TestTLSHandshakeTimeout(t *testing.T) {
	_, _, certFile, keyFile := certificate(t)
	addr := startTLS(t, &server.HTTPServer{Handler: server.HandlerFunc(ok), HeaderTimeout: soon}, certFile, keyFile)
	dial(t, addr).wantEnd("no handshake")
}

func TestTLSFilesMissing(t *testing.T) {
	s := &server.HTTPServer{Handler: server.HandlerFunc(ok)}
	if err := s.ListenAndServeTLS("127.0.0.1:0", "/no/such/cert", "/no/such/key"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ListenAndServeTLS = %v", err)
	}
}

func TestPipeConnections(t *testing.T) {
	// Any net.Conn will do, without addresses of its own, half-closing or a file
	// descriptor.
	here, there := net.Pipe()
	l := &scriptedListener{results: make(chan any, 1), closed: make(chan struct{})}
	l.results <- there
	startOn(t, &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		_ = r.Context().Done()
		echo(r)
	})}, l)
	c := &conversation{t, here, bufio.NewReader(here)}
	c.wantOpen("/")
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n")
	c.send("abc")
	c.wantAnswer(200, "abc")
	c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	c.wantAnswer(200, "")
	c.wantClosed("Connection: close")
}
