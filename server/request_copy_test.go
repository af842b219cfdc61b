// SPDX-License-Identifier: MIT

package server_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pleat-go/pleat/server"
)

// limitedWriter takes some octets and then fails, or takes less than it is given.
type limitedWriter struct {
	room  int
	short bool
	got   bytes.Buffer
}

var errFull = errors.New("full")

func (w *limitedWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.room)
	w.room -= n
	w.got.Write(p[:n])
	if n < len(p) && !w.short {
		return n, errFull
	}
	return n, nil
}

func TestCopyBody(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 20<<10) // more than one buffer
	chunked := "Transfer-Encoding: chunked\r\n\r\n" + "50000\r\n" + body + "\r\n0\r\n\r\n"
	length := "Content-Length: 327680\r\n\r\n" + body
	tests := []struct {
		name, request string
		room          int
		short         bool
		want          int64
		err           error
	}{
		{"whole", length, 1 << 20, false, 327680, nil},
		{"chunked", chunked, 1 << 20, false, 327680, nil},
		{"a writer that fails", length, 1000, false, 1000, errFull},
		{"a writer that takes less and says nothing", length, 1000, true, 1000, io.ErrShortWrite},
		{"broken chunks", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n", 1 << 20, false, 3, &server.ProtocolError{}},
		{"too much", "Content-Length: 20000000\r\n\r\n", 1 << 20, false, 0, server.ErrBodyTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			done := make(chan struct{})
			c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
				defer close(done)
				w := &limitedWriter{room: tt.room, short: tt.short}
				n, err := io.Copy(w, r.BodyReader())
				var protocol *server.ProtocolError
				if _, broken := tt.err.(*server.ProtocolError); broken && errors.As(err, &protocol) {
					err = tt.err
				}
				if n != tt.want || !errors.Is(err, tt.err) || !strings.HasPrefix(body, w.got.String()) && n > 3 {
					t.Errorf("Copy = %d, %v, want %d, %v", n, err, tt.want, tt.err)
				}
			}))
			c.send("POST / HTTP/1.1\r\nHost: h\r\n%s", tt.request)
			<-done
		})
	}
}
