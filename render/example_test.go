// SPDX-License-Identifier: MIT

package render_test

import (
	"fmt"
	"os"
	"testing/fstest"

	"github.com/pleat-go/pleat/render"
)

func ExampleJSON() {
	var user struct {
		Name string `json:"name"`
		Age  uint8  `json:"age"`
	}
	strict := render.JSON{RefuseUnknown: true, Indent: "  "}
	if err := strict.Decode([]byte(`{"name": "Ann", "age": 300}`), &user); err != nil {
		fmt.Println(err)
	}
	if err := strict.Decode([]byte(`{"name": "Ann", "age": 30}`), &user); err != nil {
		fmt.Println(err)
	}
	out, err := strict.Append(nil, user)
	fmt.Println(string(out), err)
	// Output:
	// render: decoding JSON: age: want a non-negative integer in range, got number 300 (at byte 26)
	// {
	//   "name": "Ann",
	//   "age": 30
	// } <nil>
}

func ExampleNegotiate() {
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	fmt.Println(render.Negotiate(browser, render.ContentTypeJSON, render.ContentTypeHTML))
	fmt.Println(render.Negotiate("*/*", render.ContentTypeJSON, render.ContentTypeHTML))
	fmt.Printf("%q\n", render.Negotiate("image/png", render.ContentTypeJSON, render.ContentTypeHTML))
	// Output:
	// text/html; charset=utf-8
	// application/json
	// ""
}

func ExampleTemplates() {
	views := &render.Templates{
		FS: fstest.MapFS{ // an embed.FS in earnest
			"layouts/base.html":  {Data: []byte(`<title>{{block "title" .}}Shop{{end}}</title>{{template "content" .}}`)},
			"partials/user.html": {Data: []byte(`<b>{{.}}</b>`)},
			"users/list.html":    {Data: []byte(`{{define "title"}}Users{{end}}{{range .}}{{template "partials/user" .}}{{end}}`)},
		},
		Layout: "layouts/base",
	}
	if err := views.Load(); err != nil { // at start-up: hear of mistakes early
		fmt.Println(err)
	}
	if err := views.Render(os.Stdout, "users/list", []string{"Ann", "<Bob>"}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// <title>Users</title><b>Ann</b><b>&lt;Bob&gt;</b>
}

func ExampleEvent() {
	out, err := render.Event{ID: "42", Name: "price", Data: `{"eur":12}`}.Append(nil)
	fmt.Printf("%s%v\n", out, err)
	// Output:
	// id: 42
	// event: price
	// data: {"eur":12}
	//
	// <nil>
}
