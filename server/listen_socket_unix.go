// SPDX-License-Identifier: MIT

//go:build unix

package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxSocketPath is how long the path of a Unix socket may be: there is a NUL at its
// end.
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// mostBacklog is more than systems allow: they take it for what they do.
const mostBacklog = 65535

// makeSocket makes a Unix socket. It has its mode and owner before it listens, and
// until then refuses everybody.
func (c *ListenConfig) makeSocket(path string, uid, gid int) (net.Listener, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }() // the listener has a descriptor of its own
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		return nil, fmt.Errorf("server: listening on %s: %w", path, os.NewSyscallError("bind", err))
	}
	l, err := c.listenOn(f, path, uid, gid)
	if err != nil {
		_ = os.Remove(path)
		return nil, fmt.Errorf("server: listening on %s: %w", path, err)
	}
	return l, nil
}

// listenOn has a socket that is bound listen.
func (c *ListenConfig) listenOn(f *os.File, path string, uid, gid int) (net.Listener, error) {
	if uid >= 0 || gid >= 0 {
		if err := os.Lchown(path, uid, gid); err != nil {
			return nil, err
		}
	}
	if c.Mode != 0 {
		if err := os.Chmod(path, c.Mode); err != nil {
			return nil, err
		}
	}
	backlog := c.Backlog
	if backlog == 0 {
		backlog = mostBacklog
	}
	if err := syscall.Listen(int(f.Fd()), backlog); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	return net.FileListener(f)
}

// listenAgain changes the backlog of a socket.
func listenAgain(socket syscall.RawConn, n int) error {
	var failed error
	if err := socket.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), n) }); err != nil {
		return err
	}
	return os.NewSyscallError("listen", failed)
}

// lockPatience is how long a starter waits for another; opening a socket takes less
// than a second even where a stale one has to be asked.
const lockPatience = 5 * time.Second

// lockFolderOf keeps others that make sockets in the same folder waiting. Where
// folders cannot be opened or locked there is no lock.
func lockFolderOf(path string) (unlock func(), err error) {
	nothing := func() {}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nothing, nil // making the socket will tell why
	}
	for until := time.Now().Add(lockPatience); ; time.Sleep(5 * time.Millisecond) {
		err := lock(folder)
		switch {
		case err == nil:
			return func() { _ = folder.Close() }, nil
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			_ = folder.Close()
			return nothing, nil
		case time.Now().After(until):
			_ = folder.Close()
			return nil, fmt.Errorf("server: listening on %s: somebody keeps the folder locked", path)
		}
	}
}
