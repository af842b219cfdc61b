// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
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
	named := make([]server.NamedListener, 0, len(ls))
	for _, l := range ls {
		named = append(named, server.NamedListener{Listener: l})
	}
	return a.runUntil(ctx, nil, named)
}

// listen opens the listeners for Run, or takes those over that from has for the
// same addresses; from is nil when there is no predecessor.
func (a *App) listen(addrs []string, from *server.Predecessor) (ls []server.NamedListener, err error) {
	if len(addrs) == 0 {
		addrs = []string{""}
	}
	addrs = append(slices.Clone(addrs), a.besideAddrs()...)
	for i := range addrs {
		if addrs[i] == "" && servesTLS(a.server) {
			addrs[i] = ":443"
		}
	}
	if from == nil {
		return a.open(addrs...)
	}
	left := slices.Clone(from.Listeners)
	defer func() {
		if err != nil {
			closeListeners(append(ls, left...))
			ls = nil
		}
	}()
	for _, addr := range addrs {
		n := len(ls)
		left = slices.DeleteFunc(left, func(l server.NamedListener) bool {
			if l.Name != handoverName(addr) {
				return false
			}
			ls = append(ls, server.NamedListener{Name: addr, Listener: l.Listener})
			return true
		})
		for i := range ls[n:] {
			if ls[n+i].Listener, err = a.serverOf(addr).ListenConfig.Wrap(ls[n+i].Listener); err != nil {
				return ls, err
			}
		}
		if n == len(ls) { // the predecessor knew nothing of it
			opened, err := a.open(addr)
			if err != nil {
				return ls, err
			}
			ls = append(ls, opened...)
		}
	}
	for _, l := range left {
		a.log.Warn().Str("address", l.Listener.Addr().String()).Msg("pleat: the predecessor's listener is not served any more")
	}
	closeListeners(left)
	return ls, nil
}

// open opens listeners, each as the server of its address would. Those that were
// passed can be had only once, so all of them are asked for at the same time.
func (a *App) open(addrs ...string) (ls []server.NamedListener, err error) {
	defer func() {
		if err != nil {
			closeListeners(ls)
			ls = nil
		}
	}()
	var passed []string
	for _, addr := range addrs {
		if isPassed(addr) {
			passed = append(passed, addr)
		}
	}
	if ls, err = (&server.ListenConfig{}).ListenNamed(passed...); err != nil {
		return ls, err
	}
	for i, l := range ls {
		wrapped, err := a.serverOf(l.Name).ListenConfig.Wrap(l.Listener)
		if err != nil {
			return ls, err
		}
		ls[i].Listener = wrapped
	}
	for _, addr := range addrs {
		if isPassed(addr) {
			continue
		}
		opened, err := a.serverOf(addr).ListenConfig.ListenNamed(addr)
		if err != nil {
			return ls, err
		}
		ls = append(ls, opened...)
	}
	return ls, nil
}

// isPassed reports whether an address stands for sockets that somebody else opened.
func isPassed(addr string) bool {
	return strings.HasPrefix(addr, "systemd:") || strings.HasPrefix(addr, "fd:")
}

func closeListeners(ls []server.NamedListener) {
	for _, l := range ls {
		_ = l.Listener.Close()
	}
}

// serveAll serves several listeners until all have ended; when one does, the others
// are closed. The error is server.ErrServerClosed after Shutdown, and otherwise says
// what failed.
func (a *App) serveAll(ls []server.NamedListener) error {
	if len(ls) == 1 {
		return serveBy(a.serverOf(ls[0].Name), ls[0].Listener)
	}
	var (
		mu      sync.Mutex
		failed  []error // guarded by mu
		closing bool    // guarded by mu: what fails from here on was closed by us
		all     sync.WaitGroup
	)
	for _, l := range ls {
		all.Go(func() {
			err := serveBy(a.serverOf(l.Name), l.Listener)
			mu.Lock()
			defer mu.Unlock()
			if closing && errors.Is(err, net.ErrClosed) {
				return
			}
			same := func(other error) bool { return other.Error() == err.Error() }
			if !errors.Is(err, server.ErrServerClosed) && !slices.ContainsFunc(failed, same) {
				failed = append(failed, err)
			}
			closing = true
			closeListeners(ls)
		})
	}
	all.Wait()
	if len(failed) > 0 {
		return errors.Join(failed...)
	}
	return server.ErrServerClosed
}
