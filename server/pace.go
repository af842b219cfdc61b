// SPDX-License-Identifier: MIT

package server

import "time"

// paceCredit is how much time a peer can save up by being fast.
const paceCredit = time.Minute

// pace bounds how slow a peer may be. It has some patience: waiting for the peer
// uses it up, and every octet gives some back, so that a peer keeps up if it
// moves rate octets a second on average, and one that has been fast may pause,
// but not for ever. Time the handler takes for itself does not count.
type pace struct {
	rate     int64 // octets a second, 0 = no bound
	most     time.Duration
	patience time.Duration // what is left
}

func newPace(rate int64, grace time.Duration) pace {
	return pace{rate: rate, most: grace + paceCredit, patience: grace}
}

// deadline is when waiting for size more octets has taken too long; zero for
// never.
func (p *pace) deadline(now time.Time, size int) time.Time {
	if p.rate <= 0 {
		return time.Time{}
	}
	return now.Add(p.patience + p.worth(size))
}

// add accounts for n octets that took so long to wait for.
func (p *pace) add(n int, waited time.Duration) {
	if p.rate > 0 {
		p.patience = min(p.patience-waited+p.worth(n), p.most)
	}
}

// worth is the time that n octets may take.
func (p *pace) worth(n int) time.Duration {
	seconds := min(float64(n)/float64(p.rate), 1<<30) // decades: no overflow
	return time.Duration(seconds * float64(time.Second))
}
