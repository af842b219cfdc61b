// SPDX-License-Identifier: MIT

package server

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httputil"
	"regexp"
	"strings"
	"testing"
)

var testChunkLimits = chunkLimits{bodyBytes: 1 << 20, trailerBytes: 4 << 10, trailerFields: 16}

// chunkedCases are bodies and what comes of them: want is a status, 0 for a
// complete body, -1 for one that needs more octets.
var chunkedCases = []struct {
	name, in      string
	want          int
	data, trailer string
}{
	{"empty", "0\r\n\r\n", 0, "", ""},
	{"one chunk", "5\r\nhello\r\n0\r\n\r\n", 0, "hello", ""},
	{"next request behind", "5\r\nhello\r\n0\r\n\r\nGET /", 0, "hello", ""},
	{"two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 0, "hello world", ""},
	{"leading zeros", "0005\r\nhello\r\n000\r\n\r\n", 0, "hello", ""},
	{"both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", 0, "01234567890123456789", ""},
	{"data like framing", "8\r\n\r\n0\r\n\r\nx\r\n0\r\n\r\n", 0, "\r\n0\r\n\r\nx", ""},
	{"extensions", "5;a;b=c;d=\"e\\\"\xff;\"\r\nhello\r\n0;e=f\r\n\r\n", 0, "hello", ""},
	{"extensions with bad whitespace", "5 ; \ta\t = b ; c ;d= \"\" ;e\r\nhello\r\n0\r\n\r\n", 0, "hello", ""},
	{"longest line", "5;" + strings.Repeat("a", maxChunkLine-4) + "\r\nhello\r\n0\r\n\r\n", 0, "hello", ""},
	{"16 digits", "0000000000000005\r\nhello\r\n0\r\n\r\n", 0, "hello", ""},
	{"trailer", "0\r\nX-A: 1\r\nx-b:\r\n\r\n", 0, "", "X-A: 1\r\nx-b:\r\n"},
	{"dropped trailer", "0\r\nX-A: 1\r\nContent-type: x\r\ncookie: y\r\nX-B: 2\r\n\r\n", 0, "", "X-A: 1\r\nX-B: 2\r\n"},

	{"nothing", "", -1, "", ""},
	{"half a size", "5", -1, "", ""},
	{"half a chunk", "5\r\nhel", -1, "hel", ""},
	{"half the end", "0\r\n\r", -1, "", ""},
	{"half a trailer", "0\r\nX-A: 1", -1, "", ""},

	{"no size", "\r\n", 400, "", ""},
	{"not a digit", "g\r\n", 400, "", ""},
	{"space first", " 5\r\n", 400, "", ""},
	{"tab first", "\t5\r\n", 400, "", ""},
	{"sign", "+5\r\n", 400, "", ""},
	{"minus", "-5\r\n", 400, "", ""},
	{"0x", "0x5\r\n", 400, "", ""},
	{"underscore", "1_0\r\n", 400, "", ""},
	{"fraction", "5.0\r\n", 400, "", ""},
	{"NUL", "5\x00\r\n", 400, "", ""},
	{"space last", "5 \r\n", 400, "", ""},
	{"tab last", "5\t\r\n", 400, "", ""},
	{"LF for CRLF", "5\nhello", 400, "", ""},
	{"CR for CRLF", "5\rhello", 400, "", ""},
	{"CR CR LF", "5\r\r\n", 400, "", ""},
	{"data too long", "5\r\nhello!", 400, "hello", ""},
	{"LF after data", "5\r\nhello\n", 400, "hello", ""},
	{"CR after data", "5\r\nhello\rx", 400, "hello", ""},
	{"data too short", "5\r\nhell\r\n0", 400, "hell\r", ""},
	{"17 digits", "00000000000000005\r\n", 413, "", ""},
	{"2^63-1", "7fffffffffffffff\r\n", 413, "", ""},
	{"2^63", "8000000000000000\r\n", 413, "", ""},
	{"2^64+5", "10000000000000005\r\n", 413, "", ""},
	{"over the limit", "100001\r\n", 413, "", ""},
	{"over the limit together", "5\r\nhello\r\nffffc\r\n", 413, "hello", ""},

	{"extension without name", "5;\r\n", 400, "", ""},
	{"extension without name, value", "5;=b\r\n", 400, "", ""},
	{"extension without value", "5;a=\r\n", 400, "", ""},
	{"extension value after space", "5;a=b c\r\n", 400, "", ""},
	{"extension name after space", "5;a b\r\n", 400, "", ""},
	{"extension ends in space", "5;a \r\n", 400, "", ""},
	{"extension value ends in space", "5;a=b \r\n", 400, "", ""},
	{"two values", "5;a=b=c\r\n", 400, "", ""},
	{"open quote", "5;a=\"b\r\n", 400, "", ""},
	{"escaped CR", "5;a=\"\\\r\n", 400, "", ""},
	{"text after quote", "5;a=\"b\"c\r\n", 400, "", ""},
	{"quoted name", "5;\"a\"\r\n", 400, "", ""},
	{"control octet in extension", "5;a=\x01\r\n", 400, "", ""},
	{"control octet in quotes", "5;a=\"\x7f\"\r\n", 400, "", ""},
	{"bare LF in extension", "5;a\nhello", 400, "", ""},
	{"bare CR in extension", "5;a\rb", 400, "", ""},
	{"line too long", "5;" + strings.Repeat("a", maxChunkLine), 400, "", ""},
	{"line too long by one", "5;" + strings.Repeat("a", maxChunkLine-3) + "\r\n", 400, "", ""},

	{"trailer without colon", "0\r\ngarbage\r\n", 400, "", ""},
	{"trailer without name", "0\r\n: x\r\n", 400, "", ""},
	{"trailer space before colon", "0\r\nX : x\r\n", 400, "", ""},
	{"trailer bad name", "0\r\nX(: x\r\n", 400, "", ""},
	{"trailer NUL", "0\r\nX: a\x00", 400, "", ""},
	{"trailer folded", "0\r\nX: a\r\n b\r\n", 400, "", ""},
	{"trailer bare LF", "0\r\nX: a\n", 400, "", ""},
	{"trailer bare CR", "0\r\nX: a\rb", 400, "", ""},
	{"LF ends body", "0\r\n\n", 400, "", ""},
	{"CR ends body", "0\r\n\rX", 400, "", ""},
	{"trailer with length", "0\r\ncontent-length: 5\r\n", 400, "", ""},
	{"trailer with coding", "0\r\nTransfer-Encoding: chunked\r\n", 400, "", ""},
	{"trailer with host", "0\r\nHost: b.test\r\n", 400, "", ""},
	{"trailer too large", "0\r\nX: " + strings.Repeat("x", 4<<10), 431, "", ""},
	{"dropped trailers too large", "0\r\n" + strings.Repeat("Cookie: "+strings.Repeat("x", 400)+"\r\n", 11), 431, "", ""},
	{"too many trailers", "0\r\n" + strings.Repeat("X: x\r\n", 16) + "X", 431, "", ""},
	{"most trailers", "0\r\n" + strings.Repeat("X: x\r\n", 16) + "\r\n", 0, "", strings.Repeat("X: x\r\n", 16)},
}

// dechunked is what a reader made of a body.
type dechunked struct {
	n, status     int
	done          bool
	data, trailer string
}

// dechunk runs in through a reader, in pieces of at most src octets into at
// most dst octets, both chosen by the caller for every call.
func dechunk(t testing.TB, in string, lim chunkLimits, src, dst func() int) (d dechunked) {
	t.Helper()
	var c chunkedReader
	for stalled := 0; ; {
		piece := in[d.n:]
		piece = piece[:min(len(piece), src())]
		room := make([]byte, dst())
		ndst, nsrc, done, err := c.read(room, []byte(piece), &lim)
		d.data += string(room[:ndst])
		d.n += nsrc
		if nsrc < len(piece) && err == nil && !done && ndst < len(room) {
			t.Fatalf("read(%.200q) stopped at %d with room left", in, d.n)
		}
		if err != nil {
			if _, _, _, same := c.read(room, []byte("0\r\n\r\n"), &lim); same != err {
				t.Fatalf("after the error %v: %v", err, same)
			}
			d.status = err.Status
			return d
		}
		if d.done = done; done {
			d.trailer = c.trailer().raw
			if _, more, again, _ := c.read(room, []byte("x"), &lim); more != 0 || !again {
				t.Fatalf("read past the end")
			}
			return d
		}
		if d.n == len(in) {
			return d
		}
		if stalled++; nsrc > 0 {
			stalled = 0
		} else if stalled > 1000 {
			t.Fatalf("no progress in %.200q at %d", in, d.n)
		}
	}
}

func always(n int) func() int { return func() int { return n } }

func dechunkWhole(t testing.TB, in string, lim chunkLimits) dechunked {
	return dechunk(t, in, lim, always(len(in)), always(len(in)))
}

func TestChunked(t *testing.T) {
	for _, tt := range chunkedCases {
		t.Run(tt.name, func(t *testing.T) {
			got := dechunkWhole(t, tt.in, testChunkLimits)
			if got.status != max(tt.want, 0) || got.done != (tt.want == 0) ||
				got.data != tt.data || got.trailer != tt.trailer {
				t.Errorf("read(%.200q) = %+v, want %d, %q, %q", tt.in, got, tt.want, tt.data, tt.trailer)
			}
			checkChunkedOracles(t, tt.in)
		})
	}
}

// spaceAfterSize is the one thing accepted here that net/http refuses: bad
// whitespace between a size and its extension, which RFC 9112 §7.1.1 wants
// parsed.
var spaceAfterSize = regexp.MustCompile("[0-9A-Fa-f][ \t]+;")

// checkChunkedOracles compares with the reference and with net/http. The
// latter takes much that is refused here, but nothing accepted may look
// different to it.
func checkChunkedOracles(t testing.TB, in string) {
	t.Helper()
	got := dechunkWhole(t, in, chunkLimits{})
	data, trailer, n, ok := slowDechunk(in)
	if ok != got.done || ok && (got.data != data || got.trailer != trailer || got.n != n) {
		t.Fatalf("read(%.300q)\n got %+v\nwant %v, %q, %q, %d", in, got, ok, data, trailer, n)
	}
	if ok && !spaceAfterSize.MatchString(in) {
		theirs, err := io.ReadAll(httputil.NewChunkedReader(strings.NewReader(in)))
		if err != nil || string(theirs) != data {
			t.Fatalf("net/http reads %.300q as %q, %v, want %q", in, theirs, err, data)
		}
	}
}

// checkChunkedSplits asserts that neither the cuts of the input nor the room
// for the output changes anything.
func checkChunkedSplits(t testing.TB, in string, lim chunkLimits, r *rand.Rand) {
	t.Helper()
	whole := dechunkWhole(t, in, lim)
	ways := map[string]dechunked{
		"one octet at a time":  dechunk(t, in, lim, always(1), always(len(in))),
		"room for one octet":   dechunk(t, in, lim, always(len(in)), always(1)),
		"both":                 dechunk(t, in, lim, always(1), always(1)),
		"anything":             dechunk(t, in, lim, func() int { return r.IntN(9) }, func() int { return r.IntN(9) }),
		"anything, less often": dechunk(t, in, lim, func() int { return r.IntN(99) }, func() int { return r.IntN(99) }),
	}
	for way, got := range ways {
		if got != whole {
			t.Fatalf("read(%.300q), %s\n got %+v\nwant %+v", in, way, got, whole)
		}
	}
}

func TestChunkedSplitAnywhere(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, tt := range chunkedCases {
		t.Run(tt.name, func(t *testing.T) { checkChunkedSplits(t, tt.in, testChunkLimits, r) })
	}
}

func TestChunkedWithoutRoom(t *testing.T) {
	var c chunkedReader
	in := []byte("5;a\r\nhello\r\n0\r\n\r\n")
	ndst, nsrc, done, err := c.read(nil, in, &testChunkLimits)
	if ndst != 0 || nsrc != len("5;a\r\n") || done || err != nil {
		t.Errorf("read without room = %d, %d, %v, %v", ndst, nsrc, done, err)
	}
	room := make([]byte, 5)
	ndst, more, done, err := c.read(room, in[nsrc:], &testChunkLimits)
	if ndst != 5 || nsrc+more != len(in) || !done || err != nil {
		t.Errorf("read with room for the data = %d, %d, %v, %v: the end has to come with the data", ndst, more, done, err)
	}
}

func TestChunkedOverhead(t *testing.T) {
	body := func(chunk string, n int) string { return strings.Repeat(chunk, n) + "0\r\n\r\n" }
	tests := []struct {
		name, in string
		want     int
	}{
		{"100,000 octets one by one", body("1\r\nx\r\n", 100000), 0},
		{"100,000 small extensions", body("1;a=b\r\nx\r\n", 100000), 0},
		{"100,000 long extensions", body("1;"+strings.Repeat("a", 100)+"\r\nx\r\n", 100000), 400},
		{"100,000 padded sizes", body("0000000000000001\r\nx\r\n", 100000), 400},
		{"long extensions on long chunks", body("200;"+strings.Repeat("a", 900)+"\r\n"+strings.Repeat("x", 512)+"\r\n", 1000), 0},
		{"a few long extensions", body("1;"+strings.Repeat("a", 4000)+"\r\nx\r\n", 4), 0},
	}
	for _, tt := range tests {
		if got := dechunkWhole(t, tt.in, testChunkLimits); got.status != tt.want || got.done != (tt.want == 0) {
			t.Errorf("%s: status %d, done %v, want %d", tt.name, got.status, got.done, tt.want)
		}
	}
}

func TestChunkedNoLimits(t *testing.T) {
	in := "200000\r\n" + strings.Repeat("x", 2<<20) + "\r\n0\r\n" + strings.Repeat("X: y\r\n", 5000) + "\r\n"
	for _, lim := range []chunkLimits{{}, {-1, -1, -1}} {
		got := dechunkWhole(t, in, lim)
		if !got.done || len(got.data) != 2<<20 || len(got.trailer) != 6*5000 {
			t.Errorf("with %+v: done %v, status %d, %d octets", lim, got.done, got.status, len(got.data))
		}
	}
}

// TestChunkedTotal asserts that sizes add up without overflow even when no
// limit is set: nobody sends that much, but a forged size must not wrap.
func TestChunkedTotal(t *testing.T) {
	c := chunkedReader{total: 1<<63 - 1 - 4}
	_, _, _, err := c.read(nil, []byte("5\r\n"), &chunkLimits{})
	if err != errChunkSizeTooLarge {
		t.Errorf("read = %v, want %v", err, errChunkSizeTooLarge)
	}
}

func TestChunkedTrailerIsACopy(t *testing.T) {
	var c chunkedReader
	in := []byte("0\r\nX-A: 1\r\n\r\n")
	if _, _, done, err := c.read(nil, in, &testChunkLimits); !done || err != nil {
		t.Fatal(done, err)
	}
	h := c.trailer()
	clear(in)
	clear(c.raw)
	if got := h.Get("x-a"); got != "1" {
		t.Errorf("trailer X-A = %q after the buffers were overwritten", got)
	}
}

func ExampleProtocolError() {
	err := error(errChunkSize)
	fmt.Println(err)
	// Output: server: 400: invalid chunk size
}
