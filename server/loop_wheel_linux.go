// SPDX-License-Identifier: MIT

package server

import (
	"math"
	"sync"
)

// wheel finds the connections whose time is up. It is a circle of lists, one for
// each tick of the engine's clock; a connection stands in the list of a tick that
// is not later than its due time, and is looked at when the clock comes by. A due
// time that is put off, as it is by every request, is only stored: the connection
// moves when the clock gets there, which is seldom.
type wheel struct {
	mu    sync.Mutex
	ticks [wheelTicks]*loopConn // heads of lists; guarded by mu
	now   int64                 // the tick that was looked at last; guarded by mu
}

const (
	wheelTicks = 2048 // × tickEvery: the farthest a connection can stand ahead
	unlinked   = math.MaxInt64
)

// atLeastBy makes sure that a connection is looked at by a time.
func (w *wheel) atLeastBy(k *loopConn, due int64) {
	tick := due / int64(tickEvery)
	if k.linked.Load() <= tick {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(k)
	w.link(k, tick)
}

func (w *wheel) link(k *loopConn, tick int64) {
	tick = min(max(tick, w.now+1), w.now+wheelTicks-1)
	head := &w.ticks[tick%wheelTicks]
	k.linked.Store(tick)
	k.before, k.after = nil, *head
	if k.after != nil {
		k.after.before = k
	}
	*head = k
}

func (w *wheel) unlink(k *loopConn) {
	at := k.linked.Load()
	if at == unlinked {
		return
	}
	if k.before != nil {
		k.before.after = k.after
	} else {
		w.ticks[at%wheelTicks] = k.after
	}
	if k.after != nil {
		k.after.before = k.before
	}
	k.before, k.after = nil, nil
	k.linked.Store(unlinked)
}

func (w *wheel) remove(k *loopConn) {
	w.mu.Lock()
	w.unlink(k)
	w.mu.Unlock()
}

// due takes out the connections whose time is up and calls f for each, and lets
// the others move on. f must not call the wheel.
func (w *wheel) due(clock int64, f func(*loopConn)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := clock / int64(tickEvery)
	w.now = max(w.now, last-wheelTicks) // after a long sleep each list is looked at once
	for w.now < last {
		w.now++
		for k := w.ticks[w.now%wheelTicks]; k != nil; {
			next := k.after
			w.unlink(k)
			switch due := k.due.Load(); {
			case due == 0:
			case due <= clock:
				f(k)
			default:
				w.link(k, due/int64(tickEvery)+1)
			}
			k = next
		}
	}
}
