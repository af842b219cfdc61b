// SPDX-License-Identifier: MIT

package pleat_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

func TestWebSocketRefusals(t *testing.T) {
	const get = "GET /ws HTTP/1.1\r\nHost: pleat.example\r\n"
	without := func(name string) string {
		var kept strings.Builder
		for line := range strings.Lines(upgradeFields) {
			if !strings.HasPrefix(line, name+":") {
				kept.WriteString(line)
			}
		}
		return kept.String()
	}
	tests := []struct {
		name, request string
		status        int
		field, value  string
	}{
		{"plain GET", get, 426, "Upgrade", "websocket"},
		{"HEAD", "HEAD /ws HTTP/1.1\r\nHost: h\r\n" + upgradeFields, 426, "Upgrade", "websocket"},
		{"HTTP/1.0", "GET /ws HTTP/1.0\r\nHost: h\r\n" + upgradeFields, 426, "Upgrade", "websocket"},
		{"no Connection", get + without("Connection"), 426, "Connection", "Upgrade"},
		{"another protocol", get + without("Upgrade") + "Upgrade: h2c\r\n", 426, "Upgrade", "websocket"},
		{"old version", get + without("Sec-WebSocket-Version") + "Sec-WebSocket-Version: 8\r\n", 426, "Sec-WebSocket-Version", "13"},
		{"no version", get + without("Sec-WebSocket-Version"), 426, "Sec-WebSocket-Version", "13"},
		{"two versions", get + upgradeFields + "Sec-WebSocket-Version: 13\r\n", 426, "Sec-WebSocket-Version", "13"},
		{"no key", get + without("Sec-WebSocket-Key"), 400, "", ""},
		{"two keys", get + upgradeFields + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400, "", ""},
		{"short key", get + without("Sec-WebSocket-Key") + "Sec-WebSocket-Key: dGhlIA==\r\n", 400, "", ""},
		{"key that is no base64", get + without("Sec-WebSocket-Key") + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!!==\r\n", 400, "", ""},
		{"a body", get + upgradeFields + "Content-Length: 4\r\n\r\n\r\n", 400, "", ""}, // and with the end of the head four octets
		{"another site", get + upgradeFields + "Origin: https://evil.example\r\n", 403, "", ""},
	}
	overHTTP1(t, nil, func(app *pleat.App) {
		app.GET("/ws", webSocket(pleat.WebSocketOptions{}, func(context.Context, *websocket.Conn) error {
			t.Error("upgraded")
			return nil
		}))
	}, func(t *testing.T, s *site) {
		if strings.HasPrefix(s.url, "https") {
			t.Skip("nothing of this is about TLS")
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				s := &site{t: t, addr: s.addr}
				a := s.raw(tt.request + "\r\n")
				if a.StatusCode != tt.status {
					t.Errorf("status %d, want %d: %s", a.StatusCode, tt.status, a.body)
				}
				if tt.field != "" && !strings.EqualFold(a.Header.Get(tt.field), tt.value) {
					t.Errorf("%s is %q, want %q", tt.field, a.Header.Get(tt.field), tt.value)
				}
			})
		}
	})
}

func TestWebSocketOverHTTP2(t *testing.T) {
	newApp := func(srv *server.HTTPServer) *pleat.App {
		app := pleat.New(pleat.Config{Server: srv})
		app.GET("/ws", webSocket(pleat.WebSocketOptions{}, echo))
		return app
	}
	for _, s := range []*site{serveHTTP(t, newApp(nil), true), serveHTTP2(t, newApp)} {
		if a := s.get("/ws"); a.StatusCode != 400 || !strings.Contains(a.body, "HTTP/1.1") || a.ProtoMajor != 2 {
			t.Errorf("%s %d %s", a.Proto, a.StatusCode, a.body)
		}
	}
}

func TestWebSocketOrigins(t *testing.T) {
	tests := []struct {
		host, origin string // "" = none
		allowed      []string
		secure       bool
		status       int
	}{
		{"a.example", "", nil, false, 101},
		{"a.example", "http://a.example", nil, false, 101},
		{"A.Example:80", "http://a.example", nil, false, 101},
		{"a.example", "HTTP://A.EXAMPLE:80", nil, false, 101},
		{"a.example", "https://a.example", nil, false, 101}, // TLS ended in front
		{"a.example", "https://a.example", nil, true, 101},
		{"a.example", "http://a.example", nil, true, 403}, // whoever is on the line may have made that page
		{"a.example:8080", "http://a.example:8080", nil, false, 101},
		{"a.example:8080", "http://a.example", nil, false, 403},
		{"a.example", "http://a.example:8080", nil, false, 403},
		{"a.example", "http://b.example", nil, false, 403},
		{"a.example", "http://x.a.example", nil, false, 403},
		{"a.example", "http://a.example.evil.example", nil, false, 403},
		{"a.example", "http://evil.example/a.example", nil, false, 403},
		{"a.example", "http://a.example@evil.example", nil, false, 403},
		{"a.example", "http://evil.example@a.example", nil, false, 403},
		{"a.example", "http://a.example/", nil, false, 403},
		{"a.example", "a.example", nil, false, 403},
		{"a.example", "://a.example", nil, false, 403},
		{"a.example", "null", nil, false, 403},
		{"a.example", "http://a.example\r\nOrigin: http://a.example", nil, false, 403},
		{"[::1]:8080", "http://[::1]:8080", nil, false, 101},
		{"[::1]", "http://[::1]", nil, false, 101},
		{"a.example", "https://b.example", []string{"https://c.example", "https://b.example"}, false, 101},
		{"a.example", "http://b.example", []string{"https://b.example"}, false, 403},
		{"a.example", "https://b.example:444", []string{"https://b.example"}, false, 403},
		{"a.example", "https://x.b.example", []string{"https://b.example"}, false, 403},
		{"a.example", "https://x.y.b.example", []string{"https://*.b.example"}, false, 101},
		{"a.example", "https://b.example", []string{"https://*.b.example"}, false, 403},
		{"a.example", "https://eb.example", []string{"https://*.b.example"}, false, 403},
		{"a.example", "http://x.b.example", []string{"https://*.b.example"}, false, 403},
		{"a.example", "null", []string{"null"}, false, 101},
		{"a.example", "null", []string{"*"}, false, 101},
		{"a.example", "https://evil.example", []string{"*"}, false, 101},
		{"a.example", "", []string{"b.example"}, false, 500}, // a mistake is not to wait for its attacker
		{"a.example", "http://a.example", []string{"https://b.*"}, false, 500},
		{"a.example", "http://a.example", []string{"https://*.*.example"}, false, 500},
		{"a.example", "http://a.example", []string{"https://b.example/path"}, false, 500},
		{"a.example", "http://a.example", []string{""}, false, 500},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s from %s by %v", tt.host, tt.origin, tt.allowed), func(t *testing.T) {
			app := pleat.New(pleat.Config{})
			app.GET("/ws", func(c *pleat.Context) error {
				if tt.secure {
					c.Request().SetOrigin(server.Origin{Scheme: "https"})
				}
				return c.WebSocket(pleat.WebSocketOptions{Origins: tt.allowed}, func(context.Context, *websocket.Conn) error { return nil })
			})
			request := "GET /ws HTTP/1.1\r\nHost: " + tt.host + "\r\n" + upgradeFields
			if tt.origin != "" {
				request += "Origin: " + tt.origin + "\r\n"
			}
			if a := serve(t, app).raw(request + "\r\n"); a.StatusCode != tt.status {
				t.Errorf("status %d, want %d: %s", a.StatusCode, tt.status, a.body)
			}
		})
	}
}
