// SPDX-License-Identifier: MIT

package client

import (
	"reflect"
	"testing"
)

// TestCopyFields makes sure that a new field of HTTPClient is not forgotten in derived clients.
func TestCopyFields(t *testing.T) {
	typ := reflect.TypeFor[HTTPClient]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		if !f.IsExported() {
			continue
		}
		var from, to HTTPClient
		v := reflect.ValueOf(&from).Elem().Field(i)
		switch f.Type.Kind() {
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Int, reflect.Int64:
			v.SetInt(7)
		case reflect.String:
			v.SetString("x")
		case reflect.Slice:
			v.Set(reflect.MakeSlice(f.Type, 1, 1))
		case reflect.Map:
			v.Set(reflect.MakeMap(f.Type))
		case reflect.Pointer:
			v.Set(reflect.New(f.Type.Elem()))
		case reflect.Func:
			v.Set(reflect.MakeFunc(f.Type, func([]reflect.Value) []reflect.Value { return nil }))
		case reflect.Interface:
			if f.Name == "Jar" {
				v.Set(reflect.ValueOf(NewJar()))
			} else {
				v.Set(reflect.ValueOf(failing{}))
			}
		default:
			t.Fatalf("%s: no value of kind %s", f.Name, f.Type.Kind())
		}
		to.copyFields(&from)
		if reflect.ValueOf(&to).Elem().Field(i).IsZero() {
			t.Errorf("copyFields leaves out %s", f.Name)
		}
	}
}
