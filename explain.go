// SPDX-License-Identifier: MIT

package pleat

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
)

// Explain says in a few lines of text what the app would do with a request: the
// route, its params, and the chain of middleware in the order it runs. It is for
// people; the app must be able to start.
func (a *App) Explain(method, path string) string {
	if err := a.Start(); err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	found := a.table.resolve(method, path, "")
	chain := a.Router.middleware
	switch found.kind {
	case routeFound:
		fmt.Fprintf(&b, "%s %s → %s (%s)\n", method, path, found.route, found.route.site)
		for _, p := range found.params {
			fmt.Fprintf(&b, "  %s = %q\n", p.Key, p.Value)
		}
		chain = append(chain[:len(chain):len(chain)], found.route.middleware...)
	case redirected:
		fmt.Fprintf(&b, "%s %s → %d to %s\n", method, path, found.status, found.location)
	case optionsAnswered, methodNotAllowed:
		fmt.Fprintf(&b, "%s %s → %d, Allow: %s\n", method, path, found.status, found.allow)
	default:
		fmt.Fprintf(&b, "%s %s → %d\n", method, path, found.status)
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
// function it was made in.
func functionName(f any) string {
	fn := runtime.FuncForPC(reflect.ValueOf(f).Pointer())
	if fn == nil {
		return "?"
	}
	name := fn.Name()
	name = name[strings.LastIndexByte(name, '/')+1:]
	name, _, _ = strings.Cut(name, ".func")
	return strings.TrimSuffix(name, "-fm")
}
