// SPDX-License-Identifier: MIT

package pleat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/pleat-go/pleat/server"
)

// beside is a server that Run runs besides the app's own.
type beside struct {
	server *server.HTTPServer
	addrs  []string
}

// Beside has Run serve further addresses by a server of their own: a redirect to
// https on ":80", the app without TLS on a Unix socket for probes, profiles on
// localhost. Its Handler, which is the app then, CookieSecrets and ErrorLog are set
// where they are not. It serves TLS if it has Certificates or a TLSConfig, and its
// ListenConfig is for its addresses only.
//
// Run opens the addresses with its own, hands them over to a successor with them
// (see Restart), ends the servers together, and fails when one of them does. Serve,
// RunListener and RunListeners leave them alone; Shutdown ends them too.
//
// Beside panics without a server or an address, with an empty one, and after the
// start. An address that is given twice, or a server, is an error of Start.
func (a *App) Beside(s *server.HTTPServer, addrs ...string) {
	if s == nil || len(addrs) == 0 || slices.Contains(addrs, "") {
		panic("pleat: Beside wants a server and addresses")
	}
	a.pagesMu.Lock()
	defer a.pagesMu.Unlock()
	if a.table != nil {
		panic("pleat: Beside after the start")
	}
	a.besides = append(a.besides, beside{s, slices.Clone(addrs)})
}

// makeBesides completes the configuration of the servers besides the app's own.
func (a *App) makeBesides() error {
	var errs []error
	servers, addrs := []*server.HTTPServer{a.server}, []string{}
	for _, b := range a.besides {
		if slices.Contains(servers, b.server) {
			errs = append(errs, fmt.Errorf("pleat: Beside: the server of %s is another's too", strings.Join(b.addrs, ", ")))
			continue
		}
		servers = append(servers, b.server)
		for _, addr := range b.addrs {
			if slices.Contains(addrs, addr) {
				errs = append(errs, fmt.Errorf("pleat: Beside: address %q is given twice", addr))
			}
			addrs = append(addrs, addr)
		}
		errs = append(errs, a.complete(b.server, "the server of Beside"))
	}
	return errors.Join(errs...)
}

// servers are the app's own and those besides it. The app has started.
func (a *App) servers() []*server.HTTPServer {
	all := []*server.HTTPServer{a.server}
	for _, b := range a.besides {
		all = append(all, b.server)
	}
	return all
}

// serverOf is the server of an address of Run's, or of Beside's.
func (a *App) serverOf(addr string) *server.HTTPServer {
	for _, b := range a.besides {
		if slices.Contains(b.addrs, addr) {
			return b.server
		}
	}
	return a.server
}

// besideAddrs are the addresses of Beside.
func (a *App) besideAddrs() (addrs []string) {
	for _, b := range a.besides {
		addrs = append(addrs, b.addrs...)
	}
	return addrs
}

// servesTLS reports whether a server was given anything for TLS.
func servesTLS(s *server.HTTPServer) bool { return s.TLSConfig != nil || s.Certificates != nil }

func serveBy(s *server.HTTPServer, l net.Listener) error {
	if servesTLS(s) {
		return s.ServeTLS(l, "", "")
	}
	return s.Serve(l)
}

// shutdownAll shuts all servers down at the same time.
func (a *App) shutdownAll(ctx context.Context) error {
	return a.atOnce(func(s *server.HTTPServer) error { return s.Shutdown(ctx) })
}

func (a *App) closeAll() error { return a.atOnce((*server.HTTPServer).Close) }

func (a *App) atOnce(f func(*server.HTTPServer) error) error {
	servers := a.servers()
	errs := make([]error, len(servers))
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() { errs[i] = f(s) })
	}
	all.Wait()
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}
