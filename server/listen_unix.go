// SPDX-License-Identifier: MIT

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// socketName is the name of a Unix socket in the file system.
type socketName struct {
	path string
	file fs.FileInfo // as it was made
	keep atomic.Bool
}

// remove removes the name if it still is that of the socket.
func (n *socketName) remove() {
	if n.keep.Swap(true) {
		return
	}
	if now, err := os.Lstat(n.path); err == nil && os.SameFile(now, n.file) {
		_ = os.Remove(n.path)
	}
}

// listenUnix makes a Unix socket, in place of one that was left behind.
func (c *ListenConfig) listenUnix(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("server: the path %q has %d octets, that of a socket at most %d", path, len(path), maxSocketPath)
	}
	uid, gid, err := c.owners()
	if err != nil {
		return nil, err
	}
	// One at a time: what one starter has found to be left behind, another may have
	// replaced before the first removes it.
	unlock, err := lockFolderOf(path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := c.makeSocket(path, uid, gid)
	if err != nil {
		return nil, err
	}
	file, err := os.Lstat(path)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("server: the socket was removed while it was made: %w", err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // it would remove what has the name, whatever it is
	}
	return &openListener{Listener: l, name: &socketName{path: path, file: file}}, nil
}

// listenAbstract opens a socket that has no name in the file system.
func (c *ListenConfig) listenAbstract(name string) (net.Listener, error) {
	switch {
	case runtime.GOOS != "linux":
		return nil, fmt.Errorf("server: address %q: abstract sockets are to be had on Linux only", name)
	case len(name) > maxSocketPath+1: // there is no NUL at the end
		return nil, fmt.Errorf("server: the abstract name %q has %d octets, at most %d are possible", name, len(name), maxSocketPath+1)
	case c.Mode != 0 || c.Owner != "" || c.Group != "":
		// Anybody on the machine can connect; somebody asked for something else.
		return nil, fmt.Errorf("server: address %q: an abstract socket has no mode, owner or group", name)
	}
	return (&net.ListenConfig{}).Listen(context.Background(), "unix", name)
}

// owners are the ids of Owner and Group, -1 for none.
func (c *ListenConfig) owners() (uid, gid int, err error) {
	uid, gid = -1, -1
	if c.Owner != "" {
		uid, err = idOf(c.Owner, func(name string) (string, error) {
			u, err := user.Lookup(name)
			if err != nil {
				return "", err
			}
			return u.Uid, nil
		})
		if err != nil {
			return 0, 0, fmt.Errorf("server: ListenConfig.Owner: %w", err)
		}
	}
	if c.Group != "" {
		gid, err = idOf(c.Group, func(name string) (string, error) {
			g, err := user.LookupGroup(name)
			if err != nil {
				return "", err
			}
			return g.Gid, nil
		})
		if err != nil {
			return 0, 0, fmt.Errorf("server: ListenConfig.Group: %w", err)
		}
	}
	return uid, gid, nil
}

func idOf(name string, lookUp func(string) (string, error)) (int, error) {
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(id), nil
	}
	id, err := lookUp(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(id)
}

// removeStale removes a socket that nobody listens on any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("server: %s exists and is no socket", path)
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(context.Background(), "unix", path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("server: %s is in use", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("server: %s: %w", path, err)
	}
	return os.Remove(path)
}
