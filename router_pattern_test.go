// SPDX-License-Identifier: MIT

package pleat

import (
	"strings"
	"testing"
)

func TestParsePattern(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"root", "/", "/"},
		{"static", "/a/b-c_d.e~f", "/a/b-c_d.e~f"},
		{"slash at the end", "/a/", "/a/"},
		{"delimiters", "/@a;b,c=d", "/@a;b,c=d"},
		{"space", "/a b", "/a%20b"},
		{"escaped space", "/a%20b", "/a%20b"},
		{"UTF-8", "/é", "/%C3%A9"},
		{"not in a URI", `/a\b|`, "/a%5Cb%7C"},
		{"percent", "/100%25", "/100%25"},
		{"escaped delimiters", "/a%3Ab%2Ac%2F", "/a%3Ab%2Ac%2F"},
		{"dots that are none", "/.../.a/a.", "/.../.a/a."},
		{"params", "/:a/:B_2/*größe", "/:a/:B_2/*größe"},
		{"prefixed param", "/é:a/..:b", "/%C3%A9:a/..:b"},
	} {
		p, err := parsePattern(tt.in)
		if err != nil || p.text != tt.want {
			t.Errorf("%s: parsePattern(%q) = %q, %v, want %q", tt.name, tt.in, p.text, err, tt.want)
		}
	}
}

func TestParsePatternErrors(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", `must begin with "/"`},
		{"a", `must begin with "/"`},
		{"*", `must begin with "/"`},
		{":a/b", `must begin with "/"`},
		{"//", "empty segment"},
		{"/a//b", "empty segment"},
		{"/:", "without a name"},
		{"/*", "without a name"},
		{"/src/*", "without a name"},
		{"/a:/b", "without a name"},
		{"/a/:x:y", "ends at the next"},
		{"/:id.json", "ends at the next"},
		{"/:user-id", "ends at the next"},
		{"/:a*b", "ends at the next"},
		{"/:%41", "ends at the next"},
		{"/*a:b", "ends at the next"},
		{"/:\xff", "not UTF-8"},
		{"/:a/:a", "twice"},
		{"/:a/*a", "twice"},
		{"/*a/b", "before its end"},
		{"/*a/", "before its end"},
		{"/a*b", "right after"},
		{"/a*", "right after"},
		{"/.", "segment \".\""},
		{"/a/../b", "segment \"..\""},
		{"/a/%2E", "is written"},
		{"/%41", `"%41", which is written "A"`},
		{"/%2f", `"%2f", which is written "%2F"`},
		{"/%c3%A9", `"%c3", which is written "%C3"`},
		{"/100%", "without two hex digits"},
		{"/%zz", "without two hex digits"},
		{"/%00", "NUL"},
		{"/a\x00", "NUL"},
		{"/:a\x00", "NUL"},
		{"/a\n", "control character"},
		{"/a\x7f", "control character"},
		{"/a?b=c", "matches the path only"},
		{"/a#b", "matches the path only"},
		{strings.Repeat("/:a", 2), "twice"},
	} {
		_, err := parsePattern(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("parsePattern(%q): error %v, want %q", tt.in, err, tt.want)
		}
	}
}

// What a pattern is filed under is what canonicalPath makes of the paths that mean it.
func TestPatternsAreCanonicalPaths(t *testing.T) {
	for _, s := range []string{"/", "/a b", "/é/x", `/a\b`, "/100%25/%2F", "/@a;b", "/a%3A"} {
		p, err := parsePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		if got, verdict := canonicalPath(p.text); got != p.text || verdict != pathClean {
			t.Errorf("pattern %q is filed under %q, of which the canonical path is %q, %v", s, p.text, got, verdict)
		}
	}
}

func TestSpecificityIsAnOrder(t *testing.T) {
	var ps []pattern
	for _, s := range []string{
		"/", "/a", "/a/", "/a/b", "/a/:x", "/a/*r", "/:x", "/:y", "/:x/b", "/v:x/b", "/vx:y/b", "/:x/:y", "/v:x/:y", "/:x/v:y", "/:x/*r", "/*r",
	} {
		p, err := parsePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	for _, a := range ps {
		for _, b := range ps {
			if x, y := compareSpecificity(a, b), compareSpecificity(b, a); x != -y || (x == 0) != (a.text == b.text) {
				t.Errorf("compareSpecificity(%q, %q) = %d, the other way round %d", a.text, b.text, x, y)
			}
			if overlap(a, b) != overlap(b, a) {
				t.Errorf("overlap(%q, %q) is not symmetric", a.text, b.text)
			}
			for _, c := range ps {
				if compareSpecificity(a, b) < 0 && compareSpecificity(b, c) < 0 && compareSpecificity(a, c) >= 0 {
					t.Errorf("compareSpecificity is not transitive for %q, %q, %q", a.text, b.text, c.text)
				}
			}
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"/a", "/a", true},
		{"/a", "/b", false},
		{"/a", "/a/", false},
		{"/a", "/:x", true},
		{"/", "/:x", false},
		{"/:x", "/:x/", false},
		{"/:x", "/v:x", true},
		{"/v", "/v:x", false},
		{"/v1", "/v:x", true},
		{"/w", "/v:x", false},
		{"/va:x", "/v:x", true},
		{"/va:x", "/vb:x", false},
		{"/a/*r", "/a", false},
		{"/a/*r", "/a/", true},
		{"/a/*r", "/:x/b/c", true},
		{"/a/*r", "/b/c", false},
	} {
		a, errA := parsePattern(tt.a)
		b, errB := parsePattern(tt.b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if got := overlap(a, b); got != tt.want {
			t.Errorf("overlap(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestEscapedTail(t *testing.T) {
	for _, tt := range []struct{ pattern, path, want string }{
		{"/*all", "/a/b%2Fc", "/a/b%2Fc"},
		{"/*all", "/", "/"},
		{"/static/*f", "/static/", "/"},
		{"/static/*f", "/static/a%2F../b", "/a%2F../b"},
		{"/:a/b/*f", "/x/b/c/d/", "/c/d/"},
		{"/static", "/static", ""},
	} {
		r, _ := tableOf(t, tt.pattern).lookup("GET", tt.path)
		if r == nil {
			t.Fatalf("%q does not match %q", tt.pattern, tt.path)
		}
		if got := r.parsed.escapedTail(tt.path); got != tt.want {
			t.Errorf("escapedTail of %q in %q = %q, want %q", tt.path, tt.pattern, got, tt.want)
		}
	}
}
