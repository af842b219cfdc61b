// SPDX-License-Identifier: MIT

//go:build unix

package client

import (
	"net"
	"syscall"
)

// arrivals makes a function that reports whether octets have come that nobody has read. It can be called while another
// goroutine waits in Read, but not twice at a time.
func arrivals(c net.Conn) func() bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return never
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return never
	}
	var n int
	var p [1]byte
	look := func(fd uintptr) { // the descriptor does not block
		n, _, err = syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK)
	}
	return func() bool {
		n, err = 0, nil
		return raw.Control(look) == nil && err == nil && n > 0
	}
}
