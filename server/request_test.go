// SPDX-License-Identifier: MIT

package server_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// ask sends one request and has look take from it what it wants to know.
func ask(t *testing.T, s *server.HTTPServer, request string, look func(r *server.HTTPRequest)) {
	t.Helper()
	seen := make(chan struct{}, 1)
	s.Handler = server.HandlerFunc(func(r *server.HTTPRequest) {
		look(r)
		seen <- struct{}{}
	})
	c := dial(t, start(t, s))
	c.send("%s", request)
	c.wantStatus(200)
	<-seen
}

func TestRequestTargets(t *testing.T) {
	tests := []struct{ name, request, want string }{
		{
			"origin-form", "GET /a%20b/c?d=e%26&f HTTP/1.1\r\nHost: Example.com:8080\r\n\r\n",
			`GET target="/a%20b/c?d=e%26&f" path="/a%20b/c" query="d=e%26&f" host="Example.com:8080" name="example.com" url="http://Example.com:8080/a%20b/c?d=e%26&f" HTTP/1.1`,
		},
		{
			"no query", "GET /? HTTP/1.1\r\nHost: h\r\n\r\n",
			`GET target="/?" path="/" query="" host="h" name="h" url="http://h/" HTTP/1.1`,
		},
		{
			"absolute-form", "GET http://Other:81/x?y HTTP/1.1\r\nHost: h\r\n\r\n",
			`GET target="http://Other:81/x?y" path="/x" query="y" host="Other:81" name="other" url="http://Other:81/x?y" HTTP/1.1`,
		},
		{
			"absolute-form without path", "GET http://other HTTP/1.1\r\nHost: h\r\n\r\n",
			`GET target="http://other" path="/" query="" host="other" name="other" url="http://other/" HTTP/1.1`,
		},
		{
			"IPv6", "GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n",
			`GET target="/" path="/" query="" host="[2001:DB8::1]:80" name="2001:db8::1" url="http://[2001:DB8::1]:80/" HTTP/1.1`,
		},
		{
			"IPv6 without port", "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
			`GET target="/" path="/" query="" host="[::1]" name="::1" url="http://[::1]/" HTTP/1.1`,
		},
		{
			"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
			`OPTIONS target="*" path="*" query="" host="h" name="h" url="http://h" HTTP/1.1`,
		},
		{
			"no host in 1.0", "GET /x HTTP/1.0\r\n\r\n",
			`GET target="/x" path="/x" query="" host="" name="" url="http:///x" HTTP/1.0`,
		},
		{
			"own method", "M-SEARCH /x HTTP/1.1\r\nHost: h\r\n\r\n",
			`M-SEARCH target="/x" path="/x" query="" host="h" name="h" url="http://h/x" HTTP/1.1`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ask(t, &server.HTTPServer{}, tt.request, func(r *server.HTTPRequest) {
				got := fmt.Sprintf("%s target=%q path=%q query=%q host=%q name=%q url=%q %s", r.Method(), r.Target(), r.Path(), r.RawQuery(), r.Host(), r.Hostname(), r.FullURL(), r.Protocol())
				if got != tt.want {
					t.Errorf("\n got %s\nwant %s", got, tt.want)
				}
				if r.Fragment() != "" || r.Scheme() != "http" || r.IsSecure() || r.TLS() != nil {
					t.Error("fragment or TLS out of nowhere")
				}
				if major, minor := r.ProtocolVersion(); fmt.Sprintf("HTTP/%d.%d", major, minor) != r.Protocol() {
					t.Errorf("ProtocolVersion() = %d, %d", major, minor)
				}
			})
		})
	}

	t.Run("CONNECT", func(t *testing.T) {
		got := make(chan string, 1)
		c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
			got <- fmt.Sprintf("%q %q %q %q %q", r.Target(), r.Path(), r.Host(), r.Hostname(), r.FullURL())
			_ = r.SetStatus(405)
		}))
		c.send("CONNECT Example.com:443 HTTP/1.1\r\nHost: Example.com:443\r\n\r\n")
		c.wantStatus(405)
		if g := <-got; g != `"Example.com:443" "" "Example.com:443" "example.com" "Example.com:443"` {
			t.Error(g)
		}
	})

	t.Run("https without TLS", func(t *testing.T) {
		c := dial(t, startFunc(t, ok))
		c.send("GET https://h/ HTTP/1.1\r\nHost: h\r\n\r\n")
		c.wantStatus(421)
		c.wantClosed("misdirected")
	})
}

func TestRequestQuery(t *testing.T) {
	ask(t, &server.HTTPServer{}, "GET /?a=1&b=%C3%BC&a=2&c&%zz=1&d=x%zzy HTTP/1.1\r\nHost: h\r\n\r\n", func(r *server.HTTPRequest) {
		if got := fmt.Sprintf("%q %q %q %t %q %t", r.Query()["a"], r.QueryValue("a"), r.QueryValue("b"), r.Query().Has("c"), r.QueryValue("none"), r.Query().Has("d")); got != `["1" "2"] "1" "ü" true "" false` {
			t.Errorf("query %s", got)
		}
	})
	ask(t, &server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", func(r *server.HTTPRequest) {
		if len(r.Query()) != 0 || r.Query() == nil || r.QueryValue("a") != "" {
			t.Errorf("query %v", r.Query())
		}
	})
}

func TestRequestPeer(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6"} {
		l, err := net.Listen(network, map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network])
		if err != nil {
			t.Logf("no %s here: %v", network, err)
			continue
		}
		local := make(chan string, 1)
		startOn(t, &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			if r.RemoteIP() != r.PeerIP() || !r.PeerIP().IsLoopback() || r.LocalAddr().String() != l.Addr().String() || r.Connection().LocalAddr().String() != l.Addr().String() {
				t.Errorf("RemoteIP() = %v, PeerIP() = %v, LocalAddr() = %v", r.RemoteIP(), r.PeerIP(), r.LocalAddr())
			}
			if r.Time().IsZero() || r.Elapsed() > time.Since(r.Time()) {
				t.Error("time goes the wrong way")
			}
			local <- r.RemoteAddr()
		})}, l)
		c := dial(t, l.Addr().String())
		c.get("/")
		c.wantStatus(200)
		if got := <-local; got != c.conn.LocalAddr().String() {
			t.Errorf("RemoteAddr() = %q, the client is %v", got, c.conn.LocalAddr())
		}
	}
}

func TestOrigin(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	tests := []struct {
		name    string
		policy  *server.TrustPolicy
		fields  string
		ip, url string
	}{
		{"nobody is trusted", nil, "X-Forwarded-For: 192.0.2.1\r\n", "127.0.0.1", "http://h/p"},
		{"X-Forwarded-For", &server.TrustPolicy{Trusted: loopback, Source: server.SourceXForwardedFor}, "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1", "http://h/p"},
		{
			"with scheme and host", &server.TrustPolicy{Trusted: loopback, Source: server.SourceXForwardedFor, Scheme: true, Host: true, AllowedHosts: []string{"a.example"}},
			"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n", "192.0.2.1", "https://a.example/p",
		},
		{"Forwarded", &server.TrustPolicy{Trusted: loopback, Source: server.SourceForwarded, Scheme: true}, "Forwarded: for=\"[2001:db8::1]:80\";proto=https\r\n", "2001:db8::1", "https://h/p"},
		{"from elsewhere", &server.TrustPolicy{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Source: server.SourceXForwardedFor, RequireForwarded: true}, "X-Forwarded-For: 192.0.2.1\r\n", "127.0.0.1", "http://h/p"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ask(t, &server.HTTPServer{XHeaders: tt.policy}, "GET /p HTTP/1.1\r\nHost: h\r\n"+tt.fields+"\r\n", func(r *server.HTTPRequest) {
				if r.RemoteIP().String() != tt.ip || r.FullURL() != tt.url || r.PeerIP().String() != "127.0.0.1" {
					t.Errorf("RemoteIP() = %v, FullURL() = %s, PeerIP() = %v", r.RemoteIP(), r.FullURL(), r.PeerIP())
				}
			})
		})
	}

	t.Run("required", func(t *testing.T) {
		c := dial(t, start(t, &server.HTTPServer{
			XHeaders: &server.TrustPolicy{Trusted: loopback, Source: server.SourceXForwardedFor, RequireForwarded: true},
			Handler:  server.HandlerFunc(ok),
		}))
		c.send("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
		c.wantAnswer(200, "ok")
		c.get("/")
		c.wantStatus(400)
		c.wantClosed("no forwarding field")
	})

	t.Run("set by a handler", func(t *testing.T) {
		ask(t, &server.HTTPServer{}, "GET /p HTTP/1.1\r\nHost: h\r\n\r\n", func(r *server.HTTPRequest) {
			if r.Origin() != (server.Origin{}) {
				t.Errorf("Origin() = %+v", r.Origin())
			}
			r.SetOrigin(server.Origin{})
			if r.RemoteIP().String() != "127.0.0.1" || r.FullURL() != "http://h/p" {
				t.Error("an empty origin changes something")
			}
			o := server.Origin{IP: netip.MustParseAddr("192.0.2.9"), Scheme: "https", Host: "x:1", Suspect: true, Hops: 2}
			r.SetOrigin(o)
			if r.Origin() != o || r.RemoteIP() != o.IP || r.Scheme() != "https" || !r.IsSecure() || r.Host() != "x:1" || r.Hostname() != "x" || r.FullURL() != "https://x:1/p" || r.TLS() != nil {
				t.Errorf("Origin() = %+v, %s", r.Origin(), r.FullURL())
			}
		})
	})
	if err := (&server.HTTPServer{Handler: server.HandlerFunc(ok), XHeaders: &server.TrustPolicy{Host: true}}).ListenAndServe("127.0.0.1:0"); !errors.Is(err, server.ErrInvalidTrustPolicy) {
		t.Errorf("a policy that trusts any host: %v", err)
	}
}
