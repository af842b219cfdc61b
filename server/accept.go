// SPDX-License-Identifier: MIT

package server

import "time"

// acceptEach accepts connections and has each of them served, until accepting
// fails for good or the server stops. passing tells errors that pass from those
// that do not. A connection that is handed to serve has its place in the tracker;
// one for which the server stopped meanwhile is handed to refuse.
func acceptEach[C any](srv *HTTPServer, accept func() (C, error), passing func(error) bool, serve, refuse func(C)) error {
	var pause time.Duration
	for {
		// Waiting for room is not taking it: several listeners share the bound,
		// and one where nobody calls must not keep the last place from another.
		if !srv.tracker.acquire() {
			return ErrServerClosed
		}
		srv.tracker.release()
		conn, err := accept()
		if err != nil {
			if srv.draining.Load() {
				return ErrServerClosed
			}
			if !passing(err) {
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
			refuse(conn)
			return ErrServerClosed
		}
		serve(conn)
	}
}
