// SPDX-License-Identifier: MIT

package server

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseForwarded(t *testing.T) {
	tests := []struct {
		name, in string
		want     []forwardedElement // nil: refused
	}{
		{"all parameters", "for=192.0.2.60;proto=http;by=203.0.113.43", []forwardedElement{{node: "192.0.2.60", proto: "http"}}},
		{"quoted IPv6", `For="[2001:db8:cafe::17]:4711"`, []forwardedElement{{node: "[2001:db8:cafe::17]:4711"}}},
		{"two", "for=192.0.2.43, for=198.51.100.17", []forwardedElement{{node: "192.0.2.43"}, {node: "198.51.100.17"}}},
		{"no addresses", "for=_hidden, for=unknown", []forwardedElement{{node: "_hidden"}, {node: "unknown"}}},
		{"escape and separators in quotes", `for="_a\"b";host="x,y;z"`, []forwardedElement{{node: `_a"b`, host: "x,y;z"}}},
		{"extension", "proto=http;ext=1", []forwardedElement{{proto: "http"}}},
		{"twice for", "for=1.1.1.1;for=2.2.2.2", nil},
		{"open quote", `for="1.1.1.1`, nil},
		{"trailing comma", "for=1.1.1.1,", nil},
		{"space around =", "for = 1.1.1.1", nil},
		{"unquoted brackets", "for=[::1]", nil},
		{"empty", "", nil},
		{"empty pair", "for=1.1.1.1;;proto=http", nil},

		{"space around", " \tfor=1.1.1.1\t,\t for=2.2.2.2 ", []forwardedElement{{node: "1.1.1.1"}, {node: "2.2.2.2"}}},
		{"no space", "for=1.1.1.1,for=2.2.2.2", []forwardedElement{{node: "1.1.1.1"}, {node: "2.2.2.2"}}},
		{"names in other case", "FOR=1.1.1.1;PrOtO=HTTP;hOST=a", []forwardedElement{{node: "1.1.1.1", proto: "HTTP", host: "a"}}},
		{"several escapes", `host="\a\\b\""`, []forwardedElement{{host: `a\b"`}}},
		{"escape first", `for="\_x"`, []forwardedElement{{node: "_x"}}},
		{"empty quotes", `for=""`, []forwardedElement{{}}},
		{"tab in quotes", "host=\"a\tb\"", []forwardedElement{{host: "a\tb"}}},
		{"obs-text in quotes", "host=\"\xff\"", []forwardedElement{{host: "\xff"}}},
		{"32 elements", strings.Repeat("for=a,", 31) + "for=a", slices.Repeat([]forwardedElement{{node: "a"}}, 32)},
		{"33 elements", strings.Repeat("for=a,", 32) + "for=a", nil},
		{"16 parameters", "a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1;j=1;k=1;l=1;m=1;n=1;o=1;p=1", []forwardedElement{{}}},
		{"17 parameters", "a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1;j=1;k=1;l=1;m=1;n=1;o=1;p=1;q=1", nil},
		{"twice, other case", "proto=http;Proto=https", nil},
		{"twice an extension", "ext=1;for=a;EXT=1", nil},
		{"same in another element", "ext=1,ext=1", []forwardedElement{{}, {}}},
		{"space around ;", "for=a; proto=http", nil},
		{"leading comma", ",for=a", nil},
		{"empty element", "for=a,,for=b", nil},
		{"trailing semicolon", "for=a;", nil},
		{"leading semicolon", ";for=a", nil},
		{"no value", "for=", nil},
		{"no equals", "for", nil},
		{"no name", "=a", nil},
		{"unquoted port", "for=1.1.1.1:80", nil},
		{"junk after quotes", `for="a"b`, nil},
		{"two quoted strings", `for="a""b"`, nil},
		{"quote within a token", `for=a"b"`, nil},
		{"escape at the end", `for="a\`, nil},
		{"escaped closing quote", `for="a\"`, nil},
		{"NUL in quotes", "for=\"a\x00\"", nil},
		{"escaped control byte", "for=\"a\\\x01\"", nil},
		{"DEL in quotes", "for=\"\x7f\"", nil},
		{"line break in quotes", "for=\"a\r\nb\"", nil},
		{"NUL after", "for=a\x00", nil},
		{"vertical tab is no space", "for=a\v,for=b", nil},
		{"two values", "for=a b", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseForwarded(nil, tt.in)
			if ok != (tt.want != nil) || ok && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("parseForwarded(%q) = %+q, %v, want %+q", tt.in, got, ok, tt.want)
			}
		})
	}
}

func TestParseForwardedNode(t *testing.T) {
	tests := []struct {
		in, want string // "" is not an address
	}{
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:65535", "192.0.2.1"},
		{"192.0.2.1:_port.x-y_z", "192.0.2.1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"[2001:db8::1]:80", "2001:db8::1"},
		{"[2001:db8::1]:_p", "2001:db8::1"},
		{"[::ffff:192.0.2.1]", "192.0.2.1"},
		{"", ""},
		{"2001:db8::1", ""},
		{"::1", ""},
		{"[192.0.2.1]", ""},
		{"[fe80::1%eth0]", ""},
		{"[::1", ""},
		{"[]", ""},
		{"[::1]]", ""},
		{"192.0.2.1:65536", ""},
		{"192.0.2.1:", ""},
		{"192.0.2.1:_", ""},
		{"192.0.2.1:_a/b", ""},
		{" 192.0.2.1", ""},
		{"192.0.2.1 ", ""},
		{"unknown", ""},
		{"_hidden", ""},
		{"_SEVKISEK", ""},
		{"3221225985", ""},
		{"0xc0.0.2.1", ""},
		{"[" + strings.Repeat("0:", 40) + "1]", ""},
	}
	for _, tt := range tests {
		got, ok := parseForwardedNode(tt.in)
		if ok != (tt.want != "") || ok && got != netip.MustParseAddr(tt.want) {
			t.Errorf("parseForwardedNode(%q) = %v, %v, want %q", tt.in, got, ok, tt.want)
		}
	}
}

func TestSplitForwardedHost(t *testing.T) {
	tests := []struct {
		in, host, port string // host "" is refused
	}{
		{"example.com", "example.com", ""},
		{"example.com:80", "example.com", "80"},
		{"a_b-c.example", "a_b-c.example", ""},
		{"192.0.2.1:0", "192.0.2.1", "0"},
		{"[::1]", "[::1]", ""},
		{"[::1]:65535", "[::1]", "65535"},
		{strings.Repeat("a", 255), strings.Repeat("a", 255), ""},
		{strings.Repeat("a", 256), "", ""},
		{"", "", ""},
		{":80", "", ""},
		{"a:", "", ""},
		{"a:b", "", ""},
		{"a:80:80", "", ""},
		{"a:65536", "", ""},
		{"a@b", "", ""},
		{"a b", "", ""},
		{"a,b", "", ""},
		{"a/b", "", ""},
		{`a\b`, "", ""},
		{"a?b", "", ""},
		{"a#b", "", ""},
		{"a%20b", "", ""},
		{"a\r\nb", "", ""},
		{"a\x00", "", ""},
		{"ä.example", "", ""},
		{"[::1", "", ""},
		{"[::1]x", "", ""},
		{"[::1]:", "", ""},
		{"[1.2.3.4]", "", ""},
		{"[fe80::1%25eth0]", "", ""},
		{"::1", "", ""},
		{"<script>", "", ""},
	}
	for _, tt := range tests {
		host, port, ok := splitForwardedHost(tt.in)
		if ok != (tt.host != "") || host != tt.host || port != tt.port {
			t.Errorf("splitForwardedHost(%q) = %q, %q, %v, want %q, %q", tt.in, host, port, ok, tt.host, tt.port)
		}
		if ok && !validAuthority([]byte(tt.in)) {
			t.Errorf("%q would be refused as Host", tt.in)
		}
	}
}
