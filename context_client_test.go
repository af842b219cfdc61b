// SPDX-License-Identifier: MIT

package pleat_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/client"
	"github.com/pleat-go/pleat/server"
)

// upstream is a server that tells what it gets.
func upstream(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// newClient is a client whose connections end with the test.
func newClient(t *testing.T, c *client.HTTPClient) *client.HTTPClient {
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// When the client leaves, the call that a handler makes for it is cancelled: the
// upstream itself sees it.
func TestUpstreamCallEndsWithTheClient(t *testing.T) {
	for _, derive := range []bool{false, true} {
		reached, cancelled := make(chan struct{}), make(chan struct{})
		url := upstream(t, func(_ http.ResponseWriter, q *http.Request) {
			close(reached)
			<-q.Context().Done()
			close(cancelled)
		})
		failure := make(chan error, 1)
		log := &logBook{}
		app := pleat.New(pleat.Config{Client: newClient(t, &client.HTTPClient{}), Logger: log.logger()})
		app.GET("/", func(c *pleat.Context) error {
			c.OnFinish(func(c *pleat.Context) { failure <- c.Failure() })
			if derive {
				ctx, cancel := context.WithTimeout(c, time.Hour)
				defer cancel()
				c = c.WithContext(ctx)
			}
			_, err := c.Client().Get(url).Text()
			return err
		})
		s := serve(t, app)
		conn := s.dial()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		<-reached
		conn.Close()
		<-cancelled
		if err := <-failure; !errors.Is(err, server.ErrClientGone) || pleat.StatusOf(err) != 499 {
			t.Errorf("failure = %v", err)
		}
		if lines := log.lines(t, "error"); len(lines) != 0 {
			t.Errorf("log = %v", log)
		}
	}
}

func TestUpstreamFailures(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := "http://" + gone.Addr().String() + "/secret-path"
	_ = gone.Close()
	slow := upstream(t, func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }) + "/secret-path"
	odd := upstream(t, func(w http.ResponseWriter, q *http.Request) {
		w.WriteHeader(404)
		_, _ = io.WriteString(w, "secret-body")
	}) + "/secret-path"

	for name, test := range map[string]struct {
		call   func(c *pleat.Context) error
		status int
	}{
		"down": {func(c *pleat.Context) error { _, err := c.Client().Get(down).Text(); return err }, 502},
		"slow": {func(c *pleat.Context) error {
			_, err := c.Client().Get(slow, client.WithTimeout(time.Millisecond)).Text()
			return err
		}, 504},
		"slower than the deadline": {func(c *pleat.Context) error {
			ctx, cancel := context.WithTimeout(c, time.Millisecond)
			defer cancel()
			_, err := c.WithContext(ctx).Client().Get(slow).Text()
			return err
		}, 504},
		"a header that cannot be sent": {func(c *pleat.Context) error {
			_, err := c.Client().Get(slow, client.WithHeader("secret-path", "a\r\nX-B: b")).Text()
			return err
		}, 500},
		"status": {func(c *pleat.Context) error { _, err := c.Client().Get(odd).Text(); return err }, 502},
	} {
		log := &logBook{}
		app := pleat.New(pleat.Config{Client: newClient(t, &client.HTTPClient{}), Logger: log.logger()})
		app.GET("/", test.call)
		a := serve(t, app).get("/", "Accept", "application/json")
		if a.StatusCode != test.status {
			t.Errorf("%s: answer = %d %q", name, a.StatusCode, a.body)
		}
		lacks(t, a.body, "secret", "127.0.0.1", "client:")
		id := a.json(t)["request_id"].(string)
		contains(t, log.String(), "secret-path")
		for _, line := range log.lines(t, "debug") {
			if line["request_id"] != id {
				t.Errorf("%s: a line has another id: %v", name, line)
			}
			if us, ok := line["duration_us"].(float64); line["message"] == "pleat: upstream call" && (!ok || us != math.Trunc(us)) {
				t.Errorf("%s: duration_us is no whole number: %v", name, line)
			}
		}
		if lines := log.lines(t, "error"); len(lines) != 1 {
			t.Errorf("%s: log = %v", name, log)
		}
	}
}

func TestPropagation(t *testing.T) {
	echo := func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.WriteString(w, q.Header.Get("X-Request-Id")+"|"+q.Header.Get("Traceparent"))
	}
	friend, stranger := upstream(t, echo), upstream(t, echo)
	app := pleat.New(pleat.Config{Client: newClient(t, &client.HTTPClient{Propagate: []string{friend}})})
	app.GET("/", func(c *pleat.Context) error {
		c.SetRequestID("my-id")
		d := c.WithContext(context.WithValue(c, plainKey{}, 1))
		var got []string
		for _, cl := range []*client.HTTPClient{c.Client(), d.Client()} {
			for _, url := range []string{friend, stranger} {
				text, err := cl.Get(url).Text()
				if err != nil {
					return err
				}
				got = append(got, text)
			}
		}
		if first := c.Client(); c.Client() != first {
			return errBroken
		}
		return c.Text(200, strings.Join(got, " "))
	})
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if a := serve(t, app).get("/", "Traceparent", trace); a.body != "my-id|"+trace+" | my-id|"+trace+" |" {
		t.Errorf("answer = %d %q", a.StatusCode, a.body)
	}
}

func TestBudgetOfARequest(t *testing.T) {
	url := upstream(t, func(http.ResponseWriter, *http.Request) {})
	app := pleat.New(pleat.Config{Client: newClient(t, &client.HTTPClient{})})
	app.GET("/:calls", func(c *pleat.Context) error {
		n, err := c.ParamInt("calls")
		for range n {
			if err == nil {
				_, err = c.Client().Get(url).Bytes()
			}
		}
		if err != nil && !errors.Is(err, client.ErrBudget) {
			t.Error(err)
		}
		return err
	})
	s := serve(t, app)
	for target, want := range map[string]int{"/100": 200, "/101": 502} {
		if a := s.get(target); a.StatusCode != want {
			t.Errorf("%s calls = %d", target, a.StatusCode)
		}
	}
}

// A detached client outlives the request.
func TestDetachedCalls(t *testing.T) {
	url := upstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "late") })
	detached := make(chan *client.HTTPClient, 1)
	bound := make(chan *client.HTTPClient, 1)
	app := pleat.New(pleat.Config{Client: newClient(t, &client.HTTPClient{})})
	app.GET("/", func(c *pleat.Context) error {
		bound <- c.Client()
		detached <- c.Client().Detached()
		return nil
	})
	serve(t, app).get("/")
	if _, err := (<-bound).Get(url).Text(); !errors.Is(err, server.ErrRequestDone) {
		t.Errorf("a bound call after the end: %v", err)
	}
	if text, err := (<-detached).Get(url).Text(); text != "late" || err != nil {
		t.Errorf("a detached call after the end: %q, %v", text, err)
	}
}
