// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
)

// stats is what a process has, after the garbage was collected.
type stats struct {
	Goroutines int
	Files      int   // open descriptors, 0 where that cannot be told
	Heap       int64 // octets that are reachable, without the ledger
	TempFiles  int
	Open       int // connections, without those that were taken over
	Underway   int // requests whose handlers have not returned
}

func (s stats) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %.2f MiB of heap, %d temporary files, %d connections, %d requests under way",
		s.Goroutines, s.Files, float64(s.Heap)/(1<<20), s.TempFiles, s.Open, s.Underway)
}

// takeStats collects garbage first: three times, as a sync.Pool gives up what it has
// in the second collection, and finalizers that the first one starts hold on to
// what the third one frees.
func takeStats() stats {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	temp, _ := os.ReadDir(os.TempDir())
	return stats{Goroutines: runtime.NumGoroutine(), Files: openFiles(), Heap: int64(m.HeapAlloc), TempFiles: len(temp)}
}

func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries) - 1 // that of the directory itself
}

// dump is what there is to see of a process from inside: its descriptors, the stacks
// of all goroutines, and what holds the heap.
func dump() string {
	var b strings.Builder
	files, _ := os.ReadDir("/proc/self/fd")
	for _, f := range files {
		target, _ := os.Readlink("/proc/self/fd/" + f.Name())
		fmt.Fprintf(&b, "descriptor %s: %s\n", f.Name(), target)
	}
	b.WriteByte('\n')
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	b.WriteString("\n\nheap:\n")
	_ = pprof.Lookup("heap").WriteTo(&b, 1)
	return b.String()
}
