// SPDX-License-Identifier: MIT

package render

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Event is one event of a server-sent event stream (WHATWG HTML §9.2). Its zero
// value is an empty event, which a client does not notice.
type Event struct {
	// ID is what the client sends back as Last-Event-ID when it reconnects.
	// "" leaves the client's last id as it is.
	ID string

	// Name is the type of the event; "" means "message".
	Name string

	// Data is the payload. It may have several lines, ended by LF, CR or CRLF;
	// the client sees LF.
	Data string

	// Retry tells the client how long to wait before it reconnects, rounded
	// up to a millisecond. 0 says nothing.
	Retry time.Duration

	// Comment is skipped by the client. An event of nothing but a comment
	// keeps a quiet connection open.
	Comment string
}

var errEventField = errors.New("render: encoding an event: id and name must have no CR, LF or NUL")

// Append appends the event with the empty line that ends it. An ID or Name with
// CR, LF or NUL, and a negative Retry, are errors: they would let data pose as
// other fields of the stream, or reset the client's last id unnoticed.
func (e Event) Append(dst []byte) ([]byte, error) {
	if strings.ContainsAny(e.ID, "\r\n\x00") || strings.ContainsAny(e.Name, "\r\n\x00") {
		return dst, errEventField
	}
	if e.Retry < 0 {
		return dst, errors.New("render: encoding an event: negative retry")
	}
	if e.Comment != "" {
		dst = appendLines(dst, ": ", e.Comment)
	}
	if e.Retry > 0 {
		dst = append(dst, "retry: "...)
		dst = strconv.AppendInt(dst, int64((e.Retry-1)/time.Millisecond)+1, 10)
		dst = append(dst, '\n')
	}
	if e.ID != "" {
		dst = append(append(append(dst, "id: "...), e.ID...), '\n')
	}
	if e.Name != "" {
		dst = append(append(append(dst, "event: "...), e.Name...), '\n')
	}
	// A client drops an event without a data field; one that has a name is
	// meant to arrive even if it carries nothing.
	if e.Data != "" || e.Name != "" {
		dst = appendLines(dst, "data: ", e.Data)
	}
	return append(dst, '\n'), nil
}

// appendLines appends every line of s with a prefix before it.
func appendLines(dst []byte, prefix, s string) []byte {
	for {
		line, rest, more := s, "", false
		if i := strings.IndexAny(s, "\r\n"); i >= 0 {
			line, rest, more = s[:i], s[i+1:], true
			if s[i] == '\r' && strings.HasPrefix(rest, "\n") {
				rest = rest[1:]
			}
		}
		dst = append(append(append(dst, prefix...), line...), '\n')
		if !more {
			return dst
		}
		s = rest
	}
}
