// SPDX-License-Identifier: MIT

package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/server"
)

// whoami answers with what the request says about its client.
func whoami(c *pleat.Context) error {
	r := c.Request()
	return c.Text(200, fmt.Sprint(c.RemoteIP(), " ", r.Scheme(), " ", r.Host(), " ", r.Origin().Suspect))
}

func TestForwarded(t *testing.T) {
	trusted := append([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, loopback...)
	xff := server.TrustPolicy{Trusted: trusted, Source: server.SourceXForwardedFor}
	all := server.TrustPolicy{
		Trusted: trusted, Source: server.SourceXForwardedFor, Scheme: true, Host: true,
		AllowedHosts: []string{"shop.example", "*.shop.example"},
	}
	rfc := server.TrustPolicy{
		Trusted: trusted, Source: server.SourceForwarded, Scheme: true, Host: true, AllowedHosts: []string{"*"},
	}
	single := server.TrustPolicy{Trusted: trusted, Source: server.SourceSingle}
	required := server.TrustPolicy{Trusted: trusted, Source: server.SourceXForwardedFor, RequireForwarded: true}
	stranger := server.TrustPolicy{Trusted: private, Source: server.SourceXForwardedFor, RequireForwarded: true}
	const mine, peer = " http example.com false", "127.0.0.1"
	const bad = "400 Bad Request"
	tests := []struct {
		name   string
		policy server.TrustPolicy
		fields []string
		want   string
	}{
		{"nobody is trusted", server.TrustPolicy{}, []string{"X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "X-Real-IP: 1.2.3.4"}, peer + mine},
		{"peer is not trusted", stranger, []string{"X-Forwarded-For: 1.2.3.4"}, peer + mine},
		{"no field", xff, nil, peer + mine},
		{"one", xff, []string{"X-Forwarded-For: 1.2.3.4"}, "1.2.3.4" + mine},
		{"from the right", xff, []string{"X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.9.9.9"}, "1.2.3.4" + mine},
		{"lines in order", xff, []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 1.2.3.4"}, "1.2.3.4" + mine},
		{"port", xff, []string{"X-Forwarded-For: [2001:db8::1]:443"}, "2001:db8::1" + mine},
		{"garbage stops the walk", xff, []string{"X-Forwarded-For: 6.6.6.6, x, 10.2.2.2"}, "10.2.2.2 http example.com true"},
		{"the other source", xff, []string{"Forwarded: for=6.6.6.6"}, peer + mine},
		{"underscores", xff, []string{"X_Forwarded_For: 6.6.6.6"}, peer + mine},
		{"scheme and host are off", xff, []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example"}, "1.2.3.4" + mine},
		{"scheme and host", all, []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: www.shop.example"}, "1.2.3.4 https www.shop.example false"},
		{"host not allowed", all, []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil.example"}, "1.2.3.4 http example.com true"},
		{"scheme that is none", all, []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: javascript"}, "1.2.3.4 http example.com true"},
		{"RFC 7239", rfc, []string{`Forwarded: for="[2001:db8:cafe::17]:4711";proto=https;host="a.example"`}, "2001:db8:cafe::17 https a.example false"},
		{"RFC 7239, broken", rfc, []string{`Forwarded: for="1.1.1.1`}, peer + " http example.com true"},
		{"single", single, []string{"X-Real-IP: 1.2.3.4"}, "1.2.3.4" + mine},
		{"single, twice", single, []string{"X-Real-IP: 1.2.3.4", "X-Real-IP: 4.3.2.1"}, peer + " http example.com true"},
		{"required and there", required, []string{"X-Forwarded-For: 1.2.3.4"}, "1.2.3.4" + mine},
		{"required and missing", required, nil, bad},
		{"required and malformed", required, []string{"X-Forwarded-For: x"}, bad},
		{"required and named in Connection", required, []string{"Connection: X-Forwarded-For"}, bad},
	}
	onBoth(t, func(t *testing.T, serve func(*testing.T, *pleat.App) string) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				log := newLog()
				app := pleat.New(pleat.Config{Logger: log.logger()})
				app.Use(middleware.Logger(middleware.LoggerConfig{}), middleware.Forwarded(test.policy))
				app.GET("/", whoami)
				fields := ""
				for _, f := range test.fields {
					fields += f + "\r\n"
				}
				a := get(t, serve(t, app), "/", fields)
				if strings.TrimSpace(a.text) != test.want {
					t.Errorf("got %q, want %q", a.text, test.want)
				}
				line := log.access(t)
				if test.want == bad {
					if text, _ := line["error"].(string); a.StatusCode != 400 || !strings.Contains(text, server.ErrForwardedRequired.Error()) {
						t.Errorf("%d, log %v", a.StatusCode, line)
					}
					return
				}
				// The log believes what the handler does.
				ip, _, _ := strings.Cut(test.want, " ")
				want(t, line, map[string]any{"remote": ip})
				if suspect := strings.HasSuffix(test.want, "true"); suspect != (line["suspect"] == true) {
					t.Errorf("suspect: %v", line["suspect"])
				}
			})
		}
	})
}

// A group can believe other proxies than the server does.
func TestForwardedOverridesServer(t *testing.T) {
	app := pleat.New(pleat.Config{Server: &server.HTTPServer{
		XHeaders: &server.TrustPolicy{Trusted: loopback, Source: server.SourceXForwardedFor},
	}})
	app.GET("/outside", whoami)
	app.Group("/inside", middleware.Forwarded(server.TrustPolicy{Trusted: loopback, Source: server.SourceSingle})).GET("/", whoami)
	app.Group("/nobody", middleware.Forwarded(server.TrustPolicy{})).GET("/", whoami)
	addr := serve(t, app)
	for target, ip := range map[string]string{"/outside": "1.1.1.1", "/inside/": "2.2.2.2", "/nobody/": "127.0.0.1"} {
		if a := get(t, addr, target, "X-Forwarded-For: 1.1.1.1\r\nX-Real-IP: 2.2.2.2\r\n"); a.text != ip+" http example.com false" {
			t.Errorf("%s: %q", target, a.text)
		}
	}
}

// Secure cookies follow the scheme that the proxy speaks with the client.
func TestForwardedSecureCookies(t *testing.T) {
	app := pleat.New(pleat.Config{CookieSecrets: [][]byte{secretA}})
	app.Use(middleware.Forwarded(server.TrustPolicy{Trusted: loopback, Source: server.SourceXForwardedFor, Scheme: true}))
	app.GET("/", func(c *pleat.Context) error { return c.SetSecureCookie("a", "b") })
	addr := serve(t, app)
	for proto, secure := range map[string]bool{"https": true, "http": false} {
		a := get(t, addr, "/", "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: "+proto+"\r\n")
		if cookies := a.Cookies(); len(cookies) != 1 || cookies[0].Secure != secure {
			t.Errorf("%s: %v", proto, cookies)
		}
	}
}

func TestForwardedRefused(t *testing.T) {
	for name, policy := range map[string]server.TrustPolicy{
		"nobody is trusted": {Source: server.SourceXForwardedFor},
		"no source":         {Trusted: loopback, Scheme: true},
		"no hosts":          {Trusted: loopback, Source: server.SourceForwarded, Host: true},
	} {
		app := pleat.New(pleat.Config{})
		app.GET("/", whoami, middleware.Forwarded(policy))
		if err := app.Start(); !errors.Is(err, server.ErrInvalidTrustPolicy) || !strings.Contains(err.Error(), "middleware: Forwarded: ") {
			t.Errorf("%s: Start() = %v", name, err)
		}
	}
}

// What was given must not change under the app.
func TestForwardedCopies(t *testing.T) {
	policy := server.TrustPolicy{
		Trusted: []netip.Prefix{loopback[0]}, Source: server.SourceXForwardedFor, Host: true, AllowedHosts: []string{"a.example"},
	}
	mw := middleware.Forwarded(policy)
	policy.Trusted[0], policy.AllowedHosts[0] = private[0], "evil.example"
	app := pleat.New(pleat.Config{})
	app.Use(mw)
	app.GET("/", whoami)
	a := get(t, serve(t, app), "/", "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: a.example\r\n")
	if a.text != "1.2.3.4 http a.example false" {
		t.Errorf("got %q", a.text)
	}
}

// What Forwarded finds out behind a middleware of net/http that has a writer of its
// own is seen outside of it, in the access log for one.
func TestForwardedBehindAnotherWriter(t *testing.T) {
	onBoth(t, func(t *testing.T, serve func(*testing.T, *pleat.App) string) {
		log := newLog()
		app := pleat.New(pleat.Config{Logger: log.logger()})
		wrap := pleat.WrapMiddleware(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				next.ServeHTTP(struct{ http.ResponseWriter }{w}, q)
			})
		})
		app.Use(middleware.Logger(middleware.LoggerConfig{}), wrap, wrap)
		app.Use(middleware.Forwarded(server.TrustPolicy{Trusted: loopback, Source: server.SourceXForwardedFor}))
		app.GET("/", whoami)
		app.GET("/panic", func(*pleat.Context) error { panic("x") })
		addr := serve(t, app)
		for _, target := range []string{"/", "/panic", "/nope"} {
			get(t, addr, target, "X-Forwarded-For: 203.0.113.9\r\n")
			line := log.access(t)
			if line["remote"] != "203.0.113.9" {
				t.Errorf("%s: %v", target, line)
			}
		}
	})
}

func ExampleForwarded() {
	app := pleat.New(pleat.Config{})
	app.Use(middleware.Forwarded(server.TrustPolicy{
		Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Source:  server.SourceXForwardedFor,
		Scheme:  true,
	}))
	app.GET("/", func(c *pleat.Context) error { return c.Text(200, c.RemoteIP().String()+" "+c.Request().Scheme()) })

	for _, peer := range []string{"192.0.2.1:80", "203.0.113.9:80"} {
		q := httptest.NewRequest("GET", "/", nil)
		q.RemoteAddr = peer
		q.Header.Set("X-Forwarded-For", "198.51.100.7")
		q.Header.Set("X-Forwarded-Proto", "https")
		w := httptest.NewRecorder()
		app.ServeHTTP(w, q)
		fmt.Println(w.Body)
	}
	// Output:
	// 198.51.100.7 https
	// 203.0.113.9 http
}
