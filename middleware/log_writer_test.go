// SPDX-License-Identifier: MIT

package middleware_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/middleware"
)

// testSink remembers what it was given and does as it is told.
type testSink struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	writes int
	onCall func(p []byte) (n int, err error) // what to do instead of taking all
	inside bool
}

func (s *testSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	if s.inside {
		panic("two writes at a time")
	}
	s.inside = true
	s.writes++
	onCall := s.onCall
	s.mu.Unlock()
	n, err := len(p), error(nil)
	defer func() {
		s.mu.Lock()
		s.inside = false
		s.buf.Write(p[:n])
		s.mu.Unlock()
	}()
	if onCall != nil {
		n = 0 // in case it panics
		n, err = onCall(p)
	}
	return n, err
}

func (s *testSink) do(onCall func(p []byte) (int, error)) {
	s.mu.Lock()
	s.onCall = onCall
	s.mu.Unlock()
}

func (s *testSink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func (s *testSink) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(w, text); n != len(text) || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
}

// When a line reaches the sink.
func TestLogWriterFlushes(t *testing.T) {
	long := strings.Repeat("x", 999) + "\n"
	level := func(l zerolog.Level) func(*testing.T, *middleware.LogWriter) {
		return func(t *testing.T, w *middleware.LogWriter) {
			if _, err := w.WriteLevel(l, []byte("leveled\n")); err != nil {
				t.Error(err)
			}
		}
	}
	const never = -1
	tests := []struct {
		name   string
		config middleware.LogWriterConfig
		do     func(*testing.T, *middleware.LogWriter)
		after  time.Duration // never, or after how long it is there
	}{
		{"a line", middleware.LogWriterConfig{}, func(t *testing.T, w *middleware.LogWriter) { write(t, w, "a\n") }, 100 * time.Millisecond},
		{"sooner", middleware.LogWriterConfig{FlushEvery: time.Millisecond}, func(t *testing.T, w *middleware.LogWriter) { write(t, w, "a\n") }, time.Millisecond},
		{"no timer", middleware.LogWriterConfig{FlushEvery: -1}, func(t *testing.T, w *middleware.LogWriter) { write(t, w, "a\n") }, never},
		{"not enough", middleware.LogWriterConfig{FlushEvery: -1}, func(t *testing.T, w *middleware.LogWriter) {
			for range 32 {
				write(t, w, long)
			}
		}, never},
		{"enough", middleware.LogWriterConfig{FlushEvery: -1}, func(t *testing.T, w *middleware.LogWriter) {
			for range 33 {
				write(t, w, long)
			}
		}, 0},
		{"enough for this one", middleware.LogWriterConfig{FlushEvery: -1, FlushSize: 2000}, func(t *testing.T, w *middleware.LogWriter) {
			write(t, w, long)
			write(t, w, long)
		}, 0},
		{"longer than the buffer", middleware.LogWriterConfig{FlushEvery: -1}, func(t *testing.T, w *middleware.LogWriter) {
			write(t, w, strings.Repeat("x", 200_000)+"\n")
		}, 0},
		{"no buffer", middleware.LogWriterConfig{FlushEvery: -1, Size: -1}, func(t *testing.T, w *middleware.LogWriter) { write(t, w, "a\n"); write(t, w, "b\n") }, 0},
		{"trace", middleware.LogWriterConfig{}, level(zerolog.TraceLevel), 100 * time.Millisecond},
		{"info", middleware.LogWriterConfig{}, level(zerolog.InfoLevel), 100 * time.Millisecond},
		{"warn", middleware.LogWriterConfig{}, level(zerolog.WarnLevel), 100 * time.Millisecond},
		{"error", middleware.LogWriterConfig{}, level(zerolog.ErrorLevel), 0},
		{"fatal", middleware.LogWriterConfig{}, level(zerolog.FatalLevel), 0},
		{"panic", middleware.LogWriterConfig{}, level(zerolog.PanicLevel), 0},
		{"no level", middleware.LogWriterConfig{}, level(zerolog.NoLevel), 100 * time.Millisecond},
		{"warn, if so wanted", middleware.LogWriterConfig{FlushLevel: zerolog.WarnLevel}, level(zerolog.WarnLevel), 0},
		{"all, if so wanted", middleware.LogWriterConfig{FlushLevel: zerolog.TraceLevel}, level(zerolog.DebugLevel), 0},
		{"none, if so wanted", middleware.LogWriterConfig{FlushLevel: zerolog.Disabled}, level(zerolog.PanicLevel), 100 * time.Millisecond},
		{"error after others", middleware.LogWriterConfig{}, func(t *testing.T, w *middleware.LogWriter) { write(t, w, "a\n"); level(zerolog.ErrorLevel)(t, w) }, 0},
		{"Flush", middleware.LogWriterConfig{FlushEvery: -1}, func(t *testing.T, w *middleware.LogWriter) {
			write(t, w, "a\n")
			if err := w.Flush(); err != nil {
				t.Error(err)
			}
		}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := &testSink{}
				w := middleware.NewLogWriter(sink, test.config)
				start := time.Now()
				test.do(t, w)
				if took := time.Since(start); took != 0 {
					t.Errorf("the log call took %v", took)
				}
				synctest.Wait()
				if at := sink.text() != ""; at != (test.after == 0) {
					t.Errorf("in the sink at once: %v", at)
				}
				if test.after > 0 {
					time.Sleep(test.after - 1)
					synctest.Wait()
					if sink.text() != "" {
						t.Error("in the sink too early")
					}
					time.Sleep(time.Nanosecond)
					synctest.Wait()
					if sink.text() == "" {
						t.Error("not in the sink in time")
					}
				}
				if test.after == never {
					time.Sleep(time.Hour)
					synctest.Wait()
					if sink.text() != "" {
						t.Error("in the sink")
					}
				}
				if err := w.Close(); err != nil || w.Dropped() != 0 || sink.text() == "" {
					t.Errorf("Close() = %v, dropped %d, sink %.20q", err, w.Dropped(), sink.text())
				}
			})
		})
	}
}

// Many goroutines, lines of all sizes: each line whole, those of one goroutine in
// order, and far fewer writes than lines.
func TestLogWriterConcurrently(t *testing.T) {
	const writers, each = 8, 500
	sink := &testSink{}
	w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{MaxWait: time.Hour, FlushLevel: zerolog.Disabled, CloseTimeout: -1})
	var wg sync.WaitGroup
	for i := range writers {
		log := zerolog.New(w).With().Int("writer", i).Logger()
		wg.Go(func() {
			for n := range each {
				pad := strings.Repeat("p", n%300)
				if n%100 == 50 {
					pad = strings.Repeat("p", 100_000)
				}
				log.WithLevel(zerolog.Level(n%4)).Int("n", n).Str("pad", pad).Send()
				if n%77 == 0 {
					if err := w.Flush(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	next := [writers]int{}
	lines := strings.SplitAfter(sink.text(), "\n")
	for _, line := range lines[:len(lines)-1] {
		fields := parseLine(t, []byte(line))
		i, n := int(fields["writer"].(float64)), int(fields["n"].(float64))
		if next[i] != n {
			t.Fatalf("line %d of writer %d comes where %d is due", n, i, next[i])
		}
		next[i]++
	}
	for i := range next {
		if next[i] != each {
			t.Errorf("%d lines of writer %d", next[i], i)
		}
	}
	if w.Dropped() != 0 || sink.calls() > writers*each/4 {
		t.Errorf("%d writes, %d lines dropped", sink.calls(), w.Dropped())
	}
}

// Errors of the sink come to light, and spoil only the lines they met.
func TestLogWriterErrors(t *testing.T) {
	broken := errors.New("disk full")
	tests := []struct {
		name    string
		onCall  func(p []byte) (int, error)
		kept    string // of "one\ntwo\n"
		dropped uint64
		want    string // in the error
	}{
		{"nothing taken", func([]byte) (int, error) { return 0, broken }, "", 2, "disk full"},
		{"a line taken", func([]byte) (int, error) { return 4, broken }, "one\n", 1, "disk full"},
		{"a line and a half", func([]byte) (int, error) { return 6, broken }, "one\ntw\n", 1, "disk full"},
		{"half a line", func([]byte) (int, error) { return 2, broken }, "on\n", 2, "disk full"},
		{"all but an end of line", func([]byte) (int, error) { return 7, broken }, "one\ntwo\n", 0, "disk full"},
		{"all taken", func(p []byte) (int, error) { return len(p), broken }, "one\ntwo\n", 0, "disk full"},
		{"short without an error", func([]byte) (int, error) { return 4, nil }, "one\n", 1, io.ErrShortWrite.Error()},
		{"panic", func([]byte) (int, error) { panic("sink panic") }, "", 2, "sink panic"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sink := &testSink{}
			w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{FlushEvery: -1}) // not before the sink fails
			write(t, w, "one\n")
			write(t, w, "two\n")
			sink.do(test.onCall)
			if err := w.Flush(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Flush() = %v", err)
			}
			if w.Dropped() != test.dropped {
				t.Errorf("dropped %d, want %d", w.Dropped(), test.dropped)
			}
			sink.do(nil)
			write(t, w, "three\n")
			if err := w.Close(); err != nil { // it was said once
				t.Errorf("Close() = %v", err)
			}
			got := sink.text()
			if test.dropped > 0 {
				i, j := strings.Index(got, "{"), strings.Index(got, "}\n")
				if i < 0 || j < 0 || !strings.Contains(got[i:j], fmt.Sprintf(`"dropped":%d,`, test.dropped)) {
					t.Fatalf("no note of %d lines in %q", test.dropped, got)
				}
				got = got[:i] + got[j+2:]
			}
			if got != test.kept+"three\n" {
				t.Errorf("the sink has %q", got)
			}
		})
	}
}

// An error line gets to know at once, others with the next call.
func TestLogWriterErrorReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &testSink{}
		sink.do(func([]byte) (int, error) { return 0, errors.New("no") })
		w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{})
		if n, err := w.WriteLevel(zerolog.ErrorLevel, []byte("a\n")); n != 2 || err == nil {
			t.Errorf("%d, %v", n, err)
		}
		write(t, w, "b\n")
		time.Sleep(time.Second)
		synctest.Wait()
		if n, err := w.Write([]byte("c\n")); n != 2 || err == nil {
			t.Errorf("%d, %v", n, err)
		}
		time.Sleep(time.Hour) // it does not try for ever on its own
		synctest.Wait()
		if sink.calls() > 4 {
			t.Errorf("%d writes", sink.calls())
		}
		sink.do(nil)
		if err := w.Close(); err == nil { // that of "c"
			t.Error("no error")
		}
		if text := sink.text(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"dropped":3,`) || w.Dropped() != 3 {
			t.Errorf("%q, dropped %d", text, w.Dropped())
		}
	})
}

// A sink that logs to the log it serves must not lock it up.
func TestLogWriterReentrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &testSink{}
		w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{})
		once := sync.Once{}
		sink.do(func(p []byte) (int, error) {
			once.Do(func() { _, _ = w.WriteLevel(zerolog.ErrorLevel, []byte("inner\n")) })
			return len(p), nil
		})
		write(t, w, "outer\n")
		if err := w.Close(); err != nil || sink.text() != "outer\ninner\n" {
			t.Errorf("%v, %q", err, sink.text())
		}
	})
}

// zerolog closes the writer before it ends the program.
func TestLogWriterFatal(t *testing.T) {
	exited := false
	zerolog.FatalExitFunc = func() { exited = true }
	defer func() { zerolog.FatalExitFunc = nil }()
	sink := &testSink{}
	log := zerolog.New(middleware.NewLogWriter(sink, middleware.LogWriterConfig{FlushEvery: -1, FlushLevel: zerolog.Disabled}))
	log.Info().Msg("first")
	log.Fatal().Msg("last")
	if !exited || strings.Count(sink.text(), "\n") != 2 {
		t.Errorf("exited %v, sink %q", exited, sink.text())
	}
}

func TestNewLogWriterWithoutSink(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "no sink") {
			t.Errorf("recovered %v", err)
		}
	}()
	middleware.NewLogWriter(nil, middleware.LogWriterConfig{})
}

func ExampleLogWriter() {
	out := middleware.NewLogWriter(os.Stdout, middleware.LogWriterConfig{})
	log := zerolog.New(out)
	log.Info().Str("name", "pleat").Msg("collected")
	log.Error().Msg("written at once, with all before it")
	if err := out.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"level":"info","name":"pleat","message":"collected"}
	// {"level":"error","message":"written at once, with all before it"}
}
