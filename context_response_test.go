// SPDX-License-Identifier: MIT

package pleat_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

func TestAnswers(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a b.txt")
	if err := os.WriteFile(file, []byte("file content"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("long ", 20_000)
	templates := &render.Templates{FS: fstest.MapFS{"page.html": {Data: []byte("<p>{{.}}</p>")}}}
	for _, test := range []struct {
		name        string
		h           pleat.Handler
		status      int
		contentType string
		body        string
	}{
		{"Text", text("héllo"), 200, "text/plain; charset=utf-8", "héllo"},
		{"Text, empty", text(""), 200, "text/plain; charset=utf-8", ""},
		{"Text, long", text(long), 200, "text/plain; charset=utf-8", long},
		{"JSON", func(c *pleat.Context) error { return c.JSON(201, map[string]string{"a": "<b>"}) }, 201, "application/json", `{"a":"\u003cb\u003e"}`},
		{"JSON, long", func(c *pleat.Context) error { return c.JSON(200, long) }, 200, "application/json", strconv.Quote(long)},
		{"XML", func(c *pleat.Context) error { return c.XML(200, person{Name: "a"}) }, 200, "application/xml; charset=utf-8", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<person><name>a</name><age>0</age></person>"},
		{"HTML", func(c *pleat.Context) error { return c.HTML(200, "<b>") }, 200, "text/html; charset=utf-8", "<b>"},
		{"Blob", func(c *pleat.Context) error { return c.Blob(200, "image/png", []byte{1, 2}) }, 200, "image/png", "\x01\x02"},
		{"Blob without type", func(c *pleat.Context) error { return c.Blob(200, "", []byte("x")) }, 200, "", "x"},
		{"Render", func(c *pleat.Context) error { return c.Render(200, "page", "<x>") }, 200, "text/html; charset=utf-8", "<p>&lt;x&gt;</p>"},
		{"Stream", func(c *pleat.Context) error { return c.Stream(200, "text/csv", strings.NewReader("a,b")) }, 200, "text/csv", "a,b"},
		{"Stream, long", func(c *pleat.Context) error { return c.Stream(200, "text/csv", strings.NewReader(long)) }, 200, "text/csv", long},
		{"Stream of a file", func(c *pleat.Context) error {
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer f.Close()
			return c.Stream(200, "", f)
		}, 200, "", "file content"},
		{"File", func(c *pleat.Context) error { return c.File(file) }, 200, "text/plain; charset=utf-8", "file content"},
		{"NoContent", func(c *pleat.Context) error { return c.NoContent() }, 204, "", ""},
		{"Status", func(c *pleat.Context) error { return c.Status(202) }, 202, "", ""},
		{"nothing at all", func(*pleat.Context) error { return nil }, 200, "", ""},
		{"Write", func(c *pleat.Context) error { _, err := c.Write([]byte("x")); return err }, 200, "", "x"},
		{"no such file", func(c *pleat.Context) error { return c.File(file + "x") }, 404, "text/plain; charset=utf-8", "404 Not Found\n"},
		{"a directory", func(c *pleat.Context) error { return c.File(dir) }, 404, "text/plain; charset=utf-8", "404 Not Found\n"},
		{"twice", func(c *pleat.Context) error {
			return errors.Join(c.JSON(500, "first"), c.Text(200, "second"))
		}, 200, "text/plain; charset=utf-8", "second"},
		{"written, then answered", func(c *pleat.Context) error {
			_, _ = c.WriteString("first")
			return c.Text(200, "second")
		}, 200, "text/plain; charset=utf-8", "second"},
		{"Stream keeps what was set", func(c *pleat.Context) error {
			_ = c.SetHeader("Content-Disposition", "attachment")
			_ = c.SetHeader("Content-Type", "text/x")
			_ = c.SetHeader("Content-Length", "3")
			_, _ = c.WriteString("dropped")
			err := c.Stream(200, "", strings.NewReader("a,b"))
			if c.Request().ResponseHeader("Content-Disposition") == "" {
				err = errBroken
			}
			return err
		}, 200, "text/x", "a,b"},
	} {
		everywhere(t, func(*testing.T) *pleat.App {
			app := pleat.New(pleat.Config{Templates: templates})
			app.GET("/", test.h)
			return app
		}, func(t *testing.T, s *site) {
			a := s.get("/")
			if a.StatusCode != test.status || a.body != test.body || a.Header.Get("Content-Type") != test.contentType {
				t.Errorf("%s: %d %q %.200q, want %d %q %.200q", test.name, a.StatusCode, a.Header.Get("Content-Type"), a.body, test.status, test.contentType, test.body)
			}
			streamed := strings.HasPrefix(test.name, "Stream, long")
			if want := int64(len(test.body)); a.StatusCode != 204 && a.ContentLength != want && !streamed {
				t.Errorf("%s: Content-Length %d, want %d", test.name, a.ContentLength, want)
			}
		})
	}
}

func TestAnsweringAfterTheCommit(t *testing.T) {
	app := pleat.New(pleat.Config{})
	errs := make(chan error, 1)
	app.GET("/", func(c *pleat.Context) error {
		_, _ = c.WriteString("first")
		_ = c.Flush()
		errs <- c.Text(200, "second")
		return nil
	})
	if a := serve(t, app).get("/"); a.body != "first" {
		t.Errorf("answer = %q", a.body)
	}
	if err := <-errs; !errors.Is(err, server.ErrCommitted) {
		t.Errorf("the second answer gives %v", err)
	}
}

func TestAttachment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.pdf")
	if err := os.WriteFile(file, []byte("%PDF-"), 0o600); err != nil {
		t.Fatal(err)
	}
	app := pleat.New(pleat.Config{})
	app.GET("/", func(c *pleat.Context) error { return c.Attachment(file, c.Query("name")) })
	s := serve(t, app)
	for query, want := range map[string]string{
		"":                            `attachment; filename="report.pdf"`,
		"?name=r.pdf":                 `attachment; filename="r.pdf"`,
		"?name=%D1%8F%22%0D%0AX:+y/z": `attachment; filename="____X: y_z"; filename*=UTF-8''%D1%8F%22%0D%0AX%3A%20y%2Fz`,
	} {
		a := s.get("/" + query)
		if got := a.Header.Get("Content-Disposition"); got != want || a.Header.Get("X") != "" || a.body != "%PDF-" {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}

func TestRangesAndConditions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.txt")
	if err := os.WriteFile(file, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		app.GET("/", func(c *pleat.Context) error { return c.File(file) })
		return app
	}, func(t *testing.T, s *site) {
		whole := s.get("/")
		tag, modified := whole.Header.Get("ETag"), whole.Header.Get("Last-Modified")
		for _, test := range []struct {
			field, value string
			status       int
			body         string
		}{
			{"If-None-Match", tag, 304, ""},
			{"If-None-Match", `"other", ` + tag, 304, ""},
			{"If-None-Match", `"other"`, 200, "0123456789"},
			{"If-Modified-Since", modified, 304, ""},
			{"If-Match", `"other"`, 412, ""},
			{"Range", "bytes=2-4", 206, "234"},
			{"Range", "bytes=-2", 206, "89"},
			{"Range", "bytes=20-", 416, "invalid range: failed to overlap\n"},
		} {
			if a := s.get("/", test.field, test.value); a.StatusCode != test.status || a.body != test.body {
				t.Errorf("%s: %s = %d %q, want %d %q", test.field, test.value, a.StatusCode, a.body, test.status, test.body)
			}
		}
	})
}

func TestRedirect(t *testing.T) {
	log := &logBook{}
	app := pleat.New(pleat.Config{Logger: log.logger()})
	app.GET("/", func(c *pleat.Context) error {
		err := c.Redirect(303, c.Query("to"))
		if e := new(pleat.HTTPError); err != nil && !errors.As(err, &e) {
			t.Errorf("%q: no HTTPError: %v", c.Query("to"), err)
		}
		return err
	})
	app.GET("/external", func(c *pleat.Context) error { return c.RedirectExternal(302, c.Query("to")) })
	app.GET("/status/:code", func(c *pleat.Context) error {
		code, err := c.ParamInt("code")
		return errors.Join(err, c.Redirect(int(code), "/x"))
	})
	s := serve(t, app)
	for _, test := range []struct {
		target, to string
		want       string // "" = refused
	}{
		{"/", "/", "/"},
		{"/", "/a/b?c=d&e=/#f", "/a/b?c=d&e=/#f"},
		{"/", "/%5Cevil.example", "/%5Cevil.example"},
		{"/", "/a//b", "/a//b"},
		{"/", "", ""},
		{"/", "a", ""},
		{"/", "?x", ""},
		{"/", "//evil.example", ""},
		{"/", "///evil.example", ""},
		{"/", `/\evil.example`, ""},
		{"/", `\\evil.example`, ""},
		{"/", "/\t/evil.example", ""},
		{"/", "\t//evil.example", ""},
		{"/", " //evil.example", ""},
		{"/", "/\n/evil.example", ""},
		{"/", "/a\r\nX: y", ""},
		{"/", "/a\x00", ""},
		{"/", "/a\x7f", ""},
		{"/", `/a\b`, ""},
		{"/", "/é", "/%C3%A9"},
		{"/", "/a b?q=ä&r=100%#ü", "/a%20b?q=%C3%A4&r=100%#%C3%BC"},
		{"/", "/\xff", "/%FF"},
		{"/", "/ /evil.example ", "/%20/evil.example%20"},
		{"/", "http://evil.example", ""},
		{"/", "https:evil.example", ""},
		{"/", "javascript:alert(1)", ""},
		{"/external", "https://a.example/x?y#z", "https://a.example/x?y#z"},
		{"/external", "HTTPS://a.example/é", "https://a.example/%C3%A9"},
		{"/external", "//a.example/", ""},
		{"/external", "/x", ""},
		{"/external", "https:///x", ""},
		{"/external", "https:a.example", ""},
		{"/external", "javascript:alert(1)//x.example", ""},
		{"/external", "data:text/html,x", ""},
		{"/external", "ftp://a.example/", ""},
		{"/external", "https://a.example/\r\nX: y", ""},
		{"/external", `https://a.example\.evil.example/`, ""},
		{"/external", "%", ""},
	} {
		a := s.get(test.target + "?to=" + urlQuery(test.to))
		status := 303
		if test.target == "/external" {
			status = 302
		}
		if test.want == "" && test.target == "/" {
			status = 400 // what is wrong came with the request
		} else if test.want == "" {
			status = 500
		}
		if a.StatusCode != status || a.Header.Get("Location") != test.want || a.Header.Get("X") != "" {
			t.Errorf("%s %q: %d Location %q, want %q", test.target, test.to, a.StatusCode, a.Header.Get("Location"), test.want)
		}
		if test.want != "" && a.body != "" {
			t.Errorf("%s %q: body %q", test.target, test.to, a.body)
		}
	}
	lacks(t, log.String(), "not a path on this host")
	for _, code := range []int{200, 300, 301, 302, 303, 304, 305, 307, 308, 400} {
		want := 500
		switch code {
		case 301, 302, 303, 307, 308:
			want = code
		}
		if a := s.get(fmt.Sprint("/status/", code)); a.StatusCode != want {
			t.Errorf("Redirect with %d = %d", code, a.StatusCode)
		}
	}
}

func TestNegotiate(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/", func(c *pleat.Context) error { return c.Negotiate(200, person{Name: "<a>"}) })
	s := serve(t, app)
	for accept, want := range map[string]string{
		"*/*":                                "application/json",
		"application/json":                   "application/json",
		"text/xml;q=0.1,application/xml;q=1": "application/xml; charset=utf-8",
		"text/plain":                         "text/plain; charset=utf-8",
		browser:                              "application/xml; charset=utf-8", // never HTML
		"text/html":                          "",
		"image/*":                            "",
	} {
		a := s.get("/", "Accept", accept)
		switch {
		case want == "" && a.StatusCode != 406, want != "" && (a.StatusCode != 200 || a.Header.Get("Content-Type") != want):
			t.Errorf("Accept %s: %d %s", accept, a.StatusCode, a.Header.Get("Content-Type"))
		case len(a.Header.Values("Vary")) != 1:
			t.Errorf("Accept %s: Vary %q", accept, a.Header.Values("Vary"))
		}
	}
}

func TestAccepts(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/", func(c *pleat.Context) error {
		_ = c.AddHeader("Vary", "Origin")
		first := c.Accepts("text/a", "text/b")
		return c.Text(200, first+" "+c.WithContext(c).Accepts("text/b", "text/a")+" "+c.Accepts())
	})
	s := serve(t, app)
	for _, test := range []struct {
		accept []string
		want   string
	}{
		{nil, "text/a text/b "},
		{[]string{"Accept", "text/b"}, "text/b text/b "},
		{[]string{"Accept", "text/b;q=0.1", "Accept", "text/a;q=0.2"}, "text/a text/a "}, // all field lines
		{[]string{"Accept", "image/png"}, "  "},
	} {
		a := s.get("/", test.accept...)
		if vary := strings.Join(a.Header.Values("Vary"), "|"); a.body != test.want || vary != "Origin|Accept" {
			t.Errorf("%q: %q, Vary %s; want %q", test.accept, a.body, vary, test.want)
		}
	}
}

// What is written and flushed arrives before the handler is done.
func TestFlush(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		next := make(chan struct{}, 1)
		app.GET("/", func(c *pleat.Context) error {
			for i := range 3 {
				if _, err := fmt.Fprintf(c, "part %d\n", i); err != nil {
					return err
				}
				if err := c.Flush(); err != nil {
					return err
				}
				select {
				case <-next:
				case <-c.Done():
					return c.Err()
				}
			}
			return nil
		})
		app.POST("/next", func(*pleat.Context) error { next <- struct{}{}; return nil })
		return app
	}, func(t *testing.T, s *site) {
		q, _ := http.NewRequestWithContext(t.Context(), "GET", s.url+"/", nil)
		r, err := s.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		for i := range 3 {
			line := make([]byte, len("part 0\n"))
			if _, err := io.ReadFull(r.Body, line); err != nil || string(line) != fmt.Sprintf("part %d\n", i) {
				t.Fatalf("%q, %v", line, err)
			}
			s.do("POST", "/next")
		}
		if rest, err := io.ReadAll(r.Body); len(rest) != 0 || err != nil {
			t.Errorf("the rest is %q, %v", rest, err)
		}
	})
}
