// SPDX-License-Identifier: MIT

package pleat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

type teapot struct{ code int }

func (teapot) Error() string     { return "teapot" }
func (e teapot) StatusCode() int { return e.code }

func TestStatusOf(t *testing.T) {
	upstream := func(err error) error { return &client.Error{Op: "GET", Phase: client.PhaseExchange, Err: err} }
	unsent := func(err error) error { return &client.Error{Op: "GET", Phase: client.PhaseRequest, Err: err} }
	for _, test := range []struct {
		name string
		err  error
		want int
	}{
		{"nil", nil, 200},
		{"any", errors.New("x"), 500},
		{"HTTPError", pleat.NewError(404, ""), 404},
		{"wrapped", fmt.Errorf("x: %w", pleat.NewError(409, "")), 409},
		{"joined", errors.Join(errors.New("x"), pleat.NewError(410, "")), 410},
		{"outermost wins", pleat.NewError(404, "").WithCause(pleat.NewError(503, "")), 404},
		{"no status of an error", pleat.NewError(200, ""), 500},
		{"nor this", &pleat.HTTPError{Status: 200}, 500},
		{"out of range", pleat.NewError(1000, ""), 500},
		{"StatusCoder", teapot{418}, 418},
		{"StatusCoder out of range", teapot{302}, 500},
		{"StatusCoder out of range, wrapped timeout", fmt.Errorf("%w: %w", teapot{0}, context.DeadlineExceeded), 503},
		{"panic", &pleat.PanicError{Value: pleat.NewError(404, "")}, 500},
		{"decode", &render.DecodeError{Reason: "x"}, 400},
		{"decode in HTTPError", pleat.NewError(422, "").WithCause(&render.DecodeError{}), 422},
		{"body too large", server.ErrBodyTooLarge, 413},
		{"body too slow", server.ErrBodyTimeout, 408},
		{"form", server.ErrForm, 400},
		{"MaxBytesReader", fmt.Errorf("x: %w", &http.MaxBytesError{Limit: 1}), 413},
		{"protocol", &server.ProtocolError{Status: 431, Reason: "x"}, 431},
		{"client gone", fmt.Errorf("x: %w", server.ErrClientGone), 499},
		{"draining", server.ErrServerDraining, 503},
		{"deadline", context.DeadlineExceeded, 503},
		{"canceled by somebody", context.Canceled, 500},
		{"upstream down", upstream(errors.New("refused")), 502},
		{"upstream slow", upstream(context.DeadlineExceeded), 504},
		{"upstream timeout", upstream(os.ErrDeadlineExceeded), 504},
		{"upstream with client gone", upstream(fmt.Errorf("%w: %w", context.Canceled, server.ErrClientGone)), 499},
		{"upstream status", upstream(&client.StatusError{Response: &client.HTTPResponse{Status: 404}}), 502},
		{"upstream redirects to no URL", &client.Error{Phase: client.PhaseRedirect, Err: &client.RedirectError{Err: client.ErrURL}}, 502},
		{"call of no URL", unsent(fmt.Errorf("%w: bad port", client.ErrURL)), 500},
		{"call with bad options", fmt.Errorf("x: %w", unsent(client.ErrOption)), 500},
		{"call with a bad header", unsent(client.ErrHeader), 500},
		{"client that cannot work", unsent(client.ErrConfig), 500},
		{"call beyond the budget", unsent(client.ErrBudget), 502},
		{"call that began too late", unsent(context.DeadlineExceeded), 504},
		{"no cookie", server.ErrNoCookie, 400},
		{"expired cookie", server.ErrCookieExpired, 400},
		{"forged cookie", fmt.Errorf("x: %w", server.ErrCookieTampered), 400},
		{"no secret", server.ErrNoCookieSecret, 500},
		{"request done", server.ErrRequestDone, 500},
	} {
		if got := pleat.StatusOf(test.err); got != test.want {
			t.Errorf("%s: StatusOf(%v) = %d, want %d", test.name, test.err, got, test.want)
		}
	}
}

func TestHTTPError(t *testing.T) {
	cause := errors.New("disk full")
	plain := pleat.NewError(503, "")
	full := plain.WithCause(cause).WithHeader("Retry-After", "1").WithHeader("Retry-After", "2")
	if plain.Cause != nil || plain.Header != nil {
		t.Error("With… changes the error itself")
	}
	if !errors.Is(full, cause) || len(full.Header["Retry-After"]) != 2 {
		t.Errorf("%+v", full)
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{plain, "503 Service Unavailable"},
		{full, "503 Service Unavailable: disk full"},
		{pleat.NewError(404, "no such user"), "404 no such user"},
		{&pleat.PanicError{Value: cause}, "pleat: handler panicked: disk full"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("Error() = %q, want %q", got, test.want)
		}
	}
}

// answerWith serves one handler and gives its answer to a request.
func answerWith(t *testing.T, config pleat.Config, h pleat.Handler, fields ...string) (*answer, *logBook) {
	t.Helper()
	log := &logBook{}
	config.Logger = log.logger()
	app := pleat.New(config)
	app.GET("/x/:p", h)
	return serve(t, app).get("/x/1", fields...), log
}

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

func TestErrorPageIsNegotiated(t *testing.T) {
	failing := func(*pleat.Context) error { return pleat.NewError(409, `<b>"taken"</b>`) }
	for _, test := range []struct{ accept, contentType, body string }{
		{"", "text/plain; charset=utf-8", "409 Conflict\n<b>\"taken\"</b>\n"},
		{"*/*", "text/plain; charset=utf-8", "409 Conflict\n<b>\"taken\"</b>\n"},
		{"application/json", "application/problem+json", ""},
		{"application/problem+json", "application/problem+json", ""},
		{"application/json, text/plain, */*", "application/problem+json", ""}, // axios
		{browser, "text/html; charset=utf-8", ""},
		{"image/png", "text/plain; charset=utf-8", "409 Conflict\n<b>\"taken\"</b>\n"},
		{"not a type", "text/plain; charset=utf-8", "409 Conflict\n<b>\"taken\"</b>\n"},
	} {
		fields := []string{"Accept", test.accept}
		if test.accept == "" {
			fields = nil
		}
		a, log := answerWith(t, pleat.Config{}, failing, fields...)
		if a.StatusCode != 409 || a.Header.Get("Content-Type") != test.contentType || test.body != "" && a.body != test.body {
			t.Errorf("Accept %q: %d %s %q", test.accept, a.StatusCode, a.Header.Get("Content-Type"), a.body)
		}
		if a.Header.Get("Vary") != "Accept" || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("Accept %q: header %v", test.accept, a.Header)
		}
		switch test.contentType {
		case "application/problem+json":
			want := map[string]any{"title": "Conflict", "status": 409.0, "detail": `<b>"taken"</b>`}
			m := a.json(t)
			delete(m, "request_id")
			if fmt.Sprint(m) != fmt.Sprint(want) {
				t.Errorf("problem = %v, want %v", m, want)
			}
		case "text/html; charset=utf-8":
			contains(t, a.body, "<title>409 Conflict</title>", "&lt;b&gt;&#34;taken&#34;&lt;/b&gt;")
		}
		if lines := log.lines(t, "warn"); len(lines) != 0 {
			t.Errorf("a 409 is logged: %v", lines)
		}
	}
}

func TestCausesStayInTheLog(t *testing.T) {
	secret := errors.New("password hunter2 refused by <db>")
	boom := func(*pleat.Context) error { panic("secret <boom>") }
	for _, accept := range []string{"*/*", "application/json", browser} {
		for _, test := range []struct {
			name    string
			h       pleat.Handler
			status  int
			private []string
			stack   bool
		}{
			{"error", func(*pleat.Context) error { return secret }, 500, []string{"hunter2"}, false},
			{"HTTPError", func(*pleat.Context) error { return pleat.NewError(503, "later").WithCause(secret) }, 503, []string{"hunter2"}, false},
			{"panic", boom, 500, []string{"boom", "errors_test.go", "goroutine"}, true},
			{"panic with HTTPError", func(*pleat.Context) error { panic(pleat.NewError(404, "boom")) }, 500, []string{"boom"}, true},
		} {
			a, log := answerWith(t, pleat.Config{}, test.h, "Accept", accept)
			if a.StatusCode != test.status {
				t.Errorf("%s: status %d", test.name, a.StatusCode)
			}
			lacks(t, a.body, test.private...)
			lines := log.lines(t, "warn")
			if len(lines) != 1 {
				t.Fatalf("%s: %d lines in the log: %v", test.name, len(lines), log)
			}
			line, _ := json.Marshal(lines[0])
			contains(t, string(line), `"route":"/x/:p"`, `"path":"/x/1"`, `"method":"GET"`, `"request_id":"`, fmt.Sprintf(`"status":%d`, test.status), test.private[0])
			if _, has := lines[0]["stack"]; has != test.stack {
				t.Errorf("%s: stack in the log: %v", test.name, has)
			}
			if id := lines[0]["request_id"].(string); accept != "*/*" || test.status >= 500 {
				contains(t, a.body, id)
			}

			a, _ = answerWith(t, pleat.Config{Development: true}, test.h, "Accept", accept)
			contains(t, a.body, test.private[0])
			if test.stack {
				contains(t, a.body, "errors_test.go")
			}
			if accept == browser {
				lacks(t, a.body, "<boom>", "<db>")
			}
		}
	}
}

func TestHostilePathsInPages(t *testing.T) {
	app := pleat.New(pleat.Config{Development: true})
	app.GET("/p/:x", func(c *pleat.Context) error {
		return pleat.NewError(400, "bad "+c.Param("x")).WithCause(errors.New("in " + c.Path() + c.Param("x")))
	})
	a := serve(t, app).get("/p/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "Accept", browser)
	lacks(t, a.body, "<script")
	contains(t, a.body, "&lt;script&gt;")
}

func TestDecodeErrorsAreToldTheClient(t *testing.T) {
	a, _ := answerWith(t, pleat.Config{}, func(*pleat.Context) error {
		return &render.DecodeError{Format: "JSON", Field: "age", Reason: "want an integer", Err: errors.New("json: internal type main.T")}
	})
	if a.StatusCode != 400 || a.body != "400 Bad Request\nage: want an integer\n" {
		t.Errorf("answer = %d %q", a.StatusCode, a.body)
	}
}

// A page of an app's own gets to know what the built-in one shows, and no more.
func TestProblem(t *testing.T) {
	for _, test := range []struct {
		name        string
		err         error
		development bool
		want        pleat.Problem
		cause       string
	}{
		{"HTTPError", pleat.NewError(409, "<taken>").WithCause(errors.New("secret")), false, pleat.Problem{Title: "Conflict", Status: 409, Detail: "<taken>"}, ""},
		{"in development", pleat.NewError(409, "").WithCause(errors.New("secret")), true, pleat.Problem{Title: "Conflict", Status: 409}, "409 Conflict: secret"},
		{"any", errors.New("secret"), false, pleat.Problem{Title: "Internal Server Error", Status: 500}, ""},
		{"decoding", &render.DecodeError{Field: "age", Reason: "not a number"}, false, pleat.Problem{Title: "Bad Request", Status: 400, Detail: "age: not a number"}, ""},
		{"gone", server.ErrClientGone, false, pleat.Problem{Title: "Client Closed Request", Status: 499}, ""},
		{"a panic", &pleat.PanicError{Value: "sunk", Stack: []byte("at sea")}, true, pleat.Problem{Title: "Internal Server Error", Status: 500}, "pleat: handler panicked: sunk\n\nat sea"},
		{"none", nil, true, pleat.Problem{Title: "OK", Status: 200}, ""},
	} {
		got := make(chan pleat.Problem, 1)
		answerWith(t, pleat.Config{Development: test.development}, func(c *pleat.Context) error {
			c.SetRequestID("r-1")
			got <- c.Problem(test.err)
			return nil
		})
		test.want.RequestID, test.want.Cause = "r-1", test.cause
		if p := <-got; p != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, p, test.want)
		}
	}
}

func sinking(*pleat.Context) error { panic("sunk") }

// A stack begins with the function that panicked.
func TestStackOfAPanic(t *testing.T) {
	var none []int
	var nothing map[string]int
	var nobody *teapot
	for name, h := range map[string]pleat.Handler{
		"a value":     sinking,
		"an index":    func(c *pleat.Context) error { return c.Text(none[len(t.Name())], "") },
		"nil pointer": func(*pleat.Context) error { return *nobody },
		"nil map":     func(*pleat.Context) error { nothing["a"] = 1; return nil },
		"an error":    func(*pleat.Context) error { panic(errBroken) },
		"nil":         func(*pleat.Context) error { panic(nil) }, //nolint:govet // that is what is tested
		"a second one": func(*pleat.Context) error {
			defer func() { panic("again") }()
			panic("once")
		},
	} {
		var p *pleat.PanicError
		if err := pleat.Call(h, nil); !errors.As(err, &p) {
			t.Fatalf("%s: %v", name, err)
		}
		lines := strings.Split(string(p.Stack), "\n")
		want := "pleat_test.TestStackOfAPanic.func"
		if name == "a value" {
			want = "pleat_test.sinking("
		}
		if len(lines) < 5 || !strings.HasPrefix(lines[0], "goroutine ") || !strings.Contains(lines[1], want) ||
			!strings.Contains(lines[2], "errors_test.go:") || !strings.Contains(lines[3], "pleat.Call(") {
			if name != "a second one" || !strings.Contains(string(p.Stack), "\npanic(") { // of the first one
				t.Errorf("%s: %s", name, p.Stack)
			}
		}
	}
}
