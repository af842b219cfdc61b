// SPDX-License-Identifier: MIT

package client

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Defaults; see the fields of HTTPClient.
const (
	defaultMaxRedirects      = 5
	defaultTimeout           = 30 * time.Second
	defaultDialTimeout       = 5 * time.Second
	defaultTLSTimeout        = 5 * time.Second
	defaultIdleTimeout       = 50 * time.Second
	defaultMaxBody           = 10 << 20
	defaultMaxResponseHeader = 64 << 10
	defaultIdlePerHost       = 64
	defaultConcurrency       = 8

	// unlimitedResponseHeader is what "no limit" comes to: Transport has none such and would use its own default.
	unlimitedResponseHeader = 1 << 30

	userAgent      = "pleat"
	acceptEncoding = "gzip, zstd"
)

// settings is what the fields of an HTTPClient amounted to at first use. Read-only, but for the retry budget; shared by
// all clients derived from it.
type settings struct {
	HTTPClient // copy of the fields, limits with their defaults filled in and negative ones turned to 0 = none

	err         error // ErrConfig with the reason, given by every call
	transport   http.RoundTripper
	base        *url.URL // nil without BaseURL
	baseOrigin  origin
	basePath    string // escaped, without the last slash
	header      http.Header
	plain       http.Header // of a call without options; nil when there is no such thing. Never changed
	crossOrigin map[string]bool
	credentials []originCredentials
	toOrigins   []origin // Propagate, the origins
	toHosts     []string // Propagate, the hosts
	retries     retryBudget
}

type originCredentials struct {
	origin        origin
	authorization string
}

// limit resolves the convention of all limits: zero is the default, negative is none, which comes out as zero.
func limit[T int | int64 | time.Duration](n *T, byDefault T) {
	switch {
	case *n == 0:
		*n = byDefault
	case *n < 0:
		*n = 0
	}
}

func newSettings(c *HTTPClient) *settings {
	s := &settings{}
	s.copyFields(c)
	limit(&s.MaxRedirects, defaultMaxRedirects)
	limit(&s.Timeout, defaultTimeout)
	limit(&s.DialTimeout, defaultDialTimeout)
	limit(&s.TLSTimeout, defaultTLSTimeout)
	limit(&s.HeaderTimeout, 0)
	limit(&s.IdleTimeout, defaultIdleTimeout)
	limit(&s.MaxBody, defaultMaxBody)
	limit(&s.MaxResponseHeader, defaultMaxResponseHeader)
	if s.MaxResponseHeader == 0 {
		s.MaxResponseHeader = unlimitedResponseHeader
	}
	limit(&s.IdlePerHost, defaultIdlePerHost)
	limit(&s.MaxPerHost, 0)
	limit(&s.Retries, 0)
	if s.Concurrency <= 0 {
		s.Concurrency = defaultConcurrency
	}
	for _, step := range []func() error{s.setBase, s.setHeader, s.setPlain, s.setCredentials, s.setOrigins, s.setTransport} {
		if err := step(); err != nil {
			s.err = fmt.Errorf("%w: %w", ErrConfig, err)
			break
		}
	}
	return s
}

func (s *settings) setBase() error {
	if s.BaseURL == "" {
		return nil
	}
	u, err := parseURL(s.BaseURL)
	if err != nil {
		return fmt.Errorf("field BaseURL: %w", err)
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fmt.Errorf("field BaseURL: %w: user, query and fragment have no place in it", ErrURL)
	}
	s.base, s.baseOrigin, s.basePath = u, originOf(u), strings.TrimRight(u.EscapedPath(), "/")
	return nil
}

func (s *settings) setHeader() error {
	s.header = make(http.Header, len(s.Header))
	for name, values := range s.Header {
		if err := checkHeader(name, values...); err != nil {
			return fmt.Errorf("field Header: %w", err)
		}
		canonical := http.CanonicalHeaderKey(name)
		s.header[canonical] = append(s.header[canonical], values...)
	}
	s.crossOrigin = make(map[string]bool, len(s.CrossOriginHeaders))
	for _, name := range s.CrossOriginHeaders {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("field CrossOriginHeaders: %w: %q", ErrHeader, name)
		case canonical == "Cookie" || canonical == "Proxy-Authorization":
			return fmt.Errorf("field CrossOriginHeaders: %w: %s never crosses an origin", ErrHeader, canonical)
		}
		s.crossOrigin[canonical] = true
	}
	return nil
}

func (s *settings) setCredentials() error {
	for i, cr := range s.Credentials {
		o := s.baseOrigin
		if cr.Origin != "" {
			var err error
			if o, err = parseOrigin(cr.Origin); err != nil {
				return fmt.Errorf("field Credentials[%d].Origin: %w", i, err)
			}
		}
		if o == (origin{}) {
			return fmt.Errorf("field Credentials[%d] has no Origin and there is no BaseURL", i)
		}
		var value string
		var err error
		switch {
		case cr.Token != "" && (cr.User != "" || cr.Password != ""):
			err = fmt.Errorf("both Token and User")
		case cr.Token != "":
			value, err = bearer(cr.Token)
		default:
			value, err = basic(cr.User, cr.Password)
		}
		if err != nil {
			return fmt.Errorf("field Credentials[%d]: %w", i, err)
		}
		s.credentials = append(s.credentials, originCredentials{origin: o, authorization: value})
	}
	return nil
}

// setOrigins sorts Propagate into origins and host names.
func (s *settings) setOrigins() error {
	for _, p := range s.Propagate {
		if strings.Contains(p, "://") {
			o, err := parseOrigin(p)
			if err != nil {
				return fmt.Errorf("field Propagate: %q: %w", p, err)
			}
			s.toOrigins = append(s.toOrigins, o)
			continue
		}
		host, ok := canonicalHost(strings.TrimSuffix(strings.TrimPrefix(p, "["), "]"))
		if !ok {
			return fmt.Errorf("field Propagate: %q is neither an origin nor a host name", p)
		}
		s.toHosts = append(s.toHosts, host)
	}
	return nil
}

// setTransport takes the caller's or builds one.
func (s *settings) setTransport() error {
	if s.PublicOnly && (s.Proxy != nil || s.Transport != nil) {
		// Through either, the guard would see the address of the intermediary only, or nothing.
		return fmt.Errorf("PublicOnly excludes Proxy and Transport")
	}
	if !s.PublicOnly && (s.AllowPrefixes != nil || s.AllowPorts != nil) {
		return fmt.Errorf("AllowPrefixes and AllowPorts mean nothing without PublicOnly")
	}
	if slices.ContainsFunc(s.AllowPrefixes, func(p netip.Prefix) bool { return !p.IsValid() }) {
		return fmt.Errorf("AllowPrefixes holds an invalid prefix")
	}
	if s.Transport == nil {
		s.transport = newTransport(s)
		return nil
	}
	if s.TLSConfig != nil || s.Proxy != nil || s.Resolver != nil {
		return fmt.Errorf("TLSConfig, Proxy and Resolver mean nothing with a Transport")
	}
	s.transport = s.Transport
	return nil
}

// propagates reports whether o may see request id and trace context.
func (s *settings) propagates(o origin) bool {
	return s.base != nil && o == s.baseOrigin || slices.Contains(s.toOrigins, o) || slices.Contains(s.toHosts, o.host)
}

// authorization returns what Credentials has for o, or "".
func (s *settings) authorization(o origin) string {
	for i := range s.credentials {
		if s.credentials[i].origin == o {
			return s.credentials[i].authorization
		}
	}
	return ""
}

// bearer returns the Authorization for a token. RFC 6750 §2.1: b64token.
func bearer(token string) (string, error) {
	if token == "" || !httpguts.ValidHeaderFieldValue(token) || strings.ContainsAny(token, " \t") {
		return "", fmt.Errorf("%w: bearer token is empty or holds spaces or control bytes", ErrHeader)
	}
	return "Bearer " + token, nil
}

// basic returns the Authorization for a user. RFC 7617 §2: the user has no colon, neither part has control characters.
func basic(user, password string) (string, error) {
	if user == "" && password == "" {
		return "", fmt.Errorf("%w: no user and no password", ErrHeader)
	}
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if strings.Contains(user, ":") || strings.ContainsFunc(user, control) || strings.ContainsFunc(password, control) {
		return "", fmt.Errorf("%w: user holds a colon, or user or password a control character", ErrHeader)
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)), nil
}
