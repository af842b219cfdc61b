// SPDX-License-Identifier: MIT

package client

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
)

// payload is a request body that can be opened as often as it is sent.
type payload struct {
	contentType string // "": none
	length      int64  // -1: unknown
	once        bool   // can be opened a single time
	open        func() io.Reader
}

func bytesPayload(contentType string, b []byte) *payload {
	return &payload{
		contentType: contentType,
		length:      int64(len(b)),
		open:        func() io.Reader { return bytes.NewReader(b) },
	}
}

func readerPayload(contentType string, r io.Reader) (*payload, error) {
	c, err := newContent(r)
	if err != nil {
		return nil, err
	}
	return &payload{contentType: contentType, length: c.length, once: c.once, open: c.open}, nil
}

// content is what a reader given by the caller has to offer.
type content struct {
	length int64 // -1: unknown
	once   bool
	open   func() io.Reader
}

// newContent finds out whether r can be read more than once. Sections over io.ReaderAt rather than Seek: a transport may
// still be reading the body of one hop while the next is sent.
func newContent(r io.Reader) (content, error) {
	switch r := r.(type) {
	case nil:
		return content{}, fmt.Errorf("%w: nil reader", ErrOption)
	case *bytes.Buffer:
		b := r.Bytes()
		return content{length: int64(len(b)), open: func() io.Reader { return bytes.NewReader(b) }}, nil
	case interface {
		io.ReaderAt
		io.Seeker
	}:
		start, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			break // a pipe in the shape of a file
		}
		end, err := r.Seek(0, io.SeekEnd)
		if err != nil {
			break
		}
		if _, err := r.Seek(start, io.SeekStart); err != nil {
			return content{}, fmt.Errorf("%w: %w", ErrOption, err)
		}
		n := max(end-start, 0)
		return content{length: n, open: func() io.Reader { return io.NewSectionReader(r, start, n) }}, nil
	}
	return content{length: -1, once: true, open: func() io.Reader { return r }}, nil
}

// randomToken returns 128 random bits as text.
func randomToken() string { return rand.Text() }
