// SPDX-License-Identifier: MIT

package server

import (
	"context"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// BenchmarkLoop is what a request costs a loop besides epoll and the network: an
// event handled, a read and a write on a socket pair, and everything between.
// With 16 requests in a read it is mostly what is between.
func BenchmarkLoop(b *testing.B) {
	const hello = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
	for _, bench := range []struct {
		name    string
		request string
	}{
		{"one", hello},
		{"browser", "GET /hello HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
			"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
			"Connection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n"},
		{"sixteen", hello + hello + hello + hello + hello + hello + hello + hello + hello + hello + hello + hello + hello + hello + hello + hello},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := &HTTPServer{Handler: HandlerFunc(func(r *HTTPRequest) {
				_ = r.SendString(200, "text/plain; charset=utf-8", "Hello, World!")
			})}
			if err := s.prepare(); err != nil {
				b.Fatal(err)
			}
			e := &loopEngine{srv: s, began: time.Now()}
			l, err := newLoop(e)
			if err != nil {
				b.Fatal(err)
			}
			e.loops = []*loop{l}
			defer e.end()
			l.armed.Store(true) // no followers
			fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = syscall.Close(fds[1]) }()
			s.tracker.acquire()
			e.add(&serving{srv: s, set: s.set, base: context.Background()}, fds[0], netip.AddrPort{})
			var k *loopConn
			e.table.each(func(it *loopConn) { k = it })
			defer k.close()

			client := &loopConn{fd: fds[1]}
			request, answer := []byte(bench.request), make([]byte, 8<<10)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.writeOnce(request, nil); err != nil {
					b.Fatal(err)
				}
				l.handle(event{k: k, happened: stateIn})
				if n, err := client.readOnce(answer); n == 0 {
					b.Fatal("no answer", err)
				}
			}
		})
	}
}
