// SPDX-License-Identifier: MIT

package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
)

// JSON encodes and decodes with encoding/json. The zero value is the codec an
// app uses unless it is given another one. It holds no state: copy it freely,
// use it from any number of goroutines.
type JSON struct {
	// Indent is what one level of nesting is indented with, such as "\t" or
	// two spaces. "" writes everything on one line.
	Indent string

	// KeepHTML leaves the characters <, > and & and U+2028, U+2029 in strings
	// as they are. By default they are written as \u003c and so on, which
	// every JSON reader reads back as the same string.
	//
	// Security: with the default, JSON that ends up inside a <script> element,
	// or that some client takes for HTML, cannot close the element or open a
	// tag. Set it only where output is read by JSON parsers alone.
	KeepHTML bool

	// RefuseUnknown makes Decode refuse an object that has a member the
	// struct it is decoded into has no field for. By default such members
	// are ignored, so that a client may be newer than the server.
	RefuseUnknown bool

	// AllowTrailing makes Decode read the first value and ignore everything
	// after it. By default anything but white space there is an error.
	AllowTrailing bool

	// Numbers makes Decode store a number in an interface as a [json.Number]
	// and not as a float64, which cannot hold every integer beyond 2^53.
	Numbers bool
}

// jsonEncoder is a json.Encoder that can be used again: its writer is itself.
type jsonEncoder struct {
	appender
	enc *json.Encoder
}

var jsonEncoders = sync.Pool{New: func() any {
	e := new(jsonEncoder)
	e.enc = json.NewEncoder(&e.appender)
	return e
}}

// Append appends the JSON text of v, with no newline after it.
func (j JSON) Append(dst []byte, v any) ([]byte, error) {
	e := jsonEncoders.Get().(*jsonEncoder)
	e.enc.SetEscapeHTML(!j.KeepHTML)
	e.enc.SetIndent("", j.Indent)
	// Encode writes only when the whole value has been encoded, so dst itself
	// can be written to. The encoder is left to the collector if a marshalling
	// method of v panics.
	e.b = dst
	err := e.enc.Encode(v)
	out := e.b
	e.b = nil
	jsonEncoders.Put(e)
	if err != nil {
		return dst, fmt.Errorf("render: encoding JSON: %w", err)
	}
	return out[:len(out)-1], nil // Encode ends with a newline
}

// Decode stores the JSON value in src in the value v points to, by the rules of
// [json.Unmarshal]: member names match without regard to case, of members with
// one name the last counts, and nesting deeper than 10,000 is an error.
func (j JSON) Decode(src []byte, v any) error {
	if len(bytes.TrimLeft(src, jsonSpace)) == 0 {
		return &DecodeError{Format: "JSON", Offset: int64(len(src)), Reason: "empty input", Err: errEmpty}
	}
	if !j.RefuseUnknown && !j.AllowTrailing && !j.Numbers {
		if err := json.Unmarshal(src, v); err != nil {
			return jsonError(err)
		}
		return nil
	}

	dec := json.NewDecoder(bytes.NewReader(src))
	if j.RefuseUnknown {
		dec.DisallowUnknownFields()
	}
	if j.Numbers {
		dec.UseNumber()
	}
	if err := dec.Decode(v); err != nil {
		return jsonError(err)
	}
	end := dec.InputOffset()
	rest := bytes.TrimLeft(src[end:], jsonSpace)
	if len(rest) > 0 && !j.AllowTrailing {
		return &DecodeError{
			Format: "JSON", Offset: int64(len(src) - len(rest)), Reason: "something follows the value",
		}
	}
	return nil
}

// jsonSpace is the white space of RFC 8259 §2.
const jsonSpace = " \t\r\n"
