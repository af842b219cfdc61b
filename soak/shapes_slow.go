// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

func indexOf(b []byte, text string) int { return bytes.Index(b, []byte(text)) }

// atEnd reports whether the server has closed the connection in good order.
func atEnd(in *bufio.Reader) bool {
	_, err := in.ReadByte()
	return err == io.EOF
}

// slowSender sends head and body in drops.
func slowSender(v *visit) error {
	v.shape = "slow-sender"
	return v.oneByHand(func(l *link, q *request) {
		head, body := q.octets()
		drop(v, l, head)
		drop(v, l, body)
	}, func(v *visit, nonce string) (*request, func(*reply) error) {
		body := octets(nonce, 1+v.rng.Int64N(200_000))
		trailer := ""
		chunked := v.rng.IntN(2) == 0
		if chunked {
			trailer = digest(body)
		}
		return &request{method: http.MethodPost, target: "/upload", body: body, chunked: chunked}, isUploaded(nonce, body, trailer)
	})
}

// drop writes some octets one by one, and the rest in some pieces, in about a second.
func drop(v *visit, l *link, p []byte) {
	for range min(len(p), 10) {
		_, _ = l.conn.Write(p[:1])
		p = p[1:]
		time.Sleep(time.Duration(v.rng.IntN(60)) * time.Millisecond)
	}
	for len(p) > 0 {
		n := min(len(p), 1+v.rng.IntN(len(p)+1000))
		_, _ = l.conn.Write(p[:n])
		p = p[n:]
		time.Sleep(time.Duration(v.rng.IntN(60)) * time.Millisecond)
	}
}

// oneByHand makes one request, written by send, on a connection of its own.
func (v *visit) oneByHand(send func(*link, *request), ask func(*visit, string) (*request, func(*reply) error)) error {
	l, err := v.openPaced()
	if l == nil {
		return err
	}
	defer l.close()
	q, check := v.prepare(&query{make: ask}, l.wayName)
	send(l, q)
	r, err := l.receive(q)
	if err != nil {
		return v.refusal(q.nonce, l.wayName, err)
	}
	return v.settle(l, q, r, check)
}

// slowReader takes a large answer with pauses.
func slowReader(v *visit) error {
	v.shape = "slow-reader"
	return v.oneByHand(func(l *link, q *request) {
		head, _ := q.octets()
		_, _ = l.conn.Write(head)
		l.in = bufio.NewReader(&lazyReader{v, l.conn})
	}, func(v *visit, nonce string) (*request, func(*reply) error) {
		size := 500_000 + v.rng.Int64N(2_500_000)
		switch v.rng.IntN(3) {
		case 0:
			return &request{target: "/file/large.bin"}, isBody(v.load.files["large.bin"])
		case 1:
			return &request{target: fmt.Sprintf("/stream/%d", size)}, isBody(bodyFor(nonce, size))
		}
		return &request{target: fmt.Sprintf("/text/%d", size)}, isBody(bodyFor(nonce, size))
	})
}

type lazyReader struct {
	v  *visit
	in io.Reader
}

func (r *lazyReader) Read(p []byte) (int, error) {
	if r.v.rng.IntN(15) == 0 {
		time.Sleep(time.Duration(r.v.rng.IntN(100)) * time.Millisecond)
	}
	return r.in.Read(p)
}

// duplex reads of the answer what it has sent of the body, by turns.
func duplex(v *visit) error {
	v.shape = "duplex"
	l, err := v.openPaced()
	if l == nil {
		return err
	}
	defer l.close()
	nonce := v.load.book.send(v.shape, l.wayName)
	q := &request{nonce: nonce, method: http.MethodPost, target: "/duplex", header: [][2]string{{"Transfer-Encoding", "chunked"}}}
	head, _ := q.octets()
	pieces := 1 + v.rng.IntN(20)
	send := func(piece []byte) {
		_, _ = fmt.Fprintf(l.conn, "%x\r\n%s\r\n", len(piece), piece)
	}
	_, _ = l.conn.Write(head)
	send([]byte(nonce + "\n"))
	if _, err := l.in.Peek(1); err != nil {
		return v.refusal(nonce, l.wayName, fmt.Errorf("%w: %w", errRefused, err))
	}
	a, err := http.ReadResponse(l.in, &http.Request{Method: http.MethodPost})
	if err != nil {
		return wrong(nonce, l.wayName, "reading the head of the answer: %v", err)
	}
	defer func() { _ = a.Body.Close() }()
	want := []byte(nonce + "\n")
	all := content(nonce)
	for i := 0; ; i++ {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(a.Body, got); err != nil || !bytes.Equal(got, want) {
			return wrong(nonce, l.wayName, "piece %d of the answer is %.60q, %v, not %.60q", i, got, err, want)
		}
		if i == pieces {
			break
		}
		want = make([]byte, 1+v.rng.IntN(20_000))
		_, _ = io.ReadFull(all, want)
		send(want)
	}
	_, _ = io.WriteString(l.conn, "0\r\n\r\n")
	r := &reply{}
	r.fill(a)
	q.status = http.StatusOK
	return v.settle(l, q, r, isBody(nil))
}

// stalledHead stops in the middle of a head, and is told so in the end.
func stalledHead(v *visit) error {
	v.shape = "stalled-head"
	l, err := v.openLink()
	if err != nil {
		return err
	}
	defer l.close()
	q, _ := v.prepare(&query{make: askText}, l.wayName)
	head, _ := q.octets()
	_, _ = l.conn.Write(head[:1+v.rng.IntN(len(head)-1)])
	r, err := l.receive(q)
	if err != nil {
		return wrong(q.nonce, l.wayName, "a head that stalls was not answered: %v", err)
	}
	if r.status != http.StatusRequestTimeout || !atEnd(l.in) {
		return wrong(q.nonce, l.wayName, "a head that stalls was answered with %d, and the connection closed: %v", r.status, r.last)
	}
	v.load.book.leave(q.nonce, seenNever)
	return nil
}

// stalledBody stops in the middle of a body: it is the handler that is told.
func stalledBody(v *visit) error {
	v.shape = "stalled-body"
	return v.oneByHand(func(l *link, q *request) {
		head, body := q.octets()
		_, _ = l.conn.Write(append(head, body[:len(body)/2]...))
	}, func(_ *visit, nonce string) (*request, func(*reply) error) {
		q := &request{method: http.MethodPost, target: "/upload", body: octets(nonce, 1000), status: http.StatusRequestTimeout}
		q.header = acceptProblem
		return q, isProblem(nonce)
	})
}

// idle waits for the server to close a connection that nobody uses.
func idle(v *visit) error {
	v.shape = "idle"
	l, err := v.openLink()
	if err != nil {
		return err
	}
	defer l.close()
	if last, err := v.do(l, &queries[0]); last || err != nil {
		return err
	}
	_ = l.conn.SetDeadline(time.Now().Add(answerTime))
	if !atEnd(l.in) {
		return wrong("", l.wayName, "an idle connection was not closed in good order")
	}
	return nil
}
