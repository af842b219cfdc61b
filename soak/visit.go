// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// visit is what one lane of the load does next: one or more connections, with what
// is asked on them.
type visit struct {
	load  *load
	ctx   context.Context // of the load: between requests, and never during one
	rng   *rand.Rand      // for one goroutine
	shape string          // what the requests are counted as; empty: by what they ask for
}

// fork is the same visit for another goroutine.
func (v *visit) fork() *visit {
	w := *v
	w.rng = rand.New(rand.NewPCG(v.rng.Uint64(), v.rng.Uint64()))
	return &w
}

func pick[T any](v *visit, of []T) T { return of[v.rng.IntN(len(of))] }

// size is how large something is to be: mostly small, and sometimes large.
func (v *visit) size() int64 {
	switch v.rng.IntN(20) {
	case 0:
		return v.rng.Int64N(2_000_000)
	case 1, 2, 3:
		return v.rng.Int64N(100_000)
	case 4:
		return 0
	}
	return v.rng.Int64N(3000)
}

// violation is something that must not be.
type violation struct {
	what, way, nonce string
}

func (e *violation) Error() string {
	text := e.what
	if e.nonce != "" {
		text = "the request " + e.nonce + " over " + e.way + ": " + text
	} else if e.way != "" {
		text = "over " + e.way + ": " + text
	}
	return text
}

// wrong is a violation by the answer to a request.
func wrong(nonce, way, format string, args ...any) error {
	return &violation{fmt.Sprintf(format, args...), way, nonce}
}

// errOver ends a visit when the server takes no more, and is ending.
var errOver = errors.New("the server takes no more requests")

// refusal is what becomes of an error that says that nothing was answered: in good
// order while the server is ending, a violation before.
func (v *visit) refusal(nonce, way string, err error) error {
	if errors.Is(err, errRefused) && v.load.ending.Load() {
		if nonce != "" {
			v.load.book.refuse(nonce)
		}
		return errOver
	}
	return wrong(nonce, way, "%v", err)
}

// open connects.
func (v *visit) open(w *way) (asker, error) {
	a, err := w.open(v)
	if err != nil {
		return nil, v.refusal("", w.name, err)
	}
	return a, nil
}

// openLink connects by any of the ways that are spoken octet by octet.
func (v *visit) openLink() (*link, error) {
	w := pick(v, v.load.raw)
	l, err := w.openLink(v)
	if err != nil {
		return nil, v.refusal("", w.name, err)
	}
	return l, nil
}

// openPaced is openLink when one more request may go. There is no link with an
// error, and neither if the load is over first.
func (v *visit) openPaced() (*link, error) {
	if err := v.load.pace.wait(v.ctx, 1); err != nil {
		return nil, nil
	}
	return v.openLink()
}

// query is one request that can be made on any connection. make is given its nonce,
// and says what to ask and how to check the answer.
type query struct {
	name   string
	weight int
	make   func(v *visit, nonce string) (*request, func(*reply) error)
}

// prepare takes note of a request.
func (v *visit) prepare(q *query, way string) (*request, func(*reply) error) {
	name := q.name
	if v.shape != "" {
		name = v.shape
	}
	nonce := v.load.book.send(name, way)
	r, check := q.make(v, nonce)
	r.nonce = nonce
	if r.status == 0 {
		r.status = 200
	}
	return r, check
}

// do makes a request and checks its answer. last says that the connection is not to
// be used any more.
func (v *visit) do(a asker, q *query) (last bool, err error) {
	if err := v.load.pace.wait(v.ctx, 1); err != nil {
		return true, nil
	}
	r, check := v.prepare(q, a.way())
	answer, err := a.ask(r)
	if err != nil {
		return true, v.refusal(r.nonce, a.way(), err)
	}
	return answer.last, v.settle(a, r, answer, check)
}

// settle checks an answer, and closes the account of its request.
func (v *visit) settle(a asker, q *request, r *reply, check func(*reply) error) error {
	fail := func(format string, args ...any) error { return wrong(q.nonce, a.way(), format, args...) }
	if got := r.header.Values(nonceHeader); len(got) != 1 || got[0] != q.nonce {
		return fail("the answer is for %q (%d, %.100q)", got, r.status, r.body)
	}
	switch {
	case r.status != q.status:
		return fail("%s %s was answered with %d, not %d: %.500q", q.verb(), q.target, r.status, q.status, r.body)
	case !slices.Contains(a.peers(), r.header.Get("Peer")):
		return fail("the server takes the client for %q, not one of %q", r.header.Get("Peer"), a.peers())
	case q.broken && r.bodyErr == nil:
		return fail("an answer that was cut off looks whole: %.100q", r.body)
	case !q.broken && r.bodyErr != nil:
		return fail("the answer broke off after %d octets: %v", len(r.body), r.bodyErr)
	}
	if check != nil {
		if err := check(r); err != nil {
			return fail("%v", err)
		}
	}
	v.load.book.answer(q.nonce)
	return nil
}
