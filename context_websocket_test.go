// SPDX-License-Identifier: MIT

package pleat_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// echo sends back what it is sent.
func echo(ctx context.Context, conn *websocket.Conn) error {
	for {
		kind, message, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		if err := conn.Write(ctx, kind, message); err != nil {
			return err
		}
	}
}

func webSocket(opts pleat.WebSocketOptions, f func(ctx context.Context, conn *websocket.Conn) error) pleat.Handler {
	return func(c *pleat.Context) error { return c.WebSocket(opts, f) }
}

func exchange(t *testing.T, conn *websocket.Conn, message []byte) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageBinary, message); err != nil {
		t.Fatal(err)
	}
	_, got, err := conn.Read(t.Context())
	if err != nil || !bytes.Equal(got, message) {
		t.Fatalf("%d octets came back as %d, %v", len(message), len(got), err)
	}
}

func TestWebSocketEcho(t *testing.T) {
	overHTTP1(t, nil, func(app *pleat.App) {
		app.Use(mark("outer"))
		app.GET("/ws", func(c *pleat.Context) error {
			if err := c.Request().SetCookie(&http.Cookie{Name: "seen", Value: "yes"}); err != nil {
				return err
			}
			opts := pleat.WebSocketOptions{Subprotocols: []string{"v2", "v1"}, MaxMessage: 1 << 20}
			return c.WebSocket(opts, func(ctx context.Context, conn *websocket.Conn) error {
				if pleat.FromContext(ctx) != c {
					t.Error("the context has lost its request")
				}
				if err := c.Text(200, "late"); !errors.Is(err, server.ErrHijacked) {
					t.Errorf("answering behind the 101: %v", err)
				}
				return echo(ctx, conn)
			})
		})
	}, func(t *testing.T, s *site) {
		conn, resp, err := s.tryWebSocket("/ws", "Sec-WebSocket-Protocol", "v1", "Sec-WebSocket-Protocol", "v2")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		conn.SetReadLimit(-1)
		if conn.Subprotocol() != "v2" || resp.Header.Get("X-Trace") != "outer" || !strings.HasPrefix(resp.Header.Get("Set-Cookie"), "seen=yes") {
			t.Errorf("protocol %q, %v", conn.Subprotocol(), resp.Header)
		}
		for _, n := range []int{0, 1, 125, 126, 4096, 4097, 65536, 1 << 20} {
			exchange(t, conn, bytes.Repeat([]byte{'x'}, n))
		}
		if err := conn.Close(websocket.StatusNormalClosure, "bye"); err != nil {
			t.Error(err)
		}
	})
}

// Messages that come in one piece with the request are not lost.
func TestWebSocketEagerClient(t *testing.T) {
	overHTTP1(t, nil, func(app *pleat.App) {
		app.GET("/ws", webSocket(pleat.WebSocketOptions{}, echo))
	}, func(t *testing.T, s *site) {
		conn := s.socket()
		frame := "\x82\x84\x00\x00\x00\x00ping" // masked with zeros
		request := "GET /ws HTTP/1.1\r\nHost: h\r\n" + upgradeFields + "\r\n" + frame + frame + "\x88\x82\x00\x00\x00\x00\x03\xe8"
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		head, frames, _ := strings.Cut(string(got), "\r\n\r\n")
		if want := "\x82\x04ping\x82\x04ping\x88\x02\x03\xe8"; frames != want || err != nil {
			t.Errorf("got %q, %v, want %q", frames, err, want)
		}
		contains(t, head, "HTTP/1.1 101 ", "\r\nSec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
	})
}

func TestWebSocketCompression(t *testing.T) {
	overHTTP1(t, nil, func(app *pleat.App) {
		app.GET("/ws", webSocket(pleat.WebSocketOptions{Compression: websocket.CompressionContextTakeover, MaxMessage: 1 << 20}, echo))
	}, func(t *testing.T, s *site) {
		conn, resp, err := websocket.Dial(t.Context(), s.url+"/ws", &websocket.DialOptions{
			HTTPClient: s.client, CompressionMode: websocket.CompressionContextTakeover,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		conn.SetReadLimit(-1)
		contains(t, resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate")
		exchange(t, conn, bytes.Repeat([]byte("pleat"), 100_000))
		// A bomb is stopped by what it has grown to.
		if err := conn.Write(t.Context(), websocket.MessageBinary, make([]byte, 2<<20)); err == nil {
			_, _, err = conn.Read(t.Context())
			if closeCode(err) != websocket.StatusMessageTooBig {
				t.Errorf("closed with %v", err)
			}
		}
	})
}
