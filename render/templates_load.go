// SPDX-License-Identifier: MIT

package render

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	texttemplate "text/template"
	"text/template/parse"
)

// From files to pages, in three steps: [Templates.parse] reads the tree,
// parseFile takes each file apart into its own text and what it defines, and
// assemble puts the parts of each page together in a set of its own.

// templateSet is what one pass over the files gave. It is immutable.
type templateSet struct {
	pages map[string]*template.Template // and partials
}

// source is one file, parsed.
type source struct {
	name    string // "users/list"
	file    string // "users/list.html", for messages
	own     *parse.Tree
	defines map[string]*parse.Tree
}

func (t *Templates) parse() (set *templateSet, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("render: loading templates: %w", err)
		}
	}()
	if t.FS == nil {
		return nil, errors.New("FS is not set")
	}
	root, err := fs.Sub(t.FS, path.Clean(cmp.Or(t.Root, ".")))
	if err != nil {
		return nil, err
	}

	layouts, partials, pages := map[string]*source{}, map[string]*source{}, map[string]*source{}
	err = fs.WalkDir(root, ".", func(file string, d fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(path.Base(file), ".") && file != "."
		switch {
		case err != nil && file == ".":
			return fmt.Errorf("root %q: %w", t.Root, err)
		case err != nil:
			return err
		case d.IsDir() && hidden:
			return fs.SkipDir
		case d.IsDir(), hidden:
			return nil
		}
		name, ok := strings.CutSuffix(file, cmp.Or(t.Extension, ".html"))
		if !ok || name == "" {
			return nil
		}
		s, err := t.parseFile(root, file, name)
		if err != nil {
			return err
		}
		switch {
		case within(name, cmp.Or(t.Layouts, "layouts")):
			layouts[name] = s
		case within(name, cmp.Or(t.Partials, "partials")):
			partials[name] = s
		default:
			pages[name] = s
		}
		return nil
	})
	if err != nil {
		return nil, err
	}

	shared, err := mergePartials(partials)
	if err != nil {
		return nil, err
	}
	set = &templateSet{pages: make(map[string]*template.Template, len(pages)+len(partials))}
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		if set.pages[name], err = t.assemble(pages[name], layouts, shared); err != nil {
			return nil, err
		}
	}
	for name := range partials {
		// Not checked on its own: it may be made for the inside of an
		// attribute or a script, and is checked where pages call it.
		if set.pages[name], err = t.build(name, shared); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// parseFile reads a file and takes it apart. The parts keep the name of the file,
// so that later errors tell it, with the line.
func (t *Templates) parseFile(root fs.FS, file, name string) (s *source, err error) {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil { // Funcs panics for what is not a function
			err = fmt.Errorf("%s: %v", file, p)
		}
	}()
	parsed, err := texttemplate.New(file).
		Delims(t.LeftDelim, t.RightDelim).Funcs(t.Funcs).Parse(string(text))
	if err != nil {
		return nil, err
	}
	s = &source{name: name, file: file, own: parsed.Tree, defines: map[string]*parse.Tree{}}
	for _, d := range parsed.Templates() {
		if d.Name() != file {
			s.defines[d.Name()] = d.Tree
		}
	}
	return s, nil
}

// within reports whether the file called name is in folder.
func within(name, folder string) bool { return strings.HasPrefix(name, path.Clean(folder)+"/") }

// blank reports whether a tree shows nothing.
func blank(tree *parse.Tree) bool { return tree == nil || parse.IsEmptyTree(tree.Root) }

// mergePartials collects what all partials define, themselves included.
func mergePartials(partials map[string]*source) (map[string]*parse.Tree, error) {
	shared, from := map[string]*parse.Tree{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(partials)) {
		s := partials[name]
		all := maps.Clone(s.defines)
		if s.own != nil {
			all[s.name] = s.own
		}
		for _, defined := range slices.Sorted(maps.Keys(all)) {
			if other, taken := from[defined]; taken {
				return nil, fmt.Errorf("%s and %s both define %q", other, s.file, defined)
			}
			shared[defined], from[defined] = all[defined], s.file
		}
	}
	return shared, nil
}

// assemble puts a page together: partials, then its layouts from the outermost
// inwards, then itself; what comes later takes the place of blocks before it.
func (t *Templates) assemble(page *source, layouts map[string]*source, shared map[string]*parse.Tree) (*template.Template, error) {
	chain, err := t.chain(page, layouts)
	if err != nil {
		return nil, err
	}
	if err := hidesNothing(page, chain); err != nil {
		return nil, err
	}
	trees, root := maps.Clone(shared), page.name
	if len(chain) > 0 {
		root = chain[0].name
	}
	for _, s := range append(chain, page) {
		trees[s.name] = s.own
		maps.Copy(trees, s.defines)
	}
	if len(chain) > 0 && !blank(page.own) {
		trees["content"] = page.own
	}
	built, err := t.build(root, trees)
	if err != nil {
		return nil, err
	}
	return built, check(built)
}

// hidesNothing refuses a page with text that would be lost silently: beside a
// block that takes its place, or in blocks that nothing shows.
func hidesNothing(page *source, chain []*source) error {
	if len(chain) == 0 {
		if _, named := page.defines["layout"]; blank(page.own) && len(page.defines) > 0 && !named {
			return fmt.Errorf("%s: only defines blocks, and has no layout to show them", page.file)
		}
		return nil
	}
	inner := append(slices.Clone(chain[1:]), page)
	for i, s := range inner {
		if blank(s.own) {
			continue
		}
		if s != page {
			return fmt.Errorf("%s: text outside of the blocks for its layout is never shown", s.file)
		}
		for _, over := range inner[:i+1] {
			if over.defines["content"] != nil {
				return fmt.Errorf("%s: text outside of the blocks is never shown, as %s defines \"content\"", page.file, over.file)
			}
		}
	}
	return nil
}

// chain gives the layouts of a page, the outermost first.
func (t *Templates) chain(page *source, layouts map[string]*source) ([]*source, error) {
	var chain []*source
	s, fallback := page, t.Layout
	for {
		name := fallback
		if tree := s.defines["layout"]; tree != nil {
			name = strings.TrimSpace(tree.Root.String())
		}
		if name == "" {
			slices.Reverse(chain)
			return chain, nil
		}
		layout := layouts[name]
		if layout == nil {
			return nil, fmt.Errorf("%s: no layout %q", s.file, name)
		}
		if slices.Contains(chain, layout) {
			return nil, fmt.Errorf("%s: layout %q leads back to itself", page.file, name)
		}
		chain = append(chain, layout)
		s, fallback = layout, ""
	}
}

// build makes an html/template of trees and returns the one called root.
func (t *Templates) build(root string, trees map[string]*parse.Tree) (*template.Template, error) {
	set := template.New(root).Funcs(t.Funcs)
	if t.StrictKeys {
		set.Option("missingkey=error")
	}
	if trees[root] == nil { // an empty file
		return set.Parse("")
	}
	for name, tree := range trees {
		if tree == nil || name == "layout" { // which names the layout and shows nothing
			continue
		}
		// A copy, because escaping rewrites the tree.
		if _, err := set.AddParseTree(name, tree.Copy()); err != nil {
			return nil, err
		}
	}
	return set.Lookup(root), nil
}

// check has html/template escape a page, which is when it finds calls of missing
// templates and text it cannot make safe. It does so the first time something of
// the set is executed, and follows the branches that are not taken as well: so
// a branch that is never taken checks the page and runs nothing of it.
func check(page *template.Template) error {
	const probe = "\x00check" // no file has this name
	trees, err := parse.Parse(probe, fmt.Sprintf("{{if false}}{{template %q .}}{{end}}", page.Name()), "", "")
	if err != nil {
		return err
	}
	p, err := page.AddParseTree(probe, trees[probe])
	if err != nil {
		return err
	}
	return p.Execute(io.Discard, nil)
}
