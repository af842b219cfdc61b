// SPDX-License-Identifier: MIT

//go:build unix && !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package server

import (
	"errors"
	"os"
)

func lock(*os.File) error { return errors.ErrUnsupported }
