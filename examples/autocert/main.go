// SPDX-License-Identifier: MIT

// Command autocert serves an app over https with certificates that it gets, and
// renews, by itself (ACME, RFC 8555).
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

func main() {
	hosts := flag.String("hosts", "", "the names that this server is for, comma separated")
	cache := flag.String("cache", "certificates", "the folder that keeps certificates and the account's key")
	email := flag.String("email", "", "where the authority may write to")
	directory := flag.String("directory", acme.LetsEncryptURL, "the authority")
	https := flag.String("https", ":443", "the address for https")
	http := flag.String("http", ":80", "the address for http")
	flag.Parse()
	if *hosts == "" {
		fmt.Fprintln(os.Stderr, "autocert: which -hosts?")
		os.Exit(2)
	}
	names := strings.Split(strings.ReplaceAll(*hosts, " ", ""), ",")
	manager := newManager(names, *cache, *email, *directory)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, manager, names, *https, *http); err != nil {
		log.Fatal(err)
	}
}

// newManager gets certificates for the names and no others: who knows another name
// for this machine must not be able to use up what the authority grants.
func newManager(names []string, cache, email, directory string) *autocert.Manager {
	return &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		HostPolicy: autocert.HostWhitelist(names...),
		Cache:      autocert.DirCache(cache),
		Email:      email,
		Client:     &acme.Client{DirectoryURL: directory},
	}
}

// newApp is the app itself. The manager is asked for the certificate in each
// handshake; the authority asks for its proof in one, too ("acme-tls/1").
func newApp(manager *autocert.Manager) *pleat.App {
	out := zerolog.New(os.Stderr).With().Timestamp().Logger()
	app := pleat.New(pleat.Config{Logger: &out, Server: &server.HTTPServer{
		TLSConfig: &tls.Config{
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				c, err := manager.GetCertificate(hello)
				if err != nil { // otherwise nobody but the client would hear why
					out.Warn().Err(err).Str("name", hello.ServerName).Msg("no certificate")
				}
				return c, err
			},
			NextProtos: []string{acme.ALPNProto},
		},
	}})
	app.GET("/", func(c *pleat.Context) error {
		return c.Text(200, "Hello over "+c.Request().Protocol()+"!\n")
	})
	return app
}

// newRedirect is for port 80: the authority's questions are answered, and all else
// is sent to https.
func newRedirect(manager *autocert.Manager, names []string) *server.HTTPServer {
	redirect, challenges := &server.HTTPSRedirect{Hosts: names}, manager.HTTPHandler(nil)
	return &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		if strings.HasPrefix(r.Path(), "/.well-known/acme-challenge/") {
			challenges.ServeHTTP(r.ResponseWriter(), r.StdRequest())
			return
		}
		redirect.ServeRequest(r)
	})}
}

// run serves both addresses until ctx ends.
func run(ctx context.Context, manager *autocert.Manager, names []string, https, http string) error {
	secure, err := server.Listen(https, "443")
	if err != nil {
		return err
	}
	plain, err := server.Listen(http, "80")
	if err != nil {
		_ = secure.Close()
		return err
	}
	return serve(ctx, manager, names, secure, plain)
}

// serve is run with listeners that are open.
func serve(ctx context.Context, manager *autocert.Manager, names []string, secure, plain net.Listener) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	redirect, redirected := newRedirect(manager, names), make(chan error, 1)
	go func() {
		err := redirect.Serve(plain)
		if !errors.Is(err, server.ErrServerClosed) {
			end(err) // without it no certificate may be had, nor anybody led here
		}
		redirected <- err
	}()
	err := newApp(manager).RunListener(ctx, secure)
	_ = redirect.Close()
	if failed := <-redirected; err == nil && !errors.Is(failed, server.ErrServerClosed) {
		err = failed
	}
	return err
}
