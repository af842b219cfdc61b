// SPDX-License-Identifier: MIT

package server_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/server"
)

// pairFor writes a certificate for some names, made by key, to files.
func pairFor(t testing.TB, files server.CertificateFiles, key crypto.Signer, names ...string) {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	must(t, os.WriteFile(files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pairFiles(t testing.TB, name string) server.CertificateFiles {
	folder := t.TempDir()
	return server.CertificateFiles{Cert: filepath.Join(folder, name+".crt"), Key: filepath.Join(folder, name+".key")}
}

// trusting is what a client needs that takes any certificate and tells which.
func trusting(name string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: name, NextProtos: []string{"http/1.1"}} //nolint:gosec // a test
}

// serial shakes hands and tells the serial number of the certificate that came.
func serial(t testing.TB, addr string, config *tls.Config) (string, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, config)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	leaf := conn.ConnectionState().PeerCertificates[0]
	return leaf.Subject.CommonName + " " + leaf.SerialNumber.String(), nil
}

func wantName(t testing.TB, addr, asked, want string) string {
	t.Helper()
	got, err := serial(t, addr, trusting(asked))
	if err != nil || !strings.HasPrefix(got, want+" ") {
		t.Errorf("asking for %q gets %q, %v, want %s", asked, got, err, want)
	}
	return got
}

func TestCertificates(t *testing.T) {
	one, two, wild := pairFiles(t, "one"), pairFiles(t, "two"), pairFiles(t, "wild")
	pairFor(t, one, newKey(t), "one.example", "www.one.example")
	pairFor(t, two, newKey(t), "Two.Example")
	pairFor(t, wild, newKey(t), "*.one.example", "*.wild.example")
	var log lockedBuffer
	logger := zerolog.New(&log)
	certs := &server.Certificates{Files: []server.CertificateFiles{one, two, wild}, CheckEvery: time.Nanosecond}
	addr := startTLS(t, &server.HTTPServer{Handler: server.HandlerFunc(ok), Certificates: certs, ErrorLog: &logger}, "", "")

	for asked, want := range map[string]string{
		"one.example": "one.example", "ONE.example": "one.example", "www.one.example": "one.example",
		"two.example": "Two.Example", "a.wild.example": "*.one.example", "other.one.example": "*.one.example",
		"a.b.wild.example": "one.example", "unknown": "one.example", "": "one.example", "wild.example": "one.example",
	} {
		wantName(t, addr, asked, want)
	}

	// A connection that is open goes on; new ones get what is in the files.
	before := wantName(t, addr, "two.example", "Two.Example")
	conn, err := tls.Dial("tcp", addr, trusting("two.example"))
	if err != nil {
		t.Fatal(err)
	}
	open := converse(t, conn)
	open.wantOpen("/")
	pairFor(t, two, newKey(t), "two.example")
	if after := wantName(t, addr, "two.example", "two.example"); after == before {
		t.Error("the new certificate is not served")
	}
	open.wantOpen("/")

	// Half-way through, the old pair stays; others are renewed all the same.
	current := wantName(t, addr, "two.example", "two.example")
	oldOne := wantName(t, addr, "one.example", "one.example")
	whole, err := os.ReadFile(two.Cert)
	must(t, err)
	for _, broken := range [][]byte{nil, whole[:len(whole)/2], []byte("nonsense")} {
		must(t, os.WriteFile(two.Cert, broken, 0o600))
		if got := wantName(t, addr, "two.example", "two.example"); got != current {
			t.Errorf("with a broken file %q is served", got)
		}
		if err := certs.Reload(); err == nil || !strings.Contains(err.Error(), two.Cert) {
			t.Errorf("Reload: %v", err)
		}
	}
	pairFor(t, one, newKey(t), "one.example")
	if got := wantName(t, addr, "one.example", "one.example"); got == oldOne {
		t.Error("a broken pair keeps others from being renewed")
	}
	other := pairFiles(t, "other")
	pairFor(t, other, newKey(t), "two.example")
	foreign, err := os.ReadFile(other.Cert)
	must(t, err)
	must(t, os.WriteFile(two.Cert, foreign, 0o600)) // the key is still the old one
	if got := wantName(t, addr, "two.example", "two.example"); got != current {
		t.Errorf("with another's certificate %q is served", got)
	}
	must(t, os.Remove(two.Cert))
	if got := wantName(t, addr, "two.example", "two.example"); got != current {
		t.Errorf("without a file %q is served", got)
	}
	must(t, os.WriteFile(two.Cert, whole, 0o600))
	must(t, certs.Reload())
	for _, want := range []string{"certificate renewed", "reading a certificate", "no such file"} {
		if text := log.String(); !strings.Contains(text, want) || strings.Contains(text, "PRIVATE") {
			t.Errorf("the log has no %q: %s", want, text)
		}
	}
}

func TestCertificatesBounds(t *testing.T) {
	files := pairFiles(t, "a")
	pairFor(t, files, newKey(t), "a.example")
	t.Run("no check", func(t *testing.T) {
		for _, every := range []time.Duration{-1, 0, time.Hour} {
			certs := &server.Certificates{Files: []server.CertificateFiles{files}, CheckEvery: every}
			addr := startTLS(t, &server.HTTPServer{Handler: server.HandlerFunc(ok), Certificates: certs}, "", "")
			before := wantName(t, addr, "a.example", "a.example")
			pairFor(t, files, newKey(t), "a.example")
			if wantName(t, addr, "a.example", "a.example") != before {
				t.Errorf("CheckEvery %v: the files were read", every)
			}
			must(t, certs.Reload())
			if wantName(t, addr, "a.example", "a.example") == before {
				t.Errorf("CheckEvery %v: Reload did nothing", every)
			}
		}
	})
	t.Run("refuse unknown", func(t *testing.T) {
		certs := &server.Certificates{Files: []server.CertificateFiles{files}, RefuseUnknown: true}
		addr := startTLS(t, &server.HTTPServer{Handler: server.HandlerFunc(ok), Certificates: certs}, "", "")
		wantName(t, addr, "a.example", "a.example")
		for _, name := range []string{"", "b.example"} {
			if got, err := serial(t, addr, trusting(name)); err == nil {
				t.Errorf("asking for %q gets %s", name, got)
			}
		}
	})
	t.Run("with a GetCertificate", func(t *testing.T) {
		mine, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		must(t, err)
		second := pairFiles(t, "b")
		pairFor(t, second, newKey(t), "b.example")
		addr := startTLS(t, &server.HTTPServer{
			Handler: server.HandlerFunc(ok), Certificates: &server.Certificates{Files: []server.CertificateFiles{second}},
			TLSConfig: &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if hello.ServerName == "a.example" {
					return &mine, nil
				}
				return nil, nil
			}},
		}, "", "")
		wantName(t, addr, "a.example", "a.example")
		wantName(t, addr, "b.example", "b.example")
	})
	t.Run("at start", func(t *testing.T) {
		for name, certs := range map[string]*server.Certificates{
			"none": {}, "missing": {Files: []server.CertificateFiles{files, {Cert: "/no/such", Key: files.Key}}},
		} {
			s := &server.HTTPServer{Handler: server.HandlerFunc(ok), Certificates: certs}
			if err := s.ListenAndServeTLS("127.0.0.1:0", "", ""); err == nil || errors.Is(err, server.ErrServerClosed) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := certs.GetCertificate(&tls.ClientHelloInfo{}); err == nil {
				t.Errorf("%s: a certificate out of nowhere", name)
			}
		}
	})
	t.Run("two kinds of key", func(t *testing.T) {
		ed := pairFiles(t, "ed")
		_, key, err := ed25519.GenerateKey(rand.Reader)
		must(t, err)
		pairFor(t, ed, key, "a.example")
		certs := &server.Certificates{Files: []server.CertificateFiles{ed, files}}
		addr := startTLS(t, &server.HTTPServer{Handler: server.HandlerFunc(ok), Certificates: certs}, "", "")
		config := trusting("a.example")
		if conn, err := tls.Dial("tcp", addr, config); err != nil {
			t.Error(err)
		} else {
			if alg := conn.ConnectionState().PeerCertificates[0].PublicKeyAlgorithm; alg != x509.Ed25519 {
				t.Errorf("the first is not preferred: %v", alg)
			}
			_ = conn.Close()
		}
	})
}

// Handshakes, checks and reloads at once, for the race detector.
func TestCertificatesConcurrent(t *testing.T) {
	files := pairFiles(t, "a")
	key := newKey(t)
	pairFor(t, files, key, "a.example")
	certs := &server.Certificates{Files: []server.CertificateFiles{files}, CheckEvery: time.Nanosecond}
	must(t, certs.Reload())
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 200 {
				if _, err := certs.GetCertificate(&tls.ClientHelloInfo{ServerName: "a.example"}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range 20 {
		pairFor(t, files, key, "a.example")
		_ = certs.Reload()
	}
	for range 4 {
		<-done
	}
}

func TestClientCertificates(t *testing.T) {
	mine := pairFiles(t, "client")
	pairFor(t, mine, newKey(t), "client.example")
	pair, err := tls.LoadX509KeyPair(mine.Cert, mine.Key)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	_, _, certFile, keyFile := certificate(t)
	addr := startTLS(t, &server.HTTPServer{
		TLSConfig: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool},
		Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			_ = r.SendString(200, text, r.Protocol()+" "+r.TLS().PeerCertificates[0].Subject.CommonName)
		}),
	}, certFile, keyFile)
	config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}} //nolint:gosec // a test
	for _, want := range []string{"HTTP/1.1 client.example", "HTTP/2.0 client.example"} {
		transport := &http.Transport{TLSClientConfig: config}
		if strings.HasPrefix(want, "HTTP/2") {
			transport = http2Only(t, config)
		}
		client := &http.Client{Transport: transport}
		if a := fetch(t, client, newRequest(t, "GET", "https://"+addr, nil)); a.body != want {
			t.Errorf("got %q, want %q", a.body, want)
		}
		client.CloseIdleConnections()
	}
	conn, err := tls.Dial("tcp", addr, trusting(""))
	if err == nil { // in TLS 1.3 the refusal comes after the client's handshake
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if err == nil {
		t.Error("a client without a certificate is let in")
	}
}

// A panic in a function of the configuration ends one handshake, not the process.
func TestTLSConfigPanics(t *testing.T) {
	cert, _, _, _ := certificate(t)
	var log lockedBuffer
	logger := zerolog.New(&log)
	addr := startTLS(t, &server.HTTPServer{Handler: server.HandlerFunc(ok), ErrorLog: &logger, TLSConfig: &tls.Config{
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName == "panic" {
				panic("mine")
			}
			return &cert, nil
		},
	}}, "", "")
	if _, err := tls.Dial("tcp", addr, trusting("panic")); err == nil {
		t.Error("a handshake whose certificate panicked succeeds")
	}
	if _, err := serial(t, addr, trusting("localhost")); err != nil {
		t.Errorf("after a panic: %v", err)
	}
	if !strings.Contains(log.String(), "TLS configuration panicked") {
		t.Errorf("the log has %s", log.String())
	}
}

func TestTLSDowngradeRefused(t *testing.T) {
	_, _, certFile, keyFile := certificate(t)
	addr := startTLS(t, &server.HTTPServer{Handler: server.HandlerFunc(ok)}, certFile, keyFile)
	for version, fine := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		config := trusting("localhost")
		config.MinVersion, config.MaxVersion = version, version
		conn, err := tls.Dial("tcp", addr, config)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != fine {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	config := trusting("localhost")
	config.MaxVersion, config.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}
	if conn, err := tls.Dial("tcp", addr, config); err == nil {
		_ = conn.Close()
		t.Error("3DES is accepted")
	}
}

// A client of TLS 1.2 that wants to negotiate anew is refused: once established, a
// connection costs no more handshakes.
func TestTLSRenegotiationRefused(t *testing.T) {
	_, _, certFile, keyFile := certificate(t)
	addr := startTLS(t, &server.HTTPServer{Handler: server.HandlerFunc(ok)}, certFile, keyFile)
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	wire, keys := &tapConn{Conn: raw}, &bytes.Buffer{}
	config := trusting("localhost")
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	config.KeyLogWriter = keys
	conn := tls.Client(wire, config)
	c := converse(t, conn)
	c.wantOpen("/")

	// What was negotiated encrypts a ClientHello, as a second record of our own would
	// be: the one before was the request.
	var random, master string
	if _, err := fmt.Sscanf(keys.String(), "CLIENT_RANDOM %s %s", &random, &master); err != nil {
		t.Fatal(err)
	}
	client, _ := hex.DecodeString(random)
	secret, _ := hex.DecodeString(master)
	serverRandom := wire.in[11 : 11+32] // record header, handshake header, version
	block := prf12(secret, "key expansion", append(append([]byte(nil), serverRandom...), client...), 40)
	hello := wire.out[5 : 5+4+int(wire.out[6])<<16+int(wire.out[7])<<8+int(wire.out[8])]
	const finishedAndRequest = 2
	if _, err := raw.Write(sealRecord12(t, block[:16], block[32:36], finishedAndRequest, 22, hello)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.r.ReadByte(); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("after a second ClientHello: %v, want the end of the connection", err)
	}
}

// tapConn keeps what goes through.
type tapConn struct {
	net.Conn
	in, out []byte
}

func (c *tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in = append(c.in, p[:n]...)
	return n, err
}

func (c *tapConn) Write(p []byte) (int, error) {
	c.out = append(c.out, p...)
	return c.Conn.Write(p)
}

// prf12 is the PRF of TLS 1.2 with SHA-256 (RFC 5246, section 5).
func prf12(secret []byte, label string, seed []byte, size int) (out []byte) {
	seed = append([]byte(label), seed...)
	mac := func(parts ...[]byte) []byte {
		h := hmac.New(sha256.New, secret)
		for _, p := range parts {
			_, _ = h.Write(p)
		}
		return h.Sum(nil)
	}
	for a := mac(seed); len(out) < size; a = mac(a) {
		out = append(out, mac(a, seed)...)
	}
	return out[:size]
}

// sealRecord12 encrypts a record with AES-GCM (RFC 5288).
func sealRecord12(t testing.TB, key, salt []byte, sequence uint64, kind byte, payload []byte) []byte {
	t.Helper()
	aesBlock, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(aesBlock)
	if err != nil {
		t.Fatal(err)
	}
	number := binary.BigEndian.AppendUint64(nil, sequence)
	data := append(append([]byte(nil), number...), kind, 3, 3, byte(len(payload)>>8), byte(len(payload)))
	sealed := aead.Seal(append([]byte(nil), number...), append(append([]byte(nil), salt...), number...), payload, data)
	return append([]byte{kind, 3, 3, byte(len(sealed) >> 8), byte(len(sealed))}, sealed...)
}

// Half handshakes without end take no place from connections that are open, from
// other listeners, or from clients that go on with theirs.
func TestTLSHandshakeFlood(t *testing.T) {
	_, pool, certFile, keyFile := certificate(t)
	var failed atomic.Int64
	s := &server.HTTPServer{
		Handler: server.HandlerFunc(ok), MaxHandshakes: 20, MaxConns: 100,
		Engine:   engine, // for both listeners
		TLSError: func(net.Conn, error) { failed.Add(1) },
	}
	addr := startTLS(t, s, certFile, keyFile)
	plain := dial(t, start(t, s))
	plain.wantOpen("/")
	open := dialTLS(t, addr, pool)
	open.wantOpen("/")

	hello := clientHello(t)
	for i := range 300 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if i%2 == 0 {
			_, _ = conn.Write(hello[:len(hello)-i%7]) // some silent, some half, some whole and then silent
		}
		if i%50 == 0 {
			open.wantOpen("/")
			plain.wantOpen("/")
			dialTLS(t, addr, pool).wantOpen("/")
		}
	}
	if !settles(func() bool { return failed.Load() >= 250 }) {
		t.Errorf("%d handshakes were given up, want all but those that may go on", failed.Load())
	}
	open.wantOpen("/")
	plain.wantOpen("/")
	dialTLS(t, addr, pool).wantOpen("/")
}

// clientHello is the first message of a client.
func clientHello(t testing.TB) []byte {
	t.Helper()
	here, there := net.Pipe()
	defer func() { _ = here.Close(); _ = there.Close() }()
	go func() { _ = tls.Client(here, trusting("localhost")).Handshake() }()
	head := make([]byte, 5)
	if _, err := io.ReadFull(there, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(there, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

func TestHTTPSRedirect(t *testing.T) {
	redirect := &server.HTTPSRedirect{Hosts: []string{"example.com", "www.Example.com", "::1"}}
	fixed := &server.HTTPSRedirect{Hosts: []string{"a.example"}, Host: "main.example", Port: 8443}
	tests := []struct {
		handler        server.Handler
		request        string
		status         int
		location, name string
	}{
		{redirect, "GET / HTTP/1.1\r\nHost: example.com", 301, "https://example.com/", "plain"},
		{redirect, "HEAD /a%2Fb?x=%20y HTTP/1.1\r\nHost: WWW.example.com:80", 301, "https://www.example.com/a%2Fb?x=%20y", "escapes and port"},
		{redirect, "POST /a?b HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0", 308, "https://example.com/a?b", "POST"},
		{redirect, "GET //evil.example/a HTTP/1.1\r\nHost: example.com", 301, "https://example.com//evil.example/a", "two slashes"},
		{redirect, "GET /\\evil.example HTTP/1.1\r\nHost: example.com", 400, "", "backslash"},
		{redirect, "GET http://example.com?q HTTP/1.1\r\nHost: evil.example", 301, "https://example.com/?q", "absolute-form"},
		{redirect, "GET http://evil.example/ HTTP/1.1\r\nHost: example.com", 421, "", "absolute-form of another"},
		{redirect, "GET / HTTP/1.1\r\nHost: [::1]:80", 301, "https://[::1]/", "address"},
		{redirect, "OPTIONS * HTTP/1.1\r\nHost: example.com", 308, "https://example.com/", "asterisk"},
		{redirect, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443", 501, "", "CONNECT"},
		{redirect, "GET /?a|b HTTP/1.1\r\nHost: example.com.:80", 301, "https://example.com/?a|b", "a dot at the end"},
		{redirect, "GET / HTTP/1.1\r\nHost: evil.example", 421, "", "unknown"},
		{redirect, "GET / HTTP/1.1\r\nHost: example.com.evil.example", 421, "", "suffix"},
		{redirect, "GET / HTTP/1.1\r\nHost:", 421, "", "empty"},
		{redirect, "GET / HTTP/1.0", 421, "", "none"},
		{redirect, "GET / HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: example.com", 421, "", "forwarded"},
		{&server.HTTPSRedirect{}, "GET / HTTP/1.1\r\nHost: example.com", 421, "", "zero value"},
		{fixed, "GET /x HTTP/1.1\r\nHost: a.example", 301, "https://a.example:8443/x", "known, with a port"},
		{fixed, "GET /x HTTP/1.1\r\nHost: evil.example", 301, "https://main.example:8443/x", "all others"},
		{&server.HTTPSRedirect{Host: "bad\r\nhost"}, "GET / HTTP/1.1\r\nHost: x", 500, "", "Host that is no name"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, start(t, &server.HTTPServer{Handler: test.handler}))
			c.send("%s\r\n\r\n", test.request)
			method, _, _ := strings.Cut(test.request, " ")
			a := c.read(method)
			if a.StatusCode != test.status || a.Header.Get("Location") != test.location {
				t.Errorf("%d, Location %q, want %d %q", a.StatusCode, a.Header.Get("Location"), test.status, test.location)
			}
		})
	}
}
