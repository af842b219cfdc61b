// SPDX-License-Identifier: MIT

//go:build !race

package pleat

import "testing"

func TestResolveAllocations(t *testing.T) {
	table := tableOf(t, append([]string{"HEAD /head/:id"}, exampleRoutes...)...)
	for _, tt := range []struct {
		name, method, path string
		kind               resolutionKind
		want               float64
	}{
		{"static", "GET", "/users/me", routeFound, 0},
		{"static HEAD", "HEAD", "/", routeFound, 0},
		{"one param", "GET", "/users/7", routeFound, 1},
		{"one param, second layer", "GET", "/users/7/posts", routeFound, 2},
		{"two params", "GET", "/users/7/posts/9", routeFound, 1},
		{"catch-all", "GET", "/static/x/y", routeFound, 1},
		{"bad path", "GET", "/%", pathRefused, 0},
	} {
		got := testing.AllocsPerRun(200, func() {
			if r := table.resolve(tt.method, tt.path, "a=b"); r.kind != tt.kind {
				t.Fatalf("%s: %+v", tt.name, r)
			}
		})
		if got > tt.want {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.want)
		}
	}
}

func TestCanonicalPathAllocations(t *testing.T) {
	for _, path := range []string{"/", "/users/7/posts/a-b_c.d~e", "/a;v=1/@x:y"} {
		if got := testing.AllocsPerRun(200, func() { canonicalPath(path) }); got > 0 {
			t.Errorf("canonicalPath(%q): %v allocations, want none", path, got)
		}
	}
}

func TestHostAllocations(t *testing.T) {
	app := New(Config{})
	for _, host := range []string{"api.example.com", "*.example.com", "*.eu.example.com"} {
		app.Host(host)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"api.example.com", "a.b.c.example.com", "a.eu.example.com", "other.test", ""} {
		if got := testing.AllocsPerRun(200, func() { app.byHost.find(name) }); got > 0 {
			t.Errorf("find(%q): %v allocations, want none", name, got)
		}
	}
}
