// SPDX-License-Identifier: MIT

package main

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProgram(t *testing.T) {
	app := newApp()
	cookie := ""
	get := func(want string) {
		t.Helper()
		q, w := httptest.NewRequest("GET", "/hello/ann", nil), httptest.NewRecorder()
		q.Header.Set("Cookie", cookie)
		app.ServeHTTP(w, q)
		if w.Code != 200 || w.Body.String() != want {
			t.Errorf("got %d %q, want %q", w.Code, w.Body, want)
		}
		cookie, _, _ = strings.Cut(w.Header().Get("Set-Cookie"), ";")
	}
	get("Hello, ann! This is visit 1.\n")
	get("Hello, ann! This is visit 2.\n")
	cookie = strings.Replace(cookie, "=", "=A", 1)
	get("Hello, ann! This is visit 1.\n")
}
