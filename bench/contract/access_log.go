// SPDX-License-Identifier: MIT

package contract

import (
	"time"

	"github.com/rs/zerolog"
)

// Access is a line of the access log. The strings are only used while it is
// written.
type Access struct {
	Method, Path, Route string
	Status              int
	Bytes               int64
	Start               time.Time
	Remote, RequestID   string
}

// LogRequest writes a line with the same fields for every server.
func LogRequest(log *zerolog.Logger, a *Access) {
	log.Info().
		Str("method", a.Method).
		Str("path", a.Path).
		Str("route", a.Route).
		Int("status", a.Status).
		Int64("bytes", a.Bytes).
		Int64("duration_us", time.Since(a.Start).Microseconds()).
		Str("remote", a.Remote).
		Str("request_id", a.RequestID).
		Msg("request")
}
