// SPDX-License-Identifier: MIT

// Command drip holds many connections whose request never ends: on each it sends
// another octet of a header field every second. Connections that the server cuts
// are opened anew. It reports once all of them are open, and goes on until its
// standard input ends.
package main

import (
	"flag"
	"io"
	"os"
	"time"

	"github.com/pleat-go/pleat/bench/load"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` of the server")
	count := flag.Int("c", 2000, "how many connections")
	flag.Parse()
	load.Exit("drip", run(*addr, *count))
}

const beginning = "GET /hello HTTP/1.1\r\nHost: bench\r\nX-Drip: "

func run(addr string, count int) error {
	start := time.Now()
	conns := make([]*load.Conn, count)
	for i := range conns {
		var err error
		if conns[i], err = open(addr); err != nil {
			return err
		}
	}
	report := load.Report{Requests: int64(count), Seconds: time.Since(start).Seconds()}
	if err := report.Print(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	// A share of the connections at each tick, all of them within a second.
	const ticks = 50
	ticker := time.NewTicker(time.Second / ticks)
	defer ticker.Stop()
	for turn := 0; ; turn = (turn + 1) % ticks {
		select {
		case <-ended:
			return nil
		case <-ticker.C:
		}
		for i := turn; i < count; i += ticks {
			if conns[i] != nil {
				if _, err := conns[i].Write([]byte{'a'}); err == nil {
					continue
				}
				_ = conns[i].Close()
			}
			conns[i], _ = open(addr) // tried again a second later
		}
	}
}

func open(addr string) (*load.Conn, error) {
	c, err := load.Dial(addr)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, beginning); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}
