// SPDX-License-Identifier: MIT

package server

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// The reference parsers below are written for the eye: one string from left
// to right, regular expressions, no state. The parsers of the package must
// agree with them on every input, cut in any way.

const (
	slowAlnum  = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	slowTchar  = slowAlnum + "!#$%&'*+-.^_`|~"
	slowTarget = slowAlnum + "-._~:/?[]@!$&'()*+,;=%"
	slowQuery  = slowTarget + "\\^`{|}" // behind the question mark
)

// slowHead is the verdict about a head: status is 0 when there is no error,
// n is 0 when it is not complete.
type slowHead struct {
	n, status                          int
	method, target, path, query        string
	scheme, authority, host, fields    string
	count, minor                       int
	length                             int64
	chunked, close, keepAlive, upgrade bool
	expectContinue, hasHost            bool
}

func isFieldOctet(c byte) bool { return c == '\t' || c >= ' ' && c != 0x7f }

// takeWhile splits s before the first octet that is not in set.
func takeWhile(s, set string) (taken, rest string) {
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) < 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

func slowParseHead(in string, lim headLimits) slowHead {
	s := in
	if lim.headBytes > 0 {
		s = s[:min(len(s), lim.headBytes)]
	}
	h, inTarget := slowParseUnlimited(s, lim)
	if h.status == 0 && h.n == 0 && lim.headBytes > 0 && len(in) >= lim.headBytes {
		h.status = 431
		if inTarget {
			h.status = 414
		}
	}
	return h
}

func slowParseUnlimited(in string, lim headLimits) (h slowHead, inTarget bool) {
	bad := func(status int) (slowHead, bool) { return slowHead{status: status}, false }
	more := func(inTarget bool) (slowHead, bool) { return slowHead{}, inTarget }
	h.length = -1

	rest := in
	for skipped := 0; strings.HasPrefix(rest, "\r\n"); skipped++ {
		if skipped == maxEmptyLines {
			return bad(400)
		}
		rest = rest[2:]
	}
	if rest == "" || rest == "\r" {
		return more(true)
	}

	h.method, rest = takeWhile(rest, slowTchar)
	switch {
	case len(h.method) >= maxMethod:
		return bad(501)
	case rest == "":
		return more(true)
	case h.method == "" || rest[0] != ' ':
		return bad(400)
	}
	var query string
	h.target, rest = takeWhile(rest[1:], slowTarget)
	if strings.Contains(h.target, "?") {
		query, rest = takeWhile(rest, slowQuery)
		h.target += query
	}
	switch {
	case lim.targetBytes > 0 && len(h.target) > lim.targetBytes:
		return bad(414)
	case rest == "":
		return more(true)
	case h.target == "" || rest[0] != ' ' || !slowSplitTarget(&h):
		return bad(400)
	}
	rest = rest[1:]

	for i, want := range []byte("HTTP/d.d\r\n") {
		if i == len(rest) {
			return more(false)
		}
		digit := rest[i] >= '0' && rest[i] <= '9'
		if want == 'd' && !digit || want != 'd' && rest[i] != want {
			return bad(400)
		}
	}
	if rest[5] != '1' {
		return bad(505)
	}
	if rest[7] != '0' {
		h.minor = 1
	}
	rest = rest[len("HTTP/1.1\r\n"):]
	return slowParseFields(h, in, rest, lim)
}

func slowParseFields(h slowHead, in, section string, lim headLimits) (slowHead, bool) {
	bad := func(status int) (slowHead, bool) { return slowHead{status: status}, false }
	values := map[string][]string{}
	rest := section
	for {
		if rest == "" || rest == "\r" {
			return slowHead{}, false
		}
		if strings.HasPrefix(rest, "\r\n") {
			break
		}
		if rest[0] == '\r' {
			return bad(400)
		}
		if h.count++; lim.fields > 0 && h.count > lim.fields {
			return bad(431)
		}
		name, after := takeWhile(rest, slowTchar)
		if after == "" {
			return slowHead{}, false
		}
		if name == "" || after[0] != ':' {
			return bad(400)
		}
		end := 1
		for end < len(after) && isFieldOctet(after[end]) {
			end++
		}
		if end == len(after) || after[end:] == "\r" {
			return slowHead{}, false
		}
		if !strings.HasPrefix(after[end:], "\r\n") {
			return bad(400)
		}
		name = strings.ToLower(name)
		values[name] = append(values[name], strings.Trim(after[1:end], " \t"))
		if status := slowSemantics(&h, values, name); status != 0 {
			return bad(status)
		}
		rest = after[end+2:]
	}
	if h.minor == 1 && !h.hasHost {
		return bad(400)
	}
	if h.authority != "" {
		h.host = h.authority
	}
	h.upgrade = h.upgrade && len(values["upgrade"]) > 0 && h.minor == 1
	h.fields = section[:len(section)-len(rest)]
	h.n = len(in) - len(rest) + 2
	return h, false
}

var slowDigits = regexp.MustCompile(`^[0-9]+$`)

// slowSemantics judges the section up to and with the field just added.
func slowSemantics(h *slowHead, values map[string][]string, name string) int {
	last := values[name][len(values[name])-1]
	members := strings.Split(strings.ToLower(last), ",")
	for i := range members {
		members[i] = strings.Trim(members[i], " \t")
	}
	switch name {
	case "host":
		if len(values[name]) > 1 || last != "" && !slowAuthority(last) {
			return 400
		}
		h.host, h.hasHost = last, true
	case "content-length":
		if len(values[name]) > 1 || values["transfer-encoding"] != nil || !slowDigits.MatchString(last) {
			return 400
		}
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil {
			return 413
		}
		h.length = n
	case "transfer-encoding":
		final := len(members) - 1
		if len(values[name]) > 1 || values["content-length"] != nil || h.minor == 0 || members[final] != "chunked" {
			return 400
		}
		for _, m := range members[:final] {
			if _, rest := takeWhile(m, slowTchar); m == "" || rest != "" || m == "chunked" {
				return 400
			}
		}
		if final > 0 {
			return 501
		}
		h.chunked = true
	case "connection":
		for _, m := range members {
			h.close = h.close || m == "close"
			h.keepAlive = h.keepAlive || m == "keep-alive"
			h.upgrade = h.upgrade || m == "upgrade"
		}
	case "expect":
		for _, m := range members {
			if h.minor == 1 && m != "" && m != "100-continue" {
				return 417
			}
			h.expectContinue = h.expectContinue || h.minor == 1 && m != ""
		}
	}
	return 0
}

var (
	slowOrigin   = regexp.MustCompile(`^(/[^?]*)(?:\?(.*))?$`)
	slowAbsolute = regexp.MustCompile(`^([Hh][Tt][Tt][Pp][Ss]?)://([^/?]*)(/[^?]*)?(?:\?(.*))?$`)
	slowEscaped  = regexp.MustCompile(`^(?:[^%]|%[0-9A-Fa-f]{2})*$`)
	slowUnreserv = regexp.MustCompile(`^[\w.~\x80-\xff-]*$`)
	slowRegName  = regexp.MustCompile(`^(?:[\w.~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+$`)
	slowFuture   = regexp.MustCompile(`^\[[vV][0-9A-Fa-f]+\.[\w.~!$&'()*+;=:-]+\]$`)
	slowHostPort = regexp.MustCompile(`^(\[[^\]]*\]|[^:\[\]]*)(?::0*([0-9]*))?$`)
	slowEscape   = regexp.MustCompile(`(?:%[0-9A-Fa-f]{2})+`)
)

func slowSplitTarget(h *slowHead) bool {
	if h.method == "CONNECT" {
		h.authority = h.target
		m := slowHostPort.FindStringSubmatch(h.target)
		return slowAuthority(h.target) && m[2] != ""
	}
	if h.target == "*" {
		h.path = "*"
		return h.method == "OPTIONS"
	}
	if m := slowOrigin.FindStringSubmatch(h.target); m != nil {
		h.path, h.query = m[1], m[2]
		return slowEscaped.MatchString(h.path)
	}
	m := slowAbsolute.FindStringSubmatch(h.target)
	if m == nil {
		return false
	}
	h.scheme, h.authority, h.path, h.query = m[1], m[2], m[3], m[4]
	if h.path == "" {
		h.path = "/"
		if h.method == "OPTIONS" && h.query == "" {
			h.path = "*"
		}
	}
	return slowAuthority(h.authority) && slowEscaped.MatchString(h.path)
}

func slowAuthority(s string) bool {
	m := slowHostPort.FindStringSubmatch(s)
	if m == nil {
		return false
	}
	host, port := m[1], m[2]
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n > 65535) {
		return false
	}
	if slowFuture.MatchString(host) {
		return true
	}
	if strings.HasPrefix(host, "[") {
		a, err := netip.ParseAddr(host[1 : len(host)-1])
		return err == nil && a.Is6() && a.Zone() == ""
	}
	if !slowRegName.MatchString(host) {
		return false
	}
	for _, escaped := range slowEscape.FindAllString(host, -1) {
		octets, err := url.PathUnescape(escaped)
		if err != nil {
			return false
		}
		for i := range len(octets) {
			if octets[i] < 0x80 && !slowUnreserv.MatchString(octets[i:i+1]) {
				return false
			}
		}
	}
	return true
}

var (
	slowChunkSize = regexp.MustCompile(`^[0-9A-Fa-f]{1,16}`)
	slowChunkExt  = regexp.MustCompile("^(?:[ \t]*;[ \t]*[" + slowTcharClass + "]+(?:[ \t]*=[ \t]*(?:[" + slowTcharClass +
		"]+|\"(?:[\t !#-\\[\\]-~\\x80-\\xff]|\\\\[\t -~\\x80-\\xff])*\"))?)*$")
)

const slowTcharClass = `!#$%&'*+.^_|~0-9A-Za-z\x60-`

// slowLatin1 gives every octet its own rune, so that a regular expression can
// count octets.
func slowLatin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// slowDechunk decodes a complete chunked body without limits. ok is false when
// it is malformed or incomplete.
func slowDechunk(in string) (data, trailer string, n int, ok bool) {
	rest := in
	for overhead := 0; ; {
		line, after, found := strings.Cut(rest, "\r\n")
		if !found || len(line)+2 > maxChunkLine {
			return "", "", 0, false
		}
		digits := slowChunkSize.FindString(line)
		size, err := strconv.ParseInt(digits, 16, 64)
		if err != nil || !slowChunkExt.MatchString(slowLatin1(line[len(digits):])) {
			return "", "", 0, false
		}
		overhead = max(0, overhead+len(line)+4-16-2*int(min(size, 1<<20)))
		if overhead > maxChunkOverhead {
			return "", "", 0, false
		}
		rest = after
		if size == 0 {
			break
		}
		if int64(len(rest)) < size || !strings.HasPrefix(rest[size:], "\r\n") {
			return "", "", 0, false
		}
		data += rest[:size]
		rest = rest[size+2:]
	}
	for {
		line, after, found := strings.Cut(rest, "\r\n")
		if !found {
			return "", "", 0, false
		}
		rest = after
		if line == "" {
			return data, trailer, len(in) - len(rest), true
		}
		name, value := takeWhile(line, slowTchar)
		if name == "" || !strings.HasPrefix(value, ":") {
			return "", "", 0, false
		}
		for i := range len(value) {
			if !isFieldOctet(value[i]) {
				return "", "", 0, false
			}
		}
		switch name = strings.ToLower(name); {
		case strings.Contains(" content-length transfer-encoding host trailer ", " "+name+" "):
			return "", "", 0, false
		case strings.Contains(" "+strings.Join(trailersDropped[:], " ")+" ", " "+name+" "):
		default:
			trailer += line + "\r\n"
		}
	}
}
