// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// exchange is one call in progress: request by request, until the final answer's body has ended. It is one allocation,
// shared with the HTTPResponse that the caller gets.
type exchange struct {
	response HTTPResponse // History and Attempts are kept as the call goes on, the rest is filled in by receive
	request  Request      // to send next; its header is never changed once the transport had it, only replaced

	client  *HTTPClient
	set     *settings
	call    *call
	ctx     context.Context
	cancel  context.CancelFunc // nil when the context is not ours
	started time.Time
	counter *informationalCounter

	body   *payload
	cookie string         // the caller's own Cookie value, without the jar's
	res    *http.Response // answer to the last request; nil after an attempt that failed
	seen   *[]string      // requests made since the last Set-Cookie; nil before the first redirect

	added  hopFields // fields in the header that belong to this hop alone
	noHost bool      // WithHost has ended
	decode bool      // Content-Encoding is ours to undo
	hold   bool      // counter is not to be released
	ended  bool      // the call is over and was reported
}

// perform makes the call k under ctx. Whatever the outcome, an error is an *Error. The response is not nil with a redirect
// error; its body is closed then.
func (c *HTTPClient) perform(ctx context.Context, k *call) (*HTTPResponse, error) {
	x := &exchange{client: c, set: c.settings(), call: k, started: time.Now()}
	x.request.Method = k.method
	if err := x.prepare(ctx); err != nil {
		return nil, x.fail(PhaseRequest, err)
	}
	for {
		if err := x.send(); err != nil {
			return nil, x.fail(PhaseExchange, err)
		}
		x.keepCookies()
		follow, err := x.redirect()
		if err != nil {
			return x.stopAt(err)
		}
		if !follow {
			break
		}
		drain(x.res.Body, x.res.ContentLength)
	}
	x.receive()
	if hook := x.set.OnHeaders; hook != nil {
		if err := guarded(func() error { return hook(&x.response) }); err != nil {
			err = x.fail(PhaseHandler, err)
			x.response.Close()
			return nil, err
		}
	}
	return &x.response, nil
}

// stopAt ends a call at a redirect that cannot be followed, because of err.
func (x *exchange) stopAt(err error) (*HTTPResponse, error) {
	x.receive()
	e := &RedirectError{Hops: len(x.response.History), Last: &x.response, Err: err}
	if target, err := x.location(); err == nil {
		e.Location = redact(target)
	}
	err = x.fail(PhaseRedirect, e)
	x.response.Close()
	return &x.response, err
}

// prepare checks everything that can be checked before anything is sent.
func (x *exchange) prepare(ctx context.Context) error {
	k, s := x.call, x.set
	if s.err != nil {
		return s.err
	}
	if k.failure != nil {
		return k.failure
	}
	if !httpguts.ValidHeaderFieldName(k.method) || k.method == http.MethodConnect {
		// RFC 9110 §9.1: the method is a token, which is what a field name is.
		return fmt.Errorf("%w: method %q", ErrOption, k.method)
	}
	u, err := s.resolve(k.url)
	if err != nil {
		return err
	}
	u.RawQuery = k.addQuery(u.RawQuery)
	x.request.URL = u
	if x.body, err = k.payload(); err != nil {
		return err
	}
	if err := x.checkRetries(); err != nil {
		return err
	}
	if b := x.client.bound; b != nil && !(httpguts.ValidHeaderFieldValue(b.RequestID) && httpguts.ValidHeaderFieldValue(b.Traceparent)) {
		return fmt.Errorf("%w: RequestID or Traceparent of the binding", ErrHeader)
	}
	if err := x.firstHeader(); err != nil {
		return err
	}
	return x.begin(ctx)
}

// begin sets up the context and takes the call out of the budget.
func (x *exchange) begin(ctx context.Context) error {
	timeout := x.set.Timeout
	if x.call.timeout != 0 {
		timeout = max(x.call.timeout, 0)
	}
	if timeout > 0 {
		// Inheriting an earlier deadline instead of deriving a context saves four allocations.
		deadline := x.started.Add(timeout)
		if d, ok := ctx.Deadline(); !ok || deadline.Before(d) {
			ctx, x.cancel = context.WithDeadline(ctx, deadline)
		}
	}
	x.ctx = ctx
	if err := contextErr(ctx); err != nil {
		return err
	}
	if b := x.client.bound; b != nil && !b.takeCall() {
		return fmt.Errorf("%w: %d calls", ErrBudget, b.MaxCalls)
	}
	if httptrace.ContextClientTrace(ctx) == nil {
		x.counter = takeCounter()
	} else {
		ctx = x.ownCounter(ctx)
	}
	x.ctx = httptrace.WithClientTrace(ctx, &x.counter.trace)
	return nil
}

// ownCounter is for a context that has a trace already. WithClientTrace merges that into ours, which therefore is for this
// call only, and has its hooks decide what ours cannot: then it is by cancelling that the counter stops the peer.
func (x *exchange) ownCounter(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	x.counter, x.hold = newCounter(), true
	x.counter.stop = func() { cancel(errInformational) }
	end := x.cancel
	x.cancel = func() {
		cancel(nil)
		if end != nil {
			end()
		}
	}
	return ctx
}

// attempt sends the request as it stands, once, and waits for the header of its answer.
func (x *exchange) attempt() error {
	x.res = nil
	if err := contextErr(x.ctx); err != nil {
		return x.wrap(PhaseRequest, err)
	}
	x.response.Attempts++
	x.counter.n.Store(0)
	host := x.call.host
	if x.noHost {
		host = ""
	}
	req := (&http.Request{
		Method: x.request.Method,
		URL:    x.request.URL,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: x.request.header,
		Host:   host,
		Close:  x.set.DisableKeepAlive,
	}).WithContext(x.ctx)
	if p := x.body; p != nil {
		req.ContentLength, req.Body = p.length, http.NoBody
		if p.length != 0 {
			req.Body = io.NopCloser(p.open())
		}
		if !p.once {
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(p.open()), nil }
		}
	}
	res, err := x.set.transport.RoundTrip(req)
	if err != nil {
		x.hold = true // the transport may not be done with it
		if x.counter.n.Load() > maxInformational {
			return x.wrap(PhaseExchange, errInformational) // of which HTTP/2 would report the text only
		}
		phase, err := classify(x.ctx, err, x.set.MaxResponseHeader)
		return x.wrap(phase, err)
	}
	if res == nil {
		return x.wrap(PhaseExchange, errors.New("transport returned neither response nor error"))
	}
	if res.Body == nil {
		res.Body = http.NoBody
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		// Upgrade cannot be asked for (see ownedHeaders): RFC 9110 §15.2.2 does not allow this answer.
		res.Body.Close()
		return x.wrap(PhaseExchange, fmt.Errorf("%w: 101 without Upgrade", ErrMalformed))
	}
	x.res = res
	return nil
}

// receive fills in the response.
func (x *exchange) receive() {
	res := x.res
	if !x.hold {
		x.counter.release()
	}
	r := &x.response
	r.Client, r.Request, r.URL = x.client, &x.request, x.request.URL
	r.HTTPVersion, r.Status = res.Proto, res.StatusCode
	r.StatusText = strings.TrimPrefix(strings.TrimPrefix(res.Status, statusDigits(res.StatusCode)), " ")
	r.Header, r.Trailer = res.Header, res.Trailer
	r.Wire = Wire{ContentLength: res.ContentLength, ContentEncoding: strings.Join(res.Header["Content-Encoding"], ", ")}
	r.body.start(x, res)
}

// statusDigits is strconv.Itoa for a status line's three digits.
func statusDigits(code int) string {
	return string([]byte{byte('0' + code/100%10), byte('0' + code/10%10), byte('0' + code%10)})
}

// wrap makes an *Error of the call; err is returned as it is when it is one already.
func (x *exchange) wrap(phase Phase, err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	return &Error{Op: x.request.Method, URL: redact(x.request.URL), Phase: phase, Attempt: x.response.Attempts, Err: err}
}

// fail ends the call with err.
func (x *exchange) fail(phase Phase, err error) *Error {
	e := x.wrap(phase, err)
	x.end(e, 0)
	return e
}

// end reports the call, once, and gives its context back.
func (x *exchange) end(err error, received int64) {
	if x.ended {
		return
	}
	x.ended = true
	if x.cancel != nil {
		x.cancel()
	}
	hook := x.set.OnDone
	var bound func(Stats)
	if x.client.bound != nil {
		bound = x.client.bound.OnDone
	}
	if hook == nil && bound == nil {
		return
	}
	st := Stats{
		Method: x.call.method, URL: redact(x.request.URL), Status: x.response.Status, Hops: len(x.response.History), Attempts: x.response.Attempts,
		Bytes: received, Duration: time.Since(x.started), Err: err,
	}
	if x.request.URL != nil {
		st.Host = x.request.URL.Host
	}
	if hook != nil {
		hook(st)
	}
	if bound != nil {
		bound(st)
	}
}
