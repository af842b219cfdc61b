// SPDX-License-Identifier: MIT

//go:build !race

package client_test

import (
	"bytes"
	"context"
	"math"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/pleat-go/pleat/client"
)

// echoless is a peer that answers every request on a connection with the same bytes and allocates nothing while at it.
func echoless(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	reply := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!")
	end := []byte("\r\n\r\n")
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4<<10)
				n := 0
				for {
					m, err := c.Read(buf[n:])
					if err != nil {
						return
					}
					n += m
					if bytes.HasSuffix(buf[:n], end) {
						n = 0
						if _, err := c.Write(reply); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/"
}

// TestAllocsPerCall holds a GET over a kept connection, under a deadline it inherits, to its budget: 48 allocations and
// 3.6 KiB, nearly all of which are net/http's.
func TestAllocsPerCall(t *testing.T) {
	url := echoless(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	base := tidy(t, &client.HTTPClient{Timeout: time.Hour})
	c := base.Bind(client.Binding{Context: ctx, MaxCalls: -1})
	call := func() {
		if b, err := c.Get(url).Bytes(); err != nil || len(b) != 13 {
			t.Fatal(err)
		}
	}
	const runs = 2000
	allocs := testing.AllocsPerRun(runs, call)
	size := uint64(math.MaxUint64)
	for range 5 { // what others allocate meanwhile is no call's
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			call()
		}
		runtime.ReadMemStats(&after)
		size = min(size, (after.TotalAlloc-before.TotalAlloc)/runs)
	}
	t.Logf("%v allocations, %d bytes", allocs, size)
	if allocs > 48 {
		t.Errorf("%v allocations per call, budget 48", allocs)
	}
	if size > 3686 {
		t.Errorf("%d bytes per call, budget 3686", size)
	}
}

// TestAllocsBind holds a binding that makes no call to its single allocation.
func TestAllocsBind(t *testing.T) {
	var base client.HTTPClient
	base.CloseIdleConnections()
	b := client.Binding{Context: context.Background()}
	var c *client.HTTPClient
	if n := testing.AllocsPerRun(10_000, func() { c = base.Bind(b) }); n > 1 {
		t.Errorf("%v allocations, want 1", n)
	}
	runtime.KeepAlive(c)
}

func BenchmarkGet(b *testing.B) {
	url := echoless(b)
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	base := tidy(b, &client.HTTPClient{Timeout: 2 * time.Hour})
	c := base.Bind(client.Binding{Context: ctx, MaxCalls: -1})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Get(url).Bytes(); err != nil {
			b.Fatal(err)
		}
	}
}
