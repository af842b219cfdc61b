// SPDX-License-Identifier: MIT

package client

import (
	"errors"
	"net/netip"
	"testing"
)

func TestGuard(t *testing.T) {
	g := guard{ports: []uint16{80, 443}}
	deny := []string{
		"127.0.0.1", "0.0.0.0", "10.1.2.3", "100.64.0.1", "169.254.169.254", "192.0.0.192", "198.18.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1",
		"fe80::1", "fe80::1%eth0", "fec0::1", "fd00:ec2::254", "2002:7f00:1::", "2001:0:1::1", "3fff::1", "5f00::1", "ff02::1",
		"172.31.255.255", "192.168.0.1", "224.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254%eth0",
	}
	allow := []string{"1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "172.32.0.1", "9.255.255.255"}
	check := func(g guard, addr string, port uint16) error {
		network := "tcp4"
		a := netip.MustParseAddr(addr)
		if a.Is6() {
			network = "tcp6"
		}
		return g.control(t.Context(), network, netip.AddrPortFrom(a, port).String(), nil)
	}
	for _, addr := range deny {
		if err := check(g, addr, 443); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s: %v, want ErrForbiddenAddress", addr, err)
		}
	}
	for _, addr := range allow {
		if err := check(g, addr, 443); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		if err := check(g, addr, 22); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s port 22: %v", addr, err)
		}
	}
	for _, network := range []string{"unix", "udp4", "tcp", ""} {
		if err := g.control(t.Context(), network, "1.1.1.1:443", nil); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("network %q: %v", network, err)
		}
	}
	for _, address := range []string{"", "1.1.1.1", "example.com:443", "/run/x.sock"} {
		if err := g.control(t.Context(), "tcp4", address, nil); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("address %q: %v", address, err)
		}
	}
	g.allowed = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for addr, want := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "11.0.0.0": true, "127.0.0.1": false} {
		if err := check(g, addr, 80); (err == nil) != want {
			t.Errorf("with 10/8 allowed, %s: %v", addr, err)
		}
	}
}

// FuzzGuard compares the table of prefixes with what the standard library says about an address: whatever one of its
// predicates calls special must be refused.
func FuzzGuard(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "::1", "2606:4700::1111", "224.0.0.251", "fe80::1"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			t.Skip()
		}
		a = a.Unmap()
		if public(a) && (a.IsPrivate() || a.IsLoopback() || a.IsMulticast() || a.IsUnspecified() || a.IsLinkLocalUnicast() || !a.IsGlobalUnicast()) {
			t.Errorf("%s counts as public", a)
		}
	})
}
