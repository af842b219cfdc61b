// SPDX-License-Identifier: MIT

package middleware_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/middleware"
)

// A sink that takes nothing holds a log call up for a moment, once; then lines are
// dropped and, when it goes on, accounted for.
func TestLogWriterStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, gate := &testSink{}, make(chan struct{})
		sink.do(func(p []byte) (int, error) { <-gate; return len(p), nil })
		w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{Size: 100, FlushSize: 50, MaxWait: 30 * time.Millisecond})
		line := func(n int) string { return fmt.Sprintf("%048d\n", n) }
		call := func(n int, wait time.Duration, dropped uint64) {
			t.Helper()
			start := time.Now()
			write(t, w, line(n))
			synctest.Wait()
			if took := time.Since(start); took != wait {
				t.Errorf("line %d took %v, want %v", n, took, wait)
			}
			if got := w.Dropped(); got != dropped {
				t.Errorf("after line %d: dropped %d, want %d", n, got, dropped)
			}
		}
		call(1, 0, 0) // collected
		call(2, 0, 0) // on their way
		call(3, 0, 0)
		call(4, 0, 0)
		call(5, 30*time.Millisecond, 1)
		call(6, 0, 2) // nobody waits a second time
		start := time.Now()
		if _, err := w.WriteLevel(zerolog.ErrorLevel, []byte("urgent\n")); err != nil || time.Since(start) != 0 {
			t.Errorf("error line: %v, took %v", err, time.Since(start))
		}
		if w.Dropped() != 3 {
			t.Errorf("dropped %d", w.Dropped())
		}
		gate <- struct{}{}
		synctest.Wait() // the sink takes the second batch, and is stuck again
		call(7, 30*time.Millisecond, 4)
		close(gate)
		synctest.Wait()
		call(8, 0, 4)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		lines := strings.SplitAfter(sink.text(), "\n")
		notes, kept := uint64(0), ""
		for _, l := range lines {
			var note struct {
				Level   string
				Dropped uint64
				Time    time.Time
			}
			if strings.HasPrefix(l, "{") {
				if err := json.Unmarshal([]byte(l), &note); err != nil || note.Level != "warn" || note.Time.IsZero() {
					t.Errorf("%q: %v", l, err)
				}
				notes += note.Dropped
				kept += fmt.Sprintf("<%d>", note.Dropped)
				continue
			}
			kept += strings.TrimLeft(strings.TrimSpace(l), "0")
		}
		if kept != "1234<3><1>8" || notes != w.Dropped() {
			t.Errorf("the sink has %s, dropped %d", kept, w.Dropped())
		}
	})
}

func TestLogWriterNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, gate := &testSink{}, make(chan struct{})
		sink.do(func(p []byte) (int, error) { <-gate; return len(p), nil })
		w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{Size: 10, MaxWait: -1})
		start := time.Now()
		for range 5 {
			write(t, w, "12345678\n")
			synctest.Wait()
		}
		if _, err := w.WriteLevel(zerolog.ErrorLevel, []byte("x")); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 0 || w.Dropped() != 3 {
			t.Errorf("took %v, dropped %d", took, w.Dropped())
		}
		close(gate)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestLogWriterCloseStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink, gate := &testSink{}, make(chan struct{})
		sink.do(func(p []byte) (int, error) { <-gate; return len(p), nil })
		w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{CloseTimeout: time.Second})
		write(t, w, "a\n")
		for _, f := range []func() error{w.Flush, w.Close, w.Close} {
			start := time.Now()
			if err := f(); !errors.Is(err, middleware.ErrLogStalled) || time.Since(start) != time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
		close(gate)
		if err := w.Close(); err != nil || sink.text() != "a\n" {
			t.Errorf("%v, sink %q", err, sink.text())
		}
	})
}

// Close can be called again, and what comes after it is not lost.
func TestLogWriterAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &testSink{}
		w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{})
		if err := w.Close(); err != nil || sink.calls() != 0 {
			t.Errorf("%v, %d writes", err, sink.calls())
		}
		write(t, w, "a\n")
		if sink.text() != "a\n" {
			t.Error("a line after Close waits")
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		write(t, w, "b\n")
		write(t, w, "")
		if n, err := w.Write(nil); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if sink.text() != "a\nb\n" || sink.calls() != 2 {
			t.Errorf("%q in %d writes", sink.text(), sink.calls())
		}
	})
}

func TestLogWriterCloseConcurrently(t *testing.T) {
	sink := &testSink{}
	w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{MaxWait: time.Hour, CloseTimeout: -1})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				write(t, w, "line\n")
			}
		})
		wg.Go(func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := strings.Count(sink.text(), "line\n"); got != 800 || len(sink.text()) != 4000 {
		t.Errorf("%d lines", got)
	}
}
