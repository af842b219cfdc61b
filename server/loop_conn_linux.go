// SPDX-License-Identifier: MIT

package server

import (
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What is known of a connection. The first four come from epoll.
const (
	stateIn    uint32 = 1 << iota // there may be input
	stateOut                      // there may be room for output
	stateHup                      // the peer sends no more
	stateError                    // the socket failed, or both directions are shut
	stateDue                      // the wheel found its time is up
	stateDrain                    // the server drains
	stateBusy                     // somebody drives it
	stateReadWait
	stateWriteWait
	stateWatch
)

const (
	stateGone      = stateHup | stateError
	stateReadable  = stateIn | stateGone
	stateAttention = stateReadable | stateDue | stateDrain
)

func stateOf(events uint32) (s uint32) {
	if events&syscall.EPOLLIN != 0 {
		s |= stateIn
	}
	if events&syscall.EPOLLOUT != 0 {
		s |= stateOut
	}
	if events&syscall.EPOLLRDHUP != 0 {
		s |= stateHup
	}
	if events&(syscall.EPOLLERR|syscall.EPOLLHUP) != 0 {
		s |= stateError
	}
	return s
}

// loopConn is a connection of a loop, and the transport of its machine. Whoever
// has set stateBusy owns it; state, parked, watched and due are for everybody, the
// links are the wheel's.
type loopConn struct {
	machine HTTPConnection
	loop    *loop
	fd      int
	gen     uint32
	state   atomic.Uint32
	addr    netip.AddrPort
	timed   int          // the number of the request for whose head the current wait is, 0 = none
	thrown  int32        // octets thrown away while lingering
	lingers bool         // answered; what still comes is thrown away
	parting bool         // the server drains: the current wait is the last
	due     atomic.Int64 // when the current wait is over, on the engine's clock; 0 = never
	parked  atomic.Pointer[parking]
	watched atomic.Pointer[HTTPRequest] // whose peer is watched

	closing sync.Mutex // orders closeNow and the closing of fd
	closed  bool       // guarded by closing

	linked        atomic.Int64 // the tick at which the wheel looks next; changed under its lock
	before, after *loopConn
}

// parking is what a connection has once a handler had to wait for its peer, or
// set a deadline.
type parking struct {
	read, write         chan struct{} // each with room for one wake-up
	readBy, writeBy     atomic.Int64  // the handler's deadlines in Unix nanoseconds, 0 = none
	readPace, writePace pace          // used under the locks that read and write are called with
	interrupted         atomic.Bool
}

// ---- driving

// drive goes on with a connection while there is something to go on with, of which
// the first was known at a certain time. The caller has set stateBusy; drive gives
// it up, or ends the connection.
func (k *loopConn) drive(at time.Time) {
	returned := false
	defer func() {
		switch {
		case returned:
		case k.machine.State() == http.StateHijacked: // a handler called runtime.Goexit
			k.machine.drop()
		default:
			k.reset()
		}
	}()
	for ; k.step(at); at = time.Now() {
		k.loop.arm() // a peer that keeps us busy is not to keep the others waiting
	}
	returned = true
}

// step does one round; false when the connection is no longer ours.
func (k *loopConn) step(at time.Time) bool {
	const looked = stateIn | stateDue | stateDrain
	seen := k.state.And(^looked)
	if seen&stateReadable != 0 && !k.input(seen, at) {
		return false
	}
	if seen&stateDue != 0 && !k.timeUp() {
		return false
	}
	k.plan()
	return !k.yield()
}

// yield gives the connection up unless there is something to be done with it.
func (k *loopConn) yield() bool {
	for {
		old := k.state.Load()
		if old&stateAttention != 0 {
			return false
		}
		if k.state.CompareAndSwap(old, old&^stateBusy) {
			return true
		}
	}
}

// input reads once and runs the machine; false when the connection has ended.
// seen is what was known before, at that time.
func (k *loopConn) input(seen uint32, at time.Time) bool {
	if k.lingers {
		return k.discard(seen)
	}
	c := &k.machine
	n, err := k.readOnce(c.room())
	switch {
	case n > 0:
		c.receivedAt(n, at)
		k.loop.arm() // from here on this goroutine may block
		if c.proxy != nil {
			return k.proxyHeader()
		}
		return k.obey(c.run())
	case err == syscall.EAGAIN && seen&stateGone == 0: // otherwise an end or an error is due
		c.rest()
		return true
	case err == nil && c.noMore(false): // the peer is done, within a head
		return k.closeGently()
	}
	k.close()
	return false
}

// obey does what the machine wants; false when the connection has ended.
func (k *loopConn) obey(act action) bool {
	switch act {
	case actClose:
		return k.closeGently()
	case actAbort:
		k.reset()
		return false
	case actHijacked:
		k.machine.drop()
		return false
	case actHTTP2:
		k.serveHTTP2()
		return false
	}
	return true
}

// reset ends the connection so that the peer can tell that the answer is not
// whole. The caller owns it.
func (k *loopConn) reset() {
	k.closing.Lock()
	if !k.closed {
		_ = syscall.SetsockoptLinger(k.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	}
	k.closing.Unlock()
	k.close()
}

// timeUp deals with a wait that may be over; false when that ended the
// connection.
func (k *loopConn) timeUp() bool {
	due := k.due.Load()
	if due == 0 || due > k.loop.engine.clock.Load() {
		return true
	}
	if !k.lingers && k.machine.noMore(true) {
		return k.closeGently()
	}
	if on := k.machine.serving; on.proxy != nil && !k.parting {
		on.refuse(k.socketPeer(), errProxyTimeout)
	}
	k.close()
	return false
}

// plan says how long the connection may now wait.
func (k *loopConn) plan() {
	c, srv := &k.machine, k.loop.engine.srv
	switch {
	case k.lingers:
	case c.midHead():
		c.setState(http.StateActive)
		if k.timed != c.requests+1 { // the time of the first head began with the connection
			k.timed = c.requests + 1
			k.wait(srv.set.headerTimeout)
		}
	default:
		if c.requests > 0 {
			k.rest()
		}
		switch {
		case srv.draining.Load():
			if !k.parting {
				k.parting = true
				k.wait(drainGrace) // a request may be on its way
			}
		case c.requests > 0:
			k.wait(srv.set.idleTimeout)
		}
	}
}

// rest gives back what a connection does not need between requests.
func (k *loopConn) rest() {
	k.timed = 0
	k.machine.rest()
	k.machine.setState(http.StateIdle)
	if k.parked.Load() != nil {
		k.parked.Store(nil)
	}
}

// wait begins a wait of the connection as a whole; negative or zero for ever. The
// clock may be behind by a tick: nothing ends before its time.
func (k *loopConn) wait(d time.Duration) {
	if d <= 0 {
		k.due.Store(0)
		return
	}
	due := k.loop.engine.clock.Load() + int64(d+tickEvery)
	k.due.Store(due)
	k.loop.wheel.atLeastBy(k, due)
}

// closeGently ends the connection so that the peer can read the answer, see
// goroutineConn.closeGently; true while it still has to be waited for.
func (k *loopConn) closeGently() bool {
	k.machine.setThrough()
	if !k.machine.linger || syscall.Shutdown(k.fd, syscall.SHUT_WR) != nil {
		k.close()
		return false
	}
	k.lingers = true
	k.machine.drop()
	k.wait(lingerTime)
	k.state.Or(stateIn) // there may be something to discard already
	return true
}

// discard throws away what comes on a connection that was answered for the last
// time; false when it has ended.
func (k *loopConn) discard(seen uint32) bool {
	buf := copyPool.Get().(*[]byte)
	n, err := k.readOnce(*buf)
	copyPool.Put(buf)
	k.thrown += int32(n)
	if n == 0 && (err != syscall.EAGAIN || seen&stateGone != 0) || k.thrown >= lingerBytes {
		k.close()
		return false
	}
	return true
}

// close ends the connection. The caller owns it.
func (k *loopConn) close() {
	k.release()
	if k.machine.proxy == nil { // otherwise nobody has heard of it
		k.machine.setState(http.StateClosed)
	}
	k.machine.drop()
	k.leave()
}

// release closes the descriptor. Its number may be in use again at once, for
// which reason the table forgets it first.
func (k *loopConn) release() {
	k.loop.engine.table.remove(k)
	k.closing.Lock()
	defer k.closing.Unlock()
	if !k.closed { // a ConnState that calls runtime.Goexit leads here twice
		k.closed = true
		_ = syscall.Close(k.fd)
	}
}

// leave takes a connection that is closed or hijacked off the books.
func (k *loopConn) leave() {
	k.leaveLoop()
	k.loop.engine.srv.tracker.leave(k.addr.Addr())
}

func (k *loopConn) leaveLoop() {
	k.loop.wheel.remove(k)
	k.loop.count.Add(-1)
	k.loop.engine.count.Add(-1)
}
