// SPDX-License-Identifier: MIT

//go:build unix

package server

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

const canInherit = true

// keepFromChildren marks a descriptor close-on-exec; an error when it is not open.
func keepFromChildren(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil {
		return err
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags|unix.FD_CLOEXEC)
	return err
}

// checkListening says what is wrong with a descriptor that should be a socket
// which listens for streams.
func checkListening(fd int) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	switch {
	case errors.Is(err, unix.ENOTSOCK):
		return errors.New("is no socket")
	case errors.Is(err, unix.EBADF):
		return errors.New("is not open")
	case err != nil:
		return fmt.Errorf("cannot be asked for its type: %w", err)
	case kind != unix.SOCK_STREAM:
		return errors.New("is no stream socket")
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err == nil && listening == 0 {
		return errors.New("does not listen; in a systemd socket unit this needs Accept=no")
	}
	return nil
}

// listenerOf makes a listener of a descriptor, which is the listener's from then on.
func listenerOf(fd int) (net.Listener, error) {
	if err := keepFromChildren(fd); err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "passed socket")
	defer func() { _ = f.Close() }() // the listener has a descriptor of its own
	return net.FileListener(f)
}
