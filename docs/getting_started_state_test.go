// SPDX-License-Identifier: MIT

package docs_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/server"
)

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
		Timeout: 10 * time.Second,
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
		answers, err := c.Client().Get("a").Get("b", client.WithTimeout(5*time.Second)).Fetch()
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
