// SPDX-License-Identifier: MIT

package server

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Shutdown ends the server gently. It accepts who waits already in the backlogs of the
// listeners, as far as MaxConns allows, and closes them; a listener of a kind that has
// neither a socket nor deadlines is closed at once. It has requests that are being
// answered answered with "Connection: close", and lets connections without a
// request go. Long-lived requests (see [HTTPRequest.EndOnDrain]) are told at once;
// all others go on undisturbed, and Shutdown waits for them.
//
// The end of ctx is the end of its patience: the contexts of the requests that are
// left end with the cause [ErrServerDraining], their handlers have [HTTPServer]'s
// ShutdownGrace to finish all the same, and what is not done then is cut. The error
// is nil when nothing was cut, otherwise a [*CutError] that says what, and wraps the
// error of ctx.
//
// Hijacked connections are neither waited for nor cut, unless their requests called
// EndOnDrain. Shutdown can be called again, and by several at a time: each waits,
// and the patience that is over first counts. Called before Serve it makes that
// return [ErrServerClosed]; called after Close it waits for the handlers that are
// still running.
func (s *HTTPServer) Shutdown(ctx context.Context) error {
	if !s.stop() {
		return nil
	}
	s.longLived.drain()
	s.awaitListeners(ctx)
	s.nudgeIdle()
	done := s.awaitDrained(ctx)
	s.endContexts(ErrServerDraining)
	if done {
		return nil
	}
	if grace := s.set.shutdownGrace; grace > 0 {
		more, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		if s.awaitDrained(more) {
			return nil
		}
	}
	cut := s.cut()
	if cut.connections == 0 {
		return nil
	}
	err := cut.report(ctx.Err(), time.Now())
	err.log(s.set.log.Warn()).Msg("server: shutdown cut what was not done in time")
	return err
}

// Close ends the server at once: listeners and connections are closed, and the
// contexts of requests end with ErrServerDraining. It does not wait for handlers.
func (s *HTTPServer) Close() error {
	if !s.stop() {
		return nil
	}
	s.longLived.drain()
	s.closeListeners()
	s.nudgeIdle()
	s.endContexts(ErrServerDraining)
	s.cut()
	return nil
}

// stop ends accepting: listeners are closed once their backlogs are empty. It is
// false when the server never prepared.
func (s *HTTPServer) stop() bool {
	if s.prepare() != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining.Swap(true) {
		s.tracker.stopAccepting()
	}
	return true
}

// awaitListeners waits until those who accept are through with their backlogs, and
// closes listeners of which nobody gets through.
func (s *HTTPServer) awaitListeners(ctx context.Context) {
	s.mu.Lock()
	through := slices.Collect(maps.Values(s.listeners))
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 2*backlogTime)
	defer cancel()
	for _, ended := range through {
		select {
		case <-ended:
		case <-ctx.Done():
			s.closeListeners()
			return
		}
	}
}

func (s *HTTPServer) closeListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		_ = (*l).Close()
	}
}

// nudgeIdle has connections without a request let go.
func (s *HTTPServer) nudgeIdle() {
	s.tracker.nudgeIdle()
	if h := s.set.http2; h != nil {
		h.drain(s.tracker.drained())
	}
	if loops := s.startedLoops(); loops != nil {
		loops.nudge()
		drained := s.tracker.drained()
		go func() {
			<-drained
			loops.end()
		}()
	}
}

// awaitDrained waits until nothing is left to wait for; false when ctx ends first.
func (s *HTTPServer) awaitDrained(ctx context.Context) bool {
	select {
	case <-s.tracker.drained():
	case <-ctx.Done():
		return false
	}
	// Only now does nobody enter any more.
	select {
	case <-s.longLived.drained():
		return true
	case <-ctx.Done():
		return false
	}
}

// endContexts ends the contexts of all requests, before it returns: what happens to
// their connections next is not to look like the client's doing.
func (s *HTTPServer) endContexts(cause error) {
	s.mu.Lock()
	bases := s.bases
	s.bases = nil
	s.mu.Unlock()
	for _, cancel := range bases {
		cancel(cause)
	}
}

// cut closes what is left, and says what that was.
func (s *HTTPServer) cut() *cutting {
	c := &cutting{}
	s.tracker.closeAll(c)
	if loops := s.startedLoops(); loops != nil {
		loops.cut(c)
	}
	s.longLived.cut(c)
	return c
}
