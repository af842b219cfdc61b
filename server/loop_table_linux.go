// SPDX-License-Identifier: MIT

package server

import (
	"slices"
	"sync"
	"sync/atomic"
)

// connTable finds connections by descriptor, without a lock. Each entry has a
// generation: an event for one that is gone finds nothing, even when its number
// is in use again.
type connTable struct {
	generation atomic.Uint32
	mu         sync.Mutex // held to add pages
	pages      atomic.Pointer[[]*connPage]
}

const pageSize = 1024

type connPage [pageSize]atomic.Pointer[loopConn]

// put enters a connection and gives it its generation.
func (t *connTable) put(k *loopConn) {
	k.gen = t.generation.Add(1)
	t.page(k.fd)[k.fd%pageSize].Store(k)
}

func (t *connTable) page(fd int) *connPage {
	i := fd / pageSize
	if pages := t.pages.Load(); pages != nil && i < len(*pages) {
		return (*pages)[i]
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var pages []*connPage
	if p := t.pages.Load(); p != nil {
		pages = slices.Clone(*p)
	}
	for len(pages) <= i {
		pages = append(pages, new(connPage))
	}
	t.pages.Store(&pages)
	return pages[i]
}

// get is the connection an event is for, nil when it is gone.
func (t *connTable) get(fd int, generation uint32) *loopConn {
	pages := t.pages.Load()
	if pages == nil || fd < 0 || fd/pageSize >= len(*pages) {
		return nil
	}
	k := (*pages)[fd/pageSize][fd%pageSize].Load()
	if k == nil || k.gen != generation {
		return nil
	}
	return k
}

func (t *connTable) remove(k *loopConn) {
	t.page(k.fd)[k.fd%pageSize].CompareAndSwap(k, nil)
}

// each calls f for every connection; some may come or go meanwhile.
func (t *connTable) each(f func(*loopConn)) {
	pages := t.pages.Load()
	if pages == nil {
		return
	}
	for _, page := range *pages {
		for i := range page {
			if k := page[i].Load(); k != nil {
				f(k)
			}
		}
	}
}
