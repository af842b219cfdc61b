// SPDX-License-Identifier: MIT

package pleat

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/julienschmidt/httprouter"
)

// resolutionKind is what is to be done with a request.
type resolutionKind uint8

const (
	routeFound       resolutionKind = iota // run route
	redirected                             // status, location
	optionsAnswered                        // 204 with allow
	methodNotAllowed                       // 405 with allow
	routeNotFound                          // 404
	pathRefused                            // 400
	methodUnknown                          // 501
)

// resolution is the answer of the router to a request.
type resolution struct {
	kind     resolutionKind
	status   int // of the answer; 0 if a route was found
	route    *Route
	params   httprouter.Params // decoded, the caller's
	path     string            // canonical; "" if there is none
	location string            // a path on this host, with query
	allow    string            // methods, sorted
}

// resolve decides what is to be done with a request. The path is the escaped path as received, "*"
// for the asterisk-form of OPTIONS and "" for the authority-form of CONNECT (RFC 9112 §3.2). The order
// of the decisions is:
//
//  1. the route of the method; for HEAD then that of GET
//  2. a redirect to the same path with or without a slash at its end, if a route matches that
//  3. for OPTIONS, 204 with the methods that the path has
//  4. 405 with the methods that the path has
//  5. 501 for a method that neither RFC 9110 nor any route knows (§9.1), else 404
//
// A path with empty or dot segments matches no route. It is redirected to its clean form if that,
// with or without a slash at the end, is routed, and is not found otherwise.
func (t *routeTable) resolve(method, path, rawQuery string) resolution {
	if r := t.static(method, path); r != nil {
		return resolution{kind: routeFound, route: r, path: path}
	}
	switch {
	case path == "*" && method == "OPTIONS":
		return resolution{kind: optionsAnswered, status: http.StatusNoContent, allow: t.all}
	case method == "CONNECT" && !strings.HasPrefix(path, "/"):
		return resolution{kind: methodUnknown, status: http.StatusNotImplemented}
	case path == "":
		path = "/" // RFC 9110 §4.2.3: an empty path is "/"
	}

	path, verdict := canonicalPath(path)
	switch verdict {
	case pathBad:
		return resolution{kind: pathRefused, status: http.StatusBadRequest}
	case pathUnclean:
		return t.resolveUnclean(method, path, rawQuery)
	}
	if r, params := t.match(method, path); r != nil {
		decodeParams(params)
		return resolution{kind: routeFound, route: r, params: params, path: path}
	}
	if other := toggleSlash(path); !t.options.noSlashRedirect && t.redirects(method, other) {
		return redirectTo(method, path, other, rawQuery)
	}
	return t.refuse(method, path)
}

// match is lookup with HEAD answered by GET routes.
func (t *routeTable) match(method, path string) (*Route, httprouter.Params) {
	if method != "HEAD" {
		return t.lookup(method, path)
	}
	if t.methods["HEAD"] != nil {
		if r, params := t.lookup("HEAD", path); r != nil {
			return r, params
		}
	}
	return t.lookup("GET", path)
}

func (t *routeTable) resolveUnclean(method, path, rawQuery string) resolution {
	if !t.options.noCleanRedirect {
		clean := cleanPath(path)
		if t.redirects(method, clean) {
			return redirectTo(method, path, clean, rawQuery)
		}
		if other := toggleSlash(clean); !t.options.noSlashRedirect && t.redirects(method, other) {
			return redirectTo(method, path, other, rawQuery)
		}
	}
	return resolution{kind: routeNotFound, status: http.StatusNotFound, path: path}
}

// refuse decides for a path that no route of the method matches.
func (t *routeTable) refuse(method, path string) resolution {
	methods := t.methodsOf(path)
	switch {
	case len(methods) > 0 && method == "OPTIONS":
		return resolution{kind: optionsAnswered, status: http.StatusNoContent, path: path, allow: allowOf(methods)}
	case t.isUnknown(method):
		return resolution{kind: methodUnknown, status: http.StatusNotImplemented, path: path}
	case len(methods) > 0:
		return resolution{kind: methodNotAllowed, status: http.StatusMethodNotAllowed, path: path, allow: allowOf(methods)}
	default:
		return resolution{kind: routeNotFound, status: http.StatusNotFound, path: path}
	}
}

// redirects tells whether a request may be sent on to path: never without a route waiting there.
func (t *routeTable) redirects(method, path string) bool {
	if method == "CONNECT" {
		return false
	}
	r, _ := t.match(method, path)
	return r != nil
}

// toggleSlash removes or adds the slash at the end of a path. That of "/" is "", which no route has.
func toggleSlash(path string) string {
	if without, ok := strings.CutSuffix(path, "/"); ok {
		return without
	}
	return path + "/"
}

// redirectTo sends a request from one path to another, the canonical path of a route. The location
// names no host, and has no spelling that a browser reads as one: it begins with exactly one slash, a
// backslash in it is escaped.
func redirectTo(method, from, to, rawQuery string) resolution {
	if len(to) > 1 && (to[1] == '/' || to[1] == '\\') {
		return resolution{kind: routeNotFound, status: http.StatusNotFound, path: from}
	}
	location := to
	if rawQuery != "" {
		query, ok := locationQuery(rawQuery)
		if !ok {
			return resolution{kind: pathRefused, status: http.StatusBadRequest}
		}
		location += "?" + query
	}
	status := http.StatusPermanentRedirect
	if method == "GET" || method == "HEAD" {
		status = http.StatusMovedPermanently
	}
	return resolution{kind: redirected, status: status, path: from, location: location}
}

// locationQuery is a query as it may stand in a Location field: verbatim, but for bytes that are not
// ASCII, which are escaped. A control character, a space or a "#" is no query.
func locationQuery(raw string) (string, bool) {
	var b strings.Builder
	for i := range len(raw) {
		switch c := raw[i]; {
		case c <= ' ' || c == 0x7f || c == '#':
			return "", false
		case c < 0x80:
			b.WriteByte(c)
		default:
			b.Write(appendCanonical(nil, c, true))
		}
	}
	return b.String(), true
}

// decodeParams decodes the values, in place. It is the only time they are decoded.
func decodeParams(params httprouter.Params) {
	for i := range params {
		if v := params[i].Value; strings.IndexByte(v, '%') >= 0 {
			params[i].Value, _ = url.PathUnescape(v) // canonical: cannot fail
		}
	}
}

// isKnownMethod knows the methods of RFC 9110 §9.3, PATCH (RFC 5789) and QUERY (RFC 10008).
func isKnownMethod(method string) bool {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY":
		return true
	}
	return false
}

func (t *routeTable) isUnknown(method string) bool {
	return !isKnownMethod(method) && t.methods[method] == nil
}

// allowOf is the value of an Allow field (RFC 9110 §10.2.1): the methods with what comes with them.
func allowOf(methods []string) string {
	all := append(slices.Clone(methods), "OPTIONS")
	if slices.Contains(methods, "GET") {
		all = append(all, "HEAD")
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}
