// SPDX-License-Identifier: MIT

package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/pleat-go/pleat/server"
	"github.com/rs/zerolog"
)

// lockedBuffer is a log that several goroutines write to, and that tests read
// meanwhile.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text } // panics on nil

func thisPanics(v any) { panic(v) }

func TestPanic(t *testing.T) {
	tests := []struct {
		name    string
		handler func(*server.HTTPRequest)
		status  int // 0: reset
		log     string
	}{
		{"string", func(r *server.HTTPRequest) { thisPanics("boom") }, 500, "boom"},
		{"error", func(r *server.HTTPRequest) { thisPanics(errors.New("boom")) }, 500, "boom"},
		{"nil", func(r *server.HTTPRequest) { thisPanics(nil) }, 500, "nil"},
		{"an error that panics itself", func(r *server.HTTPRequest) { thisPanics((*nilError)(nil)) }, 500, "nil"},
		{"run-time error", func(r *server.HTTPRequest) {
			_ = []int{}[len(r.Method())]
		}, 500, "index out of range"},
		{"with half an answer", func(r *server.HTTPRequest) {
			_ = r.SetHeader("ETag", `"x"`)
			_ = r.SendString(201, "secret/type", "secret")
			thisPanics("boom")
		}, 500, "boom"},
		{"in the middle of an answer", func(r *server.HTTPRequest) {
			_, _ = r.WriteString("secret")
			_ = r.Flush()
			thisPanics("boom")
		}, 0, "boom"},
		{"with a body not read", func(r *server.HTTPRequest) { thisPanics("boom") }, 500, "boom"},
		{"ErrAbortHandler", func(r *server.HTTPRequest) { panic(http.ErrAbortHandler) }, 0, ""},
		{"wrapped ErrAbortHandler", func(r *server.HTTPRequest) { panic(fmt.Errorf("done: %w", http.ErrAbortHandler)) }, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out lockedBuffer
			log := zerolog.New(&out)
			finished := make(chan int, 1)
			addr := start(t, &server.HTTPServer{ErrorLog: &log, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				r.OnFinish(func() { finished <- r.Status() })
				tt.handler(r)
			})})
			c := dial(t, addr)
			c.send("POST /way HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
			if tt.status == 0 {
				c.wantReset(tt.name)
			} else {
				a := c.wantAnswer(tt.status, "500 Internal Server Error\n")
				wantHeader(t, a.Header, "!Etag Content-Type=text/plain;charset=utf-8")
				c.wantClosed("after a panic")
			}
			<-finished
			line := out.String()
			if tt.log == "" {
				if line != "" {
					t.Errorf("logged %s", line)
				}
				return
			}
			var entry map[string]string
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			if !strings.Contains(entry["panic"], tt.log) || entry["method"] != "POST" || entry["path"] != "/way" || entry["level"] != "error" {
				t.Errorf("log entry %v", entry)
			}
			if !strings.Contains(entry["stack"], "panic_test.go") {
				t.Errorf("no stack of the handler: %s", entry["stack"])
			}
		})
	}
}

func TestPanicLeavesEarlierAnswers(t *testing.T) {
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		if r.Path() == "/panic" {
			panic("boom")
		}
		ok(r)
	}))
	c.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /panic HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n")
	c.wantAnswer(200, "ok")
	c.wantStatus(500)
	c.wantClosed("after a panic")
}

func TestOnFinish(t *testing.T) {
	var out lockedBuffer
	log := zerolog.New(&out)
	order := make(chan string, 10)
	c := dial(t, start(t, &server.HTTPServer{ErrorLog: &log, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		r.OnFinish(func() {
			order <- fmt.Sprint("first ", r.Status(), " ", r.BytesWritten())
			if n, err := r.WriteString("late"); n != 0 || !errors.Is(err, server.ErrRequestDone) {
				t.Errorf("Write in OnFinish = %d, %v", n, err)
			}
			if err := r.Flush(); !errors.Is(err, server.ErrRequestDone) {
				t.Errorf("Flush in OnFinish = %v", err)
			}
			if _, err := r.ReadFrom(strings.NewReader("late")); !errors.Is(err, server.ErrRequestDone) {
				t.Errorf("ReadFrom in OnFinish = %v", err)
			}
			if err := r.SetHeader("X", "late"); !errors.Is(err, server.ErrCommitted) {
				t.Errorf("SetHeader in OnFinish = %v", err)
			}
			if err := r.ResetResponse(); !errors.Is(err, server.ErrCommitted) {
				t.Errorf("ResetResponse in OnFinish = %v", err)
			}
			if _, _, err := r.Hijack(); !errors.Is(err, server.ErrCommitted) {
				t.Errorf("Hijack in OnFinish = %v", err)
			}
			_ = r.Context().Err()
		})
		r.OnFinish(func() { panic("in OnFinish") })
		r.OnFinish(func() {
			order <- "last"
			r.OnFinish(func() { order <- "inner" })
		})
		if r.Path() == "/stream" {
			flushes("o", "k")(r)
			return
		}
		ok(r)
	})}))
	for _, path := range []string{"/", "/stream"} {
		c.get(path)
		c.wantAnswer(200, "ok")
		for _, want := range []string{"last", "inner", "first 200 2"} {
			if got := <-order; got != want {
				t.Errorf("%s: OnFinish ran %q, want %q", path, got, want)
			}
		}
	}
	c.get("/")
	c.wantAnswer(200, "ok")
	if !strings.Contains(out.String(), "in OnFinish") {
		t.Error("the panic was not logged")
	}
}

// An answer does not wait for what OnFinish does.
func TestOnFinishAfterTheAnswer(t *testing.T) {
	read := make(chan struct{})
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		r.OnFinish(func() { <-read })
		ok(r)
	}))
	c.get("/")
	c.wantAnswer(200, "ok")
	close(read)
	c.wantOpen("/")
}

func TestGoexit(t *testing.T) {
	kept := make(chan *server.HTTPRequest, 1)
	finished := make(chan struct{}, 1)
	addr := startFunc(t, func(r *server.HTTPRequest) {
		_ = r.Context().Done()
		r.OnFinish(func() { finished <- struct{}{} })
		kept <- r
		switch r.Path() {
		case "/stream":
			_, _ = r.WriteString("half")
			_ = r.Flush()
		case "/hijack":
			conn, _, err := r.Hijack()
			must(t, err)
			defer func() { go func() { _, _ = io.WriteString(conn, "mine"); _ = conn.Close() }() }()
		}
		runtime.Goexit()
	})
	for _, path := range []string{"/", "/stream"} {
		c := dial(t, addr)
		c.get(path)
		c.wantReset("Goexit")
		<-finished
		r := <-kept
		<-r.Context().Done()
	}
	c := dial(t, addr)
	c.get("/hijack")
	if got, err := io.ReadAll(c.r); string(got) != "mine" || err != nil {
		t.Errorf("a hijacked connection was closed by Goexit: %q, %v", got, err)
	}
	<-finished
	<-kept
}
