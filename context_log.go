// SPDX-License-Identifier: MIT

package pleat

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"

	"github.com/rs/zerolog"
)

// Log writes to the app's log with the id of the request in each line. It is a
// small value: making one and writing with it allocates nothing.
type Log struct {
	log *zerolog.Logger
	id  string
}

// Log is the log of this request. Text that comes from outside belongs into
// fields, which are escaped, never into the message.
func (c *Context) Log() Log { return Log{&c.app.log, c.RequestID()} }

// Debug begins a line at debug level.
func (l Log) Debug() *zerolog.Event { return l.with(l.log.Debug()) }

// Info begins a line at info level.
func (l Log) Info() *zerolog.Event { return l.with(l.log.Info()) }

// Warn begins a line at warn level.
func (l Log) Warn() *zerolog.Event { return l.with(l.log.Warn()) }

// Error begins a line at error level.
func (l Log) Error() *zerolog.Event { return l.with(l.log.Error()) }

// Level begins a line at any level.
func (l Log) Level(level zerolog.Level) *zerolog.Event { return l.with(l.log.WithLevel(level)) }

// Logger is a zerolog.Logger with the request id, for libraries that want one.
func (l Log) Logger() zerolog.Logger { return l.log.With().Str("request_id", l.id).Logger() }

func (l Log) with(e *zerolog.Event) *zerolog.Event { return e.Str("request_id", l.id) }

// RequestID identifies this request in logs and upstream calls: what
// SetRequestID gave, that of the app this one is mounted in, or a random id made
// when it is first asked for.
func (c *Context) RequestID() string {
	c = c.shared()
	e := c.extras()
	e.mu.Lock()
	id := e.id
	e.mu.Unlock()
	if id != "" {
		return id
	}
	if outer := FromContext(c.req.Context()); outer != nil {
		id = outer.RequestID()
	} else {
		id = NewRequestID()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.id == "" {
		e.id = id
	}
	return e.id
}

// SetRequestID gives the request an id. It is meant for middleware that runs
// before anybody uses the id.
func (c *Context) SetRequestID(id string) {
	e := c.shared().extras()
	e.mu.Lock()
	e.id = id
	e.mu.Unlock()
}

// NewRequestID is a random id: 32 hexadecimal digits. Ids are told apart by it; it
// is no secret.
func NewRequestID() string {
	// Ids must not collide; they are no secret, and need no system call each.
	var raw [16]byte
	binary.NativeEndian.PutUint64(raw[:8], mathrand.Uint64())
	binary.NativeEndian.PutUint64(raw[8:], mathrand.Uint64())
	var text [32]byte
	hex.Encode(text[:], raw[:])
	return string(text[:])
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// panicText is what a log may say about a recovered value; fmt survives values
// whose own methods panic.
func panicText(v any) string { return fmt.Sprint(v) }
