// SPDX-License-Identifier: MIT

package pleat

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
)

// The oracle matches a path against every pattern, one segment after the other, and takes the most
// specific of those that match. It is slow, obvious, and works on the text of the patterns.

// oracleLookup returns the outcome (as in outcome) of the most specific pattern that matches.
func oracleLookup(patterns []string, path string) string {
	best, bestParams := "", ""
	for _, p := range patterns {
		if params, ok := oracleMatch(p, path); ok && (best == "" || oracleMoreSpecific(p, best)) {
			best, bestParams = p, params
		}
	}
	return best + bestParams
}

func oracleMatch(pattern, path string) (params string, ok bool) {
	ps, xs := strings.Split(pattern[1:], "/"), strings.Split(path[1:], "/")
	for i, p := range ps {
		if i >= len(xs) {
			return "", false
		}
		x, last := xs[i], i == len(xs)-1
		switch static, name, isParam := strings.Cut(p, ":"); {
		case strings.HasPrefix(p, "*"):
			return params + fmt.Sprintf(" %s=/%s", p[1:], strings.Join(xs[i:], "/")), true
		case isParam:
			value, ok := strings.CutPrefix(x, static)
			if !ok || value == "" && (last || static != "") {
				return "", false
			}
			params += fmt.Sprintf(" %s=%s", name, value)
		case p != x:
			return "", false
		}
	}
	return params, len(ps) == len(xs)
}

func oracleMoreSpecific(a, b string) bool {
	kind := func(s string) int {
		switch {
		case strings.HasPrefix(s, "*"):
			return 2
		case strings.Contains(s, ":"):
			return 1
		}
		return 0
	}
	as, bs := strings.Split(a[1:], "/"), strings.Split(b[1:], "/")
	n := min(len(as), len(bs))
	for i := range n {
		if x, y := kind(as[i]), kind(bs[i]); x != y {
			return x < y
		}
	}
	if len(as) != len(bs) {
		return len(as) > len(bs)
	}
	for i := range n {
		if x, y := strings.Index(as[i], ":"), strings.Index(bs[i], ":"); x != y && x >= 0 && y >= 0 {
			return x > y
		}
	}
	return false
}

// oracleShape is a pattern without names.
func oracleShape(pattern string) string {
	parts := strings.Split(pattern, "/")
	for i, p := range parts {
		if j := strings.IndexAny(p, ":*"); j >= 0 {
			parts[i] = p[:j+1]
		}
	}
	return strings.Join(parts, "/")
}

// draw returns a random route set without two patterns of one shape.
func draw(rnd *rand.Rand, segments []string) (patterns []string) {
	shapes := map[string]bool{}
	for range 2 + rnd.IntN(14) {
		p := ""
		for range 1 + rnd.IntN(4) {
			for {
				s := segments[rnd.IntN(len(segments))]
				if i := strings.IndexByte(s, ':'); i < 0 || !strings.Contains(p+"/", s[i:]+"/") {
					p += "/" + s
					break
				}
			}
		}
		switch rnd.IntN(12) {
		case 0, 1:
			p += "/*rest"
		case 2:
			p += "/"
		}
		if shape := oracleShape(p); !shapes[shape] {
			shapes[shape] = true
			patterns = append(patterns, p)
		}
	}
	return patterns
}

func TestLookupAgainstOracle(t *testing.T) {
	plain := []string{"a", "ab", "b", "users", "user", ":id", ":x", ":n", ":m"}
	prefixed := append([]string{"a:p", "ab:q", "u:p", "user:q"}, plain...)
	paths := []string{"a", "ab", "b", "users", "user", "1", "", "abc", "u", "user1"}

	sets := 4000
	if testing.Short() {
		sets = 400
	}
	for _, tt := range []struct {
		name     string
		segments []string
		seed     uint64
	}{{"plain", plain, 1}, {"prefixed", prefixed, 2}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(tt.seed, 0))
			layers, deepest, found, shadowed := 0, 0, 0, 0
			for range sets {
				patterns := draw(rnd, tt.segments)
				table, err := tryTable(patterns...)
				if err != nil {
					checkShadowed(t, patterns, err)
					shadowed++
					continue
				}
				n := len(table.methods["GET"].layers)
				layers, deepest = layers+n, max(deepest, n)

				shuffled := slices.Clone(patterns)
				rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
				other := tableOf(t, shuffled...)

				for range 40 {
					p := ""
					for range 1 + rnd.IntN(5) {
						p += "/" + paths[rnd.IntN(len(paths))]
					}
					want := oracleLookup(patterns, p)
					if want != "" {
						found++
					}
					if got := outcome(table.lookup("GET", p)); got != want {
						t.Fatalf("routes %q: lookup(%q) = %q, want %q", patterns, p, got, want)
					}
					if got := outcome(other.lookup("GET", p)); got != want {
						t.Fatalf("routes %q: lookup(%q) = %q, want %q, as in another order", shuffled, p, got, want)
					}
				}
			}
			t.Logf("%d sets, %d refused, %.1f layers on average, %d at most, %d paths found", sets, shadowed, float64(layers)/float64(sets), deepest, found)
			if found < sets || shadowed > sets/20 {
				t.Errorf("of %d sets %d were refused and %d paths were found: the test tests little", sets, shadowed, found)
			}
		})
	}
}

// checkShadowed checks that an error of valid patterns of different shapes is due to a catch-all that
// the others leave nothing of.
func checkShadowed(t *testing.T, patterns []string, err error) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("routes %q: %v", patterns, err)
	}
	for _, err := range joined.Unwrap() {
		re, ok := err.(*RouteError)
		if !ok || !strings.HasPrefix(re.Reason, "is never reached") || !strings.Contains(re.Pattern, "*") {
			t.Fatalf("routes %q: %v", patterns, err)
		}
		// "~" is in no pattern.
		path := ""
		for _, s := range strings.Split(re.Pattern[1:strings.IndexByte(re.Pattern, '*')], "/") {
			if s == "" {
				break
			}
			if i := strings.IndexByte(s, ':'); i >= 0 {
				s = s[:i] + "~"
			}
			path += "/" + s
		}
		for range 8 {
			for _, end := range []string{"/", "/~", "/~/", "/a", "/b"} {
				if got := oracleLookup(patterns, path+end); strings.HasPrefix(got, re.Pattern+" ") {
					t.Fatalf("routes %q: %v, but %q leads to it", patterns, err, path+end)
				}
			}
			path += "/~"
		}
	}
}

// FuzzRouter registers the lines of a text as patterns and compares the answer for a path with that
// of the oracle.
func FuzzRouter(f *testing.F) {
	f.Add(strings.Join(exampleRoutes, "\n"), "/users/7/posts/9")
	f.Add(strings.Join(exampleRoutes, "\n"), "//evil.com/..")
	f.Add("/v:ver/x\n/:lang/x\n/v/:p", "/v/x")
	f.Add("/:a/:b\n/:a/:b/", "//evil.com/")
	f.Add("/:id/é/b\n/x/", "/%c3%A9/%2e%2e/")
	f.Add("/a b/:x\n/a%20b/*rest\n/%25", "/a%20b/%00")
	f.Add("/:a/*b\n/:x/c/:d\n/", "/\xff/\x00/\\")
	f.Fuzz(func(t *testing.T, text, path string) {
		if len(text) > 2000 || len(path) > 2000 {
			t.Skip("httprouter recurses over nothing, but the oracle is slow")
		}
		var r Router
		for _, p := range strings.Split(text, "\n") {
			r.GET(p, nothing)
		}
		table, err := r.build(routeOptions{})
		if err != nil {
			t.Skip("not a route set")
		}
		var patterns []string
		written := map[string]string{} // by canonical text
		for _, r := range table.routes {
			patterns = append(patterns, r.parsed.text)
			written[r.parsed.text] = r.Pattern()
		}

		if strings.HasPrefix(path, "/") {
			r, params := table.lookup("GET", path)
			got := outcome(r, params)
			if r != nil {
				got = r.parsed.text + strings.TrimPrefix(got, r.Pattern())
			}
			if want := oracleLookup(patterns, path); got != want {
				t.Fatalf("routes %q: lookup(%q) = %q, want %q", patterns, path, got, want)
			}
		}
		checkResolution(t, table, path)
	})
}

// checkResolution checks what holds for the resolution of any path whatever.
func checkResolution(t *testing.T, table *routeTable, path string) {
	t.Helper()
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "CONNECT", "BREW"} {
		got := table.resolve(method, path, "q=1")
		switch got.kind {
		case routeFound:
			if got.route == nil || got.path == "" {
				t.Errorf("resolve(%s %q) = %+v", method, path, got)
			}
			for _, p := range got.params {
				if p.Value == "" {
					t.Errorf("resolve(%s %q): param %s is empty", method, path, p.Key)
				}
			}
		case redirected:
			checkLocation(t, got.location)
			to, _, _ := strings.Cut(got.location, "?")
			if again := table.resolve(method, to, ""); again.kind != routeFound {
				t.Errorf("resolve(%s %q) redirects to %q, where there is %+v", method, path, to, again)
			}
		}
	}
}

// checkLocation checks that a browser stays on the host, whatever base it is at.
func checkLocation(t *testing.T, location string) {
	t.Helper()
	base := &url.URL{Scheme: "https", Host: "home.test", Path: "/a/b"}
	ref, err := url.Parse(location)
	if err != nil {
		t.Errorf("Location %q: %v", location, err)
		return
	}
	if got := base.ResolveReference(ref); got.Host != "home.test" || got.Scheme != "https" {
		t.Errorf("Location %q leads to %s", location, got)
	}
	if !strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//") {
		t.Errorf("Location %q does not begin with exactly one slash", location)
	}
	for _, c := range []byte(location) {
		if c <= ' ' || c >= 0x7f || c == '\\' {
			t.Errorf("Location %q contains %q", location, c)
		}
	}
}

func FuzzCanonicalPath(f *testing.F) {
	for _, p := range hostilePaths {
		f.Add(p)
	}
	for _, tt := range canonicalPaths {
		f.Add(tt.in)
	}
	table, err := tryTable("/", "/:a", "/:a/:b/", "/:a/:b/:c", "/static/*f")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in string) {
		checkResolution(t, table, in)
		got, verdict := canonicalPath(in)
		if verdict == pathBad {
			return
		}
		if again, v := canonicalPath(got); again != got || v != verdict {
			t.Errorf("canonicalPath(%q) = %q, %v; of that: %q, %v", in, got, verdict, again, v)
		}
		want, err := url.PathUnescape(in)
		if err != nil {
			t.Fatalf("canonicalPath accepts %q: %v", in, err)
		}
		if decoded, err := url.PathUnescape(got); err != nil || decoded != want {
			t.Errorf("canonicalPath(%q) = %q, which decodes to %q, %v", in, got, decoded, err)
		}

		clean := cleanPath(got)
		if clean != slowClean(got) {
			t.Errorf("cleanPath(%q) = %q, want %q", got, clean, slowClean(got))
		}
		if (clean == got) != (verdict == pathClean) {
			t.Errorf("canonicalPath(%q) = %q, verdict %v, but clean it is %q", in, got, verdict, clean)
		}
		if again, v := canonicalPath(clean); again != clean || v != pathClean {
			t.Errorf("the clean path %q of %q is not clean: %q, %v", clean, in, again, v)
		}
	})
}

// slowClean is cleanPath by way of path.Clean.
func slowClean(p string) string {
	clean := path.Clean(p)
	for _, end := range []string{"/", "/.", "/.."} {
		if strings.HasSuffix(p, end) && clean != "/" {
			return clean + "/"
		}
	}
	return clean
}
