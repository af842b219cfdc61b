// SPDX-License-Identifier: MIT

package client

import (
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
)

// maxInformational is how many 1xx answers may precede the final one. With a Got1xxResponse hook in place net/http
// starts its header limit anew with each of them, so the hook must count, or a peer could send them for ever.
const maxInformational = 16

var errInformational = &LimitError{What: "informational responses", Limit: maxInformational}

// informationalCounter is the hook and its count for the requests of one call. Its trace, which each call has, takes the
// hook of conn along.
type informationalCounter struct {
	trace httptrace.ClientTrace // never changed once made: the transport may look at it as long as a body is open
	n     atomic.Int32
	stop  func() // nil, or called besides the error
}

func newCounter() *informationalCounter {
	c := &informationalCounter{}
	c.trace.Got1xxResponse = c.count
	c.trace.GotConn = gotConn
	return c
}

var counters = sync.Pool{New: func() any { return newCounter() }}

func takeCounter() *informationalCounter {
	return counters.Get().(*informationalCounter)
}

// release is for a call whose requests have all been answered: no 1xx can follow. After a failed attempt the transport may
// still be counting.
func (c *informationalCounter) release() { counters.Put(c) }

func (c *informationalCounter) count(int, textproto.MIMEHeader) error {
	if c.n.Add(1) > maxInformational {
		if c.stop != nil {
			c.stop()
		}
		return errInformational
	}
	return nil
}
