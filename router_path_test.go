// SPDX-License-Identifier: MIT

package pleat

import (
	"strings"
	"testing"
)

var canonicalPaths = []struct {
	name, in, want string
	verdict        pathVerdict
}{
	{"root", "/", "/", pathClean},
	{"plain", "/users/7", "/users/7", pathClean},
	{"slash at the end", "/users/", "/users/", pathClean},
	{"delimiters", "/a;v=1,2/@x:$&'()*+!=", "/a;v=1,2/@x:$&'()*+!=", pathClean},
	{"dots that are none", "/.../..a/a../.a/a.b", "/.../..a/a../.a/a.b", pathClean},
	{"unreserved", "/%41%7a%30%2D%2e%5F%7E", "/Az0-._~", pathClean},
	{"lower-case digits", "/%c3%a9", "/%C3%A9", pathClean},
	{"slash", "/a%2fb", "/a%2Fb", pathClean},
	{"backslash", `/a\b`, "/a%5Cb", pathClean},
	{"escaped backslash", "/a%5cb", "/a%5Cb", pathClean},
	{"escaped delimiters", "/%3a%40%2c", "/%3A%40%2C", pathClean},
	{"percent", "/%25", "/%25", pathClean},
	{"double escape", "/%252e%252e/%2541", "/%252e%252e/%2541", pathClean},
	{"not in a URI", `/"<>[]^{|}` + "`", "/%22%3C%3E%5B%5D%5E%7B%7C%7D%60", pathClean},
	{"escaped controls", "/%0d%0aX:y/%7f", "/%0D%0AX:y/%7F", pathClean},
	{"space", "/a%20b", "/a%20b", pathClean},

	{"empty segment", "//", "//", pathUnclean},
	{"empty segment inside", "/a//b", "/a//b", pathUnclean},
	{"dot", "/./a", "/./a", pathUnclean},
	{"dot at the end", "/a/.", "/a/.", pathUnclean},
	{"dots", "/a/../b", "/a/../b", pathUnclean},
	{"dots at the end", "/a/..", "/a/..", pathUnclean},
	{"escaped dots", "/a/%2e%2E/b", "/a/../b", pathUnclean},
	{"half escaped dots", "/a/.%2e", "/a/..", pathUnclean},
	{"dots before a escaped slash", "/..%2fx", "/..%2Fx", pathClean},

	{"empty", "", "", pathBad},
	{"no slash", "a", "", pathBad},
	{"asterisk", "*", "", pathBad},
	{"cut escape", "/a%2", "", pathBad},
	{"lone percent", "/%", "", pathBad},
	{"bad digits", "/%zz", "", pathBad},
	{"NUL", "/\x00", "", pathBad},
	{"escaped NUL", "/a%00", "", pathBad},
	{"control", "/a\rb", "", pathBad},
	{"DEL", "/\x7f", "", pathBad},
	{"raw space", "/a b", "", pathBad},
	{"not ASCII", "/é", "", pathBad},
	{"fragment", "/a#b", "", pathBad},
	{"query", "/a?b", "", pathBad},
	{"bad after unclean", "//\xff", "", pathBad},
}

func TestCanonicalPath(t *testing.T) {
	for _, tt := range canonicalPaths {
		if got, verdict := canonicalPath(tt.in); got != tt.want || verdict != tt.verdict {
			t.Errorf("%s: canonicalPath(%q) = %q, %v, want %q, %v", tt.name, tt.in, got, verdict, tt.want, tt.verdict)
		}
	}
}

// Each byte, raw and escaped, alone in a segment.
func TestCanonicalPathBytes(t *testing.T) {
	for c := range 256 {
		raw := "/x" + string([]byte{byte(c)}) + "x"
		got, verdict := canonicalPath(raw)
		isBad := c <= ' ' || c >= 0x7f || c == '%' || c == '?' || c == '#'
		if isBad != (verdict == pathBad) {
			t.Errorf("canonicalPath(%q) = %q, %v", raw, got, verdict)
		}
	}
}

func TestCleanPath(t *testing.T) {
	for in, want := range map[string]string{
		"/":                 "/",
		"//":                "/",
		"/a":                "/a",
		"/a/":               "/a/",
		"/a//":              "/a/",
		"//a":               "/a",
		"/a//b":             "/a/b",
		"/a/./b":            "/a/b",
		"/a/.":              "/a/",
		"/a/..":             "/",
		"/a/../":            "/",
		"/a/b/..":           "/a/",
		"/..":               "/",
		"/../../a":          "/a",
		"/..//evil.com/":    "/evil.com/",
		"/a/..//..//b/../c": "/c",
		"/a%2F..":           "/a%2F..",
	} {
		if got := cleanPath(in); got != want {
			t.Errorf("cleanPath(%q) = %q, want %q", in, got, want)
		}
	}
	if long := cleanPath(strings.Repeat("/a/..", 1<<14) + "/b"); long != "/b" {
		t.Errorf("cleanPath of a long path = %.20q", long)
	}
}
