// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// load is the traffic to one server.
type load struct {
	book      *book
	pace      *pace
	raw       []way // to be written on by hand
	http2     []way
	files     map[string][]byte
	upstream  *upstream
	malformed atomic.Int64
	ending    atomic.Bool // the server has been told to end, or is about to be

	mu     sync.Mutex
	visits map[string]int // by shape; guarded by mu
}

// drive has lanes make visits, until ctx ends or the server takes no more requests.
// A visit that has begun is not broken off. Some lanes are for the shapes that wait
// for the server's timeouts; none of those begins that would not be over by until.
func (l *load) drive(ctx context.Context, rng *rand.Rand, lanes, patient int, until time.Time) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	var first sync.Once
	for i := range lanes + patient {
		v := (&visit{load: l, ctx: ctx, rng: rng}).fork()
		fits := func(s *shape) bool { return s.takes == 0 && (s.ending || !l.ending.Load()) }
		if i >= lanes {
			fits = func(s *shape) bool { return s.takes > 0 && time.Now().Add(s.takes).Before(until) }
		}
		all.Go(func() {
			if wrong := v.lane(fits); wrong != nil {
				first.Do(func() { err = wrong })
				cancel()
			}
		})
	}
	all.Wait()
	return err
}

// lane makes one visit after the other. The error is a violation.
func (v *visit) lane(fits func(*shape) bool) error {
	for v.ctx.Err() == nil {
		s := chooseShape(v.rng, fits)
		if s == nil {
			return nil
		}
		err := v.fork().pay(s)
		var bad *violation
		switch {
		case errors.As(err, &bad):
			return bad
		case errors.Is(err, errOver):
			return nil
		case err != nil:
			return &violation{what: s.name + ": " + err.Error()}
		}
	}
	return nil
}

func (v *visit) pay(s *shape) error {
	v.load.mu.Lock()
	v.load.visits[s.name]++
	v.load.mu.Unlock()
	return s.run(v)
}

// warm makes every kind of visit, and more: what the server makes once and keeps is
// there afterwards.
func (l *load) warm(ctx context.Context, rng *rand.Rand, lanes int, d time.Duration) error {
	v := (&visit{load: l, ctx: ctx, rng: rng}).fork()
	for i := range shapes {
		if shapes[i].takes > 0 {
			continue
		}
		if err := v.fork().pay(&shapes[i]); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return l.drive(ctx, rng, lanes, 0, time.Time{})
}
