// SPDX-License-Identifier: MIT

package pleat

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/julienschmidt/httprouter"
)

// One httprouter cannot hold "/users/me", "/users/:id" and "/users/:name/posts" together: a tree that
// never backtracks has room for one thing at each place. So routes without params go into a map, and
// the others into layers, each an httprouter of its own, asked in order. A route stands in a layer
// behind those of all more specific routes that match some of its paths. So the first layer that
// knows a path knows the most specific route for it.

// routeOptions is what an application can switch off.
type routeOptions struct {
	noSlashRedirect bool // "/x/" is not redirected to "/x", nor "/x" to "/x/"
	noCleanRedirect bool // "//x" and "/a/../x" are not redirected to "/x"
}

// routeTable finds routes. It never changes and is safe for concurrent use.
type routeTable struct {
	options routeOptions
	routes  []*Route
	names   map[string]*Route       // of all hosts
	methods map[string]*methodTable // methods that have a route of their own
	other   *methodTable            // the routes of Any, for all other methods
	all     string                  // Allow for "OPTIONS *"
	sinks   sync.Pool               // of *routeSink; none ever leaves lookup
}

// methodTable is the routes for one method.
type methodTable struct {
	method string
	static map[string]*Route // by path
	layers []*httprouter.Router
}

// routeSink is passed to the handle that httprouter finds, which leaves its route there.
type routeSink struct {
	http.ResponseWriter
	route *Route
}

// build is buildTables for a router alone.
func (r *Router) build(o routeOptions) (*routeTable, error) {
	tables, err := buildTables([]*Router{r}, o)
	if err != nil {
		return nil, err
	}
	return tables[0], nil
}

// buildTables freezes the routes of an application's routers, checks them and makes the tables that
// serve them, one for each router. It reports everything that is wrong, not only the first thing. It
// must not be called concurrently.
func buildTables(routers []*Router, o routeOptions) (tables []*routeTable, err error) {
	errs := hostFaults(routers)
	var all []*Route
	placed := make([][]*Route, len(routers))
	for i, r := range routers {
		p := placement{freeze: true, host: r.host}
		p.place(&r.routes, scope{})
		r.mu.Lock()
		r.served = p.routes
		r.mu.Unlock()
		placed[i] = p.routes
		all, errs = append(all, p.routes...), append(errs, p.errs...)
	}
	if len(errs) > 0 { // what can be said about the others is said too
		all = slices.DeleteFunc(all, func(r *Route) bool { return r.parsed.text == "" })
	}
	names, nameErrs := nameRoutes(all)
	if errs = slices.Concat(errs, nameErrs, conflicts(all)); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	for _, routes := range placed {
		t := newRouteTable(routes, names, o)
		tables, errs = append(tables, t), append(errs, t.checkReachable()...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return tables, nil
}

// newRouteTable makes the table of placed routes, which are without fault.
func newRouteTable(routes []*Route, names map[string]*Route, o routeOptions) *routeTable {
	t := &routeTable{
		options: o,
		routes:  routes,
		names:   names,
		methods: map[string]*methodTable{},
		sinks:   sync.Pool{New: func() any { return new(routeSink) }},
	}
	sorted := slices.SortedStableFunc(slices.Values(routes), func(a, b *Route) int {
		return compareSpecificity(a.parsed, b.parsed)
	})
	byMethod := map[string][]*Route{anyMethod: nil}
	for _, r := range sorted {
		byMethod[r.method] = append(byMethod[r.method], r)
	}
	for method, own := range byMethod {
		if method == anyMethod {
			t.other = newMethodTable(method, own)
			continue
		}
		if method != "HEAD" { // of Any, HEAD has what GET has
			own = withAny(own, byMethod[anyMethod])
		}
		t.methods[method] = newMethodTable(method, own)
	}
	served := slices.Collect(maps.Keys(t.methods))
	if len(byMethod[anyMethod]) > 0 {
		served = append(served, "GET", "POST", "PUT", "PATCH", "DELETE")
	}
	t.all = allowOf(served)
	return t
}

// nameRoutes files routes by their names, which are unique over all hosts.
func nameRoutes(routes []*Route) (names map[string]*Route, errs []error) {
	names = map[string]*Route{}
	for _, r := range routes {
		if r.fullName == "" {
			continue
		}
		if other := names[r.fullName]; other != nil {
			e := r.fail("has the name \"" + r.fullName + "\", as has")
			e.Other = other
			errs = append(errs, e)
			continue
		}
		names[r.fullName] = r
	}
	return names, errs
}

// conflicts reports routes of a host that match the same paths with the same method.
func conflicts(routes []*Route) (errs []error) {
	first := map[string]*Route{}
	for _, r := range routes {
		key := r.method + " " + r.host + r.parsed.shape()
		other := first[key]
		if other == nil {
			first[key] = r
			continue
		}
		e := r.fail("conflicts with")
		e.Other, e.Path = other, r.parsed.example("x")
		errs = append(errs, e)
	}
	return errs
}

// withAny merges the routes of a method with those of Any that it has no own route for. Both lists
// are sorted, and so is the result.
func withAny(own, others []*Route) []*Route {
	shapes := make(map[string]bool, len(own))
	for _, r := range own {
		shapes[r.parsed.shape()] = true
	}
	merged := slices.Clone(own)
	for _, r := range others {
		if !shapes[r.parsed.shape()] {
			merged = append(merged, r)
		}
	}
	slices.SortStableFunc(merged, func(a, b *Route) int { return compareSpecificity(a.parsed, b.parsed) })
	return merged
}

// newMethodTable distributes routes, sorted by specificity.
func newMethodTable(method string, sorted []*Route) *methodTable {
	m := &methodTable{method: method, static: map[string]*Route{}}
	var layers []*layer
	var placed []*Route // all but the static ones
	var depth []int     // the layer of each
	for _, r := range sorted {
		if r.parsed.params == 0 {
			m.static[r.parsed.text] = r
			continue
		}
		lowest := 0
		for i, other := range placed {
			if depth[i] >= lowest && overlap(other.parsed, r.parsed) {
				lowest = depth[i] + 1
			}
		}
		k := lowest
		for k < len(layers) && !layers[k].add(method, r) {
			k++
		}
		if k == len(layers) {
			layers = append(layers, &layer{})
			layers[k].add(method, r)
		}
		placed, depth = append(placed, r), append(depth, k)
	}
	for _, l := range layers {
		m.layers = append(m.layers, l.router)
	}
	return m
}

// layer is an httprouter in the making.
type layer struct {
	routes []*Route
	router *httprouter.Router // has exactly routes
}

// add registers a route and tells whether it fits in. A registration that panics may leave a
// half-changed tree, so then the layer is built again from nothing.
func (l *layer) add(method string, r *Route) bool {
	if l.router == nil {
		l.router = httprouter.New()
	}
	if register(l.router, method, r) {
		l.routes = append(l.routes, r)
		return true
	}
	l.router = httprouter.New()
	for _, r := range l.routes {
		register(l.router, method, r)
	}
	return false
}

// register tells by its result what httprouter tells by a panic: the route conflicts with another.
func register(router *httprouter.Router, method string, r *Route) (ok bool) {
	defer func() { ok = recover() == nil }()
	router.Handle(method, r.parsed.text, func(w http.ResponseWriter, _ *http.Request, _ httprouter.Params) {
		w.(*routeSink).route = r
	})
	return true
}

// checkReachable reports routes that no path leads to. It happens to a catch-all behind which others
// divide all there is, as "/a/", "/a/:x" and "/a/:x/*rest" do with "/a/*rest".
func (t *routeTable) checkReachable() (errs []error) {
	longest := 0
	for _, r := range t.routes {
		longest = max(longest, len(r.parsed.segments))
	}
	for _, r := range t.routes {
		if other := t.shadow(r, longest); other != r {
			e := r.fail("is never reached: its paths lead to")
			e.Other = other
			errs = append(errs, e)
		}
	}
	return errs
}

// shadow is r, if a path leads to it, or what its paths lead to. Patterns have up to longest
// segments.
func (t *routeTable) shadow(r *Route, longest int) *Route {
	// No method, no static text and no prefix begins with a control character, so such a value can
	// only be matched by a param. What tells paths of a catch-all apart then is their length.
	const free = "\x01"
	method := r.method
	if method == anyMethod {
		method = free
	}
	path := r.parsed.example(free)
	found, _ := t.lookup(method, path)
	if found == r || !r.parsed.endsInCatchAll() {
		return found
	}
	for path = strings.TrimSuffix(path, free+"/"+free); longest >= 0; longest-- {
		if found, _ = t.lookup(method, path); found == r { // ends in "/"
			return r
		}
		path += free
		if found, _ = t.lookup(method, path); found == r {
			return r
		}
		path += "/"
	}
	return found
}

// lookup finds the most specific route for a canonical path. The params are the caller's; their
// values are parts of path, not yet decoded.
func (t *routeTable) lookup(method, path string) (*Route, httprouter.Params) {
	m := t.methods[method]
	if m == nil {
		m = t.other
	}
	if r := m.static[path]; r != nil {
		return r, nil
	}
	for _, layer := range m.layers {
		// What comes with a nil handle means nothing: params are left over from the search, and the
		// slash recommendation may point at a path without a route.
		handle, params, _ := layer.Lookup(m.method, path)
		if handle == nil {
			continue
		}
		sink := t.sinks.Get().(*routeSink)
		handle(sink, nil, nil)
		r := sink.route
		sink.route = nil
		t.sinks.Put(sink)
		if r.parsed.prefixed && r.parsed.missesText(params) {
			continue
		}
		return r, params
	}
	return nil, nil
}

// missesText tells whether a param with a static prefix matched nothing but its prefix, which
// httprouter lets pass before a slash ("/v/x" as "/v:version/x").
func (p pattern) missesText(params httprouter.Params) bool {
	i := 0
	for _, s := range p.segments {
		if s.kind == staticSegment {
			continue
		}
		if s.text != "" && params[i].Value == "" {
			return true
		}
		i++
	}
	return false
}

// static finds a route without params, for any path, canonical or not: a path that a static route is
// filed under is canonical.
func (t *routeTable) static(method, path string) *Route {
	m := t.methods[method]
	if m == nil && method == "HEAD" {
		m = t.methods["GET"]
	}
	if m == nil {
		m = t.other
	}
	return m.static[path]
}

// methodsOf is the methods that have a route of their own for a path.
func (t *routeTable) methodsOf(path string) (methods []string) {
	for method := range t.methods {
		if r, _ := t.lookup(method, path); r != nil {
			methods = append(methods, method)
		}
	}
	return methods
}
