// SPDX-License-Identifier: MIT

package server

import "net/http"

// A connection is at a request from when its handler is called until the next
// change of state, and otherwise at one of these marks, by state; nil before it is
// known to anybody. One word for both makes it cheap to say what a connection is
// doing while it is doing it, from any goroutine.
var marks [http.StateClosed + 1]HTTPRequest

// through is where an active connection is that was answered for the last time: to
// close it loses nothing.
var through HTTPRequest

// stateAt is the state of a connection that is at p, -1 before any.
func stateAt(p *HTTPRequest) http.ConnState {
	if p == nil {
		return -1
	}
	for s := range marks {
		if p == &marks[s] {
			return http.ConnState(s)
		}
	}
	return http.StateActive
}

// State is where the connection stands in its life. Safe for concurrent use.
func (c *HTTPConnection) State() http.ConnState { return max(stateAt(c.at.Load()), http.StateNew) }

// setState records a change of state and tells the server's hook.
func (c *HTTPConnection) setState(s http.ConnState) {
	if stateAt(c.at.Load()) == s || stateAt(c.at.Swap(&marks[s])) == s {
		return
	}
	if c.srv.ConnState != nil {
		c.srv.ConnState(c, s)
	}
}

// setActive is setState for a request that is going to be answered.
func (c *HTTPConnection) setActive(r *HTTPRequest) {
	before := c.at.Swap(r)
	if c.srv.ConnState != nil && stateAt(before) != http.StateActive {
		c.srv.ConnState(c, http.StateActive)
	}
}

// setThrough says that nothing is left to be written, or to be read for a purpose.
// The state stays what it is.
func (c *HTTPConnection) setThrough() {
	if c.State() == http.StateActive {
		c.at.Store(&through)
	}
}

// underway is the request that is being answered, nil when there is none. Safe for
// concurrent use.
func (c *HTTPConnection) underway() *HTTPRequest {
	r := c.at.Load()
	if r == nil || r.c != c || r.done.Load() { // the marks have no connection
		return nil
	}
	return r
}
