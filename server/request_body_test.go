// SPDX-License-Identifier: MIT

package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pleat-go/pleat/server"
)

// echo answers with the body, its trailers in fields, or the error.
func echo(r *server.HTTPRequest) {
	body, err := r.Body()
	if err != nil {
		_ = r.SendError(err)
		return
	}
	for name, value := range r.Trailer().All() {
		_ = r.AddHeader("Trailer-"+name, value)
	}
	_ = r.SendResponse(200, text, body)
}

func TestRequestBody(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 20<<10) // more than any buffer
	tests := []struct {
		name, request string
		status        int
		body          string
		open          bool
	}{
		{"none", "POST / HTTP/1.1\r\nHost: h\r\n\r\n", 200, "", true},
		{"empty", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 200, "", true},
		{"length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true},
		{"long", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + fmt.Sprint(len(long)) + "\r\n\r\n" + long, 200, long, true},
		{"chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n", 200, "hello world", true},
		{"chunked, empty", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "", true},
		{"chunked, long", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(long), long) + "0\r\n\r\n", 200, long, true},
		{"on GET", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true},
		{"bad chunk size", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 400, "400 Bad Request\n", false},
		{"bad chunk end", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", 400, "400 Bad Request\n", false},
		{"over the limit", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000001\r\n\r\n", 413, "413 Request Entity Too Large\n", false},
		{"chunked over the limit", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nf4241\r\n", 413, "413 Request Entity Too Large\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, start(t, &server.HTTPServer{Handler: server.HandlerFunc(echo), MaxRequest: 1000000}))
			c.send("%s", tt.request)
			c.wantAnswer(tt.status, tt.body)
			if tt.open {
				c.wantOpen("/")
			} else {
				c.wantClosed("broken body")
			}
		})
	}
}

func TestRequestTrailer(t *testing.T) {
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		if r.Trailer().Len() != 0 {
			t.Error("trailers before the body was read")
		}
		echo(r)
	}))
	c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\nAuthorization: x\r\n\r\n")
	a := c.wantAnswer(200, "a")
	if got := a.Header["Trailer-X-Sum"]; fmt.Sprint(got) != "[1 2]" {
		t.Errorf("trailers %q", got)
	}
	if a.Header.Get("Trailer-Authorization") != "" {
		t.Error("a trailer that must not be one was passed on")
	}
	c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
	if a := c.wantAnswer(200, "a"); a.Header.Get("Trailer-X-Sum") != "" {
		t.Error("trailers of the request before")
	}
}

func TestBodyReader(t *testing.T) {
	var failed error
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		b := r.BodyReader()
		var got []byte
		one := make([]byte, 1)
		for {
			n, err := b.Read(one)
			got = append(got, one[:n]...)
			if err != nil {
				failed = err
				break
			}
		}
		if n, err := b.Read(one); n != 0 || err != io.EOF {
			t.Errorf("Read after the end = %d, %v", n, err)
		}
		if n, err := b.Read(nil); n != 0 || err != io.EOF {
			t.Errorf("empty Read after the end = %d, %v", n, err)
		}
		_, _ = r.Write(got)
	}))
	c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
	c.wantAnswer(200, "hello")
	if failed != io.EOF {
		t.Errorf("the body ended with %v", failed)
	}
}

func TestBodyEchoedByCopy(t *testing.T) {
	// The body is read while the answer is written, and the context watches: all
	// locks of a request are in play.
	addr := startFunc(t, func(r *server.HTTPRequest) {
		_ = r.Context().Done()
		must(t, r.SetHeader("Content-Type", text))
		if r.Header().Get("X-Std") == "1" {
			_, err := io.Copy(r.ResponseWriter(), r.StdRequest().Body)
			must(t, err)
			return
		}
		n, err := io.Copy(r, r.BodyReader())
		must(t, err)
		if n != r.BytesWritten() {
			t.Errorf("copied %d, BytesWritten() = %d", n, r.BytesWritten())
		}
	})
	c := dial(t, addr)
	for _, size := range []int{0, 1, 10, 100, 10000, 1000000} {
		body := strings.Repeat("x", size)
		for _, field := range []string{"X-Std: 0", "X-Std: 1"} {
			sent := c.sending("POST / HTTP/1.1\r\nHost: h\r\n%s\r\nContent-Length: %d\r\n\r\n%s", field, size, body)
			a := c.wantAnswer(200, body)
			must(t, <-sent)
			if a.Close {
				// Committed before much of the body was there: the head had to
				// promise something.
				c.wantClosed("said so")
				c = dial(t, addr)
			}
		}
	}
	c.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	c.wantLine("HTTP/1.1 100 Continue")
	c.wantLine("")
	c.send("abcd")
	c.wantAnswer(200, "abcd")
}

// sending is send while the answer is being read: sockets may not hold all of what is
// echoed. The error follows.
func (c *conversation) sending(format string, args ...any) <-chan error {
	sent := make(chan error, 1)
	go func() {
		_, err := fmt.Fprintf(c.conn, format, args...)
		sent <- err
	}()
	return sent
}

func TestSetBodyLimit(t *testing.T) {
	addr := start(t, &server.HTTPServer{MaxRequest: 10, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		switch r.Path() {
		case "/more":
			r.SetBodyLimit(20)
		case "/less":
			r.SetBodyLimit(5)
		case "/any":
			r.SetBodyLimit(-1)
		case "/none":
			r.SetBodyLimit(0)
		}
		echo(r)
	})})
	tests := []struct {
		path   string
		size   int
		status int
	}{
		{"/", 10, 200},
		{"/", 11, 413},
		{"/more", 20, 200},
		{"/more", 21, 413},
		{"/less", 5, 200},
		{"/less", 6, 413},
		{"/any", 5000, 200},
		{"/none", 0, 200},
		{"/none", 1, 413},
	}
	for _, tt := range tests {
		body := strings.Repeat("x", tt.size)
		c := dial(t, addr)
		c.send("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", tt.path, tt.size, body)
		if a := c.read("POST"); a.StatusCode != tt.status {
			t.Errorf("%s with %d octets: %d, want %d", tt.path, tt.size, a.StatusCode, tt.status)
		}
		c = dial(t, addr)
		c.send("POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", tt.path)
		for _, b := range body {
			c.send("1\r\n%c\r\n", b)
		}
		c.send("0\r\n\r\n")
		if a := c.read("POST"); a.StatusCode != tt.status {
			t.Errorf("%s with %d octets in chunks: %d, want %d", tt.path, tt.size, a.StatusCode, tt.status)
		}
	}
}

func TestUnreadBody(t *testing.T) {
	addr := startFunc(t, ok)
	next := "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

	t.Run("small ones are thrown away", func(t *testing.T) {
		c := dial(t, addr)
		for _, size := range []int{1, 1000, 100_000, 256 << 10} {
			c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("G", size))
			if a := c.wantAnswer(200, "ok"); a.Close {
				t.Errorf("%d octets: closed", size)
			}
			c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, strings.Repeat("G", size))
			if a := c.wantAnswer(200, "ok"); a.Close {
				t.Errorf("%d octets in chunks: closed", size)
			}
		}
		c.wantOpen("/")
	})

	t.Run("the answer does not wait for it", func(t *testing.T) {
		c := dial(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n")
		c.wantAnswer(200, "ok")
		c.send("%s%s", "abcd", next)
		c.wantAnswer(200, "ok")
	})

	t.Run("broken ones end the connection", func(t *testing.T) {
		c := dial(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n%s", next)
		c.wantAnswer(200, "ok")
		c.wantClosed("where the next request starts is not known")
	})

	t.Run("chunks that go on end the connection", func(t *testing.T) {
		c := dial(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
		c.wantAnswer(200, "ok")
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat("x", 64<<10))
		for range 20 {
			if _, err := io.WriteString(c.conn, chunk); err != nil {
				break // closed meanwhile
			}
		}
		c.wantEnd("more than is worth reading")
	})

	t.Run("large ones close, and the answer can be read", func(t *testing.T) {
		c := dial(t, addr)
		const size = 8 << 20
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size)
		sent := make(chan error, 1)
		go func() {
			_, err := io.Copy(c.conn, io.LimitReader(zeros{}, size))
			sent <- err
		}()
		if err := <-sent; err != nil {
			t.Errorf("sending the body: %v", err)
		}
		if a := c.wantAnswer(200, "ok"); !a.Close {
			t.Error("no Connection: close")
		}
		c.wantClosed("too much to throw away")
	})

	t.Run("a refused one can be sent whole before the answer is read", func(t *testing.T) {
		c := dial(t, startFunc(t, echo))
		const size = 12 << 20
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size)
		if _, err := io.Copy(c.conn, io.LimitReader(zeros{}, size)); err != nil {
			t.Fatal(err)
		}
		c.wantStatus(http.StatusRequestEntityTooLarge)
		c.wantClosed("413")
	})
}

// wantEnd checks that the connection ends, one way or the other.
func (c *conversation) wantEnd(why string) {
	c.t.Helper()
	var timeout interface{ Timeout() bool }
	if _, err := io.Copy(io.Discard, c.r); errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("%s: the connection stays open", why)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestBodyCutShort(t *testing.T) {
	for _, framing := range []string{"Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"} {
		got := make(chan error, 1)
		c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
			_, err := r.Body()
			got <- err
			_ = r.SendError(err)
		}))
		c.send("POST / HTTP/1.1\r\nHost: h\r\n%s", framing)
		c.closeWrite()
		if err := <-got; !errors.Is(err, io.ErrUnexpectedEOF) || server.StatusOf(err) != 400 {
			t.Errorf("%q: Body() = %v", framing, err)
		}
		c.wantStatus(400)
		c.wantClosed("cut short")
	}
}

func TestBodyIsTheCallers(t *testing.T) {
	var kept [][]byte
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		b, err := r.Body()
		must(t, err)
		kept = append(kept, b)
		again, err := r.Body()
		if len(again) != 0 || err != nil {
			t.Errorf("second Body() = %q, %v", again, err)
		}
	}))
	var want [][]byte
	for i := range 50 {
		b := bytes.Repeat([]byte{byte('a' + i%26)}, 10+i*100)
		want = append(want, b)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
		c.wantStatus(200)
	}
	for i := range want {
		if !bytes.Equal(kept[i], want[i]) {
			t.Fatalf("body %d changed after the handler returned", i)
		}
	}
}
