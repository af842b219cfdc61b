// SPDX-License-Identifier: MIT

package pleat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

type plainKey struct{}

var (
	userKey  = pleat.NewKey[string]("user")
	countKey = pleat.NewKey[int]("count")
	errorKey = pleat.NewKey[error]("error")
)

// within runs a function as a handler, in all the ways an app is served.
func within(t *testing.T, h func(t *testing.T, c *pleat.Context)) {
	t.Helper()
	everywhere(t, func(t *testing.T) *pleat.App {
		app := pleat.New(pleat.Config{})
		app.GET("/", func(c *pleat.Context) error {
			h(t, c)
			return nil
		})
		return app
	}, func(t *testing.T, s *site) {
		if a := s.get("/?q=1"); a.StatusCode != 200 {
			t.Errorf("answer = %d %q", a.StatusCode, a.body)
		}
	})
}

func TestContextIsAContext(t *testing.T) {
	within(t, func(t *testing.T, c *pleat.Context) {
		var parent context.Context = c
		if err := parent.Err(); err != nil {
			t.Errorf("Err() = %v", err)
		}
		select {
		case <-parent.Done():
			t.Error("Done is closed")
		default:
		}
		userKey.Set(c, "ann")
		ctx, cancel := context.WithTimeout(context.WithValue(parent, plainKey{}, "v"), time.Hour)
		defer cancel()
		if pleat.FromContext(ctx) != c {
			t.Error("FromContext does not find the way back")
		}
		if ctx.Value(plainKey{}) != "v" || ctx.Value(userKey) != "ann" || ctx.Value(countKey) != nil {
			t.Error("values get lost")
		}
		if c.Value(http.LocalAddrContextKey) == nil {
			t.Error("no local address")
		}
		cancel()
		if !errors.Is(ctx.Err(), context.Canceled) || c.Err() != nil {
			t.Errorf("after cancel: %v, parent %v", ctx.Err(), c.Err())
		}
	})
	if pleat.FromContext(t.Context()) != nil {
		t.Error("FromContext finds a Context where there is none")
	}
}

func TestTypedKeys(t *testing.T) {
	within(t, func(t *testing.T, c *pleat.Context) {
		if v, ok := userKey.Get(c); ok || v != "" {
			t.Errorf("before: %q %v", v, ok)
		}
		userKey.Set(c, "ann")
		userKey.Set(c, "bob")
		countKey.Set(c, 0)
		errorKey.Set(c, nil)
		if v, ok := userKey.Get(c); !ok || v != "bob" {
			t.Errorf("after: %q %v", v, ok)
		}
		if v, ok := countKey.Get(c); !ok || v != 0 {
			t.Errorf("a zero value: %v %v", v, ok)
		}
		if v, ok := errorKey.Get(c); !ok || v != nil {
			t.Errorf("a nil interface: %v %v", v, ok)
		}
		if _, ok := pleat.NewKey[string]("user").Get(c); ok {
			t.Error("two keys of one name are the same")
		}
		if userKey.String() != "user" {
			t.Errorf("String() = %q", userKey)
		}
	})
}

// What is derived takes time, cancellation and values from its own context and
// shares all else.
func TestWithContext(t *testing.T) {
	within(t, func(t *testing.T, c *pleat.Context) {
		userKey.Set(c, "ann")
		ctx, cancel := context.WithTimeoutCause(context.WithValue(c, plainKey{}, "v"), time.Hour, errBroken)
		defer cancel()
		d := c.WithContext(ctx)
		e := d.WithContext(context.WithValue(d, plainKey{}, "w"))
		if c.Value(plainKey{}) != nil || d.Value(plainKey{}) != "v" || e.Value(plainKey{}) != "w" {
			t.Errorf("values: %v %v %v", c.Value(plainKey{}), d.Value(plainKey{}), e.Value(plainKey{}))
		}
		if _, ok := c.Deadline(); ok {
			t.Error("the outer one has a deadline")
		}
		if at, ok := e.Deadline(); !ok || time.Until(at) > time.Hour {
			t.Errorf("Deadline() = %v %v", at, ok)
		}
		if pleat.FromContext(e) != e || pleat.FromContext(context.WithValue(e, plainKey{}, 1)) != e || pleat.FromContext(ctx) != c {
			t.Error("FromContext finds another")
		}
		countKey.Set(e, 7)
		if v, _ := countKey.Get(c); v != 7 {
			t.Error("typed values are not shared")
		}
		if v, _ := userKey.Get(e); v != "ann" || e.Value(userKey) != "ann" {
			t.Error("typed values are not inherited")
		}
		if e.RequestID() != c.RequestID() || e.Request() != c.Request() || e.Route() != c.Route() || e.App() != c.App() {
			t.Error("the request is another")
		}
		e.SetRequestID("new")
		if c.RequestID() != "new" {
			t.Error("the id is not shared")
		}
		finished := false
		e.OnFinish(func(f *pleat.Context) {
			finished = true
			if f.Err() != nil { // only the derived ones have ended
				t.Errorf("in OnFinish: %v", f.Err())
			}
		})
		c.OnFinish(func(*pleat.Context) {
			if finished {
				t.Error("OnFinish runs in order of registration")
			}
		})
		sub, stop := context.WithCancel(e)
		defer stop()
		cancel()
		<-sub.Done()
		if !errors.Is(e.Err(), context.Canceled) || context.Cause(e) != context.Canceled || c.Err() != nil {
			t.Errorf("after cancel: %v, %v, outer %v", e.Err(), context.Cause(e), c.Err())
		}
	})
	defer func() {
		if recover() == nil {
			t.Error("a nil context is taken")
		}
	}()
	new(pleat.Context).WithContext(nil) //nolint:staticcheck // on purpose
}

func TestContextEndsWithTheRequest(t *testing.T) {
	kept := make(chan *pleat.Context, 1)
	app := pleat.New(pleat.Config{})
	app.GET("/:how", func(c *pleat.Context) error {
		if c.Param("how") == "asked" {
			_ = c.Done()
		}
		kept <- c
		return c.Text(200, "x")
	})
	for _, s := range []*site{serve(t, app), serveHTTP(t, app, false), serveHTTP(t, app, true)} {
		for _, target := range []string{"/asked", "/unasked"} {
			s.get(target)
			c := <-kept
			<-c.Done()
			if !errors.Is(c.Err(), context.Canceled) {
				t.Errorf("Err() = %v", c.Err())
			}
			if s.own && context.Cause(c) != server.ErrRequestDone {
				t.Errorf("Cause = %v", context.Cause(c))
			}
			for name, late := range map[string]func() error{
				"Text":      func() error { return c.Text(200, "late") },
				"JSON":      func() error { return c.JSON(200, 1) },
				"Redirect":  func() error { return c.Redirect(303, "/") },
				"SetHeader": func() error { return c.SetHeader("A", "b") },
				"SetCookie": func() error { return c.SetCookie(&http.Cookie{Name: "a", Value: "b"}) },
				"Stream":    func() error { return c.Stream(200, "", strings.NewReader("late")) },
				"Write":     func() error { _, err := c.WriteString("late"); return err },
				"Flush":     func() error { return c.Flush() },
				"File":      func() error { return c.File("go.mod") },
			} {
				if err := late(); !errors.Is(err, server.ErrRequestDone) {
					t.Errorf("%s after the end = %v", name, err)
				}
			}
		}
	}
}

func TestCauseWhenTheClientLeaves(t *testing.T) {
	causes := make(chan error, 1)
	begun := make(chan struct{}, 1)
	app := pleat.New(pleat.Config{})
	app.POST("/", func(c *pleat.Context) error {
		if _, err := c.Body(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c, time.Hour)
		defer cancel()
		begun <- struct{}{}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return ctx.Err()
	})
	for _, s := range []*site{serve(t, app), serveHTTP(t, app, false)} {
		conn := s.dial()
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
		<-begun
		conn.Close()
		cause := <-causes
		if want := map[bool]error{true: server.ErrClientGone, false: context.Canceled}[s.own]; cause != want {
			t.Errorf("cause = %v, want %v", cause, want)
		}
	}
}

// Values may be read and written from many goroutines.
func TestConcurrentUse(t *testing.T) {
	within(t, func(t *testing.T, c *pleat.Context) {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for range 50 {
					countKey.Set(c, i)
					if _, ok := countKey.Get(c); !ok {
						t.Error("a value got lost")
					}
					_, _, _, _ = c.Value(countKey), c.RequestID(), c.Query("q"), c.Err()
					c.OnFinish(func(*pleat.Context) {})
					c.Log().Debug().Msg("x")
					_ = c.Client()
					_ = c.Failure()
					_, _ = c.WriteString("x")
					_ = c.SetHeader("X-A", "b")
				}
			})
		}
		all.Wait()
	})
}

// Nothing that was given out changes when later requests come in.
func TestKeptContextsStayWhatTheyWere(t *testing.T) {
	const requests = 3000
	var mu sync.Mutex
	kept := map[int]*pleat.Context{}
	texts := map[int]string{}
	describe := func(c *pleat.Context) string {
		return strings.Join([]string{c.Method(), c.Path(), c.Param("id"), c.Param("rest"), c.Query("q"), c.Header("X-N"), c.Request().Host(), c.RequestID()}, "|")
	}
	app := pleat.New(pleat.Config{})
	app.Handle("PURGE", "/n/:id/*rest", func(c *pleat.Context) error {
		n, err := c.ParamInt("id")
		if err != nil {
			return err
		}
		mu.Lock()
		kept[int(n)], texts[int(n)] = c, describe(c)
		mu.Unlock()
		return c.Text(200, c.Param("id"))
	})
	s := serve(t, app)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := worker; i < requests; i += 4 {
				n := fmt.Sprint(i)
				if a, err := s.try("PURGE", "/n/"+n+"/a%20"+n+"?q=v"+n, "X-N", "h"+n, "Host", "host"+n); err != nil || a.body != n {
					t.Errorf("%v %v", a, err)
				}
			}
		})
	}
	all.Wait()
	for i := range requests {
		n := fmt.Sprint(i)
		want := fmt.Sprintf("PURGE|/n/%s/a%%20%s|%s|/a %s|v%s|h%s|host%s|", n, n, n, n, n, n, n)
		if got := describe(kept[i]); got != texts[i] || !strings.HasPrefix(got, want) {
			t.Fatalf("request %d has become %q, was %q", i, got, texts[i])
		}
	}
}
