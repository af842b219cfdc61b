// SPDX-License-Identifier: MIT

package server

import (
	"net/netip"
	"testing"
)

func BenchmarkResolve(b *testing.B) {
	proxy, direct := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("203.0.113.9")
	h := headerLines("Host: example.com", "User-Agent: x", "Accept: */*", "X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.1.1.1",
		"Forwarded: for=1.2.3.4;proto=https, for=10.1.1.1", "X-Real-IP: 1.2.3.4")
	trusted := append(proxies(b), testPrefixes(b, "172.16.0.0/12", "192.168.0.0/16", "fd00::/8", "::1", "100.64.0.0/10")...)
	for _, bench := range []struct {
		name   string
		peer   netip.Addr
		source ForwardedSource
	}{
		{"untrusted", direct, SourceXForwardedFor},
		{"x-forwarded-for", proxy, SourceXForwardedFor},
		{"forwarded", proxy, SourceForwarded},
		{"single", proxy, SourceSingle},
	} {
		p := &TrustPolicy{Trusted: trusted, Source: bench.source}
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Resolve(bench.peer, h); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCookie(b *testing.B) {
	k := testKeys(b, testSecret(2), testSecret(1))
	data := make([]byte, 64)
	for _, mode := range bothModes {
		value := mustEncode(b, k, "session", data, mode.opts...)
		b.Run("encode/"+mode.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Encode("session", data, mode.opts...); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("decode/"+mode.name, func(b *testing.B) {
			b.ReportAllocs()
			var into []byte
			for b.Loop() {
				if err := k.Decode("session", value, &into, mode.opts...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
