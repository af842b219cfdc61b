// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// bits is a set of the numbers of requests.
type bits []uint64

// add reports whether n was not in the set.
func (b *bits) add(n uint64) bool {
	for uint64(len(*b)) <= n/64 {
		*b = append(*b, 0)
	}
	word, bit := &(*b)[n/64], uint64(1)<<(n%64)
	had := *word&bit != 0
	*word |= bit
	return !had
}

func (b bits) has(n uint64) bool {
	return n/64 < uint64(len(b)) && b[n/64]&(1<<(n%64)) != 0
}

// serverLedger is what the server has to say about the requests it was sent.
type serverLedger struct {
	Begun  bits // a handler was called
	Whole  bits // its answer was completed
	Broken bits // its answer was cut off, or there was none
	Kinds  map[string]*serverCount
}

type serverCount struct{ Begun, Whole, Broken int }

func (l *serverLedger) count(kind string) *serverCount {
	if l.Kinds == nil {
		l.Kinds = map[string]*serverCount{}
	}
	if l.Kinds[kind] == nil {
		l.Kinds[kind] = &serverCount{}
	}
	return l.Kinds[kind]
}

// seen says what the server must have seen of a request whose client has left.
type seen int

const (
	seenPerhaps seen = iota
	seenNever        // its head was not complete
	seenSurely       // some of the answer came
)

// book is the client's side: each request is sent and, later, answered or left.
type book struct {
	mu       sync.Mutex
	next     uint64
	answered bits
	surely   bits // left, having seen some of the answer
	never    bits // left before the head was complete
	refused  bits // the server was ending, and there was no answer at all
	kinds    map[string]*clientCount
	ways     map[string]int
	open     map[uint64]time.Time // when it was sent, for each request that is neither answered nor left
	names    []string             // of the kinds, in the order they came
	kindOf   []byte               // of each request, an index into names
}

type clientCount struct{ Sent, Answered, Left, Refused int }

func newBook() *book {
	return &book{kinds: map[string]*clientCount{}, ways: map[string]int{}, open: map[uint64]time.Time{}}
}

// send takes note of a request that is about to be sent, and gives it its nonce.
func (b *book) send(kind, way string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.next
	b.next++
	if b.kinds[kind] == nil {
		b.kinds[kind] = &clientCount{}
		b.names = append(b.names, kind)
	}
	b.kindOf = append(b.kindOf, byte(slices.Index(b.names, kind)))
	b.kinds[kind].Sent++
	b.ways[way]++
	b.open[n] = time.Now()
	return makeNonce(kind, n)
}

func (b *book) count(nonce string, f func(n uint64, c *clientCount)) {
	kind, n, ok := parseNonce(nonce)
	if !ok {
		panic("soak: closing the account of " + nonce)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, n)
	f(n, b.kinds[kind])
}

// answer takes note of an answer that was the right one and whole.
func (b *book) answer(nonce string) {
	b.count(nonce, func(n uint64, c *clientCount) {
		if !b.answered.add(n) {
			panic("soak: " + nonce + " is answered twice")
		}
		c.Answered++
	})
}

// leave takes note of a request that the client gave up on purpose.
func (b *book) leave(nonce string, s seen) {
	b.count(nonce, func(n uint64, c *clientCount) {
		c.Left++
		switch s {
		case seenSurely:
			b.surely.add(n)
		case seenNever:
			b.never.add(n)
		}
	})
}

// refuse takes note of a request that got no octet of an answer while the server
// was ending: no handler may have seen it.
func (b *book) refuse(nonce string) {
	b.count(nonce, func(n uint64, c *clientCount) {
		c.Refused++
		b.refused.add(n)
	})
}

// oldest is the request that has been under way for longest.
func (b *book) oldest() (nonce string, age time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n, since := range b.open {
		if a := time.Since(since); a > age {
			nonce, age = makeNonce(b.names[b.kindOf[n]], n), a
		}
	}
	return nonce, age
}

// total is how many requests were sent so far.
func (b *book) total() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

// compare holds the two sides against each other, when nothing is under way.
func (b *book) compare(s *serverLedger) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, kind := range b.names {
		c, served := b.kinds[kind], s.count(kind)
		if open := c.Sent - c.Answered - c.Left - c.Refused; open != 0 {
			return fmt.Errorf("%d requests of kind %s are neither answered nor left", open, kind)
		}
		if served.Begun != served.Whole+served.Broken {
			return fmt.Errorf("%d requests of kind %s have begun in the server and not ended", served.Begun-served.Whole-served.Broken, kind)
		}
	}
	for kind := range s.Kinds {
		if b.kinds[kind] == nil {
			return fmt.Errorf("the server got requests of kind %s, which nobody sent", kind)
		}
	}
	for n := range b.next {
		var what string
		switch begun := s.Begun.has(n); {
		case b.answered.has(n) && !begun:
			what = "was answered, and no handler has seen it"
		case b.surely.has(n) && !begun:
			what = "was being answered, and no handler has seen it"
		case b.never.has(n) && begun:
			what = "was never sent whole, and a handler was called"
		case b.refused.has(n) && begun:
			what = "came to a handler while the server was ending, and was not answered"
		case begun && !s.Whole.has(n) && !s.Broken.has(n):
			what = "has begun in the server and not ended"
		case b.answered.has(n) && s.Broken.has(n) && b.names[b.kindOf[n]] != kindPanic:
			what = "was answered whole, and the server says that it cut the answer off"
		default:
			continue
		}
		return fmt.Errorf("the request with the nonce %s %s", makeNonce(b.names[b.kindOf[n]], n), what)
	}
	if words := uint64(len(s.Begun)); words > (b.next+63)/64 {
		return errors.New("the server got requests that nobody sent")
	}
	return nil
}
