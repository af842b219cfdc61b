// SPDX-License-Identifier: MIT

package server

import (
	"strings"
	"testing"
)

const browserHead = "GET /articles/2024/05/some-title?utm_source=x&utm_medium=y HTTP/1.1\r\n" +
	"Host: www.example.com\r\n" +
	"Connection: keep-alive\r\n" +
	"Cache-Control: max-age=0\r\n" +
	"Upgrade-Insecure-Requests: 1\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Sec-Fetch-Site: none\r\n" +
	"Sec-Fetch-Mode: navigate\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en-US,en;q=0.9\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n"

func BenchmarkParseHead(b *testing.B) {
	for _, bb := range []struct{ name, in string }{
		{"small", "GET /hello HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"},
		{"post", "POST /items HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 42\r\n\r\n"},
		{"browser", browserHead},
		{"cookie-8k", getLine + hostLine + "Cookie: " + strings.Repeat("v", 8<<10) + "\r\n\r\n"},
		{"refused", getLine + hostLine + "X-A : b\r\n\r\n"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			in := []byte(bb.in)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			var p headParser
			for b.Loop() {
				p.reset()
				if n, err := p.parse(in, &testLimits); n == 0 && err == nil {
					b.Fatal("incomplete")
				}
			}
		})
	}
}

func BenchmarkHeaderGet(b *testing.B) {
	start := strings.Index(browserHead, "\r\n") + 2
	h := newHeader(browserHead[start : len(browserHead)-2])
	for _, name := range []string{"Host", "cookie", "X-Request-Id"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = h.Get(name)
			}
		})
	}
}

func BenchmarkChunked(b *testing.B) {
	for _, bb := range []struct {
		name string
		size string
		data int
	}{{"16", "10", 16}, {"4096", "1000", 4096}} {
		b.Run(bb.name, func(b *testing.B) {
			in := []byte(strings.Repeat(bb.size+"\r\n"+strings.Repeat("x", bb.data)+"\r\n", 16) + "0\r\n\r\n")
			room := make([]byte, 16*bb.data)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				var c chunkedReader
				if _, _, done, _ := c.read(room, in, &testChunkLimits); !done {
					b.Fatal("not done")
				}
			}
		})
	}
}
