// SPDX-License-Identifier: MIT

package middleware

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// LoggerConfig configures [Logger]. The zero value writes a line for every
// request to the app's log.
type LoggerConfig struct {
	// Logger takes the lines; nil means the app's log. Give it a Timestamp if
	// lines are to have one.
	Logger *zerolog.Logger
	// Level chooses the level of a line; zerolog.Disabled writes none. nil means
	// error for 5xx, warn for 4xx, for methods that nobody knows (501), for 503
	// because the server drains and for answers that were cut off, otherwise info.
	// status is 0 for requests without an answer: see [Logger].
	Level func(c *pleat.Context, status int) zerolog.Level
	// SampleEvery writes only one line for so many requests that went well: those
	// with a 2xx or 3xx answer, no error, and faster than Slow. Lines that stand
	// for others have a field "sample" with this number. 0 and 1 write all,
	// negative numbers none of them.
	SampleEvery int
	// Slow is how long a request takes that is not sampled away, 1 s by default;
	// negative means that time does not matter.
	Slow time.Duration
	// UserAgent adds "user_agent", up to 256 octets.
	UserAgent bool
	// Query adds "query", the raw query, up to 2 KiB.
	//
	// Security: queries hold tokens, addresses and what people search for.
	Query bool
	// Fields adds fields of the app's own, in an object under "fields", so that
	// they cannot pass for any of the others. It is called concurrently, once for
	// every line that is written. If it panics the line goes without them.
	Fields func(c *pleat.Context, e *zerolog.Event)
}

const defaultSlow = time.Second

// What the log takes of text that comes from outside. Escaped, an octet is six at
// worst.
const (
	maxLogMethod    = 64
	maxLogPath      = 2 << 10
	maxLogQuery     = 2 << 10
	maxLogUserAgent = 256
	maxLogError     = 1 << 10
)

// Logger writes one line for each request when its answer has been made, error
// answers, panics, 404, 405 and redirects included. The fields are
//
//	method, path  as received, path up to 2 KiB and without query
//	host          the pattern of the host, for routes of App.Host
//	route         the pattern that matched; absent when there is none
//	status        of the answer
//	bytes         octets of the body as far as they were written by then
//	duration_us   microseconds since the head of the request had arrived
//	remote        the client's address, by the trust policy; absent for Unix sockets
//	request_id    as in all other lines about this request
//	suspect       true when a trusted proxy sent fields that could not be believed
//	aborted       true when the answer was cut off, or there was none
//	hijacked      true when a handler took the connection over
//	error         for 4xx, what the handler said, up to 1 KiB
//
// A connection that was hijacked has its line when the handler is through with it, with
// status 101 if that was sent, as for WebSocket. The status is 0 when it was hijacked
// otherwise, or cut before an answer was begun.
//
// Why a request failed with 5xx is not repeated here: the app logs it with its
// stack, under the same request_id.
//
// Whatever comes from the client is in fields, where it is escaped, never in the
// message, so a request cannot forge a line. A line costs no allocation, unless
// the request has no id yet. Whether a line is written is decided before it is
// made.
//
// Used twice, it writes two lines. It never answers and never changes an error.
func Logger(config LoggerConfig) pleat.Middleware {
	if config.Slow == 0 {
		config.Slow = defaultSlow
	}
	l := &accessLog{config: config}
	finish := l.finish // the same for all requests: no closure to allocate
	return func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			c.OnFinish(finish)
			return next(c)
		}
	}
}

type accessLog struct {
	config LoggerConfig
	well   atomic.Uint64 // requests that could be sampled away
}

// outcome is what a line says about how a request ended.
type outcome struct {
	status   int
	bytes    int64
	aborted  bool
	hijacked bool
}

func outcomeOf(c *pleat.Context) (o outcome) {
	req := c.Request()
	o.bytes = req.BytesWritten()
	if req.Hijacked() {
		o.hijacked, o.status = true, req.Status()
		return o
	}
	if o.aborted = c.Aborted(); o.aborted && !req.Committed() {
		return outcome{aborted: true}
	}
	o.status = c.ResponseStatus()
	if req.Method() == http.MethodHead || o.status == http.StatusNoContent || o.status == http.StatusNotModified {
		o.bytes = 0 // written, but not sent
	}
	return o
}

func (l *accessLog) finish(c *pleat.Context) {
	req, o := c.Request(), outcomeOf(c)
	elapsed := req.Elapsed()
	sampled := false
	if l.config.SampleEvery < 0 || l.config.SampleEvery > 1 {
		sampled = c.Failure() == nil && !o.hijacked && o.status < http.StatusBadRequest && (l.config.Slow < 0 || elapsed < l.config.Slow)
		if sampled && !l.sample() {
			return
		}
	}
	log := l.config.Logger
	if log == nil {
		log = c.App().Log()
	}
	e := log.WithLevel(l.level(c, o))
	if e == nil {
		return
	}
	e.Str("method", clip(req.Method(), maxLogMethod)).Str("path", clip(req.Path(), maxLogPath))
	if l.config.Query {
		e.Str("query", clip(req.RawQuery(), maxLogQuery))
	}
	if route := c.Route(); route != nil {
		if host := route.Host(); host != "" {
			e.Str("host", host)
		}
		e.Str("route", route.Pattern())
	}
	e.Int("status", o.status).Int64("bytes", o.bytes).Int64("duration_us", elapsed.Microseconds())
	if ip := c.RemoteIP(); ip.IsValid() {
		var text [64]byte
		e.Bytes("remote", ip.AppendTo(text[:0]))
	}
	e.Str("request_id", c.RequestID())
	l.addSeldom(c, e, o)
	if sampled && l.config.SampleEvery > 1 {
		e.Int("sample", l.config.SampleEvery)
	}
	e.Msg("request")
}

// addSeldom adds the fields that most lines do not have.
func (l *accessLog) addSeldom(c *pleat.Context, e *zerolog.Event, o outcome) {
	req := c.Request()
	if l.config.UserAgent {
		e.Str("user_agent", clip(req.Header().Get("User-Agent"), maxLogUserAgent))
	}
	if req.Origin().Suspect {
		e.Bool("suspect", true)
	}
	if o.aborted {
		e.Bool("aborted", true)
	}
	if o.hijacked {
		e.Bool("hijacked", true)
	}
	if o.status >= 400 && o.status < 500 {
		if text := reasonOf(c.Failure()); text != "" {
			e.Str("error", clip(text, maxLogError))
		}
	}
	if l.config.Fields != nil {
		l.addFields(c, e)
	}
}

func (l *accessLog) addFields(c *pleat.Context, e *zerolog.Event) {
	dict := e.CreateDict()
	err := pleat.Call(func(c *pleat.Context) error { l.config.Fields(c, dict); return nil }, c)
	if err != nil {
		c.Log().Error().Err(err).Msg("middleware: LoggerConfig.Fields failed")
		return
	}
	e.Dict("fields", dict)
}

// reasonOf is what an error says beyond the phrase of its status, which says no
// more than the status.
func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := err.(*pleat.HTTPError); ok && e.Message == "" && e.Cause == nil {
		return ""
	}
	return err.Error()
}

// sample reports whether a line that may be left out is written.
func (l *accessLog) sample() bool {
	return l.config.SampleEvery > 0 && (l.well.Add(1)-1)%uint64(l.config.SampleEvery) == 0
}

func (l *accessLog) level(c *pleat.Context, o outcome) zerolog.Level {
	switch {
	case l.config.Level != nil:
		return l.config.Level(c, o.status)
	case o.status == http.StatusNotImplemented && c.Route() == nil:
		return zerolog.WarnLevel // a method that nobody knows is the client's doing
	case o.status >= http.StatusInternalServerError && !errors.Is(c.Failure(), server.ErrServerDraining):
		return zerolog.ErrorLevel
	case o.status >= http.StatusBadRequest || o.aborted:
		return zerolog.WarnLevel
	}
	return zerolog.InfoLevel
}

func clip(s string, most int) string {
	if len(s) > most {
		return s[:most]
	}
	return s
}
