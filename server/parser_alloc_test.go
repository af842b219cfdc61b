// SPDX-License-Identifier: MIT

//go:build !race

package server

import "testing"

func TestParserAllocations(t *testing.T) {
	browser, bad := []byte(browserHead), []byte(getLine+hostLine+"X : y\r\n")
	body, room := []byte("5;a=b\r\nhello\r\n0\r\n\r\n"), make([]byte, 16)
	header := newHeader(rawHeader)
	tests := []struct {
		name string
		run  func()
	}{
		{"head", func() {
			var p headParser
			if n, _ := p.parse(browser, &testLimits); n != len(browser) {
				t.Fatal(n)
			}
		}},
		{"refused head", func() {
			var p headParser
			if _, err := p.parse(bad, &testLimits); err == nil {
				t.Fatal("accepted")
			}
		}},
		{"head in pieces", func() {
			var p headParser
			for end := 0; end < len(browser); end += 7 {
				_, _ = p.parse(browser[:end], &testLimits)
			}
		}},
		{"chunked", func() {
			var c chunkedReader
			if _, _, done, _ := c.read(room, body, &testChunkLimits); !done {
				t.Fatal("not done")
			}
		}},
		{"header", func() {
			if header.Get("x-a") != "1" || !header.HasToken("connection", "keep-alive") || header.Len() != 9 {
				t.Fatal("not found")
			}
			for range header.All() {
				continue
			}
		}},
	}
	for _, tt := range tests {
		wantAllocs(t, tt.name, 0, tt.run)
	}
}
