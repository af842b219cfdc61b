// SPDX-License-Identifier: MIT

//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pleat-go/pleat/bench/load"
)

// wrk describes a run of wrk.
type wrk struct {
	conns    int
	path     string
	script   string   // report.lua by default
	args     []string // of the script
	duration time.Duration
}

func (p *plan) wrkCommand(s *server, w wrk) *exec.Cmd {
	if w.script == "" {
		w.script = "report.lua"
	}
	args := []string{
		"-c", strconv.Itoa(p.loadCPU), "wrk", "-t1", "-c" + strconv.Itoa(w.conns),
		fmt.Sprintf("-d%ds", int(w.duration.Seconds())), "--timeout", "30s",
		"-s", filepath.Join(p.lua, w.script), s.url + w.path, "--",
	}
	return exec.Command("taskset", append(args, w.args...)...)
}

// loadCommand is one of the load programs.
func (p *plan) loadCommand(name string, s *server, args ...string) *exec.Cmd {
	all := append([]string{"-c", strconv.Itoa(p.loadCPU), filepath.Join(p.bin, "load", name), "-addr", s.addr}, args...)
	c := exec.Command("taskset", all...)
	c.Env = append(os.Environ(), "GOMAXPROCS=1")
	return c
}

// runLoad runs a load program, or wrk, to its end.
func runLoad(ctx context.Context, c *exec.Cmd) (load.Report, error) {
	l, err := startLoad(c)
	if err != nil {
		return load.Report{}, err
	}
	defer l.stop()
	return l.report(ctx)
}

// loadProcess is a load program that runs.
type loadProcess struct {
	process
	stdin   io.Closer
	reports chan load.Report // closed when there is none
}

func startLoad(c *exec.Cmd) (*loadProcess, error) {
	stdin, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	// Not StdoutPipe: process.start waits for the end of standard error only.
	stdout, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.Stdout = w
	l := &loadProcess{stdin: stdin, reports: make(chan load.Report, 1)}
	err = l.start(c)
	_ = w.Close()
	if err != nil {
		_ = stdout.Close()
		return nil, err
	}
	go func() {
		defer func() { _ = stdout.Close() }()
		defer close(l.reports)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			var r load.Report
			if strings.HasPrefix(lines.Text(), "{") && json.Unmarshal(lines.Bytes(), &r) == nil {
				l.reports <- r
				break
			}
		}
		_, _ = io.Copy(io.Discard, stdout)
	}()
	return l, nil
}

// report waits for the report of the program. Errors of single requests are an
// error: a server that refuses some is not to be compared with one that answers
// all.
func (l *loadProcess) report(ctx context.Context) (load.Report, error) {
	select {
	case r, ok := <-l.reports:
		switch {
		case !ok:
			<-l.ended
			return r, fmt.Errorf("the load made no report: %s", strings.Join(l.lastWords(), "; "))
		case r.Errors > 0:
			return r, fmt.Errorf("%d of %d requests failed", r.Errors, r.Requests)
		case r.Requests == 0 || r.Seconds <= 0:
			return r, fmt.Errorf("no request was answered")
		}
		return r, nil
	case <-ctx.Done():
		return load.Report{}, ctx.Err()
	case <-time.After(5 * time.Minute):
		return load.Report{}, fmt.Errorf("the load does not end")
	}
}

// end lets a program that waits for the end of its standard input end.
func (l *loadProcess) end() {
	_ = l.stdin.Close()
	select {
	case <-l.ended:
	case <-time.After(5 * time.Second):
		l.stop()
	}
}
