// SPDX-License-Identifier: MIT

//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package server

import (
	"os"
	"syscall"
)

// lock takes a lock that ends with the file being closed; syscall.EWOULDBLOCK when
// another has it.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
