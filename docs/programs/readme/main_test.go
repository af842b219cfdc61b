// SPDX-License-Identifier: MIT

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProgram(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.WriteString(w, "Keep it logically awesome. "+q.URL.Path)
	}))
	defer upstream.Close()
	app := newApp(upstream.URL)

	w := httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", "/hello/ann", nil))
	if want := "Hello, ann! Before you came nobody.\n"; w.Code != 200 || w.Body.String() != want {
		t.Errorf("got %d %q, want %q", w.Code, w.Body, want)
	}
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")

	w = httptest.NewRecorder()
	q := httptest.NewRequest("GET", "/hello/bob", nil)
	q.Header.Set("Cookie", cookie)
	app.ServeHTTP(w, q)
	if want := "Hello, bob! Before you came ann.\n"; w.Body.String() != want {
		t.Errorf("got %q, want %q", w.Body, want)
	}

	w = httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", "/zen", nil))
	if want := "Keep it logically awesome. /zen\n"; w.Code != 200 || w.Body.String() != want {
		t.Errorf("got %d %q, want %q", w.Code, w.Body, want)
	}

	upstream.Close()
	w = httptest.NewRecorder()
	app.ServeHTTP(w, httptest.NewRequest("GET", "/zen", nil))
	if w.Code != 502 {
		t.Errorf("with nobody upstream: %d %q", w.Code, w.Body)
	}
}
