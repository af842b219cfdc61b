// SPDX-License-Identifier: MIT

package server

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
)

// tracked is a connection as the tracker sees it.
type tracked interface {
	// nudge makes a connection without a request notice that the server drains.
	nudge()
	closeNow()
}

// tracker counts the open connections, bounds their number, and tells when the
// last one is gone. It knows those of the goroutine engine one by one; other
// engines keep their own books.
type tracker struct {
	slots   chan struct{} // nil = no bound
	perIP   int
	owed    atomic.Int64 // places that the next releases do not free
	stopped chan struct{}

	mu    sync.Mutex
	open  int                     // guarded by mu
	conns map[tracked]trackedConn // guarded by mu
	byIP  map[netip.Addr]int      // guarded by mu
	empty chan struct{}           // closed when conns falls empty; guarded by mu
	// sealed says that nobody would wait for, or close, another connection.
	sealed bool // guarded by mu
}

type trackedConn struct {
	machine   *HTTPConnection // nil until TLS is done
	ip        netip.Addr
	anonymous bool // a PROXY header is to come first
}

func (t *tracker) init(maxConns, perIP int) {
	t.stopped = make(chan struct{})
	t.conns = map[tracked]trackedConn{}
	t.byIP = map[netip.Addr]int{}
	if maxConns == 0 {
		maxConns = descriptorBound()
	}
	if maxConns > 0 {
		t.slots = make(chan struct{}, maxConns)
	}
	t.perIP = max(perIP, 0)
}

// acquire waits for room for a connection; false when there is none and the server
// stops.
func (t *tracker) acquire() bool {
	if t.tryAcquire() {
		return true
	}
	select {
	case t.slots <- struct{}{}:
		return true
	case <-t.stopped:
		return false
	}
}

// tryAcquire is acquire without waiting.
func (t *tracker) tryAcquire() bool {
	if t.slots == nil {
		return true
	}
	select {
	case t.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// release frees a place, unless one is to be kept.
func (t *tracker) release() {
	if t.slots == nil {
		return
	}
	for n := t.owed.Load(); n > 0; n = t.owed.Load() {
		if t.owed.CompareAndSwap(n, n-1) {
			return
		}
	}
	<-t.slots
}

// keep has the next release free nothing, whoever calls it: the caller has a place
// instead, which it gives back by another release. Nobody else can take it between.
func (t *tracker) keep() {
	if t.slots != nil {
		t.owed.Add(1)
	}
}

// ipOf is the address of a peer, invalid where it has none.
func ipOf(addr net.Addr) netip.Addr {
	if a, ok := addr.(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// ipKey groups addresses: an IPv6 host has a /64 to choose from.
func ipKey(ip netip.Addr) netip.Addr {
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}

// admit counts a connection in; false when its address has too many, or the
// server is at its end.
func (t *tracker) admit(ip netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.admitLocked(ip)
}

func (t *tracker) admitLocked(ip netip.Addr) bool {
	if t.sealed {
		return false
	}
	if !t.countLocked(ip) {
		return false
	}
	t.open++
	return true
}

// countLocked counts an address; false when it has too many connections.
func (t *tracker) countLocked(ip netip.Addr) bool {
	if t.perIP > 0 && ip.IsValid() {
		key := ipKey(ip)
		if t.byIP[key] >= t.perIP {
			return false
		}
		t.byIP[key]++
	}
	return true
}

// identify counts the address of a connection that was admitted without one; false
// when that has too many.
func (t *tracker) identify(ip netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.countLocked(ip)
}

// identifyConn is identify for a connection that the tracker knows.
func (t *tracker) identifyConn(k tracked, ip netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry, ok := t.conns[k]
	if !ok || !t.countLocked(ip) {
		return false
	}
	entry.ip, entry.anonymous = ip, false
	t.conns[k] = entry
	return true
}

// leave counts a connection out.
func (t *tracker) leave(ip netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaveLocked(ip)
}

func (t *tracker) leaveLocked(ip netip.Addr) {
	if t.perIP > 0 && ip.IsValid() {
		key := ipKey(ip)
		if t.byIP[key]--; t.byIP[key] == 0 {
			delete(t.byIP, key)
		}
	}
	t.release()
	if t.open--; t.open == 0 && t.empty != nil {
		close(t.empty)
		t.empty, t.sealed = nil, true
	}
}

// add enters a connection; false when it is not admitted. remote is nil while a
// PROXY header is to come.
func (t *tracker) add(k tracked, remote net.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	ip := ipOf(remote)
	if !t.admitLocked(ip) {
		return false
	}
	t.conns[k] = trackedConn{ip: ip, anonymous: remote == nil}
	return true
}

// adopt enters a connection that was admitted for another engine; false when the
// server has closed all there were.
func (t *tracker) adopt(k tracked, ip netip.Addr, c *HTTPConnection) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns[k] = trackedConn{ip: ip, machine: c}
	return !t.sealed
}

// ready says that a connection has its machine.
func (t *tracker) ready(k tracked, c *HTTPConnection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if entry, ok := t.conns[k]; ok {
		entry.machine = c
		t.conns[k] = entry
	}
}

// forget takes a connection out that has ended, or is not the server's any more.
// It may be called more than once.
func (t *tracker) forget(k tracked) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry, ok := t.conns[k]
	if !ok {
		return
	}
	delete(t.conns, k)
	t.leaveLocked(entry.ip)
}

func (t *tracker) stopAccepting() { close(t.stopped) }

// drained is closed when no connection is left.
func (t *tracker) drained() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == 0 {
		t.sealed = true
		done := make(chan struct{})
		close(done)
		return done
	}
	if t.empty == nil {
		t.empty = make(chan struct{})
	}
	return t.empty
}

func (t *tracker) nudgeIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, entry := range t.conns {
		if entry.machine == nil {
			if entry.anonymous {
				k.nudge()
			}
			continue
		}
		if s := entry.machine.State(); s == http.StateIdle || s == http.StateNew {
			k.nudge()
		}
	}
}

// closeAll closes the connections that are left.
func (t *tracker) closeAll(cut *cutting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sealed = true
	for k, entry := range t.conns {
		cut.conn(entry.machine)
		if g, ok := k.(*goroutineConn); ok {
			cut.requests = append(cut.requests, g.http2.Load().underway()...)
		}
		k.closeNow()
	}
}
