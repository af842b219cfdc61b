// SPDX-License-Identifier: MIT

package server

import (
	"crypto/subtle"
	"hash/maphash"
	"reflect"
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

// verifiedCookie is a cookie whose MAC is right. It never changes, but for what is
// remembered of decoding it.
type verifiedCookie struct {
	name, value string
	payload     string
	issued      int64 // Unix seconds
	sealed      bool  // it was encrypted
	decoded     atomic.Pointer[reflect.Value]
}

func newCookieMemo() *cookieMemo { return &cookieMemo{seed: maphash.MakeSeed()} }

func (m *cookieMemo) slot(value string) *atomic.Pointer[verifiedCookie] {
	return &m.slots[maphash.String(m.seed, value)%memoSlots]
}

// get is a cookie that was verified before; nil when it was not, or is forgotten.
func (m *cookieMemo) get(name, value string, encryptedOnly bool) *verifiedCookie {
	v := m.slot(value).Load()
	if v == nil || v.name != name || encryptedOnly && !v.sealed {
		return nil
	}
	// In constant time: how far a guess agrees with somebody's MAC is nobody's to
	// measure.
	if subtle.ConstantTimeCompare(bytesOf(v.value), bytesOf(value)) != 1 {
		return nil
	}
	return v
}

// put remembers a verified cookie. Copies are kept: name and value are part of a
// request's text, which should not stay for their sake.
func (m *cookieMemo) put(v *verifiedCookie) {
	if len(v.value) > memoValue {
		return
	}
	v.name, v.value = strings.Clone(v.name), strings.Clone(v.value)
	m.slot(v.value).Store(v)
}
