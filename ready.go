// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Check finds out whether something that the app cannot do without is there.
type Check struct {
	// Name is what the check is called in the log and in the answer of [Ready], which
	// anybody may read who can reach it.
	Name string
	// Do returns nil if all is well. It gets a context that ends with Timeout.
	Do func(ctx context.Context) error
	// Timeout is how long Do may take, 1 s by default, negative for as long as whoever
	// asks waits. A Do that takes longer has failed, whatever it does about it.
	Timeout time.Duration
}

// Ready is the handler for the readiness probe of a load balancer or of Kubernetes:
//
//	app.GET("/readyz", pleat.Ready(pleat.Check{Name: "database", Do: db.PingContext}))
//
// It answers 200 while the app takes requests and all checks succeed, and 503 first
// of all when the end of the app begins (see [App.Draining], and Config.DrainDelay
// for what it takes until everybody knows). The answer is a line of text and is not to
// be stored.
//
// Checks run at the same time, and each of them once at a time: whoever asks while one
// runs shares its result, so that no number of askers is a burden on what is checked.
// Failures, and recoveries, are in the app's log once for each change. A Check without
// a Do panics at the registration.
//
// It is no probe of liveness: restarting an app because its database is away does not
// bring the database back. For that a handler that always answers 200 will do.
func Ready(checks ...Check) Handler {
	watched := make([]*watchedCheck, 0, len(checks))
	for _, check := range checks {
		if check.Do == nil {
			panic(fmt.Sprintf("pleat: Ready: check %q has no Do", check.Name))
		}
		if check.Timeout == 0 {
			check.Timeout = time.Second
		}
		watched = append(watched, &watchedCheck{Check: check})
	}
	return func(c *Context) error {
		if err := c.SetHeader("Cache-Control", "no-store"); err != nil {
			return err
		}
		if c.App().Draining() {
			return c.Text(http.StatusServiceUnavailable, "ending\n")
		}
		results := make([]error, len(watched))
		var all sync.WaitGroup
		for i, w := range watched {
			all.Go(func() { results[i] = w.ask(c) })
		}
		all.Wait()
		var failed []string
		for i, w := range watched {
			if w.note(c, results[i]) {
				failed = append(failed, w.Name)
			}
		}
		if len(failed) > 0 {
			return c.Text(http.StatusServiceUnavailable, "not ready: "+strings.Join(failed, ", ")+"\n")
		}
		return c.Text(http.StatusOK, "ready\n")
	}
}

// watchedCheck is a check and how it went.
type watchedCheck struct {
	Check
	failing atomic.Bool

	mu      sync.Mutex
	running *checking // guarded by mu
}

// checking is a check that is under way.
type checking struct {
	began time.Time
	done  chan struct{}
	err   error // valid when done is closed
}

var errCheckTimeout = errors.New("pleat: the check takes too long")

// ask runs the check, or waits for one that is under way already.
func (w *watchedCheck) ask(c *Context) error {
	k := w.begin(c)
	var timeout <-chan time.Time
	if w.Timeout > 0 {
		timer := time.NewTimer(w.Timeout - time.Since(k.began))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-k.done:
		return k.err
	case <-timeout:
		return errCheckTimeout
	case <-c.Done():
		return context.Cause(c)
	}
}

func (w *watchedCheck) begin(c *Context) *checking {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running != nil {
		return w.running
	}
	k := &checking{began: time.Now(), done: make(chan struct{})}
	w.running = k
	// It is for all who ask meanwhile, and does not end with the first of them.
	ctx, cancel := context.WithoutCancel(c), context.CancelFunc(func() {})
	if w.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, w.Timeout)
	}
	go func() {
		defer func() {
			if v := recover(); v != nil {
				k.err = fmt.Errorf("pleat: the check panicked: %v", v)
			}
			cancel()
			w.mu.Lock()
			w.running = nil
			w.mu.Unlock()
			close(k.done)
		}()
		k.err = errCheckEnded
		k.err = w.Do(ctx)
	}()
	return k
}

// errCheckEnded is for a check that ends its goroutine.
var errCheckEnded = errors.New("pleat: the check did not return")

// note logs what has changed, and reports a failure. That the asker has gone says
// nothing of the check.
func (w *watchedCheck) note(c *Context, err error) bool {
	if err != nil && c.Err() != nil {
		return true
	}
	if failed := err != nil; w.failing.Swap(failed) != failed {
		log := c.App().Log()
		if failed {
			log.Warn().Err(err).Str("check", w.Name).Msg("pleat: not ready")
		} else {
			log.Info().Str("check", w.Name).Msg("pleat: ready again")
		}
	}
	return err != nil
}
