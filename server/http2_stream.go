// SPDX-License-Identifier: MIT

package server

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// peerStream is what a request over HTTP/2 has besides the means of net/http: its
// connection, and a bound on how slow the client may be. The methods do nothing
// more than what net/http does where there is none.
type peerStream struct {
	conn       *http2Conn
	controller *http.ResponseController

	readPace   pace        // guarded by httpPeer.bodyMu, as the timer
	readTimer  *time.Timer // runs while a read waits
	writePace  pace        // guarded by exchange.mu, as the timer
	writeTimer *time.Timer // runs while a write waits

	mu                sync.Mutex
	ownRead, ownWrite bool // the handler has set a deadline of its own; guarded by mu
	over              bool // net/http may use the writer for another request; guarded by mu
}

// setOwn says whether a handler's own deadline is in force instead of the pace.
func (s *peerStream) setOwn(deadline time.Time, write bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if write {
		s.ownWrite = !deadline.IsZero()
	} else {
		s.ownRead = !deadline.IsZero()
	}
}

// arm has the stream end if it is not disarmed in time; expire does that.
func (s *peerStream) arm(timer **time.Timer, p *pace, own *bool, size int, expire func(time.Time) error) (armed *time.Timer) {
	now := time.Now()
	by := p.deadline(now, size)
	s.mu.Lock()
	free := *own
	s.mu.Unlock()
	if by.IsZero() || free {
		return nil
	}
	if *timer == nil {
		*timer = time.AfterFunc(by.Sub(now), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.over {
				_ = expire(longAgo)
			}
		})
	} else {
		(*timer).Reset(by.Sub(now))
	}
	return *timer
}

// read reads from a body. A timer spares net/http a message for each read.
func (s *peerStream) read(body io.Reader, b []byte) (int, error) {
	if s == nil {
		return body.Read(b)
	}
	began := time.Now()
	if t := s.arm(&s.readTimer, &s.readPace, &s.ownRead, 0, s.controller.SetReadDeadline); t != nil {
		defer t.Stop()
	}
	n, err := body.Read(b)
	s.readPace.add(n, time.Since(began))
	return n, err
}

// write runs a call that writes size octets to the stream.
func (s *peerStream) write(size int, call func() error) error {
	if s == nil {
		return call()
	}
	began := time.Now()
	if t := s.arm(&s.writeTimer, &s.writePace, &s.ownWrite, size, s.controller.SetWriteDeadline); t != nil {
		defer t.Stop()
	}
	err := call()
	s.writePace.add(size, time.Since(began))
	return err
}

// writeBody writes from a copy. When a stream or its connection breaks off, net/http
// may still be writing what it was given, and keeps it for as long as a connection
// may idle: that must not be all of the caller's answer, nor a buffer that somebody
// uses again.
func (s *peerStream) writeBody(w io.Writer, b []byte) error {
	if s == nil {
		_, err := w.Write(b)
		return err
	}
	return s.write(len(b), func() error {
		buf := copyPool.Get().(*[]byte)
		for len(b) > 0 {
			n := copy(*buf, b)
			if _, err := w.Write((*buf)[:n]); err != nil {
				return err // buf is left to net/http
			}
			b = b[n:]
		}
		copyPool.Put(buf)
		return nil
	})
}

// complete adds to the head of an answer what the server adds to all.
func (s *peerStream) complete(x *exchange, head http.Header) {
	if s == nil {
		return
	}
	// Of the connection in HTTP/1 alone (RFC 9113, section 8.2.2); "Connection:
	// close" makes net/http end the connection gently.
	for _, name := range []string{"Keep-Alive", "Proxy-Connection", "Upgrade", "Transfer-Encoding"} {
		delete(head, name)
	}
	if !x.hasServer {
		if line := s.conn.set.clock.server; line != "" {
			head["Server"] = []string{line[len("Server: ") : len(line)-len("\r\n")]}
		}
	}
}

// end lets go of the stream. What net/http still has to write of an answer that is
// whole is bounded by its connection: a deadline of the stream that net/http comes to
// know when the stream has closed would hold on to all of the connection until then.
func (s *peerStream) end(whole bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if whole {
		s.conn.leaveTail(s.ownWrite)
	}
}
