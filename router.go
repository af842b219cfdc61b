// SPDX-License-Identifier: MIT

package pleat

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// anyMethod is the method of a route registered with Any. It stands for every method that has no
// route of its own on the same pattern.
const anyMethod = "*"

// Router collects the routes of an application. Its methods register; nothing is checked until the
// application starts, when all problems are reported together, each with the file and line of the
// registration. From then on the routes are frozen, and a further registration panics.
//
// A pattern begins with "/" and matches the whole path. Its segments are
//
//	/users        static text
//	/:id          a param: one segment, never empty
//	/v:version    a param after a static prefix
//	/*path        a catch-all, only at the end: the rest of the path with its leading "/"
//
// The most specific pattern that matches wins, whatever the order of registration: segments are
// compared from the left, static before param before catch-all, and a longer pattern comes before a
// shorter one. Between params that only differ in their static prefix the longer prefix wins.
// Patterns are written unescaped ("/a b", "/é") or in canonical escapes ("/a%20b"); a static "%" is
// written "%25", a static ":" or "*" is written "%3A" or "%2A" and matches that spelling only.
//
// An App is a Router, and has others for single hosts, see [App.Host].
//
// The zero value is an empty router, ready to use. A Router must not be copied after first use.
// Registration is safe for concurrent use.
type Router struct {
	routes
	served []*Route // set by build, guarded by mu
}

// Group is a set of routes with a common prefix, common middleware and, if [Group.Name] is used, a
// common name. It is made inside a router with Group, or on its own with [NewGroup] and brought in
// with Mount, as often and under as many prefixes as wanted.
//
// The zero value is an empty group without prefix, ready to use. A Group must not be copied after
// first use. Registration is safe for concurrent use.
type Group struct {
	routes
}

// NewGroup returns a group that belongs to no router yet, see [Router.Mount]. The prefix is empty or
// begins with "/".
func NewGroup(prefix string, mw ...Middleware) *Group {
	g := &Group{}
	g.prefix, g.middleware, g.site = prefix, slices.Clone(mw), callSite()
	return g
}

// Name names the group. A route "show" of the group "users" has the name "users.show", of a group
// inside the group "admin" the name "admin.users.show".
func (g *Group) Name(name string) *Group {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mustBeOpen("the name of group " + g.base())
	g.name = name
	return g
}

// routes is what Router and Group share: a node of the tree of registrations. What stands in it is
// judged when the tree is placed (router_place.go).
type routes struct {
	// Set before the node is shared.
	parent *routes // nil for a Router and for a group made with NewGroup
	prefix string  // as given
	host   string  // of a Router made with App.Host: its pattern
	isHost bool    // it is one
	site   string

	mu         sync.Mutex // guards what follows
	name       string
	middleware []Middleware
	entries    []entry
	frozen     bool
}

// entry is one registration, exactly one of its fields is set.
type entry struct {
	route *Route
	group *routes
	mount *mount
}

type mount struct {
	prefix string
	group  *Group
	site   string
}

// GET registers h for GET requests of a path, and for HEAD requests unless a HEAD route matches
// them. The middleware is run for this route only, inside that of its groups, first one outermost.
func (r *routes) GET(path string, h Handler, mw ...Middleware) *Route {
	return r.add("GET", path, h, mw)
}

// HEAD registers h for HEAD requests of a path. It is only needed where HEAD is not to be answered
// by the GET route.
func (r *routes) HEAD(path string, h Handler, mw ...Middleware) *Route {
	return r.add("HEAD", path, h, mw)
}

// POST registers h for POST requests of a path.
func (r *routes) POST(path string, h Handler, mw ...Middleware) *Route {
	return r.add("POST", path, h, mw)
}

// PUT registers h for PUT requests of a path.
func (r *routes) PUT(path string, h Handler, mw ...Middleware) *Route {
	return r.add("PUT", path, h, mw)
}

// PATCH registers h for PATCH requests of a path.
func (r *routes) PATCH(path string, h Handler, mw ...Middleware) *Route {
	return r.add("PATCH", path, h, mw)
}

// DELETE registers h for DELETE requests of a path.
func (r *routes) DELETE(path string, h Handler, mw ...Middleware) *Route {
	return r.add("DELETE", path, h, mw)
}

// OPTIONS registers h for OPTIONS requests of a path. Without it they are answered with 204 and an
// Allow field.
func (r *routes) OPTIONS(path string, h Handler, mw ...Middleware) *Route {
	return r.add("OPTIONS", path, h, mw)
}

// Handle registers h for requests of a path with a method, which may be any token of RFC 9110
// §9.1. Methods are case-sensitive.
func (r *routes) Handle(method, path string, h Handler, mw ...Middleware) *Route {
	return r.add(method, path, h, mw)
}

// Any registers h for requests of a path with every method, known or unknown, for which the same
// pattern has no route of its own.
func (r *routes) Any(path string, h Handler, mw ...Middleware) *Route {
	return r.add(anyMethod, path, h, mw)
}

// Group returns a new group inside this one. The prefix is empty or begins with "/"; a "/" at its
// end is dropped.
func (r *routes) Group(prefix string, mw ...Middleware) *Group {
	g := &Group{}
	g.parent, g.prefix, g.middleware, g.site = r, prefix, slices.Clone(mw), callSite()

	r.mu.Lock()
	defer r.mu.Unlock()
	r.mustBeOpen("group " + g.base())
	r.entries = append(r.entries, entry{group: &g.routes})
	return g
}

// Mount adds all routes of a group that was made with [NewGroup] (or belongs elsewhere) under a
// prefix, in front of the group's own. What is registered in the group later, but before the start,
// counts too. A mounted route is a copy of its own: the one that is served, and is listed by Routes,
// is not the one that the registration in the group returned. To mount a group of named routes twice,
// mount it inside groups with names of their own.
func (r *routes) Mount(prefix string, g *Group) {
	m := &mount{prefix: prefix, group: g, site: callSite()}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.mustBeOpen("mount " + r.base() + prefix)
	r.entries = append(r.entries, entry{mount: m})
}

// Use adds middleware to all routes of the group, those of inner groups and those registered before
// included. The first one added is outermost.
func (r *routes) Use(mw ...Middleware) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mustBeOpen("middleware of " + r.base())
	r.middleware = append(r.middleware, mw...)
}

func (r *routes) add(method, path string, h Handler, mw []Middleware) *Route {
	rt := &Route{
		group:   r,
		host:    r.hostPattern(),
		method:  method,
		pattern: joinPattern(r.base(), path),
		path:    path,
		site:    callSite(),
		handler: h,
		own:     slices.Clone(mw),
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.mustBeOpen(rt.String())
	r.entries = append(r.entries, entry{route: rt})
	return rt
}

// base is the prefix of everything in r, as far as it is known: what a Mount puts in front is not.
func (r *routes) base() string {
	if r.parent == nil {
		return joinPattern("", r.prefix)
	}
	return joinPattern(r.parent.base(), r.prefix)
}

// hostPattern is the host that r belongs to, as far as it is known.
func (r *routes) hostPattern() string {
	for r.parent != nil {
		r = r.parent
	}
	return r.host
}

// mustBeOpen panics once the routes are being served, because a lookup takes no lock. The caller
// holds mu.
func (r *routes) mustBeOpen(what string) {
	if r.frozen {
		panic(fmt.Sprintf("pleat: %s (%s) was registered after the start", what, callSite()))
	}
}

// joinPattern appends path to a prefix, of which a "/" at the end is dropped so that "/api/" and
// "/users" do not make "/api//users".
func joinPattern(prefix, path string) string {
	if path == "" && prefix == "/" {
		return prefix
	}
	return strings.TrimSuffix(prefix, "/") + path
}

// callSite is the file and line of the innermost caller outside this package: where the user's
// program registers something. Tests of this package count as users.
func callSite() string {
	var pcs [32]uintptr
	n := runtime.Callers(1, pcs[:])
	frames := runtime.CallersFrames(pcs[:n])
	self := ""
	for {
		f, more := frames.Next()
		if self == "" {
			self = packageOf(f.Function)
		}
		if packageOf(f.Function) != self || strings.HasSuffix(f.File, "_test.go") || !more {
			return f.File + ":" + strconv.Itoa(f.Line)
		}
	}
}

// packageOf cuts the import path from the name of a function, "example.org/a/b.(*T).M" → "example.org/a/b".
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		return function[:slash+dot]
	}
	return function
}
