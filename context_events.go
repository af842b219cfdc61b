// SPDX-License-Identifier: MIT

package pleat

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

// defaultHeartbeat is often enough for proxies, which commonly cut what is silent
// for a minute.
const defaultHeartbeat = 15 * time.Second

// EventStream is an answer of server-sent events (WHATWG HTML, section 9.2) under
// way: see [Context.SSE]. All methods are safe for concurrent use. An event is on
// its way when the call returns; a client that takes too long to read (see
// server.HTTPServer.MinRate) is cut. When the stream has ended they fail, with the
// cause of its context's end or, after the function that was given the stream has
// returned, with server.ErrRequestDone.
type EventStream struct {
	c      *Context
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	buf      []byte        // guarded by mu, as the following
	ended    error         // why nothing can be sent any more
	interval time.Duration // of heartbeats, negative = none
	sent     time.Time     // when something was sent last
	beat     *time.Timer
}

// SSE answers with a stream of events: f sends them, and the stream ends when f
// returns. The head goes out before f is called, with a Cache-Control of no-store,
// unless one was set, and what keeps nginx from buffering. What can fail with a
// status of its own is to be done before. For HEAD f is not called.
//
// The stream has a context, see [EventStream.Context], that ends when the client
// goes away, or, at once, when the server drains: return then, and the browser asks
// again, elsewhere, with the id of the last event it got. A browser asks again after
// every end; to have it stop, answer its next request with 204 and no stream.
//
// What f returns because the stream has come to its end is no error of SSE. After
// another error, and a panic, the connection is cut. A client that does not accept
// text/event-stream gets a 406. While the server drains the stream is over before it
// begins: to an error browsers would not come back.
func (c *Context) SSE(f func(*EventStream) error) error {
	if c.Accepts(render.ContentTypeEvents) == "" {
		return NewError(http.StatusNotAcceptable, "this is a stream of events (text/event-stream)")
	}
	if err := c.setEventHeader(); err != nil || c.Method() == http.MethodHead {
		return err
	}
	c.req.EndOnDrain()
	if err := c.Flush(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(c)
	s := &EventStream{c: c, ctx: ctx, cancel: cancel}
	defer s.end()
	if ctx.Err() != nil {
		return nil
	}
	s.SetHeartbeat(defaultHeartbeat)
	err := f(s)
	if err != nil && ctx.Err() != nil && isEnd(err, context.Cause(ctx)) {
		return nil
	}
	return err
}

func (c *Context) setEventHeader() error {
	if err := c.req.SetStatus(http.StatusOK); err != nil {
		return err
	}
	c.req.DelHeader("Content-Length")
	if err := c.SetHeader("Content-Type", render.ContentTypeEvents); err != nil {
		return err
	}
	if c.req.ResponseHeader("Cache-Control") == "" {
		if err := c.SetHeader("Cache-Control", "no-store"); err != nil {
			return err
		}
	}
	return c.SetHeader("X-Accel-Buffering", "no")
}

// Context ends with the stream; context.Cause tells why: server.ErrClientGone,
// server.ErrServerDraining, what ended the context that SSE was called with, or
// server.ErrRequestDone when the function has returned.
func (s *EventStream) Context() context.Context { return s.ctx }

// Done is closed when the stream ends: it is that of Context.
func (s *EventStream) Done() <-chan struct{} { return s.ctx.Done() }

// LastEventID is the id of the last event that the client got before it reconnected,
// "" when it comes for the first time or got none. It is what the client says.
func (s *EventStream) LastEventID() string { return s.c.Header("Last-Event-ID") }

// Send sends an event. One whose ID or Name has CR, LF or NUL is refused, and the
// stream goes on.
func (s *EventStream) Send(event render.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.send(event)
}

// SendJSON sends an event with v as its data, in JSON as Config.JSON makes it.
func (s *EventStream) SendJSON(event render.Event, v any) error {
	data, err := s.c.app.json.Append(nil, v)
	if err != nil {
		return err
	}
	event.Data = string(bytes.TrimRight(data, "\n"))
	return s.Send(event)
}

// Comment sends text that the client skips.
func (s *EventStream) Comment(text string) error {
	return s.Send(render.Event{Comment: text})
}

// SetHeartbeat sets after how much silence an empty comment is sent, 15 s by
// default: so that proxies keep the connection, and a client that has vanished is
// noticed, when its system, or ours, gives the connection up. Zero means the
// default, negative none.
func (s *EventStream) SetHeartbeat(interval time.Duration) {
	if interval == 0 {
		interval = defaultHeartbeat
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.beat != nil {
		s.beat.Stop()
	}
	if s.interval = interval; interval > 0 && s.ended == nil {
		s.beat = time.AfterFunc(interval, s.heartbeat)
	}
}

func (s *EventStream) heartbeat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil || s.interval <= 0 {
		return
	}
	silence := time.Since(s.sent)
	if silence >= s.interval {
		if s.write([]byte(":\n\n")) != nil {
			return
		}
		silence = 0
	}
	s.beat.Reset(s.interval - silence)
}

func (s *EventStream) send(event render.Event) error {
	if s.ended != nil {
		return s.ended
	}
	b, err := event.Append(s.buf[:0])
	if err != nil {
		return err
	}
	if cap(b) <= keptBuffer {
		s.buf = b[:0]
	}
	return s.write(b)
}

// write sends octets at once. The caller holds mu.
func (s *EventStream) write(p []byte) error {
	if s.ctx.Err() != nil {
		s.ended = context.Cause(s.ctx)
		return s.ended
	}
	_, err := s.c.Write(p)
	if err == nil {
		err = s.c.Flush()
	}
	if err != nil {
		s.cancel(server.ErrClientGone) // unless there is a better reason already
		s.ended = context.Cause(s.ctx)
		return fmt.Errorf("%w: %w", s.ended, err)
	}
	s.sent = time.Now()
	return nil
}

// end ends the stream for whoever still has it.
func (s *EventStream) end() {
	s.cancel(server.ErrRequestDone)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = server.ErrRequestDone
	if s.beat != nil {
		s.beat.Stop()
	}
}
