// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Conditions that a caller may want to tell apart. They arrive inside an [*Error]; use errors.Is.
var (
	// ErrConfig says that the fields of the HTTPClient do not fit together. Nothing was sent.
	ErrConfig = errors.New("invalid client configuration")
	// ErrURL says that an address cannot be called: empty or relative without a BaseURL, not http or https, no host,
	// a bad port, control bytes or a bad escape. Nothing was sent to it.
	ErrURL = errors.New("invalid URL")
	// ErrHeader says that a header field cannot be sent: the name is not a token, the value holds CR, LF, NUL or
	// another control byte, or the field belongs to the client (Host, Content-Length, Transfer-Encoding, Connection …).
	ErrHeader = errors.New("invalid header field")
	// ErrOption says that the options of a call contradict each other or are not usable. Nothing was sent.
	ErrOption = errors.New("invalid call option")
	// ErrMalformed says that the peer broke HTTP: the answer cannot be trusted and its connection was closed.
	ErrMalformed = errors.New("malformed response")
	// ErrEncoding says that the content coding of a body is unknown or damaged.
	ErrEncoding = errors.New("invalid content encoding")
	// ErrCharset says that the declared character set is unknown or must not be decoded (UTF-7, ISO-2022-KR …).
	// HTTPResponse.Bytes still works.
	ErrCharset = errors.New("unsupported character set")
	// ErrInsecureRedirect says that a redirect led from https to http.
	ErrInsecureRedirect = errors.New("redirect from https to http refused")
	// ErrRedirectLoop says that a redirect led to a request already made.
	ErrRedirectLoop = errors.New("redirect loop")
	// ErrTooManyRedirects says that MaxRedirects was reached.
	ErrTooManyRedirects = errors.New("too many redirects")
	// ErrNotReplayable says that a body has to be sent a second time and cannot be read again.
	ErrNotReplayable = errors.New("request body cannot be sent again")
	// ErrBodyCrossOrigin says that a client with PublicOnly was told to send a body on to another origin.
	ErrBodyCrossOrigin = errors.New("request body not sent on to another origin")
	// ErrBudget says that the calls or hops allowed to one inbound request are used up; see Binding.
	ErrBudget = errors.New("outbound budget of this request used up")
	// ErrForbiddenAddress says that PublicOnly refused to connect.
	ErrForbiddenAddress = errors.New("address not allowed by PublicOnly")
	// ErrBodyClosed says that a body was read after Close.
	ErrBodyClosed = errors.New("response body is closed")
	// ErrBodyRead says that a body was asked for as a whole after part of it had been read from Body or Lines.
	ErrBodyRead = errors.New("response body was already partly read")
	// ErrHelperBusy says that a ClientHelper was used while it was making its calls.
	ErrHelperBusy = errors.New("calls are being made")
)

var errWrongLength = fmt.Errorf("%w: body is not as long as declared: %w", ErrMalformed, io.ErrUnexpectedEOF)

// Phase says how far a call had got.
type Phase string

// The phases of a call, in order.
const (
	PhaseRequest  Phase = "preparing request" // nothing sent yet
	PhaseConnect  Phase = "connecting"        // name lookup, dialling, TLS
	PhaseExchange Phase = "exchange"          // sending the request, waiting for and reading the response header
	PhaseRedirect Phase = "redirect"          // following a redirect
	PhaseBody     Phase = "reading body"      // reading and decompressing the response body
	PhaseDecode   Phase = "decoding body"     // turning the body into text or a value
	PhaseHandler  Phase = "handler"           // the caller's own function
)

// Error is every error of a call.
type Error struct {
	Op      string // the method
	URL     string // the address, without user, password, query and fragment; "" when it could not be parsed
	Phase   Phase
	Attempt int // how many requests had been sent, redirects and retries included
	Err     error
}

func (e *Error) Error() string {
	s := "client: "
	if e.Op != "" {
		s += e.Op + " "
	}
	if e.URL != "" {
		s += e.URL + ": "
	}
	return s + string(e.Phase) + ": " + e.Err.Error()
}

// Unwrap returns the error behind.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether time ran out: the call's, the context's or the network's.
func (e *Error) Timeout() bool {
	if errors.Is(e.Err, context.DeadlineExceeded) {
		return true
	}
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// LimitError says that something was larger than the client accepts.
type LimitError struct {
	What  string // "response header", "response body", "compression ratio", "informational responses" or "line"
	Limit int64  // bytes, or the count that was allowed
}

func (e *LimitError) Error() string {
	return e.What + " exceeds " + strconv.FormatInt(e.Limit, 10)
}

// RedirectError says that a redirect was not followed. The response that asked for it comes with the error; its body is
// closed.
type RedirectError struct {
	Hops     int           // how many redirects had been followed
	Last     *HTTPResponse // the answer that was not followed
	Location string        // where it pointed, without user, password, query and fragment; "" when that could not be parsed
	Err      error         // ErrTooManyRedirects, ErrRedirectLoop, ErrInsecureRedirect, ErrURL, ErrNotReplayable, ErrBudget …
}

func (e *RedirectError) Error() string {
	s := e.Err.Error() + " after " + strconv.Itoa(e.Hops) + " hops"
	if e.Location != "" {
		s += " (to " + e.Location + ")"
	}
	return s
}

// Unwrap returns the reason.
func (e *RedirectError) Unwrap() error { return e.Err }

// StatusError is what the short endings of a ClientHelper (Bytes, Text, JSON) give for an answer outside 200 to 299.
type StatusError struct {
	Response *HTTPResponse // its body was read and can be had with Bytes, Text or JSON
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("unexpected status %d %s", e.Response.Status, e.Response.StatusText)
}

// PanicError is a panic of a handler, caught.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value of the panic when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// contextError joins what the context says (Canceled, DeadlineExceeded) with why it ended.
type contextError struct {
	err, cause error
}

func (e *contextError) Error() string   { return e.err.Error() + ": " + e.cause.Error() }
func (e *contextError) Unwrap() []error { return []error{e.err, e.cause} }

// contextErr returns nil while ctx runs, and its error with its cause afterwards.
func contextErr(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return &contextError{err: err, cause: cause}
	}
	return err
}
