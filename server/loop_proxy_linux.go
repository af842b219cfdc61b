// SPDX-License-Identifier: MIT

package server

import (
	"net"
	"net/http"
	"net/netip"
	"syscall"
)

// proxyHeader goes on with a connection of which a PROXY header is to come first;
// false when it has ended.
func (k *loopConn) proxyHeader() bool {
	c := &k.machine
	on := c.serving
	header, n, err := parseProxyHeader(c.buf[c.r:c.w])
	if err != nil {
		on.refuse(k.socketPeer(), err)
		k.close()
		return false
	}
	if n == 0 {
		return true
	}
	c.r += n
	addr := header.source
	if !addr.IsValid() {
		addr = ofTCP(k.socketPeer())
	}
	if !on.srv.tracker.identify(addr.Addr()) {
		k.close()
		return false
	}
	k.addr = addr
	c.serving = on.relayed(header)
	c.setState(http.StateNew)
	k.parting = false // the head of a request has its time
	k.wait(on.set.headerTimeout)
	if !c.buffered() {
		return true
	}
	return k.obey(c.run())
}

// socketPeer is the other end of the socket, whatever a header says. The caller
// owns the connection.
func (k *loopConn) socketPeer() net.Addr {
	sa, err := syscall.Getpeername(k.fd)
	if err != nil {
		return addrOf(netip.AddrPort{})
	}
	return addrOf(addrPortOf(sa))
}

func (k *loopConn) proxyAddr() net.Addr {
	if !k.machine.named {
		return nil
	}
	k.closing.Lock()
	defer k.closing.Unlock()
	if k.closed {
		return nil
	}
	return k.socketPeer()
}
