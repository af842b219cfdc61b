// SPDX-License-Identifier: MIT

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/pleat-go/pleat/bench/load"
)

// bench is a run.
type bench struct {
	*plan
	progress io.Writer
	cookies  map[string]string // genuine session cookies, by server
	results  *results
}

// sample is what one measurement of one server found, by metric.
type sample map[string]float64

// measureAll measures scenario by scenario, and in each the servers in turn, so
// that what changes on the machine meanwhile meets all of them. A failed
// measurement is reported and does not end the run.
func (b *bench) measureAll(ctx context.Context) error {
	var errs []error
	for _, s := range b.scenarios {
		rounds := b.roundsOf(s)
		for round := range rounds {
			if round > 0 && b.outOfTime() {
				fmt.Fprintf(b.progress, "%s: time is short, %d of %d rounds\n", s.name, round, rounds)
				break
			}
			if err := b.measureRound(ctx, s, round, rounds); err != nil {
				errs = append(errs, err)
			}
			if ctx.Err() != nil {
				return errors.Join(append(errs, ctx.Err())...)
			}
		}
	}
	return errors.Join(errs...)
}

func (b *bench) measureRound(ctx context.Context, s scenario, round, rounds int) error {
	var errs []error
	for _, r := range b.servers {
		if !b.takesPart(s, r.name) {
			continue
		}
		fmt.Fprintf(b.progress, "%s %d/%d %s          \r", s.name, round+1, rounds, r.name)
		found, err := s.measure(ctx, b, r.name)
		if ctx.Err() != nil {
			return nil // said by the caller
		}
		if err != nil {
			err = fmt.Errorf("%s: %s: %w", s.name, r.name, err)
			fmt.Fprintln(b.progress, err)
			errs = append(errs, err)
		}
		b.results.add(s.name, r.name, found) // nothing, where it failed
	}
	return errors.Join(errs...)
}

func (b *bench) roundsOf(s scenario) int {
	switch {
	case b.rounds > 0:
		return b.rounds
	case b.quick:
		return max(1, s.quickRounds)
	}
	return 3
}

func (b *bench) outOfTime() bool { return !b.budgetEnds.IsZero() && time.Now().After(b.budgetEnds) }

func (b *bench) takesPart(s scenario, name string) bool {
	if name == limit && !s.limit {
		return false
	}
	return !b.quick || len(s.quickServers) == 0 || slices.Contains(s.quickServers, name)
}

// warm has a server answer for a moment, so that its heap, its pools and its
// code are as they will stay.
func (b *bench) warm(ctx context.Context, s *server, path string, header ...string) error {
	d := time.Second
	if b.quick {
		d = 200 * time.Millisecond
	}
	args := []string{"-c", "64", "-pause", "0s", "-d", d.String(), "-path", path}
	for _, line := range header {
		args = append(args, "-header", line)
	}
	_, err := runLoad(ctx, b.loadCommand("paced", s, args...))
	if err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	return nil
}

// underLoad runs a load and finds out what the server needed for it.
func (b *bench) underLoad(ctx context.Context, s *server, c *exec.Cmd) (sample, error) {
	before, err := s.cpu()
	if err != nil {
		return nil, err
	}
	report, err := runLoad(ctx, c)
	if err != nil {
		return nil, err
	}
	after, err := s.cpu()
	if err != nil {
		return nil, err
	}
	rss, peak, err := s.memory()
	if err != nil {
		return nil, err
	}
	return newSample(report, after.sub(before), rss, peak), nil
}

func newSample(r load.Report, used cpuTime, rss, peak float64) sample {
	n := float64(r.Requests)
	perRequest := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / n }
	return sample{
		"cpu": perRequest(used.total), "user": perRequest(used.user), "sys": perRequest(used.sys),
		"rate": n / r.Seconds, "megabytes": float64(r.Bytes) / 1e6 / r.Seconds,
		"p50": r.P50, "p99": r.P99,
		"rss": rss / (1 << 20), "peak": peak / (1 << 20),
	}
}

// measureWrk makes a measurement out of a run of wrk.
func measureWrk(set setting, w wrk) func(context.Context, *bench, string) (sample, error) {
	return func(ctx context.Context, b *bench, name string) (sample, error) {
		s, err := b.startServer(ctx, name, set)
		if err != nil {
			return nil, err
		}
		defer s.stop()
		if !set.tls { // which the load programs do not speak
			if err := b.warm(ctx, s, w.path); err != nil {
				return nil, err
			}
		}
		w := w
		w.duration = b.duration
		return b.underLoad(ctx, s, b.wrkCommand(s, w))
	}
}

// measureApp measures behind the stack of middleware.
func measureApp(path, script string) func(context.Context, *bench, string) (sample, error) {
	return func(ctx context.Context, b *bench, name string) (sample, error) {
		s, err := b.startServer(ctx, name, setting{})
		if err != nil {
			return nil, err
		}
		defer s.stop()
		if err := b.warm(ctx, s, "/app/users/42", "Cookie: session="+b.cookies[name], "X-Forwarded-For: 203.0.113.7"); err != nil {
			return nil, err
		}
		w := wrk{conns: 64, path: path, script: script, args: []string{b.cookies[name]}, duration: b.duration}
		return b.underLoad(ctx, s, b.wrkCommand(s, w))
	}
}

// measureUpstream measures a server that asks another, which is always the same
// one and sits on the processor of the load.
func measureUpstream(ctx context.Context, b *bench, name string) (sample, error) {
	upstream, err := b.startServer(ctx, "nethttp", setting{onLoad: true})
	if err != nil {
		return nil, err
	}
	defer upstream.stop()
	return measureWrk(setting{upstream: upstream.url + "/json"}, wrk{conns: 64, path: "/upstream"})(ctx, b, name)
}

// measureIdle measures how much the resident set grows by a connection that
// rests after one request.
func measureIdle(ctx context.Context, b *bench, name string) (sample, error) {
	s, err := b.startServer(ctx, name, setting{})
	if err != nil {
		return nil, err
	}
	defer s.stop()
	// Just enough for all code to have run: a heap that was stretched by load would
	// have room in it that connections fill without a trace.
	if _, err := runLoad(ctx, b.loadCommand("paced", s, "-c", "4", "-pause", "0s", "-n", "40")); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	before, _, err := s.memory()
	if err != nil {
		return nil, err
	}
	l, err := startLoad(b.loadCommand("idle", s, "-c", strconv.Itoa(idleConns)))
	if err != nil {
		return nil, err
	}
	defer l.stop()
	if _, err := l.report(ctx); err != nil {
		return nil, err
	}
	if err := settle(ctx, b.duration/5); err != nil {
		return nil, err
	}
	after, _, err := s.memory()
	if err != nil {
		return nil, err
	}
	l.end()
	return sample{"conn": (after - before) / idleConns, "rss": after / (1 << 20)}, nil
}

const idleConns = 9000

// measureMixed measures /hello alone, beside handlers that block, and beside
// connections that never finish their request.
func measureMixed(ctx context.Context, b *bench, name string) (sample, error) {
	s, err := b.startServer(ctx, name, setting{})
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := b.warm(ctx, s, "/hello"); err != nil {
		return nil, err
	}
	hello := func() (sample, error) {
		return b.underLoad(ctx, s, b.wrkCommand(s, wrk{conns: 64, path: "/hello", duration: b.duration}))
	}
	alone, err := hello()
	if err != nil {
		return nil, err
	}

	blocked, err := startLoad(b.wrkCommand(s, wrk{conns: 50, path: "/slow?ms=1000", duration: b.duration + 10*time.Second}))
	if err != nil {
		return nil, err
	}
	defer blocked.stop()
	if err := settle(ctx, 200*time.Millisecond); err != nil {
		return nil, err
	}
	slow, err := hello()
	blocked.stop()
	if err != nil {
		return nil, fmt.Errorf("beside slow handlers: %w", err)
	}

	drips, err := startLoad(b.loadCommand("drip", s, "-c", "2000"))
	if err != nil {
		return nil, err
	}
	defer drips.stop()
	if _, err := drips.report(ctx); err != nil {
		return nil, fmt.Errorf("opening slow connections: %w", err)
	}
	drip, err := hello()
	drips.end()
	if err != nil {
		return nil, fmt.Errorf("beside slow connections: %w", err)
	}
	return sample{
		"slow_kept": slow["rate"] / alone["rate"], "drip_kept": drip["rate"] / alone["rate"],
		"alone_rate": alone["rate"], "slow_rate": slow["rate"], "drip_rate": drip["rate"],
		"alone_p99": alone["p99"], "slow_p99": slow["p99"], "drip_p99": drip["p99"],
	}, nil
}

// measureUpload measures large bodies.
func measureUpload(ctx context.Context, b *bench, name string) (sample, error) {
	s, err := b.startServer(ctx, name, setting{})
	if err != nil {
		return nil, err
	}
	defer s.stop()
	count := 10_000
	if b.quick {
		count = 1000
	}
	return b.underLoad(ctx, s, b.loadCommand("upload", s, "-c", "64", "-size", strconv.Itoa(1<<20), "-n", strconv.Itoa(count)))
}

// measureLight measures a server that mostly waits.
func measureLight(ctx context.Context, b *bench, name string) (sample, error) {
	s, err := b.startServer(ctx, name, setting{cores: 2})
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := b.warm(ctx, s, "/hello"); err != nil {
		return nil, err
	}
	return b.underLoad(ctx, s, b.loadCommand("paced", s, "-c", "8", "-pause", "1ms", "-d", b.duration.String()))
}

// measureAllocations measures what the heap of a server goes through.
func measureAllocations(ctx context.Context, b *bench, name string) (sample, error) {
	s, err := b.startServer(ctx, name, setting{})
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := b.warm(ctx, s, "/hello"); err != nil {
		return nil, err
	}
	objects, octets, err := s.allocations()
	if err != nil {
		return nil, err
	}
	r, err := runLoad(ctx, b.loadCommand("paced", s, "-c", "64", "-pause", "0s", "-n", "100000"))
	if err != nil {
		return nil, err
	}
	objectsAfter, octetsAfter, err := s.allocations()
	if err != nil {
		return nil, err
	}
	n := float64(r.Requests)
	return sample{"objects": (objectsAfter - objects) / n, "octets": (octetsAfter - octets) / n}, nil
}

// settle waits for what is under way on the machine.
func settle(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
