// SPDX-License-Identifier: MIT

package server

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The oracles below are slow and obvious: they split whole fields with
// strings.Split and regular expressions, from the left, where the code under
// test reads from the right and stops early.

// rawLines makes a Header of the lines of text as values of one field. What
// the parser of requests would refuse is replaced, except bytes that only the
// resolver looks at.
func rawLines(name, text string) (Header, []string) {
	text = strings.ReplaceAll(text, "\r", " ")
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.Trim(lines[i], " \t")
	}
	return fieldValues(name, lines...), lines
}

// oracleWalk is the rule in a few lines: nodes from the left, invalid for one
// that is no address.
func oracleWalk(p *TrustPolicy, peer netip.Addr, nodes []netip.Addr) Origin {
	slices.Reverse(nodes)
	o := Origin{IP: peer}
	for _, node := range nodes {
		if o.Hops == 32 || !node.IsValid() {
			o.Suspect = true
			return o
		}
		o.IP = node
		o.Hops++
		if !slices.ContainsFunc(p.Trusted, func(prefix netip.Prefix) bool { return prefix.Contains(node) }) {
			return o
		}
	}
	return o
}

var (
	oracleIPv4Port = regexp.MustCompile(`^([0-9.]+):([0-9]{1,5})$`)
	oracleBracket  = regexp.MustCompile(`^\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?$`)
)

func oraclePort(s string) bool { return s == "" || len(s) < 5 || s <= "65535" }

func oracleXForwardedFor(elem string) netip.Addr {
	elem = strings.Trim(elem, " \t")
	if m := oracleIPv4Port.FindStringSubmatch(elem); m != nil && oraclePort(m[2]) {
		elem = m[1]
	} else if m := oracleBracket.FindStringSubmatch(elem); m != nil && oraclePort(m[2]) && strings.Contains(m[1], ":") {
		elem = m[1]
	}
	addr, err := netip.ParseAddr(elem)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func fuzzPolicy(tb testing.TB, source ForwardedSource) *TrustPolicy {
	return &TrustPolicy{Trusted: proxies(tb), Source: source}
}

// checkUntrusted holds for any header: a peer that is not trusted is the
// client, and whoever is not trusted is so without a look at the header.
func checkUntrusted(t *testing.T, p *TrustPolicy, h Header) {
	t.Helper()
	direct := netip.MustParseAddr("203.0.113.9")
	all := *p
	all.Scheme, all.Host, all.AllowedHosts, all.RequireForwarded = true, true, []string{"*"}, true
	for _, policy := range []*TrustPolicy{p, &all} {
		if got, err := policy.Resolve(direct, h); err != nil || got != (Origin{IP: direct}) {
			t.Fatalf("untrusted peer: %+v, %v", got, err)
		}
	}
}

func FuzzXForwardedFor(f *testing.F) {
	for _, seed := range []string{
		"1.2.3.4", "127.0.0.1, 1.2.3.4", "6.6.6.6, 1.2.3.4, 10.9.9.9", "6.6.6.6\n1.2.3.4", "1.2.3.4\n10.2.2.2",
		"10.3.3.3, 10.2.2.2", "6.6.6.6, garbage, 10.2.2.2", "6.6.6.6, ", "", "1.2.3.4:5678", "[2001:db8::1]:443",
		"::ffff:1.2.3.4", "6.6.6.6, ::ffff:10.2.2.2", "fe80::1%eth0", "unknown", "01.2.3.4", "1.2.3.4\x00",
		"16909060", "1.2.3.4:99999", "[1.2.3.4]", "[::ffff:10.1.1.1]:1,\t10.2.2.2\t", strings.Repeat("10.1.1.1,", 32) + "10.1.1.1",
		strings.Repeat("10.1.1.1\n", 33) + "127.0.0.1",
	} {
		f.Add(seed)
	}
	p := fuzzPolicy(f, SourceXForwardedFor)
	peer := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, text string) {
		h, lines := rawLines("X-Forwarded-For", text)
		var nodes []netip.Addr
		for elem := range strings.SplitSeq(strings.Join(lines, ","), ",") {
			nodes = append(nodes, oracleXForwardedFor(elem))
		}
		got, err := p.Resolve(peer, h)
		if err != nil {
			t.Fatal(err)
		}
		if got.IP != peer && !slices.Contains(nodes, got.IP) {
			t.Errorf("%v occurs nowhere in %q", got.IP, text)
		}
		if want := oracleWalk(p, peer, nodes); got != want {
			t.Errorf("Resolve(%q) = %+v, want %+v", text, got, want)
		}
		checkUntrusted(t, p, h)
	})
}

// The grammar of a Forwarded line as one regular expression.
var (
	oracleToken   = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
	oracleQuoted  = `"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"`
	oraclePair    = oracleToken + `=(?:` + oracleToken + `|` + oracleQuoted + `)`
	oracleElement = oraclePair + `(?:;` + oraclePair + `)*`

	oracleLine     = regexp.MustCompile(`^` + oracleElement + `(?:[ \t]*,[ \t]*` + oracleElement + `)*$`)
	oracleElements = regexp.MustCompile(oracleElement)
	oraclePairs    = regexp.MustCompile(oraclePair)
	oracleEscape   = regexp.MustCompile(`\\(.)`)

	oracleNode = regexp.MustCompile(`^(?:([0-9.]+)|\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\])(?::(?:([0-9]{1,5})|_[0-9A-Za-z._-]+))?$`)
)

// latin1 widens bytes to code points, so that the expressions see bytes.
func latin1(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

func narrow(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func oracleForwarded(line string) ([]forwardedElement, bool) {
	line = latin1(strings.Trim(line, " \t"))
	if !oracleLine.MatchString(line) {
		return nil, false
	}
	var out []forwardedElement
	for _, element := range oracleElements.FindAllString(line, -1) {
		params := map[string]string{}
		for _, pair := range oraclePairs.FindAllString(element, -1) {
			name, value, _ := strings.Cut(pair, "=")
			name = strings.ToLower(name)
			if _, twice := params[name]; twice {
				return nil, false
			}
			if strings.HasPrefix(value, `"`) {
				value = oracleEscape.ReplaceAllString(value[1:len(value)-1], "$1")
			}
			params[name] = narrow(value)
		}
		if len(params) > 16 {
			return nil, false
		}
		out = append(out, forwardedElement{node: params["for"], proto: params["proto"], host: params["host"]})
	}
	return out, len(out) <= 32
}

func oracleForwardedNode(s string) netip.Addr {
	m := oracleNode.FindStringSubmatch(s)
	if m == nil || !oraclePort(m[3]) {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(m[1] + m[2])
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{
		"for=192.0.2.60;proto=http;by=203.0.113.43", `For="[2001:db8:cafe::17]:4711"`, "for=192.0.2.43, for=198.51.100.17",
		"for=_hidden, for=unknown", `for="_a\"b";host="x,y;z"`, "proto=http;ext=1", "for=1.1.1.1;for=2.2.2.2", `for="1.1.1.1`,
		"for=1.1.1.1,", "for = 1.1.1.1", "for=[::1]", "", "for=1.1.1.1;;proto=http", "for=\"a\x00\"", "for=\"\\\xff\"",
		"for=6.6.6.6\nfor=1.2.3.4;proto=https\nfor=10.1.1.1", `for="10.1.1.1:_x";host="a:80"`, "for=1.2.3.4\nfor=\"",
		strings.Repeat("for=10.1.1.1,", 32) + "for=a", strings.Repeat("for=10.1.1.1\n", 32) + "for=127.0.0.1",
		"a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1;j=1;k=1;l=1;m=1;n=1;o=1;p=1;q=1",
	} {
		f.Add(seed)
	}
	p := fuzzPolicy(f, SourceForwarded)
	full := fuzzPolicy(f, SourceForwarded)
	full.Scheme, full.Host, full.AllowedHosts = true, true, []string{"*"}
	peer := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, text string) {
		h, lines := rawLines("Forwarded", text)
		var nodes []netip.Addr
		for _, line := range lines {
			got, ok := parseForwarded(nil, line)
			want, wantOK := oracleForwarded(line)
			if ok != wantOK || ok && !slices.Equal(got, want) {
				t.Fatalf("parseForwarded(%q) = %+q, %v, want %+q, %v", line, got, ok, want, wantOK)
			}
			if !ok {
				nodes = append(nodes, netip.Addr{}) // the walk stops here
			}
			for _, elem := range want {
				if ok {
					nodes = append(nodes, oracleForwardedNode(elem.node))
				}
			}
		}
		got, err := p.Resolve(peer, h)
		if err != nil {
			t.Fatal(err)
		}
		if got.IP != peer && !slices.Contains(nodes, got.IP) {
			t.Errorf("%v occurs nowhere in %q", got.IP, text)
		}
		if want := oracleWalk(p, peer, nodes); got != want {
			t.Errorf("Resolve(%q) = %+v, want %+v", text, got, want)
		}
		o, err := full.Resolve(peer, h)
		if err != nil || o.IP != got.IP || o.Hops != got.Hops {
			t.Errorf("Resolve(%q) with scheme and host = %+v, %v, without %+v", text, o, err, got)
		}
		if o.Scheme != "" && o.Scheme != "http" && o.Scheme != "https" {
			t.Errorf("Resolve(%q): scheme %q", text, o.Scheme)
		}
		if o.Host != "" {
			if _, _, ok := splitForwardedHost(o.Host); !ok || strings.ContainsAny(o.Host, "/@\\ ,;\"%?#\r\n\x00") {
				t.Errorf("Resolve(%q): host %q", text, o.Host)
			}
			// What replaces Host must be fit to be one.
			if !validAuthority([]byte(o.Host)) {
				t.Errorf("Resolve(%q): host %q would be refused as Host", text, o.Host)
			}
		}
		checkUntrusted(t, full, h)
	})
}
