// SPDX-License-Identifier: MIT

package pleat

import (
	"fmt"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// Explain says in a few lines of text what the app would do with a request for a
// target (an escaped path, with or without a query; or, for the routes of a host,
// an http URL): the route, its params, and the chain of middleware in the order it
// runs. It is for people; the app must be able to start.
func (a *App) Explain(method, target string) string {
	if err := a.Start(); err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	table, chain := a.table, slices.Clone(a.Router.middleware)
	name, rest := cutHost(target)
	if host := a.byHost.find(name); host != nil {
		table, chain = host.table, append(chain, host.router.middleware...)
	}
	escaped, query, _ := strings.Cut(rest, "?")
	found := table.resolve(method, escaped, query)
	switch found.kind {
	case routeFound:
		fmt.Fprintf(&b, "%s %s → %s (%s)\n", method, target, found.route, found.route.site)
		for _, p := range found.params {
			fmt.Fprintf(&b, "  %s = %q\n", p.Key, p.Value)
		}
		chain = append(chain, found.route.middleware...)
	case redirected:
		fmt.Fprintf(&b, "%s %s → %d to %s\n", method, target, found.status, found.location)
	case optionsAnswered, methodNotAllowed:
		fmt.Fprintf(&b, "%s %s → %d, Allow: %s\n", method, target, found.status, found.allow)
	default:
		fmt.Fprintf(&b, "%s %s → %d\n", method, target, found.status)
	}
	for _, mw := range chain {
		fmt.Fprintf(&b, "  %s\n", functionName(mw))
	}
	if found.kind == routeFound {
		fmt.Fprintf(&b, "  %s\n", functionName(found.route.handler))
	}
	return b.String()
}

// functionName is the name of a function for people: that of the package and the
// function it was made in, and where its text is. Where the compiler inlined a
// function that makes others, the name begins with that of its caller.
func functionName(f any) string {
	fn := runtime.FuncForPC(reflect.ValueOf(f).Pointer())
	if fn == nil {
		return "?"
	}
	name := fn.Name()
	name = strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], "-fm")
	file, line := fn.FileLine(fn.Entry())
	return fmt.Sprintf("%s (%s:%d)", withoutLiterals(name), path.Base(file), line)
}

// withoutLiterals cuts what the compiler adds to the names of function literals:
// "f.func1", "f.func1.2", "f.init.func3".
func withoutLiterals(name string) string {
	for at := 0; ; {
		i := strings.Index(name[at:], ".func")
		if i < 0 {
			return name
		}
		at += i + len(".func")
		if at < len(name) && name[at] >= '0' && name[at] <= '9' {
			return name[:at-len(".func")]
		}
	}
}
