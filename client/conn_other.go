// SPDX-License-Identifier: MIT

//go:build !unix

package client

import "net"

// arrivals cannot be looked for: on Windows octets that come go straight to the goroutine that waits for them.
func arrivals(net.Conn) func() bool { return never }
