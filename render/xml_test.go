// SPDX-License-Identifier: MIT

package render_test

import (
	stdxml "encoding/xml"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/pleat-go/pleat/render"
)

type note struct {
	XMLName stdxml.Name `xml:"note"`
	To      string      `xml:"to,attr"`
	Lines   []string    `xml:"line"`
	N       int         `xml:"n,omitempty"`
}

func TestXMLAppend(t *testing.T) {
	v := note{To: `A"nn`, Lines: []string{"<1>", "2"}}
	tests := []struct {
		name string
		x    render.XML
		in   any
		want string // "" = an error
	}{
		{"document", render.XML{}, v, stdxml.Header + `<note to="A&#34;nn"><line>&lt;1&gt;</line><line>2</line></note>`},
		{"fragment", render.XML{NoHeader: true}, v, `<note to="A&#34;nn"><line>&lt;1&gt;</line><line>2</line></note>`},
		{"indented", render.XML{NoHeader: true, Indent: " "}, v, "<note to=\"A&#34;nn\">\n <line>&lt;1&gt;</line>\n <line>2</line>\n</note>"},
		{"map", render.XML{}, map[string]int{"a": 1}, ""},
		{"fails late", render.XML{}, []any{strings.Repeat("x", 10000), make(chan int)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.x.Append([]byte("head"), tt.in)
			if want := "head" + tt.want; string(got) != want || (err != nil) != (tt.want == "") {
				t.Errorf("Append = %q, %v, want %q", got, err, want)
			}
		})
	}
}

func TestXMLDecode(t *testing.T) {
	ok := note{XMLName: stdxml.Name{Local: "note"}, To: "Ann", Lines: []string{"1"}}
	tests := []struct {
		name, in string
		want     note
		reason   string // part of it; "" = no error
	}{
		{"document", stdxml.Header + `<note to="Ann"><line>1</line></note>`, ok, ""},
		{"comments after it", `<note to="Ann"><line>1</line></note> <!-- x --><?p q?>` + "\n", ok, ""},
		{"empty", "", note{}, "no element found"},
		{"only a header", stdxml.Header, note{}, "no element found"},
		{"two roots", `<note/><note/>`, note{}, "something follows the root element"},
		{"text after it", `<note/>x`, note{}, "something follows the root element"},
		{"junk after it", `<note/><`, note{}, "unexpected EOF in line 1"},
		{"cut short", `<note><line>`, note{}, "unexpected EOF in line 1"},
		{"another root", `<nota/>`, note{}, "expected element type <note> but have <nota>"},
		{"bad number", `<note><n>x</n></note>`, note{}, "invalid value"},
		{"own entities", `<!DOCTYPE n [<!ENTITY a "aaaa">]><note><line>&a;</line></note>`, note{}, "invalid character entity &a; in line 1"},
		{"another encoding", `<?xml version="1.0" encoding="utf-16"?><note/>`, note{}, "invalid value"},
		{"too deep", strings.Repeat("<note>", 20000), note{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got note
			err := render.XML{}.Decode([]byte(tt.in), &got)
			if tt.reason == "" && tt.name != "too deep" {
				if err != nil || !reflect.DeepEqual(got, tt.want) {
					t.Errorf("Decode = %+v, %v, want %+v", got, err, tt.want)
				}
				return
			}
			var e *render.DecodeError
			if !errors.As(err, &e) || !strings.Contains(e.Reason, tt.reason) || e.Format != "XML" {
				t.Errorf("Decode = %v, want reason %q", err, tt.reason)
			}
		})
	}
	for _, v := range []any{nil, note{}, (*note)(nil)} {
		err := render.XML{}.Decode([]byte("<note/>"), v)
		var e *render.DecodeError
		if err == nil || errors.As(err, &e) {
			t.Errorf("Decode into %T = %v, want an error that does not blame the input", v, err)
		}
	}
}
