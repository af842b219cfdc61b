// SPDX-License-Identifier: MIT

//go:build linux && race

package server

import "syscall"

// Under the race detector the calls of package syscall are used: they tell it that
// what is written to a socket happens before what is read from it, which tests of
// programs that talk to themselves rely on.

func (k *loopConn) readOnce(p []byte) (int, error) {
	for {
		n, err := syscall.Read(k.fd, p)
		switch err {
		case nil:
			return k.wasRead(n, p), nil
		case syscall.EINTR:
		default:
			return 0, err
		}
	}
}

func (k *loopConn) writeOnce(a, _ []byte) (int, error) {
	for {
		n, err := syscall.Write(k.fd, a)
		if err == nil || err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
