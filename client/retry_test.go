// SPDX-License-Identifier: MIT

package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pleat-go/pleat/client"
)

// flaky fails the first n requests: with err, or when that is nil with status and header.
type flaky struct {
	n, sent int
	err     error
	status  int
	header  []string
	bodies  []string
	keys    []string
	times   []time.Time
}

func (f *flaky) RoundTrip(q *http.Request) (*http.Response, error) {
	f.sent++
	f.times = append(f.times, time.Now())
	f.keys = append(f.keys, q.Header.Get("Idempotency-Key"))
	if q.Body != nil {
		b, _ := io.ReadAll(q.Body)
		q.Body.Close()
		f.bodies = append(f.bodies, string(b))
	}
	switch {
	case f.sent > f.n:
		return answer(q, 200, "ok"), nil
	case f.err != nil:
		return nil, f.err
	}
	return answer(q, f.status, "busy", f.header...), nil
}

func TestRetry(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	unknown := &net.DNSError{Err: "no such host", Name: "h", IsNotFound: true}
	body := client.WithBytes("", []byte("x"))
	for _, tt := range []struct {
		name    string
		f       flaky
		method  string
		opts    []client.CallOption
		want    int // requests
		status  int // 0: an error
		atLeast time.Duration
	}{
		{name: "off", f: flaky{n: 1, err: reset}, method: "GET", want: 1},
		{name: "GET", f: flaky{n: 2, err: reset}, method: "GET", opts: []client.CallOption{client.WithRetries(2)}, want: 3, status: 200},
		{name: "GET too often", f: flaky{n: 9, err: reset}, method: "GET", opts: []client.CallOption{client.WithRetries(2)}, want: 3},
		{name: "PUT", f: flaky{n: 1, err: reset}, method: "PUT", opts: []client.CallOption{client.WithRetries(2), body}, want: 2, status: 200},
		{name: "POST", f: flaky{n: 1, err: reset}, method: "POST", opts: []client.CallOption{client.WithRetries(2), body}, want: 1},
		{name: "POST that was not sent", f: flaky{n: 1, err: refused}, method: "POST", opts: []client.CallOption{client.WithRetries(2), body}, want: 2, status: 200},
		{name: "POST with a key", f: flaky{n: 2, err: reset}, method: "POST", opts: []client.CallOption{client.WithRetries(2), body, client.WithIdempotent("")}, want: 3, status: 200},
		{name: "no such host", f: flaky{n: 1, err: unknown}, method: "GET", opts: []client.CallOption{client.WithRetries(2)}, want: 1},
		{name: "503", f: flaky{n: 1, status: 503}, method: "GET", opts: []client.CallOption{client.WithRetries(2)}, want: 2, status: 200},
		{name: "429", f: flaky{n: 1, status: 429}, method: "DELETE", opts: []client.CallOption{client.WithRetries(2)}, want: 2, status: 200},
		{name: "503 for POST", f: flaky{n: 1, status: 503}, method: "POST", opts: []client.CallOption{client.WithRetries(2)}, want: 1, status: 503},
		{name: "503 for ever", f: flaky{n: 9, status: 503}, method: "GET", opts: []client.CallOption{client.WithRetries(2)}, want: 3, status: 503},
		{name: "500", f: flaky{n: 1, status: 500}, method: "GET", opts: []client.CallOption{client.WithRetries(2)}, want: 1, status: 500},
		{name: "Retry-After", f: flaky{n: 1, status: 503, header: []string{"Retry-After", "7"}}, method: "GET", opts: []client.CallOption{client.WithRetries(2)}, want: 2, status: 200, atLeast: 7 * time.Second},
		{name: "Retry-After date", f: flaky{n: 1, status: 503, header: []string{"Retry-After", time.Date(2000, 1, 1, 0, 0, 9, 0, time.UTC).Format(http.TimeFormat)}}, method: "GET", opts: []client.CallOption{client.WithRetries(2)}, want: 2, status: 200, atLeast: 9 * time.Second},
		{name: "Retry-After too long", f: flaky{n: 1, status: 503, header: []string{"Retry-After", "31"}}, method: "GET", opts: []client.CallOption{client.WithRetries(2), client.WithTimeout(-1)}, want: 1, status: 503},
		{name: "Retry-After beyond the call", f: flaky{n: 1, status: 503, header: []string{"Retry-After", "7"}}, method: "GET", opts: []client.CallOption{client.WithRetries(2), client.WithTimeout(5 * time.Second)}, want: 1, status: 503},
		{name: "Retry-After huge", f: flaky{n: 1, status: 503, header: []string{"Retry-After", "99999999999999999999"}}, method: "GET", opts: []client.CallOption{client.WithRetries(2)}, want: 2, status: 200},
		{name: "after a redirect", f: flaky{n: 1, status: 302, header: []string{"Location", "/x"}}, method: "GET", opts: []client.CallOption{client.WithRetries(2)}, want: 2, status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := client.HTTPClient{Transport: &tt.f}
				start := time.Now()
				r, err := c.Call(tt.method, "http://h/", tt.opts...).Do()
				if (err == nil) != (tt.status != 0) || err == nil && r.Status != tt.status || tt.f.sent != tt.want {
					t.Fatalf("%v, %v after %d requests, want %d", r, err, tt.f.sent, tt.want)
				}
				if err == nil {
					if r.Attempts != tt.want {
						t.Errorf("Attempts = %d", r.Attempts)
					}
					r.Close()
				} else if ce := (*client.Error)(nil); !errors.As(err, &ce) || ce.Attempt != tt.want {
					t.Errorf("%#v", err)
				}
				if d := time.Since(start); d < tt.atLeast || d > tt.atLeast+5*time.Second {
					t.Errorf("took %v, want at least %v", d, tt.atLeast)
				}
				for _, b := range tt.f.bodies {
					if b != "x" {
						t.Errorf("sent the body %q", b)
					}
				}
				for _, k := range tt.f.keys {
					if k != tt.f.keys[0] || strings.HasSuffix(tt.name, "key") && k == "" {
						t.Errorf("keys %q", tt.f.keys)
					}
				}
			})
		})
	}
}

// TestRetryCancel cancels a call that waits for its next try.
func TestRetryCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{n: 9, status: 503, header: []string{"Retry-After", "20"}}
		c := client.HTTPClient{Transport: f, Retries: 3}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := c.Get("http://h/", client.WithContext(ctx)).Do()
		if !errors.Is(err, context.Canceled) || f.sent != 1 || time.Since(start) != time.Second {
			t.Errorf("%v after %d requests and %v", err, f.sent, time.Since(start))
		}
	})
}

// TestRetryBudget lets every call fail: after the reserve is spent, one call in five may still be tried again.
func TestRetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 1000
		f := &flaky{n: 1 << 30, status: 503}
		c := client.HTTPClient{Transport: f, Retries: 5}
		for range calls {
			if _, err := c.Get("http://h/").Do(); err != nil {
				t.Fatal(err)
			}
		}
		if extra := f.sent - calls; extra < calls/5 || extra > calls/5+10 {
			t.Errorf("%d retries for %d calls", extra, calls)
		}
	})
}

// TestRetryStream does not repeat what cannot be, and says so when it was told to.
func TestRetryStream(t *testing.T) {
	f := &flaky{n: 1, status: 503}
	c := client.HTTPClient{Transport: f, Retries: 3}
	stream := func() client.CallOption { return client.WithBody("", io.MultiReader(strings.NewReader("x"))) }
	if r, err := c.Put("http://h/", stream()).Do(); err != nil || r.Status != 503 || f.sent != 1 {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := c.Put("http://h/", stream(), client.WithRetries(1)).Do(); !errors.Is(err, client.ErrNotReplayable) || f.sent != 1 {
		t.Errorf("told to: %v", err)
	}
	if _, err := c.Put("http://h/", stream(), client.WithRetries(0)).Do(); err != nil {
		t.Errorf("told not to: %v", err)
	}
}
