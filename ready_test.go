// SPDX-License-Identifier: MIT

package pleat_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pleat-go/pleat"
)

func TestReady(t *testing.T) {
	newApp := func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		app.GET("/readyz", pleat.Ready())
		return app
	}
	everywhere(t, newApp, func(t *testing.T, s *site) {
		a := s.get("/readyz")
		if a.StatusCode != 200 || a.body != "ready\n" || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("answer = %d %q %v", a.StatusCode, a.body, a.Header)
		}
		if a := s.do(http.MethodHead, "/readyz"); a.StatusCode != 200 {
			t.Errorf("HEAD: %d", a.StatusCode)
		}
	})
}

func TestReadyWithChecks(t *testing.T) {
	var log logBook
	var database, cache, queue atomic.Value
	ask := func(v *atomic.Value) func(context.Context) error {
		return func(ctx context.Context) error {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("a check without a deadline")
			}
			switch err := v.Load().(string); err {
			case "":
				return nil
			case "panic":
				panic("oops")
			case "hang":
				<-ctx.Done()
				return ctx.Err()
			default:
				return errors.New(err)
			}
		}
	}
	app := pleat.New(pleat.Config{Logger: log.logger()})
	app.GET("/readyz", pleat.Ready(
		pleat.Check{Name: "database", Do: ask(&database), Timeout: time.Minute},
		pleat.Check{Name: "cache", Do: ask(&cache), Timeout: time.Minute},
		pleat.Check{Name: "queue", Do: ask(&queue), Timeout: 5 * time.Millisecond},
	))
	s := serve(t, app)
	for _, test := range []struct {
		database, cache, queue string
		status                 int
		body                   string
	}{
		{"", "", "", 200, "ready\n"},
		{"secret cause", "", "", 503, "not ready: database\n"},
		{"secret cause", "", "", 503, "not ready: database\n"},
		{"secret cause", "panic", "", 503, "not ready: database, cache\n"},
		{"", "", "hang", 503, "not ready: queue\n"},
		{"", "", "", 200, "ready\n"},
	} {
		database.Store(test.database)
		cache.Store(test.cache)
		queue.Store(test.queue)
		var a *answer
		// A check that hung may still be under way when the next asks, and the queue's
		// takes too long whenever nobody has the time to run it.
		if !settles(func() bool { a = s.get("/readyz"); return a.body == test.body }) || a.StatusCode != test.status {
			t.Errorf("%+v: %d %q", test, a.StatusCode, a.body)
		}
	}
	contains(t, log.String(), "secret cause", "oops", "ready again")
	if n := strings.Count(log.String(), "secret cause"); n != 1 {
		t.Errorf("the same failure is logged %d times", n)
	}
}

// A check has a second where nothing else is said.
func TestReadyTimeout(t *testing.T) {
	left := make(chan time.Duration, 1)
	app := pleat.New(pleat.Config{})
	app.GET("/readyz", pleat.Ready(pleat.Check{Name: "default", Do: func(ctx context.Context) error {
		by, bounded := ctx.Deadline()
		if !bounded {
			t.Error("a check without a deadline")
		}
		left <- time.Until(by)
		return nil
	}}))
	serve(t, app).get("/readyz")
	if d := await(t, left, "check"); d > time.Second {
		t.Errorf("a check has %v", d)
	}
}

// doneAsked tells who asks when a context ends.
type doneAsked struct {
	context.Context
	asked func()
}

func (c doneAsked) Done() <-chan struct{} {
	c.asked()
	return c.Context.Done()
}

// However many ask, what is checked is asked once.
func TestReadyAsksOnceAtATime(t *testing.T) {
	var asked, waiting atomic.Int64
	goOn := make(chan struct{})
	ready := pleat.Ready(pleat.Check{Name: "slow", Timeout: -1, Do: func(context.Context) error {
		asked.Add(1)
		<-goOn
		return nil
	}})
	app := pleat.New(pleat.Config{})
	app.GET("/readyz", func(c *pleat.Context) error {
		// Whoever waits for the check, and not before, waits for the asker's end too.
		var once sync.Once
		return ready(c.WithContext(doneAsked{c, func() { once.Do(func() { waiting.Add(1) }) }}))
	})
	s := serve(t, app)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if a, err := s.try("GET", "/readyz"); err != nil || a.StatusCode != 200 {
				t.Errorf("answer = %+v, %v", a, err)
			}
		})
	}
	if !settles(func() bool { return waiting.Load() == 10 }) {
		t.Error("not all are waiting")
	}
	close(goOn)
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestReadyWithoutDo(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	pleat.Ready(pleat.Check{Name: "nothing"})
}

// While the delay lasts new connections are accepted and answered, but the app is
// not ready.
func TestDrainDelay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &logBook{}
	app := pleat.New(pleat.Config{Logger: log.logger(), DrainDelay: time.Hour})
	app.GET("/readyz", pleat.Ready())
	app.GET("/", text("served"))
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.RunListener(ctx, l) }()
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	s := &site{t: t, url: "http://" + l.Addr().String(), addr: l.Addr().String(), client: clientOf(transport)}
	if a := s.get("/readyz"); a.StatusCode != 200 {
		t.Errorf("ready: %d", a.StatusCode)
	}
	end()
	if !settles(app.Draining) {
		t.Fatal("it does not end")
	}
	if a := s.get("/readyz"); a.StatusCode != 503 || a.body != "ending\n" {
		t.Errorf("while it ends: %d %q", a.StatusCode, a.body)
	}
	if a := s.get("/"); a.StatusCode != 200 || a.body != "served" {
		t.Errorf("while it ends: %d %q", a.StatusCode, a.body)
	}
	select {
	case err := <-ended:
		t.Errorf("RunListener = %v during the delay", err)
	default:
	}
	if err := app.Shutdown(t.Context()); err != nil { // skips what is left of the delay
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("RunListener = %v", err)
	}
}

// An event stream that stays open for ever does not keep the app from ending.
func TestRunListenerEndsEventStreams(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app := pleat.New(pleat.Config{ShutdownTimeout: -1})
	begun := make(chan struct{})
	app.GET("/events", func(c *pleat.Context) error {
		return c.SSE(func(e *pleat.EventStream) error {
			close(begun)
			<-e.Context().Done()
			return context.Cause(e.Context())
		})
	})
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.RunListener(ctx, l) }()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	s := &site{t: t, url: "http://" + l.Addr().String(), addr: l.Addr().String(), client: clientOf(transport)}
	stream := make(chan *answer, 1)
	go func() {
		a, err := s.try("GET", "/events", "Accept", "text/event-stream")
		if err != nil {
			t.Error(err)
		}
		stream <- a
	}()
	<-begun
	end()
	if err := <-ended; err != nil {
		t.Errorf("RunListener = %v", err)
	}
	if a := <-stream; a == nil || a.StatusCode != 200 {
		t.Errorf("answer = %+v", a)
	}
}
