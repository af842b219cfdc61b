// SPDX-License-Identifier: MIT

package main

import (
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	maxMembers  = 1000
	keptEntries = 100 // of the past, for those who come later
	queueLength = 64  // entries that one receiver may be behind
)

// entry is something that happened in the room.
type entry struct {
	ID   int64     `json:"id"` // counts up from 1
	Kind string    `json:"kind"`
	Name string    `json:"name"`
	Text string    `json:"text,omitempty"`
	Here []string  `json:"here,omitempty"` // with joined and left: who is here then
	Time time.Time `json:"time"`
}

const (
	kindMessage = "message"
	kindJoined  = "joined"
	kindLeft    = "left"
)

// receiver gets what happens. Its queue is closed when it falls too far behind:
// nobody waits for it.
type receiver struct {
	queue chan entry
	wants func(entry) bool
}

// room is a chat room. Its methods are safe for concurrent use.
type room struct {
	epoch string // tells this room from the one before a restart

	mu        sync.Mutex
	last      int64
	past      []entry
	names     []string // who is here, in order of arrival
	receivers map[*receiver]struct{}
}

func newRoom() *room {
	return &room{epoch: rand.Text(), receivers: map[*receiver]struct{}{}}
}

// join lets somebody in under a name that nobody has, like the one wanted; false
// when the room is full.
func (r *room) join(wanted string) (name string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.names) >= maxMembers {
		return "", false
	}
	name = wanted
	for n := 2; slices.Contains(r.names, name); n++ {
		name = fmt.Sprintf("%s (%d)", wanted, n)
	}
	r.names = append(r.names, name)
	r.happen(entry{Kind: kindJoined, Name: name, Here: slices.Clone(r.names)})
	return name, true
}

func (r *room) leave(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = slices.DeleteFunc(r.names, func(n string) bool { return n == name })
	r.happen(entry{Kind: kindLeft, Name: name, Here: slices.Clone(r.names)})
}

func (r *room) say(name, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.happen(entry{Kind: kindMessage, Name: name, Text: text})
}

// happen tells everybody. The caller holds mu.
func (r *room) happen(e entry) {
	r.last++
	e.ID, e.Time = r.last, time.Now().UTC().Truncate(time.Second)
	if len(r.past) == keptEntries {
		r.past = slices.Delete(r.past, 0, 1)
	}
	r.past = append(r.past, e)
	for to := range r.receivers {
		if !to.wants(e) {
			continue
		}
		select {
		case to.queue <- e:
		default:
			close(to.queue)
			delete(r.receivers, to)
		}
	}
}

// listen returns what happened after an entry, as far as it is known, and a receiver
// of what follows.
func (r *room) listen(after int64, wants func(entry) bool) (missed []entry, to *receiver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.past {
		if e.ID > after && wants(e) {
			missed = append(missed, e)
		}
	}
	to = &receiver{make(chan entry, queueLength), wants}
	r.receivers[to] = struct{}{}
	return missed, to
}

func (r *room) unlisten(to *receiver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.receivers, to)
}

// here is who is here, and the last entry by now.
func (r *room) here() (names []string, last int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.names), r.last
}
