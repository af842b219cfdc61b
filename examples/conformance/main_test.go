// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/internal/conformance"
	"github.com/pleat-go/pleat/server"
)

// start serves one of the handlers on one of the engines until the test ends.
func start(t *testing.T, handler, engine string) net.Addr {
	t.Helper()
	log := zerolog.Nop()
	s, err := newServer(handler, engine, &log)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve = %v, want ErrServerClosed", err)
		}
	})
	return l.Addr()
}

// targets are all combinations of handler and engine that this system has.
func targets() []string {
	if runtime.GOOS != "linux" {
		return []string{"app on goroutine", "bare on goroutine"}
	}
	return []string{"app on loop", "app on goroutine", "bare on loop", "bare on goroutine"}
}

func TestConformanceContract(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	tests := []struct {
		name, request string
		status        int
		body          string // not compared for 404, 405 and 413
		contentType   string // "" is not compared
	}{
		{"ok", "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n", 200, "ok", "text/plain; charset=utf-8"},
		{"the query is no part of the match", "GET /ok?a=b HTTP/1.1\r\nHost: x\r\n\r\n", 200, "ok", ""},
		{"HEAD", "HEAD /ok HTTP/1.1\r\nHost: x\r\n\r\n", 200, "", ""},
		{"echo", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", "a/b"},
		{"echo nothing", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 200, "", ""},
		{"echo a lot", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(big)) + "\r\n\r\n" + big, 200, big, ""},
		{"length, chunked", "POST /len HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, "5", ""},
		{"length of nothing", "GET /len HTTP/1.1\r\nHost: x\r\n\r\n", 200, "0", ""},
		{"too long", "POST /len HTTP/1.1\r\nHost: x\r\nContent-Length: 10485761\r\n\r\n", 413, "", ""},
		{"no content", "GET /204 HTTP/1.1\r\nHost: x\r\n\r\n", 204, "", ""},
		{"not modified", "GET /304 HTTP/1.1\r\nHost: x\r\n\r\n", 304, "", ""},
		{"stream", "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", 200, "aaabbbccc", ""},
		{"no such path", "GET /nosuch HTTP/1.1\r\nHost: x\r\n\r\n", 404, "", ""},
		{"no such method", "DELETE /ok HTTP/1.1\r\nHost: x\r\n\r\n", 405, "", ""},
		{"a broken request", "GET /ok HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400, "", ""},
	}
	for _, target := range targets() {
		handler, engine, _ := strings.Cut(target, " on ")
		addr := start(t, handler, engine)
		for _, tt := range tests {
			t.Run(target+"/"+tt.name, func(t *testing.T) {
				conn, err := net.Dial(addr.Network(), addr.String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, tt.request); err != nil {
					t.Fatal(err)
				}
				method, _, _ := strings.Cut(tt.request, " ")
				resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				want := tt.status
				if handler == "bare" && want == 405 {
					want = 404 // it does not tell them apart
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != want {
					t.Fatalf("status %d, %v, want %d", resp.StatusCode, err, want)
				}
				if want < 400 && string(body) != tt.body {
					t.Errorf("body %.50q, want %.50q", body, tt.body)
				}
				if got := resp.Header.Get("Content-Type"); tt.contentType != "" && got != tt.contentType {
					t.Errorf("Content-Type %q, want %q", got, tt.contentType)
				}
			})
		}
	}
}

// TestConformance plays the conversations of the repository.
func TestConformance(t *testing.T) {
	cases, err := conformance.Load(os.DirFS("../../server/testdata/conformance"))
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets() {
		handler, engine, _ := strings.Cut(target, " on ")
		addr := start(t, handler, engine)
		for _, c := range cases {
			t.Run(target+"/"+strings.ReplaceAll(c.Section, " ", "_")+"/"+c.Name, func(t *testing.T) {
				conn, err := net.Dial(addr.Network(), addr.String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
				if err := c.Play(conn, nil); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestUnknownHandler(t *testing.T) {
	log := zerolog.Nop()
	if s, err := newServer("app", "nosuch", &log); s != nil || !errors.Is(err, errEngine) {
		t.Errorf("newServer = %v, %v, want %v", s, err, errEngine)
	}
	if s, err := newServer("nosuch", "auto", &log); s != nil || !errors.Is(err, errHandler) {
		t.Errorf("newServer = %v, %v, want errHandler", s, err)
	}
}
