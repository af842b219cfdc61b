// SPDX-License-Identifier: MIT

//go:build unix

package pleat_test

import (
	"syscall"
	"testing"
)

// makePipe makes something that would block whoever opens it.
func makePipe(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}
