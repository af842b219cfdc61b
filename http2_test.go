// SPDX-License-Identifier: MIT

package pleat_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// An app is the same over HTTP/2: routes, middleware, Context, errors.
func TestAppOverHTTP2(t *testing.T) {
	app := pleat.New(pleat.Config{Server: &server.HTTPServer{HTTP2: server.HTTP2{Cleartext: true}, MaxRequest: 100}})
	app.Use(func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			c.SetHeader("X-Seen", c.Request().Protocol()+" "+c.Route().Pattern())
			return next(c)
		}
	})
	app.POST("/echo/:name", func(c *pleat.Context) error {
		b, err := c.Body()
		if err != nil {
			return err
		}
		return c.Text(200, c.Param("name")+": "+string(b))
	}, pleat.WrapMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			w.Header().Add("Vary", "X-Std")
			next.ServeHTTP(w, q)
		})
	}))
	app.GET("/abort", func(c *pleat.Context) error {
		_ = c.Text(200, "half")
		_ = c.Request().Flush()
		panic(http.ErrAbortHandler)
	})
	s := serve(t, app)
	transport := &http.Transport{Protocols: &http.Protocols{}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}

	res, err := client.Post("http://"+s.addr+"/echo/a%2Fb", "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != 200 || string(body) != "a/b: body" || res.Header.Get("X-Seen") != "HTTP/2.0 /echo/:name" || res.Header.Get("Vary") != "X-Std" {
		t.Errorf("answer %d %q %v, %v", res.StatusCode, body, res.Header, err)
	}
	res, err = client.Post("http://"+s.addr+"/echo/x", "text/plain", strings.NewReader(strings.Repeat("x", 101)))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 413 {
		t.Errorf("a body that is too large is answered %d", res.StatusCode)
	}
	res, err = client.Get("http://" + s.addr + "/abort")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("an aborted answer looks whole")
	}
}

// What a middleware of net/http around the app has set is there inside, and joins
// what the app sets.
func TestFieldsFromAroundTheApp(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/", func(c *pleat.Context) error {
		h := c.Request().ResponseHeaders()
		if h.Get("X-Outer") != "1" || len(h.Values("Set-Cookie")) != 1 {
			t.Errorf("the app sees %v", h)
		}
		_ = c.Request().AddHeader("Set-Cookie", "b=2")
		_ = c.Request().AddHeader("Vary", "Accept")
		c.Request().DelHeader("X-Gone")
		c.SetHeader("X-Outer", "2")
		return c.Text(200, "ok")
	})
	rec := httptest.NewRecorder()
	for name, value := range map[string]string{"Set-Cookie": "a=1", "Vary": "Origin", "X-Gone": "1", "X-Outer": "1", "Content-Type": "image/png", "Content-Length": "99"} {
		rec.Header().Set(name, value)
	}
	app.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	h := rec.Result().Header
	if got := strings.Join(h.Values("Set-Cookie"), "|"); got != "a=1|b=2" {
		t.Errorf("Set-Cookie %q", got)
	}
	if got := strings.Join(h.Values("Vary"), "|"); got != "Origin|Accept" {
		t.Errorf("Vary %q", got)
	}
	if h.Get("X-Gone") != "" || h.Get("X-Outer") != "2" || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") || h.Get("Content-Length") != "2" {
		t.Errorf("header %v", h)
	}
}
