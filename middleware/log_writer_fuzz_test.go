// SPDX-License-Identifier: MIT

package middleware_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/middleware"
)

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
