// SPDX-License-Identifier: MIT

package pleat

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Host returns a router for the requests for one host name, or for all names below
// one:
//
//	app.Host("api.example.com").GET("/users/:id", showUser)
//	app.Host("*.example.com").GET("/", tenantHome)
//
// "*.example.com" stands for names with one or more labels in front of
// example.com, and not for example.com itself. Names are case-insensitive, without
// port, and in ASCII ("xn--bcher-kva.example"); an IP address is a name, too.
//
// A host has its own routes and nothing else: of several patterns that match, the
// exact one counts before all others, then the longest, and what that one has no
// route for is a 404 or 405 there. The App's own routes are for all hosts that no
// pattern matches. Middleware given to Use of the router stands around every answer
// for the host, and that of the App around it. Names of routes are unique over all
// hosts; URL gives the path only. Bad patterns, and the same one twice, are errors
// at the start.
//
// The host is that of the request, as HTTPServer.XHeaders of the configured server
// believes it: middleware.Forwarded comes too late to choose another. Security:
// clients can send any host.
func (a *App) Host(pattern string) *Router {
	r := &Router{}
	r.host, r.isHost, r.site = pattern, true, callSite()
	if name, err := canonicalHost(pattern); err == nil {
		r.host = name
	}
	a.Router.mu.Lock()
	defer a.Router.mu.Unlock()
	a.mustBeOpen("host " + pattern)
	a.hosts = append(a.hosts, r)
	return r
}

// Routes lists the routes of the App, as [Router.Routes] does, and behind them
// those of its hosts.
func (a *App) Routes() []*Route {
	var list []*Route
	for _, r := range a.routers(false) {
		list = append(list, r.Routes()...)
	}
	return list
}

// routers are the App's own router and those of its hosts. With freeze no host is
// added any more.
func (a *App) routers(freeze bool) []*Router {
	a.Router.mu.Lock()
	defer a.Router.mu.Unlock()
	a.frozen = a.frozen || freeze
	return append([]*Router{&a.Router}, a.hosts...)
}

// hostTable finds the routes of a host. It never changes and is safe for concurrent
// use.
type hostTable struct {
	exact map[string]*hostRoutes
	below map[string]*hostRoutes // by what comes behind "*."
}

// hostRoutes are the routes of a host, and what answers for all else there.
type hostRoutes struct {
	router *Router
	table  *routeTable
	miss   Handler
}

// maxHostName is what a name can have in the DNS.
const maxHostName = 253

func newHostTable(hosts []*hostRoutes) *hostTable {
	t := &hostTable{exact: map[string]*hostRoutes{}, below: map[string]*hostRoutes{}}
	for _, h := range hosts {
		if name, ok := strings.CutPrefix(h.router.host, "*."); ok {
			t.below[name] = h
		} else {
			t.exact[h.router.host] = h
		}
	}
	return t
}

// find gives the routes for a host name in lower case, without port and brackets;
// nil where no pattern matches.
func (t *hostTable) find(name string) *hostRoutes {
	if t == nil || len(name) > maxHostName+1 {
		return nil
	}
	if strings.IndexByte(name, ':') >= 0 {
		addr, err := netip.ParseAddr(name)
		if err != nil {
			return nil
		}
		return t.exact[addr.String()]
	}
	name = strings.TrimSuffix(name, ".")
	if h := t.exact[name]; h != nil || len(t.below) == 0 {
		return h
	}
	for {
		label, rest, more := strings.Cut(name, ".")
		if !more || label == "" {
			return nil
		}
		if h := t.below[rest]; h != nil {
			return h
		}
		name = rest
	}
}

// hostFaults says what is wrong with the patterns of hosts.
func hostFaults(routers []*Router) (errs []error) {
	first := map[string]*Router{}
	for _, r := range routers {
		if !r.isHost {
			continue
		}
		if _, err := canonicalHost(r.host); err != nil {
			errs = append(errs, &RouteError{Host: fmt.Sprintf("%q", r.host), Site: r.site, Reason: err.Error()})
		} else if other := first[r.host]; other != nil {
			errs = append(errs, &RouteError{Host: fmt.Sprintf("%q", r.host), Site: r.site, Reason: fmt.Sprintf("was registered before (%s)", other.site)})
		} else {
			first[r.host] = r
		}
	}
	return errs
}

// canonicalHost is the one spelling of a host pattern.
func canonicalHost(s string) (string, error) {
	name, below := strings.CutPrefix(s, "*.")
	if inner, ok := strings.CutPrefix(name, "["); ok && strings.HasSuffix(inner, "]") {
		name = strings.TrimSuffix(inner, "]")
	}
	if addr, err := netip.ParseAddr(name); err == nil && addr.Zone() == "" && !below {
		return addr.String(), nil
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	switch {
	case name == "":
		return "", fmt.Errorf("is no host name")
	case len(name) > maxHostName:
		return "", fmt.Errorf("is longer than %d octets", maxHostName)
	case strings.Contains(name, ":"):
		return "", fmt.Errorf("is no host name: a port is not looked at, write the name alone")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return "", fmt.Errorf("has a label of %d octets: it must be 1 to 63", len(label))
		}
		for i := range len(label) {
			switch c := label[i]; {
			case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			case c == '*':
				return "", fmt.Errorf(`has a "*" that is not in front, as in "*.example.com"`)
			case c >= 0x80:
				return "", fmt.Errorf(`is not ASCII: write it as it is sent, "xn--…"`)
			default:
				return "", fmt.Errorf("is no host name: it contains %q", c)
			}
		}
	}
	if below {
		return "*." + name, nil
	}
	return name, nil
}

// cutHost splits a target in absolute form, for Explain; other targets are all
// path.
func cutHost(target string) (host, path string) {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || !slices.Contains([]string{"http", "https"}, strings.ToLower(scheme)) {
		return "", target
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	u, err := url.Parse("http://" + rest[:end])
	if err != nil {
		return "", rest[end:]
	}
	return strings.ToLower(u.Hostname()), rest[end:]
}
