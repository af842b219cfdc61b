// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// CallOption sets up a single call. An option that cannot be used is the error of the call; nothing is sent then.
type CallOption func(*call)

// call is one call: what was asked for and, once made, what came of it.
//
// It is small, because most calls have few options: those of bodies are apart.
type call struct {
	method, url  string
	ctx          context.Context // nil: the client's
	timeout      time.Duration   // 0: the client's; negative: none; so with the next three
	maxBody      int64
	maxRedirects int
	retries      int
	header       http.Header // own copy, checked
	host         string      // instead of the address's
	query        string      // to append, encoded
	cookies      string      // "name=value; …"
	entity       *entity
	idempotent   bool
	getBody      bool // GET may have a body
	raw          bool // no decompression
	made         bool

	handler func(*HTTPResponse, error) // Handle's
	resp    *HTTPResponse
	failure error // the first bad option; once made, the error of the call
}

// entity is what the options said about the request's body.
type entity struct {
	bodies int // how many options wanted to be the whole of it
	body   *payload
	form   url.Values
	parts  []Part
}

func (k *call) set(method, url string, opts []CallOption) {
	k.method, k.url = method, url
	k.apply(opts)
}

func (k *call) apply(opts []CallOption) {
	for _, o := range opts {
		if o == nil {
			k.fail(fmt.Errorf("%w: nil option", ErrOption))
			continue
		}
		o(k)
	}
}

// fail keeps the first error.
func (k *call) fail(err error) {
	if k.failure == nil {
		k.failure = err
	}
}

// context returns what the call runs under.
func (k *call) context(c *HTTPClient) context.Context {
	if k.ctx != nil {
		return k.ctx
	}
	return c.context()
}

// WithContext makes the call run under ctx instead of the client's.
func WithContext(ctx context.Context) CallOption {
	return func(k *call) {
		if ctx == nil {
			k.fail(fmt.Errorf("%w: nil context", ErrOption))
		}
		k.ctx = ctx
	}
}

// WithTimeout sets the time for the whole call, instead of HTTPClient.Timeout; negative is none.
func WithTimeout(d time.Duration) CallOption { return func(k *call) { k.timeout = d } }

// WithMaxBody sets how many bytes the response body may have, after decompression, instead of HTTPClient.MaxBody;
// negative is no limit.
func WithMaxBody(n int64) CallOption { return func(k *call) { k.maxBody = n } }

// WithMaxRedirects sets how many redirects are followed. With 0 the 3xx answer is the answer.
func WithMaxRedirects(n int) CallOption {
	if n == 0 {
		n = -1
	}
	return func(k *call) { k.maxRedirects = n }
}

// WithRetries sets how often the call is tried again, instead of HTTPClient.Retries.
func WithRetries(n int) CallOption {
	if n == 0 {
		n = -1
	}
	return func(k *call) { k.retries = n }
}

// WithIdempotent says that the call may be repeated whatever its method, and sends key as Idempotency-Key, the same
// with each try, for the server to recognise it by. An empty key sends a random one.
func WithIdempotent(key string) CallOption {
	return func(k *call) {
		if key == "" {
			key = randomToken()
		}
		k.setHeader("Idempotency-Key", key)
		k.idempotent = true
	}
}

// WithHeader sets a header field, in place of the client's and of an earlier option's. Without values the field is not
// sent. Host, Content-Length, Transfer-Encoding, Connection and their like cannot be set (ErrHeader); see WithHost.
func WithHeader(name string, values ...string) CallOption {
	return func(k *call) { k.setHeader(name, values...) }
}

func (k *call) setHeader(name string, values ...string) {
	if err := checkHeader(name, values...); err != nil {
		k.fail(err)
		return
	}
	if k.header == nil {
		k.header = make(http.Header, 4)
	}
	k.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
}

// WithHost sends another Host than the address's. A redirect to an absolute address ends it.
func WithHost(host string) CallOption {
	return func(k *call) {
		if host == "" || !httpguts.ValidHostHeader(host) {
			k.fail(fmt.Errorf("%w: bad Host", ErrHeader))
		}
		k.host = host
	}
}

// WithQuery adds a query parameter, once for each value.
func WithQuery(name string, values ...string) CallOption {
	return func(k *call) {
		for _, v := range values {
			if k.query != "" {
				k.query += "&"
			}
			k.query += url.QueryEscape(name) + "=" + url.QueryEscape(v)
		}
	}
}

// WithCookie sends a cookie to the origin that the call goes to first, besides those of the Jar.
func WithCookie(name, value string) CallOption {
	return func(k *call) {
		c := http.Cookie{Name: name, Value: value}
		if err := c.Valid(); err != nil {
			k.fail(fmt.Errorf("%w: cookie %q", ErrHeader, name))
			return
		}
		if k.cookies != "" {
			k.cookies += "; "
		}
		k.cookies += c.String()
	}
}

// WithBasicAuth sends user and password (RFC 7617) to the origin that the call goes to first.
func WithBasicAuth(user, password string) CallOption {
	return func(k *call) { k.authorize(basic(user, password)) }
}

// WithBearer sends a bearer token (RFC 6750) to the origin that the call goes to first.
func WithBearer(token string) CallOption {
	return func(k *call) { k.authorize(bearer(token)) }
}

func (k *call) authorize(value string, err error) {
	if err != nil {
		k.fail(err)
		return
	}
	k.setHeader("Authorization", value)
}

// WithJSON sends v as JSON. It is encoded here and now.
func WithJSON(v any) CallOption {
	return func(k *call) {
		b, err := json.Marshal(v)
		if err != nil {
			k.fail(fmt.Errorf("%w: %w", ErrOption, err))
			return
		}
		k.setBody(bytesPayload("application/json", b))
	}
}

// WithForm sends a form: urlencoded, or as multipart/form-data when there are files too.
func WithForm(form url.Values) CallOption {
	return func(k *call) {
		e := k.entityOf()
		if e.form == nil {
			e.form = make(url.Values, len(form))
		}
		for name, values := range form {
			e.form[name] = append(e.form[name], values...)
		}
	}
}

// WithFile adds a file to a multipart/form-data body, of type application/octet-stream; see WithPart.
func WithFile(field, filename string, content io.Reader) CallOption {
	return WithPart(Part{Field: field, FileName: filename, Content: content})
}

// WithPart adds a part to a multipart/form-data body (RFC 7578). Contents are streamed.
func WithPart(p Part) CallOption {
	return func(k *call) {
		if err := p.check(); err != nil {
			k.fail(err)
			return
		}
		e := k.entityOf()
		e.parts = append(e.parts, p)
	}
}

// WithBytes sends b, which must not be changed until the call is over. An empty contentType sends no Content-Type.
func WithBytes(contentType string, b []byte) CallOption {
	return func(k *call) { k.setBody(bytesPayload(contentType, b)) }
}

// WithBody sends what body yields, from where it stands to its end. It is streamed, and may be read until the call is
// over; the client does not close it. What is also an io.ReaderAt and an io.Seeker, as files and the readers of bytes
// and strings are, has a known length and can be sent again on a redirect or retry; so has a *bytes.Buffer. Another
// reader is sent once, chunked. An empty contentType sends no Content-Type.
func WithBody(contentType string, body io.Reader) CallOption {
	return func(k *call) {
		p, err := readerPayload(contentType, body)
		if err != nil {
			k.fail(err)
			return
		}
		k.setBody(p)
	}
}

// WithGetBody allows a body with GET, which has no meaning in HTTP (RFC 9110 §9.3.1) and an agreed one with some servers.
func WithGetBody() CallOption { return func(k *call) { k.getBody = true } }

// WithRaw leaves the response body as it came over the wire. The limit counts those bytes.
func WithRaw() CallOption { return func(k *call) { k.raw = true } }

func (k *call) entityOf() *entity {
	if k.entity == nil {
		k.entity = &entity{}
	}
	return k.entity
}

func (k *call) setBody(p *payload) {
	e := k.entityOf()
	e.body = p
	e.bodies++
}

// payload settles what the body is, and checks it against the method and the header.
func (k *call) payload() (*payload, error) {
	e := k.entity
	if e == nil {
		return nil, nil
	}
	p := e.body
	if e.bodies > 1 || e.bodies == 1 && (e.form != nil || e.parts != nil) {
		return nil, fmt.Errorf("%w: more than one body", ErrOption)
	}
	own, declared := k.header["Content-Type"]
	switch {
	case e.parts != nil:
		if declared {
			return nil, fmt.Errorf("%w: Content-Type of a multipart body is set by the client", ErrOption)
		}
		var err error
		if p, err = multipartPayload(e.form, e.parts); err != nil {
			return nil, err
		}
	case e.form != nil:
		const form = "application/x-www-form-urlencoded"
		if declared && (len(own) != 1 || !strings.EqualFold(mediaType(own[0]), form)) {
			return nil, fmt.Errorf("%w: Content-Type is not that of a form", ErrOption)
		}
		p = bytesPayload(form, []byte(e.form.Encode()))
	}
	switch k.method {
	case http.MethodGet:
		if !k.getBody {
			return nil, fmt.Errorf("%w: GET with a body (see WithGetBody)", ErrOption)
		}
	case http.MethodHead, http.MethodTrace:
		return nil, fmt.Errorf("%w: %s with a body", ErrOption, k.method)
	}
	return p, nil
}

// mediaType cuts the parameters off a Content-Type.
func mediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.TrimSpace(t)
}

// addQuery appends the parameters of WithQuery to a query.
func (k *call) addQuery(query string) string {
	if k.query == "" || query == "" {
		return query + k.query
	}
	return query + "&" + k.query
}
