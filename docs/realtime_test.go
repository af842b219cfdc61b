// SPDX-License-Identifier: MIT

package docs_test

import (
	"bufio"
	"context"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/render"
)

// The fragments of realtime.md, at work.

type price struct {
	ID string `json:"-"`
	P  int    `json:"p"`
}

func prices(_ context.Context, after string) iter.Seq[price] {
	return func(yield func(price) bool) {
		n, _ := strconv.Atoi(after)
		for i := n + 1; i <= 3 && yield(price{strconv.Itoa(i), 10 * i}); i++ {
		}
	}
}

func slowPage(*pleat.Context) string { return "<p>done" }

func sum(b []byte) string { return strconv.Itoa(len(b)) }

func TestRealtime(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/echo", func(c *pleat.Context) error {
		return c.WebSocket(pleat.WebSocketOptions{}, func(ctx context.Context, conn *websocket.Conn) error {
			for {
				kind, message, err := conn.Read(ctx)
				if err != nil {
					return err
				}
				if err := conn.Write(ctx, kind, message); err != nil {
					return err
				}
			}
		})
	})
	app.GET("/prices", func(c *pleat.Context) error {
		return c.SSE(func(s *pleat.EventStream) error {
			for price := range prices(s.Context(), s.LastEventID()) {
				event := render.Event{ID: price.ID, Name: "price"}
				if err := s.SendJSON(event, price); err != nil {
					return err
				}
			}
			return nil
		})
	})
	app.GET("/report", func(c *pleat.Context) error {
		if err := c.EarlyHints(`</app.css>; rel=preload; as=style`); err != nil {
			return err
		}
		return c.HTML(200, slowPage(c))
	})
	app.POST("/sum", func(c *pleat.Context) error {
		body, err := c.Body()
		if err != nil {
			return err
		}
		claimed := c.Trailer().Get("Content-Sum") // there when the body has been read
		if err := c.SetTrailer("Content-Sum", sum(body)); err != nil {
			return err
		}
		return c.Text(200, "you say "+claimed)
	})
	app.POST("/shout", func(c *pleat.Context) error {
		if err := c.FullDuplex(); err != nil {
			return err
		}
		lines := bufio.NewScanner(c.Request().BodyReader())
		for lines.Scan() {
			if _, err := c.WriteString(strings.ToUpper(lines.Text()) + "\n"); err != nil {
				return err
			}
			if err := c.Flush(); err != nil {
				return err
			}
		}
		return lines.Err()
	})

	base, stop := serve(t, app)
	defer stop()
	conn, _, err := websocket.Dial(t.Context(), base+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Error(err)
	}
	if _, got, err := conn.Read(t.Context()); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")

	do := func(method, path, body string, more func(*http.Request)) (*http.Response, string) {
		q, err := http.NewRequestWithContext(t.Context(), method, base+path, io.MultiReader(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		if body == "" {
			q.Body = nil
		}
		if more != nil {
			more(q)
		}
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp, string(got)
	}
	_, got := do("GET", "/prices", "", func(q *http.Request) { q.Header.Set("Last-Event-ID", "1") })
	if want := "id: 2\nevent: price\ndata: {\"p\":20}\n\nid: 3\nevent: price\ndata: {\"p\":30}\n\n"; got != want {
		t.Errorf("%q", got)
	}
	if _, got := do("GET", "/report", "", nil); got != "<p>done" {
		t.Errorf("%q", got)
	}
	resp, got := do("POST", "/sum", "abc", func(q *http.Request) { q.Trailer = http.Header{"Content-Sum": {"four"}} })
	if got != "you say four" || resp.Trailer.Get("Content-Sum") != "3" {
		t.Errorf("%q %v", got, resp.Trailer)
	}
	if _, got := do("POST", "/shout", "a\nb\n", nil); got != "A\nB\n" {
		t.Errorf("%q", got)
	}
}
