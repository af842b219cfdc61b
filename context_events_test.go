// SPDX-License-Identifier: MIT

package pleat_test

import (
	"bufio"
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
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

// overAll is overHTTP1 and HTTP/2.
func overAll(t *testing.T, config func() pleat.Config, routes func(app *pleat.App), test func(t *testing.T, s *site)) {
	t.Helper()
	overHTTP1(t, config, routes, test)
	newApp := func(srv *server.HTTPServer) *pleat.App {
		c := pleat.Config{}
		if config != nil {
			c = config()
		}
		c.Server = srv
		app := pleat.New(c)
		routes(app)
		return app
	}
	t.Run("http2", func(t *testing.T) { test(t, serveHTTP(t, newApp(nil), true)) })
	t.Run("own http2", func(t *testing.T) { test(t, serveHTTP2(t, newApp)) })
}

// serveHTTP2 serves an app over HTTP/2 by pleat's own server.
func serveHTTP2(t *testing.T, newApp func(*server.HTTPServer) *pleat.App) *site {
	s := serveTLS(t, newApp)
	s.http2 = true
	s.client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	return s
}

// stream opens an answer that is read as it comes.
func (s *site) stream(target string, fields ...string) (*http.Response, *bufio.Reader, context.CancelFunc) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	q, err := http.NewRequestWithContext(ctx, "GET", s.url+target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		q.Header.Add(fields[i], fields[i+1])
	}
	resp, err := s.client.Do(q)
	if err != nil {
		s.t.Fatalf("%s: %v", target, err)
	}
	s.t.Cleanup(func() { cancel(); _ = resp.Body.Close() })
	return resp, bufio.NewReader(resp.Body), cancel
}

// event reads up to the next empty line.
func event(t *testing.T, br *bufio.Reader) string {
	t.Helper()
	var b strings.Builder
	for {
		line, err := br.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			t.Fatalf("after %q: %v", b.String(), err)
		}
		if line == "\n" {
			return b.String()
		}
	}
}

func TestSSE(t *testing.T) {
	next := make(chan render.Event)
	overAll(t, nil, func(app *pleat.App) {
		app.GET("/events", func(c *pleat.Context) error {
			return c.SSE(func(s *pleat.EventStream) error {
				if err := s.Send(render.Event{Data: "last " + s.LastEventID(), Retry: time.Second}); err != nil {
					return err
				}
				for e := range next {
					if e.ID == "end" {
						return nil
					}
					if err := s.Send(e); err != nil {
						if sent := s.Send(render.Event{Data: "refused"}); sent != nil {
							return sent
						}
					}
				}
				return nil
			})
		})
	}, func(t *testing.T, s *site) {
		resp, br, _ := s.stream("/events", "Last-Event-ID", "41", "Accept", "text/event-stream")
		h := resp.Header
		if resp.StatusCode != 200 || h.Get("Content-Type") != render.ContentTypeEvents || h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" {
			t.Errorf("%d %v", resp.StatusCode, h)
		}
		if got := event(t, br); got != "retry: 1000\ndata: last 41\n\n" {
			t.Errorf("got %q", got)
		}
		// Each arrives before the next one is sent.
		for _, tt := range []struct {
			in   render.Event
			want string
		}{
			{render.Event{ID: "42", Name: "tick", Data: "a\r\nb\rid: 7\n"}, "id: 42\nevent: tick\ndata: a\ndata: b\ndata: id: 7\ndata: \n\n"},
			{render.Event{Comment: "x\ny"}, ": x\n: y\n\n"},
			{render.Event{ID: "1\ndata: x"}, "data: refused\n\n"},
			{render.Event{Name: "1\rdata: x"}, "data: refused\n\n"},
			{render.Event{ID: "\x00"}, "data: refused\n\n"},
		} {
			next <- tt.in
			if got := event(t, br); got != tt.want {
				t.Errorf("%+v arrives as %q, want %q", tt.in, got, tt.want)
			}
		}
		next <- render.Event{ID: "end"}
		if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
			t.Errorf("at the end: %q, %v", rest, err)
		}
	})
}

func TestSSEBegins(t *testing.T) {
	overAll(t, nil, func(app *pleat.App) {
		app.GET("/events", func(c *pleat.Context) error {
			if err := c.SetHeader("Cache-Control", "private"); err != nil {
				return err
			}
			return c.SSE(func(s *pleat.EventStream) error {
				<-s.Done() // and sends nothing
				return context.Cause(s.Context())
			})
		})
		app.GET("/late", func(c *pleat.Context) error {
			if _, err := c.WriteString("x"); err != nil {
				return err
			}
			if err := c.Flush(); err != nil {
				return err
			}
			if err := c.SSE(nil); !errors.Is(err, server.ErrCommitted) {
				t.Errorf("SSE behind a body: %v", err)
			}
			return nil
		})
	}, func(t *testing.T, s *site) {
		resp, _, _ := s.stream("/events") // returns when the head is there
		if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "private" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
		if a := s.do("HEAD", "/events"); a.StatusCode != 200 || a.Header.Get("Content-Type") != render.ContentTypeEvents {
			t.Errorf("HEAD: %d %v", a.StatusCode, a.Header)
		}
		for accept, status := range map[string]int{"text/html": 406, "text/event-stream;q=0": 406, "application/json, text/*;q=0.1": 200} {
			if status == 200 {
				resp, _, _ := s.stream("/events", "Accept", accept)
				if resp.StatusCode != 200 {
					t.Errorf("%s: %d", accept, resp.StatusCode)
				}
			} else if a := s.get("/events", "Accept", accept); a.StatusCode != status {
				t.Errorf("%s: %d", accept, a.StatusCode)
			}
		}
		_ = s.get("/late")
	})
}

func TestSSEHeartbeat(t *testing.T) {
	overAll(t, nil, func(app *pleat.App) {
		app.GET("/events", func(c *pleat.Context) error {
			return c.SSE(func(s *pleat.EventStream) error {
				s.SetHeartbeat(20 * time.Millisecond)
				<-s.Done()
				return nil
			})
		})
		app.GET("/silent", func(c *pleat.Context) error {
			return c.SSE(func(s *pleat.EventStream) error {
				s.SetHeartbeat(time.Millisecond)
				s.SetHeartbeat(-1)
				if err := s.Comment("off"); err != nil {
					return err
				}
				time.Sleep(50 * time.Millisecond) // the silence is what this is about
				return s.Comment("end")
			})
		})
	}, func(t *testing.T, s *site) {
		_, br, _ := s.stream("/events")
		for range 3 {
			if got := event(t, br); got != ":\n\n" {
				t.Errorf("got %q", got)
			}
		}
		_, br, _ = s.stream("/silent")
		got, err := io.ReadAll(br)
		before, after, _ := strings.Cut(string(got), ": off\n\n")
		if strings.ReplaceAll(before, ":\n\n", "") != "" || after != ": end\n\n" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestSSEClientGoes(t *testing.T) {
	cause := make(chan error, 1)
	returned := make(chan error, 1)
	var log *logBook
	overAll(t, func() pleat.Config {
		log = &logBook{}
		return pleat.Config{Logger: log.logger()}
	}, func(app *pleat.App) {
		app.GET("/events", func(c *pleat.Context) error {
			err := c.SSE(func(s *pleat.EventStream) error {
				if err := s.Send(render.Event{Data: "x"}); err != nil {
					return err
				}
				<-s.Done()
				err := s.Send(render.Event{Data: "y"})
				cause <- context.Cause(s.Context())
				return err
			})
			returned <- err
			return err
		})
		app.GET("/unaware", func(c *pleat.Context) error { // looks at nothing but its own errors
			err := c.SSE(func(s *pleat.EventStream) error {
				for {
					if err := s.Send(render.Event{Data: strings.Repeat("x", 1000)}); err != nil {
						cause <- context.Cause(s.Context())
						return fmt.Errorf("sending: %w", err)
					}
				}
			})
			returned <- err
			return err
		})
	}, func(t *testing.T, s *site) {
		for _, path := range []string{"/events", "/unaware"} {
			_, br, cancel := s.stream(path)
			event(t, br)
			cancel()
			// net/http has no causes; there, it is who fails first that names one.
			if err := await(t, cause, "end"); s.own && !errors.Is(err, server.ErrClientGone) {
				t.Errorf("%s: cause %v", path, err)
			}
			if err := await(t, returned, "return"); err != nil {
				t.Errorf("%s: SSE returned %v", path, err)
			}
		}
		if lines := log.lines(t, "warn"); len(lines) > 0 {
			t.Errorf("logged %v", lines)
		}
	})
}

func TestSSEStall(t *testing.T) {
	for _, engine := range []server.Engine{server.EngineAuto, server.EngineGoroutine} {
		app := pleat.New(pleat.Config{Server: &server.HTTPServer{Engine: engine, RateGrace: 200 * time.Millisecond, MinRate: 1 << 30}})
		cause := make(chan error, 1)
		app.GET("/events", func(c *pleat.Context) error {
			return c.SSE(func(s *pleat.EventStream) error {
				for {
					if err := s.Send(render.Event{Data: strings.Repeat("x", 1<<16)}); err != nil {
						cause <- err
						return err
					}
				}
			})
		})
		conn := serve(t, app).dial()
		if _, err := io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := await(t, cause, "end"); !errors.Is(err, server.ErrClientGone) {
			t.Errorf("a client that does not read: %v", err)
		}
	}
}

func TestSSEDrain(t *testing.T) {
	for _, engine := range []string{"auto", "goroutine", "http2"} {
		log := &logBook{}
		cause := make(chan error, 1)
		var app *pleat.App
		withRoutes := func(srv *server.HTTPServer) *pleat.App {
			app = pleat.New(pleat.Config{Logger: log.logger(), Server: srv})
			app.GET("/events", func(c *pleat.Context) error {
				return c.SSE(func(s *pleat.EventStream) error {
					if err := s.Send(render.Event{Data: "x"}); err != nil {
						return err
					}
					<-s.Done()
					cause <- s.Send(render.Event{Data: "y"})
					return context.Cause(s.Context())
				})
			})
			return app
		}
		var s *site
		switch engine {
		case "auto":
			s = serve(t, withRoutes(nil))
		case "goroutine":
			s = serve(t, withRoutes(&server.HTTPServer{Engine: server.EngineGoroutine}))
		case "http2":
			s = serveHTTP2(t, withRoutes)
		}
		_, br, _ := s.stream("/events")
		event(t, br)
		shutdown(t, app)
		if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
			t.Errorf("%v: the stream ends with %q, %v", engine, rest, err)
		}
		if err := await(t, cause, "end"); !errors.Is(err, server.ErrServerDraining) {
			t.Errorf("%v: sending while the server drains: %v", engine, err)
		}
		if lines := log.lines(t, "warn"); len(lines) > 0 {
			t.Errorf("logged %v", lines)
		}
	}
}

// To a browser, an error would be for good: a stream that comes too late is an empty
// one.
func TestSSEWhileDraining(t *testing.T) {
	app := pleat.New(pleat.Config{})
	begun, free, drains := make(chan struct{}), make(chan struct{}), make(chan struct{})
	app.GET("/events", func(c *pleat.Context) error {
		close(begun)
		<-free
		return c.SSE(func(*pleat.EventStream) error {
			t.Error("the stream began")
			return nil
		})
	})
	app.GET("/earlier", func(c *pleat.Context) error {
		return c.SSE(func(s *pleat.EventStream) error {
			<-s.Done()
			close(drains)
			return nil
		})
	})
	s := serve(t, app)
	_, _, _ = s.stream("/earlier") // streams are told that the server drains a moment after it stops accepting
	got := make(chan *answer, 1)
	go func() {
		a, err := s.try("GET", "/events")
		if err != nil {
			t.Error(err)
		}
		got <- a
	}()
	<-begun
	done := make(chan struct{})
	go func() {
		defer close(done)
		shutdown(t, app)
	}()
	<-drains
	close(free)
	if a := await(t, got, "answer"); a == nil || a.StatusCode != 200 || a.body != "" {
		t.Errorf("got %+v", a)
	}
	<-done
}

func TestSSEFailures(t *testing.T) {
	var log *logBook
	overAll(t, func() pleat.Config {
		log = &logBook{}
		return pleat.Config{Logger: log.logger()}
	}, func(app *pleat.App) {
		stream := func(f func(*pleat.EventStream) error) pleat.Handler {
			return func(c *pleat.Context) error { return c.SSE(f) }
		}
		app.GET("/error", stream(func(s *pleat.EventStream) error {
			_ = s.Send(render.Event{Data: "x"})
			return errors.New("the well is dry")
		}))
		app.GET("/panic", stream(func(s *pleat.EventStream) error {
			_ = s.Send(render.Event{Data: "x"})
			panic("the well is dry")
		}))
	}, func(t *testing.T, s *site) {
		for i, path := range []string{"/error", "/panic"} {
			_, br, _ := s.stream(path)
			event(t, br)
			if rest, err := io.ReadAll(br); err == nil {
				t.Errorf("%s: ends with %q as if it were whole", path, rest)
			}
			settles(func() bool { return strings.Count(log.String(), "the well is dry") > i })
			if n := len(log.lines(t, "error")); n != i+1 {
				t.Errorf("%s: %d lines: %s", path, n, log)
			}
		}
	})
}

// Many send at once; what they send stays whole, and after the end they are told.
func TestSSEConcurrent(t *testing.T) {
	late := make(chan error, 8)
	overAll(t, nil, func(app *pleat.App) {
		app.GET("/events", func(c *pleat.Context) error {
			return c.SSE(func(s *pleat.EventStream) error {
				s.SetHeartbeat(time.Millisecond)
				var all sync.WaitGroup
				for w := range 8 {
					all.Go(func() {
						for i := range 50 {
							if err := s.SendJSON(render.Event{Name: "n"}, map[string]int{"w": w, "i": i}); err != nil {
								t.Error(err)
							}
						}
						go func() {
							<-s.Done()
							late <- s.Send(render.Event{Data: "late"})
						}()
					})
				}
				all.Wait()
				return nil
			})
		})
	}, func(t *testing.T, s *site) {
		_, br, _ := s.stream("/events")
		b, err := io.ReadAll(br)
		if err != nil {
			t.Fatal(err)
		}
		next := map[string]int{}
		for e := range strings.SplitSeq(strings.ReplaceAll(string(b), ":\n\n", ""), "\n\n") {
			if e == "" {
				continue
			}
			var w, i int
			if _, err := fmt.Sscanf(e, `event: n`+"\n"+`data: {"i":%d,"w":%d}`, &i, &w); err != nil || i != next[fmt.Sprint(w)] {
				t.Fatalf("got %q, %v", e, err)
			}
			next[fmt.Sprint(w)]++
		}
		for w := range 8 {
			if next[fmt.Sprint(w)] != 50 {
				t.Errorf("%d of %d", next[fmt.Sprint(w)], w)
			}
			if err := await(t, late, "refusal"); !errors.Is(err, server.ErrRequestDone) {
				t.Errorf("sending after the end: %v", err)
			}
		}
	})
}

func TestSSELeavesNothing(t *testing.T) {
	overHTTP1(t, nil, func(app *pleat.App) {
		app.GET("/events", func(c *pleat.Context) error {
			return c.SSE(func(s *pleat.EventStream) error {
				if err := s.Send(render.Event{Data: "x"}); err != nil {
					return err
				}
				<-s.Done()
				return nil
			})
		})
	}, func(t *testing.T, s *site) {
		_ = s.do("HEAD", "/events") // has the engine set up
		goroutines, descriptors := leftovers()
		for range 50 {
			conn := s.socket()
			if _, err := io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			_, err := conn.Read(make([]byte, 1))
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
		}
		if !settles(func() bool { g, d := leftovers(); return g <= goroutines && d <= descriptors }) {
			g, d := leftovers()
			t.Errorf("goroutines: %d, then %d; descriptors: %d, then %d", goroutines, g, descriptors, d)
		}
	})
}
