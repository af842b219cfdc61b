// SPDX-License-Identifier: MIT

package pleat

import (
	"errors"
	"fmt"
)

// Route is one registered route: a method and a pattern with the handler they lead to. It is made by
// the registration methods of Router and Group. A served route never changes and is safe for
// concurrent use.
type Route struct {
	group   *routes
	host    string // pattern of App.Host, "" for routes of the App itself
	method  string
	pattern string // as registered, with all prefixes
	path    string // as registered, without prefixes
	site    string
	name    string // as given to Name; guarded by group.mu until the start
	named   bool   // likewise
	handler Handler
	own     []Middleware

	// Set when the route is placed.
	fullName   string       // with the names of its groups
	module     string       // the names of its groups
	middleware []Middleware // groups first, outermost first
	parsed     pattern

	// Set by the application when it starts.
	chain Handler
}

// Name names the route, so that URLs to it can be built. A name is not empty, is used once, and does
// not begin with a dot. Name returns the route, and panics after the start.
func (r *Route) Name(name string) *Route {
	r.group.mu.Lock()
	defer r.group.mu.Unlock()
	r.group.mustBeOpen("the name of " + r.String())
	r.name, r.named = name, true
	return r
}

// RouteName is the name of the route, with the names of its groups in front once the application has
// started; "" if it has none.
func (r *Route) RouteName() string {
	if r.fullName != "" {
		return r.fullName
	}
	r.group.mu.Lock()
	defer r.group.mu.Unlock()
	return r.name
}

// Method is the method that the route was registered for, "*" for a route of Any. A GET route
// answers HEAD requests too, its method is still "GET".
func (r *Route) Method() string { return r.method }

// Pattern is the pattern of the route with the prefixes of its groups: "/users/:id".
func (r *Route) Pattern() string { return r.pattern }

// Host is the pattern given to App.Host, in lower case, for a route of a host; "" for one of the App
// itself, which is for all others.
func (r *Route) Host() string { return r.host }

// Site is the place of the registration in the program, "file:line".
func (r *Route) Site() string { return r.site }

// String is method, host if there is one, and pattern: "GET /users/:id", "GET api.example.com/users".
func (r *Route) String() string { return r.method + " " + r.host + r.pattern }

// RouteError says why a route, group, mount or host cannot be served. The application returns all of
// them joined when it is started.
type RouteError struct {
	Method, Pattern string // Method is "" for a group or a mount, of which Pattern is the prefix; a host has neither
	Host            string // pattern of the host, "" for what belongs to the App itself
	Site            string // "file:line" of the registration
	Reason          string // what is wrong
	Other           *Route // the other side of a conflict, or nil
	Path            string // a path that shows the conflict, or ""
}

func (e *RouteError) Error() string {
	what := "prefix " + e.Pattern
	switch {
	case e.Method != "":
		what = "route " + e.Method + " " + e.Host + e.Pattern
	case e.Pattern == "":
		what = "host " + e.Host
	}
	s := fmt.Sprintf("pleat: %s (%s) %s", what, e.Site, e.Reason)
	if e.Other != nil {
		s += fmt.Sprintf(" %s (%s)", e.Other, e.Other.site)
	}
	if e.Path != "" {
		s += ": both match " + e.Path
	}
	return s
}

func (r *Route) fail(reason string) *RouteError {
	method := r.method
	if method == "" {
		method = `""` // a Route all the same
	}
	return &RouteError{Method: method, Pattern: r.pattern, Host: r.host, Site: r.site, Reason: reason}
}

// compose folds middleware around h, the first one outermost. A middleware that cannot work panics
// here, as documented for [Middleware]; the application turns that into an error of its start.
func compose(h Handler, mws ...Middleware) Handler {
	for i := len(mws) - 1; i >= 0; i-- {
		if h = mws[i](h); h == nil {
			panic(errors.New("pleat: a middleware returned no handler"))
		}
	}
	return h
}
