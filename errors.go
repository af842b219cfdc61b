// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

// HTTPError is an error with a status and something to say to the client. What
// is in Cause is for the log alone.
type HTTPError struct {
	// Status is the status of the answer, 400 to 599.
	Status int
	// Message is shown to the client; "" means the standard phrase.
	Message string
	// Cause is what went wrong, for the log and for errors.Is. May be nil.
	Cause error
	// Header has fields to be sent with the answer: Allow, Retry-After,
	// WWW-Authenticate. May be nil.
	Header http.Header
}

// NewError makes an error with a status and a message for the client, "" meaning
// the standard phrase of the status. A status outside of 400 to 599 becomes 500.
func NewError(status int, message string) *HTTPError {
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	return &HTTPError{Status: status, Message: message}
}

// WithCause is a copy of e with a cause.
func (e *HTTPError) WithCause(cause error) *HTTPError {
	d := *e
	d.Cause = cause
	return &d
}

// WithHeader is a copy of e with a further field for the answer.
func (e *HTTPError) WithHeader(name, value string) *HTTPError {
	d := *e
	d.Header = e.Header.Clone()
	if d.Header == nil {
		d.Header = http.Header{}
	}
	d.Header.Add(name, value)
	return &d
}

// Error is status, message and cause, for the log.
func (e *HTTPError) Error() string {
	text := e.Message
	if text == "" {
		text = http.StatusText(e.Status)
	}
	if e.Cause != nil {
		return fmt.Sprintf("%d %s: %v", e.Status, text, e.Cause)
	}
	return fmt.Sprintf("%d %s", e.Status, text)
}

// Unwrap gives the cause.
func (e *HTTPError) Unwrap() error { return e.Cause }

// StatusCode is the status.
func (e *HTTPError) StatusCode() int { return e.Status }

// StatusCoder is an error that knows the status of its answer. An [HTTPError]
// is one, and so are the errors of package server that a request brings about;
// errors of an application's own may be.
type StatusCoder interface {
	error
	StatusCode() int
}

// StatusOf is the status that an error is answered with. In this order:
//
//  1. the first StatusCoder in its chain, if its code is 400 to 599
//  2. 400 for input that could not be decoded (*render.DecodeError) and for a
//     signed cookie that is absent, expired or not ours; 413 for an
//     *http.MaxBytesError
//  3. 499 when the client has gone: nobody reads it but the log; 503 when the
//     server is draining
//  4. 500 for an outbound call that was never made, because its address, options
//     or header, or the client's configuration, are no good; 504 for one that took
//     too long, 502 for one that failed otherwise (*client.Error)
//  5. 503 for a deadline that passed
//  6. 500; and 200 for nil
func StatusOf(err error) int {
	var coder StatusCoder
	var decode *render.DecodeError
	var tooLarge *http.MaxBytesError
	var upstream *client.Error
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &coder) && coder.StatusCode() >= 400 && coder.StatusCode() <= 599:
		return coder.StatusCode()
	case errors.As(err, &decode), isCookieFault(err):
		return http.StatusBadRequest
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, server.ErrClientGone):
		return statusClientGone
	case errors.Is(err, server.ErrServerDraining):
		return http.StatusServiceUnavailable
	case errors.As(err, &upstream):
		switch {
		case isCallFault(upstream):
			return http.StatusInternalServerError
		case errors.Is(err, context.DeadlineExceeded) || upstream.Timeout():
			return http.StatusGatewayTimeout
		}
		return http.StatusBadGateway
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// isCookieFault reports what anybody can bring about with a cookie.
func isCookieFault(err error) bool {
	return errors.Is(err, server.ErrNoCookie) || errors.Is(err, server.ErrCookieExpired) || errors.Is(err, server.ErrCookieTampered)
}

// isCallFault reports that an outbound call could not even be begun as it was
// written down: nobody else has failed.
func isCallFault(err *client.Error) bool {
	return err.Phase == client.PhaseRequest &&
		(errors.Is(err, client.ErrURL) || errors.Is(err, client.ErrOption) || errors.Is(err, client.ErrHeader) || errors.Is(err, client.ErrConfig))
}

// statusClientGone is nginx's number for a client that did not wait.
const statusClientGone = 499

// answerOf is the HTTPError that decides the answer for err, nil when something
// else does: what is wrapped in it has no say.
func answerOf(err error) *HTTPError {
	var coder StatusCoder
	if !errors.As(err, &coder) {
		return nil
	}
	e, _ := coder.(*HTTPError)
	return e
}

// messageOf is what the client may read about an error.
func messageOf(err error, status int) string {
	if e := answerOf(err); e != nil {
		return e.Message
	}
	var decode *render.DecodeError
	if errors.As(err, &decode) && status == http.StatusBadRequest {
		if decode.Field != "" {
			return decode.Field + ": " + decode.Reason
		}
		return decode.Reason
	}
	var protocol *server.ProtocolError
	if errors.As(err, &protocol) && status == protocol.Status {
		return protocol.Reason
	}
	return ""
}
