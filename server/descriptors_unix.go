// SPDX-License-Identifier: MIT

//go:build unix

package server

import "syscall"

// descriptorBound is how many connections the limit on file descriptors leaves
// room for, with some kept for files, upstream calls and the runtime.
func descriptorBound() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return -1
	}
	const most = 1 << 20
	n := int(limit.Cur) // negative for "unlimited"
	if n < 0 || n > most {
		return most
	}
	return max(n-max(n/10, 64), n/2, 1)
}
