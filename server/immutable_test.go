// SPDX-License-Identifier: MIT

package server_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pleat-go/pleat/server"
)

// seen is everything a handler can take out of a request.
type seen struct {
	r                                *server.HTTPRequest
	method, target, path, query      string
	host, field, cookie, form, queue string
	values                           []string
	header                           server.Header
	body                             []byte
	trailer                          string
	cookies                          []*http.Cookie
}

func look(r *server.HTTPRequest) (*seen, error) {
	s := &seen{
		r: r, method: r.Method(), target: r.Target(), path: r.Path(), query: r.RawQuery(), host: r.Host(),
		field: r.Header().Get("X-Number"), values: r.Header().Values("X-Many"), header: r.Header(), cookies: r.Cookies(),
		queue: r.QueryValue("q"),
	}
	s.cookie, _ = r.Cookie("number")
	if strings.HasPrefix(r.Header().Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := r.Form()
		if err != nil {
			return nil, err
		}
		s.form = form.Get("number")
		return s, nil
	}
	body, err := r.Body()
	s.body, s.trailer = body, r.Trailer().Get("X-Trailer")
	return s, err
}

// request composes request i, the same each time.
func request(i int) string {
	rnd := rand.New(rand.NewPCG(1, uint64(i)))
	pad := strings.Repeat(string(rune('a'+i%26)), rnd.IntN(200))
	var b strings.Builder
	fmt.Fprintf(&b, "%s /path/%d/%s?q=%d HTTP/1.1\r\nHost: h%d.example\r\nX-Number: %d\r\nX-Many: %s\r\nX-Many: %d\r\nCookie: number=%d; pad=%s\r\n",
		[]string{"GET", "POST", "PUT", "PATCH"}[i%4], i, pad, i, i, i, pad, i, i, pad)
	body := fmt.Sprintf("body %d ", i) + strings.Repeat("b", rnd.IntN(3000))
	switch i % 4 {
	case 1:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	case 2:
		half := len(body) / 2
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\nX-Trailer: %d\r\n\r\n", half, body[:half], len(body)-half, body[half:], i)
	case 3:
		form := fmt.Sprintf("number=%d&pad=%s", i, pad)
		fmt.Fprintf(&b, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form)
	default:
		b.WriteString("\r\n")
	}
	return b.String()
}

// check compares what was kept of request i with what was sent.
func (s *seen) check(t *testing.T, i int) {
	t.Helper()
	n := fmt.Sprint(i)
	again, err := look(s.r)
	if err != nil && !errors.Is(err, server.ErrRequestDone) {
		t.Errorf("request %d, again: %v", i, err)
	}
	for _, got := range []*seen{s, again} {
		if got == nil {
			continue
		}
		want := request(i)
		if !strings.HasPrefix(want, got.method+" "+got.target+" HTTP/1.1\r\n") || got.target != got.path+"?"+got.query {
			t.Fatalf("request %d has become %q %q %q %q", i, got.method, got.target, got.path, got.query)
		}
		pad := got.path[strings.LastIndexByte(got.path, '/')+1:]
		if got.host != "h"+n+".example" || got.field != n || got.cookie != n || got.queue != n || !slices.Equal(got.values, []string{pad, n}) ||
			got.header.Get("x-number") != n || len(got.cookies) != 2 || got.cookies[0].Value != n || got.cookies[1].Value != pad {
			t.Fatalf("request %d has become %+v", i, got)
		}
	}
	switch i % 4 {
	case 1, 2:
		if rest, ok := strings.CutPrefix(string(s.body), "body "+n+" "); !ok || strings.Trim(rest, "b") != "" {
			t.Fatalf("request %d: the body has become %q", i, clip(string(s.body)))
		}
		if i%4 == 2 && s.trailer != n {
			t.Fatalf("request %d: trailer %q", i, s.trailer)
		}
	case 3:
		if s.form != n {
			t.Fatalf("request %d: form %q", i, s.form)
		}
	}
}

// What a handler keeps of a request stays what it was, whatever the connection
// reads and writes afterwards.
func TestRequestsNeverChange(t *testing.T) {
	const total = 10_000
	kept := make([]*seen, 0, total)
	addr := startFunc(t, func(r *server.HTTPRequest) {
		s, err := look(r)
		if err != nil {
			t.Error(err)
		}
		kept = append(kept, s)
		_ = r.SendString(200, text, "answer to "+r.Target())
	})
	c := dial(t, addr)
	for sent := 0; sent < total; {
		batch := 1 + sent%7
		batch = min(batch, total-sent)
		var b strings.Builder
		for i := range batch {
			b.WriteString(request(sent + i))
		}
		c.send("%s", b.String())
		for i := range batch {
			want := "answer to " + strings.Fields(request(sent + i))[1]
			c.wantAnswer(200, want)
		}
		sent += batch
	}
	if len(kept) != total {
		t.Fatalf("%d requests served, want %d", len(kept), total)
	}
	for i, s := range kept {
		s.check(t, i)
	}
}

// Goroutines that go on using a request after its handler returned get
// ErrRequestDone and reach nobody.
func TestDoneRequestsReachNobody(t *testing.T) {
	const connections, requests = 6, 80
	stop := make(chan struct{})
	var strays sync.WaitGroup
	var refused atomic.Int64
	addr := startFunc(t, func(r *server.HTTPRequest) {
		returned := make(chan struct{})
		strays.Go(func() {
			<-returned
			stray(t, r, &refused)
			for range 50 {
				select {
				case <-stop:
					return
				default:
				}
				stray(t, r, &refused)
			}
		})
		n := r.Header().Get("X-Number")
		switch n[len(n)-1] % 3 {
		case 0:
			_ = r.SendString(200, text, "answer "+n)
		case 1:
			_, _ = r.WriteString("answer ")
			_ = r.Flush()
			_, _ = r.WriteString(n)
		case 2:
			w := r.ResponseWriter()
			_, _ = io.WriteString(w, "answer "+n)
		}
		r.OnFinish(func() { close(returned) }) // before the connection goes on
	})
	var clients sync.WaitGroup
	for k := range connections {
		clients.Go(func() {
			c := dial(t, addr)
			for i := range requests {
				n := k*requests + i
				c.send("POST / HTTP/1.1\r\nHost: h\r\nX-Number: %d\r\nContent-Length: 6\r\n\r\nunread", n)
				res, err := http.ReadResponse(c.r, nil)
				if err != nil {
					t.Errorf("connection %d, request %d: %v", k, i, err)
					return
				}
				body, err := io.ReadAll(res.Body)
				if err != nil || string(body) != fmt.Sprintf("answer %d", n) || res.Header.Get("X-Stray") != "" || res.StatusCode != 200 {
					t.Errorf("connection %d, request %d: %d %q %v %v", k, i, res.StatusCode, body, res.Header, err)
					return
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	strays.Wait()
	if refused.Load() == 0 {
		t.Error("no stray was refused: the test tests nothing")
	}
}

// stray does everything to a request that is done. It may start just before the
// request is, when some of it still gets other errors.
func stray(t *testing.T, r *server.HTTPRequest, refused *atomic.Int64) {
	over := func(what string, err error) {
		switch {
		case errors.Is(err, server.ErrRequestDone):
			refused.Add(1)
		case !errors.Is(err, server.ErrCommitted):
			t.Errorf("%s on a request that is done: %v", what, err)
		}
	}
	_, err := r.WriteString("stray")
	over("Write", err)
	_, err = r.Write(make([]byte, 32<<10))
	over("Write", err)
	_, err = r.ReadFrom(strings.NewReader("stray"))
	over("ReadFrom", err)
	over("Flush", r.Flush())
	over("SetHeader", r.SetHeader("X-Stray", "1"))
	over("SetStatus", r.SetStatus(500))
	over("SendString", r.SendString(500, text, "stray"))
	over("SendInformational", r.SendInformational(103, nil))
	over("SendFile", r.SendContent("stray.txt", r.Time(), strings.NewReader("stray"), server.FileOptions{}))
	over("SetCookie", r.SetCookie(&http.Cookie{Name: "stray", Value: "1"}))
	over("ResetResponse", r.ResetResponse())
	_, _, err = r.Hijack()
	over("Hijack", err)
	w := r.ResponseWriter()
	w.Header().Set("X-Stray", "1")
	_, err = io.WriteString(w, "stray")
	over("ResponseWriter.Write", err)
	r.DelHeader("Content-Type")
	_ = r.SetTrailer("X-Stray", "1")
	if !r.Committed() {
		t.Error("a request that is done is not Committed")
	}
	r.SetBodyLimit(1)
	_, err = r.Body()
	over("Body", err)
	_ = r.Context().Err()
}
