// SPDX-License-Identifier: MIT

package pleat

import (
	"fmt"
	"slices"
	"strings"
)

// Routes lists the routes in the order of registration; what a group holds stands where the group
// was made or mounted. It may be called before the start, and gives what is registered so far; a
// route that cannot be served is listed too. The caller owns the slice.
func (r *Router) Routes() []*Route {
	r.mu.Lock()
	served := slices.Clone(r.served)
	r.mu.Unlock()
	if served != nil {
		return served
	}
	p := placement{host: r.host}
	p.place(&r.routes, scope{})
	return p.routes
}

// placement flattens the tree of registrations into the list of routes to serve.
type placement struct {
	freeze bool   // the routes are going to be served
	host   string // that they belong to
	routes []*Route
	errs   []error
	inside []*routes // the way from the root to here, to find a group mounted in itself
}

// scope is what a group hands to what is in it.
type scope struct {
	prefix     string
	module     string // names of the groups, joined with dots
	middleware []Middleware
	mounted    bool // below a Mount, where routes are copies
}

func (p *placement) place(g *routes, s scope) {
	g.mu.Lock()
	g.frozen = g.frozen || p.freeze
	entries, name, mws := slices.Clone(g.entries), g.name, slices.Clone(g.middleware)
	g.mu.Unlock()

	if name != "" {
		if s.module = dotted(s.module, name); !isRouteName(name) {
			p.fail(g.prefix, g.site, fmt.Sprintf("has a group name that is no name: %q", name))
		}
	}
	if len(p.inside) > 0 { // the middleware of the router itself runs for every answer, see App
		s.middleware = append(slices.Clip(s.middleware), mws...)
	}
	s.prefix = joinPattern(s.prefix, g.prefix)
	if !isPrefix(g.prefix) {
		p.fail(g.prefix, g.site, `must be empty or begin with "/"`)
		return
	}

	p.inside = append(p.inside, g)
	for _, e := range entries {
		switch {
		case e.route != nil:
			p.placeRoute(e.route, s)
		case e.group != nil:
			p.place(e.group, s)
		default:
			p.placeMount(e.mount, s)
		}
	}
	p.inside = p.inside[:len(p.inside)-1]
}

func (p *placement) placeMount(m *mount, s scope) {
	s.mounted = true
	s.prefix = joinPattern(s.prefix, m.prefix)
	switch {
	case m.group == nil:
		p.fail(s.prefix, m.site, "mounts no group")
	case slices.Contains(p.inside, &m.group.routes):
		p.fail(s.prefix, m.site, "mounts a group inside itself")
	case !isPrefix(m.prefix):
		p.fail(m.prefix, m.site, `must be empty or begin with "/"`)
	default:
		p.place(&m.group.routes, s)
	}
}

func (p *placement) placeRoute(r *Route, s scope) {
	r.group.mu.Lock()
	name, named := r.name, r.named
	r.group.mu.Unlock()

	if s.mounted {
		r = &Route{
			group: r.group, host: p.host, method: r.method, path: r.path, site: r.site, name: name, named: named,
			pattern: joinPattern(s.prefix, r.path), handler: r.handler, own: r.own,
		}
	}
	p.routes = append(p.routes, r)
	if !p.freeze {
		return
	}

	if named {
		r.fullName = dotted(s.module, name)
		if !isRouteName(name) {
			p.errs = append(p.errs, r.fail(fmt.Sprintf("has a name that is no name: %q", name)))
		}
	}
	r.module = s.module
	r.middleware = append(slices.Clip(s.middleware), r.own...)
	if r.handler == nil {
		p.errs = append(p.errs, r.fail("has no handler"))
	}
	if slices.ContainsFunc(r.middleware, func(mw Middleware) bool { return mw == nil }) {
		p.errs = append(p.errs, r.fail("has a middleware that is nil"))
	}
	if reason := methodFault(r.method); reason != "" {
		p.errs = append(p.errs, r.fail(reason))
	}
	if !isPrefix(r.path) {
		p.errs = append(p.errs, r.fail(fmt.Sprintf(`has a path that does not begin with "/": %q`, r.path)))
		return
	}
	var err error
	if r.parsed, err = parsePattern(r.pattern); err != nil {
		p.errs = append(p.errs, r.fail(err.Error()))
	}
}

func (p *placement) fail(prefix, site, reason string) {
	p.errs = append(p.errs, &RouteError{Pattern: fmt.Sprintf("%q", prefix), Host: p.host, Site: site, Reason: reason})
}

// isPrefix accepts what may stand at a joint between a prefix and a path.
func isPrefix(s string) bool { return s == "" || s[0] == '/' }

// isRouteName keeps names apart from the relative names of URLs, which begin with a dot.
func isRouteName(s string) bool { return s != "" && s[0] != '.' && s[len(s)-1] != '.' }

func dotted(module, name string) string {
	if module == "" {
		return name
	}
	return module + "." + name
}

// methodFault says what is wrong with a method, "" if nothing is.
func methodFault(method string) string {
	if method == "" {
		return "has no method"
	}
	for i := range len(method) {
		if c := method[i]; pathBytes[c] != unreservedByte && !strings.ContainsRune("!#$%&'*+.^`|", rune(c)) {
			return fmt.Sprintf("has a method that is not a token: %q", method)
		}
	}
	if upper := strings.ToUpper(method); upper != method && isKnownMethod(upper) {
		return fmt.Sprintf("has the method %q: methods are case-sensitive, write %q", method, upper)
	}
	return ""
}
