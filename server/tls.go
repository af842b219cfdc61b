// SPDX-License-Identifier: MIT

package server

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// ServeTLS is Serve with TLS on the accepted connections. The certificate is that
// of Certificates or TLSConfig, else that of the two files, which are looked at
// from time to time as those of [Certificates] are.
func (s *HTTPServer) ServeTLS(l net.Listener, certFile, keyFile string) error {
	err := s.prepare()
	var config *tls.Config
	if err == nil {
		config, err = s.tlsConfig(certFile, keyFile)
	}
	if err != nil {
		_ = l.Close()
		return err
	}
	return s.serve(l, config)
}

// protocols of TLS connections (RFC 7301).
const (
	protocolHTTP2 = "h2"
	protocolHTTP1 = "http/1.1"
)

var errNoCertificate = errors.New("server: TLS without a certificate: there is none in Certificates or TLSConfig, and no file is given")

// tlsConfig is the configuration for a listener.
func (s *HTTPServer) tlsConfig(certFile, keyFile string) (*tls.Config, error) {
	config := &tls.Config{}
	if s.TLSConfig != nil {
		config = s.TLSConfig.Clone()
	}
	if config.MinVersion == 0 {
		config.MinVersion = tls.VersionTLS12
	}
	offers := []string{protocolHTTP1}
	if !s.HTTP2.Off {
		offers = []string{protocolHTTP2, protocolHTTP1}
	}
	for _, p := range config.NextProtos { // "acme-tls/1", for one, has no requests to answer
		if p != protocolHTTP2 && p != protocolHTTP1 && !slices.Contains(offers, p) {
			offers = append(offers, p)
		}
	}
	config.NextProtos = offers
	certificates := s.Certificates
	if certificates == nil {
		if len(config.Certificates) > 0 || config.GetCertificate != nil || config.GetConfigForClient != nil {
			return config, nil
		}
		if certFile == "" && keyFile == "" {
			return nil, errNoCertificate
		}
		certificates = &Certificates{Files: []CertificateFiles{{Cert: certFile, Key: keyFile}}}
	}
	if err := certificates.Reload(); err != nil {
		return nil, err
	}
	config.Certificates = nil
	other := config.GetCertificate
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if other != nil {
			if c, err := other(hello); c != nil || err != nil {
				return c, err
			}
		}
		return certificates.choose(hello, &s.set.log)
	}
	return config, nil
}

// Why a handshake was given up.
var (
	errManyHandshakes = errors.New("server: too many TLS handshakes at once; this one took the longest")
	errHTTP2Off       = errors.New("server: h2 was negotiated, which is switched off")
	errHandshakePanic = errors.New("server: a function of the TLS configuration panicked")
)

// handshakes are the TLS handshakes that are under way, the oldest first. Beyond a
// bound the oldest is given up: a peer that goes on with its handshake is hardly
// ever that one.
type handshakes struct {
	most int // 0 = no bound

	mu    sync.Mutex
	under list.List // of *handshake; guarded by mu
}

type handshake struct {
	conn    net.Conn
	givenUp bool // guarded by handshakes.mu
}

func (h *handshakes) begin(conn net.Conn) *list.Element {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.most > 0 && h.under.Len() >= h.most {
		oldest := h.under.Remove(h.under.Front()).(*handshake)
		oldest.givenUp = true
		_ = oldest.conn.Close()
	}
	return h.under.PushBack(&handshake{conn: conn})
}

// end reports whether the handshake was given up meanwhile.
func (h *handshakes) end(e *list.Element) (givenUp bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.under.Remove(e)
	return e.Value.(*handshake).givenUp
}

// defaultHandshakes is the bound where none is set: half of the connections there
// may be, and no more than this.
const defaultHandshakes = 1024

func mostHandshakes(set, maxConns int) int {
	def := defaultHandshakes
	if maxConns > 0 {
		def = min(def, max(maxConns/2, 1))
	}
	return orDefault(set, def, 0)
}

// handshake does the TLS handshake, where the connection has TLS.
func (g *goroutineConn) handshake(ctx context.Context) (*tls.ConnectionState, bool) {
	set := g.engine.srv.set
	t, ok := g.conn.(*tls.Conn)
	if !ok {
		return nil, true
	}
	if set.headerTimeout > 0 {
		_ = t.SetDeadline(time.Now().Add(set.headerTimeout))
	}
	err := g.shakeHands(ctx, t)
	if g.endHandshake() {
		err = errManyHandshakes
	}
	if err != nil {
		g.handshakeFailed(err)
		return nil, false
	}
	state := t.ConnectionState()
	switch state.NegotiatedProtocol {
	case "", protocolHTTP1:
	case protocolHTTP2:
		if g.engine.srv.HTTP2.Off { // negotiated by somebody else's listener
			g.handshakeFailed(errHTTP2Off)
			return nil, false
		}
	default: // negotiated for its own sake; there is nothing to be said in it
		_ = t.Close()
		return nil, false
	}
	_ = t.SetDeadline(time.Time{})
	return &state, true
}

// shakeHands keeps a panic in a function of the configuration to its connection.
func (g *goroutineConn) shakeHands(ctx context.Context, t *tls.Conn) (err error) {
	defer func() {
		if v := recover(); v != nil {
			g.engine.srv.set.log.Error().Interface("panic", panicText(v)).Bytes("stack", stack()).Msg("server: TLS configuration panicked")
			err = errHandshakePanic
		}
	}()
	return t.HandshakeContext(ctx)
}

// endHandshake reports whether the handshake was given up meanwhile.
func (g *goroutineConn) endHandshake() (givenUp bool) {
	if g.shaking == nil {
		return false
	}
	givenUp = g.engine.srv.set.handshakes.end(g.shaking)
	g.shaking = nil
	return givenUp
}

func (g *goroutineConn) handshakeFailed(err error) {
	srv := g.engine.srv
	var notTLS tls.RecordHeaderError
	if errors.As(err, &notTLS) && notTLS.Conn != nil && looksLikeHTTP(notTLS.RecordHeader) {
		_, _ = io.WriteString(notTLS.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"+
			"This is an HTTPS port: the request came without TLS.\n")
		drain(g.raw, lingerTime)
	}
	if srv.TLSError != nil {
		srv.TLSError(g.raw, err)
	} else {
		srv.set.log.Debug().Err(err).Stringer("remote", g.raw.RemoteAddr()).Msg("server: TLS handshake failed")
	}
}

// looksLikeHTTP reports whether the first octets of a failed TLS handshake may be
// those of a plain HTTP request: a method, or the beginning of one.
func looksLikeHTTP(first [5]byte) bool {
	for i, b := range first {
		switch {
		case 'A' <= b && b <= 'Z':
		case i >= 3 && (b == ' ' || b == '/' || b == '*'):
		default:
			return false
		}
	}
	return true
}
