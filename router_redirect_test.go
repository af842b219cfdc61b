// SPDX-License-Identifier: MIT

package pleat

import (
	"strings"
	"testing"
)

// describe writes a resolution as "301 /x/", "405 GET, HEAD, OPTIONS" or "GET /x".
func describe(r resolution) string {
	switch r.kind {
	case routeFound:
		s := r.route.String()
		return strings.Replace(s, r.route.Pattern(), outcome(r.route, r.params), 1)
	case redirected:
		return statusText(r.status, r.location)
	default:
		return statusText(r.status, r.allow)
	}
}

func statusText(status int, more string) string {
	text := map[int]string{
		204: "204", 301: "301", 308: "308", 400: "400", 404: "404", 405: "405", 501: "501",
	}[status]
	return strings.TrimSpace(text + " " + more)
}

func TestResolve(t *testing.T) {
	table := tableOf(t,
		"/", "/login", "POST /login", "/users/:id", "DELETE /users/:id", "PUT /users/:id/", "/dir/", "POST /dir",
		"/files/*path", "HEAD /head", "OPTIONS /options", "PROPFIND /dav/*path", "/users/:id/posts", "/a b/é/:x",
		"PUT /both", "PUT /both/", "HEAD /heads/:id", "/heads/*all", "CONNECT /tunnel/:id",
	)
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/", "GET /"},
		{"GET", "", "GET /"},
		{"GET", "/login", "GET /login"},
		{"POST", "/login", "POST /login"},
		{"HEAD", "/login", "GET /login"},
		{"HEAD", "/head", "HEAD /head"},
		{"HEAD", "/users/7", "GET /users/:id id=7"},
		{"HEAD", "/heads/7", "HEAD /heads/:id id=7"},
		{"HEAD", "/heads/7/8", "GET /heads/*all all=/7/8"},
		{"OPTIONS", "/options", "OPTIONS /options"},
		{"PROPFIND", "/dav/a/b", "PROPFIND /dav/*path path=/a/b"},

		// Spelling.
		{"GET", "/%6Cogin", "GET /login"},
		{"GET", "/users/%37", "GET /users/:id id=7"},
		{"GET", "/users/a%2fb", "GET /users/:id id=a/b"},
		{"GET", "/users/a%252fb", "GET /users/:id id=a%2fb"},
		{"GET", "/users/a+b%20c", "GET /users/:id id=a+b c"},
		{"GET", "/files/a%2Fb/c", "GET /files/*path path=/a/b/c"},
		{"GET", "/a%20b/%c3%a9/%C3%A9", "GET /a b/é/:x x=é"},
		{"GET", `/users/a\b`, `GET /users/:id id=a\b`},
		{"GET", "/users%2f7", "404"},
		{"GET", "/Login", "404"},
		{"GET", "/users/%00", "400"},
		{"GET", "/users/%", "400"},
		{"GET", "/users/\x01", "400"},
		{"GET", "/é", "400"},
		{"GET", "login", "400"},
		{"GET", "*", "400"},
		{"POST", "*", "400"},

		// Slash at the end.
		{"GET", "/login/", "301 /login"},
		{"HEAD", "/login/", "301 /login"},
		{"POST", "/login/", "308 /login"},
		{"GET", "/dir", "301 /dir/"},
		{"POST", "/dir/", "308 /dir"},
		{"GET", "/dir/", "GET /dir/"},
		{"GET", "/files", "301 /files/"},
		{"GET", "/users/7/", "301 /users/7"},
		{"PUT", "/users/7", "308 /users/7/"},
		{"GET", "/users/", "404"}, // there is no "/users"
		{"GET", "/users", "404"},  // and no user ""
		{"GET", "/%75sers/a%2Fb/", "301 /users/a%2Fb"},
		{"PUT", "/both", "PUT /both"},
		{"PUT", "/both/", "PUT /both/"},
		{"BREW", "/login/", "501"},
		{"CONNECT", "/tunnel/7", "CONNECT /tunnel/:id id=7"},
		{"CONNECT", "/tunnel/7/", "404"},

		// Clean path.
		{"GET", "//login", "301 /login"},
		{"POST", "/./login", "308 /login"},
		{"GET", "/x/../login", "301 /login"},
		{"GET", "/x/%2E%2e/login", "301 /login"},
		{"GET", "/x/../login/", "301 /login"},
		{"GET", "/users//7/posts/x", "404"},
		{"GET", "/users//posts", "301 /users/posts"}, // the user "posts"
		{"GET", "/users//7/posts", "301 /users/7/posts"},
		{"GET", "/files//a", "301 /files/a"},
		{"GET", "/files/../../etc/passwd", "404"},
		{"GET", "//", "301 /"},
		{"GET", "/nope/..", "301 /"},
		{"DELETE", "//login", "404"},
		{"OPTIONS", "//login", "404"},
		{"CONNECT", "/tunnel//7", "404"},

		// Other methods.
		{"DELETE", "/login", "405 GET, HEAD, OPTIONS, POST"},
		{"POST", "/users/7", "405 DELETE, GET, HEAD, OPTIONS"},
		{"GET", "/head", "405 HEAD, OPTIONS"},
		{"GET", "/dav/x", "405 OPTIONS, PROPFIND"},
		{"PROPFIND", "/login", "405 GET, HEAD, OPTIONS, POST"},
		{"TRACE", "/login", "405 GET, HEAD, OPTIONS, POST"},
		{"TRACE", "/nope", "404"},
		{"BREW", "/login", "501"},
		{"get", "/login", "501"},
		{"BREW", "/nope", "501"},
		{"", "/login", "501"},
		{"OPTIONS", "/login", "204 GET, HEAD, OPTIONS, POST"},
		{"OPTIONS", "/users/7", "204 DELETE, GET, HEAD, OPTIONS"},
		{"OPTIONS", "/nope", "404"},
		{"OPTIONS", "*", "204 CONNECT, DELETE, GET, HEAD, OPTIONS, POST, PROPFIND, PUT"},
		{"CONNECT", "", "501"},
		{"CONNECT", "example.org:443", "501"},
		{"CONNECT", "/login", "405 GET, HEAD, OPTIONS, POST"},
	} {
		if got := describe(table.resolve(tt.method, tt.path, "")); got != tt.want {
			t.Errorf("resolve(%s %q) = %q, want %q", tt.method, tt.path, got, tt.want)
		}
	}
}

func TestResolveEmpty(t *testing.T) {
	table := tableOf(t)
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/", "404"},
		{"GET", "//", "404"},
		{"OPTIONS", "/", "404"},
		{"OPTIONS", "*", "204 OPTIONS"},
		{"BREW", "/", "501"},
	} {
		if got := describe(table.resolve(tt.method, tt.path, "")); got != tt.want {
			t.Errorf("resolve(%s %q) = %q, want %q", tt.method, tt.path, got, tt.want)
		}
	}
}

func TestResolveOptions(t *testing.T) {
	var r Router
	r.GET("/x", nothing)
	for _, tt := range []struct {
		options    routeOptions
		path, want string
	}{
		{routeOptions{}, "/x/", "301 /x"},
		{routeOptions{}, "//x/", "301 /x"},
		{routeOptions{noSlashRedirect: true}, "/x/", "404"},
		{routeOptions{noSlashRedirect: true}, "//x/", "404"},
		{routeOptions{noSlashRedirect: true}, "//x", "301 /x"},
		{routeOptions{noCleanRedirect: true}, "/x/", "301 /x"},
		{routeOptions{noCleanRedirect: true}, "//x", "404"},
	} {
		table, err := r.build(tt.options)
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(table.resolve("GET", tt.path, "")); got != tt.want {
			t.Errorf("%+v: resolve(%q) = %q, want %q", tt.options, tt.path, got, tt.want)
		}
	}
}

func TestRedirectQuery(t *testing.T) {
	table := tableOf(t, "/x")
	for _, tt := range []struct{ query, want string }{
		{"", "301 /x"},
		{"a=1&b=%2F+%zz;?/\\//", `301 /x?a=1&b=%2F+%zz;?/\//`},
		{"a=é", "301 /x?a=%C3%A9"},
		{"a=\xff", "301 /x?a=%FF"},
		{"a=\r\nSet-Cookie:x=1", "400"},
		{"a=\x00", "400"},
		{"a=1 2", "400"},
		{"a=1#f", "400"},
		{"\x7f", "400"},
	} {
		if got := describe(table.resolve("GET", "/x/", tt.query)); got != tt.want {
			t.Errorf("query %q: %q, want %q", tt.query, got, tt.want)
		}
	}
}

// Each of these leaves the host in some router or browser if it is echoed carelessly.
var hostilePaths = []string{
	"//evil.com/", "///evil.com/", `/\evil.com/`, "/%5Cevil.com/", "/%2F%2Fevil.com/", "/%0d%0aX:y/", "/..//evil.com/",
	"/%09/evil.com/", "//evil.com", "//evil.com/..", "//evil.com/%2e%2e/", "/.//evil.com/", `\\evil.com/`, `//\evil.com/`,
	`/\/evil.com/`, "/%2e%2e//evil.com/", "/x/..//evil.com/", "//evil.com%2F..", "//%2Fevil.com/", "/%5c/evil.com/",
	"http://evil.com/", "javascript:alert(1)//", "//user@evil.com:80/", "/;//evil.com/", "/%20//evil.com/", "//evil.com/a/b/",
}

func TestRedirectsStayOnTheHost(t *testing.T) {
	for _, routes := range [][]string{
		{"/:a"},
		{"/:a/"},
		{"/:a/:b"},
		{"/:a/:b/"},
		{"/:a/:b/:c"},
		{"/*all"},
		{"/", "/:a/*rest"},
		{"* /:a", "* /:a/:b/"},
	} {
		table := tableOf(t, routes...)
		for _, path := range hostilePaths {
			checkResolution(t, table, path)
		}
	}

	table := tableOf(t, "/:a/:b", "/:a")
	for path, want := range map[string]string{
		"//evil.com/":        "301 /evil.com",
		"///evil.com/":       "301 /evil.com",
		`/\evil.com/`:        "301 /%5Cevil.com",
		"/%5Cevil.com/":      "301 /%5Cevil.com",
		"/%2F%2Fevil.com/":   "301 /%2F%2Fevil.com",
		"/%0d%0aX:y/":        "301 /%0D%0AX:y",
		"/..//evil.com/":     "301 /evil.com",
		"/%09/evil.com/":     "301 /%09/evil.com",
		"http://evil.com/":   "400",
		`\\evil.com/`:        "400",
		"//evil.com/a/b/c/d": "404",
	} {
		if got := describe(table.resolve("GET", path, "")); got != want {
			t.Errorf("resolve(%q) = %q, want %q", path, got, want)
		}
	}
}
