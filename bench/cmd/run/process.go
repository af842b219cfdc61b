// SPDX-License-Identifier: MIT

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that was started here. It is only ever stopped through
// its own handle.
type process struct {
	cmd       *exec.Cmd
	pid       int
	ended     chan struct{}   // closed when it has ended and all it wrote is read
	allocated chan [2]float64 // objects and octets, as reported for SIGUSR1

	mu    sync.Mutex
	words []string // the last lines of its standard error, guarded by mu
}

func (p *process) start(c *exec.Cmd) error {
	stderr, err := c.StderrPipe()
	if err != nil {
		return err
	}
	// Whatever ends this program ends what it started.
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return err
	}
	p.cmd, p.pid, p.ended, p.allocated = c, c.Process.Pid, make(chan struct{}), make(chan [2]float64, 1)
	go func() {
		p.listen(stderr)
		_ = c.Wait()
		close(p.ended)
	}()
	return nil
}

// listen reads standard error to its end.
func (p *process) listen(stderr io.Reader) {
	const keep = 10
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		var figures [2]float64
		if n, _ := fmt.Sscanf(lines.Text(), "allocated %g %g", &figures[0], &figures[1]); n == 2 {
			p.allocated <- figures
			continue
		}
		p.mu.Lock()
		p.words = append(p.words, lines.Text())
		p.words = p.words[max(0, len(p.words)-keep):]
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, stderr) // after a line that is too long
}

func (p *process) lastWords() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.words...)
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// allocations asks a server how much it has allocated.
func (p *process) allocations() (objects, octets float64, err error) {
	if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return 0, 0, err
	}
	select {
	case figures := <-p.allocated:
		return figures[0], figures[1], nil
	case <-p.ended:
		return 0, 0, errors.New("it ended")
	case <-time.After(10 * time.Second):
		return 0, 0, errors.New("it does not report its allocations")
	}
}

// cpuTime is processor time a process has used.
type cpuTime struct{ total, user, sys time.Duration }

func (c cpuTime) sub(d cpuTime) cpuTime {
	return cpuTime{c.total - d.total, c.user - d.user, c.sys - d.sys}
}

// clockTick is the unit of times in /proc/PID/stat, USER_HZ, which is 100 on
// every platform of Linux that Go knows.
const clockTick = 10 * time.Millisecond

// cpu reads user and system time in ticks, and the total in nanoseconds where
// the kernel keeps statistics of its scheduler.
func (p *process) cpu() (cpuTime, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return cpuTime{}, err
	}
	c, err := parseStat(stat)
	if err != nil {
		return c, err
	}
	c.total = c.user + c.sys
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.pid))
	var precise time.Duration
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return c, nil // a thread has just ended; ticks will have to do
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			return c, nil
		}
		precise += time.Duration(n)
	}
	// Threads that have ended are only in the ticks.
	if precise > c.total-3*clockTick {
		c.total = precise
	}
	return c, nil
}

// parseStat finds utime and stime, fields 14 and 15, behind the name of the
// program, which may have blanks and parentheses in it.
func parseStat(stat []byte) (c cpuTime, err error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return c, fmt.Errorf("/proc/PID/stat: %.100q", stat)
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	sys, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	c.user, c.sys = time.Duration(user)*clockTick, time.Duration(sys)*clockTick
	return c, errors.Join(err1, err2)
}

// memory reads the resident set now and its highest so far, in octets.
func (p *process) memory() (rss, peak float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return 0, 0, err
	}
	return parseStatus(status)
}

func parseStatus(status []byte) (rss, peak float64, err error) {
	for line := range bytes.Lines(status) {
		var into *float64
		switch {
		case bytes.HasPrefix(line, []byte("VmRSS:")):
			into = &rss
		case bytes.HasPrefix(line, []byte("VmHWM:")):
			into = &peak
		default:
			continue
		}
		if _, err := fmt.Sscanf(string(line[6:]), "%g kB", into); err != nil {
			return 0, 0, fmt.Errorf("/proc/PID/status: %q: %w", line, err)
		}
		*into *= 1024
	}
	if rss == 0 || peak == 0 {
		return 0, 0, errors.New("/proc/PID/status: no VmRSS or VmHWM")
	}
	return rss, peak, nil
}
