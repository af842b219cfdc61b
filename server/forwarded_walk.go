// SPDX-License-Identifier: MIT

package server

import (
	"net/netip"
	"strings"
)

// fieldLines holds the last lines of one field. They are read from the end,
// at most maxForwardedHops elements, and a line has at least one.
//
//	line[i % maxForwardedHops]  for  max(0, n-maxForwardedHops) <= i < n
type fieldLines struct {
	line [maxForwardedHops]string
	n    int
}

func (f *fieldLines) collect(h Header, name string) {
	f.n = 0
	for value, rest, ok := nextField(h.raw, name); ok; value, rest, ok = nextField(rest, name) {
		f.line[f.n%maxForwardedHops] = value
		f.n++
	}
}

// at returns line i of n, counted from the first.
func (f *fieldLines) at(i int) string { return f.line[i%maxForwardedHops] }

// hopWalk follows a request back from the peer towards the client.
type hopWalk struct {
	policy *TrustPolicy
	peer   netip.Addr
	origin Origin
	proto  string // of whom was believed last, not checked yet
	host   string
}

// visit takes the next address of the list, from the end, and reports whether
// it was the last to be looked at. It follows an address that was believed, so
// whoever wrote this one is trusted.
func (w *hopWalk) visit(addr netip.Addr, ok bool) (done bool) {
	if !ok {
		w.suspect()
		return true
	}
	w.origin.IP = addr
	w.origin.Hops++
	if w.policy.Hops > 0 {
		return w.origin.Hops == w.policy.Hops
	}
	return !w.policy.trusts(addr)
}

// full reports whether the longest list has been seen, and one more element
// is one too many.
func (w *hopWalk) full() bool {
	if w.origin.Hops < maxForwardedHops {
		return false
	}
	w.suspect()
	return true
}

// suspect ends a walk at what cannot be believed. Going on past it would let
// a client hide behind junk. The client is the last hop that was believed;
// when hops are only counted there is none, as they vouch for nothing alone.
func (w *hopWalk) suspect() {
	w.origin.Suspect = true
	if w.policy.Hops > 0 {
		w.origin.IP = w.peer
		w.origin.Hops = 0
	}
}

// exhausted is called when the list ended and every hop in it was trusted: the
// first one is the client. A list shorter than the count is not believed.
func (w *hopWalk) exhausted() {
	if w.policy.Hops > 0 {
		w.suspect()
	}
}

func (w *hopWalk) walkXForwardedFor(f *fieldLines) {
	for i := f.n - 1; i >= 0; i-- {
		rest, more := f.at(i), true
		for more {
			if w.full() {
				return
			}
			elem := rest
			comma := strings.LastIndexByte(rest, ',')
			if more = comma >= 0; more {
				rest, elem = rest[:comma], rest[comma+1:]
			}
			if w.visit(parseXForwardedFor(elem)) {
				return
			}
		}
	}
	w.exhausted()
}

func (w *hopWalk) walkForwarded(f *fieldLines) {
	var buf [maxForwardedHops]forwardedElement
	for i := f.n - 1; i >= 0; i-- {
		if w.full() {
			return
		}
		elems, ok := parseForwarded(buf[:0], f.at(i))
		if !ok {
			w.suspect()
			return
		}
		for j := len(elems) - 1; j >= 0; j-- {
			if w.full() {
				return
			}
			// Of the element of the outermost trusted hop, proto and host
			// are what the client used.
			w.proto, w.host = elems[j].proto, elems[j].host
			if w.visit(parseForwardedNode(elems[j].node)) {
				return
			}
		}
	}
	w.exhausted()
}

// takeSingle reads the one address of the one line. Its value may be anything,
// a trusted address too: it is the peer that is believed.
func (w *hopWalk) takeSingle(f *fieldLines) {
	addr, ok := parseForwardedIP(trimOWS(f.at(0)))
	if f.n != 1 || !ok {
		w.suspect()
		return
	}
	w.origin.IP = addr
	w.origin.Hops = 1
}

// readXForwarded reads the companions of X-Forwarded-For, of which there may
// be one line each.
func (w *hopWalk) readXForwarded(h Header) {
	w.proto = w.onlyLine(h, "X-Forwarded-Proto", w.policy.Scheme)
	w.host = w.onlyLine(h, "X-Forwarded-Host", w.policy.Host)
}

func (w *hopWalk) onlyLine(h Header, name string, wanted bool) string {
	if !wanted {
		return ""
	}
	var f fieldLines
	f.collect(h, name)
	if f.n == 0 {
		return ""
	}
	value := trimOWS(f.at(0))
	if f.n > 1 || value == "" {
		w.origin.Suspect = true
		return ""
	}
	return value
}

// override sets scheme and host where they are wanted, given and believable.
func (w *hopWalk) override() {
	if w.policy.Scheme && w.proto != "" {
		switch {
		case equalFoldASCII(w.proto, "http"):
			w.origin.Scheme = "http"
		case equalFoldASCII(w.proto, "https"):
			w.origin.Scheme = "https"
		default:
			w.origin.Suspect = true
		}
	}
	if w.policy.Host && w.host != "" {
		if w.policy.allowsHost(w.host) {
			w.origin.Host = w.host
		} else {
			w.origin.Suspect = true
		}
	}
}
