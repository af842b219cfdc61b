// SPDX-License-Identifier: MIT

package docs_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// The fragments of tls.md, which the tests of package server and the example put to
// work.

func TestTLSFragments(t *testing.T) {
	app := pleat.New(pleat.Config{Server: &server.HTTPServer{
		Certificates: &server.Certificates{Files: []server.CertificateFiles{
			{Cert: "example.com.crt", Key: "example.com.key"},
			{Cert: "example.org.crt", Key: "example.org.key"},
		}},
	}})
	if err := app.Run("127.0.0.1:0"); err == nil {
		t.Error("an app serves without the files of its certificates")
	}

	s, authorities := &server.HTTPServer{}, x509.NewCertPool()
	s.TLSConfig = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authorities}
	s.Handler = server.HandlerFunc(func(r *server.HTTPRequest) {
		who := r.TLS().PeerCertificates[0].Subject.CommonName
		_ = r.SendString(200, "text/plain; charset=utf-8", "Hello, "+who+"!\n")
	})
	if err := s.ListenAndServeTLS("127.0.0.1:0", "", ""); err == nil {
		t.Error("a server without a certificate serves")
	}

	app = pleat.New(pleat.Config{})
	app.Beside(&server.HTTPServer{
		Handler: &server.HTTPSRedirect{Hosts: []string{"example.com", "www.example.com"}},
	}, ":80")
	if err := app.Start(); err != nil {
		t.Error(err)
	}
}
