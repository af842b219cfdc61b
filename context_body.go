// SPDX-License-Identifier: MIT

package pleat

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"

	"github.com/pleat-go/pleat/server"
)

// readBody is a request body that was read whole and is kept for all who ask.
type readBody struct {
	of *server.HTTPRequest

	read    sync.Once
	content []byte
	err     error

	parse sync.Once
	form  *http.Request // with the form parsed out of content
	bad   error         // why that failed
}

// Body is the whole content of the request, up to its limit. It is read once and
// kept: a middleware that looks at it takes nothing from Bind, FormValues or a
// handler of net/http further down. All callers get the same slice: change a
// copy. What was read from Request().BodyReader() before is missing in it. Errors
// carry the status of their answer (400, 408, 413).
func (c *Context) Body() ([]byte, error) {
	s := c.shared().extras()
	s.mu.Lock()
	if s.body == nil || s.body.of != c.req {
		s.body = &readBody{of: c.req}
	}
	b := s.body
	s.mu.Unlock()
	b.load()
	return b.content, b.err
}

// load reads the body, once.
func (b *readBody) load() {
	b.read.Do(func() {
		if b.content, b.err = b.of.Body(); b.err != nil {
			b.err = fmt.Errorf("pleat: reading the body: %w", b.err)
		}
	})
}

// bodyRead is what Body read, nil when it was not called.
func (c *Context) bodyRead() *readBody {
	s := c.shared().extras()
	s.mu.Lock()
	b := s.body
	s.mu.Unlock()
	if b == nil || b.of != c.req {
		return nil
	}
	b.load() // somebody may be at it
	return b
}

// formOfBody is a request whose form was parsed from what Body read; nil when
// Body was not called and the form is still to be had from the request.
func (c *Context) formOfBody() (*http.Request, error) {
	b := c.bodyRead()
	if b == nil {
		return nil, nil
	}
	b.parse.Do(func() {
		contentType := c.Header("Content-Type")
		b.form = &http.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {contentType}}, Body: b.reader()}
		if b.bad = b.err; b.bad != nil {
			return
		}
		mediaType, _, err := mime.ParseMediaType(contentType)
		switch {
		case err != nil: // no type, or none to make sense of: no form
			return
		case mediaType == "multipart/form-data":
			const memory = 256 << 10 // the rest of the files goes to temporary ones
			err = b.form.ParseMultipartForm(memory)
		default:
			err = b.form.ParseForm()
		}
		if form := b.form.MultipartForm; form != nil {
			c.req.OnFinish(func() { _ = form.RemoveAll() })
		}
		if err != nil {
			b.bad = fmt.Errorf("pleat: %w: %w", server.ErrForm, err)
		}
	})
	return b.form, b.bad
}

// keepForm takes over a form that somebody else has read from the body.
func (c *Context) keepForm(q *http.Request) {
	b := &readBody{of: c.req, form: q}
	b.read.Do(func() {})
	b.parse.Do(func() {})
	s := c.shared().extras()
	s.mu.Lock()
	s.body = b
	s.mu.Unlock()
}

// reader is the body once more.
func (b *readBody) reader() io.ReadCloser {
	if b.err != nil {
		return io.NopCloser(io.MultiReader(bytes.NewReader(b.content), failing{b.err}))
	}
	return io.NopCloser(bytes.NewReader(b.content))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
