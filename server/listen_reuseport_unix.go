// SPDX-License-Identifier: MIT

//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package server

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// reusePort lets other sockets have the address of this one, too.
func reusePort(socket syscall.RawConn) error {
	var failed error
	if err := socket.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, reusePortOption, 1)
	}); err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt", failed)
}
