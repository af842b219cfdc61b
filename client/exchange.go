// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// maxInformational is how many 1xx answers may precede the final one. With a Got1xxResponse hook in place net/http
// starts its header limit anew with each of them, so that without a count of our own a peer could send them for ever.
const maxInformational = 16

// exchange is one call in progress: request by request, until the final answer's body has ended. It is one allocation,
// shared with the HTTPResponse that the caller gets.
type exchange struct {
	response HTTPResponse
	request  Request

	client  *HTTPClient
	set     *settings
	call    *call
	ctx     context.Context
	cancel  context.CancelFunc // nil when the context is not ours
	started time.Time

	trace         httptrace.ClientTrace
	tracedCtx     context.Context
	informational atomic.Int32 // of the attempt in progress; counted in the transport's goroutine
	attempts      int
	decode        bool // Content-Encoding is ours to undo

	// The request to send next. header is never changed once it was handed to the transport, only replaced.
	method string
	url    *url.URL
	origin origin
	host   string
	header http.Header
	body   *payload
	cookie string    // the caller's own Cookie value, without the jar's
	added  [3]string // fields in header that belong to this hop alone
	hops   []Hop
	res    *http.Response // answer to the last request; nil after an attempt that failed
	seen   []string       // requests made since the last Set-Cookie

	ended bool // the call is over and was reported
}

// perform makes the call k under ctx. Whatever the outcome, an error is an *Error. The response is not nil with a redirect
// error; its body is closed then.
func (c *HTTPClient) perform(ctx context.Context, k *call) (*HTTPResponse, error) {
	x := &exchange{client: c, set: c.settings(), call: k, started: time.Now(), method: k.method}
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
	e := &RedirectError{Hops: len(x.hops), Last: &x.response, Err: err}
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
	if k.err != nil {
		return k.err
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
	x.url, x.origin, x.host = u, originOf(u), k.host
	if x.body, err = k.payload(); err != nil {
		return err
	}
	if err := x.checkRetries(); err != nil {
		return err
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
	x.trace.Got1xxResponse = x.gotInformational
	x.tracedCtx = httptrace.WithClientTrace(ctx, &x.trace)
	return nil
}

func (x *exchange) gotInformational(int, textproto.MIMEHeader) error {
	if x.informational.Add(1) > maxInformational {
		return &LimitError{What: "informational responses", Limit: maxInformational}
	}
	return nil
}

// attempt sends the request as it stands, once, and waits for the header of its answer.
func (x *exchange) attempt() error {
	x.res = nil
	if err := contextErr(x.ctx); err != nil {
		return x.wrap(PhaseRequest, err)
	}
	x.attempts++
	x.informational.Store(0)
	req := (&http.Request{
		Method: x.method,
		URL:    x.url,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: x.header,
		Host:   x.host,
		Close:  x.set.DisableKeepAlive,
	}).WithContext(x.tracedCtx)
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
		phase, err := classify(x.ctx, err, x.set.MaxResponseHeader)
		return x.wrap(phase, err)
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
	x.request = Request{Method: x.method, URL: x.url, Header: x.header}
	r := &x.response
	r.Client, r.Request, r.URL = x.client, &x.request, x.url
	r.HTTPVersion, r.Status = res.Proto, res.StatusCode
	r.StatusText = strings.TrimPrefix(strings.TrimPrefix(res.Status, statusDigits(res.StatusCode)), " ")
	r.Header, r.Trailer, r.History = res.Header, res.Trailer, x.hops
	r.Attempts = x.attempts
	r.Wire = Wire{ContentLength: res.ContentLength, ContentEncoding: strings.Join(res.Header["Content-Encoding"], ", ")}
	r.body.start(x, res)
}

// statusDigits is strconv.Itoa for a status line's three digits.
func statusDigits(code int) string {
	return string([]byte{byte('0' + code/100%10), byte('0' + code/10%10), byte('0' + code%10)})
}

// firstHeader builds the header of the first hop.
func (x *exchange) firstHeader() error {
	s, k := x.set, x.call
	h := make(http.Header, len(s.header)+len(k.header)+4)
	home := s.base == nil || s.baseOrigin.same(x.origin)
	for name, values := range s.header {
		if home || crossesOrigin(name) || s.crossOrigin[name] {
			h[name] = values
		}
	}
	maps.Copy(h, k.header)
	values := make([]string, 0, 4) // one array for all single values
	one := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if agent, ok := h["User-Agent"]; !ok {
		one("User-Agent", userAgent)
	} else if len(agent) == 0 {
		one("User-Agent", "") // net/http reads that as: none
	}
	if _, ok := h["Accept-Encoding"]; !ok && !k.raw && h["Range"] == nil {
		x.decode = true
		if x.method != http.MethodHead { // as net/http: servers get the header of a compressed HEAD wrong
			one("Accept-Encoding", acceptEncoding)
		}
	}
	if x.body != nil && x.body.contentType != "" {
		if _, ok := k.header["Content-Type"]; !ok {
			one("Content-Type", x.body.contentType)
		}
	}
	if user := x.url.User; user != nil {
		x.url.User = nil
		if _, ok := k.header["Authorization"]; !ok {
			password, _ := user.Password()
			value, err := basic(user.Username(), password)
			if err != nil {
				return err
			}
			one("Authorization", value)
		}
	}
	x.cookie = strings.Join(slices.Concat(h["Cookie"], k.cookies), "; ")
	for name, values := range h {
		if len(values) == 0 {
			delete(h, name)
		}
	}
	return x.dress(h)
}

// dress adds what belongs to the coming hop alone: cookies, credentials bound to its origin, and the request id when
// that origin may have it.
func (x *exchange) dress(h http.Header) error {
	x.header, x.added = h, [3]string{}
	n := 0
	add := func(name, value string) {
		if _, ok := h[name]; ok || value == "" {
			return
		}
		if _, refused := x.call.header[name]; refused && len(x.hops) == 0 {
			return // WithHeader(name) without values
		}
		h[name] = []string{value}
		x.added[n] = name
		n++
	}
	add("Authorization", x.set.authorization(x.origin))
	if b := x.client.bound; b != nil && (b.RequestID != "" || b.Traceparent != "") && x.set.propagates(x.origin) {
		if !httpguts.ValidHeaderFieldValue(b.RequestID) || !httpguts.ValidHeaderFieldValue(b.Traceparent) {
			return fmt.Errorf("%w: RequestID or Traceparent of the binding", ErrHeader)
		}
		add("X-Request-Id", b.RequestID)
		add("Traceparent", b.Traceparent)
	}
	cookie := x.cookie
	if x.set.Jar != nil {
		cookie = x.jarCookies(cookie)
	}
	if cookie != "" {
		h["Cookie"] = []string{cookie}
	} else {
		delete(h, "Cookie")
	}
	return nil
}

// wrap makes an *Error of the call; err is returned as it is when it is one already.
func (x *exchange) wrap(phase Phase, err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	return &Error{Op: x.method, URL: redact(x.url), Phase: phase, Attempt: x.attempts, Err: err}
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
		Method: x.call.method, URL: redact(x.url), Status: x.response.Status, Hops: len(x.hops), Attempts: x.attempts,
		Bytes: received, Duration: time.Since(x.started), Err: err,
	}
	if x.url != nil {
		st.Host = x.url.Host
	}
	if hook != nil {
		hook(st)
	}
	if bound != nil {
		bound(st)
	}
}
