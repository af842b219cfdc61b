// SPDX-License-Identifier: MIT

package server

import (
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// loopEngine serves plain TCP and Unix connections from event loops, one for
// each processor. An idle connection costs it one small struct: no goroutine, no
// buffer, no timer.
//
// # The roles of a worker
//
// A loop is an epoll instance and the goroutines, its workers, that take turns at
// it. A worker is always in one of these roles:
//
//	poller    waits for events. At most one worker of a loop at a time.
//	driver    owns one connection: reads it, runs its handlers, writes answers.
//	follower  runnable, but has not run yet.
//
//	         arm                     nobody polls
//	[new] ─────────► [follower] ───────────────────► [poller]
//	                   │    │                        │      ▲
//	         somebody  │    │ event      its events  │      │ nothing queued,
//	         polls     │    ▼                        ▼      │ nobody polls
//	[ends] ◄───────────┘  [driver] ◄─────────────────┘      │
//	   ▲                   │    ▲ └─────────────────────────┘
//	   └───────────────────┘    └── next event, also one that others took from epoll
//	    somebody polls
//
// Handlers run on the driver itself, and may block. Before a driver calls
// handlers it makes sure that a follower is runnable. While handlers do not block,
// the driver goes on to the next event, and then to polling, and the follower
// never gets the processor. When a handler blocks, the scheduler runs the
// follower: it takes the events that are left, or becomes the poller, and the
// loop goes on. A worker that finds nothing to do, and somebody else polling,
// ends. So a fast handler costs no goroutine switch and a slow one costs one.
//
// Events come from epoll; others, that time is up or that the server drains, come
// as notes from goroutines that are no workers, and that never run a handler.
//
// # The states of a connection
//
//	[entering] ──► [idle] ─────────────────────────► [driven] ◄──────────► [parked]
//	 registered      ▲      event or note: whoever     │ │ │    a handler waits for
//	                 │      sets the busy bit          │ │ │    its peer; an event, a
//	                 │                                 │ │ │    deadline, or the end
//	                 └─────────────────────────────────┘ │ │    of the request wakes it
//	                   yield: nothing happened meanwhile │ │
//	                                                     │ └───► [hijacked]
//	                       last answer sent, the peer    │
//	                       still talks: [lingering] ◄────┼───► [closed]
//	                                         │                    ▲
//	                                         └────────────────────┘
//
// The bits of loopConn.state and the busy bit among them change together, by
// compare and swap: what happens to a connection that is driven is noted there,
// and yield fails while there is a note. A lingering connection goes between idle
// and driven like any other; what comes on it is thrown away. A closed or hijacked
// one keeps its busy bit for good: what still happens to it moves nobody.
//
// # Invariants
//
//   - An event in the queue of a loop has been taken out of the kernel and is
//     handled exactly once, by whoever pops it.
//   - While polling is false and the queue is empty, some worker of the loop is
//     runnable or running and handles no event: it will look at the queue before
//     it ends.
//   - Between taking an event and the first moment at which it may block, a worker
//     arms. A follower that runs before that moment polls, or leaves that to
//     another, who arms in turn; one that has not run yet does when it comes.
//   - A bit that says there may be input is cleared before the read that makes it
//     untrue, one that says there is room before the write; with it epoll's next
//     word finds it cleared. Hang-ups and errors stay.
//   - Only the goroutine that set the busy bit of a connection touches its
//     machine, its file descriptor included, until it clears the bit. The handler
//     it has called shares that with goroutines of its own, under the locks of the
//     machine, and takes it back before it returns.
//   - A descriptor is closed by the owner of the busy bit, with the table entry
//     gone first, so that a number that is used again cannot be taken for the old
//     connection: events carry the generation of the entry they are for. closeNow
//     shuts the socket, not the descriptor.
//   - A connection that waits for a time is on the wheel at that time or before.
type loopEngine struct {
	srv   *HTTPServer
	loops []*loop
	table connTable
	clock atomic.Int64 // nanoseconds since began, advanced by tick while there are connections
	began time.Time
	count atomic.Int64 // open connections

	cutting atomic.Bool // connections are closed as soon as they come

	tickMu  sync.Mutex
	ticking bool // guarded by tickMu
}

// tickEvery is the precision of head and idle timeouts.
const tickEvery = 100 * time.Millisecond

func newLoopEngine(srv *HTTPServer) (*loopEngine, error) {
	e := &loopEngine{srv: srv, began: time.Now()}
	for range max(runtime.GOMAXPROCS(0), 1) {
		l, err := newLoop(e)
		if err != nil {
			for _, l := range e.loops {
				l.close()
			}
			return nil, err
		}
		e.loops = append(e.loops, l)
	}
	for _, l := range e.loops {
		go l.work()
	}
	return e, nil
}

// servable reports whether the loops can serve a listener's connections.
func servable(l net.Listener) bool {
	switch l := l.(type) {
	case *net.TCPListener:
		return true
	case *net.UnixListener:
		return l.Addr().Network() == "unix"
	}
	return false
}

// serve accepts connections straight into the loops.
func (e *loopEngine) serve(on *serving, l *openListener) error {
	a, err := newAcceptor(l)
	if err != nil {
		return err
	}
	defer a.close() // whoever is told that serving has ended may want the address
	return acceptEach(e.srv, a, func(c accepted) { e.add(on, c.fd, c.addr) })
}

// add gives a connection to the loop that has the fewest.
func (e *loopEngine) add(on *serving, fd int, addr netip.AddrPort) {
	l := e.loops[0]
	for _, other := range e.loops[1:] {
		if other.count.Load() < l.count.Load() {
			l = other
		}
	}
	if on.proxy != nil {
		if !on.proxy.trusts(addr.Addr()) {
			on.refuse(addrOf(addr), errProxyUntrusted)
			e.srv.tracker.release()
			_ = syscall.Close(fd)
			return
		}
		addr = netip.AddrPort{} // whose the connection is remains to be said
	}
	if !e.srv.tracker.admit(addr.Addr()) {
		e.srv.tracker.release()
		_ = syscall.Close(fd)
		return
	}
	k := &loopConn{loop: l, fd: fd, addr: addr, timed: 1}
	k.linked.Store(unlinked)
	k.state.Store(stateBusy) // nobody else until it is all there
	k.machine.init(on, k, nil)
	l.count.Add(1)
	e.count.Add(1)
	e.keepTicking()
	if on.proxy != nil {
		k.wait(on.proxy.timeout)
	} else {
		k.machine.setState(http.StateNew)
		k.wait(e.srv.set.headerTimeout)
	}
	e.table.put(k)
	if err := l.register(k); err != nil {
		e.srv.set.acceptLog.warn(&e.srv.set.log, err)
		k.close()
		return
	}
	// Who looked at all connections before this one was in the table has set a flag
	// before that.
	if e.srv.draining.Load() {
		k.state.Or(stateDrain)
	}
	if e.cutting.Load() {
		k.closeNow()
	}
	if happened := k.state.And(^stateBusy) & stateAttention; happened != 0 {
		l.post(k, happened) // the goroutine that accepts runs no handlers
	}
}

// keepTicking runs the coarse clock while there are connections.
func (e *loopEngine) keepTicking() {
	e.tickMu.Lock()
	defer e.tickMu.Unlock()
	if e.ticking {
		return
	}
	e.ticking = true
	e.clock.Store(int64(time.Since(e.began)))
	e.srv.set.clock.tick()
	e.srv.set.clock.ticking.Store(true)
	go e.tick()
}

func (e *loopEngine) tick() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for range ticker.C {
		e.clock.Store(int64(time.Since(e.began)))
		e.srv.set.clock.tick()
		for _, l := range e.loops {
			l.sweep()
		}
		e.tickMu.Lock()
		if e.count.Load() == 0 {
			e.ticking = false
			e.srv.set.clock.ticking.Store(false)
			e.tickMu.Unlock()
			return
		}
		e.tickMu.Unlock()
	}
}

// nudge has connections without a request let go: the server drains.
func (e *loopEngine) nudge() {
	e.table.each(func(k *loopConn) { k.loop.post(k, stateDrain) })
}

// cut closes all connections under their handlers.
func (e *loopEngine) cut(cut *cutting) {
	e.cutting.Store(true)
	e.table.each(func(k *loopConn) {
		cut.conn(&k.machine)
		k.closeNow()
	})
}

// end stops the loops when no connection is left.
func (e *loopEngine) end() {
	for _, l := range e.loops {
		l.close()
	}
}
