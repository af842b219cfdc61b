// SPDX-License-Identifier: MIT

package main

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/pleat-go/pleat/bench/contract"
)

// clientOf is the address of the client.
func clientOf(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	lines := r.Header["X-Forwarded-For"]
	switch len(lines) {
	case 0:
		return peer.Addr().Unmap().String()
	case 1:
		return contract.ClientAddr(peer.Addr(), lines[0]).String()
	}
	return contract.ClientAddr(peer.Addr(), strings.Join(lines, ",")).String()
}
