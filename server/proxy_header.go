// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strconv"
)

// This file reads PROXY headers, version 1 and 2, as HAProxy's proxy-protocol.txt
// defines them. It does no I/O: it is given what has arrived so far.

// proxyHeader is what a PROXY header says.
type proxyHeader struct {
	// source and destination are the ends of the connection that the proxy relays,
	// invalid where it names none, or none that has an address: then the real ends
	// of the connection count.
	source, destination netip.AddrPort
}

const (
	proxyV1Max  = 107 // with CR LF
	proxyV2Head = 16
	// proxyV2Max bounds a header of version 2 with everything in it.
	proxyV2Max = 4096
	// proxyUnixBlock is two socket names.
	proxyUnixBlock = 2 * 108
)

var (
	proxyV1Start = []byte("PROXY ")
	proxyV2Start = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// proxyError says why something is no PROXY header.
type proxyError string

func (e proxyError) Error() string { return "server: reading PROXY header: " + string(e) }

const (
	errProxyMissing   proxyError = "there is none"
	errProxyLine      proxyError = "malformed line"
	errProxyLineEnd   proxyError = "a line without CR LF at its end"
	errProxyAddress   proxyError = "malformed address"
	errProxyPort      proxyError = "malformed port"
	errProxyVersion   proxyError = "unknown version"
	errProxyCommand   proxyError = "unknown command"
	errProxyFamily    proxyError = "unknown address family or transport protocol"
	errProxyTooLarge  proxyError = "too large"
	errProxyShort     proxyError = "too short for its addresses"
	errProxyTLV       proxyError = "malformed type-length-value"
	errProxyChecksum  proxyError = "wrong checksum"
	errProxyTimeout   proxyError = "it did not arrive in time"
	errProxyUntrusted proxyError = "the peer is not trusted to send one"
	errProxyInTLS     proxyError = "the listener does TLS itself, of which the header would have to come first"
)

// parseProxyHeader reads the header at the beginning of b. n is its length, 0 when
// more octets are needed. What can be refused is refused before all of it is there.
func parseProxyHeader(b []byte) (h proxyHeader, n int, err error) {
	switch {
	case startsLike(b, proxyV2Start):
		return parseProxyV2(b)
	case startsLike(b, proxyV1Start):
		return parseProxyV1(b)
	}
	return h, 0, errProxyMissing
}

// startsLike reports whether b, as far as it goes, begins as start does.
func startsLike(b, start []byte) bool {
	n := min(len(b), len(start))
	return bytes.Equal(b[:n], start[:n])
}

// ---- version 1: a line of text

func parseProxyV1(b []byte) (h proxyHeader, n int, err error) {
	line := b[:min(len(b), proxyV1Max)]
	end := bytes.IndexAny(line, "\r\n")
	switch {
	case end < 0 || line[end] == '\r' && end+1 == len(line):
		if len(line) == proxyV1Max {
			return h, 0, errProxyLineEnd
		}
		if !couldBecomeV1(line) {
			return h, 0, errProxyLine
		}
		return h, 0, nil
	case line[end] != '\r' || line[end+1] != '\n':
		return h, 0, errProxyLineEnd
	}
	h, err = parseProxyLine(line[len(proxyV1Start):end])
	if err != nil {
		return proxyHeader{}, 0, err
	}
	return h, end + 2, nil
}

// couldBecomeV1 looks at the beginning of a line as far as that is cheap.
func couldBecomeV1(line []byte) bool {
	rest := line[min(len(line), len(proxyV1Start)):]
	for _, family := range []string{"TCP4 ", "TCP6 ", "UNKNOWN"} {
		if startsLike(rest, []byte(family)) {
			return true
		}
	}
	return false
}

// parseProxyLine reads what stands between "PROXY " and the end of the line.
func parseProxyLine(line []byte) (h proxyHeader, err error) {
	family, rest, _ := bytes.Cut(line, []byte(" "))
	six := false
	switch string(family) {
	case "UNKNOWN":
		return h, nil // whatever follows is to be ignored
	case "TCP4":
	case "TCP6":
		six = true
	default:
		return h, errProxyLine
	}
	fields := bytes.Split(rest, []byte(" "))
	if len(fields) != 4 {
		return h, errProxyLine
	}
	source, ok1 := parseProxyAddr(fields[0], six)
	destination, ok2 := parseProxyAddr(fields[1], six)
	if !ok1 || !ok2 {
		return h, errProxyAddress
	}
	from, ok1 := parseProxyPort(fields[2])
	to, ok2 := parseProxyPort(fields[3])
	if !ok1 || !ok2 {
		return h, errProxyPort
	}
	return proxyHeader{netip.AddrPortFrom(source, from), netip.AddrPortFrom(destination, to)}, nil
}

func parseProxyAddr(b []byte, six bool) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(string(b))
	if err != nil || addr.Zone() != "" || addr.Is4() == six {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

func parseProxyPort(b []byte) (uint16, bool) {
	if len(b) == 0 || len(b) > 1 && b[0] == '0' {
		return 0, false
	}
	port, err := strconv.ParseUint(string(b), 10, 16)
	return uint16(port), err == nil
}

// ---- version 2: binary

func parseProxyV2(b []byte) (h proxyHeader, n int, err error) {
	if len(b) <= len(proxyV2Start) {
		return h, 0, nil
	}
	local := false
	switch b[12] {
	case 0x20:
		local = true
	case 0x21:
	default:
		if b[12]>>4 != 2 {
			return h, 0, errProxyVersion
		}
		return h, 0, errProxyCommand
	}
	if len(b) < proxyV2Head {
		return h, 0, nil
	}
	total := proxyV2Head + int(binary.BigEndian.Uint16(b[14:]))
	if total > proxyV2Max {
		return h, 0, errProxyTooLarge
	}
	// The block of a connection that is the proxy's own is not looked at, its family
	// included.
	family, transport := b[13]>>4, b[13]&15
	var block int
	if !local {
		switch {
		case family > 3 || transport > 2:
			return h, 0, errProxyFamily
		case family == 0 || transport == 0: // unspecified: no telling what the block is
			local = true
		default:
			block = [...]int{0, 2*4 + 2*2, 2*16 + 2*2, proxyUnixBlock}[family]
		}
	}
	if total < proxyV2Head+block {
		return h, 0, errProxyShort
	}
	if len(b) < total {
		return h, 0, nil
	}
	if local {
		return h, total, nil
	}
	if err := checkProxyTLVs(b[:total], proxyV2Head+block); err != nil {
		return h, 0, err
	}
	switch family {
	case 1:
		h.source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:])), binary.BigEndian.Uint16(b[24:]))
		h.destination = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[20:])), binary.BigEndian.Uint16(b[26:]))
	case 2:
		h.source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[16:])).Unmap(), binary.BigEndian.Uint16(b[48:]))
		h.destination = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[32:])).Unmap(), binary.BigEndian.Uint16(b[50:]))
	}
	return h, total, nil
}

const (
	tlvHead   = 3
	tlvCRC32C = 0x03
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkProxyTLVs walks what follows the addresses of a whole header to its very end
// and verifies the checksum, if there is one.
func checkProxyTLVs(header []byte, at int) error {
	checksum := -1 // where it is
	for at < len(header) {
		if len(header)-at < tlvHead {
			return errProxyTLV
		}
		kind, size := header[at], int(binary.BigEndian.Uint16(header[at+1:]))
		at += tlvHead
		if len(header)-at < size {
			return errProxyTLV
		}
		if kind == tlvCRC32C {
			if size != 4 || checksum >= 0 {
				return errProxyTLV
			}
			checksum = at
		}
		at += size
	}
	if checksum < 0 {
		return nil
	}
	var zeros [4]byte
	sum := crc32.Update(0, castagnoli, header[:checksum])
	sum = crc32.Update(sum, castagnoli, zeros[:])
	sum = crc32.Update(sum, castagnoli, header[checksum+4:])
	if sum != binary.BigEndian.Uint32(header[checksum:]) {
		return errProxyChecksum
	}
	return nil
}
