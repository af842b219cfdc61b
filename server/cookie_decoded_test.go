// SPDX-License-Identifier: MIT

package server

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

type selfDecoding struct{ calls int }

func (s *selfDecoding) UnmarshalJSON([]byte) error { s.calls++; return nil }

type textDecoding string

func (s *textDecoding) UnmarshalText(p []byte) error { *s = textDecoding(p); return nil }

func TestIsPlain(t *testing.T) {
	for _, test := range []struct {
		value any
		want  bool
	}{
		{0, true},
		{"", true},
		{false, true},
		{time.Time{}, true},
		{[2]string{}, true},
		{struct {
			User string
			At   time.Time
			N    [3]int8
		}{}, true},
		{struct{}{}, true},
		{[]string{}, false},
		{map[string]int{}, false},
		{new(int), false},
		{struct{ Roles []string }{}, false},
		{struct{ Next *int }{}, false},
		{struct{ Any any }{}, false},
		{struct{ hidden []int }{}, false},
		{[1][]int{}, false},
		{selfDecoding{}, false},
		{struct{ S selfDecoding }{}, false},
		{textDecoding(""), false},
		{json.RawMessage{}, false},
		{func() {}, false},
	} {
		if got := isPlain(reflect.TypeOf(test.value)); got != test.want {
			t.Errorf("isPlain(%T) = %v, want %v", test.value, got, test.want)
		}
	}
}

// What one caller does to its value must not show in the next one's, whatever the
// type, and the same cookie can be read as different types in turn.
func TestDecodedCookiesAreNobodyElses(t *testing.T) {
	keys, err := NewCookieKeys([]byte("a secret of thirty-two octets, ok"))
	if err != nil {
		t.Fatal(err)
	}
	type plain struct {
		User  string
		Level int
	}
	type deep struct {
		User  string
		Roles []string
	}
	cookie, err := keys.Encode("s", map[string]any{"User": "ann", "Level": 3, "Roles": []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	value := cookie
	for range 3 {
		p := plain{User: "before", Level: 9}
		if err := keys.Decode("s", value, &p); err != nil || p != (plain{"ann", 3}) {
			t.Fatalf("plain = %+v, %v", p, err)
		}
		p.User, p.Level = "changed", 0

		var d deep
		if err := keys.Decode("s", value, &d); err != nil || d.User != "ann" || d.Roles[0] != "a" {
			t.Fatalf("deep = %+v, %v", d, err)
		}
		d.Roles[0] = "changed"

		var m map[string]any
		if err := keys.Decode("s", value, &m); err != nil || m["User"] != "ann" {
			t.Fatalf("map = %v, %v", m, err)
		}
		m["User"] = "changed"

		var wrong struct{ User int }
		if err := keys.Decode("s", value, &wrong); err == nil || wrong.User != 0 {
			t.Fatalf("wrong type = %+v, %v", wrong, err)
		}
		var text string
		if err := keys.Decode("s", value, &text); err == nil {
			t.Fatalf("text = %q", text)
		}
	}

	// Octets are copied, too.
	value, err = keys.Encode("b", []byte("abc"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var b []byte
		if err := keys.Decode("b", value, &b); err != nil || string(b) != "abc" {
			t.Fatalf("octets = %q, %v", b, err)
		}
		b[0] = 'x'
	}
}

// A type that decodes itself is asked each time.
func TestSelfDecodingCookies(t *testing.T) {
	keys, err := NewCookieKeys([]byte("a secret of thirty-two octets, ok"))
	if err != nil {
		t.Fatal(err)
	}
	value, err := keys.Encode("s", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var s selfDecoding
		if err := keys.Decode("s", value, &s); err != nil || s.calls != 1 {
			t.Fatalf("calls = %d, %v", s.calls, err)
		}
	}
}
