// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"unsafe"
)

// StatusOf is the status that an error asks for by a method StatusCode() int
// somewhere in its chain, 413 for an *http.MaxBytesError, 500 for all others, 200
// for nil.
func StatusOf(err error) int {
	if err == nil {
		return http.StatusOK
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	var coder interface{ StatusCode() int }
	if errors.As(err, &coder) {
		if code := coder.StatusCode(); code >= 400 && code <= 599 {
			return code
		}
	}
	return http.StatusInternalServerError
}

// bodyError is a fault of a request body that has a status of its own.
type bodyError struct {
	status int
	text   string
	cause  error
}

func (e *bodyError) Error() string   { return e.text }
func (e *bodyError) StatusCode() int { return e.status }
func (e *bodyError) Unwrap() error   { return e.cause }

// errBodyCut is a body whose client left half-way; nobody but a client that only
// closed its sending half will read the 400.
var errBodyCut error = &bodyError{http.StatusBadRequest, "server: request body cut short", io.ErrUnexpectedEOF}

// bodyCutBy is errBodyCut with what there is to say about it.
func bodyCutBy(err error) error {
	return &bodyError{http.StatusBadRequest, "server: request body cut short: " + err.Error(), fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)}
}

// bytesOf views a string as bytes, for code that only reads them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// clip bounds what is logged of text that comes from outside.
func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// panicText is what a log may say about a recovered value. fmt survives values
// whose own methods panic.
func panicText(v any) string { return fmt.Sprint(v) }

// stack is the calling goroutine's, as much of it as a log should hold.
func stack() []byte {
	text := make([]byte, 16<<10)
	return text[:runtime.Stack(text, false)]
}
