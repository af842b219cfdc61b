// SPDX-License-Identifier: MIT

//go:build !race

package render_test

import (
	"testing"

	"github.com/pleat-go/pleat/render"
)

func TestAllocs(t *testing.T) {
	buf := make([]byte, 0, 4096)
	value := &struct {
		Message string   `json:"message"`
		ID      int      `json:"id"`
		Tags    []string `json:"tags"`
	}{"Hello, World!", 12, []string{"a", "b"}}
	event := render.Event{ID: "1", Name: "tick", Data: "a\nb"}
	var codec render.Codec = render.JSON{}
	tests := []struct {
		name string
		f    func()
	}{
		{"small JSON", func() { codec.Append(buf, value) }},
		{"text", func() { render.Text{}.Append(buf, "Hello, World!") }},
		{"event", func() { event.Append(buf) }},
		{"negotiation", func() {
			render.Negotiate("text/html,application/xml;q=0.9,*/*;q=0.8", json, html, text)
		}},
	}
	for _, tt := range tests {
		if n := testing.AllocsPerRun(100, tt.f); n != 0 {
			t.Errorf("%s: %v allocations, want none", tt.name, n)
		}
	}
}
