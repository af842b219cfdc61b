// SPDX-License-Identifier: MIT

package client

import (
	"net"
	"net/http"
	"time"
)

// newTransport builds the round tripper of a client: nothing but what the fields say, no proxy from the environment, no
// decompression behind our back.
func newTransport(s *settings) *http.Transport {
	dialer := &net.Dialer{Timeout: s.DialTimeout, KeepAlive: 30 * time.Second, Resolver: s.Resolver}
	if s.PublicOnly {
		g := guard{allowed: s.AllowPrefixes, ports: s.AllowPorts}
		if g.ports == nil {
			g.ports = []uint16{80, 443}
		}
		dialer.ControlContext = g.control
	}
	t := &http.Transport{
		Proxy:                  s.Proxy,
		DialContext:            dialWith(dialer.DialContext),
		TLSHandshakeTimeout:    s.TLSTimeout,
		DisableKeepAlives:      s.DisableKeepAlive,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    s.IdlePerHost,
		MaxConnsPerHost:        s.MaxPerHost,
		IdleConnTimeout:        s.IdleTimeout,
		ResponseHeaderTimeout:  s.HeaderTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: s.MaxResponseHeader,
		ForceAttemptHTTP2:      true, // a DialContext of one's own turns it off otherwise
	}
	if s.TLSConfig != nil {
		t.TLSClientConfig = s.TLSConfig.Clone()
	}
	return t
}
