// SPDX-License-Identifier: MIT

package render_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/render"
)

func TestEventAppend(t *testing.T) {
	tests := []struct {
		name string
		in   render.Event
		want string // "" = an error
	}{
		{"data", render.Event{Data: "x"}, "data: x\n\n"},
		{"all", render.Event{ID: "7", Name: "tick", Data: "x", Retry: 1500 * time.Millisecond, Comment: "c"}, ": c\nretry: 1500\nid: 7\nevent: tick\ndata: x\n\n"},
		{"lines", render.Event{Data: "a\nb\r\nc\rd\n"}, "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"},
		{"fields in data stay data", render.Event{Data: "x\n\nid: 9"}, "data: x\ndata: \ndata: id: 9\n\n"},
		{"fields in a comment stay comment", render.Event{Comment: "x\rdata: y"}, ": x\n: data: y\n\n"},
		{"leading space", render.Event{Data: " x"}, "data:  x\n\n"},
		{"name only", render.Event{Name: "n"}, "event: n\ndata: \n\n"},
		{"short retry", render.Event{Retry: 1}, "retry: 1\n\n"},
		{"empty", render.Event{}, "\n"},
		{"LF in id", render.Event{ID: "1\ndata: x"}, ""},
		{"CR in name", render.Event{Name: "1\rdata: x"}, ""},
		{"NUL in id", render.Event{ID: "\x00"}, ""},
		{"negative retry", render.Event{Retry: -1}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.in.Append([]byte("head"))
			if want := "head" + tt.want; string(got) != want || (err != nil) != (tt.want == "") {
				t.Errorf("Append = %q, %v, want %q", got, err, want)
			}
		})
	}
}

// parseEvents reads a stream as a client does (WHATWG HTML §9.2.6).
func parseEvents(stream string) (events []render.Event, id string) {
	var e render.Event
	var data []string
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(stream), "\n") {
		if line == "" {
			if data != nil {
				e.Data, e.ID = strings.Join(data, "\n"), id
				events = append(events, e)
			}
			e, data = render.Event{}, nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "data":
			data = append(data, value)
		case "event":
			e.Name = value
		case "id":
			id = value
		}
	}
	return events, id
}

func FuzzEvent(f *testing.F) {
	f.Add("1", "tick", "a\r\nb", "c")
	f.Add("", "", "\n\ndata: x\rid: 3", "\rdata: y")
	f.Fuzz(func(t *testing.T, id, name, data, comment string) {
		in := render.Event{ID: id, Name: name, Data: data, Comment: comment}
		out, err := in.Append(nil)
		if bad := strings.ContainsAny(id+name, "\r\n\x00"); bad != (err != nil) {
			t.Fatalf("Append(%+v) = %v", in, err)
		}
		if err != nil {
			return
		}
		got, lastID := parseEvents(string(out))
		if name == "" && data == "" {
			if len(got) != 0 || lastID != id {
				t.Fatalf("%q: the client sees %+v, want nothing", out, got)
			}
			return
		}
		want := render.Event{ID: id, Name: name, Data: strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(data)}
		if len(got) != 1 || got[0] != want {
			t.Fatalf("%q: the client sees %+v, want %+v", out, got, want)
		}
	})
}
