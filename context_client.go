// SPDX-License-Identifier: MIT

package pleat

import (
	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/client"
)

// Client is the app's outbound client bound to this request: its calls end when
// the request does, keep its deadline, carry its id (and traceparent) to the
// origins that the client's Propagate names, count against its budget, and are
// written to its log, at debug level where they succeed: method, url, status, hops,
// bytes, duration_us and error. For work that outlives the request use
// Client().Detached().
func (c *Context) Client() *client.HTTPClient {
	e := c.extras()
	e.mu.Lock()
	bound := e.client
	e.mu.Unlock()
	if bound != nil {
		return bound
	}
	log := c.Log()
	bound = c.app.client.Bind(client.Binding{
		Context:     c,
		RequestID:   c.RequestID(),
		Traceparent: c.Header("Traceparent"),
		OnDone: func(s client.Stats) {
			level := zerolog.DebugLevel
			if s.Err != nil {
				level = zerolog.WarnLevel
			}
			log.Level(level).Err(s.Err).Str("method", s.Method).Str("url", s.URL).Int("status", s.Status).Int("hops", s.Hops).
				Int64("bytes", s.Bytes).Int64("duration_us", s.Duration.Microseconds()).Msg("pleat: upstream call")
		},
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.client == nil {
		e.client = bound
	}
	return e.client
}
