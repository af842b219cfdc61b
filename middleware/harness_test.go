// SPDX-License-Identifier: MIT

package middleware_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// logLines is a log that tests read line by line.
type logLines struct {
	lines chan []byte
}

func newLog() *logLines { return &logLines{lines: make(chan []byte, 10000)} }

func (l *logLines) Write(p []byte) (int, error) {
	l.lines <- bytes.Clone(p)
	return len(p), nil
}

func (l *logLines) logger() *zerolog.Logger {
	log := zerolog.New(l)
	return &log
}

// next is the next line, which must be one JSON object on one line.
func (l *logLines) next(t *testing.T) map[string]any {
	t.Helper()
	select {
	case line := <-l.lines:
		return parseLine(t, line)
	case <-time.After(30 * time.Second):
		t.Fatal("no log line")
		return nil
	}
}

// access is the next line of Logger; those of others are passed over.
func (l *logLines) access(t *testing.T) map[string]any {
	t.Helper()
	for {
		if line := l.next(t); line["message"] == "request" {
			return line
		}
	}
}

// none fails if there is a further line.
func (l *logLines) none(t *testing.T) {
	t.Helper()
	select {
	case line := <-l.lines:
		t.Errorf("a line too many: %s", line)
	default:
	}
}

// rest is all there is now.
func (l *logLines) rest() (text string) {
	for {
		select {
		case line := <-l.lines:
			text += string(line)
		default:
			return text
		}
	}
}

func parseLine(t *testing.T, line []byte) map[string]any {
	t.Helper()
	if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
		t.Fatalf("not one line: %q", line)
	}
	if i := bytes.IndexFunc(line[:len(line)-1], func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		t.Fatalf("control character in %q", line)
	}
	// Keys must be unique too: a reader may take the first or the last.
	d := json.NewDecoder(bytes.NewReader(line))
	if _, err := d.Token(); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	fields := map[string]any{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		var value any
		if err := d.Decode(&value); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if _, twice := fields[key.(string)]; twice {
			t.Fatalf("key %q twice in %q", key, line)
		}
		fields[key.(string)] = value
	}
	if _, err := d.Token(); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("more than an object in %q", line)
	}
	return fields
}

// serve runs the app on pleat's own server until the test ends.
func serve(t *testing.T, app *pleat.App) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, app, l)
	return l.Addr().String()
}

func serveOn(t *testing.T, app *pleat.App, l net.Listener) {
	t.Helper()
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
}

// serveHTTP runs the app on net/http's server.
func serveHTTP(t *testing.T, app *pleat.App) (addr string) {
	t.Helper()
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(app)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// onBoth runs a test with the app on pleat's server and on net/http's.
func onBoth(t *testing.T, test func(t *testing.T, serve func(*testing.T, *pleat.App) string)) {
	t.Run("pleat", func(t *testing.T) { test(t, serve) })
	t.Run("net/http", func(t *testing.T) { test(t, serveHTTP) })
}

type answer struct {
	*http.Response
	text string
}

// send sends a request as it stands, on a connection of its own, and reads the
// answer; err tells that there is none, or not all of it.
func send(t *testing.T, addr, request string) (answer, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	return answer{resp, string(body)}, err
}

// get asks for a target with further field lines, each ending in CRLF.
func get(t *testing.T, addr, target, fields string) answer {
	t.Helper()
	a, err := send(t, addr, "GET "+target+" HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n"+fields+"\r\n")
	if err != nil {
		t.Fatalf("GET %s: %v", target, err)
	}
	return a
}

// want compares some fields of a line.
func want(t *testing.T, line map[string]any, fields map[string]any) {
	t.Helper()
	for name, value := range fields {
		if n, ok := value.(int); ok {
			value = float64(n)
		}
		if got := line[name]; got != value {
			t.Errorf("%s = %v, want %v, in %v", name, got, value, line)
		}
	}
}
