// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// HTTP2 says how an [HTTPServer] speaks HTTP/2 (RFC 9113). The zero value offers
// it to TLS clients and has the defaults below.
//
// The framing is that of net/http; requests reach the same Handler as those of
// HTTP/1, in the same form and within the same limits. Requests of one connection
// are served at the same time, each on a goroutine of its own.
type HTTP2 struct {
	// Off leaves HTTP/2 out of what is negotiated with TLS clients.
	Off bool
	// Cleartext serves HTTP/2 without TLS, too, to clients that begin with it
	// ("prior knowledge", RFC 9113, section 3.3); others get HTTP/1 as before. Off
	// by default. Upgrading from HTTP/1 to "h2c" is obsolete and not done.
	Cleartext bool

	// MaxStreams is the largest number of requests that are open on one connection
	// at once, 100 by default. A client is told of it; streams beyond it are
	// refused. The handlers of streams that the client has reset count until they
	// return, and a client that goes on opening and resetting streams beyond that
	// loses its connection. There has to be a bound: negative values are an error.
	MaxStreams int
	// ConnBuffer is how many octets of request bodies a client may have sent that
	// no handler has read yet, on one connection: 512 KiB by default, from 64 KiB
	// to 4 MiB.
	ConnBuffer int
	// StreamBuffer is the same for one request, 256 KiB by default, at most 4 MiB.
	// It also bounds how fast a body can arrive, to a buffer for each round trip.
	StreamBuffer int
}

// frameSize is the longest frame that is read, what every peer may send.
const frameSize = 16 << 10

func (o *HTTP2) validate() error {
	switch {
	case o.MaxStreams < 0:
		return errors.New("server: HTTP2.MaxStreams is negative")
	case o.ConnBuffer != 0 && (o.ConnBuffer < 64<<10 || o.ConnBuffer > 4<<20):
		return errors.New("server: HTTP2.ConnBuffer is not between 64 KiB and 4 MiB")
	case o.StreamBuffer < 0 || o.StreamBuffer > 4<<20:
		return errors.New("server: HTTP2.StreamBuffer is not between 1 octet and 4 MiB")
	}
	return nil
}

// http2Server hands connections to net/http's implementation of HTTP/2, and takes
// the requests from it.
type http2Server struct {
	srv *HTTPServer
	set *settings

	drainOnce sync.Once
	mu        sync.Mutex
	std       *http.Server            // that gets the next connection; guarded by mu
	used      bool                    // std has had one; guarded by mu
	conns     map[net.Conn]*http2Conn // by what net/http knows; guarded by mu
}

func newHTTP2Server(s *HTTPServer, set *settings) (*http2Server, error) {
	if err := s.HTTP2.validate(); err != nil {
		return nil, err
	}
	h := &http2Server{srv: s, set: set, conns: map[net.Conn]*http2Conn{}}
	h.std = h.newStd()
	return h, nil
}

// newStd makes a server of net/http.
func (h *http2Server) newStd() *http.Server {
	s, set := h.srv, h.set
	protocols := &http.Protocols{}
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	std := &http.Server{
		Handler:           h,
		Protocols:         protocols,
		MaxHeaderBytes:    h.maxHeaderList(),
		ReadHeaderTimeout: set.headerTimeout, // of the preface, where there is no TLS
		IdleTimeout:       set.idleTimeout,
		BaseContext:       func(l net.Listener) context.Context { return l.(*handOver).ctx },
		ConnState:         h.connState,
		ErrorLog:          log.New(debugLog{&set.log}, "", 0),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          orDefault(s.HTTP2.MaxStreams, 100, 100),
			MaxReadFrameSize:              frameSize,
			MaxReceiveBufferPerConnection: orDefault(s.HTTP2.ConnBuffer, 512<<10, 0),
			MaxReceiveBufferPerStream:     orDefault(s.HTTP2.StreamBuffer, 256<<10, 0),
			WriteByteTimeout:              set.stallTime(),
		},
	}
	if s.DisableKeepAlive {
		std.SetKeepAlivesEnabled(false)
	}
	return std
}

// maxHeaderList is the limit that is announced to clients, and for net/http. It
// counts 32 octets for each field besides name and value (RFC 9113, section 6.5.2);
// the limits of the server are looked at afterwards.
func (h *http2Server) maxHeaderList() int {
	if h.set.head.headBytes <= 0 {
		return maxHead
	}
	return min(h.set.head.headBytes, maxHead/2) + 32*min(h.set.head.fields, maxHead/64)
}

// stallTime is how long a peer may take nothing at all of what is written: as long
// as the pace allows for one frame.
func (s *settings) stallTime() time.Duration {
	if s.minRate <= 0 {
		return 0
	}
	p := newPace(s.minRate, s.rateGrace)
	return p.patience + p.worth(frameSize)
}

// debugLog takes what net/http has to say about single connections.
type debugLog struct{ log *zerolog.Logger }

func (d debugLog) Write(p []byte) (int, error) {
	d.log.Debug().Bytes("message", p).Msg("server: HTTP/2")
	return len(p), nil
}

var errHandedOver = errors.New("server: the connection has been handed over")

// handOver is a listener that has one connection.
type handOver struct {
	ctx  context.Context
	conn net.Conn // nil once it was taken
	addr net.Addr
}

func (o *handOver) Accept() (net.Conn, error) {
	conn := o.conn
	if conn == nil {
		return nil, errHandedOver
	}
	o.conn = nil
	return conn, nil
}

func (o *handOver) Close() error   { return nil }
func (o *handOver) Addr() net.Addr { return o.addr }

// http2Key is the key of the http2Conn in the contexts that net/http makes.
type http2Key struct{}

// take makes a connection that is going to speak HTTP/2 one that net/http serves. g
// is its entry in the tracker.
func (h *http2Server) take(g *goroutineConn, machine *HTTPConnection) *http2Conn {
	c := &http2Conn{serving: machine.serving, g: g, machine: machine, requests: map[*HTTPRequest]struct{}{}}
	g.http2.Store(c)
	return c
}

// serve gives net/http a connection that was taken. It does not wait for its end.
func (h *http2Server) serve(c *http2Conn, conn net.Conn) {
	if h.set.headerTimeout > 0 {
		c.mu.Lock()
		c.firstBy = time.AfterFunc(h.set.headerTimeout, c.g.closeNow)
		c.mu.Unlock()
	}
	ctx := context.WithValue(context.WithValue(c.base, serverKey{}, h.srv), http2Key{}, c)
	for o := (&handOver{ctx, conn, c.on}); o.conn != nil; {
		h.mu.Lock()
		h.conns[conn], h.used = c, true
		std := h.std
		h.mu.Unlock()
		// Where it was not taken, that server has been shut down, and there is another.
		if err := std.Serve(o); o.conn != nil && !errors.Is(err, http.ErrServerClosed) {
			h.set.log.Error().Err(err).Msg("server: HTTP/2")
			c.g.closeNow()
			h.connState(conn, http.StateClosed)
			return
		}
	}
}

// connState is told by net/http how its connections fare.
func (h *http2Server) connState(conn net.Conn, state http.ConnState) {
	h.mu.Lock()
	c := h.conns[conn]
	if state == http.StateClosed {
		delete(h.conns, conn)
	}
	h.mu.Unlock()
	switch {
	case c == nil:
	case state == http.StateClosed:
		c.close()
	default:
		c.state(state)
	}
}

// drain has all connections let go once their requests are answered (GOAWAY, RFC
// 9113, section 6.8), until drained is closed. A request may be on its way, and so
// may a connection that shakes hands or that net/http has not heard of yet when it is
// told to shut down: so there is a moment before, for those that come later as well,
// it is told again and again, and who comes later comes to another server.
func (h *http2Server) drain(drained <-chan struct{}) {
	h.drainOnce.Do(func() {
		go func() {
			var ending []*http.Server
			for {
				h.mu.Lock()
				std, used := h.std, h.used
				if used {
					h.std, h.used = h.newStd(), false
				}
				h.mu.Unlock()
				select {
				case <-drained:
					return
				case <-time.After(drainGrace):
				}
				if used {
					ending = append(ending, std)
				}
				ending = slices.DeleteFunc(ending, func(std *http.Server) bool {
					ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
					defer cancel()
					return std.Shutdown(ctx) == nil // nothing is left of it
				})
			}
		}()
	})
}

// beginsHTTP2 reports whether what came first is the preface of HTTP/2 (RFC 9113,
// section 3.4), which is no request of HTTP/1, where it is served without TLS. As
// the parser says so when it has seen the target, there may not be more of it; the
// rest is for net/http to look at.
func (c *HTTPConnection) beginsHTTP2() bool {
	return c.set.http2 != nil && c.srv.HTTP2.Cleartext && c.tlsState == nil && c.requests == 0 &&
		bytes.HasPrefix(c.buf[c.r:c.w], []byte("PRI * "))
}

// takeAhead gives out what has been received and not been looked at.
func (c *HTTPConnection) takeAhead() []byte {
	ahead := append([]byte(nil), c.buf[c.r:c.w]...)
	c.r, c.w = 0, 0
	return ahead
}

// gentleConn is a connection that net/http may be given, with TLS above or as it is.
// net/http closes it a second after it has written the last answer to it. A client
// that has not got all of that by then sends updates of its window, as it takes the
// rest: they would meet with a reset, and the rest be lost. So the sending half is
// closed first, as by closeGently, and the other when the client has closed its own.
//
// That takes a while, and is not for a connection that has not come to HTTP/2 yet:
// http.Server closes those one after the other when it shuts down, and everybody
// else's end waits for its lock.
type gentleConn struct {
	net.Conn
	on atomic.Bool // false: Close closes at once
}

// takeTime is how long a client may go on taking what was written to it. It may be
// silent meanwhile, as many update their window after half of it only.
const takeTime = 10 * time.Second

// Write fails for a client that takes nothing, or has gone: there is nobody to be
// gentle with.
func (c *gentleConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.on.Store(false)
	}
	return n, err
}

func (c *gentleConn) Close() error {
	if c.on.Swap(false) {
		drain(c.Conn, takeTime)
	}
	return c.Conn.Close()
}

// CloseWrite ends the sending half, if the connection can do that.
func (c *gentleConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// replayConn is a connection without TLS of which some octets have been read.
type replayConn struct {
	gentleConn
	ahead []byte
}

// replay is what net/http is given of a connection without TLS.
func (g *goroutineConn) replay(conn net.Conn, ahead []byte) *replayConn {
	r := &replayConn{gentleConn{Conn: conn}, ahead}
	g.gentle = &r.gentleConn
	return r
}

func (r *replayConn) Read(p []byte) (int, error) {
	if len(r.ahead) > 0 {
		n := copy(p, r.ahead)
		r.ahead = r.ahead[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// refuseHTTP2 answers a request that no handler is given.
func refuseHTTP2(w http.ResponseWriter, why *ProtocolError) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(why.Status)
	_, _ = io.WriteString(w, why.page())
}
