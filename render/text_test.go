// SPDX-License-Identifier: MIT

package render_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/pleat-go/pleat/render"
)

func TestTextAppend(t *testing.T) {
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"nil", nil, ""},
		{"string", "a", "a"},
		{"bytes", []byte("a"), "a"},
		{"error", errors.New("oops"), "oops"},
		{"stringer", time.Minute, "1m0s"},
		{"appender", netip.MustParseAddr("::1"), "::1"},
		{"number", 1.5, "1.5"},
	}
	for _, tt := range tests {
		got, err := render.Text{}.Append([]byte("head "), tt.in)
		if string(got) != "head "+tt.want || err != nil {
			t.Errorf("%s: Append = %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	if got, err := (render.Text{}).Append([]byte("head"), refusing{}); err == nil || string(got) != "head" {
		t.Errorf("Append of what refuses = %q, %v, want dst and an error", got, err)
	}
}

func TestTextDecode(t *testing.T) {
	src := []byte("::1")
	var (
		s string
		b []byte
		a netip.Addr
	)
	for _, v := range []any{&s, &b, &a} {
		if err := (render.Text{}).Decode(src, v); err != nil {
			t.Errorf("Decode into %T: %v", v, err)
		}
	}
	src[0] = 'x'
	if s != "::1" || string(b) != "::1" || a != netip.IPv6Loopback() {
		t.Errorf("Decode gave %q, %q, %v", s, b, a)
	}
	var e *render.DecodeError
	if err := (render.Text{}).Decode(src, &a); !errors.As(err, &e) || e.Format != "text" {
		t.Errorf("Decode of a bad address = %v, want a DecodeError", err)
	}
	if err := (render.Text{}).Decode(src, new(int)); err == nil || errors.As(err, &e) {
		t.Errorf("Decode into an *int = %v, want an error that does not blame the input", err)
	}
}
