// SPDX-License-Identifier: MIT

package server

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestConnTable(t *testing.T) {
	var table connTable
	for _, fd := range []int{-1, 0, 5, math.MaxInt32} {
		if k := table.get(fd, 1); k != nil {
			t.Errorf("get(%d) of an empty table = %v", fd, k)
		}
	}
	table.each(func(*loopConn) { t.Error("an empty table has an entry") })

	old := &loopConn{fd: 5}
	table.put(old)
	far := &loopConn{fd: 3*pageSize + 1} // pages in between come into being
	table.put(far)
	if table.get(5, old.gen) != old || table.get(far.fd, far.gen) != far {
		t.Error("entries are not found")
	}
	for _, fd := range []int{4, 6, pageSize + 5, 2 * pageSize, 4 * pageSize, -pageSize, -1} {
		if k := table.get(fd, old.gen); k != nil {
			t.Errorf("get(%d) = %v", fd, k)
		}
	}

	// The number is in use again: what was meant for the old connection finds
	// nothing, and the old one going does not take the new one along.
	again := &loopConn{fd: 5}
	table.put(again)
	if table.get(5, old.gen) != nil || table.get(5, again.gen) != again {
		t.Error("generations are mixed up")
	}
	table.remove(old)
	if table.get(5, again.gen) != again {
		t.Error("the new connection went with the old one")
	}
	seen := map[*loopConn]bool{}
	table.each(func(k *loopConn) { seen[k] = true })
	if len(seen) != 2 || !seen[again] || !seen[far] {
		t.Errorf("each called for %d entries", len(seen))
	}
	table.remove(again)
	table.remove(again)
	if table.get(5, again.gen) != nil {
		t.Error("a removed connection is found")
	}

	table.generation.Store(math.MaxUint32)
	table.put(again)
	if again.gen != 0 || table.get(5, 0) != again {
		t.Error("the generation after the last is not found")
	}
}

// TestConnTableModel compares the table with a map.
func TestConnTableModel(t *testing.T) {
	var table connTable
	rng := rand.New(rand.NewPCG(1, 2))
	model := map[int]*loopConn{}
	var gone []*loopConn
	for range 20_000 {
		fd := rng.IntN(3 * pageSize)
		if k := model[fd]; k != nil {
			table.remove(k)
			delete(model, fd)
			gone = append(gone, k)
		} else {
			model[fd] = &loopConn{fd: fd}
			table.put(model[fd])
		}
		if len(gone) > 0 {
			if k := gone[rng.IntN(len(gone))]; table.get(k.fd, k.gen) != nil {
				t.Fatalf("found a connection that is gone: descriptor %d, generation %d", k.fd, k.gen)
			}
		}
	}
	for fd, k := range model {
		if table.get(fd, k.gen) != k {
			t.Fatalf("descriptor %d is not found", fd)
		}
	}
	n := 0
	table.each(func(k *loopConn) {
		n++
		if model[k.fd] != k {
			t.Errorf("each called for %d", k.fd)
		}
	})
	if n != len(model) {
		t.Errorf("each called %d times, want %d", n, len(model))
	}
}

// TestConnTableConcurrently has several goroutines each own some descriptors
// while others look at all of them.
func TestConnTableConcurrently(t *testing.T) {
	var table connTable
	var owners, readers sync.WaitGroup
	done := make(chan struct{})
	for i := range 4 {
		owners.Go(func() {
			for n := range 2000 {
				k := &loopConn{fd: (n*4 + i) % (5 * pageSize)}
				table.put(k)
				if table.get(k.fd, k.gen) != k {
					t.Error("an entry is not found by its owner")
				}
				table.remove(k)
			}
		})
	}
	readers.Go(func() {
		for fd := 0; ; fd++ {
			select {
			case <-done:
				return
			default:
				if k := table.get(fd%(6*pageSize), uint32(fd)); k != nil && (k.fd != fd%(6*pageSize) || k.gen != uint32(fd)) {
					t.Errorf("get(%d, %d) = %d, %d", fd, fd, k.fd, k.gen)
				}
				table.each(func(*loopConn) {})
			}
		}
	})
	owners.Wait()
	close(done)
	readers.Wait()
	table.each(func(k *loopConn) { t.Errorf("%d was left", k.fd) })
}
