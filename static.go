// SPDX-License-Identifier: MIT

package pleat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/pleat-go/pleat/server"
)

// Static says how a directory of files is served.
type Static struct {
	// Index are the files that stand for their directory, "index.html" by default.
	Index []string
	// Deny are patterns of path.Match for names that are answered with 404,
	// wherever in the path they stand; names that begin with a dot always are.
	Deny []string
	// MaxAge lets caches use files for so long without asking again; see
	// server.FileOptions.
	MaxAge time.Duration
	// Fallback is a file that is sent, with status 200, for paths that have none:
	// the page of a single-page application. Empty answers 404.
	Fallback string
}

// Static serves the files of fsys below a prefix, GET and HEAD, with validators
// and ranges. Validators are made of size and modification time. Files without a
// modification time, which are those of an embed.FS, are taken never to change;
// their ETag is a digest of their content, made once for each. Use StaticDir for a directory on disk: an os.DirFS follows
// symbolic links out of it. A pattern that path.Match refuses is an error at the
// start.
func (r *routes) Static(prefix string, fsys fs.FS, s Static, mw ...Middleware) *Route {
	if fsys == nil {
		mw = []Middleware{refusal(errors.New("pleat: static files: no file system"))}
	}
	return r.static(prefix, &fileTree{Static: s, fsys: fsys}, mw)
}

// StaticDir is Static for a directory on disk, which nothing leads out of: no
// "..", no symbolic link, no device name. A directory that cannot be opened is an
// error at the start.
func (r *routes) StaticDir(prefix, dir string, s Static, mw ...Middleware) *Route {
	t := &fileTree{Static: s}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return r.static(prefix, t, []Middleware{refusal(fmt.Errorf("pleat: static files: %w", err))})
	}
	t.fsys = root.FS()
	// The error for links that lead outside has no name: ask for it.
	var escape *fs.PathError
	if _, err := root.Lstat(".."); errors.As(err, &escape) {
		t.escapes = escape.Err
	}
	return r.static(prefix, t, mw)
}

func (r *routes) static(prefix string, t *fileTree, mw []Middleware) *Route {
	if len(t.Index) == 0 {
		t.Index = []string{"index.html"}
	}
	for _, name := range append(t.Index, t.Fallback) {
		if name != "" && !fs.ValidPath(name) {
			mw = []Middleware{refusal(fmt.Errorf("pleat: static files: %q is no path in a file system", name))}
		}
	}
	for _, pattern := range t.Deny {
		if _, err := path.Match(pattern, ""); err != nil {
			mw = []Middleware{refusal(fmt.Errorf("pleat: static files: Deny %q: %w", pattern, err))}
		}
	}
	return r.GET(strings.TrimSuffix(prefix, "/")+"/*path", func(c *Context) error {
		name, err := fileName(c.route.parsed.escapedTail(c.path))
		if err != nil {
			return err
		}
		return t.serve(c, name)
	}, mw...)
}

// refusal is a middleware that cannot work.
func refusal(err error) Middleware { return func(Handler) Handler { panic(err) } }

// fileTree is a directory being served.
type fileTree struct {
	Static
	fsys    fs.FS
	escapes error // what fsys says of links that lead out of it
	tags    contentTags
}

// fileName decodes an escaped path once. What could name a file other than the
// path shows (an escaped slash, a backslash, NUL) is not found.
func fileName(escaped string) (string, error) {
	for segment := range strings.SplitSeq(escaped, "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil || strings.ContainsAny(plain, "/\\\x00:") || plain == "." || plain == ".." {
			return "", NewError(http.StatusNotFound, "")
		}
	}
	plain, _ := url.PathUnescape(escaped)
	plain = strings.TrimPrefix(plain, "/")
	if plain == "" {
		return ".", nil
	}
	return plain, nil
}

func (t *fileTree) serve(c *Context, name string) error {
	directory := strings.HasSuffix(name, "/") || name == "."
	name = path.Clean(name)
	if t.denied(name) {
		return NewError(http.StatusNotFound, "")
	}
	info, err := fs.Stat(t.fsys, name)
	switch {
	case err == nil && info.IsDir():
		if !directory {
			return redirectInto(c)
		}
		for _, index := range t.Index {
			err = t.send(c, path.Join(name, index))
			if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	case err == nil && directory:
		err = fs.ErrNotExist // "file.txt/" is no file
	case err == nil:
		return t.send(c, name)
	}
	err = t.failure(err)
	if t.Fallback != "" && errors.Is(err, fs.ErrNotExist) {
		return t.send(c, t.Fallback)
	}
	return err
}

// redirectInto adds the slash that a directory ends in: links of its index page
// are relative to it. The location is relative too, and so is right also where the
// app is mounted in another.
func redirectInto(c *Context) error {
	location := "." + c.path[strings.LastIndexByte(c.path, '/'):] + "/"
	if query, ok := locationQuery(c.req.RawQuery()); ok && query != "" {
		location += "?" + query
	}
	return c.redirect(http.StatusMovedPermanently, location)
}

func (s *Static) denied(name string) bool {
	if name == "." {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return true
		}
		for _, pattern := range s.Deny {
			if ok, _ := path.Match(pattern, part); ok {
				return true
			}
		}
	}
	return false
}

func (t *fileTree) send(c *Context, name string) error {
	// Opening a named pipe would wait for somebody to write into it.
	if info, err := fs.Stat(t.fsys, name); err != nil {
		return t.failure(err)
	} else if !info.Mode().IsRegular() {
		return t.failure(fs.ErrNotExist)
	}
	f, err := t.fsys.Open(name)
	if err != nil {
		return t.failure(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return t.failure(err)
	}
	content, ok := f.(io.ReadSeeker)
	if !ok {
		return fmt.Errorf("pleat: static files: %s: a %T cannot seek", name, f)
	}
	options := server.FileOptions{MaxAge: t.MaxAge}
	if info.ModTime().IsZero() {
		if options.ETag, err = t.tags.of(contentKey{name, info.Size()}, content); err != nil {
			return t.failure(err)
		}
	}
	return c.req.SendContent(info.Name(), info.ModTime(), content, options)
}

// failure gives errors of the file system a status: what depends on the name that
// the client asks for is no failure of the app.
func (t *fileTree) failure(err error) error {
	var coder StatusCoder
	switch {
	case errors.As(err, &coder):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return NewError(http.StatusNotFound, "").WithCause(err)
	case errors.Is(err, fs.ErrInvalid), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG),
		errors.Is(err, syscall.ELOOP), t.escapes != nil && errors.Is(err, t.escapes):
		return NewError(http.StatusNotFound, "").WithCause(fmt.Errorf("%w: %w", fs.ErrNotExist, err))
	case errors.Is(err, fs.ErrPermission):
		return NewError(http.StatusForbidden, "").WithCause(err)
	}
	return fmt.Errorf("pleat: static files: %w", err)
}
