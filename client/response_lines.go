// SPDX-License-Identifier: MIT

package client

import (
	"bufio"
	"bytes"
	"io"
	"iter"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
)

// maxLine bounds what Lines holds in memory.
const maxLine = 1 << 20

// Lines yields the body line by line as it arrives, without the line ends (LF or CR LF), as UTF-8. The charset is found
// as in Text, except that a body of undeclared charset is looked at line by line. A line over 1 MiB is a *LimitError. An
// error is the last thing yielded. Leaving the loop early closes the body.
func (r *HTTPResponse) Lines() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		body := r.Body()
		defer r.Close()
		text, err := r.textReader(body)
		if err != nil {
			yield("", r.wrap(PhaseDecode, err))
			return
		}
		for {
			line, err := readLine(text)
			if err != nil && (err != io.EOF || len(line) == 0) {
				if err != io.EOF {
					yield("", r.wrap(PhaseBody, err))
				}
				return
			}
			if !yield(text.decode(line), nil) || err == io.EOF {
				return
			}
		}
	}
}

// textReader is a body on its way to being text.
type textReader struct {
	*bufio.Reader
	guess bool // each line is UTF-8 if it can be, else windows-1252
	raw   bool
}

// textReader waits for no more of the body than it must: a stream may be slow to go on.
func (r *HTTPResponse) textReader(body io.Reader) (*textReader, error) {
	t := &textReader{Reader: bufio.NewReaderSize(body, 4<<10)}
	if r.Client != nil && r.Client.settings().DisableUnicode {
		t.raw = true
		return t, nil
	}
	contentType := r.Header.Get("Content-Type")
	label := ""
	if first, _ := t.Peek(1); len(first) == 1 && (first[0] == bomUTF8[0] || first[0] >= bomUTF16BE[0]) {
		head, _ := t.Peek(3)
		var rest []byte
		if label, rest = cutBOM(head); label != "" {
			if _, err := t.Discard(len(head) - len(rest)); err != nil {
				return nil, err
			}
		}
	}
	if label == "" {
		label = declaredCharset(contentType)
	}
	if label == "" && isMarkup(mediaTypeOf(contentType)) {
		head, _ := t.Peek(prescan)
		label = documentCharset(head, mediaTypeOf(contentType))
	}
	if label == "" {
		t.guess = true
		return t, nil
	}
	enc, name := charset.Lookup(label)
	if enc == nil || name == "replacement" {
		_, err := decodeCharset(nil, label)
		return nil, err
	}
	t.Reader = bufio.NewReaderSize(enc.NewDecoder().Reader(t.Reader), 4<<10)
	return t, nil
}

// decode makes a line of undeclared charset text.
func (t *textReader) decode(line []byte) string {
	if t.guess && !t.raw && !utf8.Valid(line) {
		if s, err := decodeCharset(line, "windows-1252"); err == nil {
			return s
		}
	}
	return string(line)
}

// readLine returns the next line, without its end, or what is left with io.EOF.
func readLine(t *textReader) ([]byte, error) {
	var line []byte
	for {
		piece, err := t.ReadSlice('\n')
		if len(line)+len(piece) > maxLine {
			return nil, &LimitError{What: "line", Limit: maxLine}
		}
		if err == nil && line == nil {
			line = piece
		} else {
			line = append(line, piece...)
		}
		switch err {
		case nil:
			line = bytes.TrimSuffix(line, []byte("\n"))
			return bytes.TrimSuffix(line, []byte("\r")), nil
		case bufio.ErrBufferFull:
		default:
			return line, err
		}
	}
}
