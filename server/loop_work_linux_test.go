// SPDX-License-Identifier: MIT

package server

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
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
			// The number is free, and the first that is.
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

// TestLoopWakeUpsWhileDriven has events come at the one moment when they cannot be
// seen to at once: while a handler runs, after all that was there had been read.
// Whoever drives the connection has to see to them before giving it up.
func TestLoopWakeUpsWhileDriven(t *testing.T) {
	for _, happened := range [][]uint32{
		{stateIn}, {stateIn, stateIn}, {stateIn | stateOut}, {stateOut, stateIn}, {stateIn, stateOut}, {stateDue, stateIn}, {stateIn, stateDue}, {stateIn, stateDue, stateOut},
	} {
		t.Run(fmt.Sprintf("%#x", happened), func(t *testing.T) {
			var b *bench
			var p *client
			b = newBench(t, &HTTPServer{Handler: HandlerFunc(func(r *HTTPRequest) {
				if r.Path() == "/first" {
					p.get("/second")
					for _, h := range happened {
						b.l.handle(event{k: p.k, happened: h})
					}
				}
				echoPath(r)
			})})
			p = b.connect()
			p.get("/first")
			b.batch(p.says(in))
			var answers string
			for m := p.message(); m != ""; m = p.message() {
				answers += m
			}
			if !strings.Contains(answers, "\r\n\r\n/first") || !strings.HasSuffix(answers, "\r\n\r\n/second") {
				t.Errorf("answered %q", answers)
			}
			if s := p.k.state.Load(); s&(stateBusy|stateAttention) != 0 {
				t.Errorf("given up with %#x", s)
			}
		})
	}
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
	// Every number below the limit is taken, and nobody gives those back.
	none := func() (restore func()) {
		low := limit
		low.Cur = 3
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
