// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// options are what one run is to be like.
type options struct {
	engine string
	time   time.Duration
	seed   uint64
	rate   int // requests a second
	lanes  int // visits at a time
	fault  string
	warm   time.Duration // of the load before the server is measured first
	settle time.Duration // that the server may take to go back to what it was
	log    func(format string, args ...any)
}

const (
	// patientLanes wait for timeouts of the server; they cost next to nothing.
	patientLanes = 6
	// idleLinks is how many connections rest, on each way, while the server is measured.
	idleLinks = 8
	// lingers is longer than the server reads on from a connection that it closes,
	// which is what it does longest after everything is over.
	lingers = 3 * time.Second
	// restTime is what coming to rest may take before there is anything to go back
	// to. It is less than idleTimeout, as connections idle meanwhile.
	restTime = 45 * time.Second
	// backTime is what going back to what it was may take: net/http keeps what it was
	// writing on a connection of HTTP/2 that broke off for another idleTimeout.
	backTime = idleTimeout + 30*time.Second
	// heapSlack is what the heap may have grown by. The seed decides what the
	// server was doing last, and with that the size of the maps, queues and wheels
	// that it keeps; a leak of 100 octets for each request is twice as much after
	// the 20,000 requests of a short run.
	heapSlack = 1 << 20
)

// goroutineSlack is how many goroutines there may be more than at the start: an
// event loop keeps up to two workers for the next ones to block, and there is a
// loop for each processor. On the goroutine engine there is nothing of the kind.
func goroutineSlack(engine string) int {
	if engine == "goroutine" {
		return 0
	}
	return 2 * runtime.GOMAXPROCS(0)
}

// run is one server under load, from its start to its end.
type run struct {
	options
	load    *load
	process *process
	rng     *rand.Rand
	cancel  context.CancelCauseFunc
	before  stats // of the server process, before it served
	rested  stats // with idle connections, before the load
	after   stats // with idle connections, after the load
	ended   stats // after the graceful end
	ledger  *serverLedger
	idle    []*link
	stir    func() error  // has each of them ask once, so that the server keeps it
	took    time.Duration // of the graceful end
	late    uint64        // requests that were sent from there on
}

// soak runs a server under load, and says what was wrong first.
func soak(ctx context.Context, o options) (*run, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{options: o, cancel: cancel, rng: rand.New(rand.NewPCG(o.seed, uint64(len(o.engine))))}
	defer func() {
		if r.process != nil {
			_ = r.process.cmd.Process.Kill()
			<-r.process.gone
		}
	}()
	err := r.all(ctx)
	if r.process == nil {
		return r, err
	}
	// Whoever cancels first knows best.
	var v *violation
	if cause := context.Cause(ctx); errors.As(cause, &v) {
		err = cause
	}
	if !errors.As(err, &v) {
		return r, err
	}
	if r.process.died() { // which is the reason for everything else
		return r, &violation{what: r.process.death()}
	}
	return r, fmt.Errorf("%w\n%s", err, r.dumpBoth())
}

func (r *run) all(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "pleat-soak")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := r.start(folder); err != nil {
		return err
	}
	defer r.load.upstream.stop()

	if err := r.load.warm(ctx, r.rng, r.lanes, r.warm); err != nil {
		return err
	}
	if err := r.rest(ctx, func() error { r.rested, err = r.settled(); return err }); err != nil {
		return err
	}
	r.log("at rest: %v", r.rested)
	if err := r.drive(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return r.rest(ctx, func() error {
		if r.after, err = r.wantLike(r.rested, 5*idleLinks); err != nil {
			return err
		}
		r.log("at rest: %v", r.after)
		if err := r.compare(); err != nil {
			return err
		}
		return r.end(ctx)
	})
}

func (r *run) fail(err error) { r.cancel(err) }

// start starts the upstream and the server.
func (r *run) start(folder string) error {
	if err := writeStaticFiles(filepath.Join(folder, "files")); err != nil {
		return err
	}
	temp := filepath.Join(folder, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		return err
	}
	up, err := startUpstream(r.fail)
	if err != nil {
		return err
	}
	r.load = &load{book: newBook(), pace: newPace(r.rate), files: map[string][]byte{}, upstream: up, visits: map[string]int{}}
	for name, size := range staticFiles {
		r.load.files[name] = octets(name, size)
	}
	config := serverConfig{Engine: r.engine, Folder: folder, Upstream: up.url, Fault: r.fault}
	if r.process, err = startProcess(config, temp, r.fail); err != nil {
		up.stop()
		return err
	}
	first, err := r.process.next()
	if err == nil && first.Stats != nil {
		r.before = *first.Stats
		first, err = r.process.next()
	}
	if err == nil && first.Ready == nil {
		err = fmt.Errorf("the server process is not ready, but says %+v", first)
	}
	if err == nil {
		r.load.raw, r.load.http2, err = waysTo(first.Ready)
	}
	if err != nil {
		up.stop()
	}
	return err
}

// drive is the load itself.
func (r *run) drive(ctx context.Context) error {
	if _, err := r.process.ask(askFaults); err != nil {
		return err
	}
	until := time.Now().Add(r.time)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		ticks, looks := time.NewTicker(max(r.time/10, 10*time.Second)), time.NewTicker(answerTime/10)
		defer ticks.Stop()
		defer looks.Stop()
		for seen := ""; ; {
			select {
			case <-done:
				return
			case <-ticks.C:
				r.log("%d requests, %v to go", r.load.book.total(), time.Until(until).Round(time.Second))
			case <-looks.C:
				// While an answer can still be waited for, there is to be seen why.
				if nonce, age := r.load.book.oldest(); age > answerTime/2 && nonce != seen {
					seen = nonce
					r.log("%s is not answered after %v: %s", nonce, age.Round(time.Second), r.dumpBoth())
				}
			}
		}
	}()
	return r.load.drive(ctx, r.rng, r.lanes, patientLanes, until)
}

// rest calls f while connections of all ways rest.
func (r *run) rest(ctx context.Context, f func() error) error {
	v := (&visit{load: r.load, ctx: ctx, rng: r.rng}).fork()
	r.idle = nil
	for i := range r.load.raw {
		for range idleLinks {
			l, err := r.load.raw[i].openLink(v)
			if err != nil {
				return v.refusal("", r.load.raw[i].name, err)
			}
			defer l.close()
			r.idle = append(r.idle, l)
		}
	}
	r.stir = func() error {
		for _, l := range r.idle {
			if _, err := v.do(l, &queries[0]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := r.stir(); err != nil {
		return err
	}
	return f()
}

func (r *run) stats() (stats, error) {
	answer, err := r.process.ask(askStats)
	if err != nil {
		return stats{}, err
	}
	if answer.Stats == nil {
		return stats{}, fmt.Errorf("the server process has no stats, but says %+v", answer)
	}
	return *answer.Stats, nil
}

// atRest reports whether nothing goes on but the connections that idle.
func (s stats) atRest() bool { return s.Open == 5*idleLinks && s.Underway == 0 && s.TempFiles == 0 }

// settled is the least the server has within a time in which everything that is over
// should be gone.
func (r *run) settled() (stats, error) {
	least, err := r.stats()
	began := time.Now()
	// On a busy machine letting go takes longer; it has to come to an end.
	more := func() bool {
		took := time.Since(began)
		return took < lingers || took < restTime && !least.atRest()
	}
	for ; err == nil && more(); time.Sleep(200 * time.Millisecond) {
		var s stats
		if s, err = r.stats(); err == nil {
			s.Goroutines, s.Files, s.Heap = min(s.Goroutines, least.Goroutines), min(s.Files, least.Files), min(s.Heap, least.Heap)
			least = s
		}
	}
	if err == nil && !least.atRest() {
		err = &violation{what: fmt.Sprintf("the server does not come to rest: %v", least)}
	}
	return least, err
}

// wantLike waits until the server has no more than it had, and open connections.
func (r *run) wantLike(was stats, open int) (stats, error) {
	slack := goroutineSlack(r.engine)
	if open == 0 {
		slack = 0 // the loops have ended
	}
	until, stirred := time.Now().Add(r.settle), time.Now()
	for ; ; time.Sleep(100 * time.Millisecond) {
		if open > 0 && time.Since(stirred) > idleTimeout/3 {
			if err := r.stir(); err != nil {
				return stats{}, err
			}
			stirred = time.Now()
		}
		is, err := r.stats()
		if err != nil {
			return is, err
		}
		var over []string
		note := func(what string, is, limit int64) {
			if is > limit {
				over = append(over, fmt.Sprintf("%s: %d, not %d or less", what, is, limit))
			}
		}
		note("goroutines", int64(is.Goroutines), int64(was.Goroutines+slack))
		note("open descriptors", int64(is.Files), int64(was.Files))
		note("octets of heap", is.Heap, max(was.Heap, r.rested.Heap)+heapSlack)
		note("temporary files", int64(is.TempFiles), 0)
		note("connections", int64(is.Open), int64(open))
		note("requests under way", int64(is.Underway), 0)
		if len(over) == 0 {
			return is, nil
		}
		if time.Now().After(until) {
			return is, &violation{what: fmt.Sprintf("the server does not go back to what it was (%v): %s", was, strings.Join(over, "; "))}
		}
	}
}

// dumpBoth writes what the server process has inside to a file, and this one to
// another, and says where.
func (r *run) dumpBoth() string {
	text := ""
	answer, err := r.process.ask(askDump)
	for name, inside := range map[string]string{"server": answer.Dump, "client": dump()} {
		f, failed := os.CreateTemp("", "pleat-soak-"+r.engine+"-"+name+"-*.txt")
		if failed == nil {
			_, failed = f.WriteString(inside)
			failed = errors.Join(failed, f.Close())
			text += fmt.Sprintf("what there is inside of the %s is in %s\n", name, f.Name())
		}
		err = errors.Join(err, failed)
	}
	if err != nil {
		text += err.Error() + "\n"
	}
	return strings.TrimSpace(text)
}

// compare holds the books against each other.
func (r *run) compare() error {
	answer, err := r.process.ask(askLedger)
	if err != nil {
		return err
	}
	r.ledger = answer.Ledger
	if err := r.load.book.compare(r.ledger); err != nil {
		return &violation{what: err.Error()}
	}
	return nil
}

// end ends the server gracefully, with traffic still arriving. Whatever came to a
// handler has to be answered, and the rest not to have been begun.
func (r *run) end(ctx context.Context) error {
	r.load.ending.Store(true)
	sent := r.load.book.total()
	driven := make(chan error, 1)
	go func() { driven <- r.load.drive(ctx, r.rng, r.lanes, 0, time.Time{}) }()
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	began := time.Now()
	answer, err := r.process.ask(askDrain)
	r.took = time.Since(began)
	if err == nil && (answer.Drained == nil || *answer.Drained != "") {
		err = fmt.Errorf("shutting down: %+v", answer)
		if answer.Drained != nil {
			err = &violation{what: "shutting down: " + *answer.Drained}
		}
	}
	if err := errors.Join(<-driven, err); err != nil {
		return err
	}
	r.late = r.load.book.total() - sent
	for _, l := range r.idle {
		_ = l.conn.SetDeadline(time.Now().Add(answerTime)) // they have rested for long
		if !atEnd(l.in) {
			return &violation{what: "a resting connection was not closed in good order", way: l.wayName}
		}
	}
	if r.ended, err = r.wantLike(r.before, 0); err != nil {
		return err
	}
	r.log("ended in %v: %v", r.took.Round(time.Millisecond), r.ended)
	if err := r.compare(); err != nil {
		return err
	}
	return r.process.stop()
}
