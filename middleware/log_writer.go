// SPDX-License-Identifier: MIT

package middleware

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// ErrLogStalled is returned by [LogWriter.Flush] and [LogWriter.Close] when the
// sink did not take everything in time.
var ErrLogStalled = errors.New("middleware: the sink of the log is stuck")

// LogWriterConfig configures a [LogWriter]. The zero value works.
type LogWriterConfig struct {
	// Size is how many octets are collected while as many are being written,
	// 64 KiB by default. A longer line is taken all the same, alone.
	Size int
	// FlushSize is how many collected octets are written without waiting for
	// more, half of Size by default.
	FlushSize int
	// FlushEvery is how long a line waits at most before it is written, 100 ms by
	// default; negative means until FlushSize is reached.
	FlushEvery time.Duration
	// FlushLevel is the level from which on a line is in the sink when the log
	// call returns, along with all before it, so that it survives a crash. Zero,
	// which is zerolog.DebugLevel, means zerolog.ErrorLevel; zerolog.TraceLevel
	// means every line that has a level, and zerolog.Disabled none.
	FlushLevel zerolog.Level
	// MaxWait is how long a log call waits for the sink, 100 ms by default;
	// negative means not at all. When the buffer is full by then, lines are
	// dropped and counted until the sink takes something again.
	MaxWait time.Duration
	// CloseTimeout is how long Flush and Close wait for the sink, 5 s by default;
	// negative means for as long as it takes.
	CloseTimeout time.Duration
}

// LogWriter collects log lines and writes many of them at once, so that a request
// does not wait for the system call that its line takes (BenchmarkLogWriter
// compares). It is a zerolog.LevelWriter; make one with [NewLogWriter] and close it
// at the end of the program:
//
//	out := middleware.NewLogWriter(os.Stdout, middleware.LogWriterConfig{})
//	defer out.Close()
//	log := zerolog.New(out).With().Timestamp().Logger()
//
// Each Write is one line, or event, and reaches the sink in one piece and in order.
// Lines are collected in one buffer while another is being written. When the sink
// is stuck and the buffer is full, log calls wait a moment, once; then lines are
// dropped rather than requests held up, and when the sink goes on a line says how
// many.
//
// All methods are safe for concurrent use. The sink is written to from one
// goroutine at a time, which lives only while there is something to write. It is
// never closed.
type LogWriter struct {
	sink         io.Writer
	size         int
	flushSize    int
	flushEvery   time.Duration
	flushLevel   zerolog.Level
	maxWait      time.Duration
	closeTimeout time.Duration

	mu       sync.Mutex
	fill     []byte        // collected lines
	spare    []byte        // the other buffer, nil while it is being written
	timer    *time.Timer   // runs drain when lines have waited long enough
	armed    bool          // the timer runs
	draining bool          // drain runs, or is about to
	closed   bool          // lines no longer wait for others
	stalled  bool          // a wait for the sink was in vain
	accepted uint64        // octets that were ever put into fill
	written  uint64        // those of them that the sink has had
	wanted   uint64        // those of them that somebody waits for
	dropped  uint64        // lines the sink never got
	unsaid   uint64        // those of them that no line tells of yet
	noted    uint64        // those of them that the first line in fill tells of
	noteSize int           // octets of that line, 0 when there is none
	torn     bool          // the sink took only part of a line
	err      error         // of the sink, not reported yet
	changed  chan struct{} // closed at the next progress; nil when nobody waits
}

var _ zerolog.LevelWriter = (*LogWriter)(nil)

// NewLogWriter makes a LogWriter that writes to sink. Without a sink it panics.
func NewLogWriter(sink io.Writer, config LogWriterConfig) *LogWriter {
	if sink == nil {
		panic(errors.New("middleware: NewLogWriter: no sink"))
	}
	w := &LogWriter{
		sink:         sink,
		size:         orDefault(config.Size, 64<<10, 1),
		flushEvery:   orDefault(config.FlushEvery, 100*time.Millisecond, 0),
		flushLevel:   config.FlushLevel,
		maxWait:      orDefault(config.MaxWait, 100*time.Millisecond, 0),
		closeTimeout: orDefault(config.CloseTimeout, 5*time.Second, math.MaxInt64),
	}
	w.flushSize = min(orDefault(config.FlushSize, w.size/2, 1), w.size)
	if w.flushLevel == 0 {
		w.flushLevel = zerolog.ErrorLevel
	}
	w.fill, w.spare = make([]byte, 0, w.size), make([]byte, 0, w.size)
	return w
}

// orDefault resolves the convention of the fields: zero is the default, negative
// is none.
func orDefault[T int | time.Duration](v, def, none T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return none
	}
	return v
}

// Write takes a line without a level. A line that is dropped is no error: Dropped
// counts it. An error of the sink is returned once, by the next call of any method,
// and does not mean that the line given to that call is lost.
func (w *LogWriter) Write(line []byte) (int, error) { return w.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel takes a line. From FlushLevel on, and after Close, it waits until the
// line is in the sink.
func (w *LogWriter) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(line) == 0 {
		return 0, w.takeError()
	}
	if !w.fits(line) && !w.awaitRoom(line) {
		w.dropped++
		w.unsaid++
		return len(line), w.takeError()
	}
	w.add(line)
	switch {
	case w.closed, level >= w.flushLevel && level < zerolog.NoLevel:
		end := w.accepted
		w.want(end)
		if !w.stalled && !w.await(w.maxWait, func() bool { return w.written >= end }) {
			w.stalled = true
		}
	case len(w.fill) >= w.flushSize:
		w.startDrain()
	default:
		w.arm()
	}
	return len(line), w.takeError()
}

// Flush waits until every line that was taken before the call is in the sink. It
// returns [ErrLogStalled] when CloseTimeout is over first, and an error of the sink
// that was not returned yet.
func (w *LogWriter) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addNote()
	end := w.accepted
	w.want(end)
	if w.await(w.closeTimeout, func() bool { return w.written >= end }) {
		return w.takeError()
	}
	return errors.Join(fmt.Errorf("%w: %d octets are not written", ErrLogStalled, end-w.written), w.takeError())
}

// Close flushes. It can be called again. Lines that come later, from goroutines
// that outlive the rest of the program, are still written, each at once. The sink
// stays open.
func (w *LogWriter) Close() error {
	w.mu.Lock()
	w.closed = true
	if w.armed {
		w.timer.Stop()
		w.armed = false
	}
	w.mu.Unlock()
	return w.Flush()
}

// Dropped is how many lines the sink never got, because it was stuck or failed.
func (w *LogWriter) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

func (w *LogWriter) takeError() error {
	err := w.err
	w.err = nil
	return err
}

// ---- collecting; with mu held

func (w *LogWriter) fits(line []byte) bool {
	return len(w.fill) == 0 || len(w.fill)+len(line) <= w.size
}

// awaitRoom waits until the line fits; false when it is to be dropped. Only the
// first that wait for a stuck sink do so in earnest.
func (w *LogWriter) awaitRoom(line []byte) bool {
	w.startDrain()
	if w.stalled {
		return false
	}
	if w.await(w.maxWait, func() bool { return w.fits(line) }) {
		return true
	}
	w.stalled = true
	return false
}

func (w *LogWriter) add(line []byte) {
	w.addNote()
	w.fill = append(w.fill, line...)
	w.accepted += uint64(len(line))
}

// addNote begins an empty buffer with a line about those that were dropped.
func (w *LogWriter) addNote() {
	if w.unsaid == 0 || len(w.fill) > 0 {
		return
	}
	note := bytes.NewBuffer(w.fill)
	log := zerolog.New(note)
	log.Warn().Timestamp().Uint64("dropped", w.unsaid).Msg("middleware: log lines were dropped")
	w.fill = note.Bytes()
	w.accepted += uint64(len(w.fill))
	w.noted, w.noteSize, w.unsaid = w.unsaid, len(w.fill), 0
}

// want has everything up to end written.
func (w *LogWriter) want(end uint64) {
	w.wanted = max(w.wanted, end)
	w.startDrain()
}

// await gives mu up until done says so; false when time is up before.
func (w *LogWriter) await(most time.Duration, done func() bool) bool {
	if done() || most <= 0 {
		return done()
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	for !done() {
		if w.changed == nil {
			w.changed = make(chan struct{})
		}
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
			w.mu.Lock()
		case <-timer.C:
			w.mu.Lock()
			return done()
		}
	}
	return true
}

// wake lets those who wait look again.
func (w *LogWriter) wake() {
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// arm has what is collected written in a while.
func (w *LogWriter) arm() {
	switch {
	case w.armed || w.draining || w.flushEvery <= 0:
		return
	case w.timer == nil:
		w.timer = time.AfterFunc(w.flushEvery, w.drainIfIdle)
	default:
		w.timer.Reset(w.flushEvery)
	}
	w.armed = true
}

func (w *LogWriter) startDrain() {
	if !w.draining && len(w.fill) > 0 {
		w.draining = true
		go w.drain()
	}
}

// ---- writing

// drainIfIdle is what the timer runs.
func (w *LogWriter) drainIfIdle() {
	w.mu.Lock()
	w.armed = false
	idle := !w.draining && len(w.fill) > 0
	w.draining = w.draining || idle
	w.mu.Unlock()
	if idle {
		w.drain()
	}
}

// drain writes what is collected, and goes on while there is enough of it or
// somebody waits. The caller has set draining, so that there is one at a time.
func (w *LogWriter) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for more := true; more; more = w.pressing() {
		batch, end, noted, noteSize := w.fill, w.accepted, w.noted, w.noteSize
		w.fill, w.spare, w.noted, w.noteSize = w.spare[:0], nil, 0, 0
		w.addNote() // what was dropped came behind the batch
		w.wake()
		w.mu.Unlock()
		n, err := w.put(batch)
		w.mu.Lock()
		if err != nil {
			w.countLost(batch, n, noted, noteSize)
			if w.err == nil {
				w.err = fmt.Errorf("middleware: writing the log: %w", err)
			}
		}
		if w.spare = batch[:0]; cap(batch) > w.size {
			w.spare = make([]byte, 0, w.size) // a long line stretched it
		}
		w.written, w.stalled = end, false
		w.wake()
	}
	w.draining = false
	if len(w.fill) > 0 {
		w.arm()
	}
}

// countLost counts the lines of a batch of which the sink took n octets. The first
// noteSize octets are a note about earlier losses.
func (w *LogWriter) countLost(batch []byte, n int, noted uint64, noteSize int) {
	if n > 0 && n < len(batch) && batch[n] == '\n' && batch[n-1] != '\n' {
		n++ // only the end of a line is missing, which put makes up for
	}
	if n < noteSize {
		w.unsaid += noted
		n = noteSize
	}
	lost := uint64(bytes.Count(batch[n:], []byte{'\n'}))
	w.dropped += lost
	w.unsaid += lost
}

// pressing reports whether what is collected should not wait.
func (w *LogWriter) pressing() bool {
	return len(w.fill) > 0 && (len(w.fill) >= w.flushSize || w.wanted > w.written || w.closed)
}

// put gives a batch to the sink, which must not take the program down with it. n
// is how much of it the sink took, all of it unless there is an error. mu is not
// held; torn is only touched here.
func (w *LogWriter) put(batch []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			n, err = 0, fmt.Errorf("panic: %v", v)
		}
	}()
	if w.torn { // end the broken line, so that it spoils only itself
		n, err := w.sink.Write([]byte{'\n'})
		if n <= 0 { // it still is
			return 0, cmp.Or(err, io.ErrShortWrite)
		}
		w.torn = false
	}
	n, err = w.sink.Write(batch)
	n = max(0, min(n, len(batch)))
	if n < len(batch) && err == nil {
		err = io.ErrShortWrite
	}
	if err != nil && n > 0 {
		w.torn = batch[n-1] != '\n'
	}
	return n, err
}
