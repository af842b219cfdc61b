// SPDX-License-Identifier: MIT

package server

import (
	"net/http"
	"os"
	"strconv"
	"strings"
)

// directWrite is the body size from which octets are written from where they
// are instead of being copied behind the head.
const directWrite = 8 << 10

// flushOut writes what waits in the output.
func (c *HTTPConnection) flushOut() error { return c.writeOut(nil) }

// writeOut writes what waits in the output and then p.
func (c *HTTPConnection) writeOut(p []byte) error {
	if c.broken != nil {
		return c.broken
	}
	if len(c.out) == 0 && len(p) == 0 {
		return nil
	}
	var err error
	c.writing.Store(true)
	if len(c.out) == 0 {
		err = c.t.write(p, nil)
	} else {
		err = c.t.write(c.out, p)
	}
	c.writing.Store(false)
	c.out = c.out[:0]
	c.broken = err
	return err
}

// commit decides how the answer is framed (RFC 9112, section 6.3) and sends its
// head, and body with it.
func (c *HTTPConnection) commit(x *exchange, body []byte, final bool) error {
	r := x.req.Load()
	status := x.status
	if status == 0 {
		status = http.StatusOK
	}
	x.status = status
	head := r.Method() == http.MethodHead
	// A 2xx to CONNECT makes the connection a tunnel (RFC 9110, section 9.3.6);
	// a handler that did not hijack it has none to offer.
	tunnel := r.head.form == authorityForm && status < 300
	x.bodyless = head || tunnel || status == http.StatusNoContent || status == http.StatusNotModified

	length := x.declared
	switch {
	case tunnel || status == http.StatusNoContent:
		length = -1
	case status == http.StatusResetContent: // RFC 9110, section 15.3.6
		x.bodyless, length = true, 0
	case !final || x.bodyless && length >= 0:
	case x.bodyless && (!head || len(body) == 0):
		// Nobody computed the body that a GET would have had.
	case length < 0 && len(x.trailer) > 0 && r.head.minor >= 1 && !x.bodyless:
		// Trailers go with chunks.
	default:
		length = int64(len(body))
	}
	x.chunked = !x.bodyless && length < 0 && r.head.minor >= 1
	untilClose := !x.bodyless && length < 0 && r.head.minor == 0

	closing := untilClose || tunnel || !c.keep || c.closing.Load() || c.srv.draining.Load() || hasClose(x.connection)
	if !closing && r.hasBody() && c.bodyMu.TryLock() {
		closing = !c.willDiscard()
		c.bodyMu.Unlock()
	}
	x.closeAfter = closing

	out := appendStatusLine(c.out, status)
	switch {
	case x.hasDate && x.hasServer:
	case !x.hasDate && !x.hasServer:
		out = c.set.clock.appendTo(out)
	default:
		out = c.set.clock.appendParts(out, !x.hasServer, !x.hasDate)
	}
	out = append(out, x.fields...)
	if x.contentType != "" && status != http.StatusNoContent {
		out = append(out, "Content-Type: "...)
		out = append(out, x.contentType...)
		out = append(out, "\r\n"...)
	}
	if length >= 0 {
		out = appendLength(out, length)
	} else if x.chunked {
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	if closing {
		out = append(out, "Connection: close\r\n"...)
	} else if r.head.minor == 0 {
		out = append(out, "Connection: keep-alive\r\n"...)
	}
	if x.connection != "" && hasToken(x.connection, "upgrade") {
		out = append(out, "Connection: Upgrade\r\n"...) // goes with an Upgrade field (RFC 9110, section 7.8)
	}
	c.out = append(out, "\r\n"...)

	x.declared = length
	if x.bodyless {
		return c.broken
	}
	if final && !x.chunked {
		if len(body) >= directWrite {
			return c.writeOut(body)
		}
		c.out = append(c.out, body...)
		return c.broken
	}
	if err := c.writeBody(x, body); err != nil || !final {
		return err
	}
	return c.end(x)
}

func hasClose(connection string) bool { return hasToken(connection, "close") }

// hasToken looks for a token in a list.
func hasToken(list, want string) bool {
	for token := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(token, " \t"), want) {
			return true
		}
	}
	return false
}

func (c *HTTPConnection) writeBody(x *exchange, p []byte) error {
	if len(p) == 0 {
		return c.broken // an empty chunk would end the body
	}
	if !x.chunked {
		return c.appendOrWrite(p)
	}
	c.out = strconv.AppendUint(c.out, uint64(len(p)), 16)
	c.out = append(c.out, "\r\n"...)
	if err := c.appendOrWrite(p); err != nil {
		return err
	}
	c.out = append(c.out, "\r\n"...)
	return nil
}

func (c *HTTPConnection) appendOrWrite(p []byte) error {
	if len(p) >= directWrite {
		return c.writeOut(p)
	}
	c.out = append(c.out, p...)
	if len(c.out) >= keptBuffer {
		return c.flushOut()
	}
	return c.broken
}

// end completes a body that was sent in pieces.
func (c *HTTPConnection) end(x *exchange) error {
	if x.bodyless {
		return c.broken
	}
	if x.chunked {
		c.out = append(c.out, "0\r\n"...)
		c.out = append(c.out, x.trailer...)
		c.out = append(c.out, "\r\n"...)
		return c.broken
	}
	if x.declared >= 0 && x.sent < x.declared {
		// The peer waits for the rest of what was promised: only the end of the
		// connection can tell it that there is none.
		x.closeAfter = true
		c.set.log.Warn().Int64("declared", x.declared).Int64("sent", x.sent).Str("path", clip(x.req.Load().Path(), 2048)).
			Msg("server: answer shorter than its declared Content-Length")
	}
	return c.broken
}

func (c *HTTPConnection) flush(*exchange) error { return c.flushOut() }

func (c *HTTPConnection) sendFile(_ *exchange, f *os.File, n int64) (int64, bool, error) {
	if err := c.flushOut(); err != nil {
		return 0, true, err
	}
	c.writing.Store(true)
	sent, handled, err := c.t.sendFile(f, n)
	c.writing.Store(false)
	if err != nil {
		c.broken = err
	}
	return sent, handled, err
}

func (c *HTTPConnection) informational(status int, fields []byte) error {
	if c.at.Load().head.minor == 0 {
		return nil
	}
	c.out = appendStatusLine(c.out, status)
	c.out = append(c.out, fields...)
	c.out = append(c.out, "\r\n"...)
	return c.flushOut()
}

// statusLines holds the status lines of all codes that have a phrase.
var statusLines = func() (lines [500]string) {
	for code := 100; code < 600; code++ {
		if text := http.StatusText(code); text != "" {
			lines[code-100] = "HTTP/1.1 " + strconv.Itoa(code) + " " + text + "\r\n"
		}
	}
	return lines
}()

func appendStatusLine(dst []byte, code int) []byte {
	if code >= 100 && code < 600 && statusLines[code-100] != "" {
		return append(dst, statusLines[code-100]...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(code), 10)
	return append(dst, " \r\n"...) // the space belongs there also without a phrase
}

func appendLength(dst []byte, n int64) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "\r\n"...)
}

func decimal(n int) string { return strconv.Itoa(n) }
