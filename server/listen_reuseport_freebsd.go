// SPDX-License-Identifier: MIT

package server

import "golang.org/x/sys/unix"

// reusePortOption is the one that spreads connections: FreeBSD's plain SO_REUSEPORT
// gives all of them to one listener.
const reusePortOption = unix.SO_REUSEPORT_LB
