// SPDX-License-Identifier: MIT

package main

import (
	"net/http"
	"os"

	"github.com/pleat-go/pleat"
)

// A soak that finds nothing says something only if it finds what is there: so the
// server can be told to do one thing wrong, and the tests do.

// faults are what there is to choose from.
var faults = []string{"cross", "lose", "twice", "leak", "race"}

// leaked is what a fault keeps for ever.
type leaked struct {
	heap  [][]byte
	files []*os.File
}

// fault does wrong what the configuration asks for, once it is known what the server
// is like at rest: for the first request and then for one in a hundred. Those that
// hang are spared, as it would take their clients too long to notice.
func (s *site) fault(c *pleat.Context, number uint64) {
	if s.config.Fault == "" || c.Path() == "/hang" {
		return
	}
	s.mu.Lock()
	due := s.faulty && s.spared%100 == 0
	if s.faulty {
		s.spared++
	}
	s.mu.Unlock()
	if !due {
		return
	}
	switch s.config.Fault {
	case "cross":
		_ = c.SetHeader(nonceHeader, makeNonce("text", number+1))
	case "lose":
		panic(http.ErrAbortHandler)
	case "twice":
		if _, again := calledTwice.Get(c); !again {
			calledTwice.Set(c, true)
			_ = s.account(func(*pleat.Context) error { return nil })(c)
		}
	case "race":
		go func() { s.underway++ }()
	case "leak":
		s.leak()
	}
}

var calledTwice = pleat.NewKey[bool]("called twice")

// leak leaves a goroutine, a descriptor, a temporary file and some memory behind.
func (s *site) leak() {
	go func() { select {} }()
	temp, err := os.CreateTemp("", "soak")
	if err != nil {
		s.violation(err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaked.files = append(s.leaked.files, temp)
	s.leaked.heap = append(s.leaked.heap, make([]byte, 4*heapSlack))
}
