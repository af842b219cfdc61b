// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// shape is what a visit looks like: how connections are used.
type shape struct {
	name   string
	weight int
	takes  time.Duration // for shapes that wait for the server's timeouts
	ending bool          // also while the server ends
	run    func(v *visit) error
}

var shapes = []shape{
	{"keep-alive", 30, 0, true, keepAlive},
	{"parallel", 12, 0, true, parallel},
	{"pipelined", 12, 0, true, pipelined},
	{"session", 6, 0, true, session},
	{"http10", 4, 0, true, oldProtocol},
	{"slow-sender", 5, 0, true, slowSender},
	{"slow-reader", 5, 0, true, slowReader},
	{"duplex", 5, 0, true, duplex},
	{"websocket", 8, 0, true, webSocket},
	{"malformed", 4, 0, false, malformed},
	{"aborted", 25, 0, false, aborted},
	{"stalled-head", 1, headerTimeout, false, stalledHead},
	{"stalled-body", 1, bodyGrace, false, stalledBody},
	{"idle", 1, idleTimeout, false, idle},
}

// chooseShape picks among the shapes that fit, by weight; nil if none does.
func chooseShape(rng *rand.Rand, fits func(*shape) bool) *shape {
	sum := 0
	for i := range shapes {
		if fits(&shapes[i]) {
			sum += shapes[i].weight
		}
	}
	if sum == 0 {
		return nil
	}
	n := rng.IntN(sum)
	for i := range shapes {
		if s := &shapes[i]; fits(s) {
			if n -= s.weight; n < 0 {
				return s
			}
		}
	}
	return nil // what fits has become less just now
}

// keepAlive makes one request after the other on a connection.
func keepAlive(v *visit) error {
	w := pick(v, v.load.raw)
	if v.rng.IntN(5) == 0 {
		w = pick(v, v.load.http2)
	}
	a, err := v.open(&w)
	if err != nil {
		return err
	}
	defer a.close()
	for range 1 + v.rng.IntN(12) {
		if last, err := v.do(a, pickQuery(v)); last || err != nil {
			return err
		}
	}
	return nil
}

// parallel makes several requests at once on a connection.
func parallel(v *visit) error {
	w := pick(v, v.load.http2)
	a, err := v.open(&w)
	if err != nil {
		return err
	}
	defer a.close()
	var all sync.WaitGroup
	errs := make([]error, 2+v.rng.IntN(10))
	for i := range errs {
		one := v.fork()
		all.Go(func() {
			for range 1 + one.rng.IntN(3) {
				last, err := one.do(a, pickQuery(one))
				if errs[i] = err; last || err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// pipelined sends several requests before it reads the first answer.
func pipelined(v *visit) error {
	v.shape = "pipelined"
	l, err := v.openLink()
	if err != nil {
		return err
	}
	defer l.close()
	for range 1 + v.rng.IntN(3) {
		if last, err := pipeline(v, l); last || err != nil {
			return err
		}
	}
	return nil
}

func pipeline(v *visit, l *link) (last bool, err error) {
	asked, sent := make([]*request, 1+v.rng.IntN(16)), []byte(nil)
	checks := make([]func(*reply) error, len(asked))
	if err := v.load.pace.wait(v.ctx, len(asked)); err != nil {
		return true, nil
	}
	for i := range asked {
		q := pickQuery(v)
		for q.name == "expect" || q.name == kindPanic { // it ends the connection, or waits
			q = pickQuery(v)
		}
		asked[i], checks[i] = v.prepare(q, l.wayName)
		head, body := asked[i].octets()
		sent = append(append(sent, head...), body...)
	}
	_ = l.conn.SetDeadline(time.Now().Add(answerTime))
	written := make(chan struct{})
	pieces := v.fork()
	go func() {
		defer close(written)
		writePieces(pieces, l.conn, sent)
	}()
	defer func() { <-written }()
	defer func() {
		if err != nil || last {
			l.close() // so that nobody goes on writing
		}
	}()
	for i, q := range asked {
		var r *reply
		if last { // and the rest must not have been answered
			err = errRefused
		} else {
			r, err = l.receive(q)
		}
		if err != nil {
			for _, q := range asked[i:] {
				err = v.refusal(q.nonce, l.wayName, err)
				if !errors.Is(err, errOver) {
					return true, err
				}
				err = errRefused
			}
			return true, errOver
		}
		if err := v.settle(l, q, r, checks[i]); err != nil {
			return true, err
		}
		last = r.last
	}
	return last, nil
}

// writePieces writes in pieces of any size: all at once, most of the time. What it
// cannot write is for the reader to notice.
func writePieces(v *visit, w io.Writer, p []byte) {
	whole := v.rng.IntN(3) > 0
	for len(p) > 0 {
		n := len(p)
		if !whole {
			n = min(n, 1+v.rng.IntN(5000))
		}
		if _, err := w.Write(p[:n]); err != nil {
			return
		}
		if p = p[n:]; v.rng.IntN(8) == 0 {
			time.Sleep(time.Duration(v.rng.IntN(3)) * time.Millisecond)
		}
	}
}

// session goes on with one signed cookie over several connections.
func session(v *visit) error {
	v.shape = "session"
	var cookie, first string
	ask := query{make: func(_ *visit, nonce string) (*request, func(*reply) error) {
		q := &request{target: "/session"}
		if cookie != "" {
			q.header = [][2]string{{"Cookie", cookie}}
		} else {
			first = nonce
		}
		return q, nil
	}}
	for count := 1; count < 5; {
		w := pick(v, slices.Concat(v.load.raw, v.load.http2))
		a, err := v.open(&w)
		if err != nil {
			return err
		}
		last := false
		for range 1 + v.rng.IntN(3) {
			one := ask
			one.make = func(v *visit, nonce string) (*request, func(*reply) error) {
				q, _ := ask.make(v, nonce)
				return q, func(r *reply) error {
					set, err := http.ParseSetCookie(r.header.Get("Set-Cookie"))
					if err != nil {
						return err
					}
					cookie = set.Name + "=" + set.Value
					return isJSON(visitor{First: first, Last: nonce, Count: count})(r)
				}
			}
			if last, err = v.do(a, &one); last || err != nil {
				break
			}
			count++
		}
		a.close()
		if err != nil || last {
			return err
		}
	}
	return nil
}

// oldProtocol makes requests of HTTP/1.0, each on a connection of its own.
func oldProtocol(v *visit) error {
	v.shape = "http10"
	w := pick(v, v.load.raw)
	for range 1 + v.rng.IntN(3) {
		if err := v.load.pace.wait(v.ctx, 1); err != nil {
			return nil
		}
		l, err := w.openLink(v)
		if err != nil {
			return v.refusal("", w.name, err)
		}
		ask := askText
		if v.rng.IntN(2) == 0 {
			ask = askUpload
		}
		q, check := v.prepare(&query{make: ask}, w.name)
		head, body := q.octets()
		version := indexOf(head, "HTTP/1.1")
		copy(head[version:], "HTTP/1.0")
		_, _ = l.conn.Write(append(head, body...))
		r, err := l.receive(q)
		if err != nil {
			err = v.refusal(q.nonce, w.name, err)
		} else if err = v.settle(l, q, r, check); err == nil && !atEnd(l.in) {
			err = wrong(q.nonce, w.name, "the connection goes on after an answer to HTTP/1.0")
		}
		l.close()
		if err != nil {
			return err
		}
	}
	return nil
}
