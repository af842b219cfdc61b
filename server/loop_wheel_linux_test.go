// SPDX-License-Identifier: MIT

package server

import (
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// wheelModel is what a wheel is to do, done slowly: a connection that is on the
// wheel is found by the first look at the clock that has passed its due time by a
// tick, not before that time, and once.
type wheelModel struct {
	t     testing.TB
	wheel wheel
	clock int64
	conns []*loopConn
	dues  map[*loopConn]int64 // of those on the wheel, 0 = never
}

func newWheelModel(t testing.TB, n int) *wheelModel {
	m := &wheelModel{t: t, dues: map[*loopConn]int64{}}
	for range n {
		k := &loopConn{}
		k.linked.Store(unlinked)
		m.conns = append(m.conns, k)
	}
	return m
}

// wait is loopConn.wait without an engine.
func (m *wheelModel) wait(i int, d int64) {
	k := m.conns[i]
	if d <= 0 {
		k.due.Store(0)
		if _, on := m.dues[k]; on {
			m.dues[k] = 0
		}
		return
	}
	due := m.clock + min(d, math.MaxInt64-m.clock)
	k.due.Store(due)
	m.wheel.atLeastBy(k, due)
	m.dues[k] = due
}

func (m *wheelModel) remove(i int) {
	m.wheel.remove(m.conns[i])
	delete(m.dues, m.conns[i])
}

// sweep moves the clock and compares.
func (m *wheelModel) sweep(by int64) {
	m.t.Helper()
	m.clock += min(by, math.MaxInt64/2-m.clock)
	found := map[*loopConn]bool{}
	m.wheel.due(m.clock, func(k *loopConn) {
		if found[k] {
			m.t.Fatal("found twice")
		}
		found[k] = true
	})
	for k := range found {
		due, on := m.dues[k]
		switch {
		case !on:
			m.t.Fatal("found a connection that is not on the wheel")
		case due == 0 || due > m.clock:
			m.t.Fatalf("found before its time: due at %d, now %d", due, m.clock)
		}
		delete(m.dues, k)
	}
	for k, due := range m.dues {
		if due != 0 && due/int64(tickEvery)+1 <= m.clock/int64(tickEvery) {
			m.t.Fatalf("overlooked: due at %d, now %d, linked at tick %d", due, m.clock, k.linked.Load())
		}
	}
	m.check()
}

// check walks all lists.
func (m *wheelModel) check() {
	m.t.Helper()
	linked := map[*loopConn]bool{}
	for i, k := range m.wheel.ticks {
		var before *loopConn
		for ; k != nil; before, k = k, k.after {
			at := k.linked.Load()
			switch {
			case linked[k]:
				m.t.Fatal("linked twice")
			case k.before != before:
				m.t.Fatal("the links back are not those forth")
			case at%wheelTicks != int64(i):
				m.t.Fatalf("linked at %d, in the list of %d", at, i)
			case at <= m.wheel.now || at >= m.wheel.now+wheelTicks:
				m.t.Fatalf("linked at %d, out of sight from %d", at, m.wheel.now)
			}
			linked[k] = true
		}
	}
	for _, k := range m.conns {
		due, on := m.dues[k]
		switch {
		case !linked[k] && k.linked.Load() != unlinked:
			m.t.Fatalf("in no list, but linked at %d", k.linked.Load())
		case on && due != 0 && !linked[k]:
			m.t.Fatalf("due at %d, but in no list", due)
		case linked[k] && on && due != 0 && k.linked.Load() > max(due/int64(tickEvery)+1, m.wheel.now+1):
			m.t.Fatalf("due at %d, but linked at %d", due, k.linked.Load())
		}
	}
}

func TestWheel(t *testing.T) {
	const tick = int64(tickEvery)
	cases := []struct {
		name string
		do   func(m *wheelModel)
	}{
		{"due at once", func(m *wheelModel) {
			m.wait(0, 1)
			m.sweep(tick - 1)
			m.sweep(1)
			m.sweep(tick)
		}},
		{"put off before it is due", func(m *wheelModel) {
			for range 50 {
				m.wait(0, 3*tick)
				m.sweep(tick)
			}
		}},
		{"put forward", func(m *wheelModel) {
			m.wait(0, 1000*tick)
			m.wait(0, 2*tick)
			m.sweep(3 * tick)
		}},
		{"farther than the wheel goes round", func(m *wheelModel) {
			m.wait(0, 5*wheelTicks*tick)
			m.wait(1, 100*365*24*int64(time.Hour))
			for range 6 * wheelTicks {
				m.sweep(tick)
			}
		}},
		{"asleep for long", func(m *wheelModel) {
			m.wait(0, tick)
			m.wait(1, wheelTicks*tick)
			m.wait(2, 50*wheelTicks*tick)
			m.sweep(20*wheelTicks*tick + 17)
			m.wait(0, tick)
			m.sweep(40 * wheelTicks * tick)
		}},
		{"asleep for a round less and more", func(m *wheelModel) {
			for _, round := range []int64{wheelTicks - 1, wheelTicks, wheelTicks + 1} {
				m.wait(0, tick)
				m.wait(1, (wheelTicks-1)*tick)
				m.wait(2, wheelTicks*tick)
				m.wait(3, (wheelTicks+1)*tick)
				m.sweep(round * tick)
				m.sweep(tick)
				m.sweep(3 * tick)
			}
		}},
		{"due in the past", func(m *wheelModel) {
			m.sweep(100 * tick)
			k := m.conns[0]
			k.due.Store(5 * tick)
			m.wheel.atLeastBy(k, 5*tick)
			m.dues[k] = 5 * tick
			m.check()
			m.sweep(tick)
		}},
		{"the clock stands still", func(m *wheelModel) {
			m.wait(0, tick)
			m.sweep(2 * tick)
			for range 3 {
				m.wait(1, tick)
				m.sweep(0)
			}
			m.sweep(2 * tick)
		}},
		{"switched off and on", func(m *wheelModel) {
			m.wait(0, 2*tick)
			m.wait(0, 0)
			m.sweep(tick)
			m.wait(0, 5*tick)
			m.wait(0, -1)
			m.sweep(10 * tick) // falls off
			m.wait(0, tick)
			m.sweep(2 * tick)
		}},
		{"removed", func(m *wheelModel) {
			for i := range 5 {
				m.wait(i, 3*tick)
			}
			for _, i := range []int{2, 4, 0, 0, 3, 1} {
				m.remove(i)
				m.check()
			}
			m.sweep(10 * tick)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.do(newWheelModel(t, 5)) })
	}
}

// TestWheelConcurrently puts connections off while the wheel is swept: whatever
// happens at the same time, a connection that waits is looked at.
func TestWheelConcurrently(t *testing.T) {
	m := newWheelModel(t, 8)
	var waiters sync.WaitGroup
	var clock, found [8]int64 // of each connection, by its owner
	var mu sync.Mutex
	woken := map[*loopConn]chan struct{}{}
	for _, k := range m.conns {
		woken[k] = make(chan struct{}, 1)
	}
	done := make(chan struct{})
	for i, k := range m.conns {
		waiters.Go(func() {
			for n := range int64(300) {
				mu.Lock()
				clock[i] = m.clock
				mu.Unlock()
				for j := range n % 4 { // put off, and forward
					due := clock[i] + int64(tickEvery)*(3-j)
					k.due.Store(due)
					m.wheel.atLeastBy(k, due)
				}
				due := clock[i] + int64(tickEvery)
				k.due.Store(due)
				m.wheel.atLeastBy(k, due)
				<-woken[k] // hangs if the connection was overlooked
				found[i]++
			}
		})
	}
	go func() {
		waiters.Wait()
		close(done)
	}()
	for {
		select {
		case <-done:
			for i, n := range found {
				if n != 300 {
					t.Errorf("connection %d was found %d times", i, n)
				}
			}
			return
		default:
		}
		mu.Lock()
		m.clock += int64(tickEvery) / 2
		now := m.clock
		mu.Unlock()
		m.wheel.due(now, func(k *loopConn) {
			select {
			case woken[k] <- struct{}{}:
			default:
			}
		})
		runtime.Gosched() // who was woken goes on, on a single processor too
	}
}

func FuzzWheel(f *testing.F) {
	step := func(what byte, n uint16) []byte { return binary.LittleEndian.AppendUint16([]byte{what}, n) }
	f.Add(slices.Concat(step(0, 10), step(3, 11), step(3, 1)))
	f.Add(slices.Concat(step(0, 2047), step(8, 2048), step(3, 2047), step(3, 1), step(3, 1)))
	f.Add(slices.Concat(step(0, 65535), step(16, 3), step(7, 65535), step(1, 0), step(2, 0), step(7, 9)))
	f.Add(slices.Concat(step(5, 300), step(3, 2), step(5, 100), step(3, 2), step(5, 0), step(3, 9)))
	f.Fuzz(func(t *testing.T, script []byte) {
		m := newWheelModel(t, 8)
		for script = script[:min(len(script), 300)]; len(script) >= 3; script = script[3:] {
			i, n := int(script[0]>>3)%len(m.conns), int64(binary.LittleEndian.Uint16(script[1:]))
			switch script[0] % 8 {
			case 0:
				m.wait(i, n*int64(tickEvery))
			case 1:
				m.wait(i, 0)
			case 2:
				m.remove(i)
			case 3:
				m.sweep(n % 4096 * int64(tickEvery))
			case 4:
				m.sweep(n * int64(time.Millisecond))
			case 5:
				m.wait(i, n*int64(time.Millisecond))
			case 6:
				m.wait(i, n*int64(time.Hour))
			case 7:
				m.sweep(n * int64(time.Minute))
			}
			m.check()
		}
	})
}
