// SPDX-License-Identifier: MIT

package render

import "strings"

const (
	acceptBytes = 4096 // how much of an Accept field is looked at
	inlineOffer = 8    // offers that need no allocation
)

// Negotiate picks the offer a client likes best, by its Accept field (RFC 9110
// §12.5.1). Several field lines are to be joined with commas. An offer is a media
// type, parameters allowed: one of the content types of this package, for example.
//
// An offer has the quality of the most specific media range that matches it: a
// type with parameters before the type alone, that before type/*, that before
// */*. A range with parameters matches an offer that has all of them; charset is
// not looked at, as everything rendered here is UTF-8. The offer with the highest
// quality wins; among equals the one that was named more specifically, so that
// "application/json, */*" means JSON; among those the first offer. Quality 0
// means never. An offer that is no media type only matches */*. The result is "" when there is no offer or none is acceptable.
//
// An empty field, as when there is none, accepts everything. So does one in which
// no element can be read: not to negotiate is better than to refuse everything.
// Otherwise an element that cannot be read is skipped. Elements that begin after
// the first 4 KiB are not looked at.
//
// Security: an answer made from data must not become HTML because the request
// asks for it. Offer HTML only where HTML is written on purpose.
func Negotiate(accept string, offers ...string) string {
	if len(offers) == 0 {
		return ""
	}
	if accept == "" || accept == "*/*" {
		return offers[0]
	}

	var inline [inlineOffer]preference
	prefs := inline[:]
	if len(offers) > inlineOffer {
		prefs = make([]preference, len(offers))
	}

	readable := false
	for start := 0; start < len(accept) && start < acceptBytes; {
		element, n := cutUnquoted(accept[start:], ',')
		start += n
		r, ok := parseRange(element)
		if !ok {
			continue
		}
		readable = true
		for i, offer := range offers {
			prefs[i].consider(r, offer)
		}
	}
	if !readable {
		return offers[0]
	}

	best := -1
	for i := range offers {
		if prefs[i].quality > 0 && (best < 0 || prefs[i].beats(prefs[best])) {
			best = i
		}
	}
	if best < 0 {
		return ""
	}
	return offers[best]
}

// preference is what the ranges seen so far say of one offer.
type preference struct {
	specific int // of the range that decides; 0 = no range matched
	quality  int // thousandths
}

// consider lets r decide if it matches the offer and is more specific than what
// decided so far. Of two equally specific ranges the kinder one counts.
func (p *preference) consider(r mediaRange, offer string) {
	specific := r.match(offer)
	switch {
	case specific == 0 || specific < p.specific:
	case specific > p.specific:
		*p = preference{specific, r.quality}
	case r.quality > p.quality:
		p.quality = r.quality
	}
}

func (p preference) beats(q preference) bool {
	if p.quality != q.quality {
		return p.quality > q.quality
	}
	return p.specific > q.specific
}

// match says how specifically r names the offer: 0 is not at all. The kind of range
// counts first, then the number of its parameters.
func (r mediaRange) match(offer string) int {
	mediaType, n := cutUnquoted(offer, ';')
	typ, subtype, _ := strings.Cut(trim(mediaType), "/")
	const kind = 1 << 16
	specific := 0
	switch {
	case r.typ == "*":
		specific = 1 * kind
	case !strings.EqualFold(r.typ, typ):
		return 0
	case r.subtype == "*":
		specific = 2 * kind
	case strings.EqualFold(r.subtype, subtype):
		specific = 3 * kind
	default:
		return 0
	}
	for rest := r.params; rest != ""; {
		name, value, tail, _ := nextParam(rest)
		rest = tail
		if name == "" || strings.EqualFold(name, "charset") {
			continue
		}
		if !hasParam(offer[n:], name, value) {
			return 0
		}
		specific++
	}
	return specific
}

// hasParam reports whether a parameter list has the parameter with that value.
// Values are compared without regard to case, as those of most types are.
func hasParam(params, name, value string) bool {
	for params != "" {
		n, v, rest, ok := nextParam(params)
		if !ok {
			return false
		}
		if strings.EqualFold(n, name) && strings.EqualFold(v, value) {
			return true
		}
		params = rest
	}
	return false
}
