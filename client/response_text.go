// SPDX-License-Identifier: MIT

package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
)

// prescan is how far into a document its own declaration of a charset is looked for.
const prescan = 1024

// Text reads the body whole and returns it as UTF-8. The charset is, in this order: that of a byte order mark, which is
// removed; the Content-Type's; for HTML and XML what the first 1024 bytes declare; UTF-8 if the body is valid UTF-8;
// windows-1252. JSON is UTF-8 always. Bytes that mean nothing in the charset become U+FFFD. A charset that is unknown or
// must not be decoded gives ErrCharset; Bytes works all the same. With DisableUnicode the bytes are returned unchanged.
func (r *HTTPResponse) Text() (string, error) {
	b, err := r.Bytes()
	if err != nil {
		return "", err
	}
	if r.Client != nil && r.Client.settings().DisableUnicode {
		return string(b), nil
	}
	s, err := decodeText(b, r.Header.Get("Content-Type"))
	if err != nil {
		return "", r.wrap(PhaseDecode, err)
	}
	return s, nil
}

// JSON reads the body whole and decodes it into what into points to, whatever Content-Type and status say.
func (r *HTTPResponse) JSON(into any) error {
	b, err := r.Bytes()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(bytes.TrimPrefix(b, []byte(bomUTF8)), into); err != nil {
		return r.wrap(PhaseDecode, err)
	}
	return nil
}

const (
	bomUTF8    = "\xef\xbb\xbf"
	bomUTF16BE = "\xfe\xff"
	bomUTF16LE = "\xff\xfe"
)

// cutBOM returns the charset that a byte order mark stands for, or "", and what follows the mark.
func cutBOM(b []byte) (label string, rest []byte) {
	for _, m := range [...]struct{ mark, label string }{
		{bomUTF8, "utf-8"}, {bomUTF16BE, "utf-16be"}, {bomUTF16LE, "utf-16le"},
	} {
		if rest, ok := bytes.CutPrefix(b, []byte(m.mark)); ok {
			return m.label, rest
		}
	}
	return "", b
}

// decodeText is Text without the response around it.
func decodeText(b []byte, contentType string) (string, error) {
	label, b := cutBOM(b)
	if label == "" {
		label = declaredCharset(contentType)
	}
	if label == "" && isMarkup(mediaTypeOf(contentType)) {
		label = documentCharset(b[:min(len(b), prescan)], mediaTypeOf(contentType))
	}
	if label == "" {
		if utf8.Valid(b) {
			return string(b), nil
		}
		label = "windows-1252"
	}
	return decodeCharset(b, label)
}

// decodeCharset decodes b from the charset that label names.
func decodeCharset(b []byte, label string) (string, error) {
	enc, name := charset.Lookup(label)
	switch {
	case enc == nil || name == "replacement":
		return "", fmt.Errorf("%w: %.40q", ErrCharset, label)
	case name == "utf-8" && utf8.Valid(b):
		return string(b), nil
	}
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrCharset, name, err)
	}
	return string(out), nil
}

func mediaTypeOf(contentType string) string { return strings.ToLower(mediaType(contentType)) }

// declaredCharset returns what the Content-Type says, or "". RFC 8259 §8.1: JSON between systems is UTF-8, and has no
// charset parameter to say otherwise.
func declaredCharset(contentType string) string {
	t := mediaTypeOf(contentType)
	if t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json") {
		return "utf-8"
	}
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil && params == nil {
		return ""
	}
	return strings.TrimSpace(params["charset"])
}

func isMarkup(mediaType string) bool { return mediaType == "text/html" || isXML(mediaType) }

func isXML(mediaType string) bool {
	return mediaType == "text/xml" || mediaType == "application/xml" || strings.HasSuffix(mediaType, "+xml")
}

// documentCharset returns what the beginning of a document declares, or "".
func documentCharset(head []byte, mediaType string) string {
	label := xmlEncoding(head)
	if label == "" && !(isXML(mediaType) && mediaType != "application/xhtml+xml") {
		label = metaCharset(head)
	}
	// A declaration that could be read as ASCII is not UTF-16, whatever it says (HTML standard, §13.2.3.2).
	if _, name := charset.Lookup(label); name == "utf-16le" || name == "utf-16be" {
		return "utf-8"
	}
	return label
}

// xmlEncoding reads <?xml version="1.0" encoding="…"?>.
func xmlEncoding(head []byte) string {
	declaration, ok := bytes.CutPrefix(head, []byte("<?xml"))
	if !ok {
		return ""
	}
	declaration, _, ok = bytes.Cut(declaration, []byte("?>"))
	if !ok {
		return ""
	}
	_, value, ok := bytes.Cut(declaration, []byte("encoding"))
	if !ok {
		return ""
	}
	value, ok = bytes.CutPrefix(bytes.TrimLeft(value, " \t\r\n"), []byte("="))
	value = bytes.TrimLeft(value, " \t\r\n")
	if !ok || len(value) == 0 || value[0] != '"' && value[0] != '\'' {
		return ""
	}
	value, _, ok = bytes.Cut(value[1:], value[:1])
	if !ok {
		return ""
	}
	return string(value)
}

// metaCharset reads <meta charset=…> and <meta http-equiv=content-type content="…; charset=…">.
func metaCharset(head []byte) string {
	z := html.NewTokenizer(bytes.NewReader(head))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			if string(name) != "meta" {
				continue
			}
			var key, value []byte
			var contentType bool
			var label, content string
			for more {
				key, value, more = z.TagAttr()
				switch string(key) {
				case "charset":
					label = string(value)
				case "http-equiv":
					contentType = strings.EqualFold(string(value), "content-type")
				case "content":
					content = declaredCharset(string(value))
				}
			}
			if label == "" && contentType {
				label = content
			}
			if label = strings.TrimSpace(label); label != "" {
				return label
			}
		}
	}
}
