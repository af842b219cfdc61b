// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// malformed sends what is no HTTP, and reads what the server thinks of it.
func malformed(v *visit) error {
	for range 1 + v.rng.IntN(3) {
		l, err := v.openLink()
		if err != nil {
			return err
		}
		bad := pick(v, malformedRequests)
		_, _ = io.WriteString(l.conn, bad)
		r, err := l.receive(&request{})
		over := err == nil && atEnd(l.in)
		l.close()
		if err != nil || r.status < 400 || !r.last || !over {
			return wrong("", l.wayName, "%q was answered with %+v, %v, the connection closed: %v", bad, r, err, over)
		}
		v.load.malformed.Add(1)
	}
	return nil
}

var malformedRequests = []string{
	"GET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\nHost: soak.test\n\n",
	"GET / HTTP/9.9\r\nHost: soak.test\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: soak.test\r\nHost: soak.test\r\n\r\n",
	"GET /a b HTTP/1.1\r\nHost: soak.test\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: soak.test\r\nBad Name: x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: soak.test\r\nA: b\r\n folded\r\n\r\n",
	"POST /upload HTTP/1.1\r\nHost: soak.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST /upload HTTP/1.1\r\nHost: soak.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
	"POST /upload HTTP/1.1\r\nHost: soak.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"\x00\x01\x02\x03\r\n\r\n",
}

// aborted leaves before it has what it came for.
func aborted(v *visit) error {
	v.shape = "aborted"
	abort := pick(v, []func(*visit, *way) error{
		abortDial, abortHandshake, abortHead, abortHead, abortBody, abortBody, abortChunked, abortAnswer, abortAnswer,
		abortPipeline, abortEvents, abortCall, abortHTTP2, abortHTTP2,
	})
	if err := v.load.pace.wait(v.ctx, 1); err != nil {
		return nil
	}
	w := pick(v, v.load.raw)
	return abort(v, &w)
}

// leave ends a connection: in good order, or by a reset.
func (v *visit) leave(l *link) {
	if v.rng.IntN(2) == 0 {
		reset(l.socket)
	} else {
		l.close()
	}
}

// abortDial says nothing, or next to nothing: with TLS or a PROXY header to come.
func abortDial(v *visit, w *way) error {
	conn, _, err := w.dial(v)
	if err != nil {
		return v.refusal("", w.name, fmt.Errorf("%w: %w", errRefused, err))
	}
	if v.rng.IntN(2) == 0 {
		_, _ = conn.Write([]byte("\x16"))
	}
	reset(conn)
	return nil
}

// abortHandshake goes in the middle of a TLS handshake or a PROXY header.
func abortHandshake(v *visit, _ *way) error {
	w := pick(v, v.load.raw[1:])
	direct := w
	direct.proxy = false
	conn, _, err := direct.dial(v)
	if err != nil {
		return v.refusal("", w.name, fmt.Errorf("%w: %w", errRefused, err))
	}
	first := []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") // of 512 octets
	if w.proxy {
		first, _ = proxyHeader(v)
	}
	_, _ = conn.Write(first[:1+v.rng.IntN(len(first)-1)])
	time.Sleep(time.Duration(v.rng.IntN(20)) * time.Millisecond)
	reset(conn)
	return nil
}

// abortSent connects, sends some of a request, and leaves.
func abortSent(v *visit, w *way, ask func(*visit, string) (*request, func(*reply) error), seen seen, part func(head, body []byte) []byte) error {
	l, err := w.openLink(v)
	if err != nil {
		return v.refusal("", w.name, err)
	}
	q, _ := v.prepare(&query{make: ask}, w.name)
	_, _ = l.conn.Write(part(q.octets()))
	time.Sleep(time.Duration(v.rng.IntN(20)) * time.Millisecond)
	v.leave(l)
	v.load.book.leave(q.nonce, seen)
	return nil
}

func abortHead(v *visit, w *way) error {
	return abortSent(v, w, askText, seenNever, func(head, _ []byte) []byte { return head[:1+v.rng.IntN(len(head)-1)] })
}

func abortBody(v *visit, w *way) error {
	return abortSent(v, w, askLargeUpload, seenPerhaps, func(head, body []byte) []byte { return append(head, body[:v.rng.IntN(len(body))]...) })
}

func abortChunked(v *visit, w *way) error {
	return abortSent(v, w, askChunked, seenPerhaps, func(head, body []byte) []byte { return append(head, body[:v.rng.IntN(len(body))]...) })
}

func askLargeUpload(v *visit, nonce string) (*request, func(*reply) error) {
	return &request{method: http.MethodPost, target: "/upload", body: octets(nonce, 1000+v.rng.Int64N(300_000))}, nil
}

// abortAnswer reads some of a large answer.
func abortAnswer(v *visit, w *way) error {
	target := pick(v, []string{"/text/3000000", "/stream/3000000", "/file/large.bin", "/content/3000000"})
	return abortReading(v, w, &request{target: target}, v.rng.IntN(200_000))
}

func abortEvents(v *visit, w *way) error {
	return abortReading(v, w, &request{target: "/events/1000"}, 200+v.rng.IntN(4000))
}

// abortReading makes a request, reads so many octets of the answer, and leaves.
func abortReading(v *visit, w *way, q *request, octets int) error {
	l, err := w.openLink(v)
	if err != nil {
		return v.refusal("", w.name, err)
	}
	q.nonce = v.load.book.send(v.shape, w.name)
	head, _ := q.octets()
	_, _ = l.conn.Write(head)
	if n, err := io.CopyN(io.Discard, l.in, int64(1+octets)); err != nil {
		l.close()
		return wrong(q.nonce, w.name, "the answer broke off after %d octets: %v", n, err)
	}
	v.leave(l)
	v.load.book.leave(q.nonce, seenSurely)
	return nil
}

// abortPipeline sends several requests and reads some of the answers.
func abortPipeline(v *visit, w *way) error {
	l, err := w.openLink(v)
	if err != nil {
		return v.refusal("", w.name, err)
	}
	defer v.leave(l)
	var asked []*request
	var checks []func(*reply) error
	var sent []byte
	for range 2 + v.rng.IntN(20) {
		q, check := v.prepare(&query{make: func(v *visit, nonce string) (*request, func(*reply) error) {
			return &request{target: "/text/500"}, isBody(bodyFor(nonce, 500))
		}}, w.name)
		head, _ := q.octets()
		asked, checks, sent = append(asked, q), append(checks, check), append(sent, head...)
	}
	_, _ = l.conn.Write(sent)
	read := v.rng.IntN(len(asked))
	for i, q := range asked {
		if i >= read {
			v.load.book.leave(q.nonce, seenPerhaps)
			continue
		}
		r, err := l.receive(q)
		if err == nil {
			err = v.settle(l, q, r, checks[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// abortCall leaves while the server waits for its upstream: the call has to end, and
// the upstream says so if it does not.
func abortCall(v *visit, w *way) error {
	l, err := w.openLink(v)
	if err != nil {
		return v.refusal("", w.name, err)
	}
	nonce := v.load.book.send(v.shape, w.name)
	called := v.load.upstream.expect(nonce)
	q := &request{nonce: nonce, target: "/hang"}
	head, _ := q.octets()
	_, _ = l.conn.Write(head)
	select {
	case <-called:
	case <-time.After(answerTime):
		l.close()
		return wrong(nonce, w.name, "the upstream was not called")
	}
	v.leave(l)
	v.load.book.leave(nonce, seenSurely)
	return nil
}

// abortHTTP2 cancels one of the requests of a connection, and the others go on.
func abortHTTP2(v *visit, _ *way) error {
	w := pick(v, v.load.http2)
	c := w.openHTTP2(v)
	defer c.close()
	for range 1 + v.rng.IntN(4) {
		nonce := v.load.book.send(v.shape, w.name)
		q := &request{nonce: nonce, target: pick(v, []string{"/text/3000000", "/stream/3000000", "/slow/301", "/events/1000"})}
		if v.rng.IntN(3) == 0 {
			q = &request{nonce: nonce, method: http.MethodPost, target: "/upload", body: octets(nonce, 1_000_000), chunked: true}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(v.rng.IntN(60))*time.Millisecond)
		r, err := c.askUntil(ctx, q)
		over := ctx.Err() != nil
		cancel()
		switch {
		case !over && err != nil:
			return wrong(nonce, w.name, "%v", err)
		case err == nil && r.bodyErr == nil || !over:
			q.status = http.StatusOK
			if err := v.settle(c, q, r, nil); err != nil {
				return err
			}
		case err != nil && !errors.Is(err, errRefused):
			return wrong(nonce, w.name, "%v", err)
		default:
			v.load.book.leave(nonce, seenPerhaps)
		}
		kept := v.fork()
		kept.shape = ""
		if last, err := kept.do(c, pickQuery(kept)); last || err != nil {
			return err
		}
	}
	return nil
}
