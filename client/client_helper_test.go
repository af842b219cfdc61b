// SPDX-License-Identifier: MIT

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pleat-go/pleat/client"
)

// pathServer is a transport that answers with the path, as status when it is a number; /fail does not get through, and
// /wait does when gate is closed.
type pathServer struct {
	mu       sync.Mutex
	paths    []string
	now, max int
	gate     chan struct{}
}

func (s *pathServer) RoundTrip(q *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.paths = append(s.paths, q.Method+" "+q.URL.Path)
	s.now++
	s.max = max(s.max, s.now)
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.now--; s.mu.Unlock() }()
	status := 200
	switch path := q.URL.Path[1:]; path {
	case "fail":
		return nil, errors.New("no route")
	case "wait":
		select {
		case <-s.gate:
		case <-q.Context().Done():
			return nil, q.Context().Err()
		}
	default:
		fmt.Sscanf(path, "%d", &status)
	}
	return answer(q, status, q.URL.Path), nil
}

func (s *pathServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.paths)
}

func TestHelperDo(t *testing.T) {
	s := &pathServer{}
	c := client.HTTPClient{Transport: s}
	h := c.Post("http://h/a").Get("http://h/b").Put("http://h/404")
	if s.count() != 0 {
		t.Fatal("a call was made before it was asked for")
	}
	r, err := h.Do()
	if err != nil || r.Status != 404 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := strings.Join(s.paths, ", "); got != "POST /a, GET /b, PUT /404" {
		t.Errorf("made %s", got)
	}
	again, err := h.Do()
	if again != r || err != nil || s.count() != 3 {
		t.Errorf("a second Do gave %p, %v, and %d calls were made", again, err, s.count())
	}
	all, err := h.Fetch()
	if err != nil || len(all) != 3 || all[2] != r {
		t.Fatalf("Fetch after Do: %v, %v", all, err)
	}
	if s, err := all[0].Text(); err != nil || s != "/a" {
		t.Errorf("first answer %q, %v", s, err)
	}
	if r, err := h.Delete("http://h/c").Do(); err != nil || r.Status != 200 || s.count() != 4 {
		t.Errorf("a call added later: %v, %v", r, err)
	}
}

func TestHelperDoStopsAtFirstError(t *testing.T) {
	s := &pathServer{}
	c := client.HTTPClient{Transport: s}
	h := c.Get("http://h/a").Get("http://h/fail").Get("http://h/b")
	if r, err := h.Do(); err == nil || r != nil {
		t.Errorf("%v, %v", r, err)
	}
	if s.count() != 2 {
		t.Errorf("%d calls were made, want 2", s.count())
	}
	all, err := h.Fetch()
	if err == nil || len(all) != 3 || all[0] == nil || all[1] != nil || all[2] == nil || s.count() != 3 {
		t.Errorf("Fetch afterwards: %v, %v, %d calls", all, err, s.count())
	}
}

func TestHelperVerbs(t *testing.T) {
	s := &pathServer{}
	c := client.HTTPClient{Transport: s}
	const u = "http://h/"
	for _, h := range []*client.ClientHelper{
		c.Get(u).Get(u), c.Head(u).Head(u), c.Post(u).Post(u), c.Put(u).Put(u), c.Patch(u).Patch(u), c.Delete(u).Delete(u),
		c.Options(u).Options(u), c.Call("PURGE", u).Call("PURGE", u),
	} {
		if r, err := h.Do(); err != nil {
			t.Error(err)
		} else {
			r.Close()
		}
	}
	want := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"}
	for i, got := range s.paths {
		if got != want[i/2]+" /" {
			t.Errorf("call %d was %s", i, got)
		}
	}
}

func TestHelperShortEndings(t *testing.T) {
	c := client.HTTPClient{Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
		status := 200
		if q.URL.Path == "/bad" {
			status = 422
		}
		return answer(q, status, `{"a":1}`, "Content-Type", "application/json"), nil
	})}
	var v struct{ A int }
	if err := c.Get("http://h/").JSON(&v); err != nil || v.A != 1 {
		t.Errorf("JSON: %v, %+v", err, v)
	}
	if s, err := c.Get("http://h/").Text(); err != nil || s != `{"a":1}` {
		t.Errorf("Text: %q, %v", s, err)
	}
	v.A = 7
	err := c.Get("http://h/bad").JSON(&v)
	var se *client.StatusError
	if !errors.As(err, &se) || se.Response.Status != 422 || v.A != 7 {
		t.Fatalf("%v, %+v", err, v)
	}
	if err := se.Response.JSON(&v); err != nil || v.A != 1 {
		t.Errorf("the answer behind the error: %v, %+v", err, v)
	}
	if _, err := c.Get("http://h/bad").Text(); !errors.As(err, &se) {
		t.Errorf("Text: %v", err)
	}
	if b, err := c.Get("http://h/bad").Bytes(); !errors.As(err, &se) || b != nil {
		t.Errorf("Bytes: %q, %v", b, err)
	}
}

func TestFetch(t *testing.T) {
	s := &pathServer{gate: make(chan struct{})}
	close(s.gate)
	c := client.HTTPClient{Transport: s, Concurrency: 3}
	h := c.Get("http://h/200")
	for i := range 40 {
		h.Get(fmt.Sprintf("http://h/%d", 400+i))
	}
	h.Get("http://h/fail").Get("::").Get("http://h/wait")
	all, err := h.Fetch()
	if len(all) != 44 || all[41] != nil || all[42] != nil {
		t.Fatalf("%d responses", len(all))
	}
	for i, r := range all[1:41] {
		if b, err := r.Bytes(); err != nil || r.Status != 400+i || string(b) != fmt.Sprintf("/%d", 400+i) {
			t.Errorf("answer %d: %d %q, %v", i, r.Status, b, err)
		}
	}
	if !errors.Is(err, client.ErrURL) || !strings.Contains(err.Error(), "no route") {
		t.Errorf("error %v, want both", err)
	}
	if s.max > 3 {
		t.Errorf("%d at once, want at most 3", s.max)
	}
}

// TestFetchCancel cancels one of several calls, by its own context.
func TestFetchCancel(t *testing.T) {
	s := &pathServer{gate: make(chan struct{})}
	c := client.HTTPClient{Transport: s}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	all, err := c.Get("http://h/a").Get("http://h/wait", client.WithContext(ctx)).Get("http://h/b").Fetch()
	if !errors.Is(err, context.Canceled) || all[0] == nil || all[1] != nil || all[2] == nil {
		t.Errorf("%v, %v", all, err)
	}
}

func TestEach(t *testing.T) {
	s := &pathServer{gate: make(chan struct{})}
	c := client.HTTPClient{Transport: s, Concurrency: 2}
	h := c.Get("http://h/wait").Get("http://h/201").Get("http://h/202")
	var got []int
	for r, err := range h.Each() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Status)
		if r.Status == 202 {
			close(s.gate) // the first call is the last to be answered
		}
	}
	if !slices.Equal(got, []int{201, 202, 200}) {
		t.Errorf("arrived %v", got)
	}
	n := 0
	for range h.Each() {
		n++
	}
	if n != 3 || s.count() != 3 {
		t.Errorf("a second Each yields %d, %d calls made", n, s.count())
	}
}

// TestEachBreak leaves the loop while a call hangs and others have not begun.
func TestEachBreak(t *testing.T) {
	s := &pathServer{gate: make(chan struct{})}
	c := client.HTTPClient{Transport: s, Concurrency: 2}
	h := c.Get("http://h/wait").Get("http://h/201")
	for range 20 {
		h.Get("http://h/wait")
	}
	for range h.Each() {
		break
	}
	if n := s.count(); n > 4 {
		t.Errorf("%d calls were made", n)
	}
	// The same when the loop does not end but is left by a panic.
	func() {
		defer func() { recover() }()
		for range c.Get("http://h/wait").Get("http://h/201").Each() {
			panic("out")
		}
	}()
}

func TestHelperBusy(t *testing.T) {
	s := &pathServer{gate: make(chan struct{})}
	var h *client.ClientHelper
	var inner []error
	c := client.HTTPClient{Transport: s, ResponseHandler: func(*client.HTTPResponse, error) {
		_, err := h.Do()
		inner = append(inner, err)
		_, err = h.Fetch()
		inner = append(inner, err)
		for _, err := range h.Each() {
			inner = append(inner, err)
		}
		h.Handle(func(_ *client.HTTPResponse, err error) { inner = append(inner, err) })
	}}
	h = c.Get("http://h/a")
	if _, err := h.Do(); err != nil {
		t.Fatal(err)
	}
	if len(inner) != 4 {
		t.Fatalf("%v", inner)
	}
	for _, err := range inner {
		if !errors.Is(err, client.ErrHelperBusy) {
			t.Errorf("%v, want ErrHelperBusy", err)
		}
	}
}

func TestHandle(t *testing.T) {
	s := &pathServer{}
	c := client.HTTPClient{Transport: s, ResponseHandler: func(*client.HTTPResponse, error) { t.Error("the client's handler was called") }}
	var got []string
	var kept *client.HTTPResponse
	handler := func(r *client.HTTPResponse, err error) {
		if err != nil {
			got = append(got, "error")
			return
		}
		text, err := r.Text()
		got = append(got, fmt.Sprint(r.Status, text, err))
		kept = r
	}
	h := c.Get("http://h/201").Handle(handler)
	if s.count() != 1 || len(got) != 1 {
		t.Fatalf("Handle made %d calls and handled %v", s.count(), got)
	}
	h.Get("http://h/202").Get("http://h/fail").Get("http://h/204").Handle(handler)
	if want := []string{"201/201<nil>", "202/202<nil>", "error", "204<nil>"}; !slices.Equal(got, want) {
		t.Errorf("handled %q, want %q", got, want)
	}
	if s.count() != 4 {
		t.Errorf("%d calls, want 4", s.count())
	}
	if _, err := kept.Text(); err != nil {
		t.Errorf("what was read in the handler: %v", err)
	}
	all, err := h.Fetch()
	if len(all) != 4 || err == nil || !strings.Contains(err.Error(), "no route") {
		t.Errorf("Fetch: %v, %v", all, err)
	}

	// With one call the body is not read before the handler has it, and closed after it.
	c.Get("http://h/200").Handle(func(r *client.HTTPResponse, _ error) { kept = r })
	if _, err := io.ReadAll(kept.Body()); !errors.Is(err, client.ErrBodyClosed) {
		t.Errorf("body after the handler: %v", err)
	}
	if _, err := (&client.HTTPClient{Transport: s}).Get("http://h/").Handle(nil).Do(); !errors.Is(err, client.ErrOption) {
		t.Errorf("nil handler: %v", err)
	}
}

func TestHandlerPanics(t *testing.T) {
	cause := errors.New("boom")
	var calls atomic.Int32
	c := client.HTTPClient{Transport: &pathServer{}, ResponseHandler: func(*client.HTTPResponse, error) {
		calls.Add(1)
		panic(cause)
	}}
	for name, err := range map[string]error{
		"Do":     second(c.Get("http://h/").Do()),
		"Fetch":  second(c.Get("http://h/").Get("http://h/b").Fetch()),
		"failed": second(c.Get("http://h/fail").Do()),
		"Handle": second(c.Get("http://h/").Handle(func(*client.HTTPResponse, error) { panic(cause) }).Do()),
	} {
		var pe *client.PanicError
		var ce *client.Error
		if !errors.As(err, &pe) || !errors.Is(err, cause) || !errors.As(err, &ce) || ce.Phase != client.PhaseHandler || len(pe.Stack) == 0 {
			t.Errorf("%s: %v", name, err)
		}
		if name == "failed" && !strings.Contains(err.Error(), "no route") {
			t.Errorf("the call's own error is lost: %v", err)
		}
	}
	if calls.Load() != 4 {
		t.Errorf("handler called %d times, want 4", calls.Load())
	}
}

func second[T any](_ T, err error) error { return err }

func TestOnHeaders(t *testing.T) {
	refused := errors.New("not that type")
	var body *closeCounter
	c := client.HTTPClient{
		Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
			res := answer(q, 200, "abc", "Content-Type", "video/mp4")
			body = &closeCounter{Reader: res.Body}
			res.Body = body
			return res, nil
		}),
		OnHeaders: func(r *client.HTTPResponse) error {
			if r.Header.Get("Content-Type") != "text/plain" {
				return refused
			}
			return nil
		},
	}
	if r, err := c.Get("http://h/").Do(); !errors.Is(err, refused) || r != nil {
		t.Errorf("%v, %v", r, err)
	}
	if body.closed.Load() == 0 {
		t.Error("the body was not closed")
	}
	p := client.HTTPClient{Transport: &pathServer{}, OnHeaders: func(*client.HTTPResponse) error { panic("x") }}
	var pe *client.PanicError
	if _, err := p.Get("http://h/").Do(); !errors.As(err, &pe) {
		t.Errorf("panic: %v", err)
	}
}

type closeCounter struct {
	io.Reader
	closed atomic.Int32
}

func (c *closeCounter) Close() error { c.closed.Add(1); return nil }

func TestOnProgress(t *testing.T) {
	var received, total int64
	calls := 0
	c := client.HTTPClient{
		Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
			return answer(q, 200, strings.Repeat("x", 100_000)), nil
		}),
		OnProgress: func(r *client.HTTPResponse, n, of int64) {
			if n < received || r.Status != 200 {
				t.Errorf("%d after %d", n, received)
			}
			received, total = n, of
			calls++
		},
	}
	if _, err := c.Get("http://h/").Bytes(); err != nil {
		t.Fatal(err)
	}
	if received != 100_000 || total != 100_000 || calls == 0 {
		t.Errorf("%d of %d in %d calls", received, total, calls)
	}
	// A hook may close the response it is told about.
	c2 := client.HTTPClient{Transport: c.Transport, OnProgress: func(r *client.HTTPResponse, _, _ int64) { r.Close() }}
	r, err := c2.Get("http://h/").Do()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r.Body()); !errors.Is(err, client.ErrBodyClosed) {
		t.Errorf("closed on the way: %v", err)
	}
}

// TestClientConcurrently uses one client, unused before, from many goroutines.
func TestClientConcurrently(t *testing.T) {
	r := newRig(t)
	c := r.client(t, &client.HTTPClient{Jar: client.NewJar(), BaseURL: r.A})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			b := c.Bind(client.Binding{RequestID: "x"})
			for range 10 {
				all, err := b.Get("/land").Get(to(302, "/land")+"&c=a%3D1").Post("/land", client.WithJSON(i)).Fetch()
				if err != nil || len(all) != 3 {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
