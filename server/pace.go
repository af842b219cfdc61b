// SPDX-License-Identifier: MIT

package server

import "time"

// pace bounds how slow a peer may be: after a grace, what it has taken or given
// must keep up with a rate, counted over the time that was spent waiting for it.
// Time the handler takes for itself does not count against the peer.
type pace struct {
	rate   int64 // octets a second, 0 = none
	grace  time.Duration
	octets int64
	waited time.Duration
}

// deadline is when waiting for size more octets has taken too long; zero for
// never.
func (p *pace) deadline(now time.Time, size int) time.Time {
	if p.rate <= 0 {
		return time.Time{}
	}
	allowed := p.grace + time.Duration(float64(p.octets+int64(size))/float64(p.rate)*float64(time.Second))
	return now.Add(allowed - p.waited)
}

func (p *pace) add(n int, waited time.Duration) {
	p.octets += int64(n)
	p.waited += waited
}

// earlier is the earlier of two deadlines, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
