// SPDX-License-Identifier: MIT

package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// A process hands its listening sockets to its successor in the way of systemd's
// socket activation, see ListenersFromEnv. One variable more has the successor say
// when it is ready: LISTEN_READY_FD is the descriptor of a pipe on which it writes
// "READY=1" and a newline. A pipe that ends before tells that there is no successor.
const (
	envListenReady = "LISTEN_READY_FD"
	readyLine      = "READY=1\n"
)

// ErrNoSuccessor is wrapped by the errors of StartSuccessor.
var ErrNoSuccessor = errors.New("server: no successor")

// StartSuccessor starts a process that takes listeners over, and returns when that
// has said that it is ready (see [TakeOver]). From then on both accept, and the
// caller can end gently with Shutdown: whoever calls is answered by one or the other,
// and nobody is refused.
//
// cmd has not been started; nil means this program again, as it was called: what its
// path leads to now, with the same arguments, environment, working directory, input
// and outputs. StartSuccessor adds to its environment and its ExtraFiles, which must
// be empty. The names of the listeners must not be empty, have colons or control
// characters, and be no longer than 255 octets.
//
// When it fails, the listeners are what they were, and the process, if there is one,
// has been killed: the error says how it ended. It fails when ctx ends before the
// process is ready. Afterwards the names of Unix sockets belong to the successor:
// closing a listener leaves its name in place. Listeners are those of package net,
// or made by a [ListenConfig]. Only Unix has this; elsewhere it fails with
// errors.ErrUnsupported.
func StartSuccessor(ctx context.Context, cmd *exec.Cmd, listeners ...NamedListener) error {
	if !canInherit {
		return fmt.Errorf("%w: %w", ErrNoSuccessor, errors.ErrUnsupported)
	}
	if err := checkHandedOver(listeners); err != nil {
		return fmt.Errorf("%w: %w", ErrNoSuccessor, err)
	}
	if cmd == nil {
		var err error
		if cmd, err = sameAgain(); err != nil {
			return fmt.Errorf("%w: %w", ErrNoSuccessor, err)
		}
	}
	if len(cmd.ExtraFiles) > 0 {
		return fmt.Errorf("%w: the command has ExtraFiles", ErrNoSuccessor)
	}
	if err := startSuccessor(ctx, cmd, listeners); err != nil {
		return fmt.Errorf("%w: %w", ErrNoSuccessor, err)
	}
	for _, l := range listeners {
		if u, ok := l.Listener.(interface{ SetUnlinkOnClose(bool) }); ok {
			u.SetUnlinkOnClose(false)
		}
	}
	return nil
}

func checkHandedOver(listeners []NamedListener) error {
	if len(listeners) == 0 {
		return errors.New("there is no listener to hand over")
	}
	for _, l := range listeners {
		if l.Name == "" || len(l.Name) > 255 || strings.ContainsFunc(l.Name, func(r rune) bool { return r == ':' || r <= ' ' || r > '~' }) {
			return fmt.Errorf("%q cannot be the name of a listener", l.Name)
		}
	}
	return nil
}

// sameAgain is the command that started this process. Its path is looked up anew:
// there may be another program by now, which is what restarting is for.
func sameAgain() (*exec.Cmd, error) {
	path, err := exec.LookPath(os.Args[0])
	if err != nil {
		if path, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	return &exec.Cmd{Path: path, Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, nil
}

// Predecessor is the process whose listeners this one has taken over.
type Predecessor struct {
	// Listeners are its listeners, which belong to the caller.
	Listeners []NamedListener

	ready *os.File
}

// TakeOver takes over the listeners of the process that started this one with
// StartSuccessor. It is nil when there is none, also when it was called before. Call
// Ready when this process serves: until then, and if this process ends, the
// predecessor goes on serving alone.
func TakeOver() (*Predecessor, error) {
	number, set := os.LookupEnv(envListenReady)
	if !set || !canInherit {
		return nil, nil
	}
	_, mine, err := passedCount()
	if !mine { // the environment of a process further up
		return nil, nil
	}
	_ = os.Unsetenv(envListenReady)
	if err != nil {
		return nil, err
	}
	ready, err := readyPipe(number)
	if err != nil {
		return nil, fmt.Errorf("server: %s is %q: %w", envListenReady, number, err)
	}
	listeners, err := ListenersFromEnv()
	if err != nil {
		_ = ready.Close()
		return nil, err
	}
	return &Predecessor{listeners, ready}, nil
}

// Ready tells the predecessor that this process serves. It fails when the
// predecessor is gone or has given up. It is called once.
func (p *Predecessor) Ready() error {
	_, err := p.ready.WriteString(readyLine)
	if cerr := p.ready.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("server: telling the predecessor: %w", err)
	}
	return nil
}

// Decline closes the listeners and lets the predecessor go on.
func (p *Predecessor) Decline() {
	closeAll(listenersOf(p.Listeners))
	_ = p.ready.Close()
}
