// SPDX-License-Identifier: MIT

package pleat

import (
	"errors"
	"fmt"
	"slices"
)

// composeChains folds the middleware around every handler, and around answerMiss
// once for each router: the first one is the App's, the others are those of its
// hosts. The App's own middleware comes first in each chain, and then that of the
// host. It is done for routes that cannot be served too, so that all that is wrong
// with middleware is known at once.
func (a *App) composeChains(routers []*Router) (misses []Handler, errs []error) {
	var own []Middleware
	first := map[string]int{} // by the text of an error, its place in errs
	others := map[int]int{}   // by that place, how many more routes have it
	for i, router := range routers {
		around := router.middleware // frozen by now
		miss, err := composeSafely(answerMiss, around)
		if err == nil {
			miss, err = composeSafely(miss, own)
		}
		if err != nil {
			// Every chain would fail by it.
			errs = append(errs, fmt.Errorf("pleat: middleware of %s: %w", router.describe(), err))
			around = nil
		}
		if around = slices.Concat(own, around); i == 0 {
			own = around
		}
		misses = append(misses, miss)
		for _, route := range router.Routes() {
			if route.handler == nil || slices.ContainsFunc(route.middleware, func(mw Middleware) bool { return mw == nil }) {
				continue // reported by the router
			}
			inner, err := composeSafely(route.handler, route.middleware)
			if err == nil {
				route.chain, err = composeSafely(inner, around)
			}
			if err == nil {
				continue
			}
			if at, known := first[err.Error()]; known {
				others[at]++ // a group has one middleware and many routes
				continue
			}
			first[err.Error()] = len(errs)
			errs = append(errs, fmt.Errorf("pleat: middleware of route %s (%s): %w", route, route.site, err))
		}
	}
	for at, n := range others {
		errs[at] = fmt.Errorf("%w (and %d more routes)", errs[at], n)
	}
	return misses, errs
}

// describe says what a router is for.
func (r *Router) describe() string {
	if r.isHost {
		return fmt.Sprintf("host %s (%s)", r.host, r.site)
	}
	return "the app"
}

// composeSafely turns the panic of a middleware that refuses its configuration
// into an error.
func composeSafely(h Handler, mws []Middleware) (chain Handler, err error) {
	if slices.ContainsFunc(mws, func(mw Middleware) bool { return mw == nil }) {
		return nil, errors.New("a middleware is nil")
	}
	defer func() {
		if v := recover(); v != nil {
			var ok bool
			if err, ok = v.(error); !ok {
				err = fmt.Errorf("middleware: %v", v)
			}
		}
	}()
	return compose(h, mws...), nil
}
