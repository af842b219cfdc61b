// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pleat-go/pleat/server"
)

// Serve answers requests on connections that l accepts until Shutdown, whereupon
// it returns server.ErrServerClosed while Shutdown still waits for requests. It
// serves TLS if the configured server has Certificates or a TLSConfig.
func (a *App) Serve(l net.Listener) error {
	if err := a.Start(); err != nil {
		_ = l.Close()
		return err
	}
	return serveBy(a.server, l)
}

// Shutdown ends Serve, Run and RunListener gently, as server.HTTPServer.Shutdown
// does, those of Beside included, and without Config.DrainDelay. From then on the
// app is not ready.
func (a *App) Shutdown(ctx context.Context) error {
	if err := a.Start(); err != nil {
		return err
	}
	a.draining.Store(true)
	return a.shutdownAll(ctx)
}

// Draining reports whether the end of the app has begun: because of a signal, the
// context of RunListener, Shutdown, or a successor (see Restart). Requests are
// answered all the same. [Ready] tells it to load balancers.
func (a *App) Draining() bool { return a.draining.Load() }

// Run serves addresses (in the forms of server.HTTPServer.ListenAndServe, opened as
// its ListenConfig says), and those of Beside, until the process gets SIGINT or
// SIGTERM, and ends as RunListeners does. "systemd:" stands for all sockets that
// were passed. Without an address it is ":80", or ":443" with TLS. A second signal
// ends it at once, without waiting; during Config.DrainDelay it ends only that, and
// the third everything. While it runs these signals do nothing else.
//
// With Config.RestartOn, and with Restart, it hands its listeners to a new process
// before it ends. Run in that process takes over the listeners of the addresses it
// has in common with the old one, and opens others.
//
// Run returns nil after a graceful end, and after a second signal. What it returns
// otherwise has a reason in the app (see Start), in the address, or in the
// listener; or it is a *server.CutError, when requests had to be cut.
func (a *App) Run(addrs ...string) error {
	if err := a.Start(); err != nil {
		return err
	}
	for _, addr := range addrs {
		if a.serverOf(addr) != a.server {
			return fmt.Errorf("pleat: Run: address %q is one of Beside", addr)
		}
	}
	from, err := server.TakeOver()
	if err != nil {
		return err
	}
	ls, err := a.listen(addrs, from)
	if err != nil {
		return err
	}
	if from != nil {
		a.tellWhenServing(from, ls)
	}
	signals, restarts := make(chan os.Signal, 3), make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if a.config.RestartOn != nil {
		signal.Notify(restarts, a.config.RestartOn)
		defer signal.Stop(restarts)
	}

	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	r := &run{ctx: ctx, end: end, listeners: ls}
	a.running.Store(r)
	defer a.running.CompareAndSwap(r, nil)

	returned, hurry := make(chan struct{}), make(chan struct{}, 2)
	defer close(returned)
	go func() {
		for first := true; ; {
			select {
			case s := <-signals:
				if first {
					end(fmt.Errorf("signal: %v", s))
				} else {
					select {
					case hurry <- struct{}{}:
					default:
					}
				}
				first = false
			case <-restarts:
				go a.restartOnSignal(ctx)
			case <-returned:
				return
			}
		}
	}()
	return a.runUntil(ctx, hurry, ls)
}

// RunListener serves connections that l accepts until ctx ends, or Shutdown is
// called. When ctx ends it goes on for Config.DrainDelay. Then it stops accepting,
// waits up to Config.ShutdownTimeout until what was accepted is answered, and returns
// nil; what takes longer is told and then cut, and the error is a *server.CutError. A
// listener that fails ends it in the same way, with the error of the listener; an app
// that cannot start is an error at once. In any case l is closed. The values of ctx,
// and its end, do not reach the requests.
//
// An app runs once: with one that was ended RunListener returns at once.
func (a *App) RunListener(ctx context.Context, l net.Listener) error {
	return a.RunListeners(ctx, l)
}

// runUntil serves listeners until ctx ends. Then it ends gracefully. What comes from
// hurry cuts short what it is waiting for.
func (a *App) runUntil(ctx context.Context, hurry <-chan struct{}, ls []server.NamedListener) error {
	if err := a.Start(); err != nil {
		closeListeners(ls)
		return err
	}
	a.announce.Store(true)
	served := make(chan error, 1)
	go func() { served <- a.serveAll(ls) }()
	var err error
	select {
	case err = <-served:
		// The listener failed, or somebody called Shutdown. To return before all is
		// through would end the process in the middle of it.
	case <-ctx.Done():
		err = a.drainDelay(context.Cause(ctx), hurry, served)
	}
	ended := a.end(hurry)
	if err == nil {
		err = <-served
	}
	if !errors.Is(err, server.ErrServerClosed) {
		return err
	}
	return ended
}

// drainDelay lets load balancers find out that the app is not ready any more while
// it still accepts. An error is that of serving, which has ended meanwhile.
func (a *App) drainDelay(cause error, hurry <-chan struct{}, served <-chan error) error {
	a.draining.Store(true)
	delay := max(a.config.DrainDelay, 0)
	if cause == errSucceeded { // a load balancer is not to notice anything
		delay = 0
	}
	a.log.Info().AnErr("cause", cause).Dur("delay", delay).Msg("pleat: ending")
	if delay == 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-hurry:
		return nil
	case err := <-served:
		return err
	}
}

// end is the graceful end.
func (a *App) end(hurry <-chan struct{}) error {
	a.draining.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	timeout := a.config.ShutdownTimeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	if timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	done := make(chan error, 1)
	go func() { done <- a.shutdownAll(ctx) }()
	select {
	case err := <-done:
		return err // the server has logged it
	case <-hurry:
		return a.closeAll()
	}
}
