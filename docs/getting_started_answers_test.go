// SPDX-License-Identifier: MIT

package docs_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/render"
	"github.com/pleat-go/pleat/server"
)

type product struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Price int    `json:"price"`
}

var errSoldOut = errors.New("sold out")

func find(id int64) (product, error) {
	switch id {
	case 1:
		return product{1, "tea", 250}, nil
	case 2:
		return product{}, errSoldOut
	}
	return product{}, fs.ErrNotExist
}

func TestAnswers(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/products/:id", func(c *pleat.Context) error {
		id, err := c.ParamInt("id")
		if err != nil {
			return err
		}
		p, err := find(id)
		switch {
		case errors.Is(err, errSoldOut):
			return pleat.NewError(409, "sold out").WithHeader("Retry-After", "3600")
		case errors.Is(err, fs.ErrNotExist):
			return pleat.NewError(404, "no such product")
		case err != nil:
			return err // 500; the text goes to the log, not to the client
		}
		return c.JSON(200, p)
	})

	want(t, app, "GET", "/products/1", 200, `{"id":1,"name":"tea","price":250}`)
	want(t, app, "GET", "/products/2", 409, "409 Conflict\nsold out\n")
	w := ask(app, "GET", "/products/3", "", "Accept", "application/json")
	if ct := w.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Error(ct)
	}
	w = ask(app, "GET", "/products/3", "", "Accept", "text/html")
	if ct := w.Header().Get("Content-Type"); ct != "text/html; charset=utf-8" {
		t.Error(ct)
	}
}

func TestErrorPages(t *testing.T) {
	app := pleat.New(pleat.Config{
		ErrorHandler: func(c *pleat.Context, err error) error {
			if pleat.StatusOf(err) >= 500 {
				c.Log().Warn().Msg("somebody should look at this")
			}
			return c.AnswerError(err)
		},
	})
	app.OnStatus(404, func(c *pleat.Context, err error) error {
		return c.HTML(404, "<h1>Nothing here</h1>")
	})
	want(t, app, "GET", "/none", 404, "<h1>Nothing here</h1>")
}

func TestStreams(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/clock", func(c *pleat.Context) error {
		return c.SSE(func(s *pleat.EventStream) error {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				if err := s.Send(render.Event{Name: "time", Data: time.Now().Format(time.RFC3339)}); err != nil {
					return err
				}
				select {
				case <-tick.C:
				case <-s.Done(): // the client left, or the server ends
					return nil
				}
			}
		})
	})

	base, stop := serve(t, app)
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q, _ := http.NewRequestWithContext(ctx, "GET", base+"/clock", nil)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line := make([]byte, 12)
	if _, err := io.ReadFull(resp.Body, line); err != nil || string(line) != "event: time\n" {
		t.Errorf("%q %v", line, err)
	}
}

// serve runs an app on pleat's own server.
func serve(t *testing.T, app *pleat.App) (base string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	return "http://" + l.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Error(err)
		}
	}
}
