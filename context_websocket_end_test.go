// SPDX-License-Identifier: MIT

package pleat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

func TestWebSocketEndings(t *testing.T) {
	secret := errors.New("the password is 1234")
	tests := []struct {
		name   string
		f      func(ctx context.Context, conn *websocket.Conn) error
		code   websocket.StatusCode
		reason string
		logged string // "" = nothing above debug
	}{
		{"nil", func(context.Context, *websocket.Conn) error { return nil }, 1000, "", ""},
		{"error", func(context.Context, *websocket.Conn) error { return secret }, 1011, "", secret.Error()},
		{"panic", func(context.Context, *websocket.Conn) error { panic(secret) }, 1011, "", "TestWebSocketEndings"},
		{"CloseError", func(context.Context, *websocket.Conn) error {
			return fmt.Errorf("full: %w", websocket.CloseError{Code: 4001, Reason: "the room is full"})
		}, 4001, "the room is full", ""},
		{"long reason", func(context.Context, *websocket.Conn) error {
			return websocket.CloseError{Code: 4002, Reason: strings.Repeat("é", 100)}
		}, 4002, strings.Repeat("é", 61), ""},
		{"code that cannot be sent", func(context.Context, *websocket.Conn) error {
			return websocket.CloseError{Code: 1006}
		}, 1011, "", "StatusAbnormalClosure"},
		{"no code", func(context.Context, *websocket.Conn) error {
			return websocket.CloseError{Code: websocket.StatusNoStatusRcvd}
		}, 1005, "", ""},
		{"status below 500", func(context.Context, *websocket.Conn) error {
			return pleat.NewError(403, "you are banned").WithCause(secret)
		}, 1008, "you are banned", ""},
		{"closed by hand", func(_ context.Context, conn *websocket.Conn) error {
			return conn.Close(4003, "done")
		}, 4003, "done", ""},
		{"Goexit", func(context.Context, *websocket.Conn) error {
			runtime.Goexit()
			return nil
		}, -1, "", ""},
		{"abort", func(context.Context, *websocket.Conn) error { panic(http.ErrAbortHandler) }, -1, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log *logBook
			overHTTP1(t, func() pleat.Config {
				log = &logBook{}
				return pleat.Config{Logger: log.logger()}
			}, func(app *pleat.App) {
				app.GET("/ws", webSocket(pleat.WebSocketOptions{}, tt.f))
			}, func(t *testing.T, s *site) {
				if tt.name == "Goexit" && !s.own {
					t.Skip("net/http has the connection closed by whom it belongs to")
				}
				conn := s.websocket("/ws")
				_, _, err := conn.Read(t.Context())
				var closing websocket.CloseError
				errors.As(err, &closing)
				if code := closeCode(err); code != tt.code || closing.Reason != tt.reason {
					t.Errorf("closed with %d %q (%v), want %d %q", code, closing.Reason, err, tt.code, tt.reason)
				}
				if tt.logged != "" {
					settles(func() bool { return len(log.lines(t, "error")) > 0 })
					contains(t, log.String(), tt.logged)
				}
				if tt.name != "Goexit" && tt.logged == "" && len(log.lines(t, "info")) > 0 {
					t.Errorf("logged %s", log)
				}
			})
		})
	}
}

// What a peer does wrong is told to it, and is nothing to wake anybody for.
func TestWebSocketPeerFaults(t *testing.T) {
	tests := []struct {
		name, frames string
		code         int
	}{
		{"too long", "\x82\xfe\x01\x00\x00\x00\x00\x00" + strings.Repeat("x", 256), 1009},
		{"no mask", "\x82\x04ping", 1002},
		{"reserved bits", "\xf2\x80\x00\x00\x00\x00", 1002},
		{"unknown opcode", "\x83\x80\x00\x00\x00\x00", 1002},
		{"continuation of nothing", "\x80\x80\x00\x00\x00\x00", 1002},
		{"long ping", "\x89\xfe\x00\x7e\x00\x00\x00\x00" + strings.Repeat("x", 126), 1002},
		{"ping in pieces", "\x09\x80\x00\x00\x00\x00", 1002},
		{"close code that is none", "\x88\x82\x00\x00\x00\x00\x00\x00", 1002},
		{"length that is none", "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", 1002},
	}
	var log *logBook
	var ended chan error
	overHTTP1(t, func() pleat.Config {
		log, ended = &logBook{}, make(chan error, 1)
		return pleat.Config{Logger: log.logger()}
	}, func(app *pleat.App) {
		app.GET("/ws", func(c *pleat.Context) error {
			err := c.WebSocket(pleat.WebSocketOptions{MaxMessage: 255}, echo)
			ended <- err
			return err
		})
	}, func(t *testing.T, s *site) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				conn, br := (&site{t: t, addr: s.addr, url: s.url, client: s.client}).upgraded("/ws")
				if _, err := io.WriteString(conn, tt.frames); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(br)
				if err != nil || len(got) < 4 || got[0] != 0x88 || int(got[2])<<8|int(got[3]) != tt.code {
					t.Errorf("got %q, %v, want a close frame with %d", got, err, tt.code)
				}
				_ = conn.Close()
				if err := await(t, ended, "end"); err != nil {
					t.Errorf("WebSocket returned %v", err)
				}
			})
		}
		if lines := log.lines(t, "info"); len(lines) > 0 {
			t.Errorf("logged %v", lines)
		}
	})
}

// watched is a handler that says when it begins, and why its context ended.
type watched struct {
	begun chan struct{}
	cause chan error
	ended chan error // what WebSocket returned
}

func newWatched() *watched {
	return &watched{make(chan struct{}, 100), make(chan error, 100), make(chan error, 100)}
}

func (w *watched) handler(opts pleat.WebSocketOptions, f func(ctx context.Context, conn *websocket.Conn) error) pleat.Handler {
	return func(c *pleat.Context) error {
		err := c.WebSocket(opts, func(ctx context.Context, conn *websocket.Conn) error {
			w.begun <- struct{}{}
			err := f(ctx, conn)
			w.cause <- context.Cause(ctx)
			return err
		})
		w.ended <- err
		return err
	}
}

// idle waits for the end and neither reads nor writes.
func idle(ctx context.Context, _ *websocket.Conn) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestWebSocketPeerGoes(t *testing.T) {
	for name, f := range map[string]func(context.Context, *websocket.Conn) error{"reading": echo, "idle": idle} {
		t.Run(name, func(t *testing.T) {
			w := newWatched()
			overHTTP1(t, nil, func(app *pleat.App) {
				app.GET("/ws", w.handler(pleat.WebSocketOptions{}, f))
			}, func(t *testing.T, s *site) {
				for _, end := range []func(net.Conn){
					func(c net.Conn) { _ = c.Close() },
					func(c net.Conn) {
						if t, ok := c.(*net.TCPConn); ok {
							_ = t.SetLinger(0)
						}
						_ = c.Close()
					},
					func(c net.Conn) { _ = c.(interface{ CloseWrite() error }).CloseWrite() },
				} {
					conn, _ := s.upgraded("/ws")
					await(t, w.begun, "beginning")
					end(conn)
					cause := await(t, w.cause, "end")
					if name == "idle" && !errors.Is(cause, server.ErrClientGone) {
						t.Errorf("cause %v", cause)
					}
					if err := await(t, w.ended, "return"); err != nil {
						t.Errorf("WebSocket returned %v", err)
					}
				}
			})
		})
	}
}

// A peer that answers no ping is gone.
func TestWebSocketPings(t *testing.T) {
	w := newWatched()
	overHTTP1(t, nil, func(app *pleat.App) {
		opts := pleat.WebSocketOptions{PingInterval: 50 * time.Millisecond}
		app.GET("/idle", w.handler(opts, idle))
		app.GET("/reading", w.handler(opts, echo))
	}, func(t *testing.T, s *site) {
		for _, path := range []string{"/idle", "/reading"} {
			_, _ = s.upgraded(path)
			await(t, w.begun, "beginning")
			if cause := await(t, w.cause, "end"); !errors.Is(cause, server.ErrClientGone) {
				t.Errorf("cause %v", cause)
			}
			if err := await(t, w.ended, "return"); err != nil {
				t.Errorf("WebSocket returned %v", err)
			}
		}
	})
}

// A peer that answers pings may be silent, and need not be read from. How much time
// it has to answer is the server's to say: where the clock is a real one, it has
// plenty.
func TestWebSocketPongs(t *testing.T) {
	newApp := func(srv *server.HTTPServer, interval time.Duration) (*pleat.App, *watched, chan struct{}) {
		w, read := newWatched(), make(chan struct{})
		app := pleat.New(pleat.Config{Server: srv})
		app.GET("/late", w.handler(pleat.WebSocketOptions{PingInterval: interval}, func(ctx context.Context, conn *websocket.Conn) error {
			select {
			case <-read:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			return echo(ctx, conn)
		}))
		return app, w, read
	}
	answers := func(t *testing.T, s *site, w *watched, read chan struct{}, rounds int) {
		pings := make(chan struct{}, 100)
		conn, _, err := websocket.Dial(t.Context(), s.url+"/late", &websocket.DialOptions{
			HTTPClient:     s.client,
			OnPingReceived: func(context.Context, []byte) bool { pings <- struct{}{}; return true },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		got := make(chan error, 1)
		go func() {
			_, _, err := conn.Read(t.Context())
			got <- err
		}()
		for range rounds {
			select {
			case <-pings:
			case err := <-got:
				t.Fatal("closed for being silent:", err)
			case <-time.After(time.Minute):
				t.Fatal("no ping")
			}
		}
		select {
		case read <- struct{}{}:
		case err := <-got:
			t.Fatal("closed for being silent:", err)
		}
		if err := conn.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
			t.Error(err)
		}
		if err := await(t, got, "echo"); err != nil {
			t.Error(err)
		}
		_ = conn.Close(1000, "")
		await(t, w.ended, "return")
	}
	t.Run("auto", func(t *testing.T) {
		app, w, read := newApp(nil, 2*time.Second)
		answers(t, serve(t, app), w, read, 2)
	})
	for _, name := range []string{"goroutine", "tls", "net-http"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &server.HTTPServer{Engine: server.EngineGoroutine}
				app, w, read := newApp(srv, 25*time.Second)
				answers(t, serveInMemory(t, app, srv, name), w, read, 5)
			})
		})
	}
}

func TestWebSocketStall(t *testing.T) {
	w := newWatched()
	overHTTP1(t, nil, func(app *pleat.App) {
		app.GET("/ws", w.handler(pleat.WebSocketOptions{WriteTimeout: 200 * time.Millisecond}, func(ctx context.Context, conn *websocket.Conn) error {
			for {
				if err := conn.Write(context.Background(), websocket.MessageBinary, make([]byte, 1<<20)); err != nil {
					<-ctx.Done()
					return err
				}
			}
		}))
	}, func(t *testing.T, s *site) {
		_, _ = s.upgraded("/ws")
		if cause := await(t, w.cause, "end"); !errors.Is(cause, server.ErrClientGone) {
			t.Errorf("cause %v", cause)
		}
		if err := await(t, w.ended, "return"); err != nil {
			t.Errorf("WebSocket returned %v", err)
		}
	})
}

// dueContext is a context whose deadline is when it is told so.
type dueContext struct {
	context.Context
	due chan struct{} // closed then
}

func (c dueContext) Deadline() (time.Time, bool) { return time.Now(), true }
func (c dueContext) Done() <-chan struct{}       { return c.due }

func (c dueContext) Err() error {
	select {
	case <-c.due:
		return context.DeadlineExceeded
	default:
		return c.Context.Err()
	}
}

// A deadline of a middleware's ends the connection in good order.
func TestWebSocketDeadline(t *testing.T) {
	w := newWatched()
	var due chan struct{}
	overHTTP1(t, nil, func(app *pleat.App) {
		due = make(chan struct{})
		limit := func(next pleat.Handler) pleat.Handler {
			return func(c *pleat.Context) error { return next(c.WithContext(dueContext{c, due})) }
		}
		app.GET("/ws", limit(w.handler(pleat.WebSocketOptions{}, idle)))
	}, func(t *testing.T, s *site) {
		conn := s.websocket("/ws")
		await(t, w.begun, "beginning")
		close(due)
		if _, _, err := conn.Read(t.Context()); closeCode(err) != websocket.StatusGoingAway {
			t.Errorf("closed with %v", err)
		}
		if cause := await(t, w.cause, "end"); !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("cause %v", cause)
		}
		if err := await(t, w.ended, "return"); err != nil {
			t.Errorf("WebSocket returned %v", err)
		}
	})
}

func TestWebSocketDrain(t *testing.T) {
	for name, f := range map[string]func(context.Context, *websocket.Conn) error{
		"reading": echo,
		"idle":    idle,
		"writing": func(ctx context.Context, conn *websocket.Conn) error {
			for {
				if err := conn.Write(ctx, websocket.MessageText, []byte("tick")); err != nil {
					return err
				}
				time.Sleep(time.Millisecond) // not to fill the socket of who does not read
			}
		},
		"own error": func(ctx context.Context, conn *websocket.Conn) error {
			<-ctx.Done()
			_ = conn.Close(websocket.StatusInternalError, "too late")
			return ctx.Err()
		},
	} {
		for _, engine := range []server.Engine{server.EngineAuto, server.EngineGoroutine} {
			t.Run(fmt.Sprint(name, " ", engine), func(t *testing.T) {
				t.Parallel() // a peer that does not answer takes its time
				w := newWatched()
				log := &logBook{}
				app := pleat.New(pleat.Config{Logger: log.logger(), Server: &server.HTTPServer{Engine: engine}})
				app.GET("/ws", w.handler(pleat.WebSocketOptions{}, f))
				s := serve(t, app)
				conn := s.websocket("/ws")
				_, _ = s.upgraded("/ws") // answers no close frame
				await(t, w.begun, "beginning")
				await(t, w.begun, "beginning")
				got := make(chan error, 1)
				go func() {
					for {
						if _, _, err := conn.Read(t.Context()); err != nil {
							got <- err
							return
						}
					}
				}()
				shutdown(t, app)
				if err := await(t, got, "close frame"); closeCode(err) != websocket.StatusGoingAway {
					t.Errorf("closed with %v", err)
				}
				for range 2 { // Shutdown has waited for them
					select {
					case err := <-w.ended:
						if err != nil {
							t.Errorf("WebSocket returned %v", err)
						}
					default:
						t.Error("Shutdown did not wait")
					}
					if cause := <-w.cause; (name == "idle" || name == "own error") && !errors.Is(cause, server.ErrServerDraining) {
						t.Errorf("cause %v", cause)
					}
				}
				if lines := log.lines(t, "warn"); len(lines) > 0 {
					t.Errorf("logged %v", lines)
				}
			})
		}
	}
}

// To write after the closing handshake fails, whoever began it, and that is nothing
// to wake anybody for.
func TestWebSocketWriteAfterTheEnd(t *testing.T) {
	var log *logBook
	var w *watched
	overHTTP1(t, func() pleat.Config {
		log, w = &logBook{}, newWatched()
		return pleat.Config{Logger: log.logger()}
	}, func(app *pleat.App) {
		app.GET("/ws", w.handler(pleat.WebSocketOptions{}, func(ctx context.Context, conn *websocket.Conn) error {
			_, _, err := conn.Read(ctx)
			if closeCode(err) != websocket.StatusNormalClosure {
				t.Errorf("Read = %v", err)
			}
			err = conn.Write(context.Background(), websocket.MessageText, []byte("x"))
			if err == nil {
				t.Error("written")
			}
			return err
		}))
	}, func(t *testing.T, s *site) {
		conn, _ := s.upgraded("/ws")
		if _, err := io.WriteString(conn, "\x88\x82\x00\x00\x00\x00\x03\xe8"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // the answer, and the end behind it
		_ = conn.Close()
		if err := await(t, w.ended, "end"); err != nil {
			t.Errorf("WebSocket = %v", err)
		}
		if lines := log.lines(t, "info"); len(lines) > 0 {
			t.Errorf("logged %v", lines)
		}
	})
}

// A handler that does not heed its context is cut when patience is over.
func TestWebSocketCut(t *testing.T) {
	for _, engine := range []server.Engine{server.EngineAuto, server.EngineGoroutine} {
		app := pleat.New(pleat.Config{Server: &server.HTTPServer{Engine: engine}})
		begun, free := make(chan struct{}), make(chan struct{})
		app.GET("/ws", webSocket(pleat.WebSocketOptions{}, func(context.Context, *websocket.Conn) error {
			close(begun)
			<-free
			return nil
		}))
		s := serve(t, app)
		conn, br := s.upgraded("/ws")
		<-begun
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- app.Shutdown(ctx) }()
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		if b, err := br.Peek(4); err != nil || b[0] != 0x88 { // it is told first
			t.Errorf("got %q, %v", b, err)
		}
		cancel()
		if err := await(t, ended, "end of Shutdown"); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
		if _, err := io.ReadAll(br); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the connection is still open: %v", err)
		}
		close(free)
	}
}

// Nothing is left of connections that ended in all sorts of ways.
func TestWebSocketLeavesNothing(t *testing.T) {
	overHTTP1(t, nil, func(app *pleat.App) {
		app.GET("/ws", webSocket(pleat.WebSocketOptions{}, echo))
	}, func(t *testing.T, s *site) {
		exchange(t, s.websocket("/ws"), []byte("x"))
		settles(func() bool { return true })
		goroutines, descriptors := leftovers()
		for i := range 60 {
			if i%2 == 0 {
				conn, _ := s.upgraded("/ws")
				if i%4 == 0 {
					_, _ = io.WriteString(conn, "\x82\xfe") // half a header
				}
				_ = conn.Close()
				continue
			}
			conn := s.websocket("/ws")
			exchange(t, conn, []byte("x"))
			if i%3 == 0 {
				_ = conn.CloseNow()
			} else {
				_ = conn.Close(1000, "")
			}
		}
		if !settles(func() bool { g, d := leftovers(); return g <= goroutines && d <= descriptors }) {
			g, d := leftovers()
			t.Errorf("goroutines: %d, then %d; descriptors: %d, then %d", goroutines, g, descriptors, d)
		}
	})
}
