// SPDX-License-Identifier: MIT

package pleat_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// hostileApp has everything that reads what a client chooses: routes in many
// layers, files, forms, cookies, negotiation, forwarding fields.
func hostileApp(t *testing.T, source server.ForwardedSource) *pleat.App {
	t.Helper()
	app := pleat.New(pleat.Config{
		CookieSecrets: [][]byte{[]byte(strings.Repeat("0123456789abcdef", 2)), []byte(strings.Repeat("fedcba9876543210", 2))},
		Server: &server.HTTPServer{
			MaxHeader: 256 << 10, MaxHeaderFields: 4096, // worse than the defaults
			XHeaders: &server.TrustPolicy{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Source: source, Scheme: true, Host: true, AllowedHosts: []string{"h"}},
		},
	})
	for _, pattern := range []string{
		"/a/:b", "/a/b/:c", "/a/:b/:c", "/:a/:b/:c", "/:a/b/:c/:d", "/a/:b/c/:d/*e", "/:a/:b/:c/:d/*e", "/x/*rest", "/*all",
	} {
		app.GET(pattern, func(c *pleat.Context) error { return c.Text(200, "routed") })
	}
	app.Static("/static/", fstest.MapFS{"file": {Data: make([]byte, 1<<20), ModTime: time.Unix(1e9, 0)}}, pleat.Static{})
	app.POST("/form", func(c *pleat.Context) error {
		form, err := c.FormValues()
		if err != nil {
			return err
		}
		return c.Text(200, fmt.Sprint(len(form)))
	})
	app.POST("/json", func(c *pleat.Context) error {
		var v any
		if err := c.BindJSON(&v); err != nil {
			return err
		}
		return c.NoContent()
	})
	app.GET("/accept", func(c *pleat.Context) error {
		return c.Text(200, c.Accepts("text/html", "application/json; profile=x", "image/png"))
	})
	app.GET("/cookies", func(c *pleat.Context) error {
		var s string
		err := c.SecureCookie("s", &s)
		_, ok := c.Cookie("last")
		return c.Text(200, fmt.Sprint(err != nil, ok, len(c.Request().Cookies())))
	})
	app.GET("/origin", func(c *pleat.Context) error {
		r := c.Request()
		return c.Text(200, fmt.Sprint(c.RemoteIP(), r.Scheme(), r.Host(), r.IsSecure()))
	})
	app.GET("/query", func(c *pleat.Context) error { return c.Text(200, c.Query("z")) })
	return app
}

// TestHostileRequests has single requests that are as expensive as they can be made.
// Each is answered like any other: soon, and with memory in proportion to its size.
func TestHostileRequests(t *testing.T) {
	s := serve(t, hostileApp(t, server.SourceXForwardedFor))
	standard := serve(t, hostileApp(t, server.SourceForwarded))
	many := func(n int, s string) string { return strings.Repeat(s, n) }
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	get := func(target string, fields ...string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + strings.Join(fields, "") + "\r\n"
	}
	post := func(target, contentType, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", target, contentType, len(body), body)
	}
	const bound = "boundary=b"
	part := "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n"
	tests := []struct {
		name, request string
		status        int
	}{
		{"slashes", get(many(16_000, "/")), 301},
		{"dot segments", get(many(5000, "/..")), 301},
		{"escaped dots", get(many(2000, "/%2e%2E")), 301},
		{"dots and names", get(many(3000, "/a/..")), 301},
		{"escaped slashes", get("/" + many(5000, "%2F")), 200},
		{"escapes of escapes", get("/" + many(3000, "%2525")), 200},
		{"broken escapes", get("/" + many(8000, "%")), 400},
		{"escapes that need none", get("/" + many(5000, "%61")), 200},
		{"octets that need escapes", get("/" + many(16_000, "|")), 400},
		{"deep path", get(many(8000, "/a")), 200},
		{"deep path of another case", get(many(8000, "/A")), 200},
		{"nearly all layers", get("/a/b/c/d" + many(8000, "/")), 301},
		{"a method nobody has", strings.Replace(get(many(8000, "/a")), "GET", "BREW", 1), 501},
		{"OPTIONS", strings.Replace(get(many(8000, "/a")), "GET", "OPTIONS", 1), 204},
		{"query of many", get("/query?" + many(8000, "a&")), 200},
		{"query of escapes", get("/query?" + many(5000, "%25")), 200},
		{"query of semicolons", get("/query?" + many(16_000, ";")), 200},
		{"ranges", get("/static/file", "Range: bytes="+many(15_000, "0-0,")+"0-0\r\n"), 200},
		{"ranges that overlap", get("/static/file", "Range: bytes="+many(15_000, "0-,")+"0-\r\n"), 200},
		{"ranges from the end", get("/static/file", "Range: bytes="+many(15_000, "-1,")+"-1\r\n"), 200},
		{"ranges of spaces", get("/static/file", "Range: bytes="+many(60_000, " ")+"0-0\r\n"), 206},
		{"as many ranges as are served", get("/static/file", "Range: bytes="+many(31, "5-6,")+"5-6\r\n"), 206},
		{"entity tags", get("/static/file", "If-None-Match: "+many(10_000, `"a", `)+"\"b\"\r\n"), 200},
		{"weak entity tags", get("/static/file", "If-Match: "+many(8000, `W/"a", `)+"\"b\"\r\n"), 412},
		{"Accept", get("/accept", "Accept: "+numbered(8000, "a/b%d;q=0.5, ")+"image/png\r\n"), 200},
		{"Accept parameters", get("/accept", "Accept: application/json"+many(15_000, ";a=b")+"\r\n"), 200},
		{"Accept quotes", get("/accept", "Accept: a/b;c=\""+many(30_000, `\"`)+"\r\n"), 200},
		{"Accept commas", get("/accept", "Accept: "+many(60_000, ",")+"\r\n"), 200},
		{"Accept lines", get("/accept", many(4000, "Accept: text/html;level=1\r\n")), 200},
		{"a cookie", get("/cookies", "Cookie: s="+many(60_000, "x")+"\r\n"), 200},
		{"cookies", get("/cookies", "Cookie: "+numbered(6000, "a%d=b; ")+"last=1\r\n"), 200},
		{"signed cookies", get("/cookies", "Cookie: "+many(400, "s="+many(100, "x")+"; ")+"\r\n"), 200},
		{"cookie lines", get("/cookies", many(4000, "Cookie: s=b\r\n")), 200},
		{"no cookies", get("/cookies", "Cookie: "+many(60_000, ";")+"\r\n"), 200},
		{"X-Forwarded-For", get("/origin", "X-Forwarded-For: "+many(7000, "127.0.0.1,")+"127.0.0.1\r\n"), 200},
		{"X-Forwarded-For lines", get("/origin", many(4000, "X-Forwarded-For: 127.0.0.1\r\n")), 200},
		{"X-Forwarded-For commas", get("/origin", "X-Forwarded-For: "+many(60_000, ",")+"\r\n"), 200},
		{"Forwarded", get("/origin", "Forwarded: "+many(4000, "for=127.0.0.1,")+"for=127.0.0.1\r\n"), 200},
		{"Forwarded parameters", get("/origin", "Forwarded: "+numbered(6000, "a%d=b;")+"for=127.0.0.1\r\n"), 200},
		{"Forwarded quotes", get("/origin", "Forwarded: for=\""+many(30_000, `\"`)+"\r\n"), 200},
		{"X-Forwarded-Host", get("/origin", "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: "+many(60_000, "h")+"\r\n"), 200},
		{"X-Forwarded-Proto lines", get("/origin", "X-Forwarded-For: 127.0.0.1\r\n", many(4000, "X-Forwarded-Proto: https\r\n")), 200},
		{"fields with one name", get("/query?z=1", many(4000, "A: b\r\n")), 200},
		{"fields with many names", get("/query?z=1", numbered(4000, "A%d: b\r\n")), 200},
		{"connection options", get("/query?z=1", "Connection: "+many(60_000, "x,")+"\r\n"), 200},
		{"a form of a few fields", post("/form", "application/x-www-form-urlencoded", numbered(9000, "a%d=b&")), 200},
		{"a form of many fields", post("/form", "application/x-www-form-urlencoded", many(900_000, "a=b&")), 400},
		{"a form of nothing", post("/form", "application/x-www-form-urlencoded", many(9<<20, "&")), 400},
		{"a form of brackets", post("/form", "application/x-www-form-urlencoded", "a"+many(100_000, "[b]")+"=c"), 200},
		{"a form of escapes", post("/form", "application/x-www-form-urlencoded", "a="+many(3<<20, "%41")), 200},
		{"parts", post("/form", "multipart/form-data; "+bound, many(100_000, part)+"--b--\r\n"), 413},
		{"fields of a part", post("/form", "multipart/form-data; "+bound, "--b\r\nContent-Disposition: form-data; name=a\r\n"+numbered(200_000, "A%d: b\r\n")+"\r\nx\r\n--b--\r\n"), 413},
		{"a field of a part", post("/form", "multipart/form-data; "+bound, "--b\r\nContent-Disposition: form-data; name=a\r\nA: "+many(9<<20, "x")+"\r\n\r\nx\r\n--b--\r\n"), 200},
		{"nearly boundaries", post("/form", "multipart/form-data; "+bound, "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n"+many(1<<20, "\r\n--a")+"\r\n--b--\r\n"), 200},
		{"no boundary", post("/form", "multipart/form-data; "+bound, many(9<<20, "-")), 400},
		{"a long boundary", post("/form", "multipart/form-data; boundary="+many(60_000, "b"), many(9<<20, "b")), 400},
		{"media type parameters", post("/form", "multipart/form-data; "+numbered(8000, "a*%d*=b;")+bound, "--b--\r\n"), 200},
		{"deep JSON", post("/json", "application/json", many(5<<20, "[")), 400},
		{"deep JSON objects", post("/json", "application/json", many(2<<20, `{"a":`)), 400},
		{"a JSON number", post("/json", "application/json", "1"+many(5<<20, "0")), 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// The processor is shared: a square of these sizes would take many minutes.
			const soon, factor, some = time.Minute, 64, 8 << 20
			addr := s.addr
			if strings.Contains(tt.request, "\nForwarded:") {
				addr = standard.addr
			}
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(soon))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = io.WriteString(conn, tt.request) // refused before it was all sent, perhaps
			}()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, res.Body)
			if err != nil {
				t.Errorf("the body: %v", err)
			}
			runtime.ReadMemStats(&after)
			<-sent
			if res.StatusCode != tt.status {
				t.Errorf("status %d, want %d", res.StatusCode, tt.status)
			}
			if used := int64(after.TotalAlloc - before.TotalAlloc); used > int64(len(tt.request))*factor+some {
				t.Errorf("a request of %d octets took %d of memory", len(tt.request), used)
			}
			if most := int64(2 << 20); n > most {
				t.Errorf("the answer has %d octets", n)
			}
		})
	}
	if a := s.get("/query?z=1"); a.body != "1" {
		t.Errorf("afterwards: %d %q", a.StatusCode, a.body)
	}
}
