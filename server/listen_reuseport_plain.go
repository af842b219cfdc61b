// SPDX-License-Identifier: MIT

//go:build darwin || dragonfly || linux || netbsd || openbsd

package server

import "golang.org/x/sys/unix"

const reusePortOption = unix.SO_REUSEPORT
