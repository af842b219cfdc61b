// SPDX-License-Identifier: MIT

package render

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// XML encodes and decodes with encoding/xml. The zero value works. It holds no
// state: copy it freely, use it from any number of goroutines.
type XML struct {
	// Indent is what one level of nesting is indented with. "" adds no white space.
	Indent string

	// NoHeader leaves out the declaration <?xml version="1.0" encoding="UTF-8"?>,
	// for a fragment that goes into a larger document.
	NoHeader bool
}

// Append appends the XML document of v. A map has no XML form and is an error.
func (x XML) Append(dst []byte, v any) ([]byte, error) {
	a := &appender{b: dst}
	if !x.NoHeader {
		a.b = append(a.b, xml.Header...)
	}
	// The encoder writes in pieces; after an error they lie beyond len(dst),
	// where nobody looks.
	enc := xml.NewEncoder(a)
	enc.Indent("", x.Indent)
	if err := enc.Encode(v); err != nil {
		return dst, fmt.Errorf("render: encoding XML: %w", err)
	}
	return a.b, nil
}

// Decode stores the one XML document in src in the value v points to. It is
// strict: entities other than the five of XML, which a document type could make
// huge, and encodings other than UTF-8 are errors, and so is anything but
// comments, processing instructions and white space after the root element.
func (x XML) Decode(src []byte, v any) error {
	if p := reflect.ValueOf(v); p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("render: decoding XML: want a pointer to store in, got %T", v)
	}
	dec := xml.NewDecoder(bytes.NewReader(src))
	if err := dec.Decode(v); err != nil {
		return xmlError(err, dec.InputOffset())
	}
	for {
		token, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return xmlError(err, dec.InputOffset())
		}
		switch t := token.(type) {
		case xml.Comment, xml.ProcInst:
			continue
		case xml.CharData:
			if len(bytes.TrimSpace(t)) == 0 {
				continue
			}
		}
		return &DecodeError{Format: "XML", Offset: dec.InputOffset(), Reason: "something follows the root element"}
	}
}

// xmlError says in the sender's terms what encoding/xml says in Go's.
func xmlError(err error, offset int64) error {
	e := &DecodeError{Format: "XML", Offset: offset, Reason: "invalid value", Err: err}
	var (
		syntax *xml.SyntaxError
		root   xml.UnmarshalError
	)
	switch {
	case errors.Is(err, io.EOF):
		e.Reason = "no element found"
	case errors.As(err, &syntax):
		e.Reason = fmt.Sprintf("%s in line %d", clip(syntax.Msg), syntax.Line)
	case errors.As(err, &root):
		e.Reason = clip(string(root))
	}
	return e
}
