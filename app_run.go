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
	if a.servesTLS() {
		return a.server.ServeTLS(l, "", "")
	}
	return a.server.Serve(l)
}

// servesTLS reports whether the configured server was given anything for TLS.
func (a *App) servesTLS() bool { return a.server.TLSConfig != nil || a.server.Certificates != nil }

// Shutdown ends Serve, Run and RunListener gently, as server.HTTPServer.Shutdown does.
func (a *App) Shutdown(ctx context.Context) error {
	if err := a.Start(); err != nil {
		return err
	}
	return a.server.Shutdown(ctx)
}

// Run serves addresses (in the forms of server.HTTPServer.ListenAndServe, opened as
// its ListenConfig says) until the process gets SIGINT or SIGTERM, and ends as
// RunListeners does. "systemd:" stands for all sockets that were passed. Without an
// address it is ":80", or ":443" with TLS. A second signal ends it at once, without
// waiting. While it runs these signals do nothing else.
//
// Run returns nil after a graceful end, and after a second signal. What it returns
// otherwise has a reason in the app (see Start), in the address, or in the
// listener; or it is a *server.CutError, when requests had to be cut.
func (a *App) Run(addrs ...string) error {
	if err := a.Start(); err != nil {
		return err
	}
	ls, err := a.listen(addrs)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	returned, now := make(chan struct{}), make(chan struct{})
	defer close(returned)
	go func() {
		select {
		case s := <-signals:
			cancel(fmt.Errorf("signal: %v", s))
		case <-returned:
			return
		}
		select {
		case <-signals:
			close(now)
		case <-returned:
		}
	}()
	return a.runUntil(ctx, now, ls)
}

// RunListener serves connections that l accepts until ctx ends, or Shutdown is
// called. Then it stops accepting, waits up to Config.ShutdownTimeout until what
// was accepted is answered, and returns nil; what takes longer is told and then cut,
// and the error is a *server.CutError. A listener that fails ends it in the same
// way, with the error of the listener; an app that cannot start is an error at
// once. In any case l is closed. The values of ctx, and its end, do not reach the
// requests.
//
// An app runs once: with one that was ended RunListener returns at once.
func (a *App) RunListener(ctx context.Context, l net.Listener) error {
	return a.runUntil(ctx, nil, []net.Listener{l})
}

// runUntil serves listeners until ctx ends. Then it ends gracefully, unless now says that
// there is no more time.
func (a *App) runUntil(ctx context.Context, now <-chan struct{}, ls []net.Listener) error {
	if err := a.Start(); err != nil {
		for _, l := range ls {
			_ = l.Close()
		}
		return err
	}
	served := make(chan error, 1)
	go func() { served <- a.serveAll(ls) }()
	for _, l := range ls {
		a.log.Info().Stringer("address", l.Addr()).Msg("pleat: serving")
	}
	var err error
	select {
	case err = <-served:
		// The listener failed, or somebody called Shutdown. To return before all is
		// through would end the process in the middle of it.
	case <-ctx.Done():
		a.log.Info().AnErr("cause", context.Cause(ctx)).Msg("pleat: ending")
	}
	ended := a.end(now)
	if err == nil {
		err = <-served
	}
	if !errors.Is(err, server.ErrServerClosed) {
		return err
	}
	return ended
}

// end is the graceful end.
func (a *App) end(now <-chan struct{}) error {
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
	go func() { done <- a.server.Shutdown(ctx) }()
	select {
	case err := <-done:
		return err // the server has logged it
	case <-now:
		return a.server.Close()
	}
}
