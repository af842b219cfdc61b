// SPDX-License-Identifier: MIT

// Command upload sends a number of bodies to /len and reports.
package main

import (
	"errors"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pleat-go/pleat/bench/load"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` of the server")
	conns := flag.Int("c", 64, "how many connections")
	count := flag.Int64("n", 10_000, "how many uploads")
	size := flag.Int("size", 1<<20, "octets of each")
	flag.Parse()
	load.Exit("upload", run(*addr, *conns, *count, *size))
}

func run(addr string, conns int, count int64, size int) error {
	head := fmt.Appendf(nil, "POST /len HTTP/1.1\r\nHost: bench\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", size)
	body := make([]byte, size)
	latencies := make([][]time.Duration, conns)
	errs := make([]error, conns)
	var begun atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for i := range conns {
		wg.Go(func() {
			c, err := load.Dial(addr)
			if err != nil {
				errs[i] = err
				return
			}
			defer func() { _ = c.Close() }()
			for begun.Add(1) <= count {
				began := time.Now()
				if errs[i] = c.Do(head, body); errs[i] != nil {
					return
				}
				latencies[i] = append(latencies[i], time.Since(began))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	report := load.Report{Requests: count, Seconds: time.Since(start).Seconds(), Bytes: count * int64(size)}
	var all []time.Duration
	for _, l := range latencies {
		all = append(all, l...)
	}
	report.SetLatencies(all)
	return report.Print()
}
