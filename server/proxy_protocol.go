// SPDX-License-Identifier: MIT

package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

// ProxyProtocol is how a listener reads PROXY headers (HAProxy's protocol, version
// 1 and 2), with which a proxy that relays octets says whose they are. The header
// comes before anything else, TLS included, and decides what the peer of a
// connection is: see [HTTPRequest.PeerIP].
//
// Nothing is guessed: every connection of the listener has to begin with a header.
// Who is not trusted is refused at once, and so is who sends anything else. Refused
// connections are closed without an answer, are not told to ConnState, and are
// logged once a second at most.
type ProxyProtocol struct {
	// Trusted holds the networks of the proxies. [ParsePrefixes] reads them from
	// text. It, or TrustUnix, is required.
	//
	// Security: whoever can connect from these networks can claim to be any client.
	Trusted []netip.Prefix
	// TrustUnix trusts whoever can connect to a Unix socket.
	TrustUnix bool
	// Timeout is how long a connection may take for the header, 5 s by default.
	// There is always a bound. The time of the first request's head begins after it.
	Timeout time.Duration
}

// Validate reports what is wrong with the settings. nil is valid.
func (p *ProxyProtocol) Validate() error {
	if p == nil {
		return nil
	}
	var errs []error
	if len(p.Trusted) == 0 && !p.TrustUnix {
		errs = append(errs, errors.New("server: ProxyProtocol trusts nobody"))
	}
	for _, prefix := range p.Trusted {
		if !prefix.IsValid() {
			errs = append(errs, errors.New("server: ProxyProtocol.Trusted holds an invalid prefix"))
		} else if prefix.Addr().Is4In6() {
			errs = append(errs, fmt.Errorf("server: ProxyProtocol.Trusted: %v is IPv4 in IPv6 form and would match nothing", prefix))
		}
	}
	if p.Timeout < 0 {
		errs = append(errs, errors.New("server: ProxyProtocol.Timeout is negative: there has to be a bound"))
	}
	return errors.Join(errs...)
}

// proxyPolicy is a ProxyProtocol that nobody can change any more.
type proxyPolicy struct {
	trusted   []netip.Prefix
	trustUnix bool
	timeout   time.Duration
}

func (p *ProxyProtocol) policy() *proxyPolicy {
	return &proxyPolicy{slices.Clone(p.Trusted), p.TrustUnix, orDefault(p.Timeout, 5*time.Second, 0)}
}

// trusts reports whether a peer may send headers; the zero Addr is a Unix socket.
func (p *proxyPolicy) trusts(peer netip.Addr) bool {
	if !peer.IsValid() {
		return p.trustUnix
	}
	for _, prefix := range p.trusted {
		if prefix.Contains(peer) {
			return true
		}
	}
	return false
}

// mayRelay says why a connection is refused before it has sent anything.
func (p *proxyPolicy) mayRelay(conn net.Conn) error {
	if _, ok := conn.(*tls.Conn); ok {
		return errProxyInTLS
	}
	if !p.trusts(ipOf(conn.RemoteAddr())) {
		return errProxyUntrusted
	}
	return nil
}

// ofTCP is the address and port of a TCP peer, invalid for others.
func ofTCP(addr net.Addr) netip.AddrPort {
	if a, ok := addr.(*net.TCPAddr); ok {
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
	}
	return netip.AddrPort{}
}

// relayed is what the connections of a listener have in common, as one sees it
// whose PROXY header has been read.
func (on *serving) relayed(h proxyHeader) *serving {
	of := *on
	of.proxy = nil
	if h.destination.IsValid() {
		of.on, of.named = net.TCPAddrFromAddrPort(h.destination), true
	}
	return &of
}

// refuse logs why a connection was refused.
func (on *serving) refuse(peer net.Addr, why error) {
	if on.set.proxyLog.due() {
		on.set.log.Warn().Err(why).Stringer("peer", peer).Msg("server: connection refused")
	}
}

// ProxyAddr is the address of the proxy that the connection comes from, if it named
// another peer in a PROXY header; nil otherwise.
func (c *HTTPConnection) ProxyAddr() net.Addr {
	if t, ok := c.t.(interface{ proxyAddr() net.Addr }); ok {
		return t.proxyAddr()
	}
	return nil
}

// relay is a connection whose ends are those that a PROXY header named, where it
// named any.
type relay struct {
	net.Conn
	header proxyHeader
	ahead  []byte // what was read with the header
}

// Read reads what came with the header first. Until that is gone it is not for
// concurrent use.
func (r *relay) Read(p []byte) (int, error) {
	if len(r.ahead) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.ahead)
	if r.ahead = r.ahead[n:]; len(r.ahead) == 0 {
		r.ahead = nil
	}
	return n, nil
}

// CloseWrite ends the sending half, if the connection can do that.
func (r *relay) CloseWrite() error {
	if half, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// RemoteAddr is the peer's address, as the header named it.
func (r *relay) RemoteAddr() net.Addr {
	if r.header.source.IsValid() {
		return net.TCPAddrFromAddrPort(r.header.source)
	}
	return r.Conn.RemoteAddr()
}

// LocalAddr is where the peer connected to, as the header named it.
func (r *relay) LocalAddr() net.Addr {
	if r.header.destination.IsValid() {
		return net.TCPAddrFromAddrPort(r.header.destination)
	}
	return r.Conn.LocalAddr()
}

// receive reads the header, until a time that is looked at again for each read, and
// leaves the deadline for reading cleared.
func (r *relay) receive(until func() time.Time) error {
	buf := copyPool.Get().(*[]byte)
	defer copyPool.Put(buf)
	for have := 0; ; {
		by := until()
		_ = r.SetReadDeadline(by)
		if again := until(); again.Before(by) {
			_ = r.SetReadDeadline(again) // a nudge may have come before our deadline
		}
		n, err := r.Conn.Read((*buf)[have:])
		have += n
		header, used, malformed := parseProxyHeader((*buf)[:have])
		switch {
		case malformed != nil:
			return malformed
		case used > 0:
			r.header = header
			if used < have {
				r.ahead = append([]byte(nil), (*buf)[used:have]...)
			}
			return r.SetReadDeadline(time.Time{})
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errProxyTimeout
		case err != nil:
			return err
		}
	}
}
