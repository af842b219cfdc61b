// SPDX-License-Identifier: MIT

package server_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pleat-go/pleat/server"
)

// Libraries for WebSocket and the like write a 101 with WriteHeader and hijack
// then, or hijack and write it themselves; either reaches the client once.
func TestSwitchingProtocols(t *testing.T) {
	echo := func(w http.ResponseWriter) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.Header().Set("X-Split", "a\r\nb")
		w.WriteHeader(http.StatusSwitchingProtocols)
		w.WriteHeader(http.StatusTeapot) // too late
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, err = io.CopyN(conn, rw, 4)
		must(t, err)
	}
	native := startFunc(t, func(r *server.HTTPRequest) { echo(r.ResponseWriter()) })
	std := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r, finish := server.FromHTTP(w, q)
		defer finish(true)
		echo(r.ResponseWriter())
	}))
	defer std.Close()
	for _, addr := range []string{native, strings.TrimPrefix(std.URL, "http://")} {
		c := dial(t, addr)
		c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nping")
		br := bufio.NewReader(c.conn)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "echo" || resp.Header.Get("Connection") != "Upgrade" || resp.Header.Get("X-Split") != "" {
			t.Errorf("got %d %v", resp.StatusCode, resp.Header)
		}
		rest, err := io.ReadAll(br)
		if string(rest) != "ping" || err != nil {
			t.Errorf("behind the 101: %q, %v", rest, err)
		}
	}
}

// A handler that announces another protocol and then does not speak it has
// failed.
func TestSwitchingProtocolsWithoutHijack(t *testing.T) {
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		r.ResponseWriter().WriteHeader(http.StatusSwitchingProtocols)
	}))
	c.get("/")
	c.wantStatus(http.StatusInternalServerError)
}
