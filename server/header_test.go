// SPDX-License-Identifier: MIT

package server

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const rawHeader = "Host: a.test\r\nX-A:1\r\nx-a: \t two words \t \r\nX-AB: no\r\nEmpty:\r\n" +
	"Connection: close, X ,,upgrade\r\nCONNECTION: Keep-Alive\r\nX-A: :colon: \r\nX: a:b\r\n"

func TestHeaderGet(t *testing.T) {
	h := newHeader(rawHeader)
	tests := []struct {
		name string
		want []string
	}{
		{"Host", []string{"a.test"}},
		{"HOST", []string{"a.test"}},
		{"x-A", []string{"1", "two words", ":colon:"}},
		{"X-AB", []string{"no"}},
		{"empty", []string{""}},
		{"connection", []string{"close, X ,,upgrade", "Keep-Alive"}},
		{"X-ABC", nil},
		{"", nil},
		{"X: a", nil}, // no name, though the line starts with it
		{"a.test", nil},
		{"Host\r\n", nil},
	}
	for _, tt := range tests {
		if got := h.Values(tt.name); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Values(%q) = %q, want %q", tt.name, got, tt.want)
		}
		first := ""
		if len(tt.want) > 0 {
			first = tt.want[0]
		}
		if got := h.Get(tt.name); got != first {
			t.Errorf("Get(%q) = %q, want %q", tt.name, got, first)
		}
		if got, ok := h.Lookup(tt.name); got != first || ok != (tt.want != nil) {
			t.Errorf("Lookup(%q) = %q, %v", tt.name, got, ok)
		}
	}
}

func TestHeaderZero(t *testing.T) {
	var h Header
	if v, ok := h.Lookup("Host"); v != "" || ok || h.Values("Host") != nil || h.Len() != 0 ||
		h.HasToken("Host", "") || len(h.Map()) != 0 {
		t.Error("the zero Header is not empty")
	}
	for range h.All() {
		t.Error("the zero Header has a field")
	}
}

func TestHeaderAll(t *testing.T) {
	h := newHeader(rawHeader)
	var got []string
	for name, value := range h.All() {
		got = append(got, name+"="+value)
	}
	want := []string{
		"Host=a.test", "X-A=1", "x-a=two words", "X-AB=no", "Empty=",
		"Connection=close, X ,,upgrade", "CONNECTION=Keep-Alive", "X-A=:colon:", "X=a:b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("All = %q, want %q", got, want)
	}
	if h.Len() != len(want) {
		t.Errorf("Len = %d, want %d", h.Len(), len(want))
	}
	for name := range h.All() {
		if name != "Host" {
			t.Errorf("went on to %s after break", name)
		}
		break
	}
}

func TestHeaderHasToken(t *testing.T) {
	h := newHeader(rawHeader)
	tests := []struct {
		name, token string
		want        bool
	}{
		{"Connection", "close", true},
		{"connection", "CLOSE", true},
		{"Connection", "x", true},
		{"Connection", "Upgrade", true},
		{"Connection", "keep-alive", true},
		{"Connection", "keep", false},
		{"Connection", "closed", false},
		{"Connection", "", false},
		{"Empty", "", false},
		{"Absent", "close", false},
		{"X-A", "two words", true},
	}
	for _, tt := range tests {
		if got := h.HasToken(tt.name, tt.token); got != tt.want {
			t.Errorf("HasToken(%q, %q) = %v, want %v", tt.name, tt.token, got, tt.want)
		}
	}
}

func TestHeaderMap(t *testing.T) {
	got := newHeader(rawHeader).Map()
	want := http.Header{
		"Host": {"a.test"}, "X-A": {"1", "two words", ":colon:"}, "X-Ab": {"no"}, "Empty": {""},
		"Connection": {"close, X ,,upgrade", "Keep-Alive"}, "X": {"a:b"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Map = %v, want %v", got, want)
	}
}

func TestHeaderFromMap(t *testing.T) {
	got := headerFromMap(http.Header{
		"X-B": {"2", "3"}, "X-A": {"1"}, "lower": {"é"}, "None": nil, "X-Tab": {"a\tb"},
		"": {"x"}, "Bad Name": {"x"}, "Bad:": {"x"}, "Bad\r\nName": {"x"},
		"X-Split": {"a\r\nEvil: b", "good"}, "X-Nul": {"a\x00"}, "X-Del": {"\x7f"},
	})
	if want := "X-A: 1\r\nX-B: 2\r\nX-B: 3\r\nX-Split: good\r\nX-Tab: a\tb\r\nlower: é\r\n"; got.raw != want {
		t.Errorf("headerFromMap = %q, want %q", got.raw, want)
	}
	if again := headerFromMap(got.Map()); again.Len() != got.Len() {
		t.Errorf("there and back: %q, want %q", again.raw, got.raw)
	}
	if headerFromMap(nil).raw != "" {
		t.Error("headerFromMap(nil) is not empty")
	}
}

func TestValidField(t *testing.T) {
	for c := range 256 {
		s := string([]byte{'a', byte(c), 'b'})
		if got, want := validFieldName(s), strings.IndexByte(slowTchar, byte(c)) >= 0; got != want {
			t.Errorf("validFieldName(%q) = %v, want %v", s, got, want)
		}
		if got, want := validFieldValue(s), isFieldOctet(byte(c)); got != want {
			t.Errorf("validFieldValue(%q) = %v, want %v", s, got, want)
		}
		if got, want := octetClass[c]&octetTarget != 0, strings.IndexByte(slowTarget, byte(c)) >= 0; got != want {
			t.Errorf("octet %#x in a target: %v, want %v", c, got, want)
		}
	}
	if validFieldName("") || !validFieldValue("") {
		t.Error("an empty name is invalid, an empty value is not")
	}
}

func TestEqualFoldASCII(t *testing.T) {
	for a := range 256 {
		for b := range 256 {
			x, y := string([]byte{byte(a)}), []byte{byte(b)}
			want := a == b || a < 0x80 && b < 0x80 && strings.EqualFold(x, string(y))
			if got := equalFoldASCII(x, y); got != want {
				t.Errorf("equalFoldASCII(%q, %q) = %v, want %v", x, y, got, want)
			}
		}
	}
	if equalFoldASCII("k", "\u212a") || equalFoldASCII("a", "ab") || !equalFoldASCII("", "") {
		t.Error("equalFoldASCII folds too much or too little")
	}
}

func TestTrimOWS(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " \t ": "", "a": "a", " a\t": "a", "\ta b ": "a b", "\va\f": "\va\f", "\u00a0a": "\u00a0a",
	} {
		if got := trimOWS(in); got != want {
			t.Errorf("trimOWS(%q) = %q, want %q", in, got, want)
		}
		if got := trimOWS([]byte(in)); string(got) != want {
			t.Errorf("trimOWS([]byte(%q)) = %q, want %q", in, got, want)
		}
	}
}
