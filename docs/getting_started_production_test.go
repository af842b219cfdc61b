// SPDX-License-Identifier: MIT

package docs_test

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

//go:embed testdata/templates
var templates embed.FS

func TestTemplates(t *testing.T) {
	app := pleat.New(pleat.Config{
		Templates: &render.Templates{FS: templates, Root: "testdata/templates", Layout: "layouts/base"},
	})
	app.GET("/products", func(c *pleat.Context) error {
		return c.Render(200, "products/list", []product{{1, "tea & milk", 250}})
	})
	w := ask(app, "GET", "/products", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "<title>Products</title>") || !strings.Contains(w.Body.String(), "<li>tea &amp; milk</li>") {
		t.Error(w.Code, w.Body)
	}
}

func TestStatic(t *testing.T) {
	files := fstest.MapFS{"index.html": {Data: []byte("index")}, "notes.bak": {Data: []byte("no")}, ".env": {Data: []byte("no")}}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/a.txt", []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	app := pleat.New(pleat.Config{})

	app.Static("/assets", files, pleat.Static{MaxAge: time.Hour, Deny: []string{"*.bak"}})
	app.StaticDir("/downloads", dir, pleat.Static{})

	want(t, app, "GET", "/assets/", 200, "index")
	want(t, app, "GET", "/assets/notes.bak", 404, "*")
	want(t, app, "GET", "/assets/.env", 404, "*")
	want(t, app, "GET", "/downloads/a.txt", 200, "a")
	want(t, app, "GET", "/downloads/..%2Fa.txt", 404, "*")
	want(t, app, "GET", "/downloads/a.txt", 206, "a", "Range", "bytes=0-0")
}

func newApp() *pleat.App {
	app := pleat.New(pleat.Config{})
	app.GET("/hello/:name", func(c *pleat.Context) error {
		return c.Text(200, "Hello, "+c.Param("name")+"!\n")
	})
	return app
}

func TestHello(t *testing.T) {
	w := httptest.NewRecorder()
	newApp().ServeHTTP(w, httptest.NewRequest("GET", "/hello/ann", nil))
	if w.Code != 200 || w.Body.String() != "Hello, ann!\n" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
}

func TestHelloOverTheWire(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- newApp().RunListener(ctx, l) }()
	defer func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	var c client.HTTPClient
	text, err := c.Get("http://" + l.Addr().String() + "/hello/ann").Text()
	if text != "Hello, ann!\n" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestProduction(t *testing.T) {
	secretFile := t.TempDir() + "/cookie-secret"
	if err := os.WriteFile(secretFile, bytes.Repeat([]byte("s"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	app, err := productionApp(secretFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
}

func productionApp(secretFile string) (*pleat.App, error) {
	secret, err := os.ReadFile(secretFile) // head -c 32 /dev/urandom > cookie-secret
	if err != nil {
		return nil, err
	}
	proxies, err := server.ParsePrefixes("10.0.3.0/28")
	if err != nil {
		return nil, err
	}
	logger := zerolog.New(os.Stderr).With().Timestamp().Logger()
	return pleat.New(pleat.Config{
		Name:          "shop",
		Logger:        &logger,
		CookieSecrets: [][]byte{secret},
		Server: &server.HTTPServer{
			MaxRequest:    1 << 20,
			MaxConnsPerIP: -1, // all connections come from the proxy
			XHeaders: &server.TrustPolicy{
				Trusted: proxies,
				Source:  server.SourceXForwardedFor,
				Scheme:  true,
			},
		},
		ShutdownTimeout: 30 * time.Second,
	}), nil
}

func TestStandardLibrary(t *testing.T) {
	legacy := http.NewServeMux()
	legacy.HandleFunc("/report", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "report") })
	app := newApp()

	app.MountHTTP("/legacy", legacy)
	app.GET("/metrics", pleat.WrapHTTP(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		fmt.Fprintln(w, "up 1")
	})))
	app.Use(pleat.WrapMiddleware(func(next http.Handler) http.Handler {
		return http.MaxBytesHandler(next, 1<<20)
	}))

	srv := &http.Server{Handler: app, ReadHeaderTimeout: 10 * time.Second}

	want(t, srv.Handler, "GET", "/legacy/report", 200, "report")
	want(t, srv.Handler, "GET", "/metrics", 200, "up 1\n")
	over := httptest.NewUnstartedServer(nil)
	over.Config, over.EnableHTTP2 = srv, true
	over.StartTLS()
	defer over.Close()
	resp, err := over.Client().Get(over.URL + "/hello/ann")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); resp.ProtoMajor != 2 || string(text) != "Hello, ann!\n" || err != nil {
		t.Errorf("%s %q %v", resp.Proto, text, err)
	}
}
