// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// HTTPClient makes HTTP calls. The zero value is ready to use; it must not be copied once used.
//
// Fields are set before the first call. The client takes a copy then, so that a later change has no effect and no call
// can race with it. All methods are safe for concurrent use. Make one client and keep it: it owns the connections.
//
// Where a field is a limit or a time, zero stands for the default named there and a negative value for none.
type HTTPClient struct {
	// ResponseHandler is called once for each call that has no handler of its own, with the answer or the error,
	// before the call returns them. It runs in the goroutine that makes the call, so with Fetch in several at once. A
	// panic in it becomes the error of the call.
	ResponseHandler func(*HTTPResponse, error)

	// MaxRedirects is how many redirects one call follows; 5 by default. With none, the 3xx answer is the answer.
	MaxRedirects int

	// DisableKeepAlive gives each request a connection of its own.
	//
	// Security: a kept connection on which more came than an answer is closed, and
	// the next request goes out on another one, or fails if its body can be read only
	// once. What comes when that request is already under way cannot be told from its
	// answer in HTTP/1. Set this for servers that others can make send octets of theirs
	// between answers.
	DisableKeepAlive bool

	// DisableUnicode makes HTTPResponse.Text and Lines give the bytes as they are, whatever the charset.
	DisableUnicode bool

	// BaseURL is put before addresses without a scheme: its path, a slash, theirs. It has no user, query or fragment.
	// What is put behind it cannot lead away from it: "//host" and ".." segments are ErrURL.
	BaseURL string

	// Header is sent with each call, unless the call sets the same field. With a BaseURL, other origins get only the
	// fields that may cross an origin; without one, the origin that a call goes to first gets all of them.
	Header http.Header

	// Credentials is the Authorization sent to the origins named in it, on each hop, and to no other origin. An
	// Authorization set on the call comes first.
	Credentials []Credentials

	// Jar keeps cookies between calls and hops; nil keeps none. Use NewJar.
	Jar http.CookieJar

	// CrossOriginHeaders names further fields that a redirect to another origin may take along, beyond Accept,
	// Accept-Encoding, Accept-Language, User-Agent, Range and the Content-* fields of a body that is sent on.
	//
	// Security: whatever is named here reaches every host that a server cares to redirect to.
	CrossOriginHeaders []string

	// AllowDowngrade follows redirects from https to http. Like any change of origin they lose the credentials.
	AllowDowngrade bool

	// Propagate names who gets the request id and trace context of a bound client (see Bind), besides BaseURL's
	// origin: origins ("https://api.example.com:8443") or host names ("api.internal", any scheme and port). By default
	// nobody else.
	Propagate []string

	// Timeout is the time for a call from start to the last byte of its body, redirects and retries included; 30 s by
	// default. A context that ends earlier ends the call earlier.
	Timeout time.Duration
	// DialTimeout is the time for connecting to one address, name lookup included; 5 s by default.
	DialTimeout time.Duration
	// TLSTimeout is the time for a TLS handshake; 5 s by default.
	TLSTimeout time.Duration
	// HeaderTimeout is the time from the end of a request to the header of its answer; none by default, for Timeout
	// covers it. Set it where Timeout is long or none, as for streams.
	HeaderTimeout time.Duration
	// IdleTimeout is how long an unused connection is kept; 50 s by default.
	IdleTimeout time.Duration

	// MaxBody is how many bytes a response body may have, after decompression; 10 MiB by default.
	MaxBody int64
	// MaxResponseHeader is how many bytes a response header may have; 64 KiB by default, and "none" is 1 GiB.
	MaxResponseHeader int64
	// IdlePerHost is how many unused connections to one host are kept; 64 by default.
	IdlePerHost int
	// MaxPerHost is how many connections to one host may be open; no limit by default. Calls beyond it wait.
	MaxPerHost int
	// Concurrency is how many calls of one ClientHelper Fetch, Each and Handle make at once; 8 by default.
	Concurrency int

	// Retries is how often a call is tried again; none by default. Only what is safe to repeat is: a request that
	// did not leave, or an idempotent method (GET, HEAD, OPTIONS, TRACE, PUT, DELETE, QUERY, or any with
	// WithIdempotent) that met a broken connection or was answered 408, 429, 502, 503 or 504. The wait between tries
	// is random and grows from 50 ms to at most 2 s, or is what Retry-After says. Over time, retries stay below a
	// fifth of the client's calls, so that they cannot double the load on a server in trouble.
	Retries int

	// PublicOnly refuses to connect to anything but public addresses on ports 80 and 443, on every connection and
	// after name lookup: for calls to addresses that users supply. It excludes Proxy and Transport.
	PublicOnly bool
	// AllowPrefixes are addresses that PublicOnly lets through all the same.
	AllowPrefixes []netip.Prefix
	// AllowPorts are the ports that PublicOnly lets through; nil means 80 and 443.
	AllowPorts []uint16

	// TLSConfig is for connections to https origins; nil is Go's default. The client works on a clone.
	TLSConfig *tls.Config
	// Proxy picks the proxy for a request, as http.Transport.Proxy; nil uses none, the environment is not asked.
	Proxy func(*http.Request) (*url.URL, error)
	// Resolver looks names up; nil is net.DefaultResolver.
	Resolver *net.Resolver
	// Transport makes the round trips; nil is one of the client's own, built from the fields here. A Transport given
	// here is used as it is: with it PublicOnly, TLSConfig, Proxy and Resolver are errors, and the times and limits of
	// connections (DialTimeout, TLSTimeout, HeaderTimeout, IdleTimeout, MaxResponseHeader, IdlePerHost, MaxPerHost)
	// are for it to set.
	Transport http.RoundTripper

	// OnHeaders is called when the header of the final answer has arrived, before its body is read. An error ends
	// the call with that error.
	OnHeaders func(*HTTPResponse) error
	// OnProgress is called while a response body is read, with the bytes so far, after decompression, and the bytes
	// to come in total, -1 when unknown.
	OnProgress func(r *HTTPResponse, received, total int64)
	// OnDone is called once for each call, when it failed or its body ended or was closed. It must not panic.
	OnDone func(Stats)

	once     sync.Once
	shared   *settings
	bound    *binding
	detached bool
}

// Credentials is the Authorization for one origin: a Token for Bearer (RFC 6750), or else User and Password for Basic
// (RFC 7617).
type Credentials struct {
	Origin   string // "https://api.example.com"; "" is BaseURL's
	Token    string
	User     string
	Password string
}

// Call returns a call that has not been made yet. The method is a token, used as it is. Whatever is wrong with method,
// address or options is the error of the call.
func (c *HTTPClient) Call(method, url string, opts ...CallOption) *ClientHelper {
	h := &ClientHelper{client: c}
	h.first.set(method, url, opts)
	h.last = &h.first
	return h
}

// Get is Call with GET.
func (c *HTTPClient) Get(url string, opts ...CallOption) *ClientHelper {
	return c.Call(http.MethodGet, url, opts...)
}

// Head is Call with HEAD.
func (c *HTTPClient) Head(url string, opts ...CallOption) *ClientHelper {
	return c.Call(http.MethodHead, url, opts...)
}

// Post is Call with POST.
func (c *HTTPClient) Post(url string, opts ...CallOption) *ClientHelper {
	return c.Call(http.MethodPost, url, opts...)
}

// Put is Call with PUT.
func (c *HTTPClient) Put(url string, opts ...CallOption) *ClientHelper {
	return c.Call(http.MethodPut, url, opts...)
}

// Patch is Call with PATCH.
func (c *HTTPClient) Patch(url string, opts ...CallOption) *ClientHelper {
	return c.Call(http.MethodPatch, url, opts...)
}

// Delete is Call with DELETE.
func (c *HTTPClient) Delete(url string, opts ...CallOption) *ClientHelper {
	return c.Call(http.MethodDelete, url, opts...)
}

// Options is Call with OPTIONS.
func (c *HTTPClient) Options(url string, opts ...CallOption) *ClientHelper {
	return c.Call(http.MethodOptions, url, opts...)
}

// Validate reports what is wrong with the fields, as an error that errors.Is ErrConfig. It counts as first use.
func (c *HTTPClient) Validate() error {
	s := c.settings()
	if s.err != nil {
		return &Error{Phase: PhaseRequest, Err: s.err}
	}
	return nil
}

// CloseIdleConnections closes the connections that no call is using. Bound clients share them.
func (c *HTTPClient) CloseIdleConnections() {
	if t, ok := c.settings().transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// settings returns what the fields amounted to when the client was first used.
func (c *HTTPClient) settings() *settings {
	if c.bound != nil {
		return c.shared
	}
	c.once.Do(func() { c.shared = newSettings(c) })
	return c.shared
}

// context returns what the calls of c run under unless they bring a context of their own.
func (c *HTTPClient) context() context.Context {
	if c.bound == nil {
		return context.Background()
	}
	if c.detached {
		return context.WithoutCancel(c.bound.Context)
	}
	return c.bound.Context
}
