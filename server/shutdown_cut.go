// SPDX-License-Identifier: MIT

package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// maxCutRequests bounds what a CutError names.
const maxCutRequests = 100

// CutError is what [HTTPServer.Shutdown] returns when it had to cut connections.
type CutError struct {
	// Err is why there was no more time: the error of Shutdown's context.
	Err error
	// Connections is how many connections were closed, those included on which no
	// request was being answered any more or yet, because its head was not complete.
	// Idle ones do not count.
	Connections int
	// Requests are those that were being answered, longest first, at most 100.
	Requests []CutRequest
	// More is how many requests there were besides.
	More int
}

// CutRequest is a request whose connection was closed under its handler.
type CutRequest struct {
	Method string
	// Path is as it was received, percent-escapes and all, without the query, which
	// may hold what is nobody's business, and not more than its first 256 octets.
	Path string
	// Peer is the other end of the connection, as RemoteAddr has it: often empty for
	// a Unix socket.
	Peer string
	// Ran is how long it had been since the head of the request had arrived.
	Ran time.Duration
}

// Error names the first few requests.
func (e *CutError) Error() string {
	const named = 3
	var b strings.Builder
	b.WriteString("server: shutdown cut ")
	if e.Connections == 1 {
		b.WriteString("a connection")
	} else {
		fmt.Fprintf(&b, "%d connections", e.Connections)
	}
	for i, r := range e.Requests[:min(len(e.Requests), named)] {
		b.WriteString([]string{": ", ", "}[min(i, 1)])
		fmt.Fprintf(&b, "%s %q", r.Method, r.Path)
		if r.Peer != "" {
			b.WriteString(" of " + r.Peer)
		}
		fmt.Fprintf(&b, " after %v", r.Ran.Round(time.Millisecond))
	}
	if more := len(e.Requests) - named + e.More; more > 0 {
		fmt.Fprintf(&b, " and %d more requests", more)
	}
	return b.String() + ": " + e.Err.Error()
}

// Unwrap gives Err.
func (e *CutError) Unwrap() error { return e.Err }

// log writes e into a line of log.
func (e *CutError) log(line *zerolog.Event) *zerolog.Event {
	requests := zerolog.Arr()
	for _, r := range e.Requests {
		requests.Dict(zerolog.Dict().Str("method", r.Method).Str("path", r.Path).Str("peer", r.Peer).Dur("ran", r.Ran))
	}
	return line.Err(e.Err).Int("connections", e.Connections).Array("requests", requests).Int("more", e.More)
}

// cutting collects what is cut.
type cutting struct {
	connections int
	requests    []*HTTPRequest
}

// conn takes note of a connection that is going to be closed; c is nil when it has
// not come to HTTP yet.
func (k *cutting) conn(c *HTTPConnection) {
	if c == nil || c.State() != http.StateActive || c.at.Load() == &through {
		return
	}
	k.connections++
	if r := c.underway(); r != nil {
		k.requests = append(k.requests, r)
	}
}

func (k *cutting) report(cause error, now time.Time) *CutError {
	slices.SortFunc(k.requests, func(a, b *HTTPRequest) int { return a.start.Compare(b.start) })
	e := &CutError{Err: cause, Connections: k.connections}
	for _, r := range k.requests[:min(len(k.requests), maxCutRequests)] {
		// Copies: the error may be kept for longer than the text of a request should.
		e.Requests = append(e.Requests, CutRequest{strings.Clone(r.Method()), strings.Clone(clip(r.Path(), 256)), r.RemoteAddr(), now.Sub(r.start)})
	}
	e.More = len(k.requests) - len(e.Requests)
	return e
}
