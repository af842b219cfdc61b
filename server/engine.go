// SPDX-License-Identifier: MIT

package server

import (
	"crypto/tls"
	"errors"
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
	serve(on *serving, l *openListener) error
}

// Engine chooses how an [HTTPServer] waits for its connections.
type Engine uint8

const (
	// EngineAuto uses event loops where they are to be had, which is on Linux for
	// plain TCP and Unix listeners, and goroutines everywhere else.
	EngineAuto Engine = iota
	// EngineGoroutine gives each connection a goroutine.
	EngineGoroutine
	// EngineLoop demands event loops: where there are none, Serve fails.
	EngineLoop
)

var errNoLoop = errors.New("server: EngineLoop: event loops serve plain TCP and Unix listeners on Linux only")

// engineFor is the engine that serves a listener.
func (s *HTTPServer) engineFor(l net.Listener, config *tls.Config) (engine, error) {
	if s.Engine != EngineGoroutine && config == nil && servable(l) {
		return s.loopsOnce()
	}
	if s.Engine == EngineLoop {
		return nil, errNoLoop
	}
	return &goroutineEngine{srv: s, tls: config}, nil
}

// loopsOnce starts the event loops when a listener first needs them; all
// listeners share them.
func (s *HTTPServer) loopsOnce() (engine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loops == nil {
		if s.draining.Load() {
			return nil, ErrServerClosed
		}
		loops, err := newLoopEngine(s)
		if err != nil {
			return nil, err
		}
		s.loops = loops
	}
	return s.loops, nil
}

// startedLoops are the loops if they were started, nil otherwise.
func (s *HTTPServer) startedLoops() *loopEngine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loops
}
