// SPDX-License-Identifier: MIT

package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"slices"
	"strconv"
)

// ErrEnd is wrapped by the error of Play, together with that of the connection, when
// all answers came, nothing came behind them, and the connection ended badly.
var ErrEnd = errors.New("the connection ended badly")

// Play holds the conversation on conn and says what went otherwise. It writes in
// pieces, whose sizes the function gives; nil is for one write each time. The
// caller sets deadlines and closes the connection.
func (c *Case) Play(conn net.Conn, pieces func() int) error {
	r := bufio.NewReader(conn)
	var writing chan struct{} // a server may answer, and even close, before it has read all
	wait := func() {
		if writing != nil {
			<-writing
			writing = nil
		}
	}
	defer wait()
	for i, s := range c.Steps {
		switch {
		case s.Want != nil:
			a, err := read(r, s.Want.Method)
			if err != nil {
				return fmt.Errorf("step %d: reading the answer: %w", i+1, err)
			}
			if err := s.Want.compare(a); err != nil {
				return fmt.Errorf("step %d: %w, in %s", i+1, err, a)
			}
		case s.End:
			wait()
			if half, ok := conn.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite() // fails when the server has closed, which will show
			}
		default:
			wait()
			done := make(chan struct{})
			writing = done
			go func() {
				defer close(done)
				write(conn, s.Send, pieces)
			}()
		}
	}
	if c.Open {
		wait()
		write(conn, "GET /ok HTTP/1.1\r\nHost: a.test\r\n\r\n", nil)
		a, err := read(r, "GET")
		if err != nil || a.status != 200 || a.body != "ok" {
			return fmt.Errorf("a further request: %v, %w", a, err)
		}
		return nil
	}
	rest, err := io.ReadAll(r)
	switch {
	case len(rest) > 0:
		return fmt.Errorf("the connection should have ended; there came %.200q, error %v", rest, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrEnd, err)
	}
	return nil
}

// write gives up silently: that the server has closed shows in what is read.
func write(w io.Writer, s string, pieces func() int) {
	for len(s) > 0 {
		n := len(s)
		if pieces != nil {
			n = min(max(pieces(), 1), n)
		}
		if _, err := io.WriteString(w, s[:n]); err != nil {
			return
		}
		s = s[n:]
	}
}

func (a *Answer) compare(got *answer) error {
	if !slices.Contains(a.Status, got.status) {
		return fmt.Errorf("status %d, want %v", got.status, a.Status)
	}
	if a.Body != nil && got.body != *a.Body {
		return fmt.Errorf("body %.200q, want %.200q", got.body, *a.Body)
	}
	for _, f := range a.Fields {
		values := got.header.Values(f.Name)
		switch {
		case f.Absent && len(values) > 0:
			return fmt.Errorf("there is %s: %q", f.Name, values)
		case f.Absent:
		case len(values) != 1 || !f.Any && values[0] != f.Value:
			return fmt.Errorf("%s is %q, want %q", f.Name, values, f.Value)
		}
	}
	return nil
}

// answer is what was read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a *answer) String() string {
	if a == nil {
		return "no answer"
	}
	return fmt.Sprintf("%d %v %.100q", a.status, a.header, a.body)
}

var (
	statusLine = regexp.MustCompile(`^HTTP/1\.1 ([1-5][0-9][0-9]) ([\t\x20-\x7e]*)\r\n$`)
	fieldLine  = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*\r\n$")
	decimal    = regexp.MustCompile(`^[0-9]+$`)
)

// read reads an answer by the letter of the grammar, and judges what a server has
// to keep in every answer (RFC 9112 §4, §5, §6.1, §6.2, §6.3, RFC 9110 §6.6.1).
func read(r *bufio.Reader, method string) (*answer, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("status line %q: %w", line, err)
	}
	m := statusLine.FindStringSubmatch(line)
	if m == nil {
		return nil, fmt.Errorf("status line %q", line)
	}
	a := &answer{}
	a.status, _ = strconv.Atoi(m[1])
	if a.header, err = readFields(r); err != nil {
		return nil, err
	}
	length, coding := a.header.Values("Content-Length"), a.header.Values("Transfer-Encoding")
	none := a.status < 200 || a.status == 204
	switch {
	case len(length) > 1 || len(length) == 1 && !decimal.MatchString(length[0]):
		return nil, fmt.Errorf("Content-Length: %q", length)
	case len(coding) > 1 || len(coding) == 1 && coding[0] != "chunked":
		return nil, fmt.Errorf("Transfer-Encoding: %q", coding)
	case len(length)+len(coding) > 1:
		return nil, errors.New("an answer with a length and a coding")
	case none && len(length)+len(coding) > 0:
		return nil, fmt.Errorf("%d with a length or a coding", a.status)
	case a.status >= 200 && len(a.header.Values("Date")) != 1:
		return nil, fmt.Errorf("%d with Date: %q", a.status, a.header.Values("Date"))
	case none || a.status == 304 || method == "HEAD":
		return a, nil
	}
	var body []byte
	switch {
	case len(coding) > 0:
		if body, err = io.ReadAll(httputil.NewChunkedReader(r)); err == nil {
			_, err = readFields(r)
		}
	case len(length) > 0:
		var n int64
		if n, err = strconv.ParseInt(length[0], 10, 64); err == nil {
			body, err = io.ReadAll(io.LimitReader(r, n))
			if err == nil && int64(len(body)) < n {
				err = io.ErrUnexpectedEOF
			}
		}
	default:
		body, err = io.ReadAll(r)
	}
	a.body = string(body)
	if err != nil {
		return nil, fmt.Errorf("body of %s: %w", a, err)
	}
	return a, nil
}

func readFields(r *bufio.Reader) (http.Header, error) {
	h := http.Header{}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("field line %q: %w", line, err)
		}
		if line == "\r\n" {
			return h, nil
		}
		m := fieldLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("field line %q", line)
		}
		h.Add(m[1], m[2])
	}
}
