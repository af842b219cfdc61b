// SPDX-License-Identifier: MIT

//go:build !linux

package server

import (
	"errors"
	"net"
)

// loopEngine exists on Linux only.
type loopEngine struct{}

func newLoopEngine(*HTTPServer) (*loopEngine, error) {
	return nil, errors.New("server: there is no event-loop engine on this system")
}

func servable(net.Listener) bool { return false }

func (e *loopEngine) serve(*serving, *openListener) error { return nil }
func (e *loopEngine) nudge()                              {}
func (e *loopEngine) cut(*cutting)                        {}
func (e *loopEngine) end()                                {}
