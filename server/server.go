// SPDX-License-Identifier: MIT

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// HTTPServer answers HTTP/1.1, HTTP/1.0 and, over TLS, HTTP/2 requests with its
// Handler. The zero value with a Handler works. Fields are read when the server
// first serves and must not be changed after that; the methods are safe for
// concurrent use.
//
// For limits and timeouts zero means the default and a negative value none.
type HTTPServer struct {
	// Handler answers the requests. Required.
	Handler Handler

	// MaxRequest is the largest request body in octets of content, 10 MiB by
	// default (413). A handler may set another for its request with SetBodyLimit.
	MaxRequest int64
	// MaxHeader is the largest request head in octets, request line included,
	// 64 KiB by default (431). Trailer sections have the same limit.
	MaxHeader int
	// MaxHeaderFields is the largest number of field lines, 128 by default (431).
	MaxHeaderFields int
	// MaxTarget is the longest request-target in octets, 16 KiB by default (414).
	MaxTarget int

	// HeaderTimeout is the time a request head may take from its first octet to
	// its last, 10 s by default (408). The first request's time begins with the
	// connection; a TLS handshake has as long.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection may rest between requests, 120 s by
	// default.
	IdleTimeout time.Duration
	// MinRate is how fast, in octets a second, a peer must send a body and take
	// an answer on average, 240 by default. It counts only time spent waiting for
	// the peer, after RateGrace; being fast saves up to a minute for later.
	MinRate int64
	// RateGrace is how long a peer may keep the server waiting for one request
	// before MinRate applies, 10 s by default.
	RateGrace time.Duration

	// MaxConns is the largest number of open connections. By default it is what
	// the limit on file descriptors allows, with some left for the handlers. When
	// it is reached new connections wait in the listener's backlog. One that a
	// handler took over counts as long as a long-lived request (see
	// [HTTPRequest.EndOnDrain]) has it, WebSockets among them, and otherwise not.
	MaxConns int
	// MaxConnsPerIP is the largest number of open connections from one address,
	// counted by /64 for IPv6; more are closed at once. None by default. Behind a
	// proxy all connections come from one address, unless it sends PROXY headers.
	MaxConnsPerIP int

	// ListenConfig says how ListenAndServe, ListenAndServeTLS and an App open
	// listeners. Listeners that are given to Serve are as they are.
	ListenConfig ListenConfig

	// ShutdownGrace is what Shutdown adds to its patience: with that over, and the
	// contexts of all requests ended, handlers have so long to notice and to finish
	// their answers before their connections are cut. 1 s by default.
	ShutdownGrace time.Duration

	// Engine chooses how connections are waited for. The default, EngineAuto, is
	// right unless there is something to find out.
	Engine Engine

	// DisableKeepAlive closes every connection after its first answer.
	DisableKeepAlive bool

	// TLSConfig is used by ListenAndServeTLS and ServeTLS, and is cloned. Where it
	// says nothing the choice is that of crypto/tls, with TLS 1.2 as the least. What
	// is offered to clients in NextProtos is "h2", unless HTTP2 says otherwise, and
	// "http/1.1", and after them what else it lists; a connection for which such
	// another protocol is negotiated ends with its handshake. Configurations that a
	// GetConfigForClient returns are used as they are. Verified client certificates
	// (ClientAuth, ClientCAs) are in HTTPRequest.TLS.
	TLSConfig *tls.Config
	// Certificates are certificates in files that are read again when they change,
	// for ListenAndServeTLS and ServeTLS. A GetCertificate of TLSConfig is asked
	// first, and may return nil; its Certificates are not used.
	Certificates *Certificates
	// MaxHandshakes is the largest number of TLS handshakes that are under way at
	// once, 1024 by default, or half of MaxConns if that is less. One more, and that
	// which has taken the longest is given up.
	MaxHandshakes int
	// HTTP2 says how HTTP/2 is spoken. The zero value offers it to TLS clients.
	HTTP2 HTTP2

	// CookieSecrets sign cookies: newest first, at most four, each of at least 32
	// octets. The newest signs, all verify, so a secret is replaced by putting
	// the new one in front. Without any, signed cookies fail with
	// ErrNoCookieSecret; no random key is ever made up, because it would log
	// everybody out at each restart and on every other machine.
	CookieSecrets [][]byte

	// XHeaders says which proxies are believed about the client's address, scheme
	// and host. nil trusts nobody.
	XHeaders *TrustPolicy

	// Sendfile makes SendFile leave the sending of files to a web server in
	// front, by a header field. Off by default.
	Sendfile Sendfile

	// ServerHeader is the value of the Server field: "pleat" by default, none
	// with "-".
	ServerHeader string

	// BaseContext makes the context that requests of a listener descend from;
	// nil means context.Background.
	BaseContext func(net.Listener) context.Context
	// ConnState is told when a connection changes its state. It must not block.
	ConnState func(*HTTPConnection, http.ConnState)
	// TLSError is told of failed TLS handshakes; nil logs them at debug level.
	TLSError func(net.Conn, error)
	// ErrorLog takes what goes wrong without anybody to tell: panics, accept
	// errors. nil discards it.
	ErrorLog *zerolog.Logger

	once      sync.Once
	set       *settings
	setErr    error
	tracker   tracker
	longLived longLived
	draining  atomic.Bool

	mu    sync.Mutex
	bases []context.CancelCauseFunc // of the contexts of listeners; guarded by mu
	loops *loopEngine               // guarded by mu; nil until a listener needs them
	// listeners that are served, with what is closed when they are not any more, by
	// pointer, as not every listener can be a key; guarded by mu.
	listeners map[*net.Listener]chan struct{}
}

// settings are the fields of a server with their defaults filled in.
type settings struct {
	head             headLimits
	chunks           chunkLimits
	maxRequest       int64
	headerTimeout    time.Duration
	idleTimeout      time.Duration
	minRate          int64
	rateGrace        time.Duration
	shutdownGrace    time.Duration
	disableKeepAlive bool
	cookieKeys       *CookieKeys
	xheaders         *TrustPolicy
	clock            headClock
	std              *http.Server // stands for a net/http server in contexts
	log              zerolog.Logger
	acceptLog        throttledLog
	handshakes       handshakes
	http2            *http2Server // nil if it is off everywhere
	proxyLog         throttledLog
}

// orDefault resolves the convention of the fields: zero is the default, negative
// is none, which is what the caller calls none.
func orDefault[T int | int64 | time.Duration](v, def, none T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return none
	}
	return v
}

// prepare resolves the fields once.
func (s *HTTPServer) prepare() error {
	s.once.Do(func() { s.set, s.setErr = s.resolve() })
	return s.setErr
}

func (s *HTTPServer) resolve() (*settings, error) {
	s.listeners = map[*net.Listener]chan struct{}{}
	s.tracker.init(s.MaxConns, s.MaxConnsPerIP)
	if s.Handler == nil {
		return nil, errors.New("server: no Handler")
	}
	set := &settings{
		head: headLimits{
			headBytes:   orDefault(s.MaxHeader, 64<<10, 0),
			fields:      orDefault(s.MaxHeaderFields, 128, 0),
			targetBytes: orDefault(s.MaxTarget, 16<<10, 0),
		},
		maxRequest:       orDefault(s.MaxRequest, 10<<20, -1),
		headerTimeout:    orDefault(s.HeaderTimeout, 10*time.Second, 0),
		idleTimeout:      orDefault(s.IdleTimeout, 120*time.Second, 0),
		minRate:          orDefault(s.MinRate, 240, 0),
		rateGrace:        orDefault(s.RateGrace, 10*time.Second, 0),
		shutdownGrace:    orDefault(s.ShutdownGrace, time.Second, 0),
		disableKeepAlive: s.DisableKeepAlive,
		std:              &http.Server{},
		log:              zerolog.Nop(),
	}
	set.chunks = chunkLimits{trailerBytes: set.head.headBytes, trailerFields: set.head.fields}
	if s.ErrorLog != nil {
		set.log = *s.ErrorLog
	}
	switch s.ServerHeader {
	case "":
		set.clock.server = "Server: pleat\r\n"
	case "-":
	default:
		if !validFieldValue(s.ServerHeader) {
			return nil, errors.New("server: ServerHeader is no field value")
		}
		set.clock.server = "Server: " + s.ServerHeader + "\r\n"
	}
	if len(s.CookieSecrets) > 0 {
		keys, err := NewCookieKeys(s.CookieSecrets...)
		if err != nil {
			return nil, err
		}
		set.cookieKeys = keys
	}
	if s.XHeaders != nil {
		policy := *s.XHeaders
		if err := policy.Validate(); err != nil {
			return nil, err
		}
		set.xheaders = &policy
	}
	if err := s.Sendfile.validate(); err != nil {
		return nil, err
	}
	set.handshakes.most = mostHandshakes(s.MaxHandshakes, cap(s.tracker.slots))
	if !s.HTTP2.Off || s.HTTP2.Cleartext {
		h, err := newHTTP2Server(s, set)
		if err != nil {
			return nil, err
		}
		set.http2 = h
	}
	return set, nil
}

// Serve answers requests on connections that l accepts, until Shutdown, Close or
// an error of the listener. It closes l. After Shutdown and Close the error is
// ErrServerClosed. Several listeners can be served at once.
func (s *HTTPServer) Serve(l net.Listener) error { return s.serve(l, nil) }

func (s *HTTPServer) serve(l net.Listener, config *tls.Config) error {
	if err := s.prepare(); err != nil {
		_ = l.Close()
		return err
	}
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		_ = l.Close()
		return ErrServerClosed
	}
	ended := make(chan struct{})
	s.listeners[&l] = ended
	s.mu.Unlock()
	defer func() {
		_ = l.Close()
		s.mu.Lock()
		delete(s.listeners, &l)
		s.mu.Unlock()
		close(ended)
	}()

	base := context.Background()
	if s.BaseContext != nil {
		if base = s.BaseContext(l); base == nil {
			return errors.New("server: BaseContext returned nil")
		}
	}
	// Requests end when either the caller's context or the server does; they may
	// outlive this call.
	ctx, cancel := context.WithCancelCause(base)
	s.mu.Lock()
	s.bases = append(s.bases, cancel)
	s.mu.Unlock()
	opened := unwrapped(l)
	e, err := s.engineFor(opened.Listener, config)
	if err != nil {
		return err
	}
	return e.serve(&serving{srv: s, set: s.set, base: ctx, on: l.Addr(), tcp: opened.tcp, proxy: opened.proxy}, &opened)
}

// throttledLog writes at most a line a second.
type throttledLog struct{ last atomic.Int64 }

func (t *throttledLog) warn(log *zerolog.Logger, err error) {
	if t.due() {
		log.Warn().Err(err).Msg("server: accepting connections")
	}
}

// due reports whether there may be a line now.
func (t *throttledLog) due() bool {
	now := time.Now().Unix()
	last := t.last.Load()
	return last != now && t.last.CompareAndSwap(last, now)
}
