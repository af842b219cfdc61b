// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"sync"
	"time"
)

// pace spreads requests over time: not more than a rate, with pauses made up for by
// at most a tenth of a second's worth.
type pace struct {
	gap time.Duration // from one request to the next

	mu   sync.Mutex
	next time.Time // guarded by mu
}

func newPace(perSecond int) *pace { return &pace{gap: time.Second / time.Duration(perSecond)} }

// wait waits until n more requests may go.
func (p *pace) wait(ctx context.Context, n int) error {
	p.mu.Lock()
	now := time.Now()
	if early := now.Add(-100 * time.Millisecond); p.next.Before(early) {
		p.next = early
	}
	due := p.next
	p.next = p.next.Add(time.Duration(n) * p.gap)
	p.mu.Unlock()
	return pause(ctx, due.Sub(now))
}

// pause waits; the error is the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
