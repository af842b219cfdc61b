// SPDX-License-Identifier: MIT

package server

import (
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// This file is the handler's side of a connection: a handler that needs what is
// not there yet parks its goroutine until an event, a deadline or the end of the
// request wakes it.

// parking returns where handlers of k wait, made on first use.
func (k *loopConn) parking() *parking {
	if p := k.parked.Load(); p != nil {
		return p
	}
	p := &parking{read: make(chan struct{}, 1), write: make(chan struct{}, 1)}
	p.begin(k.loop.engine.srv.set)
	if k.parked.CompareAndSwap(nil, p) {
		return p
	}
	return k.parked.Load()
}

// begin starts deadlines and pace over.
func (p *parking) begin(set *settings) {
	p.readBy.Store(0)
	p.writeBy.Store(0)
	p.readPace = newPace(set.minRate, set.rateGrace)
	p.writePace = p.readPace
}

// wake passes on what happened to whoever waits for it. old is the state before.
func (k *loopConn) wake(old, happened uint32) {
	if old&(stateReadWait|stateWriteWait) != 0 {
		p := k.parked.Load() // nil when the wait is over, and the request with it
		if p != nil && old&stateReadWait != 0 && happened&stateReadable != 0 {
			notify(p.read)
		}
		if p != nil && old&stateWriteWait != 0 && happened&(stateOut|stateError) != 0 {
			notify(p.write)
		}
	}
	if old&stateWatch != 0 && happened&stateGone != 0 {
		if r := k.watched.Load(); r != nil {
			k.machine.peerGone(r)
		}
	}
}

func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// await parks until one of the wanted bits is set, or until by (zero for never).
// It may return too early: a wake-up can be left over from an earlier wait.
func (k *loopConn) await(ch chan struct{}, waits, wanted uint32, by time.Time) error {
	k.loop.arm()
	k.state.Or(waits)
	defer k.state.And(^waits)
	if k.state.Load()&wanted != 0 {
		return nil
	}
	if by.IsZero() {
		<-ch
		return nil
	}
	timer := time.NewTimer(time.Until(by))
	defer timer.Stop()
	select {
	case <-ch:
		return nil
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
}

// deadlineOf is a deadline kept in an atomic.
func deadlineOf(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

// wasRead takes note of a read that filled p: there may be more, of which epoll
// has spoken already. A shorter one has emptied the socket.
func (k *loopConn) wasRead(n int, p []byte) int {
	if n == len(p) {
		k.state.Or(stateIn)
	}
	return n
}

func (k *loopConn) read(p []byte) (int, error) {
	for {
		if q := k.parked.Load(); q != nil && passed(deadlineOf(q.readBy.Load())) {
			return 0, os.ErrDeadlineExceeded // whatever may be there
		}
		seen := k.state.And(^stateIn)
		n, err := k.readOnce(p)
		switch {
		case n > 0:
			if q := k.parked.Load(); q != nil {
				q.readPace.add(n, 0)
			}
			return n, nil
		case err == nil:
			return 0, io.EOF
		case err != syscall.EAGAIN:
			return 0, os.NewSyscallError("read", err)
		case seen&stateGone != 0: // an end or an error was due: there is nothing to wait for
			return 0, io.ErrUnexpectedEOF
		}
		q := k.parked.Load()
		if q == nil {
			q = k.parking()
			q.readPace.add(int(min(k.machine.body.received, math.MaxInt32)), 0) // what came without waiting counts too
		}
		if q.interrupted.Load() {
			return 0, os.ErrDeadlineExceeded
		}
		now := time.Now()
		by := deadlineOf(q.readBy.Load())
		if by.IsZero() {
			by = q.readPace.deadline(now, 0)
		}
		err = k.await(q.read, stateReadWait, stateReadable, by)
		q.readPace.add(0, time.Since(now))
		if err != nil {
			return 0, err
		}
	}
}

func (k *loopConn) write(a, b []byte) error {
	if q := k.parked.Load(); q != nil && passed(deadlineOf(q.writeBy.Load())) {
		return os.ErrDeadlineExceeded // whatever room there is
	}
	if len(a) == 0 {
		a, b = b, nil
	}
	var moved int
	for len(a) > 0 {
		n, err := k.writeOnce(a, b)
		if err != nil {
			if err = k.awaitRoom(err, moved); err != nil {
				return err
			}
			moved = 0
			continue
		}
		moved += n
		if n < len(a) {
			a = a[n:]
		} else {
			a, b = b[n-len(a):], nil
		}
	}
	k.credit(moved)
	return nil
}

// credit accounts for octets that the peer took, once its pace matters.
func (k *loopConn) credit(n int) {
	if q := k.parked.Load(); q != nil {
		q.writePace.add(n, 0)
	}
}

// awaitRoom parks after a write that found no room, of which moved octets had
// some; other errors it returns.
func (k *loopConn) awaitRoom(err error, moved int) error {
	if err != syscall.EAGAIN {
		return os.NewSyscallError("write", err)
	}
	q := k.parking()
	q.writePace.add(moved, 0)
	switch seen := k.state.And(^stateOut); {
	case seen&stateError != 0: // and nothing will be sent any more
		return os.NewSyscallError("write", syscall.EPIPE)
	case seen&stateOut != 0:
		// Told of room some time ago: only if there is none after this was cleared
		// will epoll tell again.
		return nil
	}
	now := time.Now()
	by := deadlineOf(q.writeBy.Load())
	if by.IsZero() {
		by = q.writePace.deadline(now, 0)
	}
	err = k.await(q.write, stateWriteWait, stateOut|stateError, by)
	q.writePace.add(0, time.Since(now))
	return err
}

func (k *loopConn) sendFile(f *os.File, n int64) (sent int64, handled bool, err error) {
	rc, err := f.SyscallConn()
	if err != nil {
		return 0, false, nil
	}
	if q := k.parked.Load(); q != nil && passed(deadlineOf(q.writeBy.Load())) {
		return 0, true, os.ErrDeadlineExceeded // as in write
	}
	var moved int
	for sent < n {
		var part int
		var failed error
		err = rc.Control(func(fd uintptr) {
			part, failed = syscall.Sendfile(k.fd, int(fd), nil, int(min(n-sent, 1<<20)))
		})
		switch {
		case err != nil:
			return sent, true, err
		case failed == syscall.EINTR:
		case failed == syscall.EAGAIN:
			if err := k.awaitRoom(failed, moved); err != nil {
				return sent, true, err
			}
			moved = 0
		case failed == syscall.EINVAL && sent == 0: // not a file that sendfile takes
			return 0, false, nil
		case failed != nil:
			return sent, true, os.NewSyscallError("sendfile", failed)
		case part == 0:
			return sent, true, io.ErrUnexpectedEOF // the file shrank
		default:
			sent += int64(part)
			moved += part
		}
	}
	k.credit(moved)
	return sent, true, nil
}

func (k *loopConn) watch(c *HTTPConnection) {
	r := c.at.Load()
	k.watched.Store(r)
	k.state.Or(stateWatch)
	if k.state.Load()&stateGone != 0 {
		c.peerGone(r)
	}
}

func (k *loopConn) unwatch() {
	k.state.And(^stateWatch)
	k.watched.Store(nil)
}

func (k *loopConn) interrupt() {
	q := k.parking()
	q.interrupted.Store(true)
	notify(q.read)
}

func (k *loopConn) resume() { k.parking().interrupted.Store(false) }

func (k *loopConn) setReadDeadline(t time.Time) {
	q := k.parking()
	q.readBy.Store(nanosOf(t))
	notify(q.read)
}

func (k *loopConn) setWriteDeadline(t time.Time) {
	q := k.parking()
	q.writeBy.Store(nanosOf(t))
	notify(q.write)
}

func nanosOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func (k *loopConn) next() {
	if q := k.parked.Load(); q != nil {
		q.begin(k.loop.engine.srv.set)
	}
}

// late is true once the coarse clock has gone on.
func (k *loopConn) late(since time.Time) bool {
	e := k.loop.engine
	return e.clock.Load() > int64(since.Sub(e.began))
}

// hijack hands out a connection of package net with a descriptor of its own.
// Without one to be had the connection stays what it is.
func (k *loopConn) hijack() (net.Conn, error) {
	conn, err := k.netConn()
	if err != nil {
		return nil, err
	}
	k.release()
	k.leave()
	return conn, nil
}

// netConn takes the connection out of epoll and makes it one of package net.
func (k *loopConn) netConn() (net.Conn, error) {
	fd, err := unix.FcntlInt(uintptr(k.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fd), "hijacked")
	defer func() { _ = f.Close() }() // net.FileConn makes another
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	if o := k.machine.tcp; o != nil { // net.FileConn has set its own
		o.apply(conn)
	}
	if k.machine.named {
		conn = &relay{Conn: conn, header: proxyHeader{k.addr, ofTCP(k.machine.on)}}
	}
	// Closing a descriptor takes its socket out of epoll only with the last one.
	_ = syscall.EpollCtl(k.loop.epfd, syscall.EPOLL_CTL_DEL, k.fd, nil)
	return conn, nil
}

// serveHTTP2 moves the connection from the loop to net/http.
func (k *loopConn) serveHTTP2() {
	c := &k.machine
	conn, err := k.netConn()
	if err != nil {
		k.loop.engine.srv.set.acceptLog.warn(&c.set.log, err)
		k.close()
		return
	}
	g := &goroutineConn{engine: &goroutineEngine{srv: c.srv}, conn: conn, raw: conn}
	h := c.set.http2.take(g, c)
	// In this order somebody who closes all connections finds it in one place at
	// least.
	alive := c.srv.tracker.adopt(g, k.addr.Addr(), c)
	ahead := c.takeAhead()
	k.release()
	c.drop()
	k.leaveLoop()
	if !alive {
		g.closeNow()
	}
	c.set.http2.serve(h, g.replay(conn, ahead))
}

// closeNow shuts the socket: its owner will notice, and close it.
func (k *loopConn) closeNow() {
	k.closing.Lock()
	defer k.closing.Unlock()
	if !k.closed {
		_ = syscall.Shutdown(k.fd, syscall.SHUT_RDWR)
	}
}

func (k *loopConn) remoteAddr() net.Addr { return addrOf(k.addr) }

// addrOf is an address for package net; an invalid one is that of a Unix socket.
func addrOf(addr netip.AddrPort) net.Addr {
	if addr.IsValid() {
		return net.TCPAddrFromAddrPort(addr)
	}
	return &net.UnixAddr{Net: "unix"}
}

func (k *loopConn) remoteIP() netip.Addr { return k.addr.Addr() }

func (k *loopConn) localAddr() net.Addr {
	if a, ok := k.machine.on.(*net.TCPAddr); !ok || !a.IP.IsUnspecified() || k.machine.named {
		return k.machine.on
	}
	k.closing.Lock()
	defer k.closing.Unlock()
	if !k.closed {
		if sa, err := syscall.Getsockname(k.fd); err == nil {
			return net.TCPAddrFromAddrPort(addrPortOf(sa))
		}
	}
	return k.machine.on
}
