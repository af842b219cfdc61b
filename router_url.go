// SPDX-License-Identifier: MIT

package pleat

import (
	"encoding"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
)

// ErrUnknownRoute says that a URL was asked for by a name that no route has.
var ErrUnknownRoute = errors.New("pleat: no route has this name")

// urlFor builds the path and query of a URL to a named route. The arguments are the values of its
// params, in order, and after them, if wanted, url.Values for the query. A value is a string, a
// number, a bool, or something that knows its text (encoding.TextMarshaler or fmt.Stringer). It is
// escaped as one segment; slashes in it are kept only for a catch-all, where the first one may be
// left out.
//
// From may be nil. If it is not, a name that begins with a dot is relative to it: ".show" is the route
// "show" of the same group, and each further dot goes one group name up.
//
// A value that does not come back as that param is an error: an empty one, a dot segment, NUL.
func (t *routeTable) urlFor(from *Route, name string, args ...any) (string, error) {
	r := t.names[absoluteName(from, name)]
	if r == nil {
		return "", fmt.Errorf("pleat: URL of %q: %w", name, ErrUnknownRoute)
	}
	query := ""
	if n := len(args); n > 0 {
		if values, ok := args[n-1].(url.Values); ok {
			query, args = values.Encode(), args[:n-1]
		}
	}
	if len(args) != r.parsed.params {
		return "", fmt.Errorf("pleat: URL of %q (%s): got %d values for %d params", name, r, len(args), r.parsed.params)
	}
	var b strings.Builder
	for _, s := range r.parsed.segments {
		b.WriteByte('/')
		if s.kind == staticSegment {
			b.WriteString(s.text)
			continue
		}
		escaped, err := s.fill(args[0])
		if err != nil {
			return "", fmt.Errorf("pleat: URL of %q (%s): param %q %w", name, r, s.name, err)
		}
		b.WriteString(escaped)
		args = args[1:]
	}
	if query != "" {
		b.WriteString("?" + query)
	}
	return b.String(), nil
}

// absoluteName resolves a name that begins with dots. A name that goes up too far is no route's name.
func absoluteName(from *Route, name string) string {
	local := strings.TrimLeft(name, ".")
	dots := len(name) - len(local)
	if from == nil || dots == 0 {
		return name
	}
	module := from.module
	for range dots - 1 {
		if module == "" {
			return name
		}
		module = module[:max(strings.LastIndexByte(module, '.'), 0)]
	}
	return dotted(module, local)
}

// fill is the escaped text of a segment with the value of its param.
func (s segment) fill(arg any) (string, error) {
	value, err := paramText(arg)
	if err != nil {
		return "", err
	}
	parts := []string{value}
	if s.kind == catchAllSegment {
		if value == "" {
			return "", errors.New("is empty")
		}
		parts = strings.Split(strings.TrimPrefix(value, "/"), "/")
	}
	for i, part := range parts {
		switch {
		case part == "" && (s.kind != catchAllSegment || i < len(parts)-1):
			return "", errors.New("is empty or has an empty segment")
		case isDotSegment(s.text + part):
			return "", fmt.Errorf("makes a dot segment: %q", value)
		case strings.IndexByte(part, 0) >= 0:
			return "", fmt.Errorf("contains NUL: %q", value)
		}
		parts[i] = escapeSegment(part)
	}
	return s.text + strings.Join(parts, "/"), nil
}

// escapeSegment escapes all that is not unreserved, so that the text has one canonical spelling.
func escapeSegment(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		b = appendCanonical(b, s[i], true)
	}
	return string(b)
}

// paramText is the text of a value.
func paramText(arg any) (string, error) {
	v := reflect.ValueOf(arg)
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return "", errors.New("is nil")
	}
	switch a := arg.(type) {
	case string:
		return a, nil
	case encoding.TextMarshaler:
		text, err := a.MarshalText()
		return string(text), err
	case fmt.Stringer:
		return a.String(), nil
	}
	switch v.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprint(arg), nil
	}
	return "", fmt.Errorf("has no text: %T", arg)
}
