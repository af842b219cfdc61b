// SPDX-License-Identifier: MIT

package pleat_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"testing"
	"time"
)

// TestMain checks that the tests leave no goroutine behind.
func TestMain(m *testing.M) {
	flag.Parse()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // which leaves a goroutine for signals
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	signal.Stop(signals) // the goroutine of package signal exists from here on
	before := runtime.NumGoroutine()
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	inTest := os.Getenv("PLEAT_TEST_RUN") == "" // a program that gets signals keeps a goroutine for them
	if code == 0 && inTest && !fuzzing && !settles(func() bool { return runtime.NumGoroutine() <= before }) {
		stacks := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "goroutines left behind: %d at the start, %d at the end\n%s\n",
			before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		code = 1
	}
	os.Exit(code)
}

// settles waits for an end that has no signal.
func settles(done func() bool) bool {
	for deadline := time.Now().Add(30 * time.Second); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
