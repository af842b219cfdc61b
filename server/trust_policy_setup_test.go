// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestTrustPolicyValidate(t *testing.T) {
	trusted := proxies(t)
	tests := []struct {
		name   string
		policy TrustPolicy
		want   string // in the error, "" for none
	}{
		{"zero", TrustPolicy{}, ""},
		{"trusted only", TrustPolicy{Trusted: trusted}, ""},
		{"full", TrustPolicy{
			Trusted: trusted, TrustUnix: true, Source: SourceForwarded, Scheme: true, Host: true,
			AllowedHosts: []string{"example.com", "*.example.com", "[::1]:8080", "*"}, Hops: 3, RequireForwarded: true,
		}, ""},
		{"single", TrustPolicy{TrustUnix: true, Source: SourceSingle, SingleHeader: "CF-Connecting-IP"}, ""},
		{"everybody", TrustPolicy{Trusted: testPrefixes(t, "0.0.0.0/0", "::/0"), Source: SourceXForwardedFor, Hops: 1}, ""},
		{"invalid prefix", TrustPolicy{Trusted: []netip.Prefix{{}}}, "invalid prefix"},
		{"mapped prefix", TrustPolicy{Trusted: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}}, "would match nothing"},
		{"unknown source", TrustPolicy{Trusted: trusted, Source: 7}, "ForwardedSource(7)"},
		{"nobody trusted", TrustPolicy{Source: SourceForwarded}, "nobody is trusted"},
		{"scheme without source", TrustPolicy{Trusted: trusted, Scheme: true}, "need a Source"},
		{"required without source", TrustPolicy{RequireForwarded: true}, "need a Source"},
		{"too many hops", TrustPolicy{Trusted: trusted, Source: SourceForwarded, Hops: 33}, "from 0 to 32"},
		{"negative hops", TrustPolicy{Trusted: trusted, Source: SourceForwarded, Hops: -1}, "from 0 to 32"},
		{"hops of a single header", TrustPolicy{Trusted: trusted, Source: SourceSingle, Hops: 1}, "counts in a list"},
		{"single header of another source", TrustPolicy{Trusted: trusted, Source: SourceForwarded, SingleHeader: "X-Real-IP"}, "is for SourceSingle"},
		{"single header not a name", TrustPolicy{Trusted: trusted, Source: SourceSingle, SingleHeader: "X Real"}, "not a field name"},
		{"single header is a list", TrustPolicy{Trusted: trusted, Source: SourceSingle, SingleHeader: "x-forwarded-for"}, "Source of its own"},
		{"host without hosts", TrustPolicy{Trusted: trusted, Source: SourceForwarded, Host: true}, "needs AllowedHosts"},
		{"allowed URL", TrustPolicy{Trusted: trusted, Source: SourceForwarded, Host: true, AllowedHosts: []string{"https://example.com"}}, "not a host"},
		{"allowed half wildcard", TrustPolicy{Trusted: trusted, Source: SourceForwarded, Host: true, AllowedHosts: []string{"*example.com"}}, "not a host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.policy.Validate()
			if tt.want == "" {
				if err != nil {
					t.Errorf("Validate() = %v, want nil", err)
				}
				return
			}
			if !errors.Is(err, ErrInvalidTrustPolicy) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Validate() = %v, want ErrInvalidTrustPolicy with %q", err, tt.want)
			}
		})
	}
}

func TestParsePrefixes(t *testing.T) {
	tests := []struct {
		name, in, want string // "" is an error
	}{
		{"network", "10.0.0.0/8", "10.0.0.0/8"},
		{"host bits", "10.1.2.3/8", "10.0.0.0/8"},
		{"address", "192.0.2.1", "192.0.2.1/32"},
		{"IPv6 address", "2001:db8::1", "2001:db8::1/128"},
		{"IPv6 network", "fd00::/8", "fd00::/8"},
		{"mapped address", "::ffff:192.0.2.1", "192.0.2.1/32"},
		{"mapped network", "::ffff:192.0.2.1/120", "192.0.2.0/24"},
		{"mapped, too short", "::ffff:192.0.2.1/64", ""},
		{"spaces", " 10.0.0.0/8 ", "10.0.0.0/8"},
		{"everything", "0.0.0.0/0", "0.0.0.0/0"},
		{"zone", "fe80::1%eth0", ""},
		{"zone in network", "fe80::1%eth0/64", ""},
		{"empty", "", ""},
		{"name", "localhost", ""},
		{"too long", "10.0.0.0/33", ""},
		{"leading zero", "010.0.0.0/8", ""},
		{"list", "10.0.0.0/8,127.0.0.1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePrefixes(tt.in)
			switch {
			case tt.want == "" && err == nil:
				t.Errorf("ParsePrefixes(%q) = %v, want an error", tt.in, got)
			case tt.want == "":
				if !strings.HasPrefix(err.Error(), "server: parsing network ") {
					t.Errorf("ParsePrefixes(%q): error %q", tt.in, err)
				}
			case err != nil || len(got) != 1 || got[0].String() != tt.want:
				t.Errorf("ParsePrefixes(%q) = %v, %v, want %v", tt.in, got, err, tt.want)
			}
		})
	}
	if got, err := ParsePrefixes(); err != nil || len(got) != 0 {
		t.Errorf("ParsePrefixes() = %v, %v, want none", got, err)
	}
}

func TestPrivateNetworks(t *testing.T) {
	p := &TrustPolicy{Trusted: PrivateNetworks(), Source: SourceXForwardedFor}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "10.255.255.255": true, "172.16.0.1": true, "172.31.255.255": true, "192.168.1.1": true, "::1": true,
		"fd12::1": true, "fc00::1": true,
		"172.15.0.1": false, "172.32.0.1": false, "192.169.0.1": false, "100.64.0.1": false, "169.254.169.254": false,
		"fe80::1": false, "2001:db8::1": false, "8.8.8.8": false, "11.0.0.1": false,
	} {
		if got := p.trusts(netip.MustParseAddr(addr)); got != want {
			t.Errorf("private %v = %v, want %v", addr, got, want)
		}
	}
}

func TestForwardedSourceString(t *testing.T) {
	for source, want := range map[ForwardedSource]string{
		SourceNone: "none", SourceXForwardedFor: "X-Forwarded-For", SourceForwarded: "Forwarded",
		SourceSingle: "single header", 9: "ForwardedSource(9)",
	} {
		if got := fmt.Sprint(source); got != want {
			t.Errorf("%d = %q, want %q", uint8(source), got, want)
		}
	}
}
