// SPDX-License-Identifier: MIT

package client_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pleat-go/pleat/client"
)

// TestHostileResponse holds the client to what it makes of broken answers. The rows that are accepted are what net/http
// accepts; they are here so that a change there is noticed.
func TestHostileResponse(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	const chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
	tests := []struct {
		name, raw  string
		wantStatus int // 0: rejected
		wantBody   string
		wantErr    error
	}{
		{name: "CL and TE", raw: ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", wantStatus: 200, wantBody: "abc"},
		{name: "two CL", raw: ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", wantErr: client.ErrMalformed},
		{name: "TE xchunked", raw: ok + "Transfer-Encoding: xchunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n", wantErr: client.ErrMalformed},
		{name: "NUL in value", raw: ok + "Foo: a\x00b\r\nContent-Length: 3\r\n\r\nabc", wantErr: client.ErrMalformed},
		{name: "CL +5", raw: ok + "Content-Length: +5\r\n\r\nabcdef", wantErr: client.ErrMalformed},
		{name: "CL -1", raw: ok + "Content-Length: -1\r\n\r\nabcdef", wantErr: client.ErrMalformed},
		{name: "CL 5x", raw: ok + "Content-Length: 5x\r\n\r\nabcdef", wantErr: client.ErrMalformed},
		{name: "chunk 0x3", raw: chunked + "0x3\r\nabc\r\n0\r\n\r\n", wantErr: client.ErrMalformed},
		{name: "chunk -3", raw: chunked + "-3\r\nabc\r\n0\r\n\r\n", wantErr: client.ErrMalformed},
		{name: "chunk huge", raw: chunked + "ffffffffffffffff1\r\nabc\r\n0\r\n\r\n", wantErr: client.ErrMalformed},
		{name: "chunk LF", raw: chunked + "3\nabc\r\n0\r\n\r\n", wantErr: client.ErrMalformed},
		{name: "short CL", raw: ok + "Content-Length: 50\r\n\r\nabc", wantErr: client.ErrMalformed},
		{name: "short chunk", raw: chunked + "5\r\nabc", wantErr: client.ErrMalformed},
		{name: "no last chunk", raw: chunked + "3\r\nabc\r\n", wantErr: client.ErrMalformed},
		{name: "no colon", raw: ok + "Foo\r\nContent-Length: 3\r\n\r\nabc", wantErr: client.ErrMalformed},
		{name: "HTTP/0.9", raw: "hello", wantErr: client.ErrMalformed},
		{name: "name space", raw: ok + "Foo : bar\r\nContent-Length: 3\r\n\r\nabc", wantStatus: 200, wantBody: "abc"},
		{name: "obs-fold", raw: ok + "Foo: bar\r\n baz\r\nContent-Length: 3\r\n\r\nabc", wantStatus: 200, wantBody: "abc"},
		{name: "LF only", raw: "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", wantStatus: 200, wantBody: "abc"},
		{name: "status 99", raw: "HTTP/1.1 99 X\r\nContent-Length: 3\r\n\r\nabc", wantErr: client.ErrMalformed},
		{name: "status abc", raw: "HTTP/1.1 abc X\r\nContent-Length: 3\r\n\r\nabc", wantErr: client.ErrMalformed},
		{name: "HTTP/3.0", raw: "HTTP/3.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", wantStatus: 200, wantBody: "abc"},
		{name: "204 with CL", raw: "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc", wantStatus: 204},
		{name: "101 unasked", raw: "HTTP/1.1 101 Sw\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc", wantErr: client.ErrMalformed},
		{name: "bad gzip", raw: ok + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", wantErr: client.ErrEncoding},
		{name: "unknown coding", raw: ok + "Content-Encoding: rot13\r\nContent-Length: 3\r\n\r\nabc", wantErr: client.ErrEncoding},
		{name: "three codings", raw: ok + "Content-Encoding: gzip, gzip, gzip\r\nContent-Length: 3\r\n\r\nabc", wantErr: client.ErrEncoding},
		{name: "coding of nothing", raw: ok + "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", wantStatus: 200},
		{name: "header cut", raw: ok + "Content-Le", wantErr: client.ErrMalformed},
		{name: "nothing", raw: "", wantErr: io.EOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := rawServer(t, func(c net.Conn) { io.WriteString(c, tt.raw) })
			c := tidy(t, &client.HTTPClient{})
			r, err := c.Get(url, client.WithTimeout(10*time.Second)).Do()
			var body []byte
			if err == nil {
				body, err = r.Bytes()
			}
			if tt.wantErr != nil {
				var ce *client.Error
				if !errors.Is(err, tt.wantErr) || !errors.As(err, &ce) || body != nil {
					t.Errorf("got %q, %v, want %v", body, err, tt.wantErr)
				}
				if strings.HasPrefix(tt.name, "short") && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%v is not io.ErrUnexpectedEOF", err)
				}
				return
			}
			if err != nil || r.Status != tt.wantStatus || string(body) != tt.wantBody {
				t.Errorf("got %+v %q, %v", r, body, err)
			}
		})
	}
}

func TestHeaderFlood(t *testing.T) {
	line := "X-Flood: " + strings.Repeat("a", 1000) + "\r\n"
	var sent atomic.Int64
	url := rawServer(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for sent.Load() < 64<<20 {
			n, err := io.WriteString(c, line)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	c := tidy(t, &client.HTTPClient{})
	_, err := c.Get(url).Do()
	wantLimit(t, err, "response header", 64<<10)
	if n := sent.Load(); n >= 64<<20 {
		t.Errorf("peer could send %d bytes", n)
	}
}

func TestInformationalFlood(t *testing.T) {
	hint := "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	const flood = 1_000_000 // nobody gets as far
	const final = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	url := rawServer(t, func(c net.Conn) {
		for range flood {
			if _, err := io.WriteString(c, hint); err != nil {
				return
			}
		}
		io.WriteString(c, final)
	})
	c := tidy(t, &client.HTTPClient{})
	_, err := c.Get(url).Do()
	wantLimit(t, err, "informational responses", 16)

	// A trace of the caller's is told, and does not lift the limit: the call is given
	// up, and some are told until that has got through.
	var told atomic.Int32
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { told.Add(1); return nil },
	})
	_, err = c.Get(url, client.WithContext(ctx)).Do()
	wantLimit(t, err, "informational responses", 16)
	if n := told.Load(); n < 16 || n >= flood {
		t.Errorf("the caller's trace was told %d times", n)
	}

	url = rawServer(t, func(c net.Conn) { io.WriteString(c, strings.Repeat(hint, 16)+final) })
	var own atomic.Int32
	ctx = httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { own.Add(1); return nil },
	})
	for _, opts := range [][]client.CallOption{{client.WithContext(ctx)}, nil, nil} {
		if s, err := c.Get(url, opts...).Text(); err != nil || s != "ok" {
			t.Errorf("16 informational answers: %q, %v", s, err)
		}
	}
	if n := own.Load(); n != 16 {
		t.Errorf("the caller's trace was told %d times, of its own call and others, want 16", n)
	}
}

func wantLimit(t *testing.T, err error, what string, limit int64) {
	t.Helper()
	var le *client.LimitError
	if !errors.As(err, &le) || le.What != what || le.Limit != limit {
		t.Errorf("error %v, want %s over %d", err, what, limit)
	}
}

func TestBodyLimit(t *testing.T) {
	var zip bytes.Buffer
	w := gzip.NewWriter(&zip)
	zeros := make([]byte, 1<<20)
	for range 64 {
		w.Write(zeros)
	}
	w.Close()
	gz := []string{"Content-Encoding", "gzip"}
	var mixed []byte // compresses well, but not as well as the ratio guard forbids
	for i := 0; len(mixed) < 3<<20; i++ {
		mixed = append(mixed, strconv.Itoa(i*i)...)
		mixed = append(mixed, zeros[:200]...)
	}
	var zip2 bytes.Buffer
	w = gzip.NewWriter(&zip2)
	w.Write(mixed)
	w.Close()
	for _, tt := range []struct {
		name   string
		body   []byte
		header []string
		max    int64
		want   string // LimitError.What; "" is fine
		limit  int64
	}{
		{name: "bomb", body: zip.Bytes(), header: gz, want: "compression ratio", limit: 200},
		{name: "bomb without a limit", body: zip.Bytes(), header: gz, max: -1, want: "compression ratio", limit: 200},
		{name: "decoded bytes count", body: zip2.Bytes(), header: gz, max: 1 << 20, want: "response body", limit: 1 << 20},
		{name: "decoded, exactly", body: zip2.Bytes(), header: gz, max: int64(len(mixed))},
		{name: "one over", body: zeros[:101], max: 100, want: "response body", limit: 100},
		{name: "exactly", body: zeros[:100], max: 100},
		{name: "default", body: make([]byte, 10<<20+1), want: "response body", limit: 10 << 20},
		{name: "none", body: make([]byte, 10<<20+1), max: -1},
	} {
		for _, declared := range []bool{true, false} {
			t.Run(tt.name+"/declared "+strconv.FormatBool(declared), func(t *testing.T) {
				c := client.HTTPClient{MaxBody: tt.max, Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
					res := answer(q, 200, string(tt.body), tt.header...)
					if !declared {
						res.ContentLength = -1
					}
					return res, nil
				})}
				r, err := c.Get("http://h/").Do()
				if err != nil {
					t.Fatal(err)
				}
				b, err := r.Bytes()
				if tt.want == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				wantLimit(t, err, tt.want, tt.limit)
				if b != nil {
					t.Errorf("%d bytes came with the error", len(b))
				}
				if b, again := r.Bytes(); b != nil || again != err {
					t.Errorf("second Bytes: %d bytes, %v", len(b), again)
				}
			})
		}
	}
}

// TestCancelSilentPeer cancels a call that waits for an answer.
func TestCancelSilentPeer(t *testing.T) {
	arrived := make(chan struct{})
	gone := make(chan struct{})
	url := rawServer(t, func(c net.Conn) {
		close(arrived)
		io.Copy(io.Discard, c) // until the client hangs up
		close(gone)
	})
	c := tidy(t, &client.HTTPClient{})
	cause := errors.New("tired of waiting")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-arrived; cancel(cause) }()
	_, err := c.Get(url, client.WithContext(ctx)).Do()
	if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
		t.Errorf("error %v, want context.Canceled and its cause", err)
	}
	<-gone
}

// TestDrip lets a deadline pass while a body trickles in.
func TestDrip(t *testing.T) {
	url := rawServer(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
		for range 1000 {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond) // the peer's pace, not a synchronisation
		}
	})
	for _, tt := range []struct {
		name string
		opts func() client.CallOption
	}{
		{"timeout", func() client.CallOption { return client.WithTimeout(100 * time.Millisecond) }},
		{"context", func() client.CallOption {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			t.Cleanup(cancel)
			return client.WithContext(ctx)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tidy(t, &client.HTTPClient{})
			b, err := c.Get(url, tt.opts()).Bytes()
			var timeout interface{ Timeout() bool }
			if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() || b != nil {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// TestStaleConnection counts how often a request reaches a peer that answers once and then reads and hangs up.
func TestStaleConnection(t *testing.T) {
	for _, tt := range []struct {
		method string
		want   int64
	}{{"GET", 2}, {"POST", 1}, {"PUT", 1}} {
		t.Run(tt.method, func(t *testing.T) {
			var requests atomic.Int64
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			first := true
			srv := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if first {
					first = false
					io.WriteString(w, "ok")
					return
				}
				io.Copy(io.Discard, q.Body)
				requests.Add(1)
				panic(http.ErrAbortHandler)
			})}
			done := make(chan struct{})
			go func() { srv.Serve(l); close(done) }()
			t.Cleanup(func() { srv.Close(); <-done })
			url := "http://" + l.Addr().String() + "/"
			c := tidy(t, &client.HTTPClient{})
			if _, err := c.Get(url).Bytes(); err != nil {
				t.Fatal(err)
			}
			h := c.Call(tt.method, url)
			if tt.method != "GET" {
				h.With(client.WithBytes("", []byte("a=1")))
			}
			if _, err := h.Do(); err == nil {
				t.Error("no error")
			}
			if n := requests.Load(); n != tt.want {
				t.Errorf("%d requests, want %d", n, tt.want)
			}
		})
	}
}

func TestContextBefore(t *testing.T) {
	sent := 0
	c := client.HTTPClient{Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
		sent++
		return answer(q, 200, ""), nil
	})}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel2 := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel2()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		want error
	}{
		{"cancelled", cancelled, context.Canceled},
		{"expired", expired, context.DeadlineExceeded},
		{"nil", nil, client.ErrOption},
	} {
		if _, err := c.Get("http://h/", client.WithContext(tt.ctx)).Do(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := c.Get("http://h/", client.WithTimeout(1)).Do(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("timeout over before the start: %v", err)
	}
	if sent != 0 {
		t.Errorf("%d requests were sent", sent)
	}
}
