// SPDX-License-Identifier: MIT

package load_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/bench/load"
)

func TestDo(t *testing.T) {
	tests := []struct {
		name, answer string
		want         string // what the error says, "" for none
	}{
		{"an answer", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""},
		{"no body", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""},
		{"another status", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "503"},
		{"no length", "HTTP/1.1 200 OK\r\n\r\n", "without Content-Length"},
		{"a bad length", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "invalid syntax"},
		{"a short body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", "EOF"},
		{"nothing", "", "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			request := load.Get("/hello", []string{"A: b"})
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.ReadFull(c, make([]byte, len(request)))
				_, _ = io.WriteString(c, tt.answer)
				_ = c.Close()
			}()
			c, err := load.Dial(l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			err = c.Do(request)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Do = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestGet(t *testing.T) {
	want := "GET /a HTTP/1.1\r\nHost: bench\r\nB: c\r\n\r\n"
	if got := string(load.Get("/a", []string{"B: c"})); got != want {
		t.Errorf("Get = %q, want %q", got, want)
	}
}

func TestSetLatencies(t *testing.T) {
	var r load.Report
	r.SetLatencies(nil)
	if r.P50 != 0 || r.P99 != 0 {
		t.Errorf("of none: %+v", r)
	}
	latencies := make([]time.Duration, 101)
	for i := range latencies {
		latencies[i] = time.Duration(100-i) * time.Microsecond
	}
	r.SetLatencies(latencies)
	if r.P50 != 50 || r.P99 != 99 {
		t.Errorf("of 0 to 100 µs: %+v", r)
	}
}
