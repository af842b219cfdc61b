// SPDX-License-Identifier: MIT

package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// bench is a loop without workers, for tests that take the part of the kernel and
// of the scheduler.
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
	e := &loopEngine{srv: s, began: time.Now()}
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
	if !b.e.srv.tracker.acquire() {
		b.t.Fatal("no room")
	}
	b.e.add(b.on, fds[0], netip.AddrPort{})
	b.e.table.each(func(k *loopConn) {
		if k.fd == fds[0] {
			p.k = k
		}
	})
	return p
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

func TestLoopConnSize(t *testing.T) {
	if size := unsafe.Sizeof(loopConn{}); size > 224 {
		t.Errorf("a connection is %d octets, want 224, which is a size class", size)
	}
}

// TestLoopIdleOwnsNothing looks at what connections keep between requests.
func TestLoopIdleOwnsNothing(t *testing.T) {
	b := newBench(t, &HTTPServer{Handler: HandlerFunc(func(r *HTTPRequest) {
		body, err := r.Body()
		if err != nil {
			t.Error(err)
		}
		_ = r.SendString(200, "", r.Path()+string(body))
	})})
	p := b.connect()
	owns := func(when string, workspace, parked bool) {
		t.Helper()
		if p.k.machine.workspace != nil != workspace || p.k.parked.Load() != nil != parked || p.k.machine.underway() != nil {
			t.Errorf("%s: workspace %v, parking %v", when, p.k.machine.workspace, p.k.parked.Load())
		}
	}
	owns("fresh", false, false)
	b.batch(p.says(in))
	owns("nothing came", false, false)
	p.get("/1")
	b.batch(p.says(in))
	p.wantAnswer("/1")
	owns("answered", false, false)
	p.send("GET /2 HT")
	b.batch(p.says(in))
	owns("within a head", true, false)
	p.send("TP/1.1\r\nHost: h\r\n\r\n")
	b.batch(p.says(in))
	p.wantAnswer("/2")
	owns("answered", false, false)

	// A body that is waited for parks the handler.
	p.send("POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
	done := make(chan struct{})
	go func() {
		b.batch(p.says(in))
		close(done)
	}()
	for p.k.state.Load()&stateReadWait == 0 {
		runtime.Gosched()
	}
	owned := p.k.parked.Load()
	p.send("ab")
	b.l.handle(event{k: p.k, happened: stateOf(in)})
	<-done
	p.wantAnswer("/3ab")
	if owned == nil {
		t.Error("it did not park")
	}
	// The event that woke the handler is still to be looked at, or was.
	b.batch(p.says(in))
	owns("parked and answered", false, false)
}

// TestLoopStaleEvents has a descriptor closed and used again while events for its
// former life wait in the same batch.
func TestLoopStaleEvents(t *testing.T) {
	var b *bench
	var second *client
	var served []string
	b = newBench(t, &HTTPServer{
		Handler: HandlerFunc(func(r *HTTPRequest) {
			served = append(served, r.Path())
			echoPath(r)
		}),
		ConnState: func(c *HTTPConnection, s http.ConnState) {
			if s != http.StateClosed || second != nil {
				return
			}
			// The numbers of both ends are free, and the lower one is the server's end
			// again.
			second = &client{}
			second = b.connect()
			second.get("/second")
		},
	})
	first := b.connect()
	first.close()
	// The first event closes it; the others are for nobody.
	b.batch(first.says(failed), first.says(in), first.says(failed), first.says(out))
	if second == nil {
		t.Fatal("not closed")
	}
	if second.k.fd != first.k.fd {
		t.Fatalf("descriptor %d was not used again, but %d", first.k.fd, second.k.fd)
	}
	if len(served) > 0 {
		t.Errorf("an event for a connection that is gone drove another: %q", served)
	}
	if s := second.k.state.Load(); s&stateGone != 0 {
		t.Errorf("an event for a connection that is gone is in the state of another: %#x", s)
	}
	b.batch(first.says(in), second.says(in))
	second.wantAnswer("/second")
	// Whoever still has the old connection does no harm to the new one.
	b.l.handle(event{k: first.k, happened: stateIn | stateDue | stateDrain | stateError})
	first.k.closeNow()
	_ = first.k.localAddr()
	second.get("/alive")
	b.batch(second.says(in))
	second.wantAnswer("/alive")
	if len(served) != 2 {
		t.Errorf("served %q", served)
	}
}

// TestLoopHandle walks the edges between the states of a connection.
func TestLoopHandle(t *testing.T) {
	b := newBench(t, &HTTPServer{Handler: HandlerFunc(echoPath)})
	b.pretend(true) // followers find nothing to do
	const busy = stateBusy
	cases := []struct {
		name     string
		before   uint32
		happened uint32
		drives   bool
		after    uint32
	}{
		{"room that nobody waits for", 0, stateOut, false, 0},
		{"input", 0, stateIn, true, 0},
		{"time", 0, stateDue, true, 0},
		{"drain", 0, stateDrain, true, 0},
		{"input, driven", busy, stateIn, false, busy | stateIn},
		{"room, driven", busy, stateOut, false, busy | stateOut},
		{"end, driven", busy | stateIn, stateHup | stateIn, false, busy | stateIn | stateHup},
		{"time and drain, driven", busy | stateDue, stateDrain, false, busy | stateDue | stateDrain},
		{"read waits", busy | stateReadWait, stateIn, false, busy | stateReadWait | stateIn},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := b.connect()
			p.get("/x")
			p.k.parking()
			p.k.state.Store(c.before)
			b.l.handle(event{k: p.k, happened: c.happened})
			if s := p.k.state.Load(); s != c.after {
				t.Errorf("state %#x, want %#x", s, c.after)
			}
			// Every drive that read would have answered.
			if m := p.message(); m != "" != (c.drives && c.happened&stateReadable != 0) {
				t.Errorf("answered %q", m)
			}
			woken := false
			if q := p.k.parked.Load(); q != nil {
				select {
				case <-q.read:
					woken = true
				default:
				}
			}
			if woken != (c.before&stateReadWait != 0) {
				t.Errorf("woken: %v", woken)
			}
			p.k.state.And(^(stateReadWait | busy))
		})
	}
	t.Run("yield", func(t *testing.T) {
		p := b.connect()
		for bit := stateIn; bit <= stateWatch; bit <<= 1 {
			p.k.state.Store(busy | bit)
			yields := bit&(stateReadable|stateDue|stateDrain) == 0
			if p.k.yield() != yields || p.k.state.Load()&busy == 0 != yields {
				t.Errorf("yield with %#x: %#x", bit, p.k.state.Load())
			}
		}
		p.k.state.Store(0)
	})
}

// TestLoopKeepsWakeUps drives a connection while events of all kinds, most of
// them with nothing behind them, rain on it: what has something behind it must
// not get lost among them.
func TestLoopKeepsWakeUps(t *testing.T) {
	s := &HTTPServer{Handler: HandlerFunc(echoPath)}
	b := newBench(t, s)
	go b.l.work()
	p := b.connect()
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for i := uint32(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			b.l.mu.Lock()
			notes := len(b.l.notes)
			b.l.mu.Unlock()
			if notes < 3 { // the loop is told of it
				b.l.post(p.k, []uint32{stateDue, stateIn, stateOut}[i%3])
			}
			b.l.handle(event{k: p.k, happened: []uint32{stateDue, stateOut}[i%2]}) // it comes right now
			if i%16 == 0 {
				runtime.Gosched()
			}
		}
	}()
	for i := range 300 {
		path := fmt.Sprintf("/%d", i)
		p.get(path)
		p.wantAnswer(path)
	}
	close(stop)
	<-stopped
}

// TestWorkers walks the roles of a worker.
func TestWorkers(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	b := newBench(t, &HTTPServer{Handler: HandlerFunc(func(r *HTTPRequest) {
		switch r.Path() {
		case "/block":
			entered <- struct{}{}
			<-leave
		case "/exit":
			runtime.Goexit()
		}
		echoPath(r)
	})})
	one, two, three := b.connect(), b.connect(), b.connect()

	t.Run("follower finds nothing and ends", func(t *testing.T) {
		b.pretend(true)
		b.l.armed.Store(true)
		b.l.follow()
		if b.l.armed.Load() {
			t.Error("still armed")
		}
	})
	t.Run("follower takes over from a driver that blocks", func(t *testing.T) {
		b.pretend(true)
		one.get("/block")
		two.get("/two")
		three.get("/three")
		b.queue(one.says(in), two.says(in), three.says(in))
		go b.l.work()
		<-entered
		two.wantAnswer("/two")
		three.wantAnswer("/three")
		leave <- struct{}{}
		one.wantAnswer("/block")
	})
	t.Run("follower becomes the poller", func(t *testing.T) {
		b.pretend(false)
		one.get("/block")
		go b.l.work()
		<-entered
		for range 3 {
			two.get("/two")
			two.wantAnswer("/two")
		}
		leave <- struct{}{}
		one.wantAnswer("/block")
		one.get("/again")
		one.wantAnswer("/again")
	})
	t.Run("all block but one", func(t *testing.T) {
		one.get("/block")
		<-entered
		two.get("/block")
		<-entered
		three.get("/three")
		three.wantAnswer("/three")
		close(leave)
		one.wantAnswer("/block")
		two.wantAnswer("/block")
	})
	t.Run("handler ends its goroutine", func(t *testing.T) {
		for range 5 {
			gone := b.connect()
			gone.get("/exit")
			two.get("/two")
			two.wantAnswer("/two")
			for b.e.table.get(gone.k.fd, gone.k.gen) == gone.k {
				runtime.Gosched()
			}
			gone.close() // the next gets the same number
		}
	})
	t.Run("notes wake a poller", func(t *testing.T) {
		n := b.e.count.Load()
		three.k.due.Store(1)
		b.e.clock.Store(int64(time.Hour)) // until the next tick
		b.l.post(three.k, stateDue)
		for b.e.count.Load() != n-1 {
			b.e.clock.Store(int64(time.Hour))
			three.k.due.Store(1)
			b.l.post(three.k, stateDue)
			runtime.Gosched()
		}
	})
}

// TestLoopHookEndsItsGoroutine has ConnState end a worker that has not called a
// handler, with an event left in the queue.
func TestLoopHookEndsItsGoroutine(t *testing.T) {
	var others []*client
	var b *bench
	b = newBench(t, &HTTPServer{Handler: HandlerFunc(echoPath), ConnState: func(c *HTTPConnection, s http.ConnState) {
		if s == http.StateClosed && len(others) == 0 {
			others = append(others, b.connect()) // has the number at once
			runtime.Goexit()
		}
	}})
	one, two := b.connect(), b.connect()
	one.close()
	two.get("/two")
	b.pretend(true)
	b.queue(one.says(hup), two.says(in))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.l.work()
	}()
	<-ended
	two.wantAnswer("/two")
	if others[0].k.fd != one.k.fd {
		t.Fatalf("descriptor %d was not used again, but %d", one.k.fd, others[0].k.fd)
	}
	others[0].get("/other")
	b.batch(others[0].says(in))
	others[0].wantAnswer("/other")
	if n := b.e.count.Load(); n != 2 {
		t.Errorf("%d connections are counted, want 2", n)
	}
}

// TestLoopParksWithoutRequest has a peer that takes no answers make the loop wait
// for it although no handler has run: the others must not wait with it.
func TestLoopParksWithoutRequest(t *testing.T) {
	cases := []struct {
		name    string
		refused func(b *bench, p *client)
		status  string
	}{
		{"no HTTP", func(_ *bench, p *client) { p.send("no HTTP\r\n\r\n") }, "400"},
		{"time is up", func(b *bench, p *client) {
			p.k.due.Store(1)
			b.l.post(p.k, stateDue)
		}, "408"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, &HTTPServer{Handler: HandlerFunc(echoPath), MinRate: -1, HeaderTimeout: -1})
			go b.l.work()
			stuck, fine := b.connect(), b.connect()
			stuck.send("GET / HTTP/1.1\r\n")
			for stuck.k.machine.State() != http.StateActive {
				runtime.Gosched()
			}
			filler := make([]byte, 16<<10)
			for {
				if _, err := syscall.Write(stuck.k.fd, filler); err == syscall.EAGAIN {
					break
				}
			}
			c.refused(b, stuck)
			for stuck.k.state.Load()&stateWriteWait == 0 {
				runtime.Gosched()
			}
			for range 3 {
				fine.get("/fine")
				fine.wantAnswer("/fine")
			}
			for !strings.HasPrefix(stuck.await(), "HTTP/1.1 "+c.status) { // room again
			}
		})
	}
}

// TestLoopAnswersTogether counts writes.
func TestLoopAnswersTogether(t *testing.T) {
	leave := make(chan struct{})
	b := newBench(t, &HTTPServer{Handler: HandlerFunc(func(r *HTTPRequest) {
		switch r.Path() {
		case "/wait":
			_ = r.Context().Done() // whoever may be waiting for long asks for it
			<-leave
		case "/block":
			<-leave
		}
		echoPath(r)
	})})
	go b.l.work()
	bodies := func(m string) (list []string) {
		for _, part := range strings.Split(m, "HTTP/1.1 200 OK\r\n")[1:] {
			_, body, _ := strings.Cut(part, "\r\n\r\n")
			list = append(list, body)
		}
		return list
	}
	p := b.connect()

	var paths []string
	for i := range 16 {
		paths = append(paths, fmt.Sprintf("/%d", i))
	}
	p.get(paths...)
	if got := bodies(p.await()); strings.Join(got, " ") != strings.Join(paths, " ") {
		t.Errorf("the first write answers %q", got)
	}
	p.wantSilence("everything was answered")

	p.get("/1", "/2", "/wait", "/3", "/4")
	if got := bodies(p.await()); strings.Join(got, " ") != "/1 /2" {
		t.Errorf("while a handler waits, %q is answered", got)
	}
	leave <- struct{}{}
	if got := bodies(p.await()); strings.Join(got, " ") != "/wait /3 /4" {
		t.Errorf("then %q", got)
	}

	p.get("/1", "/block", "/2")
	leave <- struct{}{}
	var got []string
	for len(got) < 3 {
		got = append(got, bodies(p.await())...)
	}
	if strings.Join(got, " ") != "/1 /block /2" {
		t.Errorf("answered %q", got)
	}
}

// TestLoopCutsWhatIsBeingAdded has Close come between the first and the last
// moment of a connection's entry.
func TestLoopCutsWhatIsBeingAdded(t *testing.T) {
	var b *bench
	cut := func() {}
	b = newBench(t, &HTTPServer{Handler: HandlerFunc(echoPath), HeaderTimeout: -1, ConnState: func(_ *HTTPConnection, s http.ConnState) {
		if s == http.StateNew {
			cut()
		}
	}})
	go b.l.work()
	cut = func() { b.e.cut(&cutting{}) } // when it is not in the table yet
	p := b.connect()
	for {
		buf := make([]byte, 1)
		if n, err := syscall.Read(p.fd, buf); n == 0 && err == nil {
			break
		}
		runtime.Gosched()
	}
}

// TestLoopTimesHeads pins which wait belongs to which head.
func TestLoopTimesHeads(t *testing.T) {
	b := newBench(t, &HTTPServer{Handler: HandlerFunc(echoPath), HeaderTimeout: time.Minute, IdleTimeout: time.Hour})
	p := b.connect()
	wait := func() time.Duration { return time.Duration(p.k.due.Load()).Truncate(time.Minute) }
	at := func(minutes int) { b.e.clock.Store(int64(time.Duration(minutes)*time.Minute) + int64(time.Second)) }
	// The clock of this test is ahead; ticks would set it right.
	b.e.tickMu.Lock()
	b.e.count.Store(0)
	b.e.tickMu.Unlock()
	for ticking := true; ticking; runtime.Gosched() {
		b.e.tickMu.Lock()
		ticking = b.e.ticking
		b.e.tickMu.Unlock()
	}
	b.e.count.Store(1)

	steps := []struct {
		minute int
		send   string
		want   time.Duration
	}{
		{1, "GET /1 H", time.Minute}, // the first head's time began with the connection
		{2, "TTP/1.1\r\nHost: h\r\n\r\n", 62 * time.Minute},
		{3, "GET /2 ", 4 * time.Minute},
		{4, "HTTP/1.1\r\n", 4 * time.Minute},                       // its time goes on
		{5, "Host: h\r\n\r\nGET /3 HTTP/1.1\r\n", 6 * time.Minute}, // the next one's begins
		{6, "Host: h\r\n\r\n", 66 * time.Minute},
		{7, "\r\n", 67 * time.Minute},
	}
	for _, s := range steps {
		at(s.minute)
		p.send(s.send)
		b.batch(p.says(in))
		for p.message() != "" {
		}
		if got := wait(); got != s.want {
			t.Errorf("minute %d, after %q: due at %v, want %v", s.minute, s.send, got, s.want)
		}
	}
}

// TestLoopHijackWithoutDescriptors has a hijack fail half-way: the connection must
// stay usable, and its descriptor its own.
func TestLoopHijackWithoutDescriptors(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// Every number below the limit is taken.
	none := func() (restore func()) {
		low := limit
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		low.Cur = uint64(f.Fd())
		_ = f.Close()
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
				t.Error(err)
			}
		}
	}
	var tries atomic.Int32
	b := newBench(t, &HTTPServer{Handler: HandlerFunc(func(r *HTTPRequest) {
		restore := none()
		_, _, err := r.Hijack()
		restore()
		if err == nil {
			t.Error("hijacked without a descriptor to be had")
			return
		}
		tries.Add(1)
		echoPath(r)
	})})
	go b.l.work()
	p := b.connect()
	for range 3 {
		p.get("/hijack")
		p.wantAnswer("/hijack")
	}
	if tries.Load() != 3 {
		t.Errorf("%d tries", tries.Load())
	}
}
