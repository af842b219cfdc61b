// SPDX-License-Identifier: MIT

package client_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pleat-go/pleat/client"
)

// textOf returns a response with a body and a Content-Type.
func textOf(t testing.TB, c *client.HTTPClient, contentType, body string) *client.HTTPResponse {
	t.Helper()
	c.Transport = roundTrip(func(q *http.Request) (*http.Response, error) {
		if contentType == "" {
			return answer(q, 200, body), nil
		}
		return answer(q, 200, body, "Content-Type", contentType), nil
	})
	r, err := c.Get("http://h/").Do()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var textTests = []struct {
	name, body, contentType string
	want                    string
	err                     error
}{
	{name: "latin-1 html", body: "caf\xe9", contentType: "text/html; charset=iso-8859-1", want: "café"},
	{name: "latin-1 plain", body: "caf\xe9", contentType: "text/plain; charset=iso-8859-1", want: "café"},
	{name: "utf-8 undeclared", body: "caf\xc3\xa9", contentType: "text/plain", want: "café"},
	{name: "latin-1 undeclared", body: "caf\xe9", contentType: "text/plain", want: "café"},
	{name: "no type", body: "caf\xc3\xa9", want: "café"},
	{name: "BOM wins", body: "\xff\xfec\x00a\x00", contentType: "text/plain; charset=utf-8", want: "ca"},
	{name: "BOM utf-16be", body: "\xfe\xff\x00c\x00a", contentType: "text/plain", want: "ca"},
	{name: "BOM utf-8", body: "\xef\xbb\xbfé", contentType: "text/plain; charset=latin1", want: "é"},
	{name: "meta", body: "<meta charset=\"shift_jis\">\x83\x65", contentType: "text/html", want: `<meta charset="shift_jis">テ`},
	{
		name: "meta http-equiv", body: "<META http-equiv=Content-Type content='text/html; charset=koi8-r'>\xf0", contentType: "text/html",
		want: "<META http-equiv=Content-Type content='text/html; charset=koi8-r'>П",
	},
	{name: "meta in a comment", body: "<!-- <meta charset=shift_jis> -->caf\xe9", contentType: "text/html", want: "<!-- <meta charset=shift_jis> -->café"},
	{name: "meta too far", body: strings.Repeat(" ", 1024) + "<meta charset=shift_jis>\x83", contentType: "text/html", want: strings.Repeat(" ", 1024) + "<meta charset=shift_jis>ƒ"},
	{name: "meta utf-16 cannot be", body: "<meta charset=utf-16>é", contentType: "text/html", want: "<meta charset=utf-16>é"},
	{name: "meta in JSON", body: "<meta charset=\"shift_jis\">\x83\x65", contentType: "application/json", want: "<meta charset=\"shift_jis\">\uFFFDe"},
	{name: "meta in text", body: "<meta charset=\"shift_jis\">\x83\x65", contentType: "text/plain", want: "<meta charset=\"shift_jis\">ƒe"},
	{name: "xml declaration", body: `<?xml version='1.0' encoding='ISO-8859-2'?>` + "\xb1", contentType: "application/rss+xml", want: `<?xml version='1.0' encoding='ISO-8859-2'?>ą`},
	{name: "xml without", body: "<?xml version='1.0'?>é", contentType: "text/xml", want: "<?xml version='1.0'?>é"},
	{name: "utf-7", body: "+ADw-script+AD4-", contentType: "text/html; charset=utf-7", err: client.ErrCharset},
	{name: "bogus", body: "abc", contentType: "text/html; charset=bogus", err: client.ErrCharset},
	{name: "replacement", body: "abc", contentType: "text/html; charset=iso-2022-kr", err: client.ErrCharset},
	{name: "JSON", body: `{"a":"é"}`, contentType: "application/json", want: `{"a":"é"}`},
	{name: "JSON says latin-1", body: `{"a":"é"}`, contentType: "application/problem+json; charset=iso-8859-1", want: `{"a":"é"}`},
	{name: "broken utf-8", body: "a\xffb", contentType: "text/plain; charset=utf-8", want: "a\uFFFDb"},
	{name: "broken type", body: "é", contentType: "text/html; charset=a; charset=b", want: "é"},
	{name: "empty", contentType: "text/html; charset=shift_jis", want: ""},
	{name: "lines", body: "a\r\nb\n\nc", contentType: "text/plain; charset=utf-8", want: "a\r\nb\n\nc"},
}

func TestText(t *testing.T) {
	for _, tt := range textTests {
		t.Run(tt.name, func(t *testing.T) {
			r := textOf(t, &client.HTTPClient{}, tt.contentType, tt.body)
			got, err := r.Text()
			if !errors.Is(err, tt.err) || got != tt.want {
				t.Errorf("Text() = %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
			if b, err := r.Bytes(); err != nil || string(b) != tt.body {
				t.Errorf("Bytes() = %q, %v", b, err)
			}
			r = textOf(t, &client.HTTPClient{DisableUnicode: true}, tt.contentType, tt.body)
			if got, err := r.Text(); err != nil || got != tt.body {
				t.Errorf("DisableUnicode: Text() = %q, %v", got, err)
			}
		})
	}
}

// TestLines holds Lines to the lines of Text.
func TestLines(t *testing.T) {
	for _, tt := range textTests {
		t.Run(tt.name, func(t *testing.T) {
			r := textOf(t, &client.HTTPClient{}, tt.contentType, tt.body)
			var got []string
			var err error
			for line, e := range r.Lines() {
				if err = e; e == nil {
					got = append(got, line)
				}
			}
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if want := linesOf(tt.want); err == nil && strings.Join(got, "\x00") != strings.Join(want, "\x00") {
				t.Errorf("Lines() = %q, want %q", got, want)
			}
		})
	}
}

func linesOf(s string) []string {
	var lines []string
	for l := range strings.Lines(s) {
		lines = append(lines, strings.TrimSuffix(strings.TrimSuffix(l, "\n"), "\r"))
	}
	return lines
}

func TestLinesLimits(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	r := textOf(t, &client.HTTPClient{}, "text/plain", "a\n"+long+"y\nz")
	var lines int
	var last error
	for _, err := range r.Lines() {
		last = err
		lines++
	}
	wantLimit(t, last, "line", 1<<20)
	if lines != 2 {
		t.Errorf("%d lines and errors, want 2", lines)
	}

	r = textOf(t, &client.HTTPClient{MaxBody: 4}, "text/plain", "a\nb\nc\n")
	var got []string
	for line, err := range r.Lines() {
		got, last = append(got, line), err
	}
	wantLimit(t, last, "response body", 4)

	// Leaving the loop closes the body.
	r = textOf(t, &client.HTTPClient{}, "text/plain", "a\nb\nc\n")
	for line := range r.Lines() {
		if line != "a" {
			t.Errorf("first line %q", line)
		}
		break
	}
	if _, err := io.ReadAll(r.Body()); !errors.Is(err, client.ErrBodyClosed) {
		t.Errorf("after the loop: %v", err)
	}
}

func TestJSON(t *testing.T) {
	var v struct{ A string }
	for _, tt := range []struct {
		name, body string
		ok         bool
	}{
		{"object", `{"a":"é"}`, true},
		{"BOM", "\xef\xbb\xbf" + `{"a":"é"}`, true},
		{"empty", "", false},
		{"cut", `{"a":"é"`, false},
		{"two", `{"a":"é"} {}`, false},
		{"html", "<html>", false},
	} {
		v.A = ""
		err := textOf(t, &client.HTTPClient{}, "application/json", tt.body).JSON(&v)
		var ce *client.Error
		if (err == nil) != tt.ok || tt.ok && v.A != "é" || err != nil && (!errors.As(err, &ce) || ce.Phase != client.PhaseDecode) {
			t.Errorf("%s: %v, %+v", tt.name, err, v)
		}
	}
	if err := textOf(t, &client.HTTPClient{}, "", "{}").JSON(nil); err == nil {
		t.Error("JSON(nil) gave no error")
	}
}

func FuzzText(f *testing.F) {
	for _, tt := range textTests {
		f.Add(tt.body, tt.contentType)
	}
	f.Fuzz(func(t *testing.T, body, contentType string) {
		if strings.ContainsAny(contentType, "\r\n\x00") {
			t.Skip("not a field value")
		}
		r := textOf(t, &client.HTTPClient{}, contentType, body)
		s, err := r.Text()
		switch {
		case err != nil && !errors.Is(err, client.ErrCharset):
			t.Errorf("Text: %v", err)
		case err != nil && s != "":
			t.Errorf("text with an error: %q", s)
		case err == nil && !utf8.ValidString(s):
			t.Errorf("Text is not UTF-8: %q", s)
		case err == nil && len(s) > 4*len(body)+4:
			t.Errorf("%d bytes became %d", len(body), len(s))
		}
		if b, err := r.Bytes(); err != nil || string(b) != body {
			t.Errorf("Bytes: %q, %v", b, err)
		}
		lines := textOf(t, &client.HTTPClient{}, contentType, body)
		for line, lerr := range lines.Lines() {
			if lerr != nil && !errors.Is(lerr, client.ErrCharset) {
				t.Errorf("Lines: %v", lerr)
			}
			if !utf8.ValidString(line) || strings.ContainsRune(line, '\n') {
				t.Errorf("line %q", line)
			}
		}
	})
}
