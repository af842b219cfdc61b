// SPDX-License-Identifier: MIT

package server_test

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// TestMain checks that the tests leave nothing behind: what serving started has
// to end with it.
func TestMain(m *testing.M) {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = l.Close() // the runtime's own descriptors exist from here on
	}
	goroutines, files := runtime.NumGoroutine(), openFiles()
	code := 0
	for _, engine = range engines() {
		if code = m.Run(); code != 0 {
			break
		}
	}
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		os.Exit(code) // the fuzzing engine has goroutines of its own
	}
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

// engine is what servers of the tests run on.
var engine server.Engine

// engines are all engines that this system has; fuzzing and benchmarks make do
// with the default.
func engines() []server.Engine {
	flag.Parse()
	for _, name := range []string{"test.fuzz", "test.bench"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return []server.Engine{server.EngineAuto}
		}
	}
	if runtime.GOOS != "linux" {
		return []server.Engine{server.EngineGoroutine}
	}
	return []server.Engine{server.EngineAuto, server.EngineGoroutine}
}

// settles waits for something that is on its way.
func settles(done func() bool) bool {
	for deadline := time.Now().Add(patience); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			return false
		}
		runtime.GC() // finishes what only finalizers close, and takes a moment
	}
	return true
}

// openFiles is the number of open descriptors, 0 where that cannot be told.
func openFiles() (n int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasSuffix(target, "testlog.txt") { // the go command's own
			n++
		}
	}
	return n
}
