// SPDX-License-Identifier: MIT

package server_test

import (
	"io"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// TestHostileLatency measures how long a client waits for its answers, alone and
// beside 5,000 half-open connections, each of which goes on with its head now and
// then. The 99th percentile may not become three times as long. It is a
// measurement, for a machine that has nothing else to do: see `make hostile-latency`.
func TestHostileLatency(t *testing.T) {
	if *hostile != "latency" {
		t.Skip("a measurement: make hostile-latency")
	}
	const (
		attackers = 5000
		each      = 5 * time.Second
		factor    = 3
	)
	addr := besieged(t, &server.HTTPServer{HeaderTimeout: time.Minute, Handler: orNonce(func(*server.HTTPRequest) {
		t.Error("half a head reached a handler")
	})})
	measure := func() (p50, p99 time.Duration, n int64) {
		b := standBy(t, addr)
		time.Sleep(each)
		b.leave()
		return b.percentile(0.5), b.percentile(0.99), b.answered.Load()
	}
	measure() // warms up
	p50, p99, n := measure()
	t.Logf("alone: %d answers, p50 %v, p99 %v", n, p50, p99)

	conns := crowd(t, attackers, addr)
	for _, conn := range conns {
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\nX: ")
		must(t, err)
	}
	stop := make(chan struct{})
	dripped := make(chan struct{})
	go func() { // each of them an octet every five seconds
		defer close(dripped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				_, _ = io.WriteString(conns[i%attackers], "x")
			}
		}
	}()
	for range 3 { // one bad interval is noise, three are not
		under50, under99, n := measure()
		t.Logf("beside %d half-open connections: %d answers, p50 %v, p99 %v", attackers, n, under50, under99)
		if under99 <= factor*p99 {
			close(stop)
			<-dripped
			return
		}
	}
	close(stop)
	<-dripped
	t.Errorf("p99 is more than %d times as long as alone", factor)
}
