// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/pleat-go/pleat/server"
)

func TestHello(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer()
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()

	tests := []struct{ name, method, path, want string }{
		{"the root", "GET", "/", "Hello, World!\n"},
		{"any path", "GET", "/some/where?q=1", "Hello, World!\n"},
		{"any method", "POST", "/", "Hello, World!\n"},
		{"no body for HEAD", "HEAD", "/", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+l.Addr().String()+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != 200 || string(body) != tt.want || resp.ContentLength != 14 {
				t.Errorf("got %d, %q, length %d, %v; want 200, %q, length 14", resp.StatusCode, body, resp.ContentLength, err, tt.want)
			}
		})
	}

	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-served; !errors.Is(err, server.ErrServerClosed) {
		t.Errorf("Serve = %v, want ErrServerClosed", err)
	}
}
