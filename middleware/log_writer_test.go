// SPDX-License-Identifier: MIT

package middleware_test

import (
	"bytes"
	"encoding/json"
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
	w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{MaxWait: time.Hour, FlushLevel: zerolog.Disabled})
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
	w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{MaxWait: time.Hour})
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
			w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{})
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

// Whatever the sink does, every line is delivered whole and in order, or counted.
func FuzzLogWriter(f *testing.F) {
	f.Add([]byte("aaaa"), []byte("0"), uint16(100))
	f.Add([]byte("aEaFaaazzzzzzzzz"), []byte("0123456789"), uint16(200))
	f.Add([]byte("zzzzzzzzaaaaEEEEaaaaFsssa"), []byte("1111222244443333"), uint16(64))
	f.Add([]byte("aaaaasaaaaasCaaaE"), []byte("5550555"), uint16(1))
	f.Add([]byte("\x02\x00"), []byte("2"), uint16(55)) // a write ends just before the end of a line
	f.Fuzz(func(t *testing.T, ops, faults []byte, size uint16) {
		if len(ops) > 200 {
			ops = ops[:200]
		}
		synctest.Test(t, func(t *testing.T) {
			sink, calls := &testSink{}, 0
			sink.do(func(p []byte) (int, error) {
				fault := byte(0)
				if calls < len(faults) {
					fault = faults[calls]
				}
				calls++
				switch fault % 8 {
				case 1:
					return 0, errors.New("refused")
				case 2:
					return len(p) / 2, errors.New("half")
				case 3:
					return len(p) * int(fault) / 256, nil
				case 4:
					time.Sleep(time.Duration(fault) * 10 * time.Millisecond)
				case 5:
					panic("sink")
				case 6:
					time.Sleep(time.Minute)
				}
				return len(p), nil
			})
			w := middleware.NewLogWriter(sink, middleware.LogWriterConfig{Size: int(size)})
			lines := uint64(0)
			for _, op := range ops {
				level := zerolog.InfoLevel
				switch op {
				case 's':
					time.Sleep(120 * time.Millisecond)
					continue
				case 'F':
					_ = w.Flush()
					continue
				case 'C':
					_ = w.Close()
					continue
				case 'E':
					level = zerolog.ErrorLevel
				}
				lines++
				text := fmt.Sprintf(`{"id":%d,"pad":"%s"}`+"\n", lines, strings.Repeat("p", int(op)))
				if n, _ := w.WriteLevel(level, []byte(text)); n != len(text) {
					t.Fatalf("Write = %d", n)
				}
			}
			time.Sleep(time.Hour)
			sink.do(nil)
			_ = w.Flush() // may tell of an old error; a lost note is made up for next time
			if err := w.Close(); err != nil {
				t.Fatalf("Close() = %v", err)
			}
			checkDelivery(t, sink.text(), lines, w.Dropped())
		})
	})
}

func checkDelivery(t *testing.T, text string, lines, dropped uint64) {
	t.Helper()
	delivered, noted, last := uint64(0), uint64(0), uint64(0)
	for line := range strings.SplitSeq(text, "\n") {
		var v struct{ ID, Dropped uint64 }
		if json.Unmarshal([]byte(line), &v) != nil {
			continue // what an error left of a line
		}
		noted += v.Dropped
		if v.ID == 0 {
			continue
		}
		if v.ID <= last {
			t.Fatalf("line %d after %d", v.ID, last)
		}
		last = v.ID
		delivered++
	}
	if delivered+dropped != lines || noted != dropped {
		t.Fatalf("%d lines: %d delivered, %d dropped, %d of them noted, in %q", lines, delivered, dropped, noted, text)
	}
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
