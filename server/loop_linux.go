// SPDX-License-Identifier: MIT

package server

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// loop is one epoll instance and its workers.
type loop struct {
	engine *loopEngine
	epfd   int
	file   *os.File // the epoll descriptor, in Go's own poller
	rc     syscall.RawConn
	count  atomic.Int64 // connections
	wheel  wheel

	// armed says that a follower is runnable.
	armed    atomic.Bool
	followFn func() // follow, allocated once

	mu      sync.Mutex
	polling bool      // a worker waits for events; guarded by mu
	free    int       // workers that have run and handle no event; guarded by mu
	closed  bool      // guarded by mu
	head    int       // next event to pop; guarded by mu
	tail    int       // guarded by mu
	notes   []event   // to be handled before what epoll says; guarded by mu
	asked   time.Time // when it said that; guarded by mu

	// events is written by the poller while polling is true and the queue is empty,
	// and read under mu otherwise.
	events [eventBatch]syscall.EpollEvent
	polled int
	pollFn func(fd uintptr) bool
}

const eventBatch = 256

// event is something that happened to a connection, and when the loop learnt of
// it.
type event struct {
	k        *loopConn // nil when it is gone
	happened uint32
	at       time.Time
}

func newLoop(e *loopEngine) (*loop, error) {
	epfd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// A poller that blocked in epoll_wait would hold a thread, and the scheduler
	// would take a while to notice. An epoll descriptor is itself pollable: in
	// Go's poller waiting costs what waiting for a socket costs.
	if err := syscall.SetNonblock(epfd, true); err != nil {
		_ = syscall.Close(epfd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	l := &loop{engine: e, epfd: epfd, file: os.NewFile(uintptr(epfd), "epoll")}
	if l.rc, err = l.file.SyscallConn(); err != nil {
		_ = l.file.Close()
		return nil, err
	}
	l.followFn = l.follow
	l.pollFn = func(fd uintptr) bool {
		l.polled = epollWait(int(fd), l.events[:])
		return l.polled > 0
	}
	return l, nil
}

// epollWait takes the events that are there, without waiting. It does not tell
// the scheduler: the call returns at once.
func epollWait(epfd int, events []syscall.EpollEvent) int {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR: // not to be taken for "nothing": Go's poller tells of changes only
		default:
			return 0
		}
	}
}

// register enters a connection, once and for all: edge-triggered for input,
// output and hang-up.
func (l *loop) register(k *loopConn) error {
	const edge = 1 << 31 // EPOLLET, which package syscall has as a negative number
	ev := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | edge,
		Fd:     int32(k.fd), Pad: int32(k.gen),
	}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(l.epfd, syscall.EPOLL_CTL_ADD, k.fd, &ev))
}

// work is the life of a worker.
func (l *loop) work() {
	clean := false
	defer func() {
		if !clean { // a handler called runtime.Goexit: somebody has to go on
			l.arm()
		}
	}()
	handled := 0 // events since this worker last gave the processor away
	l.mu.Lock()
	l.free++
	for !l.closed {
		if ev, ok := l.pop(); ok {
			l.free--
			l.mu.Unlock()
			if ev.k != nil {
				l.handle(ev)
			}
			l.mu.Lock()
			handled++
			if l.free++; l.free > spareWorkers {
				break
			}
			continue
		}
		if l.polling {
			break
		}
		if handled >= yieldAfter {
			// Between two connections, and before the scheduler does it within one.
			handled = 0
			l.mu.Unlock()
			runtime.Gosched()
			l.mu.Lock()
			continue
		}
		l.polling = true
		l.mu.Unlock()
		err := l.rc.Read(l.pollFn)
		now := time.Now()
		l.mu.Lock()
		l.polling = false
		if err != nil { // closed
			break
		}
		l.head, l.tail, l.asked = 0, l.polled, now
	}
	l.free--
	l.mu.Unlock()
	clean = true
}

// pop takes the next event, notes first. The caller holds mu.
func (l *loop) pop() (event, bool) {
	if last := len(l.notes) - 1; last >= 0 {
		n := l.notes[last]
		l.notes[last] = event{}
		if l.notes = l.notes[:last]; last == 0 && cap(l.notes) > eventBatch {
			l.notes = nil
		}
		return n, true
	}
	if l.head < l.tail {
		ev := &l.events[l.head]
		l.head++
		return event{l.engine.table.get(int(ev.Fd), uint32(ev.Pad)), stateOf(ev.Events), l.asked}, true
	}
	return event{}, false
}

// arm makes sure that somebody takes over when the caller blocks. Once is enough
// between taking an event and going for the next: a follower that ran meanwhile
// has become the poller, or has left that to another, which arms in its turn.
func (l *loop) arm() {
	if !l.armed.Load() && l.armed.CompareAndSwap(false, true) {
		go l.followFn()
	}
}

// follow is the life of a worker that was started by another. The flag falls
// before the first look at the queue: what is put there while it stands is seen.
func (l *loop) follow() {
	// A new goroutine runs before those that the scheduler interrupted, and one of
	// these may hold a connection: to the end of the line.
	runtime.Gosched()
	l.armed.Store(false)
	l.work()
}

// yieldAfter is how many events a worker handles before it lets others run.
const yieldAfter = 128

// spareWorkers is how many workers without an event are kept: one that goes on,
// and one to take over when it blocks. More come to be when the scheduler
// interrupts a worker within a handler and the follower takes its place.
const spareWorkers = 2

// post has a worker take note of what happened to a connection. The caller need
// not be one, and never runs a handler.
func (l *loop) post(k *loopConn, happened uint32) {
	ev := event{k, happened, time.Now()}
	l.mu.Lock()
	l.notes = append(l.notes, ev)
	l.mu.Unlock()
	l.arm()
}

// handle takes note of what happened to a connection, and drives it unless
// somebody already does.
func (l *loop) handle(ev event) {
	k, happened := ev.k, ev.happened
	for {
		old := k.state.Load()
		if old&stateBusy != 0 {
			if k.state.CompareAndSwap(old, old|happened) {
				k.wake(old, happened)
				return
			}
			continue
		}
		if happened&stateAttention == 0 { // only room to write, which nobody waits for
			return
		}
		if k.state.CompareAndSwap(old, old|happened|stateBusy) {
			k.drive(ev.at)
			return
		}
	}
}

// sweep has connections whose time is up looked at.
func (l *loop) sweep() {
	l.wheel.due(l.engine.clock.Load(), func(k *loopConn) { l.post(k, stateDue) })
}

func (l *loop) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.file.Close()
}
