// SPDX-License-Identifier: MIT

package server

import (
	"context"
	"net"
)

// engine moves octets between sockets and machines. The goroutine engine is
// written to net.Conn and runs everywhere; another engine needs to supply the
// same: connections accepted from a listener, each an HTTPConnection on a
// transport, driven by
//
//	for {
//		read into c.room(), c.received(n)
//		switch c.run() { actRead: again; actClose, actAbort, actHijacked: end }
//	}
//
// with the time limits of settings applied to heads and idle connections.
type engine interface {
	// serve accepts connections until the listener fails or is closed, and
	// returns that error. It does not wait for the connections to end.
	serve(ctx context.Context, l net.Listener) error
}
