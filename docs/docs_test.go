// SPDX-License-Identifier: MIT

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pleat-go/pleat/internal/conformance"
)

// What the guides say about the code is held against the code: fragments of Go
// stand in files that are compiled, and names, files and links exist.

// guides are the pages that are checked, by path from here.
func guides(t *testing.T) map[string]string {
	t.Helper()
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal("no guides", err)
	}
	text := map[string]string{}
	for _, page := range append(pages, "../README.md") {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text[page] = string(b)
	}
	return text
}

// goFiles reads the Go files below some folders, by path from here.
func goFiles(t *testing.T, roots ...string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			b, err := os.ReadFile(path)
			files[path] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// flat is Go code without its indentation, which differs between a guide and the
// function that a fragment is taken from.
func flat(code string) string {
	lines := strings.Split(strings.ReplaceAll(code, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func TestFragmentsAreCompiled(t *testing.T) {
	var compiled strings.Builder
	for _, code := range goFiles(t, ".", "../examples") {
		compiled.WriteString(flat(code) + "\n")
	}
	for page, text := range guides(t) {
		for _, block := range fence.FindAllStringSubmatch(text, -1) {
			if block[1] == "go" && !strings.Contains(compiled.String(), "\n"+flat(block[2])) {
				t.Errorf("%s: not in any file of docs or examples, word for word:\n%s", page, block[2])
			}
		}
	}
}

// exported are the exported names of the packages: "server.HTTPServer",
// "server.HTTPServer.MaxRequest", "server.HTTPRequest.Hijack".
type exported struct {
	names    map[string]bool
	embedded map[string][]string // type → types whose members it has
	owner    map[string]string   // name of a type → package
}

func exportedNames(t *testing.T) exported {
	t.Helper()
	x := exported{names: map[string]bool{}, embedded: map[string][]string{}, owner: map[string]string{}}
	for name, dir := range map[string]string{"pleat": "..", "server": "../server", "client": "../client", "render": "../render", "middleware": "../middleware"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				x.add(name, d)
			}
		}
	}
	for range 3 { // members of embedded types, which may embed others
		for outer, inners := range x.embedded {
			for _, inner := range inners {
				for _, member := range slices.Collect(maps.Keys(x.names)) {
					if rest, ok := strings.CutPrefix(member, inner+"."); ok {
						x.names[outer+"."+rest] = true
					}
				}
			}
		}
	}
	return x
}

func (x *exported) add(pkg string, d ast.Decl) {
	if f, ok := d.(*ast.FuncDecl); ok {
		name := pkg + "."
		if f.Recv != nil {
			name += typeName(f.Recv.List[0].Type) + "."
		}
		x.names[name+f.Name.Name] = true
		return
	}
	for _, spec := range d.(*ast.GenDecl).Specs {
		switch s := spec.(type) {
		case *ast.ValueSpec:
			for _, n := range s.Names {
				x.names[pkg+"."+n.Name] = true
			}
		case *ast.TypeSpec:
			name := pkg + "." + s.Name.Name
			x.names[name] = true
			if ast.IsExported(s.Name.Name) {
				x.owner[s.Name.Name] = pkg
			}
			var fields []*ast.Field
			switch body := s.Type.(type) {
			case *ast.StructType:
				fields = body.Fields.List
			case *ast.InterfaceType:
				fields = body.Methods.List
			}
			for _, f := range fields {
				for _, n := range f.Names {
					x.names[name+"."+n.Name] = true
				}
				if len(f.Names) == 0 {
					x.embedded[name] = append(x.embedded[name], pkg+"."+typeName(f.Type))
				}
			}
		}
	}
}

// typeName is the name in a receiver or an embedded field.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

var (
	span     = regexp.MustCompile("`([^`\n]+)`")
	mention  = regexp.MustCompile(`\b(\w+)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)
	goFile   = regexp.MustCompile(`^[\w./-]+\.go$`)
	testName = regexp.MustCompile(`^((?:Test|Fuzz|Example|Benchmark)\w+)(?:/(\S+))?$`)
	link     = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
)

// variables of the fragments, by what they are.
var variables = map[string]string{
	"c": "pleat.Context", "app": "pleat.App", "r": "server.HTTPRequest",
}

func TestNamesExist(t *testing.T) {
	x := exportedNames(t)
	packages := map[string]bool{"pleat": true, "server": true, "client": true, "render": true, "middleware": true}
	for page, text := range guides(t) {
		for _, s := range span.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			for _, m := range mention.FindAllStringSubmatch(s[1], -1) {
				name := m[0]
				switch {
				case variables[m[1]] != "":
					name = variables[m[1]] + "." + m[2] // what its result has is not looked up
				case x.owner[m[1]] != "":
					name = x.owner[m[1]] + "." + m[1] + "." + m[2]
				case !packages[m[1]]:
					continue
				}
				if !x.names[name] {
					t.Errorf("%s: `%s`: there is no %s", page, s[1], name)
				}
			}
		}
	}
}

// conformanceSections are the tests that a section of the corpus makes, as in
// "TestConformance/6.1".
func conformanceSections(t *testing.T) map[string]bool {
	t.Helper()
	cases, err := conformance.Load(os.DirFS("../server/testdata/conformance"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for _, c := range cases {
		sections["TestConformance/"+strings.ReplaceAll(c.Section, " ", "_")] = true
	}
	return sections
}

// TestConformanceTables holds the tables of rules against the corpus: every rule
// names a test, every section of the corpus is named.
func TestConformanceTables(t *testing.T) {
	page := guides(t)["conformance.md"]
	sections := conformanceSections(t)
	rules := 0
	_, after, _ := strings.Cut(page, "\n## RFC 9112\n")
	tables, _, _ := strings.Cut(after, "\n## Promises")
	for line := range strings.Lines(tables) {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| section") {
			continue
		}
		rules++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 || !strings.Contains(cells[3], "`Test") {
			t.Errorf("a rule without a test: %s", line)
		}
	}
	if rules < 50 {
		t.Errorf("only %d rules", rules)
	}
	for section := range sections {
		if !strings.Contains(page, "`"+section+"`") {
			t.Errorf("conformance.md does not name %s", section)
		}
	}
}

func TestFilesAndTestsExist(t *testing.T) {
	files := goFiles(t, "..")
	sections := conformanceSections(t)
	var tests strings.Builder
	for path, code := range files {
		if strings.HasSuffix(path, "_test.go") {
			tests.WriteString(code)
		}
	}
	for page, text := range guides(t) {
		for _, s := range span.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			switch {
			case goFile.MatchString(s[1]) && files[filepath.Join("..", s[1])] == "":
				t.Errorf("%s: there is no file %s", page, s[1])
			case testName.MatchString(s[1]):
				m := testName.FindStringSubmatch(s[1])
				if !strings.Contains(tests.String(), "\nfunc "+m[1]+"(") || m[2] != "" && !sections[m[0]] {
					t.Errorf("%s: there is no test %s", page, s[1])
				}
			}
		}
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: broken link: %v", page, err)
			}
		}
	}
}

func TestAnchorsExist(t *testing.T) {
	anchors := map[string]bool{}
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	drop := regexp.MustCompile(`[^a-z0-9 _-]`)
	pages := guides(t)
	for page, text := range pages {
		for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			anchors[filepath.Join("docs", page)+"#"+strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
		}
	}
	inside := regexp.MustCompile(`\]\(([^):#]*)#([^)]+)\)`)
	for page, text := range pages {
		for _, m := range inside.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target := filepath.Join("docs", page)
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(target), m[1])
			}
			if !anchors[target+"#"+m[2]] {
				t.Errorf("%s: no heading for %s#%s", page, target, m[2])
			}
		}
	}
}
