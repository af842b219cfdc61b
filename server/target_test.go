// SPDX-License-Identifier: MIT

package server

import "testing"

var authorityCases = []struct {
	in   string
	want bool
}{
	{"a.test", true},
	{"a.test.", true},
	{"a.test:", true},
	{"a.test:80", true},
	{"a.test:00080", true},
	{"a.test:65535", true},
	{"localhost", true},
	{"a_b.test", true},
	{"xn--bcher-kva.test", true},
	{"a!$&'()*+;=b", true},
	{"127.0.0.1:8080", true},
	{"999.999.999.999", true}, // a name, by the grammar
	{"[::1]", true},
	{"[::1]:443", true},
	{"[::ffff:127.0.0.1]", true},
	{"[v1.a:b]", true},
	{"%61.test", true},
	{"b%C3%BCcher.test", true},

	{"", false},
	{":80", false},
	{"a.test:65536", false},
	{"a.test:99999999999999999999", false},
	{"a.test:+80", false},
	{"a.test:-1", false},
	{"a.test: 80", false},
	{"a.test:80:90", false},
	{"a.test:80a", false},
	{"a,b", false},
	{"a b", false},
	{"a/b", false},
	{"a?b", false},
	{"a#b", false},
	{"a\\b", false},
	{"<a>", false},
	{"a\"b", false},
	{"{a}", false},
	{"a|b", false},
	{"a^b", false},
	{"a`b", false},
	{"u@a.test", false},
	{"u:p@a.test", false},
	{"@", false},
	{"http://a.test/", false},
	{"a\x00b", false},
	{"a\x7f", false},
	{"\xff", false},
	{"bücher.test", false},
	{"::1", false},
	{"::1]", false},
	{"[::1", false},
	{"[]", false},
	{"[", false},
	{"[::1]80", false},
	{"[::1]a", false},
	{"[[::1]]", false},
	{"[zz::]", false},
	{"[127.0.0.1]", false},
	{"[fe80::1%25eth0]", false},
	{"[fe80::1%eth0]", false},
	{"[1:2:3:4:5:6:7:8:9]", false},
	{"[v.a]", false},
	{"[v1.]", false},
	{"[v1]", false},
	{"[vg.a]", false},
	{"[v1.a@b]", false},
	{"a%", false},
	{"a%2", false},
	{"a%zz", false},
	{"a%00", false},
	{"a%20b", false},
	{"a%2fb", false},
	{"a%40b", false},
	{"a%7f", false},
	{"%", false},
}

func TestValidAuthority(t *testing.T) {
	for _, tt := range authorityCases {
		if got := validAuthority([]byte(tt.in)); got != tt.want {
			t.Errorf("validAuthority(%q) = %v, want %v", tt.in, got, tt.want)
		}
		if got := slowAuthority(tt.in); got != tt.want {
			t.Errorf("slowAuthority(%q) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

var targetCases = []struct {
	method, target string
	ok             bool
	form           targetForm
	path, query    string
	host           string // as the request has it, a.test being the Host field
}{
	{"GET", "/", true, originForm, "/", "", "a.test"},
	{"GET", "/a/b", true, originForm, "/a/b", "", "a.test"},
	{"GET", "/a?", true, originForm, "/a", "", "a.test"},
	{"GET", "/a?b?c/d", true, originForm, "/a", "b?c/d", "a.test"},
	{"GET", "/a?q=a?b/c:@!$&'()*+,;=", true, originForm, "/a", "q=a?b/c:@!$&'()*+,;=", "a.test"},
	{"GET", "/a?id[]=1", true, originForm, "/a", "id[]=1", "a.test"},
	{"GET", "/a?b|c{d}^`\\", true, originForm, "/a", "b|c{d}^`\\", "a.test"},
	{"GET", "http://b.test?y|z", true, absoluteForm, "/", "y|z", "b.test"},
	{"GET", "/%6fk%2F", true, originForm, "/%6fk%2F", "", "a.test"},
	{"GET", "/a?50%", true, originForm, "/a", "50%", "a.test"},
	{"GET", "//b.test/x", true, originForm, "//b.test/x", "", "a.test"},
	{"GET", "/../x", true, originForm, "/../x", "", "a.test"},
	{"GET", "/a:b@c", true, originForm, "/a:b@c", "", "a.test"},
	{"GET", "/*", true, originForm, "/*", "", "a.test"},
	{"OPTIONS", "*", true, asteriskForm, "*", "", "a.test"},
	{"OPTIONS", "/a", true, originForm, "/a", "", "a.test"},
	{"GET", "http://b.test/x?y", true, absoluteForm, "/x", "y", "b.test"},
	{"GET", "HTTPS://b.test:1/x", true, absoluteForm, "/x", "", "b.test:1"},
	{"GET", "http://b.test", true, absoluteForm, "/", "", "b.test"},
	{"GET", "http://b.test?y/z", true, absoluteForm, "/", "y/z", "b.test"},
	{"GET", "http://[::1]:80/x", true, absoluteForm, "/x", "", "[::1]:80"},
	{"OPTIONS", "http://b.test", true, absoluteForm, "*", "", "b.test"},
	{"OPTIONS", "http://b.test/", true, absoluteForm, "/", "", "b.test"},
	{"OPTIONS", "http://b.test?y", true, absoluteForm, "/", "y", "b.test"},
	{"CONNECT", "b.test:443", true, authorityForm, "", "", "b.test:443"},
	{"CONNECT", "[::1]:1", true, authorityForm, "", "", "[::1]:1"},

	{method: "GET", target: "*"},
	{method: "POST", target: "*"},
	{method: "OPTIONS", target: "**"},
	{method: "GET", target: "a"},
	{method: "GET", target: "?a"},
	{method: "GET", target: "../.."},
	{method: "GET", target: "%2Fok"},
	{method: "GET", target: "!"},
	{method: "GET", target: "a.test:443"},
	{method: "GET", target: "a.test/x"},
	{method: "GET", target: "http:"},
	{method: "GET", target: "http:/x"},
	{method: "GET", target: "http:x"},
	{method: "GET", target: "http://"},
	{method: "GET", target: "http:///x"},
	{method: "GET", target: "http://:80/x"},
	{method: "GET", target: "http://?x"},
	{method: "GET", target: "http://u@b.test/"},
	{method: "GET", target: "http://b.test:port/"},
	{method: "GET", target: "http://a%20b/"},
	{method: "GET", target: "httpx://b.test/"},
	{method: "GET", target: "httpss://b.test/"},
	{method: "GET", target: "ftp://b.test/"},
	{method: "GET", target: "sip:a@b.test"},
	{method: "GET", target: "/%"},
	{method: "GET", target: "/%2"},
	{method: "GET", target: "/%zz"},
	{method: "GET", target: "/%2?0"},
	{method: "GET", target: "http://b.test/%zz"},
	{method: "GET", target: "/a#b"},
	{method: "GET", target: "/a\\b"},
	{method: "GET", target: "/a{b|c}"},
	{method: "GET", target: "/a^b`c"},
	{method: "GET", target: "/a\"b"},
	{method: "GET", target: "/a|b?c"},
	{method: "GET", target: "/a?b\"c"},
	{method: "GET", target: "/a?b<c"},
	{method: "GET", target: "/a?b>c"},
	{method: "GET", target: "/a?b#c"},
	{method: "GET", target: "/a?b\x7f"},
	{method: "GET", target: "/a?b\x80"},
	{method: "GET", target: "http://b|test?c"},
	{method: "CONNECT", target: "b.test:443?a|b"},
	{method: "GET", target: "/<a>"},
	{method: "GET", target: "/é"},
	{method: "GET", target: "/\x00"},
	{method: "GET", target: "/\x7f"},
	{method: "CONNECT", target: "/"},
	{method: "CONNECT", target: "*"},
	{method: "CONNECT", target: "b.test"},
	{method: "CONNECT", target: "b.test:"},
	{method: "CONNECT", target: "b.test:0"},
	{method: "CONNECT", target: "b.test:65536"},
	{method: "CONNECT", target: "b.test:abc"},
	{method: "CONNECT", target: "u@b.test:443"},
	{method: "CONNECT", target: ":443"},
	{method: "CONNECT", target: "http://b.test/"},
	{method: "CONNECT", target: "[]%20:1"},
}

func TestTarget(t *testing.T) {
	for _, tt := range targetCases {
		in := tt.method + " " + tt.target + " HTTP/1.1\r\n" + hostLine + "\r\n"
		var p headParser
		n, err := p.parse([]byte(in), &testLimits)
		checkAgainstSlow(t, in, testLimits)
		checkAgainstNetHTTP(t, in)
		if !tt.ok {
			if err == nil || err.Status != 400 {
				t.Errorf("%s %q = %d, %v, want 400", tt.method, tt.target, n, err)
			}
			continue
		}
		if err != nil || n != len(in) {
			t.Errorf("%s %q = %d, %v", tt.method, tt.target, n, err)
			continue
		}
		h := &p.head
		if h.form != tt.form || h.pathOf(in) != tt.path || h.query.of(in) != tt.query || h.host.of(in) != tt.host {
			t.Errorf("%s %q: form %d, path %q, query %q, host %q", tt.method, tt.target,
				h.form, h.pathOf(in), h.query.of(in), h.host.of(in))
		}
	}
}
