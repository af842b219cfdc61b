// SPDX-License-Identifier: MIT

package pleat_test

import (
	"embed"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pleat-go/pleat"
)

//go:embed LICENSE
var embedded embed.FS

// fileSite serves a directory with all kinds of things in and around it.
func fileApp(t *testing.T) *pleat.App {
	t.Helper()
	outside := t.TempDir()
	dir := filepath.Join(outside, "www")
	for name, content := range map[string]string{
		"secret.txt":            "SECRET",
		"www/a.txt":             "text a",
		"www/a b.txt":           "space",
		"www/я.txt":             "cyrillic",
		"www/100%.txt":          "percent",
		"www/index.html":        "<p>root",
		"www/sub/index.html":    "<p>sub",
		"www/sub/deep/x.js":     "x()",
		"www/other/home.htm":    "home",
		"www/empty/.keep":       "SECRET",
		"www/.git/config":       "SECRET",
		"www/.env":              "SECRET",
		"www/backup.sql":        "SECRET",
		"www/sub/private/x.txt": "SECRET",
	} {
		path := filepath.Join(outside, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"out.txt": "../secret.txt", "abs.txt": filepath.Join(outside, "secret.txt"), "outdir": "..", "in.txt": "a.txt",
		"loop": "loop", "dangling": "nothing",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	makePipe(t, filepath.Join(dir, "pipe"))
	app := pleat.New(pleat.Config{})
	s := pleat.Static{Index: []string{"index.html", "home.htm"}, Deny: []string{"*.sql", "private"}, MaxAge: time.Minute}
	app.StaticDir("/files", dir, s)
	app.GET("/files/dynamic", text("dynamic"))
	s.Fallback = "index.html"
	app.StaticDir("/spa/", dir, s)
	return app
}

func TestStaticDir(t *testing.T) {
	everywhere(t, fileApp, func(t *testing.T, s *site) {
		for _, test := range []struct {
			target   string
			status   int
			body     string
			location string
		}{
			{"/files/a.txt", 200, "text a", ""},
			{"/files/a%20b.txt", 200, "space", ""},
			{"/files/%D1%8F.txt", 200, "cyrillic", ""},
			{"/files/100%25.txt", 200, "percent", ""},
			{"/files/in.txt", 200, "text a", ""},
			{"/files/", 200, "<p>root", ""},
			{"/files", 301, "", "/files/"},
			{"/files/dynamic", 200, "dynamic", ""},
			{"/files/sub", 301, "", "./sub/"},
			{"/files/sub?q=1", 301, "", "./sub/?q=1"},
			{"/files/sub/", 200, "<p>sub", ""},
			{"/files/sub/deep/x.js", 200, "x()", ""},
			{"/files/sub/deep/", 404, "", ""},
			{"/files/other/", 200, "home", ""},
			{"/files/other/home.htm", 200, "home", ""},
			{"/files/empty/", 404, "", ""},
			{"/files/nope", 404, "", ""},
			{"/files/a.txt/", 404, "", ""},
			{"/files/a.txt/b", 404, "", ""},
			{"/files/" + strings.Repeat("n", 1000), 404, "", ""},
			{"/files/" + strings.Repeat("n/", 1000), 404, "", ""},
			// The way out.
			{"/files/out.txt", 404, "", ""},
			{"/files/abs.txt", 404, "", ""},
			{"/files/outdir/secret.txt", 404, "", ""},
			{"/files/outdir", 404, "", ""},
			{"/files/loop", 404, "", ""},
			{"/files/dangling", 404, "", ""},
			{"/files/..%2Fsecret.txt", 404, "", ""},
			{"/files/%2e%2e/secret.txt", 404, "", ""},
			{"/files/%2e%2e%2fsecret.txt", 404, "", ""},
			{"/files/sub/../a.txt", 301, "", "/files/a.txt"},
			{"/files/..%5Csecret.txt", 404, "", ""},
			{"/files/%252e%252e/secret.txt", 404, "", ""},
			{"/files/sub%2Findex.html", 404, "", ""},
			{"/files/a.txt%00", 400, "", ""},
			{"/files/C:%5Cx", 404, "", ""},
			{"/files/a.txt::$DATA", 404, "", ""},
			{"/files/%2Fetc%2Fpasswd", 404, "", ""},
			// What is not for everybody.
			{"/files/.env", 404, "", ""},
			{"/files/%2eenv", 404, "", ""},
			{"/files/.git/config", 404, "", ""},
			{"/files/empty/.keep", 404, "", ""},
			{"/files/backup.sql", 404, "", ""},
			{"/files/sub/private/x.txt", 404, "", ""},
			{"/files/sub/private/", 404, "", ""},
			{"/files/pipe", 404, "", ""},
			// A single-page application.
			{"/spa/users/7", 200, "<p>root", ""},
			{"/spa/a.txt", 200, "text a", ""},
			{"/spa/sub/deep/", 200, "<p>root", ""},
			{"/spa/a.txt/b", 200, "<p>root", ""},
			{"/spa/out.txt", 200, "<p>root", ""},
			{"/spa/.env", 404, "", ""},
			{"/spa/backup.sql", 404, "", ""},
			{"/spa/..%2Fsecret.txt", 404, "", ""},
		} {
			a := s.get(test.target)
			if a.StatusCode != test.status || test.status == 200 && a.body != test.body || a.Header.Get("Location") != test.location {
				t.Errorf("%.60s = %d %q Location %q, want %d %q %q", test.target, a.StatusCode, a.body, a.Header.Get("Location"), test.status, test.body, test.location)
			}
			lacks(t, a.body, "SECRET")
		}
	})
}

func TestStaticHeader(t *testing.T) {
	everywhere(t, fileApp, func(t *testing.T, s *site) {
		a := s.get("/files/a.txt")
		for field, want := range map[string]string{
			"Content-Type": "text/plain; charset=utf-8", "Content-Length": "6", "Cache-Control": "max-age=60", "Accept-Ranges": "bytes",
		} {
			if got := a.Header.Get(field); got != want {
				t.Errorf("%s = %q, want %q", field, got, want)
			}
		}
		tag := a.Header.Get("ETag")
		if tag == "" || a.Header.Get("Last-Modified") == "" {
			t.Errorf("no validators: %v", a.Header)
		}
		if a := s.get("/files/a.txt", "If-None-Match", tag); a.StatusCode != 304 || a.body != "" {
			t.Errorf("If-None-Match: %d %q", a.StatusCode, a.body)
		}
		if a := s.get("/files/a.txt", "Range", "bytes=1-2"); a.StatusCode != 206 || a.body != "ex" {
			t.Errorf("Range: %d %q", a.StatusCode, a.body)
		}
		if a := s.do("HEAD", "/files/a.txt"); a.StatusCode != 200 || a.Header.Get("Content-Length") != "6" {
			t.Errorf("HEAD: %d %v", a.StatusCode, a.Header)
		}
		if a := s.do("POST", "/files/a.txt"); a.StatusCode != 405 {
			t.Errorf("POST: %d", a.StatusCode)
		}
		if a := s.get("/files/nope"); a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("404: Cache-Control %q", a.Header.Get("Cache-Control"))
		}
	})
}

func TestStaticFileSystems(t *testing.T) {
	inner := pleat.New(pleat.Config{})
	inner.Static("/", fstest.MapFS{"dir/index.html": {Data: []byte("index"), ModTime: time.Unix(1e9, 0)}, "x": {Data: []byte("x")}}, pleat.Static{})
	app := pleat.New(pleat.Config{})
	app.Static("/embedded", embedded, pleat.Static{})
	app.Static("/map", fstest.MapFS{"x.txt": {Data: []byte("x")}, "secret": {Mode: fs.ModeDevice}}, pleat.Static{})
	app.MountHTTP("/mounted", inner)
	s := serve(t, app)
	for target, want := range map[string]string{
		"/embedded/LICENSE": "200 ", "/embedded/main_test.go": "404 ", "/map/x.txt": "200 ", "/map/secret": "404 ", "/map/": "404 ",
		"/mounted/dir/": "200 ", "/mounted/x": "200 ",
	} {
		if a := s.get(target); !strings.HasPrefix(a.Status, want) {
			t.Errorf("%s = %s", target, a.Status)
		}
	}
	// A redirect into a directory holds wherever the app is mounted.
	r := s.get("/mounted/dir")
	at, err := r.Location()
	if err != nil || r.StatusCode != 301 || at.Path != "/mounted/dir/" {
		t.Errorf("/mounted/dir = %d, to %v, %v", r.StatusCode, at, err)
	}
}

// Embedded files have no modification time; their content makes the validator.
func TestStaticEmbedded(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		app.Static("/embedded", embedded, pleat.Static{})
		app.Static("/same", embedded, pleat.Static{Index: []string{"LICENSE"}})
		app.Static("/other", fstest.MapFS{"LICENSE": {Data: []byte("none")}, "empty": {}}, pleat.Static{})
		return app
	}, func(t *testing.T, s *site) {
		a := s.get("/embedded/LICENSE")
		tag := a.Header.Get("ETag")
		if len(tag) < 10 || tag[0] != '"' || a.Header.Get("Last-Modified") != "" || int64(len(a.body)) != a.ContentLength {
			t.Fatalf("%d octets, %v", len(a.body), a.Header)
		}
		for _, test := range []struct {
			method, target, field, value string
			status                       int
			same                         bool // the same ETag
		}{
			{"GET", "/embedded/LICENSE", "X", "", 200, true},
			{"HEAD", "/embedded/LICENSE", "X", "", 200, true},
			{"GET", "/embedded/LICENSE", "If-None-Match", tag, 304, true},
			{"HEAD", "/embedded/LICENSE", "If-None-Match", `"a", W/` + tag, 304, true},
			{"GET", "/embedded/LICENSE", "If-None-Match", `"a"`, 200, true},
			{"GET", "/embedded/LICENSE", "If-Match", `"a"`, 412, true},
			{"GET", "/same/", "If-None-Match", tag, 304, true},
			{"GET", "/other/LICENSE", "If-None-Match", tag, 200, false},
			{"GET", "/other/empty", "If-None-Match", tag, 200, false},
		} {
			a := s.do(test.method, test.target, test.field, test.value)
			if got := a.Header.Get("ETag"); a.StatusCode != test.status || got == "" || (got == tag) != test.same {
				t.Errorf("%s %s, %s %s = %d, ETag %s", test.method, test.target, test.field, test.value, a.StatusCode, got)
			}
		}
		if a := s.get("/embedded/LICENSE", "Range", "bytes=0-2", "If-Range", tag); a.StatusCode != 206 || a.body != "MIT" {
			t.Errorf("If-Range with the tag = %d %.20q", a.StatusCode, a.body)
		}
		if a := s.get("/embedded/LICENSE", "Range", "bytes=0-2", "If-Range", `"a"`); a.StatusCode != 200 {
			t.Errorf("If-Range with another = %d %.20q", a.StatusCode, a.body)
		}
	})
}

// A group has files and foreign handlers below its prefix, behind its middleware.
func TestStaticInGroups(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		files := fstest.MapFS{"dir/index.html": {Data: []byte("index")}, "x": {Data: []byte("x")}}
		module := pleat.NewGroup("/docs", mark("module"))
		module.Static("/files", files, pleat.Static{}).Name("files")
		module.MountHTTP("/fs", http.FileServerFS(files))
		app := pleat.New(pleat.Config{})
		app.Group("/v:version", mark("group")).Mount("/m", module)
		return app
	}, func(t *testing.T, s *site) {
		for target, want := range map[string]string{"/v1/m/docs/files/x": "x", "/v2/m/docs/files/dir/": "index", "/v3/m/docs/fs/x": "x"} {
			if a := s.get(target); a.body != want || strings.Join(a.Header.Values("X-Trace"), " ") != "group module" {
				t.Errorf("%s = %d %q, %v", target, a.StatusCode, a.body, a.Header)
			}
		}
	})
}

// Failures of the disk are failures of the app.
func TestStaticFailures(t *testing.T) {
	log := &logBook{}
	app := pleat.New(pleat.Config{Logger: log.logger()})
	app.Static("/broken", brokenFS{errBroken}, pleat.Static{})
	app.Static("/forbidden", brokenFS{fs.ErrPermission}, pleat.Static{})
	s := serve(t, app)
	if a := s.get("/broken/x"); a.StatusCode != 500 || len(log.lines(t, "error")) != 1 {
		t.Errorf("a broken disk: %d, log %v", a.StatusCode, log)
	}
	if a := s.get("/forbidden/x"); a.StatusCode != 403 || len(log.lines(t, "error")) != 1 {
		t.Errorf("no permission: %d, log %v", a.StatusCode, log)
	}
}

type brokenFS struct{ err error }

func (b brokenFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: b.err}
}
