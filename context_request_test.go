// SPDX-License-Identifier: MIT

package pleat_test

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

func TestParamsAndQueries(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		app.GET("/int/:v", func(c *pleat.Context) error {
			n, err := c.ParamInt("v")
			return errors.Join(err, c.JSON(200, n))
		})
		app.GET("/uint/:v", func(c *pleat.Context) error {
			n, err := c.ParamUint("v")
			return errors.Join(err, c.JSON(200, n))
		})
		app.GET("/day/:v", func(c *pleat.Context) error {
			day, err := pleat.Param(c, "v", func(s string) (time.Time, error) { return time.Parse(time.DateOnly, s) })
			return errors.Join(err, c.JSON(200, day.YearDay()))
		})
		app.GET("/own/:v", func(c *pleat.Context) error {
			_, err := pleat.Param(c, "v", func(string) (int, error) { return 0, pleat.NewError(410, "gone") })
			return err
		})
		app.GET("/typo/:v", func(c *pleat.Context) error {
			_, err := c.ParamInt("w")
			return err
		})
		app.GET("/query", func(c *pleat.Context) error {
			page, err := c.QueryInt("page", 1)
			if err != nil {
				return err
			}
			on, err := pleat.QueryAs(c, "on", true, strconv.ParseBool)
			if err != nil {
				return err
			}
			return c.JSON(200, []any{page, on, c.Query("name"), len(c.Request().Query()["name"])})
		})
		return app
	}, func(t *testing.T, s *site) {
		for _, test := range []struct {
			target string
			status int
			body   string
		}{
			{"/int/-7", 200, "-7"},
			{"/int/7x", 404, "404 Not Found\n"},
			{"/int/9223372036854775808", 404, "404 Not Found\n"},
			{"/uint/7", 200, "7"},
			{"/uint/-7", 404, "404 Not Found\n"},
			{"/day/2026-02-01", 200, "32"},
			{"/day/2026-02-30", 404, "404 Not Found\n"},
			{"/own/x", 410, "410 Gone\ngone\n"},
			{"/typo/1", 500, "*"},
			{"/query", 200, `[1,true,"",0]`},
			{"/query?page=3&on=0&name=a%20b&name=c", 200, `[3,false,"a b",2]`},
			{"/query?page=x", 400, "400 Bad Request\nbad value of the query parameter \"page\"\n"},
			{"/query?page=", 400, "400 Bad Request\nbad value of the query parameter \"page\"\n"},
			{"/query?on=maybe", 400, "400 Bad Request\nbad value of the query parameter \"on\"\n"},
			{"/query?name=%zz&page=2", 200, `[2,true,"",0]`},
		} {
			if a := s.get(test.target); a.StatusCode != test.status || test.body != "*" && a.body != test.body {
				t.Errorf("%s = %d %q, want %d %q", test.target, a.StatusCode, a.body, test.status, test.body)
			}
		}
	})
}

type person struct {
	XMLName struct{} `json:"-" xml:"person"`
	Name    string   `json:"name" xml:"name"`
	Age     int      `json:"age" xml:"age"`
}

func TestBind(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{Server: &server.HTTPServer{MaxRequest: 200}})
		app.POST("/", func(c *pleat.Context) error {
			var p person
			if err := c.Bind(&p); err != nil {
				return err
			}
			return c.Text(200, p.Name+" "+strconv.Itoa(p.Age))
		})
		app.POST("/json", func(c *pleat.Context) error {
			var p person
			if err := c.BindJSON(&p); err != nil {
				return err
			}
			return c.Text(200, p.Name)
		})
		app.POST("/wrong", func(c *pleat.Context) error { return c.Bind(person{}) })
		return app
	}, func(t *testing.T, s *site) {
		for _, test := range []struct {
			target, contentType, body string
			status                    int
			want                      string // part of the answer
		}{
			{"/", "application/json", `{"name":"ann","age":3}`, 200, "ann 3"},
			{"/", "application/vnd.x+json; charset=utf-8", `{"name":"ann"}`, 200, "ann 0"},
			{"/", "text/xml", `<person><name>ann</name><age>3</age></person>`, 200, "ann 3"},
			{"/", "application/atom+xml", `<person><name>ann</name></person>`, 200, "ann 0"},
			{"/", "", `{}`, 415, "no valid Content-Type"},
			{"/", "text/plain", `{}`, 415, "want JSON or XML"},
			{"/", "application/json; x", `{}`, 415, "no valid Content-Type"},
			{"/", "application/json", ``, 400, "empty input"},
			{"/", "application/json", `{"age":"x"}`, 400, "age: want an integer"},
			{"/", "application/json", `{"age":1} {}`, 400, ""},
			{"/", "application/json", `{"age":`, 400, ""},
			{"/", "application/xml", `<person><age>x</age></person>`, 400, ""},
			{"/", "application/xml", `<!DOCTYPE x [<!ENTITY a "b">]><person>&a;</person>`, 400, ""},
			{"/", "application/json", `{"name":"` + strings.Repeat("x", 200) + `"}`, 413, "413 Request Entity Too Large"},
			{"/json", "text/plain", `{"name":"ann"}`, 200, "ann"},
			{"/json", "", ``, 400, "empty input"},
			{"/wrong", "application/json", `{}`, 500, "500 Internal"},
		} {
			fields := []string{"Body", test.body, "Content-Type", test.contentType}
			if test.contentType == "" {
				fields = fields[:2]
			}
			a := s.do("POST", test.target, fields...)
			if a.StatusCode != test.status || !strings.Contains(a.body, test.want) {
				t.Errorf("%s %s %.40q = %d %q, want %d %q", test.target, test.contentType, test.body, a.StatusCode, a.body, test.status, test.want)
			}
			lacks(t, a.body, "json:", "xml:", "main.", "person{")
		}
	})
}

// The limit holds where no length is announced, too.
func TestBodyLimitOfChunkedBodies(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{Server: &server.HTTPServer{MaxRequest: 1000}})
		read := func(c *pleat.Context) error {
			b, err := c.Body()
			if err != nil {
				return err
			}
			return c.Text(200, strconv.Itoa(len(b)))
		}
		app.POST("/", read)
		app.POST("/more", func(c *pleat.Context) error {
			c.Request().SetBodyLimit(5000)
			return read(c)
		})
		return app
	}, func(t *testing.T, s *site) {
		for _, test := range []struct {
			target string
			size   int
			status int
		}{{"/", 1000, 200}, {"/", 1001, 413}, {"/", 100_000, 413}, {"/more", 5000, 200}, {"/more", 5001, 413}} {
			q, _ := http.NewRequestWithContext(t.Context(), "POST", s.url+test.target, io.MultiReader(strings.NewReader(strings.Repeat("x", test.size))))
			r, err := s.client.Do(q)
			if err != nil {
				t.Errorf("%d octets: %v", test.size, err)
				continue
			}
			r.Body.Close()
			if r.StatusCode != test.status {
				t.Errorf("%s with %d octets = %d, want %d", test.target, test.size, r.StatusCode, test.status)
			}
		}
	})
}

// multipartBody is a form with a value and a file.
func multipartBody() (contentType, body string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("name", "ann")
	f, _ := w.CreateFormFile("avatar", "../a.png")
	_, _ = f.Write([]byte("PNG"))
	_ = w.Close()
	return w.FormDataContentType(), b.String()
}

func TestForms(t *testing.T) {
	multi, multiBody := multipartBody()
	const urlencoded = "application/x-www-form-urlencoded"
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		values := func(c *pleat.Context) error {
			values, err := c.FormValues()
			if err != nil {
				return err
			}
			return c.Text(200, c.Form("name")+" "+values.Encode())
		}
		file := func(c *pleat.Context) error {
			h, err := c.FormFile("avatar")
			if err != nil {
				if !errors.Is(err, http.ErrMissingFile) && pleat.StatusOf(err) == 500 {
					t.Errorf("FormFile: %v", err)
				}
				return err
			}
			f, err := h.Open()
			if err != nil {
				return err
			}
			defer f.Close()
			b, err := io.ReadAll(f)
			return errors.Join(err, c.Text(200, h.Filename+" "+string(b)))
		}
		// The same with a middleware in front that has looked at the body.
		looking := func(next pleat.Handler) pleat.Handler {
			return func(c *pleat.Context) error {
				if _, err := c.Body(); err != nil {
					return err
				}
				return next(c)
			}
		}
		app.POST("/values", values)
		app.POST("/file", file)
		looked := app.Group("/looked", looking)
		looked.POST("/values", values)
		looked.POST("/file", file)
		return app
	}, func(t *testing.T, s *site) {
		for _, prefix := range []string{"", "/looked"} {
			for _, test := range []struct {
				target, contentType, body string
				status                    int
				want                      string
			}{
				{"/values?name=query", urlencoded, "name=a+b&x=1&x=2", 200, "a b name=a+b&x=1&x=2"},
				{"/values", multi, multiBody, 200, "ann name=ann"},
				{"/values", urlencoded, "name=%zz", 400, "400 Bad Request\n"},
				{"/values", multi, multiBody[:len(multiBody)-10], 400, "400 Bad Request\n"},
				{"/values", "multipart/form-data", multiBody, 400, "400 Bad Request\n"},
				{"/values", "text/plain", "name=x", 200, " "},
				{"/values", urlencoded, "", 200, " "},
				{"/file", multi, multiBody, 200, "a.png PNG"},
				{"/file", multi, strings.ReplaceAll(multiBody, "avatar", "other"), 400, "400 Bad Request\nthe form has no file \"avatar\"\n"},
				{"/file", urlencoded, "avatar=x", 400, "400 Bad Request\nthe form has no file \"avatar\"\n"},
			} {
				a := s.do("POST", prefix+test.target, "Content-Type", test.contentType, "Body", test.body)
				if a.StatusCode != test.status || a.body != test.want {
					t.Errorf("%s %s %.30q = %d %q, want %d %q", prefix+test.target, test.contentType, test.body, a.StatusCode, a.body, test.status, test.want)
				}
			}
		}
	})
}

// The body can be asked for as often as wanted.
func TestBodyIsKept(t *testing.T) {
	everywhere(t, func(*testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		app.POST("/", func(c *pleat.Context) error {
			var p, again person
			body, err := c.Body()
			if err := errors.Join(err, c.Bind(&p), c.Bind(&again)); err != nil {
				return err
			}
			return pleat.WrapHTTP(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				std, _ := io.ReadAll(q.Body)
				_, _ = w.Write([]byte(p.Name + again.Name + string(body) + string(std)))
			}))(c)
		})
		return app
	}, func(t *testing.T, s *site) {
		if a := s.do("POST", "/", "Content-Type", "application/json", "Body", `{"name":"a"}`); a.body != `aa{"name":"a"}{"name":"a"}` {
			t.Errorf("answer = %d %q", a.StatusCode, a.body)
		}
	})
}

func TestCodecsOfTheApp(t *testing.T) {
	app := pleat.New(pleat.Config{JSON: render.JSON{RefuseUnknown: true, Indent: "  "}, XML: render.XML{NoHeader: true}})
	app.POST("/", func(c *pleat.Context) error {
		var p person
		if err := c.Bind(&p); err != nil {
			return err
		}
		return c.Negotiate(200, p)
	})
	s := serve(t, app)
	if a := s.do("POST", "/", "Content-Type", "application/json", "Body", `{"name":"a"}`); a.body != "{\n  \"name\": \"a\",\n  \"age\": 0\n}" {
		t.Errorf("answer = %d %q", a.StatusCode, a.body)
	}
	if a := s.do("POST", "/", "Content-Type", "application/json", "Body", `{"nom":"a"}`); a.StatusCode != 400 {
		t.Errorf("answer = %d %q", a.StatusCode, a.body)
	}
	if a := s.do("POST", "/", "Content-Type", "text/xml", "Body", `<person><name>a</name></person>`, "Accept", "application/xml"); a.body != "<person><name>a</name><age>0</age></person>" {
		t.Errorf("answer = %d %q", a.StatusCode, a.body)
	}
}
