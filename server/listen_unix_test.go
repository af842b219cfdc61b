// SPDX-License-Identifier: MIT

//go:build linux

package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pleat-go/pleat/server"
)

func TestUnixSocketMode(t *testing.T) {
	folder := socketFolder(t)
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666, 0o777, 0o200} {
		path := filepath.Join(folder, fmt.Sprintf("%o.sock", mode))
		l, err := (&server.ListenConfig{Mode: mode, Owner: strconv.Itoa(os.Getuid()), Group: strconv.Itoa(os.Getgid())}).Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, mode)
		}
		must(t, l.Close())
	}
	if os.Getuid() == 0 {
		path := filepath.Join(folder, "given.sock")
		l, err := (&server.ListenConfig{Mode: 0o660, Owner: "nobody", Group: "65533"}).Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if s := info.Sys().(*syscall.Stat_t); s.Uid == 0 || s.Gid != 65533 || info.Mode().Perm() != 0o660 {
			t.Errorf("the socket is %d's and %d's, mode %v", s.Uid, s.Gid, info.Mode())
		}
		must(t, l.Close())
	}
}

func TestAbstractSocket(t *testing.T) {
	for _, prefix := range []string{"", "unix:"} {
		name := fmt.Sprintf("@pleat-test-%d-%d-%s", os.Getpid(), engine, prefix)
		addr := prefix + name
		l, err := server.Listen(addr, "")
		if err != nil {
			t.Fatal(err)
		}
		if second, err := server.Listen(addr, ""); err == nil {
			_ = second.Close()
			t.Error("an abstract socket was taken twice")
		}
		startOn(t, &server.HTTPServer{Handler: server.HandlerFunc(ok)}, l)
		conn, err := net.Dial("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		converse(t, conn).wantOpen("/")
	}
	for _, c := range []server.ListenConfig{{Mode: 0o600}, {Owner: "0"}, {Group: "0"}} {
		if l, err := c.Listen("@pleat-test-mode"); err == nil {
			_ = l.Close()
			t.Error("an abstract socket has a mode")
		}
	}
}

// options are socket options of an accepted connection.
type options struct{ noDelay, keepAlive, idle, interval, count int }

func optionsOf(t *testing.T, c server.ListenConfig) options {
	t.Helper()
	found := make(chan options, 2)
	l, err := c.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	startOn(t, &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		fd := descriptorOf(r.RemoteAddr(), r.LocalAddr().String())
		if fd < 0 {
			t.Error("the connection has no descriptor")
			found <- options{}
			return
		}
		got := optionsOn(t, fd)
		found <- got
		conn, _, err := r.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Error(err)
			return
		}
		_ = raw.Control(func(fd uintptr) {
			if after := optionsOn(t, int(fd)); after != got && after.keepAlive != 0 {
				t.Errorf("options %+v, but hijacked %+v", got, after)
			}
		})
	})}, l)
	for range 2 { // the first may come before the server has looked at its listener
		c := dial(t, l.Addr().String())
		c.get("/")
		c.wantEnd("hijacked")
	}
	first, second := <-found, <-found
	if first != second {
		t.Errorf("the first connection has %+v, the second %+v", first, second)
	}
	return first
}

// descriptorOf finds the socket with certain ends, -1 if there is none.
func descriptorOf(remote, local string) int {
	text := func(sa syscall.Sockaddr, err error) string {
		if in, ok := sa.(*syscall.SockaddrInet4); ok && err == nil {
			return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port)).String()
		}
		return ""
	}
	for fd := range 1000 {
		if text(syscall.Getpeername(fd)) == remote && text(syscall.Getsockname(fd)) == local {
			return fd
		}
	}
	return -1
}

func optionsOn(t *testing.T, fd int) options {
	get := func(level, option int) int {
		v, err := unix.GetsockoptInt(fd, level, option)
		must(t, err)
		return v
	}
	return options{
		get(unix.IPPROTO_TCP, unix.TCP_NODELAY), get(unix.SOL_SOCKET, unix.SO_KEEPALIVE),
		get(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), get(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), get(unix.IPPROTO_TCP, unix.TCP_KEEPCNT),
	}
}

func TestTCPOptions(t *testing.T) {
	for name, test := range map[string]struct {
		config server.ListenConfig
		want   options
	}{
		"default":         {server.ListenConfig{}, options{1, 1, 15, 15, 9}},
		"Nagle":           {server.ListenConfig{Nagle: true}, options{0, 1, 15, 15, 9}},
		"KeepAlive":       {server.ListenConfig{KeepAlive: 90 * time.Second}, options{1, 1, 90, 90, 9}},
		"rounded up":      {server.ListenConfig{KeepAlive: 1500 * time.Millisecond}, options{1, 1, 2, 2, 9}},
		"KeepAliveConfig": {server.ListenConfig{KeepAlive: -1, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 7 * time.Second, Count: 3}}, options{1, 1, 60, 7, 3}},
		"partly":          {server.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Interval: 7 * time.Second}}, options{1, 1, 15, 7, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := optionsOf(t, test.config); got != test.want {
				t.Errorf("options %+v, want %+v", got, test.want)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		if got := optionsOf(t, server.ListenConfig{KeepAlive: -1}); got.keepAlive != 0 || got.noDelay != 1 {
			t.Errorf("options %+v", got)
		}
	})
}

func TestReusePort(t *testing.T) {
	shared := server.ListenConfig{ReusePort: true}
	first, err := shared.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := first.Addr().String()
	second, err := shared.Listen(addr)
	if err != nil {
		t.Fatalf("the second listener: %v", err)
	}
	if l, err := (&server.ListenConfig{}).Listen(addr); err == nil {
		_ = l.Close()
		t.Error("a listener that did not ask shares the address")
	}
	seen := make(chan int, 1000)
	for i, l := range []net.Listener{first, second} {
		startOn(t, &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			seen <- i
			ok(r)
		})}, l)
	}
	got := [2]int{}
	for range 500 { // each goes to either with the same chance
		c := dial(t, addr)
		c.wantOpen("/")
		_ = c.conn.Close()
		if got[<-seen]++; got[0] > 0 && got[1] > 0 {
			return
		}
	}
	t.Errorf("connections went to %v", got)
}

func TestBacklog(t *testing.T) {
	folder := socketFolder(t)
	for _, addr := range []string{"127.0.0.1:0", filepath.Join(folder, "a.sock"), fmt.Sprintf("@pleat-backlog-%d", os.Getpid())} {
		l, err := (&server.ListenConfig{Backlog: 3}).Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		full := false
		var conns []net.Conn
		for i := range 10 { // without anybody who accepts
			dialer := net.Dialer{Timeout: patience}
			if i >= 3 { // there is no room for ever
				dialer.Timeout = 50 * time.Millisecond
			}
			conn, err := dialer.DialContext(t.Context(), l.Addr().Network(), l.Addr().String())
			if err != nil {
				full = true
				break
			}
			conns = append(conns, conn)
		}
		if !full || len(conns) < 3 {
			t.Errorf("%s: %d connections wait, full: %v", addr, len(conns), full)
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
		must(t, l.Close())
	}
}

// ---- sockets that are passed

// passedReport is what a process tells of the sockets it was started with.
type passedReport struct {
	Names  []string
	Addrs  []string
	Error  string
	Left   []string // variables that are still set
	Shared []int    // descriptors that children would get
	Again  string   // what a second call finds
}

const (
	passedAction = "PLEAT_TEST_PASSED"
	passedCount  = "PLEAT_TEST_PASSED_COUNT"
)

// TestPassedProcess is not a test but the process that is started by those below.
func TestPassedProcess(t *testing.T) {
	action, ok := os.LookupEnv(passedAction)
	if !ok {
		t.Skip("run by other tests")
	}
	var report passedReport
	fail := func(err error) {
		if err != nil {
			report.Error = err.Error()
		}
	}
	add := func(name string, l net.Listener) {
		report.Names = append(report.Names, name)
		report.Addrs = append(report.Addrs, l.Addr().String())
	}
	kind, rest, _ := strings.Cut(action, " ")
	switch kind {
	case "env":
		named, err := server.ListenersFromEnv()
		fail(err)
		for _, n := range named {
			add(n.Name, n.Listener)
		}
		again, err := server.ListenersFromEnv()
		report.Again = fmt.Sprint(len(again), err)
	case "listen":
		ls, err := (&server.ListenConfig{KeepAlive: time.Minute}).ListenAll(strings.Fields(rest)...)
		fail(err)
		for _, l := range ls {
			add("", l)
		}
	case "one":
		l, err := server.Listen(rest, "80")
		fail(err)
		if err == nil {
			add("", l)
		}
	}
	for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_PPID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		if _, set := os.LookupEnv(name); set {
			report.Left = append(report.Left, name)
		}
	}
	count, _ := strconv.Atoi(os.Getenv(passedCount))
	for fd := 3; fd < 3+count; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			report.Shared = append(report.Shared, fd)
		}
	}
	_ = json.NewEncoder(os.Stderr).Encode(report)
	os.Exit(0)
}

// pass starts a process with files from descriptor 3 on and returns what it tells.
// LISTEN_PID=self in env stands for the id of the process.
func pass(t *testing.T, action string, files []*os.File, env ...string) passedReport {
	t.Helper()
	args := []string{os.Args[0], "-test.run=^TestPassedProcess$"}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	for i, v := range env {
		if v == "LISTEN_PID=self" {
			env[i] = "X=x"
			cmd = exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, args...)...)
		}
	}
	cmd.Env = append(append(os.Environ(), passedAction+"="+action, passedCount+"="+strconv.Itoa(len(files)), "GORACE=atexit_sleep_ms=0"), env...)
	cmd.ExtraFiles = files
	var out strings.Builder
	cmd.Stderr = &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	var report passedReport
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return report
}

func TestListenersFromEnv(t *testing.T) {
	if engine != server.EngineAuto {
		t.Skip("not an engine's business")
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	local, err := net.Listen("unix", filepath.Join(socketFolder(t), "a.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	conn, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fileOf := func(x any) *os.File {
		f, err := x.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var (
		t1, u1 = fileOf(tcp), fileOf(local)
		udp    = fileOf(packets)
		one    = fileOf(conn)
		both   = []string{tcp.Addr().String(), local.Addr().String()}
		parent = "LISTEN_PPID=" + strconv.Itoa(os.Getpid())
	)
	for name, test := range map[string]struct {
		action string
		files  []*os.File
		env    []string
		names  string
		addrs  []string
		err    string
		left   int
	}{
		"systemd":           {"env", []*os.File{t1, u1}, []string{"LISTEN_FDS=2", "LISTEN_PID=self", "LISTEN_FDNAMES=web:local", "LISTEN_PIDFDID=7"}, "web local", both, "", 0},
		"no names":          {"env", []*os.File{t1, u1}, []string{"LISTEN_FDS=2", "LISTEN_PID=self"}, "unknown unknown", both, "", 0},
		"a parent":          {"env", []*os.File{t1, u1}, []string{"LISTEN_FDS=2", parent, "LISTEN_PID=", "LISTEN_FDNAMES=a:a"}, "a a", both, "", 0},
		"none":              {"env", nil, []string{"LISTEN_FDS=0", parent}, "", nil, "", 0},
		"not set":           {"env", nil, nil, "", nil, "", 0},
		"another process":   {"env", []*os.File{t1}, []string{"LISTEN_FDS=1", "LISTEN_PID=1"}, "", nil, "", 2},
		"another parent":    {"env", []*os.File{t1}, []string{"LISTEN_FDS=1", "LISTEN_PPID=1"}, "", nil, "", 2},
		"both":              {"env", []*os.File{t1}, []string{"LISTEN_FDS=1", "LISTEN_PID=1", parent}, "", nil, "", 3},
		"nobody":            {"env", []*os.File{t1}, []string{"LISTEN_FDS=1"}, "", nil, "", 1},
		"no number":         {"env", []*os.File{t1}, []string{"LISTEN_FDS=one", parent}, "", nil, `LISTEN_FDS is "one"`, 0},
		"a negative number": {"env", []*os.File{t1}, []string{"LISTEN_FDS=-1", parent}, "", nil, "LISTEN_FDS", 0},
		"a huge number":     {"env", []*os.File{t1}, []string{"LISTEN_FDS=65536", parent}, "", nil, "LISTEN_FDS", 0},
		"no process id":     {"env", []*os.File{t1}, []string{"LISTEN_FDS=1", "LISTEN_PID=me"}, "", nil, `LISTEN_PID is "me"`, 0},
		"too many":          {"env", []*os.File{t1}, []string{"LISTEN_FDS=60000", parent}, "", nil, "is not open", 0},
		"too few names":     {"env", []*os.File{t1, u1}, []string{"LISTEN_FDS=2", parent, "LISTEN_FDNAMES=a"}, "", nil, "1 names for 2", 0},
		"too many names":    {"env", []*os.File{t1}, []string{"LISTEN_FDS=1", parent, "LISTEN_FDNAMES=a:b"}, "", nil, "2 names for 1", 0},
		"datagrams":         {"env", []*os.File{t1, udp}, []string{"LISTEN_FDS=2", parent, "LISTEN_FDNAMES=web:dns"}, "", nil, "descriptor 4 (dns), passed by LISTEN_FDS, is no stream socket", 0},
		"a connection":      {"env", []*os.File{one}, []string{"LISTEN_FDS=1", parent}, "", nil, "Accept=no", 0},
		"a file":            {"env", []*os.File{null}, []string{"LISTEN_FDS=1", parent}, "", nil, "is no socket", 0},

		"all":                {"listen systemd:", []*os.File{t1, u1}, []string{"LISTEN_FDS=2", parent}, " ", both, "", 0},
		"by name":            {"listen systemd:b systemd:a", []*os.File{t1, u1}, []string{"LISTEN_FDS=2", parent, "LISTEN_FDNAMES=a:b"}, " ", []string{both[1], both[0]}, "", 0},
		"two of a name":      {"listen systemd:a", []*os.File{t1, u1}, []string{"LISTEN_FDS=2", parent, "LISTEN_FDNAMES=a:a"}, " ", both, "", 0},
		"not asked for":      {"listen systemd:a", []*os.File{t1, u1}, []string{"LISTEN_FDS=2", parent, "LISTEN_FDNAMES=a:b"}, "", nil, `nobody asked for: "b"`, 0},
		"no such name":       {"listen systemd:c", []*os.File{t1, u1}, []string{"LISTEN_FDS=2", parent, "LISTEN_FDNAMES=a:b"}, "", nil, `there is "a", "b"`, 0},
		"asked for twice":    {"listen systemd:a systemd:a", []*os.File{t1}, []string{"LISTEN_FDS=1", parent, "LISTEN_FDNAMES=a"}, "", nil, "there is none left", 0},
		"none passed":        {"listen systemd:", nil, nil, "", nil, "no sockets were passed", 0},
		"not for one":        {"one systemd:", []*os.File{t1, u1}, []string{"LISTEN_FDS=2", parent}, "", nil, "stands for 2 sockets", 0},
		"one":                {"one systemd:", []*os.File{t1}, []string{"LISTEN_FDS=1", parent}, "", both[:1], "", 0},
		"misspelt":           {"listen systemd: nonsense", []*os.File{t1}, []string{"LISTEN_FDS=1", parent}, "", nil, "nonsense", 2},
		"a descriptor":       {"listen fd:4 fd:3", []*os.File{t1, u1}, nil, " ", []string{both[1], both[0]}, "", 0},
		"no descriptor":      {"one fd:900", []*os.File{t1}, nil, "", nil, "is not open", 0},
		"a descriptor twice": {"listen fd:3 fd:3", []*os.File{t1}, nil, "", nil, "fd:3", 0},
		"a file's":           {"one fd:3", []*os.File{null}, nil, "", nil, "is no socket", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := pass(t, test.action, test.files, test.env...)
			if !strings.Contains(got.Error, test.err) || (test.err == "") != (got.Error == "") {
				t.Errorf("error %q, want %q", got.Error, test.err)
			}
			if strings.Join(got.Addrs, " ") != strings.Join(test.addrs, " ") {
				t.Errorf("listens on %q, want %q", got.Addrs, test.addrs)
			}
			if strings.Join(got.Names, " ") != test.names {
				t.Errorf("names %q, want %q", got.Names, test.names)
			}
			if len(got.Left) != test.left {
				t.Errorf("still set: %q", got.Left)
			}
			if test.err == "" && test.left == 0 && len(test.files) > 0 && len(got.Shared) > 0 {
				t.Errorf("children would get %v", got.Shared)
			}
			if strings.HasPrefix(test.action, "env") && got.Again != "0 <nil>" {
				t.Errorf("a second call finds %s", got.Again)
			}
		})
	}
	// The name of a socket that was passed is not the receiver's to remove.
	if _, err := os.Lstat(local.Addr().String()); errors.Is(err, os.ErrNotExist) {
		t.Error("the socket's name is gone")
	}
}
