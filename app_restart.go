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
// It works while Run runs, and one at a time. All listeners are those of one Run: a
// program with several apps has them hand over what they listen on by
// server.StartSuccessor itself.
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

// tellWhenServing tells the predecessor when n listeners are being served, all that
// could be wrong with the configuration having been found by then.
func (a *App) tellWhenServing(from *server.Predecessor, n int) {
	base := a.server.BaseContext
	var left atomic.Int64
	left.Store(int64(n))
	a.server.BaseContext = func(l net.Listener) context.Context {
		if left.Add(-1) == 0 {
			if err := from.Ready(); err != nil {
				a.log.Warn().Err(err).Msg("pleat: there is no predecessor any more")
			}
		}
		if base != nil {
			return base(l)
		}
		return context.Background()
	}
}
