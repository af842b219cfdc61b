// SPDX-License-Identifier: MIT

package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// This file is the handler's side of a connection with a goroutine of its own.

func (g *goroutineConn) read(p []byte) (int, error) {
	for {
		now := time.Now()
		by := g.setDeadline(now)
		if g.interrupted.Load() {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := g.receive(p)
		g.readPace.add(n, time.Since(now))
		if n > 0 {
			return n, nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !passed(by) && !g.interrupted.Load() {
			continue // a nudge that was late, or another deadline
		}
		return 0, err
	}
}

// setDeadline sets the deadline of the next read.
func (g *goroutineConn) setDeadline(now time.Time) time.Time {
	g.readMu.Lock()
	defer g.readMu.Unlock()
	by := g.readBy
	if by.IsZero() {
		by = g.readPace.deadline(now, 0)
	}
	_ = g.conn.SetReadDeadline(by)
	return by
}

func (g *goroutineConn) write(a, b []byte) error {
	if t, ok := g.conn.(*tls.Conn); ok {
		if err := g.writeTLS(t, a); err != nil {
			return err
		}
		return g.writeTLS(t, b)
	}
	if len(a) == 0 || len(b) == 0 {
		p := a
		if len(a) == 0 {
			p = b
		}
		return g.paced(func() (int64, error) {
			n, err := g.conn.Write(p)
			p = p[n:]
			return int64(n), err
		})
	}
	both := net.Buffers{a, b}
	return g.paced(func() (int64, error) { return both.WriteTo(g.conn) })
}

// paced calls write until it is through. The deadline is when a peer that takes
// nothing from now on would be too slow; one that took something by then gets as
// much more time.
func (g *goroutineConn) paced(write func() (int64, error)) error {
	for {
		now := time.Now()
		_ = g.conn.SetWriteDeadline(g.writeDeadline(now, 0))
		n, err := write()
		g.writePace.add(int(n), time.Since(now))
		if n == 0 || !g.writeBy.IsZero() || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

// tlsPiece bounds what is written to TLS under one deadline: a TLS connection
// whose write has timed out cannot go on, so each piece gets all of its time
// beforehand.
const tlsPiece = 16 << 10

func (g *goroutineConn) writeTLS(t *tls.Conn, p []byte) error {
	for len(p) > 0 {
		piece := p[:min(len(p), tlsPiece)]
		now := time.Now()
		_ = t.SetWriteDeadline(g.writeDeadline(now, len(piece)))
		n, err := t.Write(piece)
		g.writePace.add(n, time.Since(now))
		if err != nil {
			return err
		}
		p = p[len(piece):]
	}
	return nil
}

// writeDeadline is by when the next size octets have to be written.
func (g *goroutineConn) writeDeadline(now time.Time, size int) time.Time {
	if !g.writeBy.IsZero() {
		return g.writeBy
	}
	return g.writePace.deadline(now, size)
}

func (g *goroutineConn) sendFile(f *os.File, n int64) (sent int64, handled bool, err error) {
	to, ok := g.conn.(*net.TCPConn)
	if !ok {
		return 0, false, nil
	}
	start, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, false, nil
	}
	err = g.paced(func() (int64, error) {
		// After a deadline the file may have been read further than was sent.
		if _, err := f.Seek(start+sent, io.SeekStart); err != nil {
			return 0, err
		}
		k, err := to.ReadFrom(&io.LimitedReader{R: f, N: n - sent})
		sent += k
		return k, err
	})
	if err == nil && sent < n {
		err = io.ErrUnexpectedEOF // the file shrank
	}
	return sent, true, err
}

func (g *goroutineConn) watch(c *HTTPConnection) {
	r := c.at.Load()
	space := c.room()
	done := make(chan struct{})
	g.watchDone = done
	go func() {
		defer close(done)
		for {
			_ = g.conn.SetReadDeadline(time.Time{})
			if g.interrupted.Load() {
				return
			}
			n, err := g.receive(space)
			c.received(n)
			switch {
			case n > 0: // the next request: nothing more can be learnt
				return
			case !errors.Is(err, os.ErrDeadlineExceeded):
				c.peerGone(r)
				return
			}
		}
	}()
}

func (g *goroutineConn) unwatch() {
	g.interrupt()
	<-g.watchDone
	g.watchDone = nil
	g.resume()
}

var longAgo = time.Unix(1, 0)

func (g *goroutineConn) interrupt() {
	g.interrupted.Store(true)
	_ = g.conn.SetReadDeadline(longAgo)
}

func (g *goroutineConn) resume() {
	g.interrupted.Store(false)
	_ = g.conn.SetReadDeadline(time.Time{})
}

func (g *goroutineConn) setReadDeadline(t time.Time) {
	g.readMu.Lock()
	defer g.readMu.Unlock()
	g.readBy = t
	_ = g.conn.SetReadDeadline(longAgo) // a read that is under way looks again
}

func (g *goroutineConn) setWriteDeadline(t time.Time) { g.writeBy = t }

func (g *goroutineConn) next() {
	set := g.engine.srv.set
	g.readMu.Lock()
	g.readBy = time.Time{}
	g.readMu.Unlock()
	g.writeBy = time.Time{}
	g.readPace = newPace(set.minRate, set.rateGrace)
	g.writePace = g.readPace
}

// lateAfter is how long answers to requests that came together wait for each other.
const lateAfter = 100 * time.Millisecond

func (g *goroutineConn) late(since time.Time) bool { return time.Since(since) > lateAfter }

func (g *goroutineConn) hijack() (net.Conn, error) {
	g.engine.srv.tracker.forget(g)
	_ = g.conn.SetDeadline(time.Time{})
	return g.named(), nil
}

// named is the connection with the ends that a PROXY header named, for somebody
// else.
func (g *goroutineConn) named() net.Conn {
	if r, ok := g.raw.(*relay); ok && g.conn == r.Conn {
		return r
	}
	return g.conn
}

func (g *goroutineConn) proxyAddr() net.Addr {
	if r, ok := g.raw.(*relay); ok && r.header.source.IsValid() {
		return r.Conn.RemoteAddr()
	}
	return nil
}

func (g *goroutineConn) closeNow()            { _ = g.raw.Close() }
func (g *goroutineConn) remoteAddr() net.Addr { return g.raw.RemoteAddr() }
func (g *goroutineConn) remoteIP() netip.Addr { return ipOf(g.raw.RemoteAddr()) }
func (g *goroutineConn) localAddr() net.Addr  { return g.raw.LocalAddr() }

// earlier is the earlier of two deadlines, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
