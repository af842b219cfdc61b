// SPDX-License-Identifier: MIT

package pleat_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

func TestEarlyHints(t *testing.T) {
	const css, js = `</app.css>; rel=preload; as=style`, `<https://cdn.example/a.js>; rel="preload"; as=script; crossorigin`
	overAll(t, nil, func(app *pleat.App) {
		app.GET("/", func(c *pleat.Context) error {
			if err := c.SetHeader("X-Final", "yes"); err != nil {
				return err
			}
			if err := c.EarlyHints(css, js); err != nil {
				return err
			}
			if err := c.Informational(102, http.Header{}); err != nil {
				return err
			}
			return c.Text(200, "done")
		})
	}, func(t *testing.T, s *site) {
		var hints []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h["Link"], h["X-Final"]))
			return nil
		}}
		q, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", s.url+"/", nil)
		resp, err := s.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("[103 [%s %s] [] 102 [] []]", css, js); fmt.Sprint(hints) != want || string(body) != "done" || resp.Header.Get("X-Final") != "yes" {
			t.Errorf("got %v, %q, %v", hints, body, resp.Header)
		}
		if resp.Header.Get("Link") != "" {
			t.Error("the hints are in the answer, too")
		}
	})
}

// The octets, and that HTTP/1.0 clients, who do not know of them, get none.
func TestEarlyHintsOctets(t *testing.T) {
	overHTTP1(t, nil, func(app *pleat.App) {
		app.GET("/", func(c *pleat.Context) error {
			if err := c.EarlyHints(`</a.css>; rel=preload`); err != nil {
				return err
			}
			return c.Text(200, "done")
		})
	}, func(t *testing.T, s *site) {
		for version, want := range map[string]string{
			"1.1": "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n",
			"1.0": " 200 OK\r\n", // net/http answers with HTTP/1.0, this server with its own version
		} {
			conn := s.socket()
			if _, err := io.WriteString(conn, "GET / HTTP/"+version+"\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(conn)
			if err != nil || !strings.Contains(string(got), want) || !strings.HasSuffix(string(got), "done") {
				t.Errorf("%s: got %q, %v", version, got, err)
			}
			if version == "1.0" {
				lacks(t, string(got), "103", "Link")
			}
		}
	})
}

func TestEarlyHintsRefused(t *testing.T) {
	good := []string{
		`</a>;rel=preload`, `<a>; as=style; rel = "preload"`, `<>;rel=self`, `<?q>;rel=next;title="a, \"b\"; c"`, "</a> ; rel=x ; y",
		`</a>; rel=preload; title*=UTF-8''x`,
	}
	bad := []string{
		"", "</a>", "/a; rel=preload", "</a; rel=preload", "</a>; rel", "</a>; rel=", `</a>; rel="x`, "</a> rel=x", "</a>; rel=x; ", "</a>; as=style",
		"</a>; rel=x, </b>; rel=y", "</a b>; rel=x", "</é>; rel=x", "</a>; rel=x\r\nX: y", "</a\r\n>; rel=x", `</a>; rel="x` + "\r\n" + `y"`,
		`</a>; rel="x\`, "<<a>; rel=x", "</a>; =x; rel=x", "</a>; rel=x\x00",
	}
	isGood := map[string]bool{"</a>; rel": true}
	for _, link := range good {
		isGood[link] = true
	}
	app := pleat.New(pleat.Config{})
	app.GET("/", func(c *pleat.Context) error {
		for _, link := range append(good, bad...) {
			err := c.EarlyHints(link)
			if isGood[link] && err != nil || !isGood[link] && !errors.Is(err, server.ErrInvalidHeader) {
				t.Errorf("EarlyHints(%q) = %v", link, err)
			}
		}
		if err := c.EarlyHints(); err != nil {
			t.Error(err)
		}
		for _, status := range []int{99, 100, 101, 200} {
			if err := c.Informational(status, nil); !errors.Is(err, server.ErrInvalidStatus) {
				t.Errorf("Informational(%d) = %v", status, err)
			}
		}
		if err := c.Flush(); err != nil {
			return err
		}
		if err := c.EarlyHints(good[0]); !errors.Is(err, server.ErrCommitted) {
			t.Errorf("behind the head: %v", err)
		}
		return nil
	})
	if a := serve(t, app).get("/"); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestTrailersBothWays(t *testing.T) {
	overAll(t, nil, func(app *pleat.App) {
		app.POST("/", func(c *pleat.Context) error {
			if n := c.Trailer().Len(); n != 0 {
				t.Errorf("%d fields before the body has been read", n)
			}
			body, err := c.Body()
			if err != nil {
				return err
			}
			for name, value := range map[string]string{"X\r\nY": "x", "X": "a\r\nb", "Content-Length": "1", "Transfer-Encoding": "chunked"} {
				if err := c.SetTrailer(name, value); !errors.Is(err, server.ErrInvalidHeader) {
					t.Errorf("SetTrailer(%q, %q) = %v", name, value, err)
				}
			}
			if err := c.SetTrailer("X-Sum", c.Trailer().Get("X-Sum")+fmt.Sprint(len(body))); err != nil {
				return err
			}
			if _, err := c.WriteString("read"); err != nil {
				return err
			}
			if err := c.Flush(); err != nil {
				return err
			}
			return c.SetTrailer("X-End", "fine")
		})
	}, func(t *testing.T, s *site) {
		q, _ := http.NewRequestWithContext(t.Context(), "POST", s.url+"/", io.MultiReader(strings.NewReader("0123456789")))
		q.Trailer = http.Header{"X-Sum": {"sum"}}
		resp, err := s.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if string(body) != "read" || err != nil || resp.Trailer.Get("X-Sum") != "sum10" || resp.Trailer.Get("X-End") != "fine" {
			t.Errorf("%q, %v, %v", body, err, resp.Trailer)
		}
	})
}

// A line is answered before the next one is sent.
func TestFullDuplex(t *testing.T) {
	overAll(t, nil, func(app *pleat.App) {
		app.POST("/echo", func(c *pleat.Context) error {
			if err := c.FullDuplex(); err != nil {
				return err
			}
			if err := c.SetHeader("Content-Type", "text/plain"); err != nil {
				return err
			}
			lines := bufio.NewScanner(c.Request().BodyReader())
			for lines.Scan() {
				if _, err := c.WriteString("echo " + lines.Text() + "\n"); err != nil {
					return err
				}
				if err := c.Flush(); err != nil {
					return err
				}
			}
			return lines.Err()
		})
	}, func(t *testing.T, s *site) {
		for _, first := range []string{"", "early "} { // what is sent with the head, and what is not
			pr, pw := io.Pipe()
			defer pw.Close()
			q, _ := http.NewRequestWithContext(t.Context(), "POST", s.url+"/echo", pr)
			go func() { _, _ = io.WriteString(pw, first+"line 0\n") }()
			resp, err := s.client.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			br := bufio.NewReader(resp.Body)
			for i := range 50 {
				want := fmt.Sprintf("echo line %d\n", i)
				if i == 0 {
					want = "echo " + first + "line 0\n"
				}
				if got, err := br.ReadString('\n'); got != want || err != nil {
					t.Fatalf("got %q, %v, want %q", got, err, want)
				}
				if _, err := fmt.Fprintf(pw, "line %d\n", i+1); err != nil {
					t.Fatal(err)
				}
			}
			_ = pw.Close()
			if rest, err := io.ReadAll(br); string(rest) != "echo line 50\n" || err != nil {
				t.Errorf("at the end %q, %v", rest, err)
			}
			resp.Body.Close()
		}
	})
}

// Reading and writing may go on at the same time, in two goroutines.
func TestFullDuplexAtOnce(t *testing.T) {
	const size = 8 << 20
	overAll(t, nil, func(app *pleat.App) {
		app.POST("/", func(c *pleat.Context) error {
			c.Request().SetBodyLimit(size)
			if err := c.FullDuplex(); err != nil {
				return err
			}
			got := make(chan error, 1)
			go func() {
				n, err := io.Copy(io.Discard, c.Request().BodyReader())
				if n != size && err == nil {
					err = fmt.Errorf("%d octets came", n)
				}
				got <- err
			}()
			for range size >> 16 {
				if _, err := c.Write(make([]byte, 1<<16)); err != nil {
					return err
				}
			}
			return <-got
		})
	}, func(t *testing.T, s *site) {
		pr, pw := io.Pipe()
		go func() {
			for range size >> 16 {
				if _, err := pw.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
			_ = pw.Close()
		}()
		q, _ := http.NewRequestWithContext(t.Context(), "POST", s.url+"/", pr)
		resp, err := s.client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
			t.Errorf("%d octets, %v", n, err)
		}
	})
}

// A peer that pauses is too slow for MinRate, unless the handler gives it its time.
func TestFullDuplexPause(t *testing.T) {
	for _, engine := range []server.Engine{server.EngineAuto, server.EngineGoroutine} {
		app := pleat.New(pleat.Config{Server: &server.HTTPServer{Engine: engine, RateGrace: 100 * time.Millisecond}})
		sent := make(chan struct{})
		app.POST("/:patience", func(c *pleat.Context) error {
			if c.Param("patience") == "long" {
				if err := c.Request().SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
					return err
				}
			}
			<-sent // waiting begins when there is nothing to wait for yet
			lines := bufio.NewScanner(c.Request().BodyReader())
			for lines.Scan() {
				if _, err := c.WriteString(lines.Text() + "\n"); err != nil {
					return err
				}
				if err := c.Flush(); err != nil {
					return err
				}
			}
			if errors.Is(lines.Err(), server.ErrBodyTimeout) {
				_, _ = c.WriteString("slow\n")
			}
			return nil
		})
		s := serve(t, app)
		for patience, want := range map[string]string{"long": "bye\n", "short": "slow\n"} {
			ctx, cancel := context.WithCancel(t.Context())
			pr, pw := io.Pipe()
			q, _ := http.NewRequestWithContext(ctx, "POST", s.url+"/"+patience, pr)
			go func() {
				_, _ = io.WriteString(pw, "hello\n")
				_, _ = pw.Write(nil) // is taken when the line has been sent
				sent <- struct{}{}
			}()
			resp, err := s.client.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			br := bufio.NewReader(resp.Body)
			if got, err := br.ReadString('\n'); got != "hello\n" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			if patience == "long" {
				time.Sleep(300 * time.Millisecond) // a pause is what this is about
				go func() { _, _ = io.WriteString(pw, "bye\n"); _ = pw.Close() }()
			}
			if got, err := br.ReadString('\n'); got != want || err != nil {
				t.Errorf("%v %s: got %q, %v", engine, patience, got, err)
			}
			_ = pw.Close()
			cancel()
			resp.Body.Close()
		}
	}
}
