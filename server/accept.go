// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"net"
	"os"
	"time"
)

// source is where connections come from: a listener, as an engine uses it.
type source[C any] interface {
	// accept waits for a connection, until wake is called.
	accept() (C, error)
	// wake makes accept return, from any goroutine: the server stops.
	wake()
	// acceptWaiting is accept for a connection that waits in the backlog already;
	// an error when there is none. It is called after wake.
	acceptWaiting() (C, error)
	// passes tells errors of accept that pass from those that do not.
	passes(err error) bool
	// refuse closes a connection that was accepted.
	refuse(conn C)
}

// acceptEach accepts connections and has each of them served, until accepting
// fails for good or the server stops; then those that wait already. A connection
// that is handed to serve has its place in the tracker.
func acceptEach[C any](srv *HTTPServer, from source[C], serve func(C)) error {
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-srv.tracker.stopped:
			from.wake()
		case <-ended:
		}
	}()
	err := acceptUntilStopped(srv, from, serve)
	if errors.Is(err, ErrServerClosed) {
		acceptBacklog(srv, from, serve)
	}
	return err
}

func acceptUntilStopped[C any](srv *HTTPServer, from source[C], serve func(C)) error {
	var pause time.Duration
	for {
		// Waiting for room is not taking it: several listeners share the bound,
		// and one where nobody calls must not keep the last place from another.
		if !srv.tracker.acquire() {
			return ErrServerClosed
		}
		srv.tracker.release()
		conn, err := from.accept()
		if err != nil {
			if srv.draining.Load() {
				return ErrServerClosed
			}
			if !from.passes(err) {
				return err
			}
			// Out of descriptors, most likely. Neither spinning nor ending the
			// server would bring one back.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			srv.set.acceptLog.warn(&srv.set.log, err)
			select {
			case <-time.After(pause):
			case <-srv.tracker.stopped:
				return ErrServerClosed
			}
			continue
		}
		pause = 0
		if !srv.tracker.acquire() {
			from.refuse(conn)
			return ErrServerClosed
		}
		serve(conn)
	}
}

// backlogTime bounds how long connections in the backlog are accepted when the
// server stops: more may be coming.
const backlogTime = 250 * time.Millisecond

// acceptBacklog serves the connections that wait when the server stops. To their
// peers they have been accepted, and when the listener is closed they are reset.
func acceptBacklog[C any](srv *HTTPServer, from source[C], serve func(C)) {
	for until := time.Now().Add(backlogTime); time.Now().Before(until) && srv.tracker.tryAcquire(); {
		conn, err := from.acceptWaiting()
		if err != nil {
			srv.tracker.release()
			return
		}
		serve(conn)
	}
}

// listenerSource is a listener of any kind.
type listenerSource struct {
	*openListener
}

// backlogWait is how long a listener that cannot be asked whether somebody waits is
// waited for.
const backlogWait = 10 * time.Millisecond

// wake closes a listener that knows no deadlines, and with it goes its backlog.
func (s listenerSource) wake() {
	if !s.until(time.Now().Add(backlogWait)) {
		_ = s.Listener.Close()
	}
}

// until sets a deadline; false when the listener has none.
func (s listenerSource) until(by time.Time) bool {
	l, ok := s.Listener.(interface{ SetDeadline(time.Time) error })
	return ok && l.SetDeadline(by) == nil
}

func (s listenerSource) acceptWaiting() (net.Conn, error) {
	for {
		by := time.Now().Add(backlogWait)
		if !s.until(by) {
			return nil, net.ErrClosed
		}
		inTime := time.Now().Before(by)
		conn, err := s.accept()
		if err == nil || inTime || !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
	}
}

func (s listenerSource) refuse(conn net.Conn) { _ = conn.Close() }

// passes reports accept errors that pass.
func (s listenerSource) passes(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	var ne net.Error
	// Temporary is deprecated for being vague; accept errors are what it is
	// still right for, as net/http shows.
	return errors.As(err, &ne) && ne.Temporary() //nolint:staticcheck // see above
}
