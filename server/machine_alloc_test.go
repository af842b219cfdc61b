// SPDX-License-Identifier: MIT

//go:build !race

package server

import (
	"runtime"
	"testing"
)

// repeated gives a machine the same request again and again.
type repeated struct {
	scripted
	request []byte
}

// serveOne has a machine on a repeated transport serve one request.
func (s *repeated) serveOne(c *HTTPConnection) action {
	c.received(copy(c.room(), s.request))
	s.out.Reset()
	act := c.run()
	c.rest()
	return act
}

const browserRequest = "GET /ok?x=1 HTTP/1.1\r\nHost: www.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef; theme=dark\r\n\r\n"

func TestMachineAllocations(t *testing.T) {
	tests := []struct {
		name    string
		request string
		handler HandlerFunc
		allocs  float64
		octets  uint64
	}{
		{"text", "GET /ok HTTP/1.1\r\nHost: h\r\n\r\n", corpusHandler, 3, 1 << 10},
		{"text to a browser", browserRequest, corpusHandler, 3, 1 << 10},
		{"fields", browserRequest, func(r *HTTPRequest) {
			_, _ = r.Cookie("session")
			_ = r.Header().Get("Accept-Language")
			_ = r.SetHeader("X-Request-Id", "0123456789")
			_ = r.SetHeader("Cache-Control", "no-store")
			_ = r.SendString(200, "text/plain", "ok")
		}, 3, 1 << 10},
		{"streamed", "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n", corpusHandler, 3, 1 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &repeated{request: []byte(tt.request)}
			c := machine(t, &HTTPServer{Handler: tt.handler}, &s.scripted)
			run := func() {
				if act := s.serveOne(c); act != actRead {
					t.Fatalf("action %d", act)
				}
			}
			run()
			if n := testing.AllocsPerRun(1000, run); n > tt.allocs {
				t.Errorf("%v allocations a request, want %v at most", n, tt.allocs)
			}
			var before, after runtime.MemStats
			const rounds = 2000
			runtime.ReadMemStats(&before)
			for range rounds {
				run()
			}
			runtime.ReadMemStats(&after)
			if n := (after.TotalAlloc - before.TotalAlloc) / rounds; n > tt.octets {
				t.Errorf("%d octets allocated a request, want %d at most", n, tt.octets)
			} else {
				t.Logf("%d octets a request", n)
			}
		})
	}
}

// BenchmarkServe measures a request from its octets to those of its answer,
// without the kernel.
func BenchmarkServe(b *testing.B) {
	for name, request := range map[string]string{
		"bare":      "GET /ok HTTP/1.1\r\nHost: h\r\n\r\n",
		"browser":   browserRequest,
		"post":      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nhello world",
		"stream":    "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n",
		"net/http":  "GET /std HTTP/1.1\r\nHost: h\r\n\r\n",
		"pipelined": repeat("GET /ok HTTP/1.1\r\nHost: h\r\n\r\n", 16),
	} {
		b.Run(name, func(b *testing.B) {
			s := &repeated{request: []byte(request)}
			c := machine(b, &HTTPServer{Handler: HandlerFunc(corpusHandler)}, &s.scripted)
			b.ReportAllocs()
			b.SetBytes(int64(len(request)))
			for b.Loop() {
				if act := s.serveOne(c); act != actRead {
					b.Fatal(act)
				}
			}
		})
	}
}

func repeat(s string, n int) (all string) {
	for range n {
		all += s
	}
	return all
}
