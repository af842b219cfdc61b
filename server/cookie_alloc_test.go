// SPDX-License-Identifier: MIT

//go:build !race

package server

import (
	"net/netip"
	"strings"
	"testing"
)

// wantAllocs fails if f allocates more than max times.
func wantAllocs(t *testing.T, what string, max float64, f func()) {
	t.Helper()
	got := testing.AllocsPerRun(200, f)
	for range 4 {
		if got <= max {
			return
		}
		got = min(got, testing.AllocsPerRun(200, f)) // what others allocate meanwhile counts as well
	}
	if got > max {
		t.Errorf("%s: %v allocations, want at most %v", what, got, max)
	}
}

// securecookie itself needs 15 to encode, 3 more to encrypt, and 12 or 13 to
// decode, for each key tried.
func TestCookieAllocs(t *testing.T) {
	k := testKeys(t)
	data := make([]byte, 64)
	signed, encrypted := mustEncode(t, k, "session", data), mustEncode(t, k, "session", data, WithEncryption())
	forged := signed[:len(signed)-4] + "AAAA"
	var into []byte
	wantAllocs(t, "Encode", 20, func() { _, _ = k.Encode("session", data) })
	wantAllocs(t, "Encode encrypted", 24, func() { _, _ = k.Encode("session", data, WithEncryption()) })
	wantAllocs(t, "Decode", 15, func() { _ = k.Decode("session", signed, &into) })
	wantAllocs(t, "Decode encrypted", 15, func() { _ = k.Decode("session", encrypted, &into, WithEncryption()) })
	wantAllocs(t, "Decode forged", 28, func() { _ = k.Decode("session", forged, &into) })
	for name, junk := range map[string]string{
		"empty": "", "short": "deleted", "long": strings.Repeat("A", 8192), "another alphabet": strings.Repeat("a.b.", 50),
		"not canonical": strings.Repeat("A", 61) + "B==",
	} {
		wantAllocs(t, "Decode "+name, 0, func() { _ = k.Decode("session", junk, &into) })
	}
}

func TestResolveAllocs(t *testing.T) {
	direct, proxy := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("10.0.0.1")
	h := headerLines("Host: example.com", "X-Forwarded-For: 6.6.6.6, 1.2.3.4", "X-Forwarded-For: 10.1.1.1, 10.2.2.2",
		"Forwarded: for=6.6.6.6;proto=http, for=1.2.3.4;proto=https;host=\"example.com:443\"", "X-Real-IP: 1.2.3.4",
		"X-Forwarded-Proto: https", "X-Forwarded-Host: example.com")
	for source := range SourceSingle + 1 {
		p := &TrustPolicy{
			Trusted: proxies(t), Source: source, Scheme: true, Host: true, AllowedHosts: []string{"*.example.com", "example.com"},
		}
		wantAllocs(t, "untrusted peer, "+source.String(), 0, func() { _, _ = p.Resolve(direct, h) })
		wantAllocs(t, "trusted peer, "+source.String(), 0, func() { _, _ = p.Resolve(proxy, h) })
	}
}
