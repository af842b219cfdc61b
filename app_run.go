// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"errors"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pleat-go/pleat/server"
)

// Serve answers requests on connections that l accepts until Shutdown, whereupon
// it returns server.ErrServerClosed while Shutdown still waits for requests. It
// serves TLS if the configured server has a TLSConfig.
func (a *App) Serve(l net.Listener) error {
	if err := a.Start(); err != nil {
		_ = l.Close()
		return err
	}
	if a.server.TLSConfig != nil {
		return a.server.ServeTLS(l, "", "")
	}
	return a.server.Serve(l)
}

// Shutdown ends Serve and Run gently, as server.HTTPServer.Shutdown does.
func (a *App) Shutdown(ctx context.Context) error {
	if err := a.Start(); err != nil {
		return err
	}
	return a.server.Shutdown(ctx)
}

// Run serves an address (in one of the forms of server.HTTPServer.ListenAndServe)
// until the process gets SIGINT or SIGTERM, or Shutdown is called. Then it stops
// accepting, waits up to ShutdownTimeout until what was accepted is answered, and
// returns nil; what takes longer is cut, and the error is that of a deadline. A
// second signal ends it at once.
func (a *App) Run(addr string) error {
	if err := a.Start(); err != nil {
		return err
	}
	port := "80"
	if a.server.TLSConfig != nil {
		port = "443"
	}
	l, err := server.Listen(addr, port)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	served := make(chan error, 1)
	go func() { served <- a.Serve(l) }()
	a.log.Info().Stringer("address", l.Addr()).Msg("pleat: serving")
	select {
	case err := <-served:
		if !errors.Is(err, server.ErrServerClosed) {
			return err
		}
		// Somebody called Shutdown. To return before it is through would end the
		// process in the middle of it.
	case s := <-signals:
		a.log.Info().Stringer("signal", s).Msg("pleat: ending")
	}
	return a.end(signals)
}

// end is the graceful end of Run.
func (a *App) end(signals <-chan os.Signal) error {
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
		if err != nil {
			a.log.Warn().Err(err).Msg("pleat: requests were cut")
		}
		return err
	case <-signals:
		return a.server.Close()
	}
}
