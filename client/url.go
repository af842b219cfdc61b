// SPDX-License-Identifier: MIT

package client

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// parseURL reads an absolute http or https address and refuses everything that could be sent otherwise than it reads.
// Errors are ErrURL and never repeat the text, which may hold a password.
func parseURL(raw string) (*url.URL, error) {
	u, err := splitURL(raw)
	if err != nil {
		return nil, err
	}
	return u, checkURL(u)
}

// splitURL is url.Parse with our errors, and with a query that can stand in a request line.
func splitURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var escape url.EscapeError
		var host url.InvalidHostError
		switch {
		case errors.As(err, &escape):
			return nil, fmt.Errorf("%w: bad escape", ErrURL)
		case errors.As(err, &host):
			return nil, fmt.Errorf("%w: bad host", ErrURL)
		default:
			return nil, fmt.Errorf("%w: cannot be parsed", ErrURL)
		}
	}
	// url.Parse takes the query as it comes, and net/http would write it into the request line as it is.
	if u.RawQuery, err = cleanQuery(u.RawQuery); err != nil {
		return nil, err
	}
	return u, nil
}

// checkURL refuses what is not callable and removes an empty port. A nil error means that originOf(u) is meaningful.
func checkURL(u *url.URL) error {
	switch {
	case u.Scheme == "":
		return fmt.Errorf("%w: not absolute", ErrURL)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%w: scheme is not http or https", ErrURL)
	case u.Opaque != "":
		return fmt.Errorf("%w: no slashes after the scheme", ErrURL)
	case u.Host == "" || u.Hostname() == "":
		return fmt.Errorf("%w: no host", ErrURL)
	}
	if _, ok := canonicalHost(u.Hostname()); !ok {
		return fmt.Errorf("%w: bad host", ErrURL)
	}
	switch p := u.Port(); {
	case p != "":
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%w: bad port", ErrURL)
		}
	case strings.HasSuffix(u.Host, ":"):
		u.Host = strings.TrimSuffix(u.Host, ":")
	}
	return nil
}

// cleanQuery escapes what must not stand in a query (RFC 3986 §3.4) and refuses broken escapes.
func cleanQuery(q string) (string, error) {
	dirty := 0
	for i := range len(q) {
		switch b := q[i]; {
		case b == '%':
			if i+2 >= len(q) || !isHex(q[i+1]) || !isHex(q[i+2]) {
				return "", fmt.Errorf("%w: bad escape", ErrURL)
			}
		case mustEscape(b):
			dirty++
		}
	}
	if dirty == 0 {
		return q, nil
	}
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(q)+2*dirty)
	for i := range len(q) {
		if b := q[i]; mustEscape(b) {
			out = append(out, '%', hex[b>>4], hex[b&15])
		} else {
			out = append(out, b)
		}
	}
	return string(out), nil
}

func mustEscape(b byte) bool {
	return b <= ' ' || b >= 0x7f || b == '"' || b == '<' || b == '>' || b == '#'
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

// redact writes an address for logs and errors: no user, no password, no query, no fragment.
func redact(u *url.URL) string {
	if u == nil {
		return ""
	}
	s := u.Scheme + "://" + u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		s += "?…"
	}
	return s
}

// resolve makes the address of a call: as it is when absolute, else put behind BaseURL.
func (s *settings) resolve(raw string) (*url.URL, error) {
	if s.base == nil {
		if raw == "" {
			return nil, fmt.Errorf("%w: empty", ErrURL)
		}
		return parseURL(raw)
	}
	u, err := splitURL(raw)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "" {
		return u, checkURL(u)
	}
	if u.Host != "" || strings.HasPrefix(raw, "//") {
		// "//" + something from outside must not decide which host gets BaseURL's credentials.
		return nil, fmt.Errorf("%w: host without scheme", ErrURL)
	}
	if climbs(u.Path) {
		return nil, fmt.Errorf("%w: .. in a path relative to BaseURL", ErrURL)
	}
	joined := *s.base
	joined.RawQuery, joined.ForceQuery, joined.Fragment, joined.RawFragment = u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment
	p := u.EscapedPath()
	if p == "" {
		return &joined, nil
	}
	path := s.basePath + "/" + strings.TrimPrefix(p, "/")
	if joined.Path, err = url.PathUnescape(path); err != nil {
		return nil, fmt.Errorf("%w: bad escape", ErrURL)
	}
	joined.RawPath = path
	return &joined, nil
}

// climbs reports whether an unescaped path has a ".." segment.
func climbs(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == ".." {
			return true
		}
	}
	return false
}
