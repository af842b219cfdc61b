// SPDX-License-Identifier: MIT

package client

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Part is a part of a multipart/form-data body.
type Part struct {
	Field       string    // name of the form field
	FileName    string    // "" sends the part as a plain value
	ContentType string    // "" is application/octet-stream for a file, and none for a value
	Content     io.Reader // as in WithBody
}

func (p Part) check() error {
	switch {
	case p.Field == "":
		return fmt.Errorf("%w: part without a field name", ErrOption)
	case p.Content == nil:
		return fmt.Errorf("%w: part %q has no content", ErrOption, p.Field)
	case !httpguts.ValidHeaderFieldValue(p.ContentType):
		return fmt.Errorf("%w: Content-Type of part %q", ErrHeader, p.Field)
	}
	return nil
}

// quoteParameter writes a field or file name as the HTML standard does for multipart/form-data: only what would end the
// quoted string or the line is escaped.
var quoteParameter = strings.NewReplacer("\r", "%0D", "\n", "%0A", `"`, "%22")

// header returns the MIME header of a part (RFC 7578 §4.2).
func (p Part) header() textproto.MIMEHeader {
	disposition := `form-data; name="` + quoteParameter.Replace(p.Field) + `"`
	contentType := p.ContentType
	if p.FileName != "" {
		disposition += `; filename="` + quoteParameter.Replace(p.FileName) + `"`
		if contentType == "" {
			contentType = "application/octet-stream"
		}
	}
	h := textproto.MIMEHeader{"Content-Disposition": {disposition}}
	if contentType != "" {
		h["Content-Type"] = []string{contentType}
	}
	return h
}

// multipartPayload lays out form values, sorted by name, and then the parts in the order given. Only delimiters and
// part headers are held in memory; contents are read when they are sent.
func multipartPayload(form url.Values, parts []Part) (*payload, error) {
	var values []Part
	for _, name := range slices.Sorted(maps.Keys(form)) {
		for _, v := range form[name] {
			values = append(values, Part{Field: name, Content: strings.NewReader(v)})
		}
	}
	parts = append(values, parts...)

	var frame bytes.Buffer
	w := multipart.NewWriter(&frame)
	p := &payload{contentType: w.FormDataContentType()}
	sections := make([]func() io.Reader, 0, 2*len(parts)+1)
	add := func(c content) {
		sections = append(sections, c.open)
		p.once = p.once || c.once
		if c.length < 0 || p.length < 0 {
			p.length = -1
		} else {
			p.length += c.length
		}
	}
	cut := func() { // what the writer framed since the last cut
		b := bytes.Clone(frame.Bytes())
		frame.Reset()
		add(content{length: int64(len(b)), open: func() io.Reader { return bytes.NewReader(b) }})
	}
	for _, part := range parts {
		c, err := newContent(part.Content)
		if err != nil {
			return nil, err
		}
		if _, err := w.CreatePart(part.header()); err != nil {
			return nil, fmt.Errorf("%w: part %q: %w", ErrOption, part.Field, err)
		}
		cut()
		add(c)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOption, err)
	}
	cut()
	p.open = func() io.Reader {
		readers := make([]io.Reader, len(sections))
		for i, open := range sections {
			readers[i] = open()
		}
		return io.MultiReader(readers...)
	}
	return p, nil
}
