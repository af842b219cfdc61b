// SPDX-License-Identifier: MIT

package server

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// tracked is a connection as the tracker sees it.
type tracked interface {
	// nudge makes a connection without a request notice that the server drains.
	nudge()
	closeNow()
}

// tracker knows the open connections, bounds their number, and tells when the
// last one is gone.
type tracker struct {
	slots   chan struct{} // nil = no bound
	perIP   int
	stopped chan struct{}

	mu    sync.Mutex
	conns map[tracked]trackedConn // guarded by mu
	byIP  map[netip.Addr]int      // guarded by mu
	empty chan struct{}           // closed when conns falls empty; guarded by mu
	// sealed says that nobody would wait for, or close, another connection.
	sealed bool // guarded by mu
}

type trackedConn struct {
	machine *HTTPConnection // nil until TLS is done
	ip      netip.Addr
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

// acquire waits for room for a connection; false when the server stops.
func (t *tracker) acquire() bool {
	if t.slots == nil {
		return true
	}
	select {
	case t.slots <- struct{}{}:
		return true
	case <-t.stopped:
		return false
	}
}

func (t *tracker) release() {
	if t.slots != nil {
		<-t.slots
	}
}

// ipKey groups addresses: an IPv6 host has a /64 to choose from.
func ipKey(addr net.Addr) netip.Addr {
	a, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := a.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}

// add enters a connection; false when its address has too many, or the server is
// at its end.
func (t *tracker) add(k tracked, remote net.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sealed {
		return false
	}
	var ip netip.Addr
	if t.perIP > 0 {
		if ip = ipKey(remote); ip.IsValid() {
			if t.byIP[ip] >= t.perIP {
				return false
			}
			t.byIP[ip]++
		}
	}
	t.conns[k] = trackedConn{ip: ip}
	return true
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

// remove takes a connection that has ended out. It may be called more than once.
func (t *tracker) remove(k tracked) { t.forget(k) }

// forget takes a connection out that is not the server's any more.
func (t *tracker) forget(k tracked) {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry, ok := t.conns[k]
	if !ok {
		return
	}
	delete(t.conns, k)
	if entry.ip.IsValid() {
		if t.byIP[entry.ip]--; t.byIP[entry.ip] == 0 {
			delete(t.byIP, entry.ip)
		}
	}
	t.release()
	if len(t.conns) == 0 && t.empty != nil {
		close(t.empty)
		t.empty, t.sealed = nil, true
	}
}

func (t *tracker) stopAccepting() { close(t.stopped) }

// drained is closed when no connection is left.
func (t *tracker) drained() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.conns) == 0 {
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
			continue
		}
		if s := entry.machine.State(); s == http.StateIdle || s == http.StateNew {
			k.nudge()
		}
	}
}

// closeAll closes the connections that are left and returns their number.
func (t *tracker) closeAll() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sealed = true
	for k := range t.conns {
		k.closeNow()
	}
	return len(t.conns)
}
