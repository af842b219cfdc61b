// SPDX-License-Identifier: MIT

// Command paced makes requests with a pause before each next one of a connection,
// for some time or up to an exact number, and reports.
package main

import (
	"errors"
	"flag"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pleat-go/pleat/bench/load"
)

func main() {
	var p pace
	flag.StringVar(&p.addr, "addr", "127.0.0.1:8080", "`host:port` of the server")
	flag.IntVar(&p.conns, "c", 8, "how many connections")
	flag.DurationVar(&p.pause, "pause", time.Millisecond, "how long a connection rests after an answer")
	flag.DurationVar(&p.duration, "d", 5*time.Second, "for how long; not used with -n")
	flag.Int64Var(&p.count, "n", 0, "how many requests, over all connections")
	path := flag.String("path", "/hello", "what to ask for")
	var header []string
	flag.Func("header", "a field `line` for each request; can be repeated", func(line string) error {
		header = append(header, line)
		return nil
	})
	flag.Parse()
	p.request = load.Get(*path, header)
	load.Exit("paced", p.run())
}

type pace struct {
	addr            string
	conns           int
	pause, duration time.Duration
	count           int64
	request         []byte

	begun atomic.Int64
	end   time.Time
}

func (p *pace) run() error {
	latencies := make([][]time.Duration, p.conns)
	errs := make([]error, p.conns)
	start := time.Now()
	p.end = start.Add(p.duration)
	var wg sync.WaitGroup
	for i := range p.conns {
		wg.Go(func() { latencies[i], errs[i] = p.runConn() })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var all []time.Duration
	for _, l := range latencies {
		all = append(all, l...)
	}
	report := load.Report{Requests: int64(len(all)), Seconds: time.Since(start).Seconds()}
	report.SetLatencies(all)
	return report.Print()
}

func (p *pace) more() bool {
	if p.count > 0 {
		return p.begun.Add(1) <= p.count
	}
	return time.Now().Before(p.end)
}

func (p *pace) runConn() (latencies []time.Duration, err error) {
	c, err := load.Dial(p.addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	for p.more() {
		began := time.Now()
		if err := c.Do(p.request); err != nil {
			return latencies, err
		}
		latencies = append(latencies, time.Since(began))
		if p.pause > 0 {
			time.Sleep(p.pause)
		}
	}
	return latencies, nil
}
