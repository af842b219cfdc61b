// SPDX-License-Identifier: MIT

package render_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A second Negotiate, written from the grammar with regular expressions and whole
// lists, to compare with.

const (
	tokenRE  = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
	quotedRE = `"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\(?s:.))*"`
	paramRE  = `(?:(` + tokenRE + `)=(` + tokenRE + `|` + quotedRE + `))`
)

var (
	elementRE = regexp.MustCompile(`^(` + tokenRE + `/` + tokenRE + `|\*)[ \t]*((?:;[ \t]*` + paramRE + `?[ \t]*)*)$`)
	wholeRE   = regexp.MustCompile(`^` + paramRE + `$`)
	paramsRE  = regexp.MustCompile(paramRE)
	weightRE  = regexp.MustCompile(`^(?:0|0?\.[0-9]+|0\.|1(?:\.(?:000[0-9]*|0{0,2})?)?)$`)
)

type slowParam struct{ name, value string }

type slowRange struct {
	typ, subtype string
	params       []slowParam
	quality      int
}

func slowNegotiate(accept string, offers []string) string {
	var ranges []slowRange
	at := 0
	for _, element := range slowSplit(accept, ',') {
		if at < 4096 {
			if r, ok := slowParse(element); ok {
				ranges = append(ranges, r)
			}
		}
		at += len(element) + 1
	}
	type scored struct {
		offer                  string
		quality, kind, nparams int
	}
	var list []scored
	for _, offer := range offers {
		s := scored{offer: offer, quality: -1}
		if len(ranges) == 0 {
			s.quality = 1000
		}
		for _, r := range ranges {
			kind, n, ok := r.matches(offer)
			if !ok || kind < s.kind || kind == s.kind && n < s.nparams {
				continue
			}
			if kind == s.kind && n == s.nparams && r.quality < s.quality {
				continue
			}
			s.quality, s.kind, s.nparams = r.quality, kind, n
		}
		if s.quality > 0 {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return ""
	}
	slices.SortStableFunc(list, func(a, b scored) int {
		return slices.Compare([]int{b.quality, b.kind, b.nparams}, []int{a.quality, a.kind, a.nparams})
	})
	return list[0].offer
}

// slowSplit splits at sep outside quotes; an unclosed quote swallows the rest.
func slowSplit(s string, sep byte) []string {
	var parts []string
	start, quoted, escaped := 0, false, false
	for i, c := range []byte(s) {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// slowParse parses an element whose parameters are well-formed up to the weight;
// nobody looks behind that.
func slowParse(element string) (slowRange, bool) {
	parts := slowSplit(element, ';')
	r := slowRange{quality: 1000}
	weight := ""
	for i, part := range parts[1:] {
		name, value, _ := strings.Cut(strings.Trim(part, " \t"), "=")
		if strings.EqualFold(name, "q") {
			weight = strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`)
			parts = parts[:i+2]
			break
		}
	}
	m := elementRE.FindStringSubmatch(strings.Trim(strings.Join(parts, ";"), " \t"))
	if m == nil {
		return r, false
	}
	r.typ, r.subtype, _ = strings.Cut(m[1], "/")
	if m[1] == "*" {
		r.subtype = "*"
	}
	if r.typ == "*" && r.subtype != "*" {
		return r, false
	}
	for _, p := range slowParams(m[2]) {
		if p.name != "q" {
			r.params = append(r.params, p)
			continue
		}
		if !weightRE.MatchString(weight) {
			return r, false
		}
		whole, fraction, _ := strings.Cut(weight, ".")
		r.quality, _ = strconv.Atoi((whole + (fraction + "000")[:3]))
	}
	return r, true
}

func slowParams(s string) []slowParam {
	var list []slowParam
	for _, m := range paramsRE.FindAllStringSubmatch(s, -1) {
		value := m[2]
		if strings.HasPrefix(value, `"`) {
			value = value[1 : len(value)-1]
		}
		list = append(list, slowParam{strings.ToLower(m[1]), value})
	}
	return list
}

func (r slowRange) matches(offer string) (kind, nparams int, ok bool) {
	parts := slowSplit(offer, ';')
	typ, subtype, _ := strings.Cut(strings.Trim(parts[0], " \t"), "/")
	switch {
	case r.typ == "*":
		kind = 1
	case strings.EqualFold(r.typ, typ) && r.subtype == "*":
		kind = 2
	case strings.EqualFold(r.typ, typ) && strings.EqualFold(r.subtype, subtype):
		kind = 3
	default:
		return 0, 0, false
	}
	var has []slowParam
	for _, part := range parts[1:] {
		part = strings.Trim(part, " \t")
		if part == "" {
			continue
		}
		if !wholeRE.MatchString(part) {
			break
		}
		has = append(has, slowParams(part)...)
	}
	for _, want := range r.params {
		if want.name == "charset" {
			continue
		}
		if !slices.ContainsFunc(has, func(p slowParam) bool {
			return p.name == want.name && strings.EqualFold(p.value, want.value)
		}) {
			return 0, 0, false
		}
		nparams++
	}
	return kind, nparams, true
}
