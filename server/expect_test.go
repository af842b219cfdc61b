// SPDX-License-Identifier: MIT

package server_test

import (
	"io"
	"testing"

	"github.com/pleat-go/pleat/server"
)

const expecting = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"

func TestExpectContinue(t *testing.T) {
	reading := make(chan struct{})
	addr := startFunc(t, func(r *server.HTTPRequest) {
		switch r.Header().Get("X-Do") {
		case "refuse":
			_ = r.SendString(403, text, "no")
			return
		case "wait":
			<-reading
		case "stream":
			must(t, r.Flush())
		case "poll": // somebody else uses the request meanwhile
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				for {
					select {
					case <-stop:
						return
					default:
						r.Status()
					}
				}
			}()
		}
		body, err := r.Body()
		must(t, err)
		_, _ = r.Write(body)
	})

	t.Run("asked for at the first read", func(t *testing.T) {
		c := dial(t, addr)
		c.send(expecting)
		c.wantLine("HTTP/1.1 100 Continue")
		c.wantLine("")
		c.send("abcd")
		c.wantAnswer(200, "abcd")
		c.send(expecting)
		c.wantLine("HTTP/1.1 100 Continue")
		c.wantLine("")
		c.send("efgh")
		c.wantAnswer(200, "efgh")
	})

	t.Run("a body that is there is not asked for", func(t *testing.T) {
		c := dial(t, addr)
		c.send("%sabcd", expecting)
		c.wantAnswer(200, "abcd")
		c.send("%sabcd", expecting)
		c.wantAnswer(200, "abcd")
	})

	t.Run("nor one that has begun", func(t *testing.T) {
		c := dial(t, addr)
		c.send("%sab", expecting)
		c.send("cd")
		c.wantAnswer(200, "abcd")
	})

	t.Run("an early answer closes", func(t *testing.T) {
		c := dial(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nX-Do: refuse\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
		if a := c.wantAnswer(403, "no"); !a.Close {
			t.Error("no Connection: close")
		}
		c.wantClosed("whether a body follows cannot be told")
	})

	t.Run("an early answer to a body that came anyway", func(t *testing.T) {
		c := dial(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nX-Do: refuse\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nabcd")
		c.wantAnswer(403, "no")
		c.send("%sabcd", expecting)
		c.wantAnswer(200, "abcd")
	})

	t.Run("not after the answer began", func(t *testing.T) {
		c := dial(t, addr)
		c.send("POST / HTTP/1.1\r\nHost: h\r\nX-Do: stream\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
		c.wantLine("HTTP/1.1 200 OK")
		c.send("abcd")
		if rest, _ := io.ReadAll(c.r); len(rest) == 0 {
			t.Error("no answer")
		}
	})

	t.Run("while another goroutine looks at the request", func(t *testing.T) {
		c := dial(t, addr)
		for range 20 {
			c.send("POST / HTTP/1.1\r\nHost: h\r\nX-Do: poll\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
			c.wantLine("HTTP/1.1 100 Continue")
			c.wantLine("")
			c.send("abcd")
			c.wantAnswer(200, "abcd")
		}
	})

	t.Run("not before the handler reads", func(t *testing.T) {
		c := dial(t, addr)
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.wantAnswer(200, "")
		c.send("POST / HTTP/1.1\r\nHost: h\r\nX-Do: wait\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
		close(reading)
		c.wantLine("HTTP/1.1 100 Continue")
		c.wantLine("")
		c.send("1\r\na\r\n0\r\n\r\n")
		c.wantAnswer(200, "a")
	})

	t.Run("HTTP/1.0 has no expectations", func(t *testing.T) {
		c := dial(t, addr)
		c.send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
		c.send("abcd")
		c.wantAnswer(200, "abcd")
	})
}
