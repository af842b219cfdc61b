// SPDX-License-Identifier: MIT

//go:build unix

package server_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pleat-go/pleat/server"
)

func shell(script string) *exec.Cmd { return exec.Command("/bin/sh", "-c", script) }

// A successor is told what it gets, says that it is ready, and the listener stays
// what it was: in particular one that never blocks.
func TestStartSuccessor(t *testing.T) {
	t.Setenv("LISTEN_PID", "1") // of somebody further up
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	other := &server.NamedListener{Name: "b", Listener: l}
	cmd := shell(`echo $LISTEN_FDS $LISTEN_FDNAMES $LISTEN_PPID $LISTEN_READY_FD "[$LISTEN_PID]"; [ -e /dev/fd/3 ] && [ -e /dev/fd/4 ] && echo READY=1 >&5`)
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	cmd.Stdout = w
	must(t, server.StartSuccessor(t.Context(), cmd, server.NamedListener{Name: "a", Listener: l}, *other))
	_ = w.Close()
	line := make([]byte, 100)
	n, err := out.Read(line)
	must(t, err)
	if want := "2 a:b " + strconv.Itoa(os.Getpid()) + " 5 []\n"; string(line[:n]) != want {
		t.Errorf("it was told %q, want %q", line[:n], want)
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("the listener blocks: %x, %v", flags, err)
		}
	}))
}

func TestStartSuccessorThatFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	web := server.NamedListener{Name: "web", Listener: l}
	soon, cancel := context.WithCancel(t.Context())
	cancel()
	extra := shell("true")
	extra.ExtraFiles = []*os.File{os.Stdin}
	for name, test := range map[string]struct {
		ctx       context.Context
		cmd       *exec.Cmd
		listeners []server.NamedListener
		want      string
	}{
		"no listener":     {t.Context(), shell("true"), nil, "no listener"},
		"no name":         {t.Context(), shell("true"), []server.NamedListener{{Listener: l}}, `""`},
		"a bad name":      {t.Context(), shell("true"), []server.NamedListener{{Name: "a:b", Listener: l}}, `"a:b"`},
		"no socket":       {t.Context(), shell("true"), []server.NamedListener{{Name: "a", Listener: &scriptedListener{}}}, "no socket"},
		"ExtraFiles":      {t.Context(), extra, []server.NamedListener{web}, "ExtraFiles"},
		"no such program": {t.Context(), exec.Command("/no/such/program"), []server.NamedListener{web}, "no such file"},
		"ends well":       {t.Context(), shell("exit 0"), []server.NamedListener{web}, "exit status 0"},
		"ends badly":      {t.Context(), shell("exit 7"), []server.NamedListener{web}, "exit status 7"},
		"says nonsense":   {t.Context(), shell("echo nonsense >&4; exec sleep 60"), []server.NamedListener{web}, "not ready"},
		"says nothing":    {soon, shell("exec sleep 60"), []server.NamedListener{web}, "context canceled"},
	} {
		err := server.StartSuccessor(test.ctx, test.cmd, test.listeners...)
		if !errors.Is(err, server.ErrNoSuccessor) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("the listener is not what it was: %v", err)
	}
	_ = conn.Close()
}

func TestTakeOverOfNothing(t *testing.T) {
	if p, err := server.TakeOver(); p != nil || err != nil {
		t.Errorf("TakeOver = %v, %v without a predecessor", p, err)
	}
	t.Setenv("LISTEN_READY_FD", "4")
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_PPID", "1")
	if p, err := server.TakeOver(); p != nil || err != nil {
		t.Errorf("TakeOver = %v, %v with what was for another", p, err)
	}
	for _, fd := range []string{"x", "2", "-1", "1048575"} {
		t.Setenv("LISTEN_READY_FD", fd)
		t.Setenv("LISTEN_PPID", strconv.Itoa(os.Getppid()))
		if p, err := server.TakeOver(); p != nil || err == nil {
			t.Errorf("LISTEN_READY_FD=%s: %v, %v", fd, p, err)
		}
		if os.Getenv("LISTEN_READY_FD") != "" {
			t.Error("the variable is left for children")
		}
	}
}
