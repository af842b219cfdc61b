// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// http2Conn is a connection that net/http serves. It is over when net/http is done
// with it and its last handler has returned.
type http2Conn struct {
	*serving
	g       *goroutineConn // its entry in the tracker
	machine *HTTPConnection

	mu       sync.Mutex
	firstBy  *time.Timer               // by when the first request has to come; nil for no limit; guarded by mu
	handlers int                       // that have not returned; guarded by mu
	requests map[*HTTPRequest]struct{} // that are being answered; guarded by mu
	begun    bool                      // HTTP/2 has; guarded by mu
	closed   bool                      // guarded by mu
	tails    http2Tails                // guarded by mu
}

// http2Tails are what net/http still has to write of answers whose handlers have
// returned, on one connection: a few KiB for each, that the client may not take.
type http2Tails struct {
	streams bool        // some are open
	count   int         // of answers since there was none
	own     bool        // a handler has set a deadline of its own for one
	timer   *time.Timer // ends the connection; runs while there is nothing but tails
}

// leaveTail is called when an answer is whole as far as its handler is concerned.
func (c *http2Conn) leaveTail(own bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tails.count++
	c.tails.own = c.tails.own || own
}

// boundTails gives tails their time. The caller holds mu.
func (c *http2Conn) boundTails() {
	t := &c.tails
	if c.closed || c.handlers > 0 || !t.streams || t.count == 0 || t.own {
		return
	}
	now := time.Now()
	p := newPace(c.set.minRate, c.set.rateGrace)
	if by := p.deadline(now, t.count*frameSize); !by.IsZero() {
		t.timer = time.AfterFunc(by.Sub(now), c.g.closeNow)
	}
}

// freeTails takes it back. The caller holds mu.
func (c *http2Conn) freeTails() {
	if c.tails.timer != nil {
		c.tails.timer.Stop()
		c.tails.timer = nil
	}
}

// state takes note that streams are open, or none is.
func (c *http2Conn) state(state http.ConnState) {
	c.machine.setState(state)
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateActive && !c.begun {
		c.begun = true
		if c.g.gentle != nil {
			c.g.gentle.on.Store(true)
		}
	}
	if c.tails.streams = state == http.StateActive; !c.tails.streams {
		c.freeTails()
		c.tails.count, c.tails.own = 0, false
	}
}

// enter counts a handler in; false when nobody is there for its answer.
func (c *http2Conn) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.firstBy != nil {
		c.firstBy.Stop()
	}
	c.handlers++
	c.freeTails()
	return true
}

// underway are the requests that are being answered.
func (c *http2Conn) underway() []*HTTPRequest {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.requests))
}

func (c *http2Conn) begins(r *HTTPRequest) {
	c.mu.Lock()
	c.requests[r] = struct{}{}
	c.mu.Unlock()
}

func (c *http2Conn) ends(r *HTTPRequest) {
	c.mu.Lock()
	delete(c.requests, r)
	c.mu.Unlock()
}

func (c *http2Conn) leave() {
	c.mu.Lock()
	c.handlers--
	over := c.closed && c.handlers == 0
	c.boundTails()
	c.mu.Unlock()
	if over {
		c.srv.tracker.forget(c.g)
	}
}

// close is called once, when net/http is done with the connection.
func (c *http2Conn) close() {
	c.machine.setState(http.StateClosed)
	c.mu.Lock()
	c.closed = true
	if c.firstBy != nil {
		c.firstBy.Stop()
	}
	c.freeTails()
	over := c.handlers == 0
	c.mu.Unlock()
	if over {
		c.srv.tracker.forget(c.g)
	}
}

// ServeHTTP takes a request from net/http.
func (h *http2Server) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	c, ok := q.Context().Value(http2Key{}).(*http2Conn)
	if !ok || !c.enter() {
		panic(http.ErrAbortHandler)
	}
	defer c.leave()
	r, perr := c.request(w, q)
	if perr != nil {
		c.set.log.Debug().Int("status", perr.Status).Str("reason", perr.Reason).Stringer("remote", c.machine.RemoteAddr()).
			Msg("server: request refused")
		refuseHTTP2(w, perr)
		return
	}
	c.answer(r)
}

// answer has the handler answer and stands between it and net/http, as
// HTTPConnection.dispatch does for HTTP/1: a panic becomes a 500 where that is
// still possible; http.ErrAbortHandler, or a panic later on, resets the stream.
func (c *http2Conn) answer(r *HTTPRequest) {
	whole := false
	c.begins(r)
	defer c.ends(r)
	defer func() {
		v := recover()
		if err, ok := v.(error); v != nil && !(ok && errors.Is(err, http.ErrAbortHandler)) {
			logPanic(&c.set.log, r, v)
			whole = r.ResetResponse() == nil && r.SendError(errors.New("panic")) == nil
		}
		goexit := v == nil && !whole
		if err := r.finishHTTP(whole); (err != nil || !whole) && !goexit {
			panic(http.ErrAbortHandler)
		}
	}()
	if c.set.xheaders != nil {
		origin, err := c.set.xheaders.Resolve(r.PeerIP(), r.Header())
		if err != nil {
			_ = r.SendError(errNoForwarded)
			whole = true
			return
		}
		r.SetOrigin(origin)
	}
	c.srv.Handler.ServeRequest(r)
	whole = true
}
