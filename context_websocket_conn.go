// SPDX-License-Identifier: MIT

package pleat

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// webSocketConn is the socket of a WebSocket as the library sees it. What it adds:
//
//   - It reads ahead, some octets and no more, whether anybody reads from it or not:
//     so it notices a peer that goes, and pongs, while a handler does other things.
//   - A write that the peer does not take in time fails, and ends the connection.
//   - Closing it does not lose what was written last: the sending half is closed
//     first, and what the peer still sends is thrown away for a while.
//
// A goroutine of its own, pump, reads the socket and closes it in the end.
type webSocketConn struct {
	net.Conn
	writeTimeout time.Duration // negative or zero: none
	gone         func()        // called when nothing can be read any more, before anybody is told
	done         chan struct{} // closed when the socket is

	mu     sync.Mutex
	change sync.Cond // of what follows, guarded by mu
	ahead  [readAhead]byte
	taken  uint64 // octets that were read from ahead
	filled uint64 // octets that were put there; at most readAhead more
	err    error  // why no more come
	deaf   bool   // nobody is to read any more
	closed bool
}

const (
	readAhead  = 4 << 10
	writePiece = 16 << 10
	// lingerTime and lingerBytes bound what is thrown away after the end.
	lingerTime  = 2 * time.Second
	lingerBytes = 16 << 20
)

func newWebSocketConn(conn net.Conn, writeTimeout time.Duration) *webSocketConn {
	k := &webSocketConn{Conn: conn, writeTimeout: writeTimeout, done: make(chan struct{})}
	k.change.L = &k.mu
	return k
}

// start begins to read ahead.
func (k *webSocketConn) start(gone func()) {
	k.gone = gone
	go k.pump()
}

// wait returns when the socket is closed. Somebody must have called Close or abort.
func (k *webSocketConn) wait() { <-k.done }

func (k *webSocketConn) pump() {
	defer close(k.done)
	defer func() { _ = rawConn(k.Conn).Close() }()
	for {
		room := k.room()
		if room == nil {
			k.linger()
			return
		}
		n, err := k.Conn.Read(room)
		k.mu.Lock()
		k.filled += uint64(n)
		closed := k.closed
		k.change.Broadcast()
		k.mu.Unlock()
		if err == nil || closed { // by Close, which ends a read with a deadline
			continue
		}
		k.gone()
		k.mu.Lock()
		k.err = err
		k.change.Broadcast()
		k.mu.Unlock()
		return
	}
}

// room waits until there is room to read into; nil when the connection is closed.
// Nobody but pump writes there.
func (k *webSocketConn) room() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	for !k.closed && k.filled-k.taken == readAhead {
		k.change.Wait()
	}
	if k.closed {
		return nil
	}
	from, to := k.filled%readAhead, k.taken%readAhead
	if from < to {
		return k.ahead[from:to]
	}
	return k.ahead[from:]
}

func (k *webSocketConn) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		from, to := k.taken%readAhead, k.filled%readAhead
		switch {
		case k.closed || k.deaf:
			return 0, net.ErrClosed
		case k.taken == k.filled && k.err != nil:
			return 0, k.err
		case k.taken == k.filled && len(p) > 0:
			k.change.Wait()
			continue
		case k.taken != k.filled && to <= from:
			to = readAhead
		}
		n := copy(p, k.ahead[from:to])
		k.taken += uint64(n)
		k.change.Broadcast()
		return n, nil
	}
}

// heard is how many octets have come, and whether there is room for more.
func (k *webSocketConn) heard() (octets uint64, full bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.filled, k.filled-k.taken == readAhead
}

func (k *webSocketConn) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		piece := p[:min(len(p), writePiece)]
		if k.writeTimeout > 0 && !k.writeBy(time.Now().Add(k.writeTimeout)) {
			return n, net.ErrClosed
		}
		written, err := k.Conn.Write(piece)
		n += written
		if err != nil {
			k.failed()
			return n, err
		}
		p = p[written:]
	}
	return n, nil
}

// writeBy sets the deadline of a write; false when the connection is closed, and
// has deadlines of its own.
func (k *webSocketConn) writeBy(t time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	_ = k.Conn.SetWriteDeadline(t)
	return true
}

// deafen has reads fail from now on. Writing goes on.
func (k *webSocketConn) deafen() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deaf = true
	k.change.Broadcast()
}

// failed ends the connection after a write that did not go through, unless that was
// because it ends already. Whoever wrote is not to hear of it first.
func (k *webSocketConn) failed() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	if k.gone != nil {
		k.gone()
	}
	k.abort()
}

// Close ends the connection in good order, without waiting for that: see wait.
func (k *webSocketConn) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return net.ErrClosed
	}
	k.closed = true
	k.change.Broadcast()
	// Whoever waits for the peer is through; from here on pump has the socket alone.
	_ = k.Conn.SetDeadline(time.Unix(1, 0))
	return nil
}

// abort ends the connection at once, so that pump notices.
func (k *webSocketConn) abort() { _ = rawConn(k.Conn).Close() }

// linger closes the sending half, and throws away what comes until the peer has
// closed its own: to close a socket with unread input resets the connection, and
// the reset may overtake what was written last.
func (k *webSocketConn) linger() {
	raw := rawConn(k.Conn)
	_ = raw.SetDeadline(time.Now().Add(lingerTime))
	if t, ok := k.Conn.(*tls.Conn); ok {
		_ = t.CloseWrite() // close_notify
	}
	half, ok := raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	for total := 0; total < lingerBytes; {
		n, err := raw.Read(k.ahead[:])
		if err != nil {
			return
		}
		total += n
	}
}

// rawConn is what is below TLS: closing it waits for nobody.
func rawConn(conn net.Conn) net.Conn {
	if t, ok := conn.(*tls.Conn); ok {
		return t.NetConn()
	}
	return conn
}
