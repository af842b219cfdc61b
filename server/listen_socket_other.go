// SPDX-License-Identifier: MIT

//go:build !unix

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

const maxSocketPath = 107

// makeSocket makes a Unix socket, where there are any.
func (c *ListenConfig) makeSocket(path string, uid, gid int) (net.Listener, error) {
	if c.Mode != 0 || uid >= 0 || gid >= 0 || c.Backlog != 0 {
		return nil, fmt.Errorf("server: listening on %s: Mode, Owner, Group and Backlog: %w on this system", path, errors.ErrUnsupported)
	}
	return (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
}

func listenAgain(syscall.RawConn, int) error {
	return fmt.Errorf("%w on this system", errors.ErrUnsupported)
}

func lockFolderOf(string) (unlock func(), err error) { return func() {}, nil }
