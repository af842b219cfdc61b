// SPDX-License-Identifier: MIT

//go:build linux && !race

package server

import (
	"syscall"
	"unsafe"
)

// The descriptors here never block, so that the scheduler need not be told of a
// system call: that saves a tenth of a microsecond each.

// rawWrite bounds what is written at a time: copying holds up the collector,
// which waits for all goroutines, some ten microseconds.
const rawWrite = 256 << 10

// readOnce reads what is there; syscall.EAGAIN when nothing is.
func (k *loopConn) readOnce(p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(k.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		switch errno {
		case 0:
			return k.wasRead(int(n), p), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// writeOnce writes what there is room for of a, and of b behind it;
// syscall.EAGAIN when there is none.
func (k *loopConn) writeOnce(a, b []byte) (int, error) {
	if len(a) > rawWrite {
		a, b = a[:rawWrite], nil
	} else if len(a)+len(b) > rawWrite {
		b = b[:rawWrite-len(a)]
	}
	for {
		var n uintptr
		var errno syscall.Errno
		if len(b) == 0 {
			n, _, errno = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(k.fd), uintptr(unsafe.Pointer(&a[0])), uintptr(len(a)))
		} else {
			vector := [2]syscall.Iovec{{Base: &a[0]}, {Base: &b[0]}}
			vector[0].SetLen(len(a))
			vector[1].SetLen(len(b))
			n, _, errno = syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(k.fd), uintptr(unsafe.Pointer(&vector[0])), 2)
		}
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
