// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"sync"
	"time"
)

// request is what is asked, whatever the protocol.
type request struct {
	nonce   string
	method  string // empty: GET
	target  string
	header  [][2]string
	body    []byte // nil: none
	chunked bool   // with the digest of the body in its trailer
	expect  bool   // waits for 100 (Continue)

	status int // of the answer
	broken bool
}

// reply is what came.
type reply struct {
	status  int
	header  http.Header
	trailer http.Header
	body    []byte
	bodyErr error
	hints   []string // the Link fields of informational answers
	last    bool     // the connection is not to be used any more
}

// asker is a connection to the server, or what behaves like one.
type asker interface {
	// ask makes a request. The error is errRefused, if not one octet of an answer
	// came, or says how the answer broke off.
	ask(q *request) (*reply, error)
	// peers are whom the server may take the client for.
	peers() []string
	way() string
	close()
}

// errRefused says that there was no answer at all.
var errRefused = errors.New("there was no answer")

// link is a connection on which HTTP/1 is written by hand.
type link struct {
	conn    net.Conn // with TLS, if any
	socket  net.Conn // without
	in      *bufio.Reader
	wayName string
	claimed string
}

func (l *link) peers() []string { return []string{l.claimed} }
func (l *link) way() string     { return l.wayName }
func (l *link) close()          { _ = l.conn.Close() }

func (l *link) ask(q *request) (*reply, error) {
	_ = l.conn.SetDeadline(time.Now().Add(answerTime))
	head, body := q.octets()
	if q.expect {
		if _, err := l.conn.Write(head); err == nil {
			line, err := l.in.Peek(12)
			if len(line) == 0 {
				return nil, fmt.Errorf("%w: %w", errRefused, err)
			}
			if string(line) != "HTTP/1.1 100" { // a final answer, without the body
				return l.receive(q)
			}
		}
		head = nil
	}
	// Where it cannot be written, there may be an answer to read all the same.
	_, _ = l.conn.Write(append(head, body...))
	return l.receive(q)
}

// octets are head and body as they go over the wire.
func (q *request) octets() (head, body []byte) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n", q.verb(), q.target, serverName, nonceHeader, q.nonce)
	for _, f := range q.header {
		fmt.Fprintf(&b, "%s: %s\r\n", f[0], f[1])
	}
	if q.expect {
		b.WriteString("Expect: 100-continue\r\n")
	}
	switch {
	case q.chunked:
		b.WriteString("Transfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n")
		return b.Bytes(), q.chunks()
	case q.body != nil:
		b.WriteString("Content-Length: " + strconv.Itoa(len(q.body)) + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes(), q.body
}

// chunks are the body in pieces whose sizes are those of its own first octets.
func (q *request) chunks() []byte {
	var b bytes.Buffer
	for i, left := 0, q.body; len(left) > 0; i++ {
		n := min(1+int(q.body[i%len(q.body)])*(1+i*i), len(left))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, left[:n])
		left = left[n:]
	}
	fmt.Fprintf(&b, "0\r\nDigest: %s\r\n\r\n", digest(q.body))
	return b.Bytes()
}

func (q *request) verb() string {
	if q.method == "" {
		return http.MethodGet
	}
	return q.method
}

// receive reads an answer, with what comes ahead of it.
func (l *link) receive(q *request) (*reply, error) {
	if _, err := l.in.Peek(1); err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	r := &reply{}
	for {
		a, err := http.ReadResponse(l.in, &http.Request{Method: q.verb()})
		if err != nil {
			return nil, fmt.Errorf("reading the head of the answer: %w", err)
		}
		if a.StatusCode >= 100 && a.StatusCode < 200 {
			r.hints = append(r.hints, a.Header["Link"]...)
			continue
		}
		r.fill(a)
		r.last = a.Close || r.bodyErr != nil
		return r, nil
	}
}

// fill reads the body of an answer.
func (r *reply) fill(a *http.Response) {
	r.status, r.header = a.StatusCode, a.Header
	r.body, r.bodyErr = io.ReadAll(a.Body)
	_ = a.Body.Close()
	r.trailer = a.Trailer
}

// http2Client asks by net/http's client.
type http2Client struct {
	wayName   string
	base      string
	transport *http.Transport

	mu    sync.Mutex
	dials []string // whom the server takes each of the connections for; guarded by mu
}

func (c *http2Client) peers() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.dials)
}

func (c *http2Client) way() string { return c.wayName }
func (c *http2Client) close()      { c.transport.CloseIdleConnections() }

func (c *http2Client) ask(q *request) (*reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	return c.askUntil(ctx, q)
}

func (c *http2Client) askUntil(ctx context.Context, q *request) (*reply, error) {
	r := &reply{}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
			r.hints = append(r.hints, header["Link"]...)
			return nil
		},
	})
	std, err := q.std(ctx, c.base)
	if err != nil {
		return nil, err
	}
	a, err := c.transport.RoundTrip(std)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	if a.ProtoMajor != 2 {
		return nil, fmt.Errorf("the answer came over %s", a.Proto)
	}
	r.fill(a)
	return r, nil
}

// std is the request for net/http's client.
func (q *request) std(ctx context.Context, base string) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	if q.chunked {
		body = io.MultiReader(body) // of no known length
	}
	std, err := http.NewRequestWithContext(ctx, q.verb(), base+q.target, body)
	if err != nil {
		return nil, err
	}
	std.Header.Set(nonceHeader, q.nonce)
	for _, f := range q.header {
		std.Header.Add(f[0], f[1])
	}
	if q.chunked {
		std.Trailer = http.Header{"Digest": {digest(q.body)}}
	}
	return std, nil
}
