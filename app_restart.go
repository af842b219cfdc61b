// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pleat-go/pleat/server"
)

// run is a Run that is under way.
type run struct {
	ctx       context.Context // ends when Run is to end
	end       context.CancelCauseFunc
	listeners []server.NamedListener // by the addresses that Run was given
	restart   sync.Mutex             // held by Restart
}

// errSucceeded is why Run ends when another process has taken over.
var errSucceeded = errors.New("a successor serves")

// restartTimeout is how long a new process that a signal asked for may take until it
// serves.
const restartTimeout = time.Minute

// Restart replaces the process without refusing anybody. It starts the program anew
// as server.StartSuccessor does, with the same arguments, and hands the listeners of
// Run over. When Run in the new process serves, Restart returns nil, and Run in this
// one ends gracefully; in the meantime both accept. When the new process does not get
// that far, because its configuration is no good or ctx ends before, Restart fails,
// and this one goes on as if nothing had happened.
//
// It works while Run runs, and one at a time. All listeners are those of one Run,
// with those of Beside: a program with several apps has them hand over what they
// listen on by server.StartSuccessor itself.
func (a *App) Restart(ctx context.Context) error {
	r := a.running.Load()
	if r == nil {
		return errors.New("pleat: Restart outside of Run")
	}
	if !r.restart.TryLock() {
		return errors.New("pleat: Restart: another is under way")
	}
	defer r.restart.Unlock()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(r.ctx, func() { stop(fmt.Errorf("the app ends: %w", context.Cause(r.ctx))) })()
	handed := make([]server.NamedListener, 0, len(r.listeners))
	for _, l := range r.listeners {
		handed = append(handed, server.NamedListener{Name: handoverName(l.Name), Listener: l.Listener})
	}
	if err := server.StartSuccessor(ctx, nil, handed...); err != nil {
		return fmt.Errorf("pleat: Restart: %w", err)
	}
	r.end(errSucceeded)
	return nil
}

func (a *App) restartOnSignal(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, restartTimeout)
	defer cancel()
	a.log.Info().Msg("pleat: restarting")
	if err := a.Restart(ctx); err != nil {
		a.log.Error().Err(err).Msg("pleat: not restarted")
	}
}

// handoverName is the name of an address's listeners on their way to a successor,
// where a name cannot have colons.
func handoverName(addr string) string {
	var b strings.Builder
	b.WriteString("pleat=") // also where the address is empty
	for _, c := range []byte(addr) {
		if c > ' ' && c <= '~' && c != ':' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// readiness is what a predecessor waits for.
type readiness struct {
	from  *server.Predecessor
	left  atomic.Int64 // listeners that are not served yet
	names []ownsName   // of Unix sockets
}

// ownsName is a listener of a Unix socket.
type ownsName interface{ SetUnlinkOnClose(unlink bool) }

// tellWhenServing tells the predecessor when all listeners are being served. From
// then on the names of Unix sockets are this process's to remove, unless they are
// those of somebody who opened them for both.
func (a *App) tellWhenServing(from *server.Predecessor, ls []server.NamedListener) {
	r := &readiness{from: from}
	r.left.Store(int64(len(ls)))
	for _, l := range ls {
		if u, ok := l.Listener.(ownsName); ok && !isPassed(l.Name) {
			r.names = append(r.names, u)
		}
	}
	a.ready.Store(r)
}

// served is told of each listener that is being served.
func (r *readiness) served() error {
	if r.left.Add(-1) != 0 {
		return nil
	}
	if err := r.from.Ready(); err != nil {
		return err
	}
	for _, u := range r.names {
		u.SetUnlinkOnClose(true)
	}
	return nil
}

// heedServing has a server log when it begins to serve a listener, and tell a
// predecessor: all that could be wrong with the configuration has been found by
// then.
func (a *App) heedServing(s *server.HTTPServer) {
	base := s.BaseContext
	s.BaseContext = func(l net.Listener) context.Context {
		if a.announce.Load() {
			a.log.Info().Stringer("address", l.Addr()).Msg("pleat: serving")
		}
		if r := a.ready.Load(); r != nil {
			if err := r.served(); err != nil {
				a.log.Warn().Err(err).Msg("pleat: there is no predecessor any more")
			}
		}
		if base != nil {
			return base(l)
		}
		return context.Background()
	}
}
