// SPDX-License-Identifier: MIT

package render

import (
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
)

// Templates is a tree of html/template files. Set its fields, then use it; the
// fields must not change after that, and a Templates in use must not be copied.
// All methods are safe for concurrent use.
//
// A template is named by its path below Root without the extension: the file
// users/list.html is the page "users/list". Files below the folder Partials can
// be called from every other file, {{template "partials/nav" .}}, and can be
// rendered on their own. Files below the folder Layouts are the frames of pages:
//
//	layouts/base.html   <title>{{block "title" .}}Shop{{end}}</title>
//	                    <main>{{template "content" .}}</main>
//	users/list.html     {{define "title"}}Users{{end}}
//	                    <ul>{{range .Users}}<li>{{.Name}}</li>{{end}}</ul>
//
// What a page defines takes the place of the layout's blocks, and the rest of
// the page is "content". A page may define "content" like any other block, but
// not have text beside it, which nobody would ever see.
//
// A page is shown in the default Layout, or in the one it names itself:
// {{define "layout"}}layouts/admin{{end}}. A page that defines "layout" empty has
// none. A layout may name a layout of its own in the same way: it then defines
// blocks of the outer one, and may have blocks for pages in them.
//
// Each page is parsed apart from all others, so that what one defines never shows
// up in another.
//
// Security: html/template escapes what is inserted by the place it is inserted
// at. Values of the types template.HTML, template.JS and so on are not escaped;
// never make them from what a client has sent.
type Templates struct {
	// FS holds the files: an [embed.FS], or [os.DirFS] during development.
	// Required.
	FS fs.FS

	// Root is the folder in FS where names begin. "" is FS itself.
	Root string

	// Extension is the end of the names of template files; files with other
	// names are left alone. "" is ".html".
	Extension string

	// Layouts and Partials are folders below Root. "" is "layouts" and
	// "partials". They need not exist.
	Layouts, Partials string

	// Layout is the name of the layout, such as "layouts/base", for pages that
	// do not name one. "" is none.
	Layout string

	// Funcs are functions that templates may call, beside the built-in ones.
	// They must be safe for concurrent use.
	Funcs template.FuncMap

	// LeftDelim and RightDelim stand around actions. "" is "{{" and "}}".
	LeftDelim, RightDelim string

	// StrictKeys makes it an error to use a key that a map in the data does
	// not have. By default it counts as nothing. A struct without the field
	// is an error in any case.
	StrictKeys bool

	// Reload reads and parses the files again for every page, so that a change
	// shows with the next request and a mistake is reported there. For
	// development: it is slow.
	Reload bool

	loading sync.Mutex // held while files are read the first time
	loaded  atomic.Pointer[templateSet]
}

// Load reads, parses and checks all files. Every mistake that can be known without
// the data is an error here: wrong syntax, unknown functions, calls of templates
// that do not exist, missing layouts, text that html/template cannot escape.
//
// It is optional, as the first page loads what is not loaded, but at start-up is
// the right time to hear of mistakes. Called again it takes up changes; if it
// fails, pages go on as they were.
func (t *Templates) Load() error {
	set, err := t.parse()
	if err != nil {
		return err
	}
	t.loaded.Store(set)
	return nil
}

// Has reports whether a page or partial with that name exists. It is false when
// the templates cannot be loaded.
func (t *Templates) Has(name string) bool {
	set, err := t.current()
	return err == nil && set.pages[name] != nil
}

// Append executes the page or partial and appends the result to dst. When that
// fails it returns dst as it was and the error, which names file and line; for an
// unknown name it wraps [ErrNoTemplate].
func (t *Templates) Append(dst []byte, name string, data any) ([]byte, error) {
	set, err := t.current()
	if err != nil {
		return dst, err
	}
	page := set.pages[name]
	if page == nil {
		return dst, fmt.Errorf("render: %w: %q", ErrNoTemplate, name)
	}
	a := appender{b: dst}
	if err := page.Execute(&a, data); err != nil {
		return dst, fmt.Errorf("render: %w", err)
	}
	return a.b, nil
}

// Render is [Templates.Append] to a writer, which is written to once, when the
// page is complete, or not at all.
func (t *Templates) Render(w io.Writer, name string, data any) error {
	a := pages.Get().(*appender)
	page, err := t.Append(a.b[:0], name, data)
	if err == nil {
		_, err = w.Write(page)
	}
	if cap(page) <= maxPooledPage { // one huge page must not stay in memory for ever
		a.b = page
		pages.Put(a)
	}
	return err
}

const maxPooledPage = 64 << 10

var pages = sync.Pool{New: func() any { return new(appender) }}

// current gives the templates to use now.
func (t *Templates) current() (*templateSet, error) {
	if t.Reload {
		return t.parse()
	}
	if set := t.loaded.Load(); set != nil {
		return set, nil
	}
	t.loading.Lock()
	defer t.loading.Unlock()
	if set := t.loaded.Load(); set != nil {
		return set, nil
	}
	if err := t.Load(); err != nil {
		return nil, err
	}
	return t.loaded.Load(), nil
}
