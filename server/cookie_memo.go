// SPDX-License-Identifier: MIT

package server

import (
	"crypto/subtle"
	"hash/maphash"
	"strings"
	"sync/atomic"
)

const (
	memoSlots = 1024
	memoValue = 512 // longest cookie that is remembered
)

// cookieMemo remembers cookies whose MAC was found right. A client sends the same
// session cookie with every request, and verifying it anew costs more than
// everything else a small handler does. Only what was verified gets in, so the
// memo never makes a cookie good that is not; its times are judged anew each time. A ring has a memo of its own: other secrets, another memo.
//
// It is bounded: a cookie has one place, given by a keyed hash that nobody outside
// can aim at, and takes it from whoever had it.
type cookieMemo struct {
	seed  maphash.Seed
	slots [memoSlots]atomic.Pointer[verifiedCookie]
}

// verifiedCookie never changes.
type verifiedCookie struct {
	name, value string
	payload     string
	issued      int64 // Unix seconds
	sealed      bool  // it was encrypted
}

func newCookieMemo() *cookieMemo { return &cookieMemo{seed: maphash.MakeSeed()} }

func (m *cookieMemo) slot(value string) *atomic.Pointer[verifiedCookie] {
	return &m.slots[maphash.String(m.seed, value)%memoSlots]
}

// get is the payload of a cookie that was verified before; the slice is the
// caller's.
func (m *cookieMemo) get(name, value string, encryptedOnly bool) (payload []byte, issued int64, ok bool) {
	v := m.slot(value).Load()
	if v == nil || v.name != name || encryptedOnly && !v.sealed {
		return nil, 0, false
	}
	// In constant time: how far a guess agrees with somebody's MAC is nobody's to
	// measure.
	if subtle.ConstantTimeCompare(bytesOf(v.value), bytesOf(value)) != 1 {
		return nil, 0, false
	}
	return []byte(v.payload), v.issued, true
}

// put remembers a verified cookie. Copies are kept: the value is part of a
// request's text, which should not stay for its sake.
func (m *cookieMemo) put(name, value string, payload []byte, issued int64, sealed bool) {
	if len(value) > memoValue {
		return
	}
	m.slot(value).Store(&verifiedCookie{
		name: strings.Clone(name), value: strings.Clone(value), payload: string(payload),
		issued: issued, sealed: sealed,
	})
}
