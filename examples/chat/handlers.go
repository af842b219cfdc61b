// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/render"
)

const (
	maxName = 24      // letters
	maxText = 2 << 10 // octets
	burst   = 10      // messages at once, and then
	refill  = 500 * time.Millisecond
)

type handlers struct {
	room       *room
	streamTime time.Duration // of one stream of events; browsers come back
}

var (
	errTooFast = websocket.CloseError{Code: websocket.StatusPolicyViolation, Reason: "too many messages"}
	errFull    = websocket.CloseError{Code: websocket.StatusTryAgainLater, Reason: "the room is full"}
)

// chat is the WebSocket of somebody in the room. From the client come the texts it
// says, to the client go a greeting and then entries.
func (h *handlers) chat(c *pleat.Context) error {
	name, ok := cleanName(c.Query("name"))
	if !ok {
		return pleat.NewError(400, "a name has 1 to 24 letters, digits, spaces or -_.")
	}
	opts := pleat.WebSocketOptions{MaxMessage: maxText}
	return c.WebSocket(opts, func(ctx context.Context, conn *websocket.Conn) error {
		name, ok := h.room.join(name)
		if !ok {
			return errFull
		}
		defer h.room.leave(name)
		// What the page has seen already it skips by the ids.
		missed, to := h.room.listen(0, func(e entry) bool { return e.Kind == kindMessage })
		defer h.room.unlisten(to)

		// It writes under the context of the connection and is left to itself: to end the
		// context of a write would drop the connection, and with it the close frame that
		// says why.
		go h.deliver(ctx, conn, name, missed, to)
		return h.hear(ctx, conn, name)
	})
}

// deliver writes to the client what happens, until the connection ends.
func (h *handlers) deliver(ctx context.Context, conn *websocket.Conn, name string, missed []entry, to *receiver) {
	hello := struct {
		Kind  string `json:"kind"`
		Name  string `json:"name"`
		Epoch string `json:"epoch"`
	}{"hello", name, h.room.epoch}
	if wsjson.Write(ctx, conn, hello) != nil {
		return
	}
	for _, e := range missed {
		if wsjson.Write(ctx, conn, e) != nil {
			return
		}
	}
	for {
		select {
		case e, ok := <-to.queue:
			if !ok {
				_ = conn.Close(websocket.StatusPolicyViolation, "too slow") // which ends hear
				return
			}
			if wsjson.Write(ctx, conn, e) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// hear reads what the client says. Who says too much would make others fall behind.
func (h *handlers) hear(ctx context.Context, conn *websocket.Conn, name string) error {
	tokens, at := burst, time.Now()
	for {
		kind, message, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		if n := int(time.Since(at) / refill); n > 0 {
			tokens, at = min(tokens+n, burst), time.Now()
		}
		if tokens--; tokens < 0 {
			return errTooFast
		}
		text := strings.TrimSpace(string(message))
		if kind != websocket.MessageText || !utf8.ValidString(text) {
			return websocket.CloseError{Code: websocket.StatusInvalidFramePayloadData, Reason: "text in UTF-8 wanted"}
		}
		if text != "" {
			h.room.say(name, text)
		}
	}
}

// presence is a stream of who comes and goes. A page that comes for the first time is
// told who is here; one that comes again gets what it has missed.
func (h *handlers) presence(c *pleat.Context) error {
	return c.SSE(func(s *pleat.EventStream) error {
		epoch, id, _ := strings.Cut(s.LastEventID(), ".")
		after, err := strconv.ParseInt(id, 10, 64)
		again := epoch == h.room.epoch && err == nil
		if !again {
			names, last := h.room.here()
			after = last
			if err := h.send(s, entry{ID: last, Kind: "here", Here: names}); err != nil {
				return err
			}
		}
		missed, to := h.room.listen(after, func(e entry) bool { return e.Kind != kindMessage })
		defer h.room.unlisten(to)
		for _, e := range missed {
			if err := h.send(s, e); err != nil {
				return err
			}
		}
		over := time.NewTimer(h.streamTime)
		defer over.Stop()
		for {
			select {
			case e, ok := <-to.queue:
				if !ok {
					return nil // too slow: it comes again, and gets what it has missed
				}
				if err := h.send(s, e); err != nil {
					return err
				}
			case <-over.C:
				return nil
			case <-s.Done():
				return context.Cause(s.Context())
			}
		}
	})
}

// send sends an entry under an id that another run of the program does not take for
// its own.
func (h *handlers) send(s *pleat.EventStream, e entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return s.Send(render.Event{ID: h.room.epoch + "." + strconv.FormatInt(e.ID, 10), Name: e.Kind, Data: string(data), Retry: time.Second})
}

// cleanName is a name as the room shows it.
func cleanName(s string) (string, bool) {
	s = strings.Join(strings.Fields(s), " ")
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" -_.", r) {
			return "", false
		}
	}
	n := utf8.RuneCountInString(s)
	return s, n >= 1 && n <= maxName
}
