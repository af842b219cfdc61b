// SPDX-License-Identifier: MIT

package server

import (
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
)

// FuzzParseHead holds the parser against the reference, against itself on the
// same octets cut elsewhere, and against net/http.
func FuzzParseHead(f *testing.F) {
	for _, tt := range headCases {
		if len(tt.in) < 4096 {
			f.Add(tt.in, 0, 0, 0, uint64(1))
		}
	}
	for _, tt := range targetCases {
		f.Add(tt.method+" "+tt.target+" HTTP/1.1\r\n"+hostLine+"\r\n", 0, 0, 0, uint64(2))
	}
	f.Add(browserHead, 0, 0, 0, uint64(3))
	f.Add(browserHead, 100, 3, 10, uint64(4))
	f.Fuzz(func(t *testing.T, in string, headBytes, fields, targetBytes int, seed uint64) {
		for _, lim := range []headLimits{testLimits, {headBytes, fields, targetBytes}} {
			checkAgainstSlow(t, in, lim)
			checkSplits(t, in, lim, rand.New(rand.NewPCG(seed, 0)))
		}
		checkAgainstNetHTTP(t, in)
	})
}

// FuzzTarget looks closer at targets and authorities than octets at random
// would, and asks net/url as well.
func FuzzTarget(f *testing.F) {
	for _, tt := range targetCases {
		f.Add(tt.method, tt.target, "a.test")
	}
	for _, tt := range authorityCases {
		f.Add("GET", "http://"+tt.in+"/", tt.in)
		f.Add("CONNECT", tt.in, tt.in)
	}
	f.Fuzz(func(t *testing.T, method, target, host string) {
		if got, want := validAuthority([]byte(host)), slowAuthority(host); got != want {
			t.Fatalf("validAuthority(%q) = %v, want %v", host, got, want)
		}
		in := method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
		checkAgainstNetHTTP(t, in)
		if got := checkAgainstSlow(t, in, testLimits); got.n == 0 || got.path == "" || got.path == "*" {
			return
		}
		if strings.ContainsAny(target, "\r\n") || strings.ContainsAny(host, "\r\n") {
			return // the input was something else than these three parts
		}
		// Whoever builds a link from what was accepted gets one that leads
		// to the same host and path.
		var p headParser
		_, _ = p.parse([]byte(in), &testLimits)
		s := in[p.head.skipped:]
		authority := p.head.host.of(s)
		if authority == "" || strings.Contains(authority, "%") || strings.HasPrefix(strings.ToLower(authority), "[v") {
			return
		}
		link := "http://" + authority + p.head.pathOf(s)
		u, err := url.Parse(link)
		if err != nil || u.Host != authority || u.EscapedPath() != p.head.pathOf(s) || u.User != nil {
			t.Fatalf("url.Parse(%q) = %v, %v", link, u, err)
		}
	})
}

// FuzzChunked holds the chunked reader against the reference, against itself
// on other cuts, and against net/http.
func FuzzChunked(f *testing.F) {
	for _, tt := range chunkedCases {
		if len(tt.in) < 4096 {
			f.Add(tt.in, int64(0), 0, 0, uint64(1))
			f.Add(tt.in, int64(3), 10, 1, uint64(2))
		}
	}
	f.Fuzz(func(t *testing.T, in string, body int64, trailer, fields int, seed uint64) {
		if len(in) > 8<<10 {
			t.Skip("what matters is in the framing, and the oracles are slow on data")
		}
		r := rand.New(rand.NewPCG(seed, 0))
		checkChunkedSplits(t, in, testChunkLimits, r)
		checkChunkedSplits(t, in, chunkLimits{body, trailer, fields}, r)
		checkChunkedOracles(t, in)
	})
}
