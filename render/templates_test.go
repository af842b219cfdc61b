// SPDX-License-Identifier: MIT

package render_test

import (
	"bytes"
	"errors"
	"html/template"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/pleat-go/pleat/render"
)

// files makes a file system of pairs of name and text.
func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

const base = `<title>{{block "title" .}}Shop{{end}}</title><main>{{template "content" .}}</main>`

func TestTemplates(t *testing.T) {
	tests := []struct {
		name string
		t    *render.Templates
		page string
		data any
		want string
	}{
		{
			"a file alone", &render.Templates{FS: files("hello.html", `Hi {{.}}`)},
			"hello", "<Ann>", "Hi &lt;Ann&gt;",
		},
		{
			"below a folder, in a root", &render.Templates{FS: files("web/views/a/b.html", `{{.}}`), Root: "web/views/"},
			"a/b", 7, "7",
		},
		{
			"in a root with a dot", &render.Templates{FS: files("views/b.html", `b`), Root: "./views"},
			"b", nil, "b",
		},
		{
			"text goes to content", &render.Templates{FS: files("layouts/base.html", base, "p.html", "x{{.}}"), Layout: "layouts/base"},
			"p", 1, "<title>Shop</title><main>x1</main>",
		},
		{
			"blocks take the layout's places", &render.Templates{
				FS:     files("layouts/base.html", base, "p.html", `{{define "title"}}P {{.}}{{end}} x `),
				Layout: "layouts/base",
			},
			"p", 1, "<title>P 1</title><main> x </main>",
		},
		{
			"content as a block", &render.Templates{
				FS:     files("layouts/base.html", base, "p.html", "{{define \"content\"}}c{{end}}\n"),
				Layout: "layouts/base",
			},
			"p", 1, "<title>Shop</title><main>c</main>",
		},
		{
			"a page names its layout", &render.Templates{
				FS:     files("layouts/base.html", base, "layouts/bare.html", `[{{template "content" .}}]`, "p.html", "{{define \"layout\"}} layouts/bare\n{{end}}c"),
				Layout: "layouts/base",
			},
			"p", 1, "[c]",
		},
		{
			"a page wants no layout", &render.Templates{
				FS:     files("layouts/base.html", base, "p.html", `{{define "layout"}}{{end}}c`),
				Layout: "layouts/base",
			},
			"p", 1, "c",
		},
		{
			"a layout in a layout", &render.Templates{
				FS: files("layouts/base.html", base,
					"layouts/admin.html", `{{define "layout"}}layouts/base{{end}}{{define "content"}}<nav></nav>{{block "main" .}}{{end}}{{end}}`,
					"p.html", `{{define "layout"}}layouts/admin{{end}}{{define "title"}}T{{end}}{{define "main"}}m{{.}}{{end}}`),
			},
			"p", 1, "<title>T</title><main><nav></nav>m1</main>",
		},
		{
			"partials", &render.Templates{
				FS: files("partials/nav.html", `<nav>{{template "item" .}}</nav>`, "partials/item.html", `{{define "item"}}({{.}}){{end}}`,
					"p.html", `{{template "partials/nav" .}}`),
			},
			"p", 1, "<nav>(1)</nav>",
		},
		{
			"a partial on its own", &render.Templates{FS: files("partials/nav.html", `<nav>{{.}}</nav>`), Layout: ""},
			"partials/nav", "&", "<nav>&amp;</nav>",
		},
		{
			"a partial for an attribute", &render.Templates{
				FS: files("partials/attr.html", `{{.}}`, "p.html", `<a title="{{template "partials/attr" .}}">`),
			},
			"p", `"`, `<a title="&#34;">`,
		},
		{
			"escaped for a script", &render.Templates{FS: files("p.html", `<script>var x = {{.}}</script>`)},
			"p", "</script>", `<script>var x = "\u003c/script\u003e"</script>`,
		},
		{
			"other folders and extension", &render.Templates{
				FS:      files("frames/f.tmpl", `<{{template "content" .}}>`, "bits/b.tmpl", `b`, "p.tmpl", `{{template "bits/b"}}`, "skip.html", `{{`),
				Layouts: "frames", Partials: "bits/", Extension: ".tmpl", Layout: "frames/f",
			},
			"p", nil, "&lt;b>",
		},
		{
			"delimiters and functions", &render.Templates{
				FS: files("p.html", `[[upper .]]{{}}`), LeftDelim: "[[", RightDelim: "]]",
				Funcs: template.FuncMap{"upper": strings.ToUpper},
			},
			"p", "a", "A{{}}",
		},
		{"an empty file", &render.Templates{FS: files("p.html", ``)}, "p", nil, ""},
		{"a missing key", &render.Templates{FS: files("p.html", `[{{.a}}]`)}, "p", map[string]string{}, "[]"},
		{
			"hidden files are left alone", &render.Templates{FS: files(".git/x.html", `{{`, ".x.html", `{{`, ".html", `{{`, "p.html", `p`)},
			"p", nil, "p",
		},
		{
			"an empty page takes the layout's default", &render.Templates{
				FS: files("layouts/l.html", `<{{block "content" .}}none{{end}}>`, "p.html", ""), Layout: "layouts/l",
			},
			"p", nil, "&lt;none>",
		},
		{
			"a page that calls itself", &render.Templates{FS: files("p.html", `{{.}}{{if .}}{{template "p" false}}{{end}}`)},
			"p", true, "truefalse",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.t.Load(); err != nil {
				t.Fatalf("Load: %v", err)
			}
			for range 2 {
				var out bytes.Buffer
				if err := tt.t.Render(&out, tt.page, tt.data); err != nil || out.String() != tt.want {
					t.Errorf("Render(%q) = %q, %v, want %q", tt.page, out.String(), err, tt.want)
				}
			}
			got, err := tt.t.Append([]byte("head "), tt.page, tt.data)
			if err != nil || string(got) != "head "+tt.want {
				t.Errorf("Append(%q) = %q, %v, want %q", tt.page, got, err, tt.want)
			}
			if !tt.t.Has(tt.page) || tt.t.Has("nosuch") || tt.t.Has("layouts/base") {
				t.Error("Has is wrong")
			}
		})
	}
}

func TestTemplatesLoadErrors(t *testing.T) {
	tests := []struct {
		name string
		t    *render.Templates
		want string // part of the error
	}{
		{"no FS", &render.Templates{}, "FS is not set"},
		{"no root", &render.Templates{FS: files("a.html", ""), Root: "web"}, "web"},
		{"root outside", &render.Templates{FS: files("a.html", ""), Root: "../web"}, "../web"},
		{"syntax", &render.Templates{FS: files("a/b.html", "x\n{{if}}")}, "a/b.html:2:"},
		{"syntax in a partial nobody uses", &render.Templates{FS: files("partials/p.html", "{{end}}")}, "partials/p.html:1:"},
		{"unknown function", &render.Templates{FS: files("a.html", "{{nosuch .}}")}, `a.html:1: function "nosuch" not defined`},
		{"a function that is none", &render.Templates{FS: files("a.html", "x"), Funcs: template.FuncMap{"f": 1}}, "a.html: value for f not a function"},
		{"missing template", &render.Templates{FS: files("a.html", "\n\n"+`{{if false}}{{template "nosuch"}}{{end}}`)}, `a.html:3:23: no such template "nosuch"`},
		{"missing layout", &render.Templates{FS: files("a.html", "x"), Layout: "layouts/nosuch"}, `a.html: no layout "layouts/nosuch"`},
		{"missing layout by name", &render.Templates{FS: files("a.html", `{{define "layout"}}nosuch{{end}}`)}, `a.html: no layout "nosuch"`},
		{"layout without content", &render.Templates{FS: files("layouts/l.html", base, "a.html", ``), Layout: "layouts/l"}, `no such template "content"`},
		{"layouts in a circle", &render.Templates{FS: files(
			"layouts/a.html", `{{define "layout"}}layouts/b{{end}}`, "layouts/b.html", `{{define "layout"}}layouts/a{{end}}`,
			"p.html", `{{define "layout"}}layouts/a{{end}}`)}, `p.html: layout "layouts/a" leads back to itself`},
		{"unsafe text", &render.Templates{FS: files("a.html", `<a href={{if .}}"{{end}}>`)}, "a.html:1:"},
		{"text beside content", &render.Templates{FS: files("layouts/l.html", base, "a.html", `lost {{define "content"}}x{{end}}`), Layout: "layouts/l"}, "a.html: text outside"},
		{"text beside a layout's content", &render.Templates{FS: files("layouts/l.html", base,
			"layouts/m.html", `{{define "layout"}}layouts/l{{end}}{{define "content"}}{{block "main" .}}{{end}}{{end}}`,
			"a.html", `{{define "layout"}}layouts/m{{end}}lost`)}, `layouts/m.html defines "content"`},
		{"text in an inner layout", &render.Templates{FS: files("layouts/l.html", base,
			"layouts/m.html", `{{define "layout"}}layouts/l{{end}}lost`,
			"a.html", `{{define "layout"}}layouts/m{{end}}{{define "content"}}x{{end}}`)}, "layouts/m.html: text outside"},
		{"blocks and no layout", &render.Templates{FS: files("a.html", `{{define "content"}}x{{end}}`)}, "a.html: only defines blocks"},
		{
			"two partials, one name", &render.Templates{FS: files("partials/a.html", `{{define "x"}}1{{end}}`, "partials/b.html", `{{define "x"}}2{{end}}`)},
			`partials/a.html and partials/b.html both define "x"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.t.Load()
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "render: loading templates: ") {
				t.Fatalf("Load() = %v, want %q in it", err, tt.want)
			}
			if tt.t.Has("a") {
				t.Error("Has after a failed Load")
			}
			var out bytes.Buffer
			if err := tt.t.Render(&out, "a", nil); err == nil || out.Len() > 0 {
				t.Errorf("Render = %q, %v, want the error of Load", out.String(), err)
			}
		})
	}
}

// What runs while a page is checked must not be the page.
func TestTemplatesLoadRunsNothing(t *testing.T) {
	ran := false
	tt := &render.Templates{
		FS:    files("a.html", `{{touch}}`),
		Funcs: template.FuncMap{"touch": func() string { ran = true; return "" }},
	}
	if err := tt.Load(); err != nil || ran {
		t.Fatalf("Load() = %v, ran %v", err, ran)
	}
}

func TestTemplatesRenderErrors(t *testing.T) {
	tt := &render.Templates{
		FS: files("late.html", "sent?\n{{.Name}}{{boom .}}", "map.html", `{{.a}}`),
		Funcs: template.FuncMap{
			"boom": func(v any) (string, error) {
				if v == "panic" {
					panic("ouch")
				}
				return "", errors.New("boom")
			},
		},
		StrictKeys: true,
	}
	tests := []struct {
		name, page string
		data       any
		want       string
	}{
		{"a function fails", "late", map[string]string{"Name": "x"}, "late.html:2:"},
		{"a missing field", "late", struct{}{}, "late.html:2:"},
		{"a missing key", "map", map[string]int{}, `map has no entry for key "a"`},
		{"an unknown page", "nosuch", nil, `render: no such template: "nosuch"`},
		{"a layout is no page", "layouts/base", nil, "no such template"},
		{"a path is no name", "../late.html", nil, "no such template"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			err := tt.Render(&out, tc.page, tc.data)
			if err == nil || !strings.Contains(err.Error(), tc.want) || out.Len() > 0 {
				t.Errorf("Render = %q, %v, want nothing and %q", out.String(), err, tc.want)
			}
			dst := []byte("head")
			if got, err := tt.Append(dst, tc.page, tc.data); err == nil || string(got) != "head" {
				t.Errorf("Append = %q, %v, want dst and an error", got, err)
			}
		})
	}
	if err := tt.Render(io.Discard, "nosuch", nil); !errors.Is(err, render.ErrNoTemplate) {
		t.Errorf("%v is not ErrNoTemplate", err)
	}
	if err := (&render.Templates{FS: files("p.html", "{{boom .}}"), Funcs: tt.Funcs}).Render(io.Discard, "p", "panic"); err == nil || !strings.Contains(err.Error(), "ouch") {
		t.Errorf("a panic in a function = %v, want an error", err)
	}
}

type failingWriter struct{ writes int }

func (f *failingWriter) Write([]byte) (int, error) { f.writes++; return 0, io.ErrClosedPipe }

func TestTemplatesWriterFails(t *testing.T) {
	tt := &render.Templates{FS: files("p.html", `a{{.}}b{{.}}c`)}
	w := new(failingWriter)
	if err := tt.Render(w, "p", 1); !errors.Is(err, io.ErrClosedPipe) || w.writes != 1 {
		t.Errorf("Render = %v after %d writes, want the writer's error after 1", err, w.writes)
	}
}

func TestTemplatesReload(t *testing.T) {
	fsys := files("p.html", "one")
	tt := &render.Templates{FS: fsys, Reload: true}
	once := &render.Templates{FS: fsys}
	want := func(tt *render.Templates, want string) {
		t.Helper()
		if got, err := tt.Append(nil, "p", nil); string(got) != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	want(tt, "one")
	want(once, "one")
	fsys["p.html"] = &fstest.MapFile{Data: []byte("two")}
	want(tt, "two")
	want(once, "one")

	fsys["p.html"] = &fstest.MapFile{Data: []byte("{{oops}}")}
	if _, err := tt.Append(nil, "p", nil); err == nil || !strings.Contains(err.Error(), "p.html:1:") {
		t.Errorf("after a bad change: %v, want file and line", err)
	}
	if err := once.Load(); err == nil {
		t.Error("Load takes a bad change")
	}
	want(once, "one") // and goes on with what worked

	fsys["p.html"] = &fstest.MapFile{Data: []byte("three")}
	want(tt, "three")
	if err := once.Load(); err != nil {
		t.Error(err)
	}
	want(once, "three")
}

func TestTemplatesConcurrent(t *testing.T) {
	for _, reload := range []bool{false, true} {
		tt := &render.Templates{FS: files("layouts/l.html", base, "a.html", `{{.}}a`, "b.html", `{{.}}b`), Layout: "layouts/l", Reload: reload}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				page := string("ab"[i%2])
				for range 20 {
					got, err := tt.Append(nil, page, i)
					if want := "<main>" + string(rune('0'+i)) + page + "</main>"; err != nil || !strings.HasSuffix(string(got), want) {
						t.Errorf("%q, %v, want %q at the end", got, err, want)
					}
					if i == 0 {
						if err := tt.Load(); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
	}
}

// Pages of all sizes through the pooled buffers: none may see another's bytes.
func TestTemplatesRenderSizes(t *testing.T) {
	tt := &render.Templates{FS: files("p.html", `{{.}}`)}
	for _, n := range []int{0, 1, 100, 1 << 17, 10, 1 << 16, 3} {
		text := strings.Repeat("x", n)
		var out bytes.Buffer
		if err := tt.Render(&out, "p", text); err != nil || out.String() != text {
			t.Errorf("%d bytes: got %d, %v", n, out.Len(), err)
		}
	}
}
