// SPDX-License-Identifier: MIT

package docs_test

import (
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/server"
)

// The code of from-pants.md, run.

// viaServer has a handler of package server answer as a handler of net/http.
func viaServer(h server.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r, finish := server.FromHTTP(w, httptest.NewRequest(method, target, nil))
	defer finish(false)
	h.ServeRequest(r)
	finish(true)
	return w
}

func TestPantsServer(t *testing.T) {
	srv := &server.HTTPServer{
		Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			_ = r.SendString(200, "text/plain; charset=utf-8", "Hello World!")
		}),
	}
	if w := viaServer(srv.Handler, "GET", "/"); w.Body.String() != "Hello World!" {
		t.Error(w.Code, w.Body)
	}
}

func TestPantsHosts(t *testing.T) {
	app := pleat.New(pleat.Config{})
	home, api := note("site"), note("api")

	app.GET("/", home)
	app.Host("api.example.com").GET("/", api)

	want(t, app, "GET", "http://api.example.com/", 200, "api")
	want(t, app, "GET", "http://example.com/", 200, "site")
}

var validSlug = regexp.MustCompile(`^[a-z-]{1,40}$`)

// slug does what a Converter does: it decodes a param, or says that it is none.
func slug(s string) (string, error) {
	if !validSlug.MatchString(s) {
		return "", pleat.NewError(404, "")
	}
	return s, nil
}

func TestPantsConverters(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/posts/:slug", func(c *pleat.Context) error {
		name, err := pleat.Param(c, "slug", slug)
		if err != nil {
			return err
		}
		return c.Text(200, name)
	}).Name("post")
	want(t, app, "GET", "/posts/a-b", 200, "a-b")
	want(t, app, "GET", "/posts/A", 404, "*")

	link, err := app.URL("post", "a-b", url.Values{"page": {"2"}})
	if link != "/posts/a-b?page=2" || err != nil {
		t.Error(link, err)
	}
}

func TestPantsHooks(t *testing.T) {
	var seen strings.Builder
	app := pleat.New(pleat.Config{})
	begin := func(*pleat.Context) { seen.WriteString("started ") }
	done := func(c *pleat.Context) { seen.WriteString("finished ") }
	clean := func(c *pleat.Context) { seen.WriteString("teardown") }

	app.Use(func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			begin(c)          // request_started
			c.OnFinish(clean) // request_teardown: whatever happens, errors and panics included
			err := next(c)
			done(c) // request_finished, with the error and c.ResponseStatus() at hand
			return err
		}
	})

	want(t, app, "GET", "/none", 404, "*")
	if seen.String() != "started finished teardown" {
		t.Error(seen.String())
	}
}

func TestPantsFileServer(t *testing.T) {
	dir := "testdata/templates"

	app := pleat.New(pleat.Config{})
	app.StaticDir("/", dir, pleat.Static{Index: []string{"index.html", "index.htm"}, Deny: []string{"*.py"}})
	want(t, app, "GET", "/layouts/base.html", 200, "*")
	want(t, app, "GET", "/layouts/none.py", 404, "*")
}

func TestPantsSession(t *testing.T) {
	upstream := pleat.New(pleat.Config{})
	upstream.GET("/v1/me", func(c *pleat.Context) error { return c.Text(200, c.Header("Authorization")) })
	base, stop := serve(t, upstream)
	defer stop()
	token := "t0ken"

	session := &client.HTTPClient{
		BaseURL:      base + "/v1",
		Credentials:  []client.Credentials{{Token: token}}, // for BaseURL's origin, on each hop
		Jar:          client.NewJar(),
		MaxRedirects: 10,
	}
	text, err := session.Get("me").Text()

	if text != "Bearer t0ken" || err != nil {
		t.Error(text, err)
	}
	session.CloseIdleConnections()
}
