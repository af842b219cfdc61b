// SPDX-License-Identifier: MIT

package server

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// sentinel is sent behind everything: it is read as a request of its own by who
// agrees on where the one before it ends.
const sentinel = "GET /sentinel HTTP/1.1\r\nHost: sentinel\r\n\r\n"

// heard is what a reader made of one request.
type heard struct {
	method, target, host, path, query string
	header, trailer                   http.Header
	body                              string
	close                             bool // whether it would be the last

	whole  bool // the body came to its end
	differ string
}

// hearPleat is what handlers of ours are given.
func hearPleat(t testing.TB, in string) (all []heard) {
	t.Helper()
	s := &scripted{in: []byte(in), pieces: whole}
	s.drive(machine(t, &HTTPServer{Handler: HandlerFunc(func(r *HTTPRequest) {
		body, err := io.ReadAll(r.BodyReader())
		h := &r.head
		all = append(all, heard{
			method: r.Method(), target: r.Target(), host: r.Host(), path: r.Path(), query: h.query.of(r.text),
			header: r.Header().Map(), trailer: r.Trailer().Map(), body: string(body),
			close: h.close || h.minor == 0 && !h.keepAlive, whole: err == nil, differ: deliberate(r, in),
		})
	})}, s))
	return all
}

// deliberate names what is read otherwise by net/http on purpose, "" where nothing
// is:
//
//   - a host in a target with percent-encoded octets or of a future address form:
//     net/http refuses it;
//   - Trailer: net/http refuses one that announces a framing field, and takes the
//     field away; here only what comes as a trailer counts;
//   - Pragma: no-cache, of which net/http makes a Cache-Control field;
//   - whitespace between a chunk size and its extension, which RFC 9112 §7.1.1 wants
//     parsed, and net/http refuses.
//
// Two more are seen to where the two are compared: empty lines before a request,
// which net/http does not skip, and trailers that do not belong there, which it
// keeps.
func deliberate(r *HTTPRequest, in string) string {
	authority := strings.ToLower(r.head.authority.of(r.text))
	_, trailer := r.Header().Lookup("Trailer")
	switch {
	case strings.Contains(authority, "%") || strings.HasPrefix(authority, "[v"):
		return "host in target"
	case trailer && r.head.chunked:
		return "Trailer"
	case r.Header().Get("Pragma") == "no-cache":
		return "Pragma"
	case r.head.chunked && spaceAfterSize.MatchString(in):
		return "space after chunk size"
	}
	return ""
}

// hearNetHTTP reads as net/http's server does.
func hearNetHTTP(r *bufio.Reader) (h heard, err error) {
	for range maxEmptyLines { // it does not know of them
		if next, _ := r.Peek(2); string(next) != "\r\n" {
			break
		}
		_, _ = r.Discard(2)
	}
	q, err := http.ReadRequest(r)
	if err != nil {
		return h, err
	}
	body, err := io.ReadAll(q.Body)
	h = heard{
		method: q.Method, target: q.RequestURI, host: q.Host, path: q.URL.EscapedPath(), query: q.URL.RawQuery,
		header: q.Header, trailer: q.Trailer, body: string(body), close: q.Close, whole: err == nil,
	}
	return h, nil
}

// checkDifferential asserts that what was accepted means to net/http what it means
// here, up to where it ends.
func checkDifferential(t testing.TB, in string) {
	t.Helper()
	in += sentinel
	r := bufio.NewReaderSize(strings.NewReader(in), 256<<10) // it looks for the end of trailers in there
	for i, ours := range hearPleat(t, in) {
		if ours.differ != "" {
			return // it and its framing may be read otherwise, and so all behind it
		}
		theirs, err := hearNetHTTP(r)
		what := fmt.Sprintf("request %d of %q", i+1, clip(in, 400))
		if err != nil {
			t.Fatalf("%s: net/http says %v, here it is\n%+v", what, err, ours)
		}
		if ours.method != theirs.method || ours.target != theirs.target || ours.host != theirs.host || ours.close != theirs.close {
			t.Fatalf("%s: net/http has\n%+v, here it is\n%+v", what, theirs, ours)
		}
		if strings.HasPrefix(ours.target, "/") && (ours.path != theirs.path || ours.query != theirs.query) {
			t.Fatalf("%s: net/http has path %q and query %q, here they are %q and %q", what, theirs.path, theirs.query, ours.path, ours.query)
		}
		for _, name := range []string{"Host", "Transfer-Encoding"} {
			ours.header.Del(name)
		}
		if !reflect.DeepEqual(map[string][]string(ours.header), map[string][]string(theirs.header)) {
			t.Fatalf("%s: net/http has fields\n%v, here they are\n%v", what, theirs.header, ours.header)
		}
		if !ours.whole {
			return // refused within its body
		}
		if !theirs.whole || ours.body != theirs.body {
			t.Fatalf("%s: net/http has the body %q (whole: %v), here it is %q", what, clip(theirs.body, 200), theirs.whole, clip(ours.body, 200))
		}
		for _, name := range trailersDropped {
			theirs.trailer.Del(name)
		}
		if len(ours.trailer)+len(theirs.trailer) > 0 && !reflect.DeepEqual(map[string][]string(ours.trailer), map[string][]string(theirs.trailer)) {
			t.Fatalf("%s: net/http has trailers\n%v, here they are\n%v", what, theirs.trailer, ours.trailer)
		}
	}
}

// seedSize is the size of what FuzzDifferential starts from, and so has checked.
const seedSize = 2000

// TestDifferential checks the conversations that are too long to fuzz with.
func TestDifferential(t *testing.T) {
	all := conversations(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if len(all[name]) >= seedSize {
			t.Run(name, func(t *testing.T) { checkDifferential(t, all[name]) })
		}
	}
	// The test can tell: what is known to be read otherwise is.
	for _, in := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\nPragma: no-cache\r\n\r\n", "GET http://a%c3%a4/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0 ;a\r\n\r\n",
	} {
		if got := hearPleat(t, in); len(got) != 1 || got[0].differ == "" {
			t.Errorf("%q is not taken for a deliberate difference: %+v", in, got)
		}
	}
}

// FuzzDifferential holds whole conversations against net/http's reader.
func FuzzDifferential(f *testing.F) {
	for _, in := range conversations(f) {
		if len(in) < seedSize {
			f.Add(in)
		}
	}
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) > 16<<10 {
			t.Skip("nothing new comes after that many octets")
		}
		checkDifferential(t, in)
	})
}
