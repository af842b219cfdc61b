// SPDX-License-Identifier: MIT

package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// jsonError says in the sender's terms what encoding/json says in Go's.
func jsonError(err error) error {
	var (
		syntax  *json.SyntaxError
		typed   *json.UnmarshalTypeError
		invalid *json.InvalidUnmarshalError
	)
	switch {
	case errors.As(err, &invalid): // not a pointer: the program is wrong, not the input
		return fmt.Errorf("render: decoding JSON: %w", err)
	case errors.As(err, &syntax):
		return &DecodeError{Format: "JSON", Offset: syntax.Offset, Reason: syntax.Error(), Err: err}
	case errors.As(err, &typed):
		return &DecodeError{
			Format: "JSON", Offset: typed.Offset, Field: clip(typed.Field),
			Reason: "want " + jsonKind(typed.Type) + ", got " + clip(typed.Value), Err: err,
		}
	case errors.Is(err, io.ErrUnexpectedEOF): // json.Decoder's word for a value cut short
		return &DecodeError{Format: "JSON", Offset: -1, Reason: "unexpected end of JSON input", Err: err}
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok { // it has no type of its own
		return &DecodeError{Format: "JSON", Offset: -1, Reason: "unknown field " + clip(name), Err: err}
	}
	// A method of the program, such as UnmarshalJSON, refused a value. Its
	// words may say more than the sender should read.
	return &DecodeError{Format: "JSON", Offset: -1, Reason: "invalid value", Err: err}
}

// jsonKind is what JSON calls a value that fits in t.
func jsonKind(t reflect.Type) string {
	if t == nil {
		return "another value"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer in range"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return "a non-negative integer in range"
	case reflect.Float32, reflect.Float64:
		return "a number in range"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 && t.Kind() == reflect.Slice {
			return "a base64 string"
		}
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return jsonKind(t.Elem())
	}
	return "another value"
}
