// SPDX-License-Identifier: MIT

package server_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

func TestListenConfigValidate(t *testing.T) {
	for name, c := range map[string]server.ListenConfig{
		"network":        {Network: "udp"},
		"backlog":        {Backlog: -1},
		"mode":           {Mode: os.ModeSetuid | 0o600},
		"proxy":          {Proxy: &server.ProxyProtocol{}},
		"no such group":  {Group: "no such group"},
		"no such owner":  {Owner: "no such owner"},
		"negative owner": {Owner: "-1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(socketFolder(t), "a.sock")
			if l, err := c.Listen(path); err == nil {
				_ = l.Close()
				t.Error("no error")
			} else if !strings.HasPrefix(err.Error(), "server: ") {
				t.Errorf("error %v", err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Error("it has left a socket")
			}
		})
	}
	if err := (*server.ListenConfig)(nil).Validate(); err != nil {
		t.Error(err)
	}
}

// socketFolder is a folder with a short name.
func socketFolder(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "pleat") //nolint:usetesting // the names of sockets have to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

func TestListenAddresses(t *testing.T) {
	long := "/" + strings.Repeat("x", 200)
	for _, addr := range []string{
		"unix:", "unix:@", "@", "unix:a\x00b", "\x00abstract", "127.0.0.1\x00:80", long, "@" + long,
		"fd:", "fd:x", "fd:-1", "fd:2", "fd:99999999999999999999", "fd:54321", "systemd:", "systemd:web",
	} {
		if l, err := server.Listen(addr, "80"); err == nil {
			_ = l.Close()
			t.Errorf("Listen(%q) works", addr)
		} else if !strings.HasPrefix(err.Error(), "server: ") {
			t.Errorf("Listen(%q) = %v", addr, err)
		}
	}
	if _, err := server.Listen("systemd:web", "80"); runtime.GOOS != "windows" && !errors.Is(err, server.ErrNoSockets) {
		t.Errorf("Listen(systemd:web) = %v", err)
	}
}

func TestListenNetwork(t *testing.T) {
	networks := map[string]string{"tcp4": "0.0.0.0", "tcp6": "::", "": "::"}
	l, err := net.Listen("tcp6", "[::1]:0")
	v6 := err == nil
	if v6 {
		_ = l.Close()
	} else {
		t.Log("no IPv6 here")
		delete(networks, "tcp6")
	}
	for network, want := range networks {
		l, err := (&server.ListenConfig{Network: network}).Listen(":0")
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Addr().(*net.TCPAddr).IP.String(); got != want && (v6 || network != "") {
			t.Errorf("%q listens on %s, want %s", network, got, want)
		}
		for _, host := range []string{"127.0.0.1", "::1"} {
			want := host == "127.0.0.1" && network != "tcp6" || host == "::1" && network != "tcp4" && v6
			if got := reached(t, l, host); got != want {
				t.Errorf("%q: reached at %s: %v", network, host, got)
			}
		}
		must(t, l.Close())
	}
}

// reached reports whether connections to a host at the port of l come to l: somebody
// else may have the port at the other hosts.
func reached(t *testing.T, l net.Listener, host string) bool {
	t.Helper()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	must(t, l.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(patience)))
	for {
		came, err := l.Accept()
		if err != nil {
			return false
		}
		_ = came.Close()
		if came.RemoteAddr().String() == conn.LocalAddr().String() {
			return true
		}
	}
}

func TestListenAll(t *testing.T) {
	folder := socketFolder(t)
	path := filepath.Join(folder, "a.sock")
	ls, err := (&server.ListenConfig{}).ListenAll("127.0.0.1:0", path)
	if err != nil {
		t.Fatal(err)
	}
	taken := ls[0].Addr().String()
	if len(ls) != 2 || ls[1].Addr().String() != path {
		t.Errorf("ListenAll = %v", ls)
	}
	// All or none: what was opened before the one that fails is closed again.
	other := filepath.Join(folder, "b.sock")
	if _, err := (&server.ListenConfig{}).ListenAll(other, taken); err == nil {
		t.Error("an address was taken twice")
	}
	if _, err := (&server.ListenConfig{}).ListenAll(other, "nonsense"); err == nil {
		t.Error("nonsense is an address")
	}
	if _, err := os.Lstat(other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a socket is left: %v", err)
	}
	for _, l := range ls {
		must(t, l.Close())
	}
	if ls, err := (&server.ListenConfig{}).ListenAll(); err != nil || len(ls) != 0 {
		t.Errorf("ListenAll of nothing = %v, %v", ls, err)
	}
}

func TestSeveralListeners(t *testing.T) {
	ls, err := (&server.ListenConfig{KeepAlive: time.Minute}).ListenAll("127.0.0.1:0", "127.0.0.1:0", filepath.Join(socketFolder(t), "a.sock"))
	if err != nil {
		t.Fatal(err)
	}
	release, entered := make(chan struct{}), make(chan struct{}, len(ls))
	s := &server.HTTPServer{Engine: engine, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		entered <- struct{}{}
		<-release
		ok(r)
	})}
	served := make(chan error, len(ls))
	var talks []*conversation
	for _, l := range ls {
		go func() { served <- s.Serve(l) }()
		conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c := converse(t, conn)
		c.get("/")
		talks = append(talks, c)
		<-entered
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(t.Context()) }()
	for range ls { // all of them, while the requests are still being answered
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve() = %v", err)
		}
	}
	for _, l := range ls {
		if conn, err := net.Dial(l.Addr().Network(), l.Addr().String()); err == nil {
			_ = conn.Close()
			t.Errorf("%v still accepts", l.Addr())
		}
	}
	close(release)
	for _, c := range talks {
		c.wantAnswer(200, "ok")
		c.wantClosed("the server ends")
	}
	must(t, <-ended)
}

func TestWrap(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if l, err := (&server.ListenConfig{}).Wrap(inner); err != nil || l != inner {
		t.Errorf("Wrap with nothing to do = %v, %v", l, err)
	}
	if _, err := (&server.ListenConfig{Network: "udp"}).Wrap(inner); err == nil {
		t.Error("Wrap takes an invalid config")
	}
	if _, err := (&server.ListenConfig{Backlog: 5}).Wrap(&scriptedListener{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Wrap sets the backlog of what has none: %v", err)
	}
	l, err := (&server.ListenConfig{Nagle: true}).Wrap(inner)
	if err != nil {
		t.Fatal(err)
	}
	// It remains a listener for everybody, with a socket that can be passed on.
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	go func() {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			_, _ = io.WriteString(conn, "hello")
			_ = conn.Close()
		}
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(conn); string(b) != "hello" {
		t.Errorf("read %q, %v", b, err)
	}
	_ = conn.Close()
	must(t, l.Close())
	if _, err := inner.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener within is open: %v", err)
	}
}

func TestUnixSocketStarters(t *testing.T) {
	// Of many that start at once on a socket that was left behind, one gets it, and
	// can be reached.
	t.Chdir(socketFolder(t))
	for range 20 {
		stale, err := net.Listen("unix", "a.sock")
		if err != nil {
			t.Fatal(err)
		}
		stale.(*net.UnixListener).SetUnlinkOnClose(false)
		must(t, stale.Close())
		var mu sync.Mutex
		var won []net.Listener
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				l, err := server.Listen("./a.sock", "")
				if err != nil {
					if !strings.Contains(err.Error(), "in use") {
						t.Errorf("Listen() = %v", err)
					}
					return
				}
				mu.Lock()
				won = append(won, l)
				mu.Unlock()
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d listen", len(won))
		}
		conn, err := net.Dial("unix", "a.sock")
		if err != nil {
			t.Fatalf("the one that listens cannot be reached: %v", err)
		}
		_ = conn.Close()
		must(t, won[0].Close())
	}
}

func TestUnixSocketName(t *testing.T) {
	t.Chdir(socketFolder(t))
	// Who closes removes its own name only.
	old, err := server.Listen("./a.sock", "")
	if err != nil {
		t.Fatal(err)
	}
	must(t, os.Remove("a.sock")) // by an operator, say
	next, err := server.Listen("./a.sock", "")
	if err != nil {
		t.Fatal(err)
	}
	must(t, old.Close())
	conn, err := net.Dial("unix", "a.sock")
	if err != nil {
		t.Fatalf("closing the old socket has removed the new one: %v", err)
	}
	_ = conn.Close()
	// A socket that was passed on keeps its name.
	next.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	must(t, next.Close())
	if _, err := os.Lstat("a.sock"); err != nil {
		t.Error(err)
	}
	// A link is not followed, wherever it leads.
	for _, to := range []string{"a.sock", "nowhere", "/etc/passwd"} {
		must(t, os.Symlink(to, "link.sock"))
		if l, err := server.Listen("./link.sock", ""); err == nil {
			_ = l.Close()
			t.Errorf("a link to %s was replaced", to)
		}
		if now, err := os.Readlink("link.sock"); now != to {
			t.Errorf("the link leads to %q, %v", now, err)
		}
		must(t, os.Remove("link.sock"))
	}
}

func TestListenAgain(t *testing.T) {
	// When Serve has returned, the address is free, and the name of a socket gone.
	addrs := []string{"127.0.0.1:0", filepath.Join(socketFolder(t), "a.sock")}
	for range 20 {
		for i, addr := range addrs {
			l, err := server.Listen(addr, "")
			if err != nil {
				t.Fatal(err)
			}
			addrs[i] = l.Addr().String()
			s := &server.HTTPServer{Engine: engine, Handler: server.HandlerFunc(ok)}
			served := make(chan error, 1)
			go func() { served <- s.Serve(l) }()
			conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			converse(t, conn).wantOpen("/")
			_ = conn.Close() // the first to close is who waits
			must(t, s.Shutdown(t.Context()))
			<-served
		}
	}
	if _, err := os.Lstat(addrs[1]); !errors.Is(err, os.ErrNotExist) {
		t.Error("a socket is left behind")
	}
}
