// SPDX-License-Identifier: MIT

//go:build unix

package pleat_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// TestRestartHelper is the program that the tests of Restart start, and which starts
// itself again.
func TestRestartHelper(t *testing.T) {
	addr := os.Getenv("PLEAT_TEST_RUN")
	if addr == "" {
		t.Skip("not a test: the program that the tests of Restart start")
	}
	if _, err := os.Stat(os.Getenv("PLEAT_TEST_BROKEN")); err == nil {
		os.Exit(3)
	}
	log := zerolog.New(os.Stdout)
	engine, _ := strconv.Atoi(os.Getenv("PLEAT_TEST_ENGINE"))
	app := pleat.New(pleat.Config{
		Logger: &log, RestartOn: syscall.SIGUSR2,
		Server: &server.HTTPServer{Engine: server.Engine(engine)},
	})
	app.GET("/", func(c *pleat.Context) error { return c.Text(200, strconv.Itoa(os.Getpid())) })
	if strings.HasPrefix(addr, "/") {
		app.Beside(&server.HTTPServer{Handler: &server.HTTPSRedirect{Host: "pleat.example"}}, addr+".redirect")
	}
	err := app.Run(addr)
	fmt.Println("returned", os.Getpid(), err)
}

// generations are a process and its successors.
type generations struct {
	t     *testing.T
	addr  string
	lines chan string
	last  int // the process that serves
}

func startGenerations(t *testing.T, addr string, engine server.Engine, broken string) *generations {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestRestartHelper$", "-test.v")
	cmd.Env = append(os.Environ(), "PLEAT_TEST_RUN="+addr, fmt.Sprintf("PLEAT_TEST_ENGINE=%d", engine), "PLEAT_TEST_BROKEN="+broken, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := &generations{t: t, lines: make(chan string, 1000), last: cmd.Process.Pid}
	var scanned sync.WaitGroup
	scanned.Go(func() {
		defer close(g.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			g.lines <- lines.Text()
		}
	})
	t.Cleanup(func() {
		_ = syscall.Kill(g.last, syscall.SIGKILL)
		go func() {
			for range g.lines {
			}
		}()
		scanned.Wait() // until nobody has the output any more
		_ = cmd.Wait()
	})
	g.addr = regexp.MustCompile(`"address":"([^"]+)"`).FindStringSubmatch(g.await("pleat: serving"))[1]
	if strings.HasPrefix(addr, "/") { // it may be another of several
		g.addr = addr
	}
	return g
}

func (g *generations) await(text string) string {
	g.t.Helper()
	for line := range g.lines {
		if strings.Contains(line, text) {
			return line
		}
	}
	g.t.Fatalf("the programs ended without %q", text)
	return ""
}

func (g *generations) signal(s syscall.Signal) {
	g.t.Helper()
	if err := syscall.Kill(g.last, s); err != nil {
		g.t.Fatal(err)
	}
}

// pid asks who serves.
func (g *generations) pid() int {
	g.t.Helper()
	network := "tcp"
	if strings.HasPrefix(g.addr, "/") {
		network = "unix"
	}
	_, body := askOnce(g.t, network, g.addr)
	n, err := strconv.Atoi(body)
	if err != nil {
		g.t.Fatalf("answer %q", body)
	}
	return n
}

// restart has the serving process replaced.
func (g *generations) restart() {
	g.t.Helper()
	old := g.last
	g.signal(syscall.SIGUSR2)
	g.await(fmt.Sprintf("returned %d <nil>", old))
	if g.last = g.pid(); g.last == old {
		g.t.Fatal("the same process serves")
	}
}

// end ends the last process.
func (g *generations) end() {
	g.t.Helper()
	g.signal(syscall.SIGTERM)
	g.await(fmt.Sprintf("returned %d <nil>", g.last))
}

// load is a number of clients that ask one request after another and tolerate
// nothing: what they ask is answered. Only who asks after a pause, for want of a
// processor, may find that the connection is not kept any more, and asks anew.
type load struct {
	addr     string
	answered atomic.Int64
	stop     atomic.Bool
	clients  sync.WaitGroup
	failed   chan error
	seen     sync.Map // which processes answered
}

// pause is less than a server that ends keeps a connection without a request.
const pause = 200 * time.Millisecond

// run has a client ask, on one connection for as long as it is kept open, or on a
// new one for each request.
func (l *load) run(keep bool) {
	var conn net.Conn
	var br *bufio.Reader
	var last time.Time // when there was a sign of life
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	request := "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	if !keep {
		request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	}
	for !l.stop.Load() {
		if conn == nil {
			var err error
			last = time.Now()
			if conn, err = net.Dial("tcp", l.addr); err != nil {
				l.failed <- fmt.Errorf("dial: %w", err)
				return
			}
			br = bufio.NewReader(conn)
		}
		began := time.Now()
		_, err := io.WriteString(conn, request)
		paused := time.Since(last) > pause
		last = began
		var r *http.Response
		var pid string
		if err == nil {
			_, err = br.Peek(1)
		}
		if err != nil && paused {
			_ = conn.Close()
			conn = nil
			continue
		}
		if err == nil {
			r, pid, err = readAnswer(br)
		}
		if err != nil || r.StatusCode != 200 {
			l.failed <- fmt.Errorf("request %d: %w", l.answered.Load(), err)
			return
		}
		l.answered.Add(1)
		l.seen.Store(pid, true)
		if r.Close || !keep {
			_ = conn.Close()
			conn = nil
		}
	}
}

func (l *load) awaitMore(n int64) bool {
	until := l.answered.Load() + n
	return settles(func() bool { return l.answered.Load() >= until || len(l.failed) > 0 })
}

// Fifty clients, of which half keep their connections and half take a new one for
// each request, do not notice that the process was replaced, twice.
func TestRestartUnderLoad(t *testing.T) {
	for name, engine := range map[string]server.Engine{"auto": server.EngineAuto, "goroutine": server.EngineGoroutine} {
		t.Run(name, func(t *testing.T) {
			g := startGenerations(t, "127.0.0.1:0", engine, "")
			l := &load{addr: g.addr, failed: make(chan error, 50)}
			for i := range 50 {
				l.clients.Go(func() { l.run(i%2 == 0) })
			}
			for range 2 {
				if !l.awaitMore(500) {
					t.Error("no answers")
				}
				g.restart()
			}
			if !l.awaitMore(500) {
				t.Error("no answers")
			}
			l.stop.Store(true)
			l.clients.Wait()
			close(l.failed)
			for err := range l.failed {
				t.Errorf("lost: %v", err)
			}
			processes := 0
			l.seen.Range(func(any, any) bool { processes++; return true })
			if processes != 3 {
				t.Errorf("%d processes answered", processes)
			}
			t.Logf("%d requests answered", l.answered.Load())
			g.end()
		})
	}
}

// A program that does not get as far as serving changes nothing for the one that
// runs.
func TestRestartThatFails(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	g := startGenerations(t, "127.0.0.1:0", server.EngineAuto, broken)
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.signal(syscall.SIGUSR2)
	contains(t, g.await("pleat: not restarted"), "exit status 3")
	if pid := g.pid(); pid != g.last {
		t.Errorf("%d serves", pid)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	g.restart()
	g.end()
}

// The name of a Unix socket stays in place until the last process ends; the same
// holds for that of another server of the app.
func TestRestartOnAUnixSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s: 1%")
	g := startGenerations(t, path, server.EngineAuto, "")
	for range 2 {
		g.restart()
		if r, _ := askOnce(t, "unix", path+".redirect"); r.StatusCode != 301 {
			t.Errorf("the redirect answers %s", r.Status)
		}
	}
	g.end()
	for _, name := range []string{path, path + ".redirect"} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}

func TestRestartOutsideOfRun(t *testing.T) {
	if err := pleat.New(pleat.Config{}).Restart(t.Context()); err == nil || !strings.Contains(err.Error(), "outside of Run") {
		t.Errorf("Restart = %v", err)
	}
}
