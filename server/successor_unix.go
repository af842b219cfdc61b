// SPDX-License-Identifier: MIT

//go:build unix

package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// startSuccessor starts cmd and waits until it is ready.
func startSuccessor(ctx context.Context, cmd *exec.Cmd, listeners []NamedListener) (err error) {
	var files []*os.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	names := make([]string, 0, len(listeners))
	for _, l := range listeners {
		f, err := socketOf(l.Listener)
		if err != nil {
			return fmt.Errorf("handing over %s: %w", l.Name, err)
		}
		files = append(files, f)
		names = append(names, l.Name)
	}
	ready, told, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = ready.Close() }()
	files = append(files, told)

	cmd.ExtraFiles = files
	cmd.Env = append(withoutPassed(cmd.Environ()),
		envListenFDs+"="+strconv.Itoa(len(listeners)),
		envListenNames+"="+strings.Join(names, ":"),
		envListenPPID+"="+strconv.Itoa(os.Getpid()),
		envListenReady+"="+strconv.Itoa(firstPassed+len(listeners)))
	if err := cmd.Start(); err != nil {
		return err
	}
	_ = told.Close() // so that the pipe ends with the process
	said := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(io.LimitReader(ready, int64(len(readyLine)))).ReadString('\n')
		if err == nil && line != readyLine {
			err = fmt.Errorf("it said %q", line)
		}
		said <- err
	}()
	select {
	case err = <-said:
	case <-ctx.Done():
		_ = ready.SetReadDeadline(longAgo)
		if err = <-said; err != nil { // it may have become ready in the same moment
			err = context.Cause(ctx)
		}
	}
	if err == nil {
		go func() { _ = cmd.Wait() }() // it outlives this process, or else leaves no zombie
		return nil
	}
	_ = cmd.Process.Kill()
	ended := cmd.Wait()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the process was not ready before it ended: %w", orNormally(ended))
	}
	return fmt.Errorf("the process is not ready: %w", err)
}

// orNormally is an error for a process that ended without one.
func orNormally(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// socketOf is a descriptor of a listener's socket. That of File would make the
// socket a blocking one when it is handed over, for this process as well.
func socketOf(l net.Listener) (*os.File, error) {
	c, ok := l.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%w: it has no socket", errors.ErrUnsupported)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, failed := -1, error(nil)
	err = raw.Control(func(socket uintptr) { fd, failed = unix.FcntlInt(socket, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = os.NewSyscallError("fcntl", failed)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), l.Addr().String()), nil
}

// withoutPassed leaves out of an environment what says which sockets were passed.
func withoutPassed(environ []string) (rest []string) {
	for _, v := range environ {
		switch name, _, _ := strings.Cut(v, "="); name {
		case envListenFDs, envListenPID, envListenPidfdID, envListenPPID, envListenNames, envListenReady:
		default:
			rest = append(rest, v)
		}
	}
	return rest
}

// readyPipe is the pipe that leads to the predecessor.
func readyPipe(number string) (*os.File, error) {
	fd, err := strconv.ParseUint(number, 10, 31)
	if err != nil || fd < firstPassed {
		return nil, errors.New("no descriptor that can be passed")
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(fd), &stat); err != nil {
		return nil, err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFIFO {
		return nil, errors.New("no pipe")
	}
	if err := keepFromChildren(int(fd)); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "predecessor"), nil
}
