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
// and ranges. Use [App.StaticDir] for a directory on disk: an os.DirFS follows
// symbolic links out of it.
func (a *App) Static(prefix string, fsys fs.FS, s Static, mw ...Middleware) *Route {
	prefix = strings.TrimSuffix(prefix, "/")
	if len(s.Index) == 0 {
		s.Index = []string{"index.html"}
	}
	return a.GET(prefix+"/*path", func(c *Context) error {
		name, err := fileName(c.route.parsed.escapedTail(c.path))
		if err != nil {
			return err
		}
		return s.serve(c, fsys, name)
	}, mw...)
}

// StaticDir is Static for a directory on disk, which nothing leads out of: no
// "..", no symbolic link, no device name. A directory that cannot be opened is an
// error at the start.
func (a *App) StaticDir(prefix, dir string, s Static, mw ...Middleware) *Route {
	root, err := os.OpenRoot(dir)
	if err != nil {
		refuse := func(Handler) Handler { panic(fmt.Errorf("pleat: static files: %w", err)) }
		return a.Static(prefix, nil, s, refuse)
	}
	return a.Static(prefix, root.FS(), s, mw...)
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

func (s *Static) serve(c *Context, fsys fs.FS, name string) error {
	directory := strings.HasSuffix(name, "/") || name == "."
	name = path.Clean(name)
	if s.denied(name) {
		return NewError(http.StatusNotFound, "")
	}
	info, err := fs.Stat(fsys, name)
	switch {
	case err == nil && info.IsDir():
		if !directory {
			// Links of the index page are relative to the directory.
			if here := c.Path() + "/"; isLocal(here) {
				return c.Redirect(http.StatusMovedPermanently, here)
			}
			return NewError(http.StatusNotFound, "")
		}
		for _, index := range s.Index {
			err = s.send(c, fsys, path.Join(name, index))
			if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	case err == nil && directory:
		err = fs.ErrNotExist // "file.txt/" is no file
	case err == nil:
		return s.send(c, fsys, name)
	}
	if s.Fallback != "" && errors.Is(err, fs.ErrNotExist) {
		return s.send(c, fsys, s.Fallback)
	}
	return fileFailure(err)
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

func (s *Static) send(c *Context, fsys fs.FS, name string) error {
	f, err := fsys.Open(name)
	if err != nil {
		return fileFailure(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return fileFailure(err)
	}
	content, ok := f.(io.ReadSeeker)
	if !ok || !info.Mode().IsRegular() {
		return fileFailure(fs.ErrNotExist)
	}
	return c.req.SendContent(info.Name(), info.ModTime(), content, server.FileOptions{MaxAge: s.MaxAge})
}

// fileFailure gives errors of the file system a status.
func fileFailure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
		return NewError(http.StatusNotFound, "").WithCause(err)
	case errors.Is(err, fs.ErrPermission):
		return NewError(http.StatusForbidden, "").WithCause(err)
	}
	return fmt.Errorf("pleat: static files: %w", err)
}
