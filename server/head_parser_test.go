// SPDX-License-Identifier: MIT

package server

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

var testLimits = headLimits{headBytes: 64 << 10, fields: 128, targetBytes: 16 << 10}

const (
	hostLine = "Host: a.test\r\n"
	getLine  = "GET / HTTP/1.1\r\n"
	postHead = "POST / HTTP/1.1\r\n" + hostLine
)

// headCases are whole inputs and the verdict on them: 0 for a complete head,
// -1 for one that needs more octets, else the status.
var headCases = []struct {
	name, in string
	want     int
}{
	{"plain", getLine + hostLine + "\r\n", 0},
	{"next request behind", getLine + hostLine + "\r\nGET /", 0},
	{"no fields in 1.0", "GET / HTTP/1.0\r\n\r\n", 0},
	{"higher minor version", "GET / HTTP/1.9\r\n" + hostLine + "\r\n", 0},
	{"field without space", getLine + "Host:a.test\r\nX:\r\n\r\n", 0},
	{"tab and obs-text in value", getLine + hostLine + "X: a\tb\xff\r\n\r\n", 0},
	{"every tchar in name", getLine + hostLine + "!#$%&'*+-.^_`|~0aZ: v\r\n\r\n", 0},
	{"unknown method", "M-SEARCH * HTTP/1.1\r\n", 400},
	{"lower-case method", "get / HTTP/1.1\r\n" + hostLine + "\r\n", 0},
	{"empty line before", "\r\n" + getLine + hostLine + "\r\n", 0},
	{"four empty lines before", "\r\n\r\n\r\n\r\n" + getLine + hostLine + "\r\n", 0},
	{"five empty lines before", "\r\n\r\n\r\n\r\n\r\n", 400},
	{"LF before", "\n" + getLine, 400},
	{"CR before", "\rGET", 400},
	{"SP before", " GET", 400},

	{"nothing", "", -1},
	{"empty lines only", "\r\n\r", -1},
	{"half a method", "GE", -1},
	{"half a version", "GET / HTTP/1.", -1},
	{"half a field", getLine + "Hos", -1},
	{"half the empty line", getLine + hostLine + "\r", -1},

	{"TLS handshake", "\x16\x03\x01", 400},
	{"no target", "GET \r\n", 400},
	{"two spaces", "GET  / HTTP/1.1\r\n", 400},
	{"tab for a space", "GET\t/", 400},
	{"HTTP/0.9", "GET /\r", 400},
	{"method too long", strings.Repeat("M", maxMethod), 501},
	{"longest method", strings.Repeat("M", maxMethod-1) + " / HTTP/1.1\r\n" + hostLine + "\r\n", 0},
	{"lower-case version", "GET / h", 400},
	{"two-digit minor version", "GET / HTTP/1.10", 400},
	{"major version 0", "GET / HTTP/0.9\r\n", 505},
	{"major version 2", "GET / HTTP/2.0\r\n", 505},
	{"space after version", "GET / HTTP/1.1 ", 400},
	{"bare LF after version", "GET / HTTP/1.1\n", 400},
	{"bare CR after version", "GET / HTTP/1.1\r\r", 400},

	{"absolute-form", "GET http://b.test:80/x?y HTTP/1.1\r\n" + hostLine + "\r\n", 0},
	{"absolute-form without Host", "GET http://b.test/ HTTP/1.1\r\n\r\n", 400},
	{"asterisk-form", "OPTIONS * HTTP/1.1\r\n" + hostLine + "\r\n", 0},
	{"authority-form", "CONNECT b.test:443 HTTP/1.1\r\n" + hostLine + "\r\n", 0},
	{"longest target", "GET /" + strings.Repeat("a", 16<<10-1) + " HTTP/1.1\r\n" + hostLine + "\r\n", 0},
	{"target too long", "GET /" + strings.Repeat("a", 16<<10), 414},
	{"bad octet after longest target", "GET /" + strings.Repeat("a", 16<<10-1) + "\x01", 400},

	{"Host missing", getLine + "\r\n", 400},
	{"Host twice", getLine + hostLine + "hOST: a.test\r\n", 400},
	{"Host empty", getLine + "Host:\r\n\r\n", 0},
	{"Host bad in 1.0", "GET / HTTP/1.0\r\nHost: a/b\r\n", 400},

	{"bare LF ends field", getLine + hostLine + "X: a\n", 400},
	{"bare CR in value", getLine + hostLine + "X: a\rb", 400},
	{"NUL in value", getLine + hostLine + "X: a\x00", 400},
	{"DEL in value", getLine + hostLine + "X: 12345678\x7f", 400},
	{"tab then DEL in one word", getLine + hostLine + "X: 1\t2\x7f5678", 400},
	{"control octet in name", getLine + hostLine + "X\x01", 400},
	{"non-ASCII name", getLine + hostLine + "X\xa0", 400},
	{"space before colon", getLine + hostLine + "X ", 400},
	{"no colon", getLine + hostLine + "X\r", 400},
	{"empty name", getLine + hostLine + ":", 400},
	{"folded line", getLine + hostLine + "X: a\r\n ", 400},
	{"space before first field", getLine + "\t", 400},
	{"CR for the empty line", getLine + hostLine + "\rX", 400},

	{"length", postHead + "Content-Length: 5\r\n\r\n", 0},
	{"length with zeros", postHead + "Content-Length: 0000000000000000000000005\r\n\r\n", 0},
	{"largest length", postHead + "Content-Length: 9223372036854775807\r\n\r\n", 0},
	{"length out of range", postHead + "Content-Length: 9223372036854775808\r\n", 413},
	{"length far out of range", postHead + "Content-Length: " + strings.Repeat("9", 400) + "\r\n", 413},
	{"large and malformed length", postHead + "Content-Length: 99999999999999999999x\r\n", 400},
	{"empty length", postHead + "Content-Length: \r\n", 400},
	{"signed length", postHead + "Content-Length: +5\r\n", 400},
	{"length list", postHead + "Content-Length: 5, 5\r\n", 400},
	{"length twice", postHead + "Content-Length: 5\r\nContent-Length: 5\r\n", 400},
	{"chunked", postHead + "Transfer-Encoding: \tChunked \r\n\r\n", 0},
	{"chunked and length", postHead + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400},
	{"length and chunked", postHead + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
	{"chunked twice", postHead + "Transfer-Encoding: chunked, chunked\r\n", 400},
	{"chunked on two lines", postHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
	{"chunked not last", postHead + "Transfer-Encoding: chunked, gzip\r\n", 400},
	{"chunked with parameter", postHead + "Transfer-Encoding: chunked;a=b\r\n", 400},
	{"chunked after VT", postHead + "Transfer-Encoding: \x0bchunked\r\n", 400},
	{"chunked after NBSP", postHead + "Transfer-Encoding: \xa0chunked\r\n", 400},
	{"chunked after comma", postHead + "Transfer-Encoding: ,chunked\r\n", 400},
	{"chunked before comma", postHead + "Transfer-Encoding: chunked,\r\n", 400},
	{"empty coding", postHead + "Transfer-Encoding:\r\n", 400},
	{"identity", postHead + "Transfer-Encoding: identity\r\n", 400},
	{"unknown before chunked", postHead + "Transfer-Encoding: gzip, chunked\r\n", 501},
	{"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400},
	{"some other field", postHead + "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 0},

	{"expect", postHead + "Expect: 100-Continue\r\n\r\n", 0},
	{"expect more", postHead + "Expect: 100-continue, x\r\n", 417},
	{"expect else", postHead + "Expect: banana\r\n", 417},
	{"expect else in 1.0", "GET / HTTP/1.0\r\nExpect: banana\r\n\r\n", 0},
	{"connection options", getLine + hostLine + "Connection: ,Close , x\r\nconnection: Keep-Alive,upgrade\r\nUpgrade: a\r\n\r\n", 0},
	{"connection near misses", getLine + hostLine + "Connection: closed\r\nX-Connection: close\r\n\r\n", 0},

	{"most fields", getLine + hostLine + strings.Repeat("X: y\r\n", 127) + "\r\n", 0},
	{"too many fields", getLine + hostLine + strings.Repeat("X: y\r\n", 127) + "X", 431},
	{"head too large", getLine + hostLine + "X: " + strings.Repeat("y", 64<<10), 431},
	{"largest head", getLine + hostLine + "X: " + strings.Repeat("y", 64<<10-len(getLine+hostLine)-7) + "\r\n\r\n", 0},
	{"head too large by one", getLine + hostLine + "X: " + strings.Repeat("y", 64<<10-len(getLine+hostLine)-6) + "\r\n\r\n", 431},
}

func TestParseHead(t *testing.T) {
	for _, tt := range headCases {
		t.Run(tt.name, func(t *testing.T) {
			var p headParser
			n, err := p.parse([]byte(tt.in), &testLimits)
			switch {
			case tt.want > 0:
				if err == nil || err.Status != tt.want {
					t.Fatalf("parse(%.200q) = %d, %v, want %d", tt.in, n, err, tt.want)
				}
			case err != nil || (n > 0) != (tt.want == 0):
				t.Fatalf("parse(%.200q) = %d, %v, want complete: %v", tt.in, n, err, tt.want == 0)
			}
			checkAgainstSlow(t, tt.in, testLimits)
		})
	}
}

// verdict runs the parser over in, cut before each of the ascending offsets
// in cuts, and says everything it found out in the words of the reference.
func verdict(t testing.TB, in string, lim headLimits, cuts ...int) slowHead {
	t.Helper()
	var p headParser
	for _, end := range append(cuts, len(in)) {
		// A fresh copy each time: the parser must not count on the memory.
		n, err := p.parse([]byte(in[:end]), &lim)
		if err != nil {
			if again, same := p.parse([]byte(in), &lim); again != 0 || same != err {
				t.Fatalf("after the error %v: %d, %v", err, again, same)
			}
			return slowHead{status: err.Status}
		}
		if n > 0 {
			if !p.started() {
				t.Fatalf("complete but not started: %q", in)
			}
			return describe(&p, in[:n])
		}
		// No octet is judged twice, but for those of a version or CRLF that
		// is cut in the middle.
		if left := end - p.pos; left > len("HTTP/1.1\r") {
			t.Fatalf("parse(%.200q) leaves %d octets to be seen again", in[:end], left)
		}
	}
	return slowHead{}
}

func describe(p *headParser, in string) slowHead {
	h := &p.head
	s := in[h.skipped:]
	return slowHead{
		n: len(in), method: h.method.of(s), target: h.target.of(s), path: h.pathOf(s), query: h.query.of(s),
		scheme: h.scheme.of(s), authority: h.authority.of(s), host: h.host.of(s), fields: h.fields.of(s),
		count: h.fieldCount, minor: int(h.minor), length: h.contentLength, chunked: h.chunked,
		close: h.close, keepAlive: h.keepAlive, upgrade: h.upgrade, expectContinue: h.expectContinue,
		hasHost: h.hasHost,
	}
}

func checkAgainstSlow(t testing.TB, in string, lim headLimits) slowHead {
	t.Helper()
	got, want := verdict(t, in, lim), slowParseHead(in, lim)
	if got != want {
		t.Fatalf("parse(%.300q)\n got %+v\nwant %+v", in, got, want)
	}
	return got
}

// checkSplits asserts that how the input is cut changes nothing.
func checkSplits(t testing.TB, in string, lim headLimits, r *rand.Rand) {
	t.Helper()
	whole := verdict(t, in, lim)
	compare := func(cuts ...int) {
		if got := verdict(t, in, lim, cuts...); got != whole {
			t.Fatalf("parse(%.300q) cut at %v\n got %+v\nwant %+v", in, cuts, got, whole)
		}
	}
	if len(in) < 300 {
		var every []int
		for i := range len(in) {
			compare(i)
			every = append(every, i)
		}
		compare(every...)
	}
	for range 4 {
		var cuts []int
		for at := r.IntN(20); at < len(in); at += 1 + r.IntN(1+len(in)/4) {
			cuts = append(cuts, at)
		}
		compare(cuts...)
	}
}

func TestParseHeadSplitAnywhere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, tt := range headCases {
		t.Run(tt.name, func(t *testing.T) { checkSplits(t, tt.in, testLimits, r) })
	}
}

// TestParseHeadCertain feeds octet by octet and asserts that an error comes
// with the very octet that makes it certain: the reference finds no error in
// any shorter prefix.
func TestParseHeadCertain(t *testing.T) {
	for _, tt := range headCases {
		if tt.want <= 0 || len(tt.in) > 1000 {
			continue
		}
		for i := range len(tt.in) + 1 {
			got, want := verdict(t, tt.in[:i], testLimits).status, slowParseHead(tt.in[:i], testLimits).status
			if got != want {
				t.Errorf("%s: parse(%q) = %d, want %d", tt.name, tt.in[:i], got, want)
			}
		}
	}
}

func TestParseHeadOctetByOctet(t *testing.T) {
	in := []byte(getLine + hostLine + "X: " + strings.Repeat("y", 60000) + "\r\n\r\n")
	var p headParser
	for i := range len(in) {
		n, err := p.parse(in[:i+1], &testLimits)
		if err != nil || (n > 0) != (i+1 == len(in)) {
			t.Fatalf("parse of %d octets = %d, %v", i+1, n, err)
		}
		if n == 0 && i+1-p.pos > 10 {
			t.Fatalf("after %d octets the next call starts over at %d", i+1, p.pos)
		}
	}
}

func TestParseHeadNoLimits(t *testing.T) {
	in := "GET /" + strings.Repeat("a", 200000) + " HTTP/1.1\r\n" + hostLine + strings.Repeat("X: y\r\n", 5000) + "\r\n"
	for _, lim := range []headLimits{{}, {headBytes: -1, fields: -1, targetBytes: -1}} {
		if got := checkAgainstSlow(t, in, lim); got.n != len(in) {
			t.Errorf("parse with %+v = %d, status %d, want %d", lim, got.n, got.status, len(in))
		}
	}
}

func TestParseHeadSmallLimits(t *testing.T) {
	in := "\r\nGET /abc?d HTTP/1.1\r\n" + hostLine + "X: y\r\n\r\n"
	for size := 1; size <= len(in)+1; size++ {
		lim := headLimits{headBytes: size}
		if got := checkAgainstSlow(t, in, lim); (got.n > 0) != (size >= len(in)) {
			t.Errorf("headBytes %d: %+v", size, got)
		}
		checkSplits(t, in, lim, rand.New(rand.NewPCG(3, uint64(size))))
	}
	for size := 1; size <= 9; size++ {
		lim := headLimits{targetBytes: size}
		if got := checkAgainstSlow(t, in, lim); (got.n > 0) != (size >= len("/abc?d")) {
			t.Errorf("targetBytes %d: %+v", size, got)
		}
		checkSplits(t, in, lim, rand.New(rand.NewPCG(4, uint64(size))))
	}
}

func TestHeadParserReset(t *testing.T) {
	var p headParser
	for _, in := range []string{getLine + hostLine + "Connection: close\r\n\r\n", "\x00", postHead + "Content-Length: 3\r\n\r\n"} {
		p.reset()
		if p.started() {
			t.Fatal("started after reset")
		}
		var fresh headParser
		n, err := p.parse([]byte(in), &testLimits)
		wantN, wantErr := fresh.parse([]byte(in), &testLimits)
		if n != wantN || err != wantErr || !reflect.DeepEqual(p, fresh) {
			t.Errorf("parse(%q) after reset = %d, %v, want %d, %v", in, n, err, wantN, wantErr)
		}
		if again, same := p.parse([]byte(in), &testLimits); again != n || same != err {
			t.Errorf("asked again: %d, %v, want %d, %v", again, same, n, err)
		}
	}
}

func TestHeadParserStarted(t *testing.T) {
	for in, want := range map[string]bool{"": false, "\r": false, "\r\n\r\n": false, "\r\nG": true, "G": true, "\x00": true} {
		var p headParser
		_, _ = p.parse([]byte(in), &testLimits)
		if p.started() != want {
			t.Errorf("started after %q = %v, want %v", in, p.started(), want)
		}
	}
}

// TestScanFieldValue puts every octet at every phase of a word.
func TestScanFieldValue(t *testing.T) {
	for size := range 20 {
		for at := range size {
			for c := range 256 {
				b := []byte(strings.Repeat("v", size))
				b[at] = byte(c)
				for second := at; second < size; second++ {
					b[second] = byte(c)
					want := size
					if !isFieldOctet(byte(c)) {
						want = at
					}
					if got := scanFieldValue(b, 0); got != want {
						t.Fatalf("scanFieldValue(%q) = %d, want %d", b, got, want)
					}
				}
			}
		}
	}
}

func TestProtocolError(t *testing.T) {
	var err error = fmt.Errorf("serving: %w", &ProtocolError{Status: 400, Reason: "bare CR in field value"})
	if got, want := err.Error(), "serving: server: 400: bare CR in field value"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	var pe *ProtocolError
	if !errors.As(err, &pe) || pe.Status != 400 {
		t.Errorf("errors.As found %v", pe)
	}
}

// checkAgainstNetHTTP asserts that net/http reads a head the parser accepted,
// and reads the same. The differences are on purpose:
//
//   - it does not skip empty lines, so they are taken off for it;
//   - it knows a host in a target by other rules: no percent-encoded ASCII,
//     no IPvFuture;
//   - it refuses a Trailer field that announces a framing field, which only
//     announces what our trailer reader refuses when it comes;
//   - it makes Pragma: no-cache into a Cache-Control field.
func checkAgainstNetHTTP(t testing.TB, in string) {
	t.Helper()
	var p headParser
	n, err := p.parse([]byte(in), &testLimits)
	if err != nil || n == 0 {
		return
	}
	h, s := &p.head, in[p.head.skipped:n]
	header := newHeader(h.fields.of(s))
	if strings.ContainsAny(h.authority.of(s), "%") || strings.HasPrefix(strings.ToLower(h.authority.of(s)), "[v") {
		return
	}
	if _, ok := header.Lookup("Trailer"); ok && h.chunked || header.Get("Pragma") == "no-cache" {
		return
	}
	q, readErr := http.ReadRequest(bufio.NewReader(strings.NewReader(s)))
	if readErr != nil {
		t.Fatalf("accepted %q, net/http says %v", s, readErr)
	}
	defer q.Body.Close()
	if q.Method != h.method.of(s) || q.RequestURI != h.target.of(s) || q.Host != h.host.of(s) {
		t.Fatalf("%q: net/http has %q %q %q", s, q.Method, q.RequestURI, q.Host)
	}
	if h.form == originForm && (q.URL.EscapedPath() != h.pathOf(s) || q.URL.RawQuery != h.query.of(s)) {
		t.Fatalf("%q: net/http has path %q, query %q", s, q.URL.EscapedPath(), q.URL.RawQuery)
	}
	want := header.Map()
	want.Del("Host")
	want.Del("Transfer-Encoding")
	if !reflect.DeepEqual(map[string][]string(q.Header), map[string][]string(want)) {
		t.Fatalf("%q: net/http has\n%v, want\n%v", s, q.Header, want)
	}
	length := max(h.contentLength, 0)
	if h.chunked {
		length = -1
	}
	if q.ContentLength != length || (len(q.TransferEncoding) > 0) != h.chunked {
		t.Fatalf("%q: net/http has length %d, %v", s, q.ContentLength, q.TransferEncoding)
	}
}

func TestParseHeadAgainstNetHTTP(t *testing.T) {
	for _, tt := range headCases {
		t.Run(tt.name, func(t *testing.T) { checkAgainstNetHTTP(t, tt.in) })
	}
}
