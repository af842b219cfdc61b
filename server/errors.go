// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"net/http"
)

// Conditions that callers may want to tell apart with errors.Is.
var (
	// ErrServerClosed is returned by Serve and its kin after Shutdown or Close.
	ErrServerClosed = errors.New("server: closed")
	// ErrRequestDone is returned by every answering or body-reading call on a
	// request whose handler has returned, and is the cause of its context's end.
	ErrRequestDone = errors.New("server: the request is done")
	// ErrCommitted is returned by calls that need an answer of which nothing has
	// been sent yet.
	ErrCommitted = errors.New("server: the answer is already on its way")
	// ErrClientGone is the cause of a request context that ended because the
	// client closed or reset its connection.
	ErrClientGone = errors.New("server: the client is gone")
	// ErrServerDraining is the cause of a request context that ended because the
	// server is shutting down and its patience is over; for requests that called
	// EndOnDrain, because it begins to.
	ErrServerDraining = errors.New("server: draining")
	// ErrBodyTooLarge is returned when a request body exceeds its limit; its
	// StatusCode is 413.
	ErrBodyTooLarge error = &bodyError{http.StatusRequestEntityTooLarge, "server: request body too large", nil}
	// ErrBodyTimeout is returned when a request body arrives too slowly; its
	// StatusCode is 408.
	ErrBodyTimeout error = &bodyError{http.StatusRequestTimeout, "server: request body arrives too slowly", nil}
	// ErrInvalidHeader is returned for a field name that is not a token, for a
	// value with CR, LF, NUL or another control character, and for fields that
	// are the connection's own business (Transfer-Encoding, Keep-Alive).
	ErrInvalidHeader = errors.New("server: invalid header field")
	// ErrInvalidStatus is returned for a status code outside of 200 to 599, or
	// 100 to 199 where an informational one is asked for.
	ErrInvalidStatus = errors.New("server: invalid status code")
	// ErrContentLength is returned by a write that exceeds the Content-Length
	// the handler declared.
	ErrContentLength = errors.New("server: more body than the declared Content-Length")
	// ErrNotHijackable is returned by Hijack where the connection cannot be
	// taken over, as in HTTP/2.
	ErrNotHijackable = errors.New("server: the connection cannot be hijacked")
	// ErrHijacked is returned by answering calls after Hijack.
	ErrHijacked = errors.New("server: the connection has been hijacked")
)
