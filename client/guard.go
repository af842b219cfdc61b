// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// guard is PublicOnly. It sits where a connection is opened, behind name lookup, Happy Eyeballs, redirects and odd
// spellings of addresses: what the socket is about to be connected to is the only thing that cannot be disguised.
type guard struct {
	allowed []netip.Prefix
	ports   []uint16
}

// control is a net.Dialer's ControlContext.
func (g guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: network %s", ErrForbiddenAddress, network)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %q", ErrForbiddenAddress, address)
	}
	if !slices.Contains(g.ports, ap.Port()) {
		return fmt.Errorf("%w: port %d", ErrForbiddenAddress, ap.Port())
	}
	if addr := ap.Addr().Unmap().WithZone(""); !public(addr) && !within(addr, g.allowed) {
		return fmt.Errorf("%w: %s", ErrForbiddenAddress, addr)
	}
	return nil
}

func within(addr netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// public reports whether addr, unmapped and without zone, is a unicast address of the public internet. IPv6 has one block
// for those; whatever lies outside it, the embeddings of IPv4 among them, is refused with no list to forget an entry of.
func public(addr netip.Addr) bool {
	if addr.Is4() {
		return !within(addr, reserved4[:])
	}
	return global6.Contains(addr) && !within(addr, reserved6[:])
}

// From the IANA special-purpose address registries (RFC 6890) and the multicast and reserved blocks.
var (
	reserved4 = [...]netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),       // this network
		netip.MustParsePrefix("10.0.0.0/8"),      // private
		netip.MustParsePrefix("100.64.0.0/10"),   // carrier NAT
		netip.MustParsePrefix("127.0.0.0/8"),     // loopback
		netip.MustParsePrefix("169.254.0.0/16"),  // link local, cloud metadata
		netip.MustParsePrefix("172.16.0.0/12"),   // private
		netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
		netip.MustParsePrefix("192.0.2.0/24"),    // documentation
		netip.MustParsePrefix("192.31.196.0/24"), // AS112
		netip.MustParsePrefix("192.52.193.0/24"), // AMT
		netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
		netip.MustParsePrefix("192.168.0.0/16"),  // private
		netip.MustParsePrefix("192.175.48.0/24"), // AS112
		netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
		netip.MustParsePrefix("198.51.100.0/24"), // documentation
		netip.MustParsePrefix("203.0.113.0/24"),  // documentation
		netip.MustParsePrefix("224.0.0.0/4"),     // multicast
		netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
	}
	global6   = netip.MustParsePrefix("2000::/3")
	reserved6 = [...]netip.Prefix{
		netip.MustParsePrefix("2001::/23"),         // protocol assignments, Teredo
		netip.MustParsePrefix("2001:db8::/32"),     // documentation
		netip.MustParsePrefix("2002::/16"),         // 6to4: an IPv4 address inside
		netip.MustParsePrefix("2620:4f:8000::/48"), // AS112
		netip.MustParsePrefix("3fff::/20"),         // documentation
	}
)
