// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/server"
)

const (
	// claimedPeers are the clients that PROXY headers name.
	claimedPeers = "192.0.2.0/24"
	// The times of the server that the load waits for. Whatever the load does
	// slowly takes far less, so that a machine that is busy changes nothing.
	headerTimeout = 15 * time.Second
	idleTimeout   = time.Minute // more than coming to rest may take, as connections idle meanwhile
	bodyGrace     = 15 * time.Second
	// patience is what a graceful end may take, and less than answerTime. No handler
	// takes as long.
	patience = 75 * time.Second
)

// serverProcess is the process that is soaked, from inside.
type serverProcess struct {
	site *site
	srv  *server.HTTPServer
	open atomic.Int64

	out   sync.Mutex // one line at a time
	lines *json.Encoder
}

// serve is the main function of the server process. It ends with its input.
func serve(config serverConfig, in io.Reader, out io.Writer) error {
	p := &serverProcess{lines: json.NewEncoder(out)}
	p.site = newSite(config, func(what string) { p.tell(report{Violation: what}) })
	if err := p.start(config); err != nil {
		return err
	}
	commands := bufio.NewScanner(in)
	for commands.Scan() {
		p.tell(p.obey(commands.Text()))
	}
	return commands.Err()
}

func (p *serverProcess) tell(r report) {
	p.out.Lock()
	defer p.out.Unlock()
	_ = p.lines.Encode(r)
}

func (p *serverProcess) obey(command string) report {
	switch command {
	case askStats:
		s := p.stats()
		return report{Stats: &s}
	case askLedger:
		p.site.mu.Lock()
		defer p.site.mu.Unlock()
		b, err := json.Marshal(p.site.ledger)
		var ledger serverLedger
		if err := errors.Join(err, json.Unmarshal(b, &ledger)); err != nil { // a copy
			return report{Violation: err.Error()}
		}
		return report{Ledger: &ledger}
	case askDrain:
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		text := ""
		if err := p.srv.Shutdown(ctx); err != nil {
			text = err.Error()
		}
		return report{Drained: &text}
	case askDump:
		return report{Dump: dump()}
	case askFaults:
		p.site.mu.Lock()
		p.site.faulty = true
		p.site.mu.Unlock()
		return report{}
	}
	return report{Violation: "there is no command " + command}
}

func (p *serverProcess) stats() stats {
	p.site.client.CloseIdleConnections()
	p.site.forget()
	s := takeStats()
	s.Open = int(p.open.Load())
	p.site.mu.Lock()
	defer p.site.mu.Unlock()
	s.Underway = p.site.underway
	l := &p.site.ledger
	s.Heap -= int64(8 * (cap(l.Begun) + cap(l.Whole) + cap(l.Broken)))
	return s
}

// start opens the listeners, says what there was before, and where they are.
func (p *serverProcess) start(config serverConfig) error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close() // the runtime's own descriptors exist from here on
	}
	log := zerolog.New(&logCheck{violation: p.site.violation}).Level(zerolog.InfoLevel)
	p.srv = &server.HTTPServer{
		Engine:        engineNames[config.Engine],
		HeaderTimeout: headerTimeout,
		IdleTimeout:   idleTimeout,
		RateGrace:     bodyGrace,
		MinRate:       100,
		TLSConfig:     &tls.Config{Certificates: []tls.Certificate{cert}},
		HTTP2:         server.HTTP2{Cleartext: true},
		ConnState:     p.connState,
	}
	app, err := p.site.app(p.srv, &log)
	if err != nil {
		return err
	}
	if err := app.Start(); err != nil {
		return err
	}
	before := p.stats() // with the folder of static files, which stays open
	p.tell(report{Stats: &before})
	trusted, err := server.ParsePrefixes("127.0.0.0/8")
	if err != nil {
		return err
	}
	direct, proxied := &server.ListenConfig{}, &server.ListenConfig{Proxy: &server.ProxyProtocol{Trusted: trusted, Timeout: headerTimeout}}
	at := addresses{Certificate: cert.Certificate[0]}
	for _, listener := range []struct {
		config *server.ListenConfig
		addr   string
		tls    bool
		at     *string
	}{
		{direct, "127.0.0.1:0", false, &at.Plain},
		{direct, "127.0.0.1:0", true, &at.TLS},
		{proxied, "127.0.0.1:0", false, &at.Proxy},
		{proxied, "127.0.0.1:0", true, &at.ProxyTLS},
		{direct, "unix:" + filepath.Join(config.Folder, "socket"), false, &at.Unix},
	} {
		l, err := listener.config.Listen(listener.addr)
		if err != nil {
			return err
		}
		*listener.at = l.Addr().String()
		go func() {
			serve := p.srv.Serve
			if listener.tls {
				serve = func(l net.Listener) error { return p.srv.ServeTLS(l, "", "") }
			}
			if err := serve(l); !errors.Is(err, server.ErrServerClosed) {
				p.site.violation(fmt.Sprintf("serving %v ended with %v", l.Addr(), err))
			}
		}()
	}
	p.tell(report{Ready: &at})
	return nil
}

// engineNames are the engines by the names that users of this program give them.
// TLS always takes goroutines.
var engineNames = map[string]server.Engine{"loop": server.EngineAuto, "goroutine": server.EngineGoroutine}

func (p *serverProcess) connState(_ *server.HTTPConnection, state http.ConnState) {
	switch state {
	case http.StateNew:
		p.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		p.open.Add(-1)
	}
}

// logCheck reads the log: an error that nobody asked for is a violation.
type logCheck struct{ violation func(string) }

// expectedErrors are what lines of the log have that are asked for: panics.
var expectedErrors = [][]byte{[]byte(`"request_id":"` + kindPanic + `.`)}

func (l *logCheck) Write(line []byte) (int, error) { return l.WriteLevel(zerolog.NoLevel, line) }

func (l *logCheck) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	expected := func(text []byte) bool { return bytes.Contains(line, text) }
	if level >= zerolog.ErrorLevel && level < zerolog.NoLevel && !slices.ContainsFunc(expectedErrors, expected) {
		l.violation("the log has an error: " + string(bytes.TrimSpace(line[:min(len(line), 4000)])))
	}
	return len(line), nil
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "soak"}, DNSNames: []string{"soak.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// writeStaticFiles makes the files that servers have.
func writeStaticFiles(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for name, size := range staticFiles {
		if err := os.WriteFile(filepath.Join(folder, name), octets(name, size), 0o600); err != nil {
			return err
		}
	}
	return nil
}
