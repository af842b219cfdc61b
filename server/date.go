// SPDX-License-Identifier: MIT

package server

import (
	"net/http"
	"sync/atomic"
	"time"
)

// headClock keeps the Server and Date lines, which change once a second, ready
// to be copied into every head.
type headClock struct {
	server string // encoded Server line, empty for none
	block  atomic.Pointer[clockBlock]
	// ticking says that somebody calls tick, much more often than once a second.
	ticking atomic.Bool
}

type clockBlock struct {
	second int64
	both   []byte
	date   int // where the Date line starts in both
}

// now is the block of this second, found without asking for the time while
// somebody else does.
func (k *headClock) now() *clockBlock {
	if b := k.block.Load(); b != nil && k.ticking.Load() {
		return b
	}
	return k.tick()
}

// tick makes the block that of this second.
func (k *headClock) tick() *clockBlock {
	now := time.Now()
	b := k.block.Load()
	if b != nil && b.second == now.Unix() {
		return b
	}
	b = &clockBlock{second: now.Unix(), date: len(k.server)}
	b.both = append(b.both, k.server...)
	b.both = append(b.both, "Date: "...)
	b.both = now.UTC().AppendFormat(b.both, http.TimeFormat)
	b.both = append(b.both, "\r\n"...)
	k.block.Store(b)
	return b
}

// appendTo appends both lines (RFC 9110, sections 6.6.1 and 10.2.4).
func (k *headClock) appendTo(dst []byte) []byte { return append(dst, k.now().both...) }

func (k *headClock) appendParts(dst []byte, server, date bool) []byte {
	b := k.now()
	if server {
		dst = append(dst, b.both[:b.date]...)
	}
	if date {
		dst = append(dst, b.both[b.date:]...)
	}
	return dst
}
