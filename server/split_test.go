// SPDX-License-Identifier: MIT

package server

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pleat-go/pleat/internal/conformance"
)

var exhaustive = flag.Bool("exhaustive", false, "in TestSplitAnywhere, cut at every octet instead of a sample, and short conversations at every pair")

// conversations is everything a client is known to say: the corpus of the machine,
// that of the standard, and the rows of the parsers' tables.
func conversations(t testing.TB) map[string]string {
	t.Helper()
	all := maps.Clone(corpus)
	cases, err := conformance.Load(os.DirFS("testdata/conformance"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		all[c.Section+" "+c.Name] = c.Sent()
	}
	for _, tt := range headCases {
		all["head, "+tt.name] = tt.in
	}
	for _, tt := range chunkedCases {
		all["chunks, "+tt.name] = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + tt.in
	}
	for _, tt := range targetCases {
		all["target, "+tt.method+" "+tt.target] = tt.method + " " + tt.target + " HTTP/1.1\r\nHost: h\r\n\r\n"
	}
	return all
}

// outcome is what came of a conversation: what handlers were given, what was
// answered, and what the machine wants then.
type outcome struct {
	given, answered string
	act             action
}

func (o outcome) String() string {
	return fmt.Sprintf("action %d, handlers got\n%s\nanswered %q", o.act, o.given, clip(o.answered, 400))
}

// cut runs a conversation that comes in pieces which end at the given places.
func cut(t testing.TB, srv *HTTPServer, in string, at ...int) outcome {
	t.Helper()
	s := &scripted{in: []byte(in)}
	s.pieces = func() int {
		read := len(in) - len(s.in)
		for _, c := range at {
			if c > read {
				return c - read
			}
		}
		return len(in)
	}
	return follow(t, srv, s)
}

// follow drives a machine and takes down what it does.
func follow(t testing.TB, srv *HTTPServer, s *scripted) (o outcome) {
	t.Helper()
	var given strings.Builder
	srv.Handler = HandlerFunc(func(r *HTTPRequest) {
		fmt.Fprintf(&given, "%s %s of %s%s, 1.%d, %v", r.Method(), r.Target(), r.Host(), r.Path(), r.head.minor, slices.Collect(headerLinesOf(r.Header())))
		if r.Path() == "/len" {
			n, err := io.Copy(io.Discard, r.BodyReader())
			fmt.Fprintf(&given, ", %d octets, %v, %v", n, err, r.Trailer().Map())
			_ = r.SendString(200, "", strconv.FormatInt(n, 10))
		} else {
			corpusHandler(r)
		}
		given.WriteString("\n")
	})
	o.act = s.drive(machine(t, srv, s))
	o.given = given.String()
	out := dateLine.ReplaceAllString(s.out.String(), "")
	// Whether a body is asked for depends on whether it is there.
	o.answered = strings.ReplaceAll(out, "HTTP/1.1 100 Continue\r\n\r\n", "")
	return o
}

func headerLinesOf(h Header) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name, value := range h.All() {
			if !yield(name + ": " + value) {
				return
			}
		}
	}
}

// splitDone spares the second engine what has no engine.
var splitDone bool

// TestSplitAnywhere cuts every conversation into single octets and at a sample of
// places; with -exhaustive at every octet, and the short ones at every pair. It
// asserts that it makes no difference to what handlers get, to what is answered and
// to how it ends.
func TestSplitAnywhere(t *testing.T) {
	if splitDone {
		t.Skip("machines know no engines")
	}
	splitDone = true
	srv := &HTTPServer{}
	rnd := rand.New(rand.NewPCG(11, 12))
	conversations := conversations(t)
	cuts := 0
	for _, name := range slices.Sorted(maps.Keys(conversations)) {
		in := conversations[name]
		whole := cut(t, srv, in)
		for _, at := range places(len(in), rnd) {
			cuts++
			if got := cut(t, srv, in, at...); got != whole {
				t.Fatalf("%s: %q cut at %v: %s\nwhole: %s", name, clip(in, 300), at, got, whole)
			}
		}
		if len(in) < 20_000 {
			s := &scripted{in: []byte(in), pieces: oneOctet}
			if got := follow(t, srv, s); got != whole {
				t.Fatalf("%s: %q octet by octet: %s\nwhole: %s", name, clip(in, 300), got, whole)
			}
		}
	}
	t.Logf("%d conversations, cut in %d ways", len(conversations), cuts)
}

// places are where to cut n octets. In what is long, which is long by repetition,
// those in the middle are always a sample.
func places(n int, rnd *rand.Rand) (all [][]int) {
	const (
		dense = 600 // octets at both ends
		short = 60
	)
	if !*exhaustive {
		for range min(n-1, 8) {
			all = append(all, []int{1 + rnd.IntN(n-1)})
		}
		return all
	}
	for i := 1; i < n; i++ {
		if i > dense && i < n-dense {
			i = min(i+rnd.IntN(1+n/50), n-dense)
		}
		all = append(all, []int{i})
		for j := i + 1; j < n && n <= short; j++ {
			all = append(all, []int{i, j})
		}
	}
	return all
}
