// SPDX-License-Identifier: MIT

package client_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pleat-go/pleat/client"
)

type ctxKey struct{}

func TestBindContext(t *testing.T) { synctest.Test(t, testBindContext) }

// testBindContext runs in a bubble: its calls are under way when their time is over.
func testBindContext(t *testing.T) {
	var seen context.Context
	base := client.HTTPClient{Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
		seen = q.Context()
		<-seen.Done()
		return nil, context.Cause(seen)
	})}
	gone := errors.New("the client hung up")
	ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), ctxKey{}, "v"))
	c := base.Bind(client.Binding{Context: ctx})
	time.AfterFunc(time.Second, func() { cancel(gone) })
	_, err := c.Get("http://h/").Do()
	if !errors.Is(err, context.Canceled) || !errors.Is(err, gone) || !strings.Contains(err.Error(), "hung up") {
		t.Errorf("error %v, want the cause in it", err)
	}
	if _, err := c.Get("http://h/").Do(); !errors.Is(err, gone) {
		t.Errorf("a call after the end: %v", err)
	}

	d := c.Detached()
	own, cancelOwn := context.WithCancel(t.Context())
	cancelOwn()
	if _, err := d.Get("http://h/", client.WithTimeout(time.Millisecond)).Do(); !errors.Is(err, context.DeadlineExceeded) || seen.Value(ctxKey{}) != "v" {
		t.Errorf("detached: %v", err)
	}
	if _, err := d.Get("http://h/", client.WithContext(own)).Do(); !errors.Is(err, context.Canceled) {
		t.Errorf("a context of the call's own: %v", err)
	}
	if base.Detached() != &base {
		t.Error("an unbound client was detached from something")
	}
	if (&client.HTTPClient{Transport: base.Transport, Timeout: 7}).Bind(client.Binding{}).Timeout != 7 {
		t.Error("a bound client does not show the fields")
	}
}

func TestBindDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var deadline time.Time
		base := client.HTTPClient{Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
			deadline, _ = q.Context().Deadline()
			return answer(q, 200, "ok"), nil
		})}
		start := time.Now()
		for _, tt := range []struct {
			name   string
			parent time.Duration
			opts   []client.CallOption
			want   time.Duration // 0: no deadline
		}{
			{name: "default", want: 30 * time.Second},
			{name: "shorter context", parent: time.Second, want: time.Second},
			{name: "longer context", parent: time.Hour, want: 30 * time.Second},
			{name: "longer call in a shorter context", parent: time.Second, opts: []client.CallOption{client.WithTimeout(time.Minute)}, want: time.Second},
			{name: "longer call", opts: []client.CallOption{client.WithTimeout(time.Minute)}, want: time.Minute},
			{name: "none", opts: []client.CallOption{client.WithTimeout(-1)}},
		} {
			ctx := t.Context()
			if tt.parent > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.parent)
				defer cancel()
			}
			if _, err := base.Bind(client.Binding{Context: ctx}).Get("http://h/", tt.opts...).Bytes(); err != nil {
				t.Fatal(err)
			}
			if got := deadline.Sub(start); tt.want == 0 != deadline.IsZero() || tt.want != 0 && got != tt.want {
				t.Errorf("%s: deadline after %v, want %v", tt.name, got, tt.want)
			}
		}
	})
}

func TestPropagate(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, tt := range []struct {
		name, base string
		propagate  []string
		url        string
		redirect   string
		want       []bool // by hop
	}{
		{name: "nobody", url: "http://api/", want: []bool{false}},
		{name: "base", base: "http://api/v1", url: "x", want: []bool{true}},
		{name: "base, elsewhere", base: "http://api/v1", url: "http://other/", want: []bool{false}},
		{name: "origin", propagate: []string{"http://api:8080"}, url: "http://API:8080/", want: []bool{true}},
		{name: "origin, other port", propagate: []string{"http://api:8080"}, url: "http://api/", want: []bool{false}},
		{name: "origin, other scheme", propagate: []string{"https://api"}, url: "http://api/", want: []bool{false}},
		{name: "host", propagate: []string{"other", "API."}, url: "https://api:99/", want: []bool{true}},
		{name: "IPv6 host", propagate: []string{"[::1]"}, url: "http://[::1]:99/", want: []bool{true}},
		{name: "subdomain", propagate: []string{"api"}, url: "http://evil.api/", want: []bool{false}},
		{name: "away and lost", propagate: []string{"api"}, url: "http://api/", redirect: "http://evil/", want: []bool{true, false}},
		{name: "away and found", propagate: []string{"api"}, url: "http://evil/", redirect: "http://api/", want: []bool{false, true}},
		{name: "twice", propagate: []string{"api"}, url: "http://api/", redirect: "http://api/x", want: []bool{true, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []bool
			base := client.HTTPClient{BaseURL: tt.base, Propagate: tt.propagate, Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
				id, tp := q.Header.Get("X-Request-Id"), q.Header.Get("Traceparent")
				if id != "" && id != "r1" || tp != "" && tp != trace || (id == "") != (tp == "") {
					t.Errorf("sent %q, %q", id, tp)
				}
				got = append(got, id != "")
				if tt.redirect != "" && len(got) == 1 {
					return answer(q, 302, "", "Location", tt.redirect), nil
				}
				return answer(q, 200, "ok"), nil
			})}
			r, err := base.Bind(client.Binding{RequestID: "r1", Traceparent: trace}).Get(tt.url).Do()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			if !slices.Equal(got, tt.want) {
				t.Errorf("sent at hops %v, want %v", got, tt.want)
			}
			for _, hop := range r.History {
				if len(hop.Dropped) != 0 {
					t.Errorf("dropped %v, which the caller had not set", hop.Dropped)
				}
			}
		})
	}
	var got http.Header
	base := client.HTTPClient{BaseURL: "http://api", Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
		got = q.Header
		return answer(q, 200, ""), nil
	})}
	b := client.Binding{RequestID: "r1", Traceparent: trace}
	base.Bind(b).Get("/", client.WithHeader("X-Request-Id", "mine"), client.WithHeader("Traceparent")).Bytes()
	if got.Get("X-Request-Id") != "mine" || got.Get("Traceparent") != "" {
		t.Errorf("the call's own fields: %v", got)
	}
	if _, err := base.Bind(client.Binding{RequestID: "a\r\nb"}).Get("/").Do(); !errors.Is(err, client.ErrHeader) {
		t.Errorf("a bad request id: %v", err)
	}
}

func TestBudget(t *testing.T) {
	sent := 0
	base := client.HTTPClient{MaxRedirects: 100, Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
		sent++
		if q.URL.Path == "/end" {
			return answer(q, 200, ""), nil
		}
		return answer(q, 302, "", "Location", q.URL.Path+"x"), nil
	})}
	many := func(c *client.HTTPClient, n int) (err error) {
		for range n {
			if _, e := c.Get("http://h/end").Bytes(); e != nil {
				err = e
			}
		}
		return err
	}
	for _, tt := range []struct {
		binding client.Binding
		want    int
	}{{client.Binding{}, 100}, {client.Binding{MaxCalls: 3}, 3}, {client.Binding{MaxCalls: -1}, 150}} {
		sent = 0
		err := many(base.Bind(tt.binding), 150)
		if sent != tt.want || (tt.want < 150) != errors.Is(err, client.ErrBudget) {
			t.Errorf("%+v: %d calls, %v", tt.binding, sent, err)
		}
	}
	for _, tt := range []struct {
		binding client.Binding
		want    int
	}{{client.Binding{}, 21}, {client.Binding{MaxHops: 3}, 4}, {client.Binding{MaxHops: -1}, 101}} {
		sent = 0
		c := base.Bind(tt.binding)
		r, err := c.Get("http://h/").Do()
		var re *client.RedirectError
		if sent != tt.want || r == nil || !errors.As(err, &re) || errors.Is(err, client.ErrBudget) != (tt.want < 101) {
			t.Errorf("%+v: %d requests, %v", tt.binding, sent, err)
		}
		if tt.want < 101 {
			if _, err := c.Detached().Get("http://h/").Do(); !errors.Is(err, client.ErrBudget) {
				t.Errorf("the budget is not that of the binding: %v", err)
			}
		}
	}
	// Calls that fail before they are made cost nothing.
	c := base.Bind(client.Binding{MaxCalls: 1})
	c.Get("::").Do()
	if _, err := c.Get("http://h/end").Bytes(); err != nil {
		t.Error(err)
	}
}

func TestOnDone(t *testing.T) {
	var mu sync.Mutex
	var stats, own []client.Stats
	base := client.HTTPClient{
		Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
			switch q.URL.Path {
			case "/fail":
				return nil, errors.New("no route")
			case "/to":
				return answer(q, 303, "", "Location", "http://u:p@other:81/land?token=s#f"), nil
			case "/loop":
				return answer(q, 302, "", "Location", "/loop"), nil
			case "/cut":
				res := answer(q, 200, "abc")
				res.ContentLength = 5
				return res, nil
			}
			return answer(q, 200, "0123456789"), nil
		}),
		OnDone: func(s client.Stats) { mu.Lock(); own = append(own, s); mu.Unlock() },
	}
	c := base.Bind(client.Binding{OnDone: func(s client.Stats) { mu.Lock(); stats = append(stats, s); mu.Unlock() }})
	for _, tt := range []struct {
		name string
		call func() error
		want client.Stats
		err  error // "any" when it is errAny
	}{
		{"read", func() error { return second(c.Get("http://u:p@h/x?token=s#f").Bytes()) }, client.Stats{Method: "GET", URL: "http://h/x?…", Host: "h", Status: 200, Attempts: 1, Bytes: 10}, nil},
		{"redirect", func() error { return second(c.Post("http://h/to").Text()) }, client.Stats{Method: "POST", URL: "http://other:81/land?…", Host: "other:81", Status: 200, Hops: 1, Attempts: 2, Bytes: 10}, nil},
		{"closed", func() error { r, err := c.Get("http://h/").Do(); r.Close(); return err }, client.Stats{Method: "GET", URL: "http://h/", Host: "h", Status: 200, Attempts: 1}, nil},
		{"HEAD", func() error { return second(c.Head("http://h/").Bytes()) }, client.Stats{Method: "HEAD", URL: "http://h/", Host: "h", Status: 200, Attempts: 1}, nil},
		{"failed", func() error { return second(c.Get("http://h/fail").Do()) }, client.Stats{Method: "GET", URL: "http://h/fail", Host: "h", Attempts: 1}, errAny},
		{"loop", func() error { return second(c.Get("http://h/loop").Do()) }, client.Stats{Method: "GET", URL: "http://h/loop", Host: "h", Status: 302, Attempts: 1}, client.ErrRedirectLoop},
		{"cut", func() error { return second(c.Get("http://h/cut").Bytes()) }, client.Stats{Method: "GET", URL: "http://h/cut", Host: "h", Status: 200, Attempts: 1, Bytes: 3}, errAny},
		{"not made", func() error { return second(c.Get("::").Do()) }, client.Stats{Method: "GET"}, client.ErrURL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stats, own = nil, nil
			err := tt.call()
			if len(stats) != 1 || len(own) != 1 {
				t.Fatalf("OnDone called %d and %d times", len(stats), len(own))
			}
			got := stats[0]
			if got != own[0] {
				t.Errorf("%+v, %+v", got, own[0])
			}
			switch {
			case tt.err == errAny && (err == nil || got.Err == nil), tt.err != errAny && (!errors.Is(err, tt.err) || !errors.Is(got.Err, tt.err)):
				t.Errorf("returned %v, reported %v", err, got.Err)
			}
			if got.Duration < 0 {
				t.Errorf("Duration %v", got.Duration)
			}
			got.Err, got.Duration = nil, 0
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

var errAny = errors.New("any")
