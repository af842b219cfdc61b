// SPDX-License-Identifier: MIT

package client_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"testing"

	"github.com/pleat-go/pleat/client"
)

func TestPublicOnly(t *testing.T) {
	r := newRig(t)
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	all := ports(t, r.A, r.B)
	for _, tt := range []struct {
		name, url string
		prefixes  []netip.Prefix
		ports     []uint16
		ok        bool
	}{
		{name: "address", url: r.A + "/land", ports: all},
		{name: "name", url: r.Other + "/land", ports: all},
		{name: "port", url: r.A + "/land", prefixes: loopback},
		{name: "allowed", url: r.A + "/land", prefixes: loopback, ports: all, ok: true},
		{name: "redirect to a port not allowed", url: r.A + to(302, r.B+"/land"), prefixes: loopback, ports: all[:1]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tidy(t, &client.HTTPClient{PublicOnly: true, AllowPrefixes: tt.prefixes, AllowPorts: tt.ports, Retries: 3})
			_, err := c.Get(tt.url).Bytes()
			if tt.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var ce *client.Error
			if err == nil || !errors.As(err, &ce) || ce.Phase != client.PhaseConnect {
				t.Fatalf("error %v", err)
			}
			if !errors.Is(err, client.ErrForbiddenAddress) {
				t.Errorf("error %v, want ErrForbiddenAddress", err)
			}
		})
	}
	if got := r.recorded(); len(got) != 1 {
		t.Errorf("%d requests landed, want 1", len(got))
	}
}

func TestConfigErrors(t *testing.T) {
	direct := func(*http.Request) (*url.URL, error) { return nil, nil }
	for name, c := range map[string]*client.HTTPClient{
		"guard and proxy":            {PublicOnly: true, Proxy: direct},
		"guard and transport":        {PublicOnly: true, Transport: &http.Transport{}},
		"prefixes without guard":     {AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		"invalid prefix":             {PublicOnly: true, AllowPrefixes: []netip.Prefix{{}}},
		"transport and TLS":          {Transport: &http.Transport{}, TLSConfig: &tls.Config{}},
		"base without scheme":        {BaseURL: "example.com"},
		"base with query":            {BaseURL: "http://example.com/?a=1"},
		"base with password":         {BaseURL: "http://u:p@example.com/"},
		"header name":                {Header: http.Header{"a b": {"1"}}},
		"header value":               {Header: http.Header{"A": {"1\r\nB: 2"}}},
		"header of ours":             {Header: http.Header{"Content-Length": {"3"}}},
		"credentials for nobody":     {Credentials: []client.Credentials{{Token: "t"}}},
		"credentials without any":    {BaseURL: "http://h", Credentials: []client.Credentials{{}}},
		"credentials twice":          {BaseURL: "http://h", Credentials: []client.Credentials{{Token: "t", User: "u"}}},
		"credentials with newline":   {BaseURL: "http://h", Credentials: []client.Credentials{{Token: "t\n"}}},
		"credentials with a colon":   {BaseURL: "http://h", Credentials: []client.Credentials{{User: "a:b", Password: "p"}}},
		"credentials for a path":     {Credentials: []client.Credentials{{Origin: "http://h/path", Token: "t"}}},
		"propagate to nothing":       {Propagate: []string{""}},
		"propagate to a path":        {Propagate: []string{"https://h/p"}},
		"propagate to host and port": {Propagate: []string{"h:80"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.Validate(); !errors.Is(err, client.ErrConfig) {
				t.Errorf("Validate() = %v, want ErrConfig", err)
			}
			if _, err := c.Get("http://127.0.0.1:1/").Do(); !errors.Is(err, client.ErrConfig) {
				t.Errorf("Do() = %v, want ErrConfig", err)
			}
			if _, err := c.Bind(client.Binding{}).Get("http://127.0.0.1:1/").Do(); !errors.Is(err, client.ErrConfig) {
				t.Errorf("bound Do() = %v, want ErrConfig", err)
			}
			c.CloseIdleConnections()
		})
	}
	if err := (&client.HTTPClient{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
}
