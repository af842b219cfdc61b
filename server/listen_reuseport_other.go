// SPDX-License-Identifier: MIT

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package server

import (
	"errors"
	"fmt"
	"syscall"
)

func reusePort(syscall.RawConn) error {
	return fmt.Errorf("server: ReusePort: %w on this system", errors.ErrUnsupported)
}
