// SPDX-License-Identifier: MIT

package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
	"github.com/pleat-go/pleat/server"
)

// What is folded around a handler is folded around its WebSocket: cookies are signed
// and read, the client is who a trusted proxy says, and there is one line for the
// whole connection, when it is over.
func TestAroundWebSocket(t *testing.T) {
	onBoth(t, func(t *testing.T, serve func(*testing.T, *pleat.App) string) {
		log := newLog()
		app := pleat.New(pleat.Config{Logger: log.logger()})
		app.Use(
			middleware.Forwarded(server.TrustPolicy{Trusted: loopback, Source: server.SourceXForwardedFor}),
			middleware.Logger(middleware.LoggerConfig{}),
			middleware.SignedCookies(middleware.SignedCookiesConfig{Secrets: [][]byte{secretA}}),
		)
		app.GET("/ws", func(c *pleat.Context) error {
			if err := c.SetSecureCookie("who", "ann"); err != nil {
				return err
			}
			return c.WebSocket(pleat.WebSocketOptions{}, func(ctx context.Context, conn *websocket.Conn) error {
				who, _ := c.GetSecureCookie("who")
				if err := conn.Write(ctx, websocket.MessageText, []byte(string(who)+" at "+c.RemoteIP().String())); err != nil {
					return err
				}
				_, _, err := conn.Read(ctx)
				if err == nil {
					err = errors.New("the well is dry")
				}
				return err
			})
		})
		base := "http://" + serve(t, app)
		header := http.Header{"X-Forwarded-For": {"203.0.113.9"}}
		for _, want := range []string{" at 203.0.113.9", "ann at 203.0.113.9"} {
			conn, resp, err := websocket.Dial(t.Context(), base+"/ws", &websocket.DialOptions{HTTPHeader: header})
			if err != nil {
				t.Fatal(err)
			}
			if _, got, err := conn.Read(t.Context()); string(got) != want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
			log.none(t)
			if cookies := resp.Cookies(); len(cookies) == 1 {
				header.Set("Cookie", cookies[0].Name+"="+cookies[0].Value)
			}
			_ = conn.Close(websocket.StatusNormalClosure, "")
			line := log.next(t)
			if line["message"] != "request" || line["status"] != 101.0 || line["hijacked"] != true || line["level"] != "info" || line["remote"] != "203.0.113.9" {
				t.Errorf("logged %v", line)
			}
			log.none(t)
		}
		conn, _, err := websocket.Dial(t.Context(), base+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, _ = conn.Read(t.Context())
		_ = conn.Write(t.Context(), websocket.MessageText, []byte("x"))
		if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusInternalError {
			t.Errorf("closed with %v", err)
		}
		failed, access := log.next(t), log.next(t)
		if failed["error"] != "the well is dry" || failed["level"] != "error" || access["status"] != 101.0 || failed["request_id"] != access["request_id"] {
			t.Errorf("logged %v and %v", failed, access)
		}
	})
}
