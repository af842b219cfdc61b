// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// headerLines makes a Header of lines such as "X-Real-IP: 192.0.2.1".
func headerLines(lines ...string) Header {
	var raw strings.Builder
	for _, line := range lines {
		raw.WriteString(line + "\r\n")
	}
	return Header{raw: raw.String()}
}

// fieldValues makes a Header of several lines of one field.
func fieldValues(name string, values ...string) Header {
	lines := make([]string, len(values))
	for i, v := range values {
		lines[i] = name + ": " + v
	}
	return headerLines(lines...)
}

func testPrefixes(t testing.TB, networks ...string) []netip.Prefix {
	t.Helper()
	p, err := ParsePrefixes(networks...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// proxies is the trust list of the tests.
func proxies(t testing.TB) []netip.Prefix {
	return testPrefixes(t, "10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1/32")
}

func TestResolveXForwardedFor(t *testing.T) {
	hops := func(n int) string { return strings.Repeat("10.2.2.2,", n-1) + "10.2.2.2" }
	tests := []struct {
		name   string
		peer   string
		values []string
		want   string
		ok     bool
		hops   int
	}{
		{"untrusted peer", "203.0.113.9", []string{"1.2.3.4"}, "203.0.113.9", true, 0},
		{"no field", "10.0.0.1", nil, "10.0.0.1", true, 0},
		{"one", "10.0.0.1", []string{"1.2.3.4"}, "1.2.3.4", true, 1},
		{"forged loopback on the left", "10.0.0.1", []string{"127.0.0.1, 1.2.3.4"}, "1.2.3.4", true, 1},
		{"forged address on the left", "10.0.0.1", []string{"6.6.6.6, 1.2.3.4, 10.9.9.9"}, "1.2.3.4", true, 2},
		{"two lines", "10.0.0.1", []string{"6.6.6.6", "1.2.3.4"}, "1.2.3.4", true, 1},
		{"two lines, the last trusted", "10.0.0.1", []string{"1.2.3.4", "10.2.2.2"}, "1.2.3.4", true, 2},
		{"all trusted", "10.0.0.1", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3", true, 2},
		{"garbage in the middle", "10.0.0.1", []string{"6.6.6.6, garbage, 10.2.2.2"}, "10.2.2.2", false, 1},
		{"trailing comma", "10.0.0.1", []string{"6.6.6.6, "}, "10.0.0.1", false, 0},
		{"empty line", "10.0.0.1", []string{""}, "10.0.0.1", false, 0},
		{"port", "10.0.0.1", []string{"1.2.3.4:5678"}, "1.2.3.4", true, 1},
		{"brackets and port", "10.0.0.1", []string{"[2001:db8::1]:443"}, "2001:db8::1", true, 1},
		{"IPv4 in IPv6 form", "10.0.0.1", []string{"::ffff:1.2.3.4"}, "1.2.3.4", true, 1},
		{"peer in IPv6 form", "::ffff:10.0.0.1", []string{"1.2.3.4"}, "1.2.3.4", true, 1},
		{"trusted hop in IPv6 form", "10.0.0.1", []string{"6.6.6.6, ::ffff:10.2.2.2"}, "6.6.6.6", true, 2},
		{"zone", "10.0.0.1", []string{"fe80::1%eth0"}, "10.0.0.1", false, 0},
		{"unknown", "10.0.0.1", []string{"unknown"}, "10.0.0.1", false, 0},
		{"leading zero", "10.0.0.1", []string{"01.2.3.4"}, "10.0.0.1", false, 0},
		{"NUL", "10.0.0.1", []string{"1.2.3.4\x00"}, "10.0.0.1", false, 0},
		{"number", "10.0.0.1", []string{"16909060"}, "10.0.0.1", false, 0},
		{"port too large", "10.0.0.1", []string{"1.2.3.4:99999"}, "10.0.0.1", false, 0},

		{"tabs", "10.0.0.1", []string{"\t6.6.6.6\t,\t 1.2.3.4\t"}, "1.2.3.4", true, 1},
		{"IPv6 peer", "2001:db8:1::5", []string{"2001:DB8::1"}, "2001:db8::1", true, 1},
		{"peer with a zone", "fe80::1%eth0", []string{"1.2.3.4"}, "fe80::1", true, 0},
		{"brackets", "10.0.0.1", []string{"[2001:db8::1]"}, "2001:db8::1", true, 1},
		{"IPv4 in brackets", "10.0.0.1", []string{"[1.2.3.4]"}, "10.0.0.1", false, 0},
		{"mapped in brackets", "10.0.0.1", []string{"[::ffff:1.2.3.4]:80"}, "1.2.3.4", true, 1},
		{"empty port", "10.0.0.1", []string{"1.2.3.4:"}, "10.0.0.1", false, 0},
		{"signed port", "10.0.0.1", []string{"1.2.3.4:+80"}, "10.0.0.1", false, 0},
		{"long port", "10.0.0.1", []string{"1.2.3.4:000080"}, "10.0.0.1", false, 0},
		{"open bracket", "10.0.0.1", []string{"[2001:db8::1"}, "10.0.0.1", false, 0},
		{"junk after the bracket", "10.0.0.1", []string{"[2001:db8::1]x"}, "10.0.0.1", false, 0},
		{"quoted", "10.0.0.1", []string{`"1.2.3.4"`}, "10.0.0.1", false, 0},
		{"comma only", "10.0.0.1", []string{","}, "10.0.0.1", false, 0},
		{"empty line last", "10.0.0.1", []string{"1.2.3.4", ""}, "10.0.0.1", false, 0},
		{"empty line first is not reached", "10.0.0.1", []string{"", "1.2.3.4"}, "1.2.3.4", true, 1},
		{"vertical tab is no space", "10.0.0.1", []string{"1.2.3.4\v"}, "10.0.0.1", false, 0},
		{"32 hops", "10.0.0.1", []string{"1.2.3.4," + hops(31)}, "1.2.3.4", true, 32},
		{"33 hops", "10.0.0.1", []string{"1.2.3.4," + hops(32)}, "10.2.2.2", false, 32},
		{"33 lines", "10.0.0.1", append([]string{"1.2.3.4"}, strings.Split(hops(32), ",")...), "10.2.2.2", false, 32},
		{"40 lines, the client in the last", "10.0.0.1", append(strings.Split(hops(39), ","), "1.2.3.4"), "1.2.3.4", true, 1},
		{"64 KiB", "10.0.0.1", []string{strings.Repeat("6.6.6.6,", 8<<10) + "1.2.3.4"}, "1.2.3.4", true, 1},
		{"64 KiB without a comma", "10.0.0.1", []string{strings.Repeat("6", 64<<10)}, "10.0.0.1", false, 0},
	}
	p := &TrustPolicy{Trusted: proxies(t), Source: SourceXForwardedFor}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			peer := netip.MustParseAddr(tt.peer)
			got, err := p.Resolve(peer, fieldValues("X-Forwarded-For", tt.values...))
			want := Origin{IP: netip.MustParseAddr(tt.want), Suspect: !tt.ok, Hops: tt.hops}
			if err != nil || got != want {
				t.Errorf("Resolve(%v, %.80q) = %+v, %v, want %+v", peer, tt.values, got, err, want)
			}
		})
	}
}

// XFF is not the only thing a client can send; these go by other rules.
func TestResolveFields(t *testing.T) {
	trusted := proxies(t)
	xff := TrustPolicy{Trusted: trusted, Source: SourceXForwardedFor}
	forwarded := TrustPolicy{Trusted: trusted, Source: SourceForwarded}
	single := TrustPolicy{Trusted: trusted, Source: SourceSingle}
	cloudflare := TrustPolicy{Trusted: trusted, Source: SourceSingle, SingleHeader: "CF-Connecting-IP"}
	required := TrustPolicy{Trusted: trusted, Source: SourceXForwardedFor, RequireForwarded: true}
	unix := TrustPolicy{TrustUnix: true, Source: SourceXForwardedFor}
	hops2 := TrustPolicy{Trusted: trusted, Source: SourceXForwardedFor, Hops: 2}
	forwardedHops2 := TrustPolicy{Trusted: trusted, Source: SourceForwarded, Hops: 2}
	const proxy, direct = "10.0.0.1", "203.0.113.9"
	both := []string{"X-Forwarded-For: 1.1.1.1", "Forwarded: for=2.2.2.2", "X-Real-IP: 3.3.3.3"}

	tests := []struct {
		name   string
		policy TrustPolicy
		peer   string // "" is a Unix socket
		lines  []string
		want   string
		ok     bool
		hops   int
		err    error
	}{
		{"zero policy", TrustPolicy{}, proxy, both, proxy, true, 0, nil},
		{"no source", TrustPolicy{Trusted: trusted}, proxy, both, proxy, true, 0, nil},
		{"unknown source", TrustPolicy{Trusted: trusted, Source: 9}, proxy, both, proxy, true, 0, nil},
		{"nobody trusted", TrustPolicy{Source: SourceXForwardedFor}, proxy, both, proxy, true, 0, nil},
		{"only XFF counts", xff, proxy, both, "1.1.1.1", true, 1, nil},
		{"only Forwarded counts", forwarded, proxy, both, "2.2.2.2", true, 1, nil},
		{"only X-Real-IP counts", single, proxy, both, "3.3.3.3", true, 1, nil},
		{"no fallback", forwarded, proxy, both[:1], proxy, true, 0, nil},
		{"direct client sends everything", xff, direct, both, direct, true, 0, nil},
		{"direct client sends Forwarded", forwarded, direct, both, direct, true, 0, nil},
		{"direct client sends X-Real-IP", single, direct, both, direct, true, 0, nil},
		{"direct client and RequireForwarded", required, direct, nil, direct, true, 0, nil},
		{"underscores are another field", xff, proxy, []string{"X_Forwarded_For: 1.2.3.4"}, proxy, true, 0, nil},
		{"longer name is another field", xff, proxy, []string{"X-Forwarded-For-2: 1.2.3.4"}, proxy, true, 0, nil},
		{"name in other case", xff, proxy, []string{"x-forwarded-FOR: 1.2.3.4"}, "1.2.3.4", true, 1, nil},
		{"listed in Connection", xff, proxy, []string{"Connection: X-Forwarded-For", "X-Forwarded-For: 1.2.3.4"}, "1.2.3.4", true, 1, nil},
		{"deleted for Connection", required, proxy, []string{"Connection: X-Forwarded-For"}, proxy, true, 0, ErrForwardedRequired},
		{"required and there", required, proxy, []string{"X-Forwarded-For: 1.2.3.4"}, "1.2.3.4", true, 1, nil},
		{"required and empty", required, proxy, []string{"X-Forwarded-For:"}, proxy, false, 0, ErrForwardedRequired},
		{"required and garbage", required, proxy, []string{"X-Forwarded-For: x, 10.2.2.2"}, "10.2.2.2", false, 1, ErrForwardedRequired},

		{"single twice", single, proxy, []string{"X-Real-IP: 1.2.3.4", "X-Real-IP: 1.2.3.4"}, proxy, false, 0, nil},
		{"single with a list", single, proxy, []string{"X-Real-IP: 1.2.3.4, 5.6.7.8"}, proxy, false, 0, nil},
		{"single with a port", single, proxy, []string{"X-Real-IP: 1.2.3.4:80"}, proxy, false, 0, nil},
		{"single empty", single, proxy, []string{"X-Real-IP:"}, proxy, false, 0, nil},
		{"single absent", single, proxy, nil, proxy, true, 0, nil},
		{"single names a trusted address", single, proxy, []string{"X-Real-IP: 10.0.0.9"}, "10.0.0.9", true, 1, nil},
		{"forged, naming a trusted address", single, direct, []string{"X-Real-IP: 10.0.0.9"}, direct, true, 0, nil},
		{"single IPv6", single, proxy, []string{"X-Real-IP: \t2001:db8::9 "}, "2001:db8::9", true, 1, nil},
		{"single mapped", single, proxy, []string{"X-Real-IP: ::ffff:1.2.3.4"}, "1.2.3.4", true, 1, nil},
		{"single with a zone", single, proxy, []string{"X-Real-IP: fe80::1%1"}, proxy, false, 0, nil},
		{"CF-Connecting-IP", cloudflare, proxy, append(both, "Cf-Connecting-Ip: 4.4.4.4"), "4.4.4.4", true, 1, nil},

		{"Unix socket", unix, "", []string{"X-Forwarded-For: 1.2.3.4"}, "1.2.3.4", true, 1, nil},
		{"Unix socket without the field", unix, "", nil, "", true, 0, nil},
		{"Unix socket, garbage", unix, "", []string{"X-Forwarded-For: x"}, "", false, 0, nil},
		{"Unix socket not trusted", xff, "", []string{"X-Forwarded-For: 1.2.3.4"}, "", true, 0, nil},
		{"Unix trust is not for TCP", unix, proxy, []string{"X-Forwarded-For: 1.2.3.4"}, proxy, true, 0, nil},

		{"second from the end", hops2, proxy, []string{"X-Forwarded-For: 6.6.6.6, 1.2.3.4, 9.9.9.9"}, "1.2.3.4", true, 2, nil},
		{"second over two lines", hops2, proxy, []string{"X-Forwarded-For: 6.6.6.6, 1.2.3.4", "X-Forwarded-For: 9.9.9.9"}, "1.2.3.4", true, 2, nil},
		{"second from the end is trusted", hops2, proxy, []string{"X-Forwarded-For: 6.6.6.6, 10.5.5.5, 10.6.6.6"}, "10.5.5.5", true, 2, nil},
		{"too few hops", hops2, proxy, []string{"X-Forwarded-For: 1.2.3.4"}, proxy, false, 0, nil},
		{"counted hop is garbage", hops2, proxy, []string{"X-Forwarded-For: 1.2.3.4, x, 9.9.9.9"}, proxy, false, 0, nil},
		{"hops, untrusted peer", hops2, direct, []string{"X-Forwarded-For: 1.2.3.4, 5.6.7.8"}, direct, true, 0, nil},
		{"hops without the field", hops2, proxy, nil, proxy, true, 0, nil},
		{"Forwarded, second from the end", forwardedHops2, proxy, []string{"Forwarded: for=6.6.6.6, for=1.2.3.4, for=9.9.9.9"}, "1.2.3.4", true, 2, nil},

		{"Forwarded, walk", forwarded, proxy, []string{`Forwarded: for=6.6.6.6, for="[2001:db8:2::7]:_x", for="10.1.1.1:4711"`}, "2001:db8:2::7", true, 2, nil},
		{"Forwarded, all trusted", forwarded, proxy, []string{"Forwarded: for=10.3.3.3, for=10.2.2.2"}, "10.3.3.3", true, 2, nil},
		{"Forwarded, unknown", forwarded, proxy, []string{"Forwarded: for=1.2.3.4, for=unknown"}, proxy, false, 0, nil},
		{"Forwarded, obfuscated", forwarded, proxy, []string{"Forwarded: for=1.2.3.4, for=_hidden, for=10.2.2.2"}, "10.2.2.2", false, 1, nil},
		{"Forwarded, no for", forwarded, proxy, []string{"Forwarded: proto=https"}, proxy, false, 0, nil},
		{"Forwarded, bare IPv6", forwarded, proxy, []string{`Forwarded: for="2001:db8::1"`}, proxy, false, 0, nil},
		{"Forwarded, malformed", forwarded, proxy, []string{"Forwarded: for=1.2.3.4,"}, proxy, false, 0, nil},
		{"Forwarded, empty", forwarded, proxy, []string{"Forwarded:"}, proxy, false, 0, nil},
		{"a quote left open swallows its own line", forwarded, proxy, []string{`Forwarded: for="6.6.6.6, for=1.2.3.4`}, proxy, false, 0, nil},
		{"a quote left open swallows no other line", forwarded, proxy, []string{`Forwarded: for="6.6.6.6`, "Forwarded: for=1.2.3.4"}, "1.2.3.4", true, 1, nil},
		{"malformed line reached", forwarded, proxy, []string{`Forwarded: for="6.6.6.6`, "Forwarded: for=10.2.2.2"}, "10.2.2.2", false, 1, nil},
		{"comma in quotes is no separator", forwarded, proxy, []string{`Forwarded: for=1.2.3.4;ext=", for=6.6.6.6"`}, "1.2.3.4", true, 1, nil},
		{"Forwarded, 32 lines", forwarded, proxy, fieldLinesOf("Forwarded", "for=10.2.2.2", 32), "10.2.2.2", true, 32, nil},
		{"Forwarded, 33 lines", forwarded, proxy, fieldLinesOf("Forwarded", "for=10.2.2.2", 33), "10.2.2.2", false, 32, nil},
		{"Forwarded, 17 lines of 2", forwarded, proxy, fieldLinesOf("Forwarded", "for=10.2.2.2,for=10.2.2.2", 17), "10.2.2.2", false, 32, nil},
		{"Forwarded, 33 in a line", forwarded, proxy, []string{"Forwarded: " + strings.Repeat("for=10.2.2.2,", 32) + "for=10.2.2.2"}, proxy, false, 0, nil},
		{"Forwarded, 64 KiB of parameters", forwarded, proxy, []string{"Forwarded: " + strings.Repeat("a=b;", 16<<10) + "for=1.2.3.4"}, proxy, false, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var peer netip.Addr
			if tt.peer != "" {
				peer = netip.MustParseAddr(tt.peer)
			}
			want := Origin{Suspect: !tt.ok, Hops: tt.hops}
			if tt.want != "" {
				want.IP = netip.MustParseAddr(tt.want)
			}
			got, err := tt.policy.Resolve(peer, headerLines(tt.lines...))
			if got != want || !errors.Is(err, tt.err) {
				t.Errorf("Resolve(%v, %.100q) = %+v, %v, want %+v, %v", peer, tt.lines, got, err, want, tt.err)
			}
		})
	}
}

func fieldLinesOf(name, value string, n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = name + ": " + value
	}
	return lines
}

func TestResolveNilPolicy(t *testing.T) {
	var p *TrustPolicy
	peer := netip.MustParseAddr("::ffff:10.0.0.1")
	got, err := p.Resolve(peer, headerLines("X-Forwarded-For: 1.2.3.4"))
	if want := (Origin{IP: netip.MustParseAddr("10.0.0.1")}); err != nil || got != want {
		t.Errorf("Resolve = %+v, %v, want %+v", got, err, want)
	}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

func TestResolveSchemeAndHost(t *testing.T) {
	allowed := []string{"example.com", "shop.example.com:8443", "*.example.net", "[2001:db8::1]"}
	on := func(source ForwardedSource) TrustPolicy {
		return TrustPolicy{Trusted: proxies(t), Source: source, Scheme: true, Host: true, AllowedHosts: allowed}
	}
	off := TrustPolicy{Trusted: proxies(t), Source: SourceXForwardedFor}
	star := on(SourceXForwardedFor)
	star.AllowedHosts = []string{"*"}
	nothingAllowed := on(SourceXForwardedFor)
	nothingAllowed.AllowedHosts = nil
	schemeOnly := on(SourceXForwardedFor)
	schemeOnly.Host = false
	const proxy, direct = "10.0.0.1", "203.0.113.9"
	client := "X-Forwarded-For: 1.2.3.4"

	tests := []struct {
		name         string
		policy       TrustPolicy
		peer         string
		lines        []string
		scheme, host string
		suspect      bool
	}{
		{"off", off, proxy, []string{client, "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com"}, "", "", false},
		{"on", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com"}, "https", "example.com", false},
		{"single source", on(SourceSingle), proxy, []string{"X-Real-IP: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com"}, "https", "example.com", false},
		{"without an address", on(SourceXForwardedFor), proxy, []string{"X-Forwarded-Proto: https"}, "https", "", false},
		{"untrusted peer", on(SourceXForwardedFor), direct, []string{client, "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com"}, "", "", false},
		{"scheme only", schemeOnly, proxy, []string{client, "X-Forwarded-Proto: http", "X-Forwarded-Host: example.com"}, "http", "", false},
		{"scheme in capitals", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Proto: HTTPS"}, "https", "", false},
		{"javascript", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Proto: javascript"}, "", "", true},
		{"scheme list", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Proto: https, http"}, "", "", true},
		{"scheme twice", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Proto: https", "X-Forwarded-Proto: https"}, "", "", true},
		{"scheme empty", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Proto:"}, "", "", true},
		{"host not allowed", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: evil.com"}, "", "", true},
		{"bad host does not spoil the scheme", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.com"}, "https", "", true},
		{"nothing allowed", nothingAllowed, proxy, []string{client, "X-Forwarded-Host: example.com"}, "", "", true},
		{"user information", star, proxy, []string{client, "X-Forwarded-Host: a@b"}, "", "", true},
		{"port too large", star, proxy, []string{client, "X-Forwarded-Host: a:99999"}, "", "", true},
		{"CRLF", star, proxy, []string{client, "X-Forwarded-Host: a\rb"}, "", "", true},
		{"host list", star, proxy, []string{client, "X-Forwarded-Host: a, b"}, "", "", true},
		{"host twice", star, proxy, []string{client, "X-Forwarded-Host: a", "X-Forwarded-Host: b"}, "", "", true},
		{"path", star, proxy, []string{client, "X-Forwarded-Host: a/b"}, "", "", true},
		{"any valid host", star, proxy, []string{client, "X-Forwarded-Host: evil.com:8080"}, "", "evil.com:8080", false},
		{"host in capitals", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: Example.COM"}, "", "Example.COM", false},
		{"default port", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: example.com:443"}, "", "example.com:443", false},
		{"another port", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: example.com:8443"}, "", "", true},
		{"the port", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: shop.example.com:8443"}, "", "shop.example.com:8443", false},
		{"the port left out", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: shop.example.com"}, "", "", true},
		{"below the wildcard", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: a.b.example.net"}, "", "a.b.example.net", false},
		{"the wildcard's own name", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: example.net"}, "", "", true},
		{"suffix without the dot", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: barexample.net"}, "", "", true},
		{"dot only", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: .example.net"}, "", "", true},
		{"trailing dot", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: example.com."}, "", "", true},
		{"IPv6 host", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Host: [2001:db8::1]:80"}, "", "[2001:db8::1]:80", false},
		{"client not believed", on(SourceXForwardedFor), proxy, []string{"X-Forwarded-For: x", "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com"}, "", "", true},
		{"port and prefix are not used", on(SourceXForwardedFor), proxy, []string{client, "X-Forwarded-Port: 444", "X-Forwarded-Prefix: //evil.com"}, "", "", false},

		{"Forwarded", on(SourceForwarded), proxy, []string{`Forwarded: for=1.2.3.4;proto=https;host="example.com:443"`}, "https", "example.com:443", false},
		{"Forwarded, not X-Forwarded", on(SourceForwarded), proxy, []string{"Forwarded: for=1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com"}, "", "", false},
		{"XFF, not Forwarded", on(SourceXForwardedFor), proxy, []string{client, "Forwarded: for=1.2.3.4;proto=https;host=example.com"}, "", "", false},
		{"of the outermost trusted hop", on(SourceForwarded), proxy, []string{"Forwarded: for=6.6.6.6;proto=http;host=a.example.net, for=1.2.3.4;proto=https;host=example.com, for=10.1.1.1;proto=http;host=b.example.net"}, "https", "example.com", false},
		{"inner hops do not stand in", on(SourceForwarded), proxy, []string{"Forwarded: for=1.2.3.4, for=10.1.1.1;proto=https;host=example.com"}, "", "", false},
		{"Forwarded, client not believed", on(SourceForwarded), proxy, []string{"Forwarded: for=unknown;proto=https;host=example.com"}, "", "", true},
		{"Forwarded, host not allowed", on(SourceForwarded), proxy, []string{"Forwarded: for=1.2.3.4;host=evil.com"}, "", "", true},
		{"Forwarded, javascript", on(SourceForwarded), proxy, []string{"Forwarded: for=1.2.3.4;proto=javascript"}, "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.policy.Resolve(netip.MustParseAddr(tt.peer), headerLines(tt.lines...))
			if err != nil || got.Scheme != tt.scheme || got.Host != tt.host || got.Suspect != tt.suspect {
				t.Errorf("Resolve(%q) = %+v, %v, want scheme %q, host %q, suspect %v", tt.lines, got, err, tt.scheme, tt.host, tt.suspect)
			}
		})
	}
}

// What a direct client sends makes no difference, whatever the policy.
func TestResolveUntrustedPeerIgnoresHeader(t *testing.T) {
	peer := netip.MustParseAddr("203.0.113.9")
	h := headerLines("X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1;proto=https;host=a", "X-Real-IP: 10.0.0.1",
		"X-Forwarded-Proto: https", "X-Forwarded-Host: a", "X-Forwarded-For: ,,", "X-Forwarded-Prefix: /x")
	for source := range SourceSingle + 2 {
		p := &TrustPolicy{
			Trusted: proxies(t), TrustUnix: true, Source: source, Scheme: true, Host: true,
			AllowedHosts: []string{"*"}, RequireForwarded: true,
		}
		got, err := p.Resolve(peer, h)
		if want := (Origin{IP: peer}); err != nil || got != want {
			t.Errorf("source %v: Resolve = %+v, %v, want %+v", source, got, err, want)
		}
	}
}
