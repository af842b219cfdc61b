// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/pleat-go/pleat/server"
)

// RunListeners is RunListener for several listeners. When one of them fails, the
// others are closed and the app ends in the same way; the error is that of the one
// that failed, or joins those of several.
func (a *App) RunListeners(ctx context.Context, ls ...net.Listener) error {
	if len(ls) == 0 {
		return errors.New("pleat: RunListeners was given no listener")
	}
	return a.runUntil(ctx, nil, ls)
}

// listen opens the listeners for Run.
func (a *App) listen(addrs []string) ([]net.Listener, error) {
	if len(addrs) == 0 {
		addrs = []string{""}
	}
	if a.servesTLS() {
		return a.server.ListenConfig.ListenAllTLS(addrs...)
	}
	return a.server.ListenConfig.ListenAll(addrs...)
}

// serveAll serves several listeners until all have ended; when one does, the others
// are closed. The error is server.ErrServerClosed after Shutdown, and otherwise says
// what failed.
func (a *App) serveAll(ls []net.Listener) error {
	if len(ls) == 1 {
		return a.Serve(ls[0])
	}
	var (
		mu      sync.Mutex
		failed  []error // guarded by mu
		closing bool    // guarded by mu: what fails from here on was closed by us
		all     sync.WaitGroup
	)
	for _, l := range ls {
		all.Go(func() {
			err := a.Serve(l)
			mu.Lock()
			defer mu.Unlock()
			if closing && errors.Is(err, net.ErrClosed) {
				return
			}
			if !errors.Is(err, server.ErrServerClosed) {
				failed = append(failed, err)
			}
			closing = true
			for _, other := range ls {
				_ = other.Close()
			}
		})
	}
	all.Wait()
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return server.ErrServerClosed
}
