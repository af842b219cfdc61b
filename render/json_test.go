// SPDX-License-Identifier: MIT

package render_test

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/pleat-go/pleat/render"
)

// The three codecs are codecs.
var _ = []render.Codec{render.JSON{}, render.XML{}, render.Text{}}

// refusing fails to be encoded, after some bytes if its list has any before it.
type refusing struct{}

func (refusing) MarshalJSON() ([]byte, error)  { return nil, errors.New("refused") }
func (*refusing) UnmarshalJSON([]byte) error   { return errors.New("secret words") }
func (refusing) MarshalText() ([]byte, error)  { return nil, errors.New("refused") }
func (*refusing) UnmarshalText(b []byte) error { return errors.New("refused") }

func TestJSONAppend(t *testing.T) {
	loop := map[string]any{}
	loop["a"] = loop
	tests := []struct {
		name string
		j    render.JSON
		in   any
		want string // "" = an error
	}{
		{"null", render.JSON{}, nil, "null"},
		{"struct", render.JSON{}, struct {
			A int    `json:"a"`
			B string `json:"-"`
		}{1, "x"}, `{"a":1}`},
		{"HTML escaped", render.JSON{}, "</script>&\u2028", `"\u003c/script\u003e\u0026\u2028"`},
		{"HTML kept", render.JSON{KeepHTML: true}, "</script>&", `"</script>&"`},
		{"indented", render.JSON{Indent: "  "}, map[string][]int{"a": {1, 2}, "b": {}}, "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": []\n}"},
		{"raw", render.JSON{}, stdjson.RawMessage(`{"a": 1}`), `{"a":1}`},
		{"NaN", render.JSON{}, math.NaN(), ""},
		{"channel", render.JSON{}, make(chan int), ""},
		{"fails late", render.JSON{}, []any{1, 2, refusing{}}, ""},
		{"refers to itself", render.JSON{}, loop, ""},
		{"bad raw", render.JSON{}, stdjson.RawMessage(`{"a"`), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, dst := range [][]byte{nil, []byte("head"), append(make([]byte, 0, 4096), "head"...)} {
				got, err := tt.j.Append(dst, tt.in)
				if want := string(dst) + tt.want; string(got) != want || (err != nil) != (tt.want == "") {
					t.Errorf("Append(%q) = %q, %v, want %q", dst, got, err, want)
				}
				if err != nil && !strings.HasPrefix(err.Error(), "render: encoding JSON: ") {
					t.Errorf("error %q does not say where it comes from", err)
				}
			}
		})
	}
}

// A value whose method panics must not spoil the encoder for the next.
func TestJSONAppendPanic(t *testing.T) {
	for range 3 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			render.JSON{}.Append(nil, panicking{})
		}()
		if got, err := (render.JSON{}).Append(nil, 1); string(got) != "1" || err != nil {
			t.Fatalf("afterwards: %q, %v", got, err)
		}
	}
}

type panicking struct{}

func (panicking) MarshalJSON() ([]byte, error) { panic("ouch") }

// Encoders with different settings share a pool.
func TestJSONAppendConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		j, want := render.JSON{}, `{"a":"\u003c"}`
		switch i % 3 {
		case 1:
			j, want = render.JSON{KeepHTML: true}, `{"a":"<"}`
		case 2:
			j, want = render.JSON{Indent: " "}, "{\n \"a\": \"\\u003c\"\n}"
		}
		wg.Go(func() {
			var buf []byte
			for range 200 {
				var err error
				if buf, err = j.Append(buf[:0], map[string]string{"a": "<"}); err != nil || string(buf) != want {
					t.Errorf("%q, %v, want %q", buf, err, want)
				}
			}
		})
	}
	wg.Wait()
}

type person struct {
	Name    string   `json:"name"`
	Age     uint8    `json:"age"`
	Score   float32  `json:"score"`
	Tags    []string `json:"tags"`
	Photo   []byte   `json:"photo"`
	Admin   bool     `json:"admin"`
	Delta   int      `json:"delta"`
	Next    *person  `json:"next"`
	Any     any      `json:"any"`
	Refused refusing `json:"refused"`
}

func TestJSONDecode(t *testing.T) {
	strict := render.JSON{RefuseUnknown: true}
	tests := []struct {
		name   string
		j      render.JSON
		in     string
		want   person
		field  string
		reason string // how it ends; "" = no error
	}{
		{"object", render.JSON{}, ` {"name":"Ann","age":7,"next":{"delta":-1}} ` + "\n", person{Name: "Ann", Age: 7, Next: &person{Delta: -1}}, "", ""},
		{"unknown ignored", render.JSON{}, `{"nome":"Ann","age":7}`, person{Age: 7}, "", ""},
		{"unknown refused", strict, `{"nome":"Ann"}`, person{}, "", `unknown field "nome"`},
		{"strict takes what is known", strict, `{"name":"Ann"} `, person{Name: "Ann"}, "", ""},
		{"float by default", render.JSON{}, `{"any":9007199254740993}`, person{Any: float64(9007199254740992)}, "", ""},
		{"exact numbers", render.JSON{Numbers: true}, `{"any":9007199254740993}`, person{Any: stdjson.Number("9007199254740993")}, "", ""},
		{"empty", render.JSON{}, "", person{}, "", "empty input"},
		{"only white space", strict, " \r\n\t", person{}, "", "empty input"},
		{"trailing value", render.JSON{}, `{"age":1} {}`, person{}, "", "invalid character '{' after top-level value"},
		{"trailing value, strict", strict, `{"age":1} {}`, person{Age: 1}, "", "something follows the value"},
		{"trailing value allowed", render.JSON{AllowTrailing: true}, `{"age":1} {`, person{Age: 1}, "", ""},
		{"cut short", render.JSON{}, `{"age":`, person{}, "", "unexpected end of JSON input"},
		{"cut short, strict", strict, `{"age":`, person{}, "", "unexpected end of JSON input"},
		{"not JSON", render.JSON{}, `name=Ann`, person{}, "", "invalid character 'a' in literal null (expecting 'u')"},
		{"byte order mark", render.JSON{}, "\ufeff{}", person{}, "", " looking for beginning of value"},
		{"string for integer", render.JSON{}, `{"delta":"x"}`, person{}, "delta", "want an integer in range, got string"},
		{"negative", render.JSON{}, `{"age":-1}`, person{}, "age", "want a non-negative integer in range, got number -1"},
		{"too large", render.JSON{}, `{"next":{"age":256}}`, person{Next: &person{}}, "next.age", "want a non-negative integer in range, got number 256"},
		{"too large for a float", render.JSON{}, `{"score":1e99}`, person{}, "score", "want a number in range, got number 1e99"},
		{"number for string", render.JSON{}, `{"name":1}`, person{}, "name", "want a string, got number"},
		{"object for array", render.JSON{}, `{"tags":{}}`, person{}, "tags", "want an array, got object"},
		{"number for bytes", render.JSON{}, `{"photo":1}`, person{}, "photo", "want a base64 string, got number"},
		{"string for bool", render.JSON{}, `{"admin":"yes"}`, person{}, "admin", "want true or false, got string"},
		{"array for object", render.JSON{}, `[1]`, person{}, "", "want an object, got array"},
		{"a method's words stay inside", render.JSON{}, `{"refused":1}`, person{}, "", "invalid value"},
		{"endless number", render.JSON{}, `{"age":1` + strings.Repeat("0", 5000) + `}`, person{}, "age", "want a non-negative integer in range, got number 1" + strings.Repeat("0", 40) + "…"},
		{"endless name", strict, `{"` + strings.Repeat("ä", 5000) + `":1}`, person{}, "", `unknown field "` + strings.Repeat("ä", 23) + "…"},
		{"too deep", render.JSON{}, strings.Repeat(`{"next":`, 20000), person{}, "", "exceeded max depth"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got person
			src := []byte(tt.in)
			err := tt.j.Decode(src, &got)
			if string(src) != tt.in {
				t.Error("Decode changed the input")
			}
			if tt.reason == "" {
				if err != nil || !reflect.DeepEqual(got, tt.want) {
					t.Errorf("Decode = %+v, %v, want %+v", got, err, tt.want)
				}
				return
			}
			var e *render.DecodeError
			if !errors.As(err, &e) || e.Format != "JSON" || e.Field != tt.field || !strings.HasSuffix(e.Reason, tt.reason) {
				t.Fatalf("Decode = %#v, want field %q, reason %q", err, tt.field, tt.reason)
			}
			if len(e.Error()) > 250 || strings.Contains(e.Error(), "secret") || !strings.HasPrefix(e.Error(), "render: decoding JSON: ") {
				t.Errorf("error text %q", e.Error())
			}
		})
	}
}

func TestJSONDecodeMisuse(t *testing.T) {
	for _, v := range []any{nil, person{}, (*person)(nil), 3} {
		err := render.JSON{}.Decode([]byte("{}"), v)
		var e *render.DecodeError
		if err == nil || errors.As(err, &e) {
			t.Errorf("Decode into %T = %v, want an error that does not blame the input", v, err)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{"1E1000", `{"a":[1,"x",null,true,1e3]}`, `"\u2028<"`, ` [ ] `, `{"a":{}} x`, "", "1 2", `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var plain, numbers any
		err := render.JSON{}.Decode(src, &plain)
		errNumbers := render.JSON{Numbers: true, RefuseUnknown: true}.Decode(src, &numbers)
		if (errNumbers == nil) != stdjson.Valid(src) {
			t.Fatalf("Decode(%q) = %v, valid is %v", src, errNumbers, stdjson.Valid(src))
		}
		// 1e999 is a Number and no float64.
		if (err == nil) != (errNumbers == nil) && !strings.Contains(err.Error(), "want a number in range") {
			t.Fatalf("Decode(%q) = %v, with exact numbers %v", src, err, errNumbers)
		}
		if err != nil {
			return
		}
		for _, j := range []render.JSON{{}, {KeepHTML: true}, {Indent: "\t"}} {
			out, err := j.Append([]byte("head"), plain)
			if err != nil {
				t.Fatal(err)
			}
			out, ok := bytes.CutPrefix(out, []byte("head"))
			var again any
			if err := j.Decode(out, &again); !ok || err != nil || !reflect.DeepEqual(again, plain) {
				t.Fatalf("%q became %q and %v, %v", src, out, again, err)
			}
			if !j.KeepHTML && bytes.ContainsAny(out, "<>&") {
				t.Fatalf("%q has HTML in it", out)
			}
		}
	})
}

func BenchmarkJSONAppend(b *testing.B) {
	small := struct {
		Message string `json:"message"`
	}{"Hello, World!"}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (render.JSON{}).Append(buf, &small); err != nil {
			b.Fatal(err)
		}
	}
}
