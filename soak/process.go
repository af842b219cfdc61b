// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// process is the process of the server, from outside.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	fail    func(error)
	asking  sync.Mutex // one command at a time
	answers chan report
	gone    chan struct{} // closed when it has ended
	err     error         // how, once gone is closed
	errors  beginning
}

// serveFlag has this program be the server process.
const serveFlag = "-serve"

// errGone says that the server process has ended when it should not.
var errGone = errors.New("the server process has ended")

// startProcess starts this program as a server. fail is told what it says out of
// turn, and of its end.
func startProcess(config serverConfig, temp string, fail func(error)) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	arg, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, serveFlag, string(arg)), fail: fail, answers: make(chan report, 4), gone: make(chan struct{})}
	// The first race ends it, and this process with it. The profile of the heap is
	// to show what is there rather than what there is much of.
	p.cmd.Env = append(os.Environ(), "TMPDIR="+temp, "GORACE=halt_on_error=1 exitcode=66", "GODEBUG=memprofilerate=4096", "GOTRACEBACK=all")
	p.cmd.Stderr = &p.errors
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.listen(out)
	return p, nil
}

func (p *process) listen(out io.Reader) {
	lines := json.NewDecoder(out)
	for {
		var r report
		err := lines.Decode(&r)
		if err == nil && r.Violation != "" {
			p.fail(&violation{what: "the server says: " + r.Violation})
			continue
		}
		if err == nil {
			p.answers <- r
			continue
		}
		_, _ = io.Copy(io.Discard, out)
		p.err = p.cmd.Wait()
		close(p.gone)
		if p.err != nil {
			p.fail(&violation{what: p.death()})
		}
		return
	}
}

// died reports whether the process has ended when it should not. What its clients
// see of that they may see first.
func (p *process) died() bool {
	if _, err := p.ask(askStats); err == nil {
		return false
	}
	select {
	case <-p.gone:
		return p.err != nil
	case <-time.After(answerTime):
		return false
	}
}

// death says how a process ended that should not have.
func (p *process) death() string {
	return fmt.Sprintf("%v with %v:\n%s", errGone, p.err, p.errors.String())
}

// next is the next report of the process.
func (p *process) next() (report, error) {
	select {
	case r := <-p.answers:
		return r, nil
	case <-p.gone:
		return report{}, fmt.Errorf("%w: %w", errGone, errOrNone(p.err))
	case <-time.After(answerTime):
		return report{}, fmt.Errorf("the server process has been silent for %v", answerTime)
	}
}

// ask gives the process a command, and returns its answer.
func (p *process) ask(command string) (report, error) {
	p.asking.Lock()
	defer p.asking.Unlock()
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		select {
		case <-p.gone:
		case <-time.After(time.Second):
		}
		return report{}, fmt.Errorf("%w: %w", errGone, err)
	}
	return p.next()
}

// stop ends the process; the error is what it ended with.
func (p *process) stop() error {
	_ = p.in.Close()
	select {
	case <-p.gone:
		if p.err != nil {
			return &violation{what: p.death()}
		}
		return nil
	case <-time.After(answerTime):
		return errors.New("the server process does not end")
	}
}

// beginning keeps the beginning of what a process writes, where a report of a race is.
type beginning struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *beginning) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if room := 64<<10 - b.text.Len(); room > 0 {
		b.text.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (b *beginning) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(b.text.String())
}
