// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"sync/atomic"
	"time"
)

// Binding ties a client to one inbound request; see HTTPClient.Bind.
type Binding struct {
	// Context is what calls run under: its deadline, its cancellation, and its cause in the error. nil is
	// context.Background().
	Context context.Context
	// RequestID goes out as X-Request-Id, and Traceparent as traceparent, to the origins in HTTPClient.Propagate and to
	// BaseURL's. Empty sends none, and a field set on the call comes first.
	RequestID   string
	Traceparent string
	// OnDone is called once for each call, when it failed or its body ended or was closed: for logs. It may be
	// called from several goroutines and must not panic.
	OnDone func(Stats)
	// MaxCalls is how many calls the binding allows; 100 by default, negative is no limit.
	MaxCalls int
	// MaxHops is how many redirects it allows over all calls; 20 by default, negative is no limit.
	MaxHops int
}

// Stats is what is left to say when a call is over.
type Stats struct {
	Method   string        // of the call; a redirect may have changed it
	URL      string        // last address called, without user, password, query and fragment
	Host     string        // its host and port
	Status   int           // of the final answer; 0 when there is none
	Hops     int           // redirects followed
	Attempts int           // requests sent: 1, and one more for each redirect and retry
	Bytes    int64         // of the response body that were read, after decompression
	Duration time.Duration // from the start of the call to the end of its body
	Err      error         // what the call or the reading of its body failed with
}

// binding is a Binding in use.
type binding struct {
	Binding
	calls, hops atomic.Int64 // taken so far
}

const (
	defaultMaxCalls = 100
	defaultMaxHops  = 20
)

// Bind derives a client for one inbound request. It shares everything with c: connections, jar, limits, handlers; its
// fields are a copy to be read, and setting them has no effect. Binding costs one allocation and nothing else before the
// first call, and needs no release. Binding a bound client starts from the same origin and replaces the binding.
func (c *HTTPClient) Bind(b Binding) *HTTPClient {
	if b.Context == nil {
		b.Context = context.Background()
	}
	if b.MaxCalls == 0 {
		b.MaxCalls = defaultMaxCalls
	}
	if b.MaxHops == 0 {
		b.MaxHops = defaultMaxHops
	}
	d := &struct {
		client  HTTPClient
		binding binding
	}{}
	d.binding.Binding = b
	d.client.shared, d.client.bound = c.settings(), &d.binding
	d.client.copyFields(&d.client.shared.HTTPClient)
	return &d.client
}

// Detached derives a client for work that outlives the inbound request: the values of its context, the request id and
// the budgets stay, its deadline and cancellation do not. An unbound client has nothing to be detached from and returns
// itself.
func (c *HTTPClient) Detached() *HTTPClient {
	if c.bound == nil {
		return c
	}
	d := &HTTPClient{}
	d.shared, d.bound, d.detached = c.shared, c.bound, true
	d.copyFields(&d.shared.HTTPClient)
	return d
}

// takeCall counts one call and reports whether it may be made.
func (b *binding) takeCall() bool {
	return b.MaxCalls < 0 || b.calls.Add(1) <= int64(b.MaxCalls)
}

// takeHop counts one redirect and reports whether it may be followed.
func (b *binding) takeHop() bool {
	return b.MaxHops < 0 || b.hops.Add(1) <= int64(b.MaxHops)
}

// copyFields copies the exported fields of o: HTTPClient holds a sync.Once and cannot be assigned. A test checks that none is missed.
func (c *HTTPClient) copyFields(o *HTTPClient) {
	c.ResponseHandler, c.OnHeaders, c.OnProgress, c.OnDone = o.ResponseHandler, o.OnHeaders, o.OnProgress, o.OnDone
	c.MaxRedirects, c.DisableKeepAlive, c.DisableUnicode = o.MaxRedirects, o.DisableKeepAlive, o.DisableUnicode
	c.BaseURL, c.Header, c.Credentials, c.Jar = o.BaseURL, o.Header, o.Credentials, o.Jar
	c.CrossOriginHeaders, c.AllowDowngrade, c.Propagate = o.CrossOriginHeaders, o.AllowDowngrade, o.Propagate
	c.Timeout, c.DialTimeout, c.TLSTimeout = o.Timeout, o.DialTimeout, o.TLSTimeout
	c.HeaderTimeout, c.IdleTimeout = o.HeaderTimeout, o.IdleTimeout
	c.MaxBody, c.MaxResponseHeader = o.MaxBody, o.MaxResponseHeader
	c.IdlePerHost, c.MaxPerHost, c.Concurrency, c.Retries = o.IdlePerHost, o.MaxPerHost, o.Concurrency, o.Retries
	c.PublicOnly, c.AllowPrefixes, c.AllowPorts = o.PublicOnly, o.AllowPrefixes, o.AllowPorts
	c.TLSConfig, c.Proxy, c.Resolver, c.Transport = o.TLSConfig, o.Proxy, o.Resolver, o.Transport
}
