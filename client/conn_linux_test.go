// SPDX-License-Identifier: MIT

package client_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pleat-go/pleat/client"
)

// TestAnswerBeforeCall has an answer come before a call is even made. With one processor nobody may have looked for it
// when the call's request is written.
func TestAnswerBeforeCall(t *testing.T) {
	for _, processors := range []int{1, 2} {
		t.Run(strconv.Itoa(processors), func(t *testing.T) {
			muteNetHTTP(t)
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			send, sent := make(chan struct{}), make(chan struct{})
			url := connServer(t, func(c net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					return
				}
				io.WriteString(c, okAnswer)
				<-send
				io.WriteString(c, stolenAnswer)
				arrived(t, c)
				sent <- struct{}{}
				_, _ = io.Copy(io.Discard, c)
			})
			c := tidy(t, &client.HTTPClient{})
			for i := range 500 {
				if s, err := c.Get(url).Text(); err != nil || s != "ok" {
					t.Fatalf("call %d: %q, %v", i, s, err)
				}
				send <- struct{}{}
				<-sent
			}
		})
	}
}

// arrived waits until the system of the other end has everything that was written to c.
func arrived(t *testing.T, c net.Conn) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	for left := 1; left > 0 && err == nil; runtime.Gosched() {
		if failed := raw.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); failed != nil {
			err = failed
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// TestConnErrors has reading fail as it does without us.
func TestConnErrors(t *testing.T) {
	url := rawServer(t, func(c net.Conn) {
		_ = c.(*net.TCPConn).SetLinger(0) // a reset
	})
	c := tidy(t, &client.HTTPClient{})
	var failed *net.OpError
	if _, err := c.Get(url).Do(); !errors.Is(err, syscall.ECONNRESET) || !errors.As(err, &failed) || failed.Op != "read" || failed.Addr == nil {
		t.Errorf("after a reset: %v", err)
	}
}
