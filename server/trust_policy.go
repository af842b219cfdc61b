// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrForwardedRequired is returned by [TrustPolicy.Resolve] when
// RequireForwarded is set and a trusted peer sent no believable forwarding
// field. The fitting answer is 400.
var ErrForwardedRequired = errors.New("server: trusted proxy sent no believable forwarding field")

// ErrInvalidTrustPolicy is wrapped by every error of [TrustPolicy.Validate].
var ErrInvalidTrustPolicy = errors.New("server: invalid trust policy")

// Origin is what is known about where a request came from, as far as its
// forwarding fields can be believed.
type Origin struct {
	// IP is the client's address: the peer's own unless a trusted peer named
	// another. IPv4 is never in IPv6 form and there is no zone. It is invalid
	// for a Unix socket whose peer named nobody.
	IP netip.Addr
	// Scheme is "http" or "https", or "" to keep that of the connection.
	Scheme string
	// Host is a host with an optional port, or "" to keep that of the request.
	Host string
	// Suspect says that a trusted peer sent a forwarding field which could not
	// be believed as it stood: malformed, repeated where one is due, longer
	// than 32 hops, or naming a host that is not allowed. What could be
	// believed is still in the other fields.
	Suspect bool
	// Hops counts the forwarding elements that were believed. 0: IP is the
	// peer itself.
	Hops int
}

// ForwardedSource says which field names the client. There is exactly one
// source: fields are never mixed and never stand in for one another.
type ForwardedSource uint8

const (
	// SourceNone ignores all forwarding fields. It is the default.
	SourceNone ForwardedSource = iota
	// SourceXForwardedFor reads X-Forwarded-For, and X-Forwarded-Proto and
	// X-Forwarded-Host where the policy says so.
	SourceXForwardedFor
	// SourceForwarded reads Forwarded (RFC 7239), address, proto and host.
	SourceForwarded
	// SourceSingle reads a field that holds one address, such as X-Real-IP,
	// and X-Forwarded-Proto and X-Forwarded-Host where the policy says so.
	SourceSingle
)

// String returns the name of the source, for logs and errors.
func (s ForwardedSource) String() string {
	switch s {
	case SourceNone:
		return "none"
	case SourceXForwardedFor:
		return "X-Forwarded-For"
	case SourceForwarded:
		return "Forwarded"
	case SourceSingle:
		return "single header"
	}
	return fmt.Sprintf("ForwardedSource(%d)", uint8(s))
}

// TrustPolicy decides which forwarding fields of a request are believed. Its
// zero value believes none: the client is the peer of the connection.
//
// Anybody can send any field. A field is worth as much as the peer that sent
// it, so nothing is read before the peer is found in Trusted, and a list of
// addresses is read from its end, which the nearest proxy wrote, up to the
// first address that is not trusted: that is the client.
//
// A policy is not changed by use and may be used by many goroutines at once
// as long as nobody changes its fields.
type TrustPolicy struct {
	// Trusted holds the networks of the proxies in front of this server.
	// Empty: no TCP peer is trusted. [ParsePrefixes] reads them from text,
	// [PrivateNetworks] names the private ones.
	//
	// Security: whoever can connect from these networks can claim to be any
	// client. List the proxies, not the whole cloud.
	Trusted []netip.Prefix
	// TrustUnix trusts whoever connects through a Unix socket; the
	// permissions of the socket then say who that can be.
	TrustUnix bool
	// Source is the one field that names the client. Zero: none.
	Source ForwardedSource
	// SingleHeader is the name of the field that SourceSingle reads. Empty:
	// X-Real-IP.
	//
	// Security: choose a field that the proxy sets or deletes on every
	// request. One it merely passes on is written by the client.
	SingleHeader string
	// Scheme takes the scheme from X-Forwarded-Proto, or from the proto
	// parameter of Forwarded: http and https only.
	Scheme bool
	// Host takes the host from X-Forwarded-Host, or from the host parameter
	// of Forwarded, if it is in AllowedHosts.
	//
	// Security: proxies pass on X-Forwarded-Host more often than they write
	// it. Links built from a host that a client chose lead to the client.
	Host bool
	// AllowedHosts are the hosts that Host accepts, compared without regard to
	// case: "example.com" (with no port, 80 or 443), "example.com:8443" (with
	// that port only), "*.example.com" (any name below it) or "*" (every valid
	// host). Host needs at least one.
	AllowedHosts []string
	// Hops takes the address that stands so many places from the end of the
	// list, 1 being the last, instead of walking the list by Trusted. It is for
	// a fixed number of proxies whose inner addresses are not known; the peer
	// itself must be trusted still. Zero: walk. At most 32.
	Hops int
	// RequireForwarded makes Resolve fail with ErrForwardedRequired when a
	// trusted peer sends no Source field, or one that is malformed. Without
	// it such a request has the proxy's own address, and must not be taken for
	// one from inside: a client can have a proxy delete the field by naming it
	// in Connection. Requests of untrusted peers are not concerned.
	RequireForwarded bool
}

// PrivateNetworks returns the loopback and private-use networks of IPv4
// (127.0.0.0/8 and RFC 1918) and IPv6 (::1 and unique local, RFC 4193), for
// [TrustPolicy.Trusted]. Link-local addresses and carrier-grade NAT
// (100.64.0.0/10) are not among them. The slice is the caller's.
//
// Security: in a shared network private addresses are neighbours, not friends.
func PrivateNetworks() []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10}), 8),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16}), 12),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168}), 16),
		netip.PrefixFrom(netip.IPv6Loopback(), 128),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfc}), 7),
	}
}

// ParsePrefixes reads networks such as "10.0.0.0/8" and "2001:db8::/32" and
// single addresses such as "192.0.2.1", for [TrustPolicy.Trusted]. Bits beyond
// the prefix length are cleared, and IPv4 in IPv6 form becomes IPv4.
func ParsePrefixes(networks ...string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(networks))
	for _, s := range networks {
		p, err := parsePrefix(strings.TrimSpace(s))
		if err != nil {
			return nil, fmt.Errorf("server: parsing network %q: %w", s, err)
		}
		out = append(out, p)
	}
	return out, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		if addr.Zone() != "" {
			return netip.Prefix{}, errors.New("an address with a zone names no network")
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, errors.New("an IPv4-mapped network has at least 96 bits")
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// Validate reports what is wrong with the policy, all of it, in errors that
// wrap [ErrInvalidTrustPolicy]. A nil policy is valid. Resolve is safe with an
// invalid policy too: what is wrong in it is then not believed.
func (p *TrustPolicy) Validate() error {
	if p == nil {
		return nil
	}
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrInvalidTrustPolicy}, args...)...))
	}
	for _, prefix := range p.Trusted {
		if !prefix.IsValid() {
			wrong("Trusted holds an invalid prefix")
		} else if prefix.Addr().Is4In6() {
			wrong("Trusted: %v is IPv4 in IPv6 form and would match nothing", prefix)
		}
	}
	switch {
	case p.Source > SourceSingle:
		wrong("unknown Source %v", p.Source)
	case p.Source == SourceNone:
		if p.Scheme || p.Host || p.Hops != 0 || p.RequireForwarded || p.SingleHeader != "" {
			wrong("Scheme, Host, Hops, RequireForwarded and SingleHeader need a Source")
		}
	case len(p.Trusted) == 0 && !p.TrustUnix:
		wrong("Source is %v but nobody is trusted", p.Source)
	}
	if p.SingleHeader != "" {
		p.validateSingleHeader(wrong)
	}
	if p.Hops < 0 || p.Hops > maxForwardedHops {
		wrong("Hops is %d, must be from 0 to %d", p.Hops, maxForwardedHops)
	}
	if p.Hops != 0 && p.Source == SourceSingle {
		wrong("Hops counts in a list, %v is none", p.Source)
	}
	if p.Host && len(p.AllowedHosts) == 0 {
		wrong("Host needs AllowedHosts")
	}
	for _, allowed := range p.AllowedHosts {
		if _, _, ok := splitForwardedHost(strings.TrimPrefix(allowed, "*.")); !ok && allowed != "*" {
			wrong("AllowedHosts: %q is not a host", allowed)
		}
	}
	return errors.Join(errs...)
}

func (p *TrustPolicy) validateSingleHeader(wrong func(format string, args ...any)) {
	if p.Source != SourceSingle && p.Source != SourceNone {
		wrong("SingleHeader is for SourceSingle, Source is %v", p.Source)
	}
	if !validFieldName(p.SingleHeader) {
		wrong("SingleHeader %q is not a field name", p.SingleHeader)
	}
	if equalFoldASCII(p.SingleHeader, "X-Forwarded-For") || equalFoldASCII(p.SingleHeader, "Forwarded") {
		wrong("%s holds a list and has a Source of its own", p.SingleHeader)
	}
}

// Resolve says where a request came from. peer is the address of the other
// end of the connection; the zero Addr stands for a Unix socket. h is the
// header of the request. A nil policy believes nothing.
//
// The only error is [ErrForwardedRequired]; the Origin is filled then too.
func (p *TrustPolicy) Resolve(peer netip.Addr, h Header) (Origin, error) {
	peer = peer.Unmap().WithZone("")
	if p == nil || p.Source == SourceNone || p.Source > SourceSingle || !p.trustsPeer(peer) {
		return Origin{IP: peer}, nil
	}
	w := hopWalk{policy: p, peer: peer, origin: Origin{IP: peer}}
	var field fieldLines
	field.collect(h, p.sourceField())
	if field.n > 0 {
		switch p.Source {
		case SourceXForwardedFor:
			w.walkXForwardedFor(&field)
		case SourceForwarded:
			w.walkForwarded(&field)
		case SourceSingle:
			w.takeSingle(&field)
		}
	}
	if p.RequireForwarded && (field.n == 0 || w.origin.Suspect) {
		return w.origin, ErrForwardedRequired
	}
	// Who could not name the client cleanly is not believed about the rest.
	if !w.origin.Suspect && (p.Scheme || p.Host) {
		if p.Source != SourceForwarded {
			w.readXForwarded(h)
		}
		w.override()
	}
	return w.origin, nil
}

func (p *TrustPolicy) sourceField() string {
	switch {
	case p.Source == SourceForwarded:
		return "Forwarded"
	case p.Source == SourceXForwardedFor:
		return "X-Forwarded-For"
	case p.SingleHeader == "":
		return "X-Real-IP"
	}
	return p.SingleHeader
}

func (p *TrustPolicy) trustsPeer(peer netip.Addr) bool {
	if !peer.IsValid() {
		return p.TrustUnix
	}
	return p.trusts(peer)
}

func (p *TrustPolicy) trusts(addr netip.Addr) bool {
	for _, prefix := range p.Trusted {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// allowsHost reports whether a forwarded host is well-formed and allowed.
func (p *TrustPolicy) allowsHost(s string) bool {
	host, port, ok := splitForwardedHost(s)
	if !ok {
		return false
	}
	for _, allowed := range p.AllowedHosts {
		if allowed == "*" {
			return true
		}
		name, wildcard := strings.CutPrefix(allowed, "*.")
		name, wantPort, ok := splitForwardedHost(name)
		if !ok {
			continue
		}
		if wantPort == "" && port != "" && port != "80" && port != "443" || wantPort != "" && port != wantPort {
			continue
		}
		if !wildcard {
			if equalFoldASCII(host, name) {
				return true
			}
			continue
		}
		// The dot belongs to the suffix: *.example.com is not badexample.com.
		if n := len(host) - len(name) - 1; n > 0 && host[n] == '.' && equalFoldASCII(host[n+1:], name) {
			return true
		}
	}
	return false
}
