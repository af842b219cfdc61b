// SPDX-License-Identifier: MIT

package pleat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/pleat-go/pleat/server"
)

// WebSocketOptions are the terms on which [Context.WebSocket] takes a connection
// over. The zero value is right for a page that talks to its own host. For limits
// and times zero means the default and a negative value none.
type WebSocketOptions struct {
	// Origins are further origins whose pages may connect; those of the request's
	// own host always may. "https://app.example.com" is that origin,
	// "https://*.example.com" every host below example.com at any depth, "null" what
	// browsers call pages of no origin, and "*" any page of any site. Ports count,
	// where they are not the scheme's own. Anything else is an error.
	//
	// Security: a browser sends cookies along whichever page connects, and no rule
	// of its own stops that page from reading the answers. What is in this list acts
	// with its visitors' sessions. Clients that are no browsers send no Origin, and
	// pass.
	Origins []string
	// Subprotocols are the protocols that f speaks, best first. The first one that
	// the client offers is agreed on, and conn.Subprotocol tells which; with none
	// in common it is "", which browsers that asked for one take for a failure.
	Subprotocols []string
	// MaxMessage is the longest message in octets that is read, 64 KiB by default,
	// counted when it has been decompressed. Longer ones end the connection with
	// 1009 (message too big).
	MaxMessage int64
	// PingInterval is how often the peer is asked for a sign of life, 20 s by
	// default. One that was not heard of from one ping to the next is gone: it is
	// noticed within twice the interval. f need not read for that, but while some
	// 4 KiB wait for it to read there is no telling.
	PingInterval time.Duration
	// WriteTimeout is how long a peer may take to accept 16 KiB of a message, or a
	// shorter message, 10 s by default. One that is slower is cut. The library's
	// control frames have 5 s in any case.
	WriteTimeout time.Duration
	// Compression agrees on permessage-deflate, if the client offers it. By default
	// there is none: it costs memory for every connection, and compressing secrets
	// together with what others can choose gives them away by their length.
	Compression websocket.CompressionMode
}

const (
	defaultMaxMessage   = 64 << 10
	defaultPingInterval = 20 * time.Second
	defaultWriteTimeout = 10 * time.Second
	// closeGrace is how long the peer has to answer a close frame.
	closeGrace = time.Second
)

// WebSocket upgrades the connection to WebSocket (RFC 6455) and has f use it. It
// returns when f has, and the connection is closed then. conn is that of
// github.com/coder/websocket; one goroutine may read while others write.
//
// ctx ends when the peer goes or is not heard of any more (server.ErrClientGone),
// when the server drains (server.ErrServerDraining), when the context of c ends
// otherwise, as with a deadline of a middleware's, and when f has returned:
// context.Cause tells which. In the second and third case the peer is first told
// that the server goes away (1001): ctx ends when it has answered, at the latest a
// second later. c itself does not end when the peer goes; what f does for the
// connection it does under ctx, or with c.WithContext(ctx).
//
// How f ends, the peer is told: nil closes with 1000, a websocket.CloseError with
// its own code and reason, an error with a status below 500 with 1008 and its
// message, any other error and a panic with 1011 and nothing else. What f returns
// because the connection has come to its end, be it by the peer's mistake, is no
// error of WebSocket. Other errors are, and the app logs them with their cause.
//
// A request that does not ask for WebSocket, or for another version, is answered
// with 426; one that asks wrongly, or comes over HTTP/2, with 400, one from a page
// of an origin that is not allowed with 403, one that comes while the server drains
// with 503, each by the error that WebSocket returns. Fields that were set before,
// cookies among them, go out with the 101.
//
// As long as f runs, the connection counts among server.HTTPServer.MaxConns. Nothing
// else limits how many there are, and nothing how long they last: f does, if that
// matters.
func (c *Context) WebSocket(opts WebSocketOptions, f func(ctx context.Context, conn *websocket.Conn) error) error {
	opts = opts.withDefaults()
	if err := c.checkUpgrade(opts.Origins); err != nil {
		return err
	}
	c.req.EndOnDrain()
	if c.Err() != nil {
		return context.Cause(c)
	}
	w := &upgradeWriter{ResponseWriter: c.req.ResponseWriter(), writeTimeout: opts.WriteTimeout}
	conn, err := websocket.Accept(w, c.req.StdRequest(), &websocket.AcceptOptions{
		Subprotocols:       opts.Subprotocols,
		InsecureSkipVerify: true, // checkUpgrade has looked at the origin
		CompressionMode:    opts.Compression,
	})
	if err != nil {
		if c.req.Hijacked() { // all that can fail then is writing the 101
			err = fmt.Errorf("%w: %w", server.ErrClientGone, err)
		}
		return fmt.Errorf("pleat: upgrading to WebSocket: %w", err)
	}
	conn.SetReadLimit(opts.MaxMessage)

	// Not c: the library drops the connection when the context of a read ends, and
	// the peer has to be told first.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(c))
	defer cancel(server.ErrRequestDone)
	s := &webSocket{c: c, conn: conn, socket: w.socket, ctx: ctx, cancel: cancel}
	s.socket.start(s.peerGone)
	defer s.socket.wait()
	defer func() { _ = conn.CloseNow() }() // whatever f did, runtime.Goexit included
	stop := context.AfterFunc(c, s.depart)
	defer stop()
	if opts.PingInterval > 0 {
		pings := s.startPings(opts.PingInterval)
		defer pings.stop()
	}
	return s.finish(Call(func(*Context) error { return f(ctx, conn) }, c))
}

func (o WebSocketOptions) withDefaults() WebSocketOptions {
	switch {
	case o.MaxMessage == 0:
		o.MaxMessage = defaultMaxMessage
	case o.MaxMessage < 0:
		o.MaxMessage = -1
	}
	if o.PingInterval == 0 {
		o.PingInterval = defaultPingInterval
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = defaultWriteTimeout
	}
	return o
}

// upgradeWriter has the library read and write through a [webSocketConn].
type upgradeWriter struct {
	http.ResponseWriter
	writeTimeout time.Duration
	socket       *webSocketConn
}

func (w *upgradeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.socket = newWebSocketConn(conn, w.writeTimeout)
	return w.socket, bufio.NewReadWriter(rw.Reader, bufio.NewWriter(w.socket)), nil
}

// webSocket is a connection while f uses it.
type webSocket struct {
	c      *Context
	conn   *websocket.Conn
	socket *webSocketConn
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// cause is why the connection ends, if not for what f did.
func (s *webSocket) cause() error {
	if cause := context.Cause(s.c); cause != nil {
		return cause
	}
	return server.ErrClientGone
}

func (s *webSocket) peerGone() { s.cancel(s.cause()) }

// depart tells the peer that the server goes away, and then f.
func (s *webSocket) depart() {
	reason := "the time of this connection is over"
	if errors.Is(context.Cause(s.c), server.ErrServerDraining) {
		reason = "the server is going away"
	}
	s.close(websocket.StatusGoingAway, reason)
	s.peerGone()
}

// close does the closing handshake, in bounded time.
func (s *webSocket) close(code websocket.StatusCode, reason string) {
	late := time.AfterFunc(closeGrace, func() {
		s.peerGone()
		_ = s.socket.Close()
	})
	defer late.Stop()
	_ = s.conn.Close(code, reason)
}

// finish closes the connection after f, and returns what is an error of f's.
func (s *webSocket) finish(err error) error {
	// While depart says farewell f finds out from what it does, if not from its context.
	over := s.ctx.Err() != nil || s.c.Err() != nil
	var closing websocket.CloseError
	switch {
	case err == nil:
		s.close(websocket.StatusNormalClosure, "")
		return nil
	case over && (isReadFailure(err) || isEnd(err, context.Cause(s.ctx))), isWriteAfterEnd(err):
		return nil
	case errors.As(err, &closing) && isCloseCode(closing.Code): // the peer's, which has been answered, or f's own
		s.close(closing.Code, closeReason(closing.Reason))
		return nil
	case isReadFailure(err):
		s.c.Log().Debug().Err(err).Msg("pleat: WebSocket ended")
		s.socket.deafen() // what still comes cannot be understood
		s.close(websocket.StatusProtocolError, "")
		return nil
	}
	if status := StatusOf(err); status < http.StatusInternalServerError {
		s.close(websocket.StatusPolicyViolation, closeReason(messageOf(err, status)))
	} else {
		s.close(websocket.StatusInternalError, "")
	}
	return err
}

// isCloseCode reports what a close frame can say (RFC 6455, section 7.4); 1005 is none
// with nothing in it.
func isCloseCode(code websocket.StatusCode) bool {
	switch code {
	case 1004, 1006:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// closeReason is as much of a text as a close frame can hold (RFC 6455, section 5.5).
func closeReason(text string) string {
	const most = 123
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "")
}

// isReadFailure reports that the library could not read from the peer. It has no
// type for what peers do wrong; the text tells where the error comes from.
func isReadFailure(err error) bool {
	return comesFrom(err, "failed to get reader: ", "failed to read: ")
}

// isWriteAfterEnd reports that the library did not write because the closing
// handshake has begun, or is over.
func isWriteAfterEnd(err error) bool {
	return errors.Is(err, net.ErrClosed) && comesFrom(err, "failed to write msg: ", "failed to write: ", "failed to ping: ")
}

// comesFrom reports that an error in err's chain begins with one of the texts.
func comesFrom(err error, texts ...string) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if slices.ContainsFunc(texts, func(text string) bool { return strings.HasPrefix(err.Error(), text) }) {
			return true
		}
	}
	return false
}

// isEnd reports that err, of a function whose context has ended for that cause, is
// nothing but that end, seen from where the function was.
func isEnd(err, cause error) bool {
	for _, end := range []error{
		cause, context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, net.ErrClosed,
		io.EOF, io.ErrUnexpectedEOF, server.ErrClientGone, server.ErrServerDraining, server.ErrRequestDone,
	} {
		if errors.Is(err, end) {
			return true
		}
	}
	var errno syscall.Errno
	return errors.As(err, &errno)
}

// pings asks a peer for signs of life.
type pings struct {
	s        *webSocket
	interval time.Duration
	ctx      context.Context
	cancel   context.CancelFunc

	mu      sync.Mutex // held while a ping is under way
	timer   *time.Timer
	stopped bool
	asked   bool   // the last ping went out
	heard   uint64 // octets that had come by then
}

func (s *webSocket) startPings(interval time.Duration) *pings {
	p := &pings{s: s, interval: interval}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.Lock()
	p.timer = time.AfterFunc(interval, p.tick)
	p.mu.Unlock()
	return p
}

// stop returns when no ping is under way any more.
func (p *pings) stop() {
	p.cancel()
	p.mu.Lock()
	p.stopped = true
	p.timer.Stop()
	p.mu.Unlock()
}

func (p *pings) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	heard, full := p.s.socket.heard()
	if p.asked && !full && heard == p.heard {
		p.s.peerGone()
		p.s.socket.abort()
		return
	}
	p.timer.Reset(p.interval)
	p.heard = heard
	ctx, cancel := context.WithTimeout(p.ctx, p.interval)
	defer cancel()
	// The pong counts when its octets arrive. That nobody has read as far as that
	// says nothing about the peer; that the ping could not be written is for the
	// bound on writing.
	err := p.s.conn.Ping(ctx)
	p.asked = err == nil || strings.Contains(err.Error(), "failed to wait for pong")
}
