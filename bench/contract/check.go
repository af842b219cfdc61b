// SPDX-License-Identifier: MIT

package contract

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Check asks a server for everything that the contract promises and reports all
// that it answers differently.
type Check struct {
	URL    string // scheme, host and port of the server
	Cookie string // a session cookie with SampleSession

	client *http.Client
	errs   []error
}

// request is one question. A nil body is none; want 0 is 200.
type request struct {
	method, path string
	header       http.Header
	body         io.Reader
	want         int
}

// Run makes the check. The server must be serving, with an Upstream that answers
// Message{"upstream"}.
func (c *Check) Run(ctx context.Context) error {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // its certificate is as old as the server
	defer transport.CloseIdleConnections()
	c.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	c.errs = nil
	c.hello(ctx)
	c.json(ctx)
	c.profile(ctx)
	c.addUser(ctx)
	c.slow(ctx)
	c.file(ctx)
	c.bodies(ctx)
	c.tooLarge(ctx)
	return errors.Join(c.errs...)
}

// RunHello checks nothing but /hello.
func (c *Check) RunHello(ctx context.Context) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	c.errs = nil
	c.hello(ctx)
	return errors.Join(c.errs...)
}

func (c *Check) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// do asks and compares the status; the header is nil when there was no answer.
func (c *Check) do(ctx context.Context, r request) (http.Header, []byte) {
	if r.want == 0 {
		r.want = http.StatusOK
	}
	q, err := http.NewRequestWithContext(ctx, r.method, c.URL+r.path, r.body)
	if err != nil {
		c.fail("%s %s: %w", r.method, r.path, err)
		return nil, nil
	}
	for name, values := range r.header {
		q.Header[name] = values
	}
	resp, err := c.client.Do(q)
	if err != nil {
		c.fail("%s %s: %w", r.method, r.path, err)
		return nil, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.fail("%s %s: reading the body: %w", r.method, r.path, err)
		return nil, nil
	}
	if resp.StatusCode != r.want {
		c.fail("%s %s: status %d, want %d: %.100q", r.method, r.path, resp.StatusCode, r.want, body)
		return nil, nil
	}
	return resp.Header, body
}

// text asks for a text.
func (c *Check) text(ctx context.Context, r request, want string) http.Header {
	header, body := c.do(ctx, r)
	if header == nil {
		return nil
	}
	if got := header.Get("Content-Type"); !strings.EqualFold(got, TextPlain) {
		c.fail("%s %s: Content-Type %q, want %q", r.method, r.path, got, TextPlain)
	}
	if string(body) != want {
		c.fail("%s %s: %.100q, want %q", r.method, r.path, body, want)
	}
	return header
}

// object asks for JSON and decodes it.
func (c *Check) object(ctx context.Context, r request, into any) http.Header {
	header, body := c.do(ctx, r)
	if header == nil {
		return nil
	}
	if got := header.Get("Content-Type"); !strings.HasPrefix(got, "application/") || !strings.Contains(got, "json") {
		c.fail("%s %s: Content-Type %q, want JSON", r.method, r.path, got)
	}
	if err := json.Unmarshal(body, into); err != nil {
		c.fail("%s %s: %w: %.100q", r.method, r.path, err, body)
	}
	return header
}

func (c *Check) hello(ctx context.Context) {
	header := c.text(ctx, request{method: "GET", path: "/hello"}, Hello)
	if header == nil {
		return
	}
	if _, err := http.ParseTime(header.Get("Date")); err != nil {
		c.fail("GET /hello: Date: %w", err)
	}
	if header.Get("Server") == "" {
		c.fail("GET /hello: no Server")
	}
	if got := header.Get("Content-Length"); got != "13" {
		c.fail("GET /hello: Content-Length %q", got)
	}
}

func (c *Check) json(ctx context.Context) {
	for path, want := range map[string]Message{"/json": {Hello}, "/upstream": {"upstream"}} {
		var m Message
		if c.object(ctx, request{method: "GET", path: path}, &m) != nil && m != want {
			c.fail("GET %s: %+v, want %+v", path, m, want)
		}
	}
	c.do(ctx, request{method: "GET", path: "/nosuch", want: http.StatusNotFound})
}

func (c *Check) profile(ctx context.Context) {
	peer := "127.0.0.1"
	cases := []struct {
		cookie, forwardedFor, wantUser, wantClient string
	}{
		{c.Cookie, "203.0.113.7", SampleSession.User, "203.0.113.7"},
		{c.Cookie, "203.0.113.8, 127.0.0.5", SampleSession.User, "203.0.113.8"},
		{"", "", "", peer},
		{"x" + c.Cookie, "", "", peer},
	}
	ids := map[string]bool{}
	for _, k := range cases {
		h := http.Header{}
		if k.cookie != "" {
			h.Set("Cookie", SessionCookie+"="+k.cookie)
		}
		if k.forwardedFor != "" {
			h.Set("X-Forwarded-For", k.forwardedFor)
		}
		var got Profile
		header := c.object(ctx, request{method: "GET", path: "/app/users/42", header: h}, &got)
		if header == nil {
			continue
		}
		if want := (Profile{"42", k.wantUser, k.wantClient}); got != want {
			c.fail("GET /app/users/42 with the cookie %.20q and the address %q: %+v, want %+v", k.cookie, k.forwardedFor, got, want)
		}
		id := header.Get("X-Request-Id")
		if id == "" || ids[id] {
			c.fail("GET /app/users/42: X-Request-Id %q is missing or not new", id)
		}
		ids[id] = true
	}
}

func (c *Check) addUser(ctx context.Context) {
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	var u User
	sent := `{"name":"Bob","age":42}`
	r := request{method: "POST", path: "/app/users", header: h, body: strings.NewReader(sent), want: http.StatusCreated}
	if c.object(ctx, r, &u) != nil && (u.ID == 0 || u.Name != "Bob" || u.Age != 42) {
		c.fail("POST /app/users %s: %+v", sent, u)
	}
	for sent, want := range map[string]int{
		`{"name":"Bob"`:            http.StatusBadRequest,
		`{"name":"Bob","age":"x"}`: http.StatusBadRequest,
		`{"name":"","age":42}`:     http.StatusUnprocessableEntity,
		`{"name":"Bob","age":151}`: http.StatusUnprocessableEntity,
		`{"name":"Bob","age":-1}`:  http.StatusUnprocessableEntity,
	} {
		var failure map[string]any
		r.body, r.want = strings.NewReader(sent), want
		if c.object(ctx, r, &failure) != nil && len(failure) == 0 {
			c.fail("POST /app/users %s: an empty error", sent)
		}
	}
}

func (c *Check) slow(ctx context.Context) {
	start := time.Now()
	header, body := c.do(ctx, request{method: "GET", path: "/slow?ms=5"})
	if took := time.Since(start); header != nil && (took < 5*time.Millisecond || len(body) == 0) {
		c.fail("GET /slow?ms=5: %q after %v", body, took)
	}
	c.do(ctx, request{method: "GET", path: "/slow?ms=x", want: http.StatusBadRequest})
}

func (c *Check) file(ctx context.Context) {
	if header, body := c.do(ctx, request{method: "GET", path: "/file"}); header != nil && !bytes.Equal(body, FileContent()) {
		c.fail("GET /file: %d octets that are not the file's %d", len(body), FileSize)
	}
}

func (c *Check) bodies(ctx context.Context) {
	c.text(ctx, request{method: "GET", path: "/ok"}, "ok")
	c.text(ctx, request{method: "HEAD", path: "/ok"}, "")
	sent := FileContent()[:100_000]
	h := http.Header{"Content-Type": {"application/x-test"}}
	if header, body := c.do(ctx, request{method: "POST", path: "/echo", header: h, body: bytes.NewReader(sent)}); header != nil {
		if !bytes.Equal(body, sent) || header.Get("Content-Type") != "application/x-test" || header.Get("Content-Length") != "100000" {
			c.fail("POST /echo: %d octets, Content-Type %q, Content-Length %q", len(body), header.Get("Content-Type"), header.Get("Content-Length"))
		}
	}
	c.text(ctx, request{method: "GET", path: "/len"}, "0")
	c.text(ctx, request{method: "POST", path: "/len", body: bytes.NewReader(sent)}, "100000")
	chunked := io.MultiReader(bytes.NewReader(sent)) // of a length that net/http does not know
	c.text(ctx, request{method: "POST", path: "/len", body: chunked}, "100000")
}

// tooLarge sends more than the limit. A server may close the connection while it
// is being sent to; what it must not do is accept it.
func (c *Check) tooLarge(ctx context.Context) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/len", bytes.NewReader(make([]byte, MaxBody+1)))
	if err != nil {
		c.fail("POST /len: %w", err)
		return
	}
	resp, err := c.client.Do(q)
	if err != nil {
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		c.fail("POST /len with %d octets: status %d, want 413", MaxBody+1, resp.StatusCode)
	}
}

// StartUpstream serves what Check expects of /upstream on an address of its own
// until stop is called.
func StartUpstream() (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(Message{"upstream"})
		}),
		ReadHeaderTimeout: HeaderTimeout,
	}
	go func() { _ = s.Serve(l) }()
	return "http://" + l.Addr().String() + "/", func() { _ = s.Close() }, nil
}
