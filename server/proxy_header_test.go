// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// v2 is a header of version 2.
func v2(command, family byte, block string, tlvs ...string) string {
	rest := block + strings.Join(tlvs, "")
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rest)))
	return string(b) + rest
}

func tlv(kind byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))) + value
}

const (
	block4 = "\x01\x02\x03\x04\x05\x06\x07\x08\x10\x00\x01\xbb"
	block6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\xff\xff\x00\x50"
	mapped6 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x05\x06\x07\x08" + "\x10\x00\x01\xbb"
)

var blockUnix = "/run/client.sock" + strings.Repeat("\x00", 92) + "/run/server.sock" + strings.Repeat("\x00", 92)

// withChecksum fills in the checksum of a header that has an empty one.
func withChecksum(header string) string {
	empty := tlv(tlvCRC32C, "\x00\x00\x00\x00")
	at := strings.Index(header, empty) + tlvHead
	b := []byte(header)
	binary.BigEndian.PutUint32(b[at:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return string(b)
}

var checksum = tlv(tlvCRC32C, "\x00\x00\x00\x00")

var proxyHeaders = []struct {
	name         string
	in           string
	source, dest string // "": none
	err          error
}{
	// Version 1.
	{"TCP4", "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324", "192.168.0.11:443", nil},
	{"TCP4, least", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0", "0.0.0.0:0", nil},
	{"TCP4, most", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535", "255.255.255.255:65535", nil},
	{"TCP6", "PROXY TCP6 2001:db8::1 2001:DB8::2 1 2\r\n", "[2001:db8::1]:1", "[2001:db8::2]:2", nil},
	{
		"TCP6, most", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", nil,
	},
	{"TCP6, mapped", "PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n", "1.2.3.4:1", "[::1]:2", nil},
	{"UNKNOWN", "PROXY UNKNOWN\r\n", "", "", nil},
	{"UNKNOWN, ignored", "PROXY UNKNOWN 1.2.3.4 what ever\x00\xff\r\n", "", "", nil},
	{"UNKNOWN, worst", "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "", "", nil},
	{"a line too long", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", "", "", errProxyLineEnd},
	{"LF alone", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "", "", errProxyLineEnd},
	{"CR alone", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx", "", "", errProxyLineEnd},
	{"CR within", "PROXY UNKNOWN \r\r\n", "", "", errProxyLineEnd},
	{"lower case", "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "", "", errProxyMissing},
	{"a request", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "", "", errProxyMissing},
	{"TLS", "\x16\x03\x01\x02\x00\x01", "", "", errProxyMissing},
	{"a space in front", " PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "", "", errProxyMissing},
	{"no family", "PROXY \r\n", "", "", errProxyLine},
	{"another family", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", "", "", errProxyLine},
	{"UNKNOWN and more", "PROXY UNKNOWNX\r\n", "", "", errProxyLine},
	{"lower-case family", "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n", "", "", errProxyLine},
	{"nothing else", "PROXY TCP4\r\n", "", "", errProxyLine},
	{"no ports", "PROXY TCP4 1.2.3.4 5.6.7.8\r\n", "", "", errProxyLine},
	{"one port", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "", "", errProxyLine},
	{"a field more", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "", "", errProxyLine},
	{"two spaces", "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", "", "", errProxyLine},
	{"a space at the end", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", "", "", errProxyLine},
	{"a tab", "PROXY TCP4 1.2.3.4 5.6.7.8 1\t2\r\n", "", "", errProxyLine},
	{"leading zero in an address", "PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n", "", "", errProxyAddress},
	{"three numbers", "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", "", "", errProxyAddress},
	{"a number too large", "PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n", "", "", errProxyAddress},
	{"IPv6 in TCP4", "PROXY TCP4 ::1 5.6.7.8 1 2\r\n", "", "", errProxyAddress},
	{"IPv4 in TCP6", "PROXY TCP6 ::1 5.6.7.8 1 2\r\n", "", "", errProxyAddress},
	{"a zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "", "", errProxyAddress},
	{"brackets", "PROXY TCP6 [::1] ::1 1 2\r\n", "", "", errProxyAddress},
	{"an empty address", "PROXY TCP4 1.2.3.4  1 2\r\n", "", "", errProxyAddress},
	{"a port too large", "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", "", "", errProxyPort},
	{"leading zero in a port", "PROXY TCP4 1.2.3.4 5.6.7.8 1 02\r\n", "", "", errProxyPort},
	{"a negative port", "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n", "", "", errProxyPort},
	{"a port with a sign", "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", "", "", errProxyPort},

	// Version 2.
	{"v2 TCP4", v2(0x21, 0x11, block4), "1.2.3.4:4096", "5.6.7.8:443", nil},
	{"v2 UDP4", v2(0x21, 0x12, block4), "1.2.3.4:4096", "5.6.7.8:443", nil},
	{"v2 TCP6", v2(0x21, 0x21, block6), "[2001:db8::1]:65535", "[2001:db8::2]:80", nil},
	{"v2 UDP6", v2(0x21, 0x22, block6), "[2001:db8::1]:65535", "[2001:db8::2]:80", nil},
	{"v2 mapped", v2(0x21, 0x21, mapped6), "1.2.3.4:4096", "5.6.7.8:443", nil},
	{"v2 Unix stream", v2(0x21, 0x31, blockUnix), "", "", nil},
	{"v2 Unix datagram", v2(0x21, 0x32, blockUnix), "", "", nil},
	{"v2 LOCAL", v2(0x20, 0, ""), "", "", nil},
	{"v2 LOCAL with a block", v2(0x20, 0x11, block4), "", "", nil},
	{"v2 LOCAL with anything", v2(0x20, 0xff, "noise"), "", "", nil},
	{"v2 unspecified", v2(0x21, 0, ""), "", "", nil},
	{"v2 unspecified with noise", v2(0x21, 0, "\x01\xff"), "", "", nil},
	{"v2 unspecified transport", v2(0x21, 0x10, block4), "", "", nil},
	{"v2 unspecified family", v2(0x21, 0x01, ""), "", "", nil},
	{"v2 with TLVs", v2(0x21, 0x11, block4, tlv(1, "h2"), tlv(4, ""), tlv(0xe0, strings.Repeat("x", 1000))), "1.2.3.4:4096", "5.6.7.8:443", nil},
	{"v2 Unix with TLVs", v2(0x21, 0x31, blockUnix, tlv(5, "id")), "", "", nil},
	{"v2 with a checksum", withChecksum(v2(0x21, 0x11, block4, checksum)), "1.2.3.4:4096", "5.6.7.8:443", nil},
	{"v2 checksum between TLVs", withChecksum(v2(0x21, 0x21, block6, tlv(1, "h2"), checksum, tlv(2, "h"))), "[2001:db8::1]:65535", "[2001:db8::2]:80", nil},
	// Checksum as another program has computed it.
	{"v2 known checksum", v2(0x21, 0x11, "\x7f\x00\x00\x01\x7f\x00\x00\x01\x30\x39\x1f\x90", tlv(3, "\xf2\x58\x87\xab")), "127.0.0.1:12345", "127.0.0.1:8080", nil},
	{"v2 at its largest", v2(0x21, 0x11, block4, tlv(4, strings.Repeat("\x00", proxyV2Max-16-12-3))), "1.2.3.4:4096", "5.6.7.8:443", nil},
	{"v2 too large", v2(0x21, 0x11, block4, tlv(4, strings.Repeat("\x00", proxyV2Max-16-12-2))), "", "", errProxyTooLarge},
	{"v2 LOCAL too large", v2(0x20, 0, strings.Repeat("\x00", proxyV2Max)), "", "", errProxyTooLarge},
	{"v2 empty checksum", v2(0x21, 0x11, block4, checksum), "", "", errProxyChecksum},
	{"v2 two checksums", v2(0x21, 0x11, block4, checksum, checksum), "", "", errProxyTLV},
	{"v2 short checksum", v2(0x21, 0x11, block4, tlv(3, "abc")), "", "", errProxyTLV},
	{"v2 TLV cut short", v2(0x21, 0x11, block4, "\x01\x00\x05abcd"), "", "", errProxyTLV},
	{"v2 TLV without a length", v2(0x21, 0x11, block4, "\x01\x00"), "", "", errProxyTLV},
	{"v2 version 1", v2(0x11, 0x11, block4), "", "", errProxyVersion},
	{"v2 version 3", v2(0x31, 0x11, block4), "", "", errProxyVersion},
	{"v2 another command", v2(0x22, 0x11, block4), "", "", errProxyCommand},
	{"v2 another family", v2(0x21, 0x41, block4), "", "", errProxyFamily},
	{"v2 another transport", v2(0x21, 0x13, block4), "", "", errProxyFamily},
	{"v2 TCP4 cut short", v2(0x21, 0x11, block4[:11]), "", "", errProxyShort},
	{"v2 TCP6 cut short", v2(0x21, 0x21, block6[:35]), "", "", errProxyShort},
	{"v2 TCP6 with the block of TCP4", v2(0x21, 0x21, block4), "", "", errProxyShort},
	{"v2 Unix cut short", v2(0x21, 0x31, blockUnix[:215]), "", "", errProxyShort},
	{"v2 another signature", strings.Replace(v2(0x21, 0x11, block4), "QUIT", "QUIX", 1), "", "", errProxyMissing},
}

func TestProxyHeader(t *testing.T) {
	for _, test := range proxyHeaders {
		t.Run(test.name, func(t *testing.T) {
			h, n, err := parseProxyHeader([]byte(test.in))
			if err != test.err {
				t.Fatalf("parse = %+v, %d, %v, want error %v", h, n, err, test.err)
			}
			if err == nil && n != len(test.in) {
				t.Errorf("the header has %d octets, want %d", n, len(test.in))
			}
			if err != nil && (h != proxyHeader{} || n != 0) {
				t.Errorf("a refused header says %+v, %d", h, n)
			}
			if got, want := textOf(h.source), test.source; got != want {
				t.Errorf("source = %s, want %s", got, want)
			}
			if got, want := textOf(h.destination), test.dest; got != want {
				t.Errorf("destination = %s, want %s", got, want)
			}
			if strings.Contains(test.name, "too l") || test.err == nil {
				checkProxySplits(t, []byte(test.in))
			}
			// What follows belongs to somebody else.
			if test.err == nil {
				after, m, err := parseProxyHeader([]byte(test.in + "GET / HTTP/1.1\r\n"))
				if after != h || m != n || err != nil {
					t.Errorf("with more behind it: %+v, %d, %v", after, m, err)
				}
			}
		})
	}
}

func textOf(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// checkProxySplits checks that a header means the same however much of it comes at
// a time: every beginning wants more, or is refused for what the whole is refused
// for, and nothing that was refused is accepted with more.
func checkProxySplits(t *testing.T, in []byte) {
	t.Helper()
	_, whole, wholeErr := parseProxyHeader(in)
	refused := false
	for i := range len(in) + 1 {
		h, n, err := parseProxyHeader(in[:i:i])
		switch {
		case err != nil:
			refused = true
			if wholeErr == nil {
				t.Fatalf("the first %d of %q: %v, but the whole is fine", i, in, err)
			}
		case refused:
			t.Fatalf("the first %d of %q are accepted, %d were refused", i, in, i-1)
		case n > 0 && (n != whole || i < n):
			t.Fatalf("the first %d of %q are a header of %d, the whole has one of %d", i, in, n, whole)
		case n == 0 && (h != proxyHeader{}):
			t.Fatalf("the first %d of %q want more, but say %+v", i, in, h)
		case n == 0 && whole > 0 && i >= whole:
			t.Fatalf("the first %d of %q want more, the header has %d", i, in, whole)
		}
	}
}

// proxyBounds: who sends for ever is refused.
func TestProxyHeaderIsBounded(t *testing.T) {
	for _, start := range []string{"", "PROXY ", "PROXY TCP4 ", "PROXY UNKNOWN", "\r\n\r\n\x00\r\nQUIT\n", "\r\n\r\n\x00\r\nQUIT\n\x21", "\r\n\r\n\x00\r\nQUIT\n\x21\x11"} {
		for _, filler := range []byte{0, ' ', '1', 'x', '\r', 0x11, 0x21, 0xff} {
			in := append([]byte(start), bytes.Repeat([]byte{filler}, proxyV2Max)...)
			if _, n, err := parseProxyHeader(in); n == 0 && err == nil {
				t.Errorf("%q and %d of %#x want still more", start, proxyV2Max, filler)
			}
		}
	}
}

var slowV1 = regexp.MustCompile(`^PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n`)

// slowProxyHeader reads a whole header in another way; false when it is none.
func slowProxyHeader(b []byte) (source, destination string, n int, ok bool) {
	if rest, is := bytes.CutPrefix(b, []byte("\r\n\r\n\x00\r\nQUIT\n")); is {
		if len(rest) < 4 || rest[0] != 0x20 && rest[0] != 0x21 {
			return "", "", 0, false
		}
		command, family, size := rest[0], rest[1], int(rest[2])<<8|int(rest[3])
		body := rest[4:]
		if size > 4080 || len(body) < size {
			return "", "", 0, false
		}
		body = body[:size]
		n = 16 + size
		blocks := map[byte]int{0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
		block, known := blocks[family]
		switch {
		case command == 0x20:
			return "", "", n, true
		case family>>4 > 3 || family&15 > 2:
			return "", "", 0, false
		case !known:
			return "", "", n, true
		case len(body) < block:
			return "", "", 0, false
		}
		if !slowTLVs(b[:n], body[block:]) {
			return "", "", 0, false
		}
		if family>>4 == 3 {
			return "", "", n, true
		}
		half := (block - 4) / 2
		from, _ := netip.AddrFromSlice(body[:half])
		to, _ := netip.AddrFromSlice(body[half : 2*half])
		ports := body[2*half:]
		return netip.AddrPortFrom(from.Unmap(), uint16(ports[0])<<8|uint16(ports[1])).String(),
			netip.AddrPortFrom(to.Unmap(), uint16(ports[2])<<8|uint16(ports[3])).String(), n, true
	}
	m := slowV1.FindSubmatch(b)
	if m == nil || len(m[0]) > 107 {
		return "", "", 0, false
	}
	if len(m[1]) == 0 {
		return "", "", len(m[0]), true
	}
	var ends [2]string
	for i := range ends {
		addr, err := netip.ParseAddr(string(m[2+i]))
		port, err2 := strconv.Atoi(string(m[4+i]))
		if err != nil || err2 != nil || port > 65535 || addr.Is4() != (string(m[1]) == "TCP4") {
			return "", "", 0, false
		}
		ends[i] = netip.AddrPortFrom(addr.Unmap(), uint16(port)).String()
	}
	return ends[0], ends[1], len(m[0]), true
}

func slowTLVs(header, rest []byte) bool {
	sums := 0
	for len(rest) > 0 {
		if len(rest) < 3 || len(rest)-3 < int(rest[1])<<8|int(rest[2]) {
			return false
		}
		value := rest[3 : 3+(int(rest[1])<<8|int(rest[2]))]
		if rest[0] == 3 {
			if sums++; sums > 1 || len(value) != 4 {
				return false
			}
			said := binary.BigEndian.Uint32(value)
			zeroed := bytes.Clone(header)
			at := len(header) - len(rest) + 3
			copy(zeroed[at:at+4], []byte{0, 0, 0, 0})
			if crc32c(zeroed) != said {
				return false
			}
		}
		rest = rest[3+len(value):]
	}
	return true
}

// crc32c is the checksum bit by bit (RFC 3720, appendix B.4).
func crc32c(b []byte) uint32 {
	sum := ^uint32(0)
	for _, octet := range b {
		sum ^= uint32(octet)
		for range 8 {
			if sum&1 != 0 {
				sum = sum>>1 ^ 0x82f63b78
			} else {
				sum >>= 1
			}
		}
	}
	return ^sum
}

func FuzzProxyHeader(f *testing.F) {
	for _, test := range proxyHeaders {
		f.Add([]byte(test.in))
	}
	f.Add([]byte("PROXY TCP6 ::1 "))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, err := parseProxyHeader(in)
		source, destination, slow, ok := slowProxyHeader(in)
		if ok != (n > 0) || n != slow {
			t.Fatalf("parse(%q) = %+v, %d, %v; slowly %q, %q, %d, %v", in, h, n, err, source, destination, slow, ok)
		}
		if textOf(h.source) != source || textOf(h.destination) != destination {
			t.Fatalf("parse(%q) = %+v, slowly %q, %q", in, h, source, destination)
		}
		if h.source.IsValid() != h.destination.IsValid() || h.source.Addr().Is4In6() || h.source.Addr().Zone() != "" {
			t.Fatalf("parse(%q) = %+v", in, h)
		}
		var refused proxyError
		if err != nil && (!errors.As(err, &refused) || n != 0 || h != proxyHeader{}) {
			t.Fatalf("parse(%q) = %+v, %d, %v", in, h, n, err)
		}
		if n == 0 && err == nil && len(in) >= proxyV2Max {
			t.Fatalf("parse wants more than %d octets", len(in))
		}
		if len(in) < 600 {
			checkProxySplits(t, in)
		}
	})
}
