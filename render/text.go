// SPDX-License-Identifier: MIT

package render

import (
	"encoding"
	"fmt"
)

// Text encodes values as plain text and decodes plain text. The zero value
// works. It holds no state.
type Text struct{}

// Append appends the text of v: strings and bytes as they are, nothing for nil,
// else what [encoding.TextAppender], [encoding.TextMarshaler], error or
// [fmt.Stringer] give, in this order, else what [fmt.Append] gives.
func (t Text) Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return dst, nil
	case string:
		return append(dst, v...), nil
	case []byte:
		return append(dst, v...), nil
	case encoding.TextAppender:
		out, err := v.AppendText(dst)
		if err != nil {
			return dst, fmt.Errorf("render: encoding text: %w", err)
		}
		return out, nil
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			return dst, fmt.Errorf("render: encoding text: %w", err)
		}
		return append(dst, text...), nil
	}
	return fmt.Append(dst, v), nil
}

// Decode stores src in the value v points to: a string, a byte slice, which gets
// a copy of its own, or an [encoding.TextUnmarshaler].
func (t Text) Decode(src []byte, v any) error {
	switch v := v.(type) {
	case *string:
		*v = string(src)
		return nil
	case *[]byte:
		*v = append([]byte(nil), src...)
		return nil
	case encoding.TextUnmarshaler:
		if err := v.UnmarshalText(src); err != nil {
			return &DecodeError{Format: "text", Offset: -1, Reason: "invalid value", Err: err}
		}
		return nil
	}
	return fmt.Errorf("render: decoding text: cannot store text in a %T", v)
}
