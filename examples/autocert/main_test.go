// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// cached puts a certificate where the manager looks before it asks an authority.
func cached(t *testing.T, folder, name string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	_ = pem.Encode(&file, &pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})
	_ = pem.Encode(&file, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(folder, name), file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return pool
}

// Everything but the talk with an authority, which is not asked here: what is in
// the cache is served, other names are refused, and port 80 sends to https.
func TestServing(t *testing.T) {
	folder := t.TempDir()
	pool := cached(t, folder, "site.example")
	names := []string{"site.example"}
	manager := newManager(names, folder, "", "http://127.0.0.1:1/directory")
	https, plain := listen(t), listen(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, manager, names, https, plain) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	}()

	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			to := plain
			if _, port, _ := net.SplitHostPort(addr); port == "443" {
				to = https
			}
			return (&net.Dialer{}).DialContext(ctx, network, to.Addr().String())
		},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(url string) (int, string, http.Header) {
		t.Helper()
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body), res.Header
	}
	if status, body, _ := get("https://site.example/"); status != 200 || body != "Hello over HTTP/2.0!\n" {
		t.Errorf("https: %d %q", status, body)
	}
	if status, _, header := get("http://site.example/a%20b?c"); status != 301 || header.Get("Location") != "https://site.example/a%20b?c" {
		t.Errorf("http: %d, to %q", status, header.Get("Location"))
	}
	if status, _, header := get("http://other.example/"); status != 421 || header.Get("Location") != "" {
		t.Errorf("http for another: %d, to %q", status, header.Get("Location"))
	}
	if status, _, _ := get("http://site.example/.well-known/acme-challenge/token"); status != 404 {
		t.Errorf("an unknown challenge: %d", status)
	}
	if _, err := client.Get("https://other.example/"); err == nil {
		t.Error("another name is served")
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := server.Listen("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
