// SPDX-License-Identifier: MIT

package pleat

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPatternParams is what httprouter can count in a pattern.
const maxPatternParams = 255

// segmentKind says what a segment of a pattern matches. The order is that of specificity.
type segmentKind uint8

const (
	staticSegment   segmentKind = iota // its text
	paramSegment                       // its text and at least one byte more
	catchAllSegment                    // the rest of the path, at least "/"
)

// segment is what stands between two slashes of a pattern.
type segment struct {
	kind segmentKind
	text string // static text, or the static prefix of a param, in canonical escapes
	name string // of a param or catch-all
}

// pattern is a parsed pattern.
type pattern struct {
	text     string // with static text in canonical escapes, as httprouter gets it
	segments []segment
	params   int  // number of params, a catch-all included
	prefixed bool // some param has a static prefix
}

// parsePattern reads
//
//	pattern  = 1*( "/" segment ) ; only the last segment may be empty or a catch-all
//	segment  = static / [ static ] ":" name / "*" name
func parsePattern(s string) (pattern, error) {
	if !strings.HasPrefix(s, "/") {
		return pattern{}, errors.New(`must begin with "/"`)
	}
	if strings.ContainsRune(s, 0) {
		return pattern{}, errors.New("contains NUL")
	}
	parts := strings.Split(s[1:], "/")
	p := pattern{segments: make([]segment, 0, len(parts))}
	var names []string
	for i, part := range parts {
		last := i == len(parts)-1
		if part == "" && !last {
			return pattern{}, errors.New(`contains an empty segment, "//"`)
		}
		seg, err := parseSegment(part)
		if err != nil {
			return pattern{}, err
		}
		if seg.kind == catchAllSegment && !last {
			return pattern{}, fmt.Errorf("has %q before its end, but a catch-all takes the rest of the path", part)
		}
		if seg.kind != staticSegment {
			if slices.Contains(names, seg.name) {
				return pattern{}, fmt.Errorf("uses the param name %q twice", seg.name)
			}
			names = append(names, seg.name)
			p.prefixed = p.prefixed || seg.text != ""
		}
		p.segments = append(p.segments, seg)
		p.text += "/" + seg.String()
	}
	if p.params = len(names); p.params > maxPatternParams {
		return pattern{}, fmt.Errorf("has more than %d params", maxPatternParams)
	}
	return p, nil
}

func parseSegment(s string) (segment, error) {
	if name, ok := strings.CutPrefix(s, "*"); ok {
		return segment{kind: catchAllSegment, name: name}, checkParamName(s, name)
	}
	static, name, isParam := strings.Cut(s, ":")
	text, err := encodeStatic(static)
	if err != nil {
		return segment{}, err
	}
	if isParam {
		return segment{kind: paramSegment, text: text, name: name}, checkParamName(s, name)
	}
	if isDotSegment(text) {
		return segment{}, fmt.Errorf("contains the segment %q, which no request path has", static)
	}
	return segment{kind: staticSegment, text: text}, nil
}

// checkParamName accepts letters, digits and "_". More would let "/:id.json" pass, which looks like
// a param and an extension and is neither, and "/:x:y".
func checkParamName(segment, name string) error {
	if name == "" {
		return fmt.Errorf("contains %q without a name", segment)
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("contains %q, a name that is not UTF-8", segment)
	}
	for _, c := range name {
		if c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return fmt.Errorf(`contains %q: a param is named with letters, digits and "_" and ends at the next "/"`, segment)
		}
	}
	return nil
}

// encodeStatic turns static text into the spelling that canonicalPath gives a request path. Text
// that is escaped already must be in that spelling: silently changing it would hide a mistake.
func encodeStatic(s string) (string, error) {
	switch {
	case strings.ContainsAny(s, "?#"):
		return "", fmt.Errorf(`contains "?" or "#" in %q, but a pattern matches the path only`, s)
	case strings.Contains(s, "*"):
		return "", fmt.Errorf(`contains %q: "*" begins a catch-all and stands right after a "/"`, s)
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c < 0x20 || c == 0x7f:
			return "", fmt.Errorf("contains a control character in %q", s)
		case c == '%':
			if !isEscape(s[i:]) {
				return "", fmt.Errorf(`contains a "%%" without two hex digits in %q; a plain "%%" is written "%%25"`, s)
			}
			v := unescapeByte(s[i:])
			if v == 0 {
				return "", fmt.Errorf("contains NUL in %q", s)
			}
			if canonical := appendCanonical(nil, v, true); string(canonical) != s[i:i+3] {
				return "", fmt.Errorf("contains %q, which is written %q", s[i:i+3], canonical)
			}
			b = append(b, s[i:i+3]...)
			i += 2
		default:
			b = appendCanonical(b, c, false)
		}
	}
	return string(b), nil
}

func (s segment) String() string {
	switch s.kind {
	case paramSegment:
		return s.text + ":" + s.name
	case catchAllSegment:
		return "*" + s.name
	default:
		return s.text
	}
}

// shape is the pattern without the names of its params. Two patterns of one shape match the same
// paths.
func (p pattern) shape() string {
	var b strings.Builder
	for _, s := range p.segments {
		s.name = ""
		b.WriteString("/" + s.String())
	}
	return b.String()
}

// example is a path that the pattern matches, with value for each param, and two of it for a
// catch-all.
func (p pattern) example(value string) string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteString("/" + s.text)
		switch s.kind {
		case paramSegment:
			b.WriteString(value)
		case catchAllSegment:
			b.WriteString(value + "/" + value)
		}
	}
	return b.String()
}

func (p pattern) endsInCatchAll() bool {
	return p.segments[len(p.segments)-1].kind == catchAllSegment
}

// compareSpecificity orders patterns, the more specific first. Patterns of equal kinds are ordered
// by the length of the static prefixes of their params, and then by their text, so that no answer
// depends on the order of registration.
func compareSpecificity(a, b pattern) int {
	n := min(len(a.segments), len(b.segments))
	for i := range n {
		if c := cmp.Compare(a.segments[i].kind, b.segments[i].kind); c != 0 {
			return c
		}
	}
	if c := cmp.Compare(len(b.segments), len(a.segments)); c != 0 {
		return c
	}
	for i := range n {
		if a.segments[i].kind != paramSegment {
			continue
		}
		if c := cmp.Compare(len(b.segments[i].text), len(a.segments[i].text)); c != 0 {
			return c
		}
	}
	return strings.Compare(a.text, b.text)
}

// overlap tells whether some path matches both patterns.
func overlap(a, b pattern) bool {
	for i := range min(len(a.segments), len(b.segments)) {
		x, y := a.segments[i], b.segments[i]
		if x.kind > y.kind {
			x, y = y, x
		}
		switch {
		case y.kind == catchAllSegment:
			return true
		case y.kind == staticSegment:
			if x.text != y.text {
				return false
			}
		case x.kind == staticSegment:
			if len(x.text) <= len(y.text) || !strings.HasPrefix(x.text, y.text) {
				return false
			}
		default:
			if !strings.HasPrefix(x.text, y.text) && !strings.HasPrefix(y.text, x.text) {
				return false
			}
		}
	}
	return len(a.segments) == len(b.segments)
}

// escapedTail is what the catch-all at the end of the pattern matches of a canonical path, with its
// leading slash and not decoded: the path in front of which the rest is to be stripped. It is "" for a
// pattern without catch-all.
func (p pattern) escapedTail(path string) string {
	if !p.endsInCatchAll() {
		return ""
	}
	for range len(p.segments) - 1 {
		path = path[1+strings.IndexByte(path[1:], '/'):]
	}
	return path
}
