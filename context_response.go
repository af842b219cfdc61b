// SPDX-License-Identifier: MIT

package pleat

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

// SetHeader sets a field of the answer. Names that are no tokens and values with
// control characters are refused with server.ErrInvalidHeader.
func (c *Context) SetHeader(name, value string) error { return c.req.SetHeader(name, value) }

// AddHeader adds a field line to the answer.
func (c *Context) AddHeader(name, value string) error { return c.req.AddHeader(name, value) }

// Status answers with a status and no body.
func (c *Context) Status(status int) error {
	return c.req.SendResponse(status, "", nil)
}

// NoContent answers 204.
func (c *Context) NoContent() error { return c.Status(http.StatusNoContent) }

// Text answers with plain text.
func (c *Context) Text(status int, text string) error {
	return c.req.SendString(status, render.ContentTypeText, text)
}

// HTML answers with HTML as it is. What comes from outside must have been
// escaped: Render does that.
func (c *Context) HTML(status int, html string) error {
	return c.req.SendString(status, render.ContentTypeHTML, html)
}

// Blob answers with octets of some content type.
func (c *Context) Blob(status int, contentType string, body []byte) error {
	return c.req.SendResponse(status, contentType, body)
}

// JSON answers with v as JSON. It is encoded before anything is answered: v that
// cannot be encoded is an error and no half answer.
func (c *Context) JSON(status int, v any) error {
	return c.encode(c.app.json, status, render.ContentTypeJSON, v)
}

// XML answers with v as XML.
func (c *Context) XML(status int, v any) error {
	return c.encode(c.app.xml, status, render.ContentTypeXML, v)
}

var encodeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

const keptBuffer = 64 << 10

func (c *Context) encode(codec render.Codec, status int, contentType string, v any) error {
	buf := encodeBuffers.Get().(*[]byte)
	b, err := codec.Append((*buf)[:0], v)
	if err == nil {
		err = c.req.SendResponse(status, contentType, b)
	}
	if cap(b) <= keptBuffer {
		*buf = b[:0]
	}
	encodeBuffers.Put(buf)
	return err
}

// Render answers with a page of Config.Templates.
func (c *Context) Render(status int, page string, data any) error {
	if c.app.config.Templates == nil {
		return fmt.Errorf("pleat: rendering %q: the app has no Templates", page)
	}
	b, err := c.app.config.Templates.Append(nil, page, data)
	if err != nil {
		return err
	}
	return c.req.SendResponse(status, render.ContentTypeHTML, b)
}

// Negotiate answers with v in the form that the client likes best: JSON, XML or
// text. A client that accepts none of them gets a 406. HTML is never chosen: it
// has to be written on purpose.
func (c *Context) Negotiate(status int, v any) error {
	switch c.Accepts(render.ContentTypeJSON, render.ContentTypeXML, render.ContentTypeText) {
	case render.ContentTypeJSON:
		return c.JSON(status, v)
	case render.ContentTypeXML:
		return c.XML(status, v)
	case render.ContentTypeText:
		return c.encode(render.Text{}, status, render.ContentTypeText, v)
	}
	return NewError(http.StatusNotAcceptable, "JSON, XML and text are to be had")
}

// Accepts is the media type among the offers that the client likes best by all of
// its Accept fields, "" when it takes none of them; among equals the first offer.
// See render.Negotiate. Caches are told, by Vary, that the answer depends on it,
// unless part of the answer has been sent.
func (c *Context) Accepts(offers ...string) string {
	_ = c.addVary("Accept") // an answer that cannot be changed any more fails by itself
	return render.Negotiate(strings.Join(c.req.Header().Values("Accept"), ", "), offers...)
}

// addVary tells caches that the answer depends on a request field, once.
func (c *Context) addVary(field string) error {
	if c.req.ResponseHeader("Vary") != "" {
		for _, line := range c.req.ResponseHeaders().Values("Vary") {
			for name := range strings.SplitSeq(line, ",") {
				if name = strings.Trim(name, " \t"); strings.EqualFold(name, field) || name == "*" {
					return nil
				}
			}
		}
	}
	return c.AddHeader("Vary", field)
}

// Stream answers with what src has. It is sent in pieces of 16 KiB; for what has
// to arrive at once use Write and Flush. If src fails before the first piece the
// answer is that of the error; later it can only cut the connection, so that the
// client does not take a part for the whole. A Content-Length that was set before
// holds, and so does the Content-Type where contentType is empty.
func (c *Context) Stream(status int, contentType string, src io.Reader) error {
	if contentType == "" {
		contentType = c.req.ResponseHeader("Content-Type")
	}
	length := c.req.ResponseHeader("Content-Length")
	if err := c.req.SendResponse(status, contentType, nil); err != nil {
		return err
	}
	if length != "" {
		if err := c.req.SetHeader("Content-Length", length); err != nil {
			return err
		}
	}
	_, err := c.req.ReadFrom(src)
	return err
}

// Write adds to the body of the answer; with Flush it streams.
func (c *Context) Write(p []byte) (int, error) { return c.req.Write(p) }

// WriteString is Write for strings.
func (c *Context) WriteString(s string) (int, error) { return c.req.WriteString(s) }

// Flush sends what was written so far, head first.
func (c *Context) Flush() error { return c.req.Flush() }

// File answers with a file, with ranges and conditional requests. Do not put
// parts of a request into path: see App.Static for directories.
func (c *Context) File(path string) error {
	return c.req.SendFile(path, server.FileOptions{})
}

// Attachment answers with a file that browsers save under a name; "" means its
// own.
func (c *Context) Attachment(path, name string) error {
	if name == "" {
		name = filepath.Base(path)
	}
	return c.req.SendFile(path, server.FileOptions{Attachment: name})
}

// Redirect sends the client to another place on this host: a path that begins
// with one "/", with or without query and fragment. Spaces and what is not ASCII
// are escaped. A path taken from a request can be passed as it is: one that could
// lead elsewhere ("//evil.example"), has control characters or backslashes, or is
// no path at all, is an [HTTPError] with status 400. status is 301, 302, 303, 307
// or 308; after a form was handled it is 303.
func (c *Context) Redirect(status int, path string) error {
	location, ok := localLocation(path)
	if !ok {
		return NewError(http.StatusBadRequest, "the redirect does not lead to a path on this host").
			WithCause(fmt.Errorf("pleat: redirect to %q: not a path on this host", clip(path)))
	}
	return c.redirect(status, location)
}

// RedirectExternal sends the client to any http or https URL. Do not pass what
// comes from a request without checking it: that would be an open redirect.
func (c *Context) RedirectExternal(status int, location string) error {
	u, err := url.Parse(location)
	if err != nil {
		return fmt.Errorf("pleat: redirect: %w", err)
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("pleat: redirect to %q: want a whole http or https URL", location)
	}
	return c.redirect(status, u.String())
}

func (c *Context) redirect(status int, location string) error {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return fmt.Errorf("pleat: %d is no status of a redirect", status)
	}
	if err := c.req.SetHeader("Location", location); err != nil {
		return err
	}
	return c.req.SendResponse(status, "", nil)
}

// localLocation is path as it may stand in a Location field. It accepts what every
// client resolves to the same host: browsers take "\" for "/" and drop tabs and
// line ends wherever they stand.
func localLocation(path string) (location string, ok bool) {
	if path == "" || path[0] != '/' || strings.HasPrefix(path, "//") {
		return "", false
	}
	clean := true
	for i := range len(path) {
		switch b := path[i]; {
		case b < ' ' || b == '\\' || b == 0x7f:
			return "", false
		case b == ' ' || b >= 0x80:
			clean = false
		}
	}
	if clean {
		return path, true
	}
	escaped := make([]byte, 0, len(path)+16)
	for i := range len(path) {
		if b := path[i]; b == ' ' || b >= 0x80 {
			escaped = appendCanonical(escaped, b, true)
		} else {
			escaped = append(escaped, b)
		}
	}
	return string(escaped), true
}

// ResponseStatus is the status that will be or was sent: 200 where none was set,
// 101 where the connection was taken over.
func (c *Context) ResponseStatus() int {
	if c.req.Hijacked() {
		return http.StatusSwitchingProtocols
	}
	if status := c.req.Status(); status != 0 {
		return status
	}
	return http.StatusOK
}
