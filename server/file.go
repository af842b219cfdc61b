// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// FileOptions say how a file is sent. The zero value guesses the content type,
// sends validators, and lets caches revalidate as they see fit.
type FileOptions struct {
	// ContentType overrides the type, which otherwise comes from the extension of
	// the name and, failing that, from the first octets.
	ContentType string
	// Attachment makes browsers save the file under this name instead of showing
	// it (RFC 6266).
	Attachment string
	// MaxAge lets caches use the file for so long without asking again. Zero
	// says nothing, negative says "no-cache".
	MaxAge time.Duration
	// ETag overrides the entity tag, quotes included. The default is made of size
	// and modification time; "-" sends none.
	ETag string
}

// Sendfile leaves the sending of files to a web server in front, which is told
// the file's name in a header field instead of being given the octets.
type Sendfile struct {
	// Header is the field: "X-Sendfile" for Apache and lighttpd,
	// "X-Accel-Redirect" for nginx. Empty turns the feature off.
	Header string
	// Root is the directory that the web server knows under Prefix. Files outside
	// of it are sent by this server. Empty means that paths are given as they are.
	Root string
	// Prefix replaces Root in the path: an internal location, for nginx.
	Prefix string
}

func (s *Sendfile) validate() error {
	if s.Header != "" && (!validFieldName(s.Header) || kindOf(s.Header) != fieldOther) || !validFieldValue(s.Prefix) {
		return errors.New("server: Sendfile.Header or Sendfile.Prefix is no field name or value")
	}
	return nil
}

// target is what the web server is told about a path.
func (s *Sendfile) target(path string) (string, bool) {
	if s.Header == "" {
		return "", false
	}
	if s.Root == "" {
		return s.Prefix + path, validFieldValue(path)
	}
	rel, err := filepath.Rel(s.Root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	rel = filepath.ToSlash(rel)
	if strings.EqualFold(s.Header, "X-Accel-Redirect") {
		rel = (&url.URL{Path: rel}).EscapedPath() // nginx decodes it
	}
	if s.Prefix != "" && !strings.HasSuffix(s.Prefix, "/") {
		rel = "/" + rel
	}
	return s.Prefix + rel, validFieldValue(rel)
}

// fileError gives the errors of the file system a status.
type fileError struct {
	status int
	err    error
}

func (e *fileError) Error() string   { return "server: sending file: " + e.err.Error() }
func (e *fileError) Unwrap() error   { return e.err }
func (e *fileError) StatusCode() int { return e.status }

func newFileError(err error) error {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		status = http.StatusNotFound
	case errors.Is(err, fs.ErrPermission):
		status = http.StatusForbidden
	}
	return &fileError{status, err}
}

// SendFile answers with a file: with its type, validators, byte ranges and
// conditional requests (RFC 9110, sections 13 and 14). path is used as it is:
// do not put parts of a request into it; serve a directory through an os.Root
// and SendContent. An error that can become an answer carries a status: 404, 403
// or 500. Directories are 404.
func (r *HTTPRequest) SendFile(path string, opts FileOptions) error {
	// Asked before opening: opening a FIFO waits for somebody to write to it.
	info, err := os.Stat(path)
	if err != nil {
		return newFileError(err)
	}
	if !info.Mode().IsRegular() {
		return &fileError{http.StatusNotFound, fmt.Errorf("%s is no regular file", filepath.Base(path))}
	}
	f, err := os.Open(path)
	if err != nil {
		return newFileError(err)
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err != nil {
		return newFileError(err)
	}
	if c := r.connection(); c != nil {
		if target, ok := c.srv.Sendfile.target(path); ok {
			return r.handOver(target, path, opts)
		}
	}
	return r.SendContent(filepath.Base(path), info.ModTime(), f, opts)
}

// handOver leaves the sending to the web server in front.
func (r *HTTPRequest) handOver(target, path string, opts FileOptions) error {
	if opts.ContentType == "" {
		opts.ContentType = mime.TypeByExtension(filepath.Ext(path))
	}
	if err := r.SendResponse(http.StatusOK, opts.ContentType, nil); err != nil {
		return err
	}
	if err := r.describeFile(opts); err != nil {
		return err
	}
	return r.SetHeader(r.connection().srv.Sendfile.Header, target)
}

// SendContent answers with what content holds, as SendFile does: name gives the
// type by its extension, modTime (if not zero) the Last-Modified field. content
// is read before SendContent returns. Who asks for more than 32 ranges gets all of
// it. It replaces the status and what was written
// before: the answer is 200, 206, 304, 412 or 416.
func (r *HTTPRequest) SendContent(name string, modTime time.Time, content io.ReadSeeker, opts FileOptions) error {
	if err := r.dropBody(); err != nil {
		return err
	}
	if err := r.describeFile(opts); err != nil {
		return err
	}
	if opts.ContentType != "" {
		if err := r.SetHeader("Content-Type", opts.ContentType); err != nil {
			return err
		}
	}
	if opts.ETag == "" && !modTime.IsZero() {
		size, err := sizeOf(content)
		if err != nil {
			return newFileError(err)
		}
		opts.ETag = `"` + strconv.FormatInt(modTime.UnixNano(), 36) + "-" + strconv.FormatInt(size, 36) + `"`
	}
	if opts.ETag != "" && opts.ETag != "-" {
		if err := r.SetHeader("ETag", opts.ETag); err != nil {
			return err
		}
	}
	http.ServeContent(r.ResponseWriter(), heedRange(r.StdRequest(), content), name, modTime, content)
	return nil
}

// sizeOf is how long content is, which is at its start then.
func sizeOf(content io.Seeker) (size int64, err error) {
	if size, err = content.Seek(0, io.SeekEnd); err == nil {
		_, err = content.Seek(0, io.SeekStart)
	}
	return size, err
}

// dropBody forgets status, body and length, which another way of answering is
// about to decide.
func (r *HTTPRequest) dropBody() error {
	if err := r.x.lock(r); err != nil {
		return err
	}
	defer r.x.mu.Unlock()
	x := r.x
	if x.committed {
		return ErrCommitted
	}
	x.takeStdHeader()
	x.status, x.declared, x.sent = 0, -1, 0
	x.body = x.body[:0]
	if x.std != nil {
		x.std.reopen(x)
	}
	return nil
}

// describeFile sets the fields that are the same however a file is sent.
func (r *HTTPRequest) describeFile(opts FileOptions) error {
	if opts.Attachment != "" {
		if err := r.SetHeader("Content-Disposition", attachment(opts.Attachment)); err != nil {
			return err
		}
	}
	switch {
	case opts.MaxAge < 0:
		return r.SetHeader("Cache-Control", "no-cache")
	case opts.MaxAge > 0:
		return r.SetHeader("Cache-Control", "max-age="+strconv.FormatInt(int64(opts.MaxAge/time.Second), 10))
	}
	return nil
}

// attachment is a Content-Disposition value (RFC 6266): a quoted name for old
// clients, reduced to plain ASCII, and where that lost something the real one in
// UTF-8 (RFC 8187). Nothing of the name can end the quotes or the field.
func attachment(name string) string {
	const unreserved = "!#$&+-.^_`|~"
	var plain, encoded strings.Builder
	for i := 0; i < len(name); i++ {
		b := name[i]
		alnum := b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z'
		if alnum || strings.IndexByte(unreserved, b) >= 0 {
			encoded.WriteByte(b)
		} else {
			fmt.Fprintf(&encoded, "%%%02X", b)
		}
	}
	for _, c := range name {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '/' || c == '%' {
			c = '_'
		}
		plain.WriteRune(c)
	}
	value := `attachment; filename="` + plain.String() + `"`
	if plain.String() != name {
		value += "; filename*=UTF-8''" + encoded.String()
	}
	return value
}
