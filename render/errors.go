// SPDX-License-Identifier: MIT

package render

import (
	"errors"
	"strconv"
)

// ErrNoTemplate is wrapped by the error for a template name that does not exist.
var ErrNoTemplate = errors.New("no such template")

// errEmpty is the cause inside a [DecodeError] for input that holds nothing.
var errEmpty = errors.New("empty input")

// DecodeError says that input could not be decoded, and that the input is to
// blame: the program's own mistakes, such as decoding into something that is
// not a pointer, are other errors.
type DecodeError struct {
	// Format is the kind of input: "JSON", "XML" or "text".
	Format string

	// Offset is how many bytes had been read when the error was found, or -1
	// when that is not known.
	Offset int64

	// Field is the path of the value that did not fit, such as "address.zip",
	// or "" when the error has no single place.
	Field string

	// Reason says what is wrong in words that are fit to be shown to whoever
	// sent the input: it names no type of the program, and quotes at most a
	// few dozen bytes of the input.
	Reason string

	// Err is the cause, for the log. May be nil.
	Err error
}

// Error gives "render: decoding JSON: age: want an integer, got a string (at byte 12)".
func (e *DecodeError) Error() string {
	s := "render: decoding " + e.Format + ": "
	if e.Field != "" {
		s += e.Field + ": "
	}
	s += e.Reason
	if e.Offset >= 0 {
		s += " (at byte " + strconv.FormatInt(e.Offset, 10) + ")"
	}
	return s
}

// Unwrap gives the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// clip shortens what is quoted from input: an error must not be as long as the
// request that caused it.
func clip(s string) string {
	const most = 48
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && s[n]&0xC0 == 0x80 { // not in the middle of a rune
		n--
	}
	return s[:n] + "…"
}
