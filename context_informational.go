// SPDX-License-Identifier: MIT

package pleat

import (
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/pleat-go/pleat/server"
)

// EarlyHints tells the client, ahead of the answer, what it is going to need
// (103, RFC 8297): links as in a Link field (RFC 8288), one or more,
// `</app.css>; rel=preload; as=style` say. They are not repeated in the answer
// itself. What is no such link is an error that wraps server.ErrInvalidHeader, and
// nothing is sent then. HTTP/1.0 clients get none. It can be called several times,
// until the head of the answer has been sent (server.ErrCommitted).
func (c *Context) EarlyHints(links ...string) error {
	if len(links) == 0 {
		return nil
	}
	for _, link := range links {
		if !validLink(link) {
			return fmt.Errorf("pleat: early hint %q is no link: %w", clip(link), server.ErrInvalidHeader)
		}
	}
	return c.Informational(http.StatusEarlyHints, http.Header{"Link": links})
}

// Informational sends an informational answer (RFC 9110, section 15.2) with some
// fields ahead of the final one: 102 to 199; 100 is sent when it is due, and 101 is
// for WebSocket. Nothing is sent to HTTP/1.0 clients.
func (c *Context) Informational(status int, header http.Header) error {
	return c.req.SendInformational(status, header)
}

// validLink reports whether text is a link-value with a rel parameter.
func validLink(text string) bool {
	target, params, ok := strings.Cut(text, ">")
	if !ok || target == "" || target[0] != '<' || strings.ContainsFunc(target[1:], notInURI) {
		return false
	}
	rel := false
	for params = strings.TrimLeft(params, " \t"); params != ""; params = strings.TrimLeft(params, " \t") {
		name, rest, ok := cutLinkParam(params)
		if !ok {
			return false
		}
		rel = rel || strings.EqualFold(name, "rel")
		params = rest
	}
	return rel
}

// notInURI reports what has to be escaped in a URI.
func notInURI(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"<>\^{|}`+"`", r)
}

// cutLinkParam cuts `; name`, `; name=token` or `; name="quoted"` from params. A
// comma outside of quotes would begin another link.
func cutLinkParam(params string) (name, rest string, ok bool) {
	params, ok = strings.CutPrefix(params, ";")
	if !ok {
		return "", "", false
	}
	params = strings.TrimLeft(params, " \t")
	end := 0
	for end < len(params) && httpguts.IsTokenRune(rune(params[end])) {
		end++
	}
	name, rest = params[:end], strings.TrimLeft(params[end:], " \t")
	if name == "" {
		return "", "", false
	}
	value, has := strings.CutPrefix(rest, "=")
	if !has {
		return name, rest, true
	}
	value = strings.TrimLeft(value, " \t")
	if strings.HasPrefix(value, `"`) {
		for i := 1; i < len(value); i++ {
			switch value[i] {
			case '\\':
				i++
			case '"':
				return name, value[i+1:], true
			}
		}
		return "", "", false
	}
	end = 0
	for end < len(value) && httpguts.IsTokenRune(rune(value[end])) {
		end++
	}
	return name, value[end:], end > 0
}
