// SPDX-License-Identifier: MIT

// Command idle opens many connections, makes one request on each, reports, and
// holds them open until its standard input ends.
package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"sync"
	"time"

	"github.com/pleat-go/pleat/bench/load"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` of the server")
	count := flag.Int("c", 9000, "how many connections")
	path := flag.String("path", "/hello", "what to ask for")
	flag.Parse()
	load.Exit("idle", run(*addr, *count, load.Get(*path, nil)))
}

func run(addr string, count int, request []byte) error {
	const workers = 32
	conns := make([]*load.Conn, count)
	errs := make([]error, workers)
	start := time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < count && errs[w] == nil; i += workers {
				conns[i], errs[w] = open(addr, request)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	report := load.Report{Requests: int64(count), Seconds: time.Since(start).Seconds()}
	if err := report.Print(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		_ = c.Close()
	}
	return err
}

func open(addr string, request []byte) (*load.Conn, error) {
	c, err := load.Dial(addr)
	if err != nil {
		return nil, err
	}
	if err := c.Do(request); err != nil {
		_ = c.Close()
		return nil, err
	}
	c.DropBuffer()
	return c, c.SetDeadline(time.Time{})
}
