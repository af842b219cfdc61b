// SPDX-License-Identifier: MIT

package pleat_test

import (
	"io"
	"log"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

var (
	testIP  = netip.MustParseAddr("192.0.2.7")
	nullLog = log.New(io.Discard, "", 0)
)

// noListener accepts nothing.
type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }

func contains(t testing.TB, s string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(s, part) {
			t.Errorf("%q is not in %q", part, s)
		}
	}
}

func lacks(t testing.TB, s string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(s, part) {
			t.Errorf("%q is in %q", part, s)
		}
	}
}

func urlQuery(s string) string { return url.QueryEscape(s) }
