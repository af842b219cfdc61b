// SPDX-License-Identifier: MIT

package pleat_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// running is an app in RunListener, with a route "/" that waits to be let go on.
type running struct {
	*pleat.App
	log    *logBook
	url    string
	end    context.CancelCauseFunc
	ended  chan error
	begun  chan struct{}
	goOn   chan struct{}
	causes chan error // why the contexts of requests ended
}

func runListener(t *testing.T, timeout time.Duration) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{
		log: &logBook{}, url: "http://" + l.Addr().String() + "/",
		ended: make(chan error, 1), begun: make(chan struct{}, 1), goOn: make(chan struct{}), causes: make(chan error, 1),
	}
	r.App = pleat.New(pleat.Config{Logger: r.log.logger(), ShutdownTimeout: timeout, Server: &server.HTTPServer{ShutdownGrace: time.Minute}})
	r.GET("/", func(c *pleat.Context) error {
		r.begun <- struct{}{}
		select {
		case <-r.goOn:
		case <-c.Done():
			r.causes <- context.Cause(c)
			return c.Err()
		}
		return c.Text(200, "whole")
	})
	ctx, end := context.WithCancelCause(context.Background())
	r.end = end
	go func() { r.ended <- r.RunListener(ctx, l) }()
	return r
}

// ask makes a request and waits until it is being answered.
func (r *running) ask(t *testing.T) (answers chan string) {
	t.Helper()
	answers = make(chan string, 1)
	go func() {
		transport := &http.Transport{DisableKeepAlives: true}
		defer transport.CloseIdleConnections()
		a, err := clientOf(transport).Get(r.url) //nolint:noctx // ends with the connection
		if err != nil {
			answers <- err.Error()
			return
		}
		defer a.Body.Close()
		b, _ := io.ReadAll(a.Body)
		answers <- string(b)
	}()
	<-r.begun
	return answers
}

func TestRunListener(t *testing.T) {
	r := runListener(t, 0)
	answers := r.ask(t)
	r.end(errors.New("enough"))
	if !settles(func() bool { // it accepts no more
		conn, err := net.Dial("tcp", r.url[len("http://"):len(r.url)-1])
		if err == nil {
			conn.Close()
		}
		return err != nil
	}) {
		t.Fatal("it goes on accepting")
	}
	select {
	case err := <-r.ended:
		t.Fatalf("RunListener = %v with a request under way", err)
	default:
	}
	close(r.goOn)
	if a := <-answers; a != "whole" {
		t.Errorf("answer = %q", a)
	}
	if err := <-r.ended; err != nil {
		t.Errorf("RunListener = %v", err)
	}
	contains(t, r.log.String(), "pleat: serving", r.url[len("http://"):len(r.url)-1], "pleat: ending", "enough")
}

func TestRunListenerTellsWhatTakesTooLong(t *testing.T) {
	r := runListener(t, time.Millisecond)
	answers := r.ask(t)
	r.end(nil)
	if err := <-r.ended; err != nil {
		t.Errorf("RunListener = %v", err)
	}
	if cause := <-r.causes; !errors.Is(cause, server.ErrServerDraining) {
		t.Errorf("the request ended because of %v", cause)
	}
	if a := <-answers; !strings.Contains(a, "503") {
		t.Errorf("answer = %q", a)
	}
}

func TestRunListenerAndShutdown(t *testing.T) {
	r := runListener(t, 0)
	answers := r.ask(t)
	stopped := make(chan error, 1)
	go func() { stopped <- r.Shutdown(context.Background()) }()
	close(r.goOn)
	if a, err, stop := <-answers, <-r.ended, <-stopped; a != "whole" || err != nil || stop != nil {
		t.Errorf("answer %q, RunListener = %v, Shutdown = %v", a, err, stop)
	}
}

func TestRunListenerThatCannotRun(t *testing.T) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	unfit := pleat.New(pleat.Config{})
	unfit.GET("no slash", text(""))
	for name, test := range map[string]struct {
		app   *pleat.App
		ctx   context.Context
		fails bool
	}{
		"over before it begins":   {pleat.New(pleat.Config{}), over, false},
		"an app that is no good":  {unfit, t.Context(), true},
		"the same, over":          {unfit, over, true},
		"an app that has ended":   {endedApp(t), t.Context(), false},
		"a listener that is none": {pleat.New(pleat.Config{}), t.Context(), true},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if name == "a listener that is none" {
			l.Close()
		}
		if err := test.app.RunListener(test.ctx, l); (err != nil) != test.fails || errors.Is(err, server.ErrServerClosed) {
			t.Errorf("%s: RunListener = %v", name, err)
		}
		if _, err := l.Accept(); err == nil {
			t.Errorf("%s: the listener is left open", name)
		}
	}
}

func endedApp(t *testing.T) *pleat.App {
	t.Helper()
	app := pleat.New(pleat.Config{})
	if err := app.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	return app
}
