// SPDX-License-Identifier: MIT

package server

import (
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

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
			for b.e.count.Load() != 3 { // until it is off the books
				runtime.Gosched()
			}
			gone.close() // the next gets the same number
		}
	})
	t.Run("notes wake a poller", func(t *testing.T) {
		// Its answer has been read, but whoever wrote it goes on to plan its wait.
		for three.k.state.Load()&stateBusy != 0 {
			runtime.Gosched()
		}
		three.k.due.Store(1)
		b.l.post(three.k, stateDue)
		for b.e.count.Load() != 2 {
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
