// SPDX-License-Identifier: MIT

package docs_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

// The code of getting-started.md, run. A fragment of the guide is a piece of this
// file, word for word.

// ask sends a request to an app and returns the answer.
func ask(app http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		q.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	app.ServeHTTP(w, q)
	return w
}

// want asks and compares status and body.
func want(t *testing.T, app http.Handler, method, target string, status int, body string, header ...string) {
	t.Helper()
	w := ask(app, method, target, "", header...)
	if w.Code != status || body != "*" && w.Body.String() != body {
		t.Errorf("%s %s = %d %q, want %d %q", method, target, w.Code, w.Body, status, body)
	}
}

// note answers with what led to it.
func note(text string) pleat.Handler {
	return func(c *pleat.Context) error {
		return c.Text(200, text)
	}
}

func TestRoutes(t *testing.T) {
	app := pleat.New(pleat.Config{})
	newUser, listPosts, listFiles, getUser := note("new"), note("posts"), note("files"), note("user")

	app.GET("/users/new", newUser)
	app.GET("/users/:id", getUser)
	app.GET("/users/:id/posts", listPosts)
	app.GET("/files/*path", listFiles)

	app.GET("/invoices/:number", func(c *pleat.Context) error {
		number, err := c.ParamInt("number") // not a number: 404
		if err != nil {
			return err
		}
		page, err := pleat.QueryAs(c, "page", 1, positive) // not what positive takes: 400
		if err != nil {
			return err
		}
		return c.Text(200, fmt.Sprintf("invoice %d, page %d", number, page))
	})

	want(t, app, "GET", "/users/new", 200, "new")
	want(t, app, "GET", "/users/7", 200, "user")
	want(t, app, "GET", "/users/7/posts", 200, "posts")
	want(t, app, "GET", "/files/a/b", 200, "files")
	want(t, app, "GET", "/files/", 200, "files")
	want(t, app, "GET", "/users/7/", 301, "")
	want(t, app, "POST", "/users/7/", 404, "*")
	want(t, app, "GET", "//users/./7", 301, "")
	want(t, app, "HEAD", "/users/7", 200, "")
	want(t, app, "OPTIONS", "/users/7", 204, "")
	want(t, app, "POST", "/users/7", 405, "*")
	want(t, app, "BREW", "/users/7", 501, "*")
	want(t, app, "GET", "/none", 404, "*")
	want(t, app, "GET", "/invoices/12?page=3", 200, "invoice 12, page 3")
	want(t, app, "GET", "/invoices/12", 200, "invoice 12, page 1")
	want(t, app, "GET", "/invoices/x", 404, "*")
	want(t, app, "GET", "/invoices/12?page=x", 400, "*")
	want(t, app, "GET", "/invoices/12?page=0", 400, "*")
}

func positive(s string) (int, error) {
	var n int
	if _, err := fmt.Sscan(s, &n); err != nil {
		return 0, err
	}
	if n < 1 {
		return 0, errors.New("not positive")
	}
	return n, nil
}

func TestGroups(t *testing.T) {
	app := pleat.New(pleat.Config{})
	list, show, stats := note("list"), note("show"), note("stats")
	onlyStaff := func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			if c.Header("X-Staff") == "" {
				return pleat.NewError(403, "")
			}
			return next(c)
		}
	}

	api := app.Group("/api").Name("api")
	api.GET("/users", list).Name("users")
	api.GET("/users/:id", show).Name("user")

	admin := api.Group("/admin", onlyStaff)
	admin.GET("/stats", stats)

	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	link, err := app.URL("api.user", 7, url.Values{"tab": {"posts"}}) // /api/users/7?tab=posts
	if link != "/api/users/7?tab=posts" || err != nil {
		t.Error(link, err)
	}
	want(t, app, "GET", "/api/users", 200, "list")
	want(t, app, "GET", "/api/admin/stats", 403, "*")
	want(t, app, "GET", "/api/admin/stats", 200, "stats", "X-Staff", "yes")
	want(t, app, "GET", "/api/admin/none", 404, "*")

	if text := app.Explain("GET", "/api/admin/stats"); !strings.HasPrefix(text, "GET /api/admin/stats → GET /api/admin/stats") {
		t.Error(text)
	}
}

// A group that no app has yet.
func blog() *pleat.Group {
	g := pleat.NewGroup("")
	g.GET("/", note("index"))
	g.GET("/:slug", note("post"))
	return g
}

func TestMount(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.Mount("/blog", blog())
	app.Mount("/news", blog())
	want(t, app, "GET", "/blog/", 200, "index")
	want(t, app, "GET", "/news/today", 200, "post")
}

// A middleware, and a value it leaves for handlers.
var userKey = pleat.NewKey[string]("user")

func signedIn(next pleat.Handler) pleat.Handler {
	return func(c *pleat.Context) error {
		var name string
		if err := c.SecureCookie("user", &name); err != nil {
			return pleat.NewError(401, "sign in first").WithCause(err)
		}
		userKey.Set(c, name)
		return next(c)
	}
}

func deadline(d time.Duration) pleat.Middleware {
	if d <= 0 {
		panic(fmt.Errorf("deadline: %v is not positive", d)) // while the app is put together
	}
	return func(next pleat.Handler) pleat.Handler {
		return func(c *pleat.Context) error {
			ctx, cancel := context.WithTimeout(c, d)
			defer cancel()
			return next(c.WithContext(ctx))
		}
	}
}

func TestMiddleware(t *testing.T) {
	app := pleat.New(pleat.Config{Development: true})
	app.GET("/me", func(c *pleat.Context) error {
		name, _ := userKey.Get(c)
		return c.Text(200, name)
	}, signedIn)
	app.GET("/slow", func(c *pleat.Context) error {
		<-c.Done()
		return c.Err()
	}, deadline(time.Millisecond))
	want(t, app, "GET", "/me", 401, "*")
	want(t, app, "GET", "/slow", 503, "*")
}

func TestMiddlewarePackage(t *testing.T) {
	proxies, err := server.ParsePrefixes("192.0.2.1") // where httptest says it comes from
	if err != nil {
		t.Fatal(err)
	}
	secret := bytes.Repeat([]byte("s"), 32)
	out := middleware.NewLogWriter(io.Discard, middleware.LogWriterConfig{})
	defer out.Close()
	log := zerolog.New(out)
	app := pleat.New(pleat.Config{Logger: &log})

	notHealth := func(c *pleat.Context) bool { return c.Path() != "/healthz" }
	app.Use(
		middleware.When(notHealth, middleware.Logger(middleware.LoggerConfig{})),
		middleware.RequestID(middleware.RequestIDConfig{TrustedPeers: proxies}),
		middleware.Forwarded(server.TrustPolicy{Trusted: proxies, Source: server.SourceXForwardedFor}),
		middleware.Recover(),
	)
	admin := app.Group("/admin", middleware.SignedCookies(middleware.SignedCookiesConfig{
		Secrets: [][]byte{secret},
		Purpose: "admin",
	}))

	admin.GET("/", func(c *pleat.Context) error {
		if err := c.SetSecureCookie("a", "b"); err != nil {
			return err
		}
		return c.Text(200, c.RemoteIP().String())
	})
	want(t, app, "GET", "/admin/", 200, "203.0.113.9", "X-Forwarded-For", "203.0.113.9")
	w := ask(app, "GET", "/admin/", "", "X-Request-Id", "abc")
	if w.Header().Get("X-Request-Id") != "abc" || w.Header().Get("Set-Cookie") == "" {
		t.Error(w.Header())
	}
}

func TestMiddlewareRefusesItsConfiguration(t *testing.T) {
	app := pleat.New(pleat.Config{})
	defer func() {
		if recover() == nil {
			t.Error("deadline(0) did not panic")
		}
	}()
	app.Use(deadline(0))
}

type product struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Price int    `json:"price"`
}

var errSoldOut = errors.New("sold out")

func find(id int64) (product, error) {
	switch id {
	case 1:
		return product{1, "tea", 250}, nil
	case 2:
		return product{}, errSoldOut
	}
	return product{}, fs.ErrNotExist
}

func TestAnswers(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/products/:id", func(c *pleat.Context) error {
		id, err := c.ParamInt("id")
		if err != nil {
			return err
		}
		p, err := find(id)
		switch {
		case errors.Is(err, errSoldOut):
			return pleat.NewError(409, "sold out").WithHeader("Retry-After", "3600")
		case errors.Is(err, fs.ErrNotExist):
			return pleat.NewError(404, "no such product")
		case err != nil:
			return err // 500; the text goes to the log, not to the client
		}
		return c.JSON(200, p)
	})

	want(t, app, "GET", "/products/1", 200, `{"id":1,"name":"tea","price":250}`)
	want(t, app, "GET", "/products/2", 409, "409 Conflict\nsold out\n")
	w := ask(app, "GET", "/products/3", "", "Accept", "application/json")
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Error(ct)
	}
	w = ask(app, "GET", "/products/3", "", "Accept", "text/html")
	if ct := w.Header().Get("Content-Type"); ct != "text/html; charset=utf-8" {
		t.Error(ct)
	}
}

func TestErrorPages(t *testing.T) {
	app := pleat.New(pleat.Config{
		ErrorHandler: func(c *pleat.Context, err error) error {
			if pleat.StatusOf(err) >= 500 {
				c.Log().Warn().Msg("somebody should look at this")
			}
			return c.AnswerError(err)
		},
	})
	app.OnStatus(404, func(c *pleat.Context, err error) error {
		return c.HTML(404, "<h1>Nothing here</h1>")
	})
	want(t, app, "GET", "/none", 404, "<h1>Nothing here</h1>")
}

func TestStreams(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/clock", func(c *pleat.Context) error {
		if err := c.SetHeader("Content-Type", render.ContentTypeEvents); err != nil {
			return err
		}
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			event, err := render.Event{Name: "time", Data: time.Now().Format(time.RFC3339)}.Append(nil)
			if err != nil {
				return err
			}
			if _, err := c.Write(event); err != nil {
				return err
			}
			if err := c.Flush(); err != nil {
				return err
			}
			select {
			case <-tick.C:
			case <-c.Done(): // the client left, or the server ends
				return nil
			}
		}
	})

	base, stop := serve(t, app)
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q, _ := http.NewRequestWithContext(ctx, "GET", base+"/clock", nil)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line := make([]byte, 12)
	if _, err := io.ReadFull(resp.Body, line); err != nil || string(line) != "event: time\n" {
		t.Errorf("%q %v", line, err)
	}
}

// serve runs an app on pleat's own server.
func serve(t *testing.T, app *pleat.App) (base string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	return "http://" + l.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Error(err)
		}
	}
}

type basket struct {
	Items []int64
	Since time.Time
}

func cookieApp(secrets ...[]byte) *pleat.App {
	app := pleat.New(pleat.Config{CookieSecrets: secrets})

	app.POST("/basket/:id", func(c *pleat.Context) error {
		id, err := c.ParamInt("id")
		if err != nil {
			return err
		}
		var b basket
		if err := c.SecureCookie("basket", &b); err != nil {
			b = basket{Since: time.Now()} // none, expired or not ours
		}
		b.Items = append(b.Items, id)
		if err := c.SetSecureCookie("basket", b, server.WithMaxAge(24*time.Hour)); err != nil {
			return err
		}
		return c.Text(200, fmt.Sprint(len(b.Items)))
	})

	return app
}

func TestSignedCookies(t *testing.T) {
	oldSecret, newSecret := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(oldSecret)
	_, _ = rand.Read(newSecret)

	w := ask(cookieApp(oldSecret), "POST", "/basket/1", "")
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	if w.Body.String() != "1" || cookie == "" {
		t.Fatal(w.Code, w.Body, cookie)
	}
	w = ask(cookieApp(newSecret, oldSecret), "POST", "/basket/2", "", "Cookie", cookie)
	if w.Body.String() != "2" {
		t.Error("the old secret does not open:", w.Body)
	}
	w = ask(cookieApp(newSecret), "POST", "/basket/2", "", "Cookie", cookie)
	if w.Body.String() != "1" {
		t.Error("a dropped secret opens:", w.Body)
	}
	w = ask(cookieApp(), "POST", "/basket/2", "")
	if w.Code != 500 {
		t.Error("signed without a secret:", w.Code)
	}
}

type session struct {
	User string
}

func TestSession(t *testing.T) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	app := pleat.New(pleat.Config{CookieSecrets: [][]byte{secret}})

	app.POST("/sign-in", func(c *pleat.Context) error {
		s := session{User: c.Form("user")} // after its password was checked
		err := c.SetSecureCookie("session", s, server.WithEncryption(), server.WithMaxAge(12*time.Hour))
		if err != nil {
			return err
		}
		return c.Redirect(303, "/")
	})
	app.POST("/sign-out", func(c *pleat.Context) error {
		if err := c.ClearCookie("session"); err != nil {
			return err
		}
		return c.Redirect(303, "/")
	})
	app.GET("/", func(c *pleat.Context) error {
		var s session
		if err := c.SecureCookie("session", &s, server.WithEncryption()); err != nil {
			return c.Text(200, "Hello, stranger")
		}
		return c.Text(200, "Hello, "+s.User)
	})

	w := ask(app, "POST", "/sign-in", "user=ann", "Content-Type", "application/x-www-form-urlencoded")
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	if w.Code != 303 {
		t.Error(w.Code, w.Body)
	}
	want(t, app, "GET", "/", 200, "Hello, ann", "Cookie", cookie)
	want(t, app, "GET", "/", 200, "Hello, stranger")
	w = ask(app, "POST", "/sign-out", "", "Cookie", cookie)
	if !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Error(w.Header())
	}
}

func TestBodies(t *testing.T) {
	app := pleat.New(pleat.Config{})

	app.POST("/products", func(c *pleat.Context) error {
		var p product
		if err := c.BindJSON(&p); err != nil {
			return err // 400 that says why, 413, 408
		}
		if p.Name == "" {
			return pleat.NewError(422, "name: must not be empty")
		}
		return c.JSON(201, p)
	})

	app.POST("/avatar", func(c *pleat.Context) error {
		c.Request().SetBodyLimit(1 << 20) // this route takes 1 MiB, not 10
		values, err := c.FormValues()
		if err != nil {
			return err
		}
		file, err := c.FormFile("picture")
		if err != nil {
			return err // 400 when there is none
		}
		content, err := file.Open()
		if err != nil {
			return err
		}
		defer content.Close()
		n, err := io.Copy(io.Discard, content)
		if err != nil {
			return err
		}
		return c.Text(200, fmt.Sprintf("%s: %d octets", values.Get("user"), n))
	})

	app.PUT("/backup", func(c *pleat.Context) error {
		c.Request().SetBodyLimit(-1)
		n, err := io.Copy(io.Discard, c.Request().BodyReader())
		if err != nil {
			return err
		}
		return c.Text(200, fmt.Sprint(n))
	})

	w := ask(app, "POST", "/products", `{"name":"tea"}`)
	if w.Code != 201 {
		t.Error(w.Code, w.Body)
	}
	w = ask(app, "POST", "/products", `{"name":1}`)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "name: want a string") {
		t.Error(w.Code, w.Body)
	}
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	_ = m.WriteField("user", "ann")
	part, _ := m.CreateFormFile("picture", "me.png")
	_, _ = part.Write([]byte("12345"))
	_ = m.Close()
	w = ask(app, "POST", "/avatar", b.String(), "Content-Type", m.FormDataContentType())
	if w.Code != 200 || w.Body.String() != "ann: 5 octets" {
		t.Error(w.Code, w.Body)
	}
	w = ask(app, "POST", "/avatar", strings.Repeat("x", 2<<20), "Content-Type", m.FormDataContentType())
	if w.Code != 413 {
		t.Error(w.Code, w.Body)
	}
	w = ask(app, "PUT", "/backup", strings.Repeat("x", 11<<20))
	if w.Code != 200 || w.Body.String() != fmt.Sprint(11<<20) {
		t.Error(w.Code, w.Body)
	}
}

func TestUpstream(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/rates":
			_ = json.NewEncoder(w).Encode(map[string]float64{"EUR": 1.1})
		case "/broken":
			w.WriteHeader(500)
		default:
			_, _ = io.WriteString(w, q.Header.Get("X-Request-Id"))
		}
	}))
	defer upstream.Close()
	address := upstream.URL

	app := pleat.New(pleat.Config{Client: &client.HTTPClient{
		BaseURL: address,
		Timeout: 5 * time.Second,
		Retries: 2,
	}})

	app.GET("/price", func(c *pleat.Context) error {
		var rates map[string]float64
		if err := c.Client().Get("rates").JSON(&rates); err != nil {
			return err // 502, or 504 when it took too long
		}
		return c.JSON(200, rates["EUR"])
	})

	app.GET("/both", func(c *pleat.Context) error {
		answers, err := c.Client().Get("a").Get("b", client.WithTimeout(time.Second)).Fetch()
		if err != nil {
			return err
		}
		a, err := answers[0].Text()
		if err != nil {
			return err
		}
		b, err := answers[1].Text()
		if err != nil {
			return err
		}
		return c.Text(200, a+" "+b)
	})

	app.GET("/copy", func(c *pleat.Context) error {
		answer, err := c.Client().Get("large").Do()
		if err != nil {
			return err
		}
		defer answer.Close()
		return c.Stream(answer.Status, answer.Header.Get("Content-Type"), answer.Body())
	})

	app.GET("/broken", func(c *pleat.Context) error {
		_, err := c.Client().Get("broken").Text()
		return err
	})

	want(t, app, "GET", "/price", 200, "1.1")
	w := ask(app, "GET", "/both", "")
	if a, b, _ := strings.Cut(w.Body.String(), " "); w.Code != 200 || len(a) != 32 || a != b {
		t.Errorf("the request id did not go along: %d %q", w.Code, w.Body)
	}
	w = ask(app, "GET", "/copy", "")
	if w.Code != 200 || w.Body.Len() != 32 {
		t.Error(w.Code, w.Body)
	}
	want(t, app, "GET", "/broken", 502, "*")
}

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
	app := newApp()
	served := make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	defer func() {
		if err := app.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
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

	srv := &http.Server{Handler: app, ReadHeaderTimeout: 10 * time.Second} // HTTP/2 with TLS

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
