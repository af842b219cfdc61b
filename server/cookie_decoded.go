// SPDX-License-Identifier: MIT

package server

import (
	"encoding"
	"encoding/json"
	"reflect"
	"time"
)

// rememberedSize is the size in octets of the largest value that is remembered.
const rememberedSize = 256

// recall sets target to what the JSON of the cookie came to when it was last
// decoded into that type; false when it was not, or must not be recalled.
func (v *verifiedCookie) recall(target reflect.Value) bool {
	known := v.decoded.Load()
	if known == nil || known.Type() != target.Type() {
		return false
	}
	target.Set(*known)
	return true
}

// remember keeps what the JSON of the cookie has come to. Only values of which
// an assignment makes a whole copy are kept: whatever the caller does to its own
// never shows in another's.
func (v *verifiedCookie) remember(target reflect.Value) {
	t := target.Type()
	if t.Size() > rememberedSize || !isPlain(t) {
		return
	}
	kept := reflect.New(t).Elem()
	kept.Set(target)
	v.decoded.Store(&kept)
}

var (
	timeType            = reflect.TypeFor[time.Time]()
	jsonUnmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isPlain reports whether an assignment copies all of a value of type t, and
// decoding depends on nothing but the text: a type that decodes itself may look
// at the world.
func isPlain(t reflect.Type) bool {
	if t == timeType {
		return true
	}
	if p := reflect.PointerTo(t); p.Implements(jsonUnmarshalerType) || p.Implements(textUnmarshalerType) {
		return false
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return true
	case reflect.Array:
		return isPlain(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !isPlain(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return false
}
