// SPDX-License-Identifier: MIT

package server_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestMain checks that the tests leave nothing behind: what serving started has
// to end with it.
func TestMain(m *testing.M) {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close() // the runtime's own descriptors exist from here on
	}
	goroutines, files := runtime.NumGoroutine(), openFiles()
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if code == 0 && !settles(func() bool { return runtime.NumGoroutine() <= goroutines }) {
		stacks := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "leaked goroutines: %d at the start, %d at the end\n%s\n",
			goroutines, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		code = 1
	}
	if code == 0 && !settles(func() bool { return openFiles() <= files }) {
		fmt.Fprintf(os.Stderr, "leaked descriptors: %d at the start, %d at the end\n", files, openFiles())
		code = 1
	}
	os.Exit(code)
}

// settles waits for something that is on its way.
func settles(done func() bool) bool {
	for deadline := time.Now().Add(10 * time.Second); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			return false
		}
		runtime.GC() // finishes what only finalizers close, and takes a moment
	}
	return true
}

// openFiles is the number of open descriptors, 0 where that cannot be told.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
