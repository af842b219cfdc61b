// SPDX-License-Identifier: MIT

package server

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bench is a loop without workers, for tests that take the part of the kernel, of
// the scheduler and of the clock: that stands still, at the first moment there is,
// unless the test moves it.
type bench struct {
	t    *testing.T
	e    *loopEngine
	l    *loop
	on   *serving
	fake bool // nobody polls, though the loop believes so
}

func newBench(t *testing.T, s *HTTPServer) *bench {
	t.Helper()
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	e := &loopEngine{srv: s, began: time.Now(), ticking: true} // by nobody
	e.clock.Store(1)
	l, err := newLoop(e)
	if err != nil {
		t.Fatal(err)
	}
	e.loops = []*loop{l}
	b := &bench{t: t, e: e, l: l, on: &serving{srv: s, set: s.set, base: t.Context()}}
	t.Cleanup(func() {
		b.pretend(false)
		l.armed.Store(false)
		e.cut(&cutting{})
		go l.work()
		<-s.tracker.drained()
		e.end()
	})
	return b
}

// client is the other end of a connection, on which each write of the server is a
// message of its own.
type client struct {
	t  *testing.T
	fd int
	k  *loopConn
}

func (b *bench) connect() *client {
	b.t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &client{t: b.t, fd: fds[1]}
	b.t.Cleanup(p.close)
	end := b.apart(fds[0])
	if !b.e.srv.tracker.acquire() {
		b.t.Fatal("no room")
	}
	b.e.add(b.on, end, netip.AddrPort{})
	b.e.table.each(func(k *loopConn) {
		if k.fd == end {
			p.k = k
		}
	})
	return p
}

// apart gives a descriptor the first free number of a range where nobody else has
// any: tests have a number used again, which is the first that is free only if no
// connection of an earlier test is still being closed.
func (b *bench) apart(fd int) int {
	b.t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		b.t.Fatal(err)
	}
	far, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, int(min(limit.Cur-min(limit.Cur, 100), 30_000)))
	_ = syscall.Close(fd)
	if err != nil {
		b.t.Fatal(err)
	}
	return far
}

func (p *client) close() {
	if p.fd >= 0 {
		_ = syscall.Close(p.fd)
	}
	p.fd = -1
}

func (p *client) send(s string) {
	p.t.Helper()
	if n, err := syscall.Write(p.fd, []byte(s)); n != len(s) || err != nil {
		p.t.Fatalf("send: %d, %v", n, err)
	}
}

func (p *client) get(paths ...string) {
	p.t.Helper()
	var s strings.Builder
	for _, path := range paths {
		fmt.Fprintf(&s, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
	}
	p.send(s.String())
}

// message is what has come in one write, "" when nothing has.
func (p *client) message() string {
	buf := make([]byte, 64<<10)
	n, err := syscall.Read(p.fd, buf)
	if err != nil && err != syscall.EAGAIN {
		p.t.Fatalf("reading: %v", err)
	}
	return string(buf[:max(n, 0)])
}

// await is the next message, which is on its way.
func (p *client) await() string {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		if m := p.message(); m != "" {
			return m
		}
	}
	p.t.Fatal("no answer")
	return ""
}

func (p *client) wantAnswer(body string) {
	p.t.Helper()
	if m := p.await(); !strings.HasPrefix(m, "HTTP/1.1 200 ") || !strings.HasSuffix(m, "\r\n\r\n"+body) {
		p.t.Fatalf("answer %q, want %q", m, body)
	}
}

func (p *client) wantSilence(why string) {
	p.t.Helper()
	if m := p.message(); m != "" {
		p.t.Fatalf("%s: got %q", why, m)
	}
}

// event is what epoll would say of the connection.
func (p *client) says(events uint32) syscall.EpollEvent {
	return syscall.EpollEvent{Events: events, Fd: int32(p.k.fd), Pad: int32(p.k.gen)}
}

// pretend has the loop believe that somebody polls, or no longer.
func (b *bench) pretend(polling bool) {
	b.l.mu.Lock()
	defer b.l.mu.Unlock()
	if b.fake != polling {
		b.fake, b.l.polling = polling, polling
	}
}

// queue puts events where the poller would.
func (b *bench) queue(events ...syscall.EpollEvent) {
	b.l.mu.Lock()
	b.l.head, b.l.tail = 0, copy(b.l.events[:], events)
	b.l.mu.Unlock()
}

// batch has a worker handle events while another one polls, so to speak.
func (b *bench) batch(events ...syscall.EpollEvent) {
	b.pretend(true)
	b.l.armed.Store(true) // no follower takes any of them
	b.queue(events...)
	b.l.work()
}

func echoPath(r *HTTPRequest) { _ = r.SendString(200, "text/plain", r.Path()) }

const (
	in     = syscall.EPOLLIN
	out    = syscall.EPOLLOUT
	hup    = syscall.EPOLLRDHUP | syscall.EPOLLIN
	failed = syscall.EPOLLERR | syscall.EPOLLHUP | hup
)
