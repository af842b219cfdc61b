// SPDX-License-Identifier: MIT

package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
	"github.com/rs/zerolog"
)

// onLoops skips what is about the event loops when the tests run on goroutines.
func onLoops(t *testing.T) {
	t.Helper()
	if engine == server.EngineGoroutine {
		t.Skip("the other engine's turn")
	}
}

// balanced checks that a test leaves as many descriptors as it found.
func balanced(t *testing.T) {
	t.Helper()
	files := openFiles()
	t.Cleanup(func() {
		if !settles(func() bool { return openFiles() <= files }) {
			t.Errorf("%d descriptors before, %d after", files, openFiles())
		}
	})
}

// nonces answers every request with its own target.
func nonces(r *server.HTTPRequest) { _ = r.SendString(200, text, r.Target()) }

// TestLoopChurn has connections come and go by the thousand, in every way they
// can, so that descriptors are used again all the time: nobody may get an answer
// that was another's.
func TestLoopChurn(t *testing.T) {
	onLoops(t)
	balanced(t)
	addr := startFunc(t, nonces)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			for n := range 400 {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				r := bufio.NewReader(conn)
				var targets []string
				for j := range 1 + rng.IntN(4) {
					targets = append(targets, fmt.Sprintf("/%d-%d-%d", i, n, j))
				}
				how := rng.IntN(6)
				for _, target := range targets {
					_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target)
				}
				switch how {
				case 0: // within a head
					_, _ = io.WriteString(conn, "GET /never HTTP/1.1\r\n")
				case 1: // a reset with answers on their way
					_ = conn.(*net.TCPConn).SetLinger(0)
					_ = conn.Close()
					continue
				case 2: // an end with answers on their way
					_ = conn.(*net.TCPConn).CloseWrite()
				}
				for _, target := range targets {
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Errorf("%s: %v", target, err)
						break
					}
					if body, err := io.ReadAll(res.Body); string(body) != target || err != nil {
						t.Errorf("%s was answered %q, %v", target, body, err)
					}
				}
				_ = conn.Close()
			}
		})
	}
	clients.Wait()
}

// manyConns is how many connections, of two descriptors each, the limit allows.
func manyConns(t *testing.T) int {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := int(min(limit.Cur/4, 2000))
	if *hostile == "full" {
		n = int(min(limit.Cur*2/5, 10_000))
	}
	if n < 200 {
		t.Skipf("only %d descriptors", limit.Cur)
	}
	return n
}

// TestLoopHandlersThatDoNotReturn has one connection in ten in a handler that
// blocks, breaks off, or takes its goroutine along, while the others go on.
func TestLoopHandlersThatDoNotReturn(t *testing.T) {
	onLoops(t)
	for _, procs := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("%d processors", procs), func(t *testing.T) {
			balanced(t)
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			var mu sync.Mutex
			mu.Lock()
			release := make(chan struct{})
			var blocked sync.WaitGroup
			// All connect before the first says something.
			s := &server.HTTPServer{HeaderTimeout: -1, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				switch r.Path() {
				case "/channel":
					blocked.Done()
					<-release
				case "/mutex":
					blocked.Done()
					mu.Lock()
					mu.Unlock()
				case "/select":
					blocked.Done()
					select {
					case <-release:
					case <-time.After(time.Hour):
					}
				case "/sleep":
					time.Sleep(time.Millisecond)
				case "/panic":
					panic(http.ErrAbortHandler)
				case "/goexit":
					runtime.Goexit()
				case "/spin":
					for began := time.Now(); time.Since(began) < time.Millisecond; {
					}
				}
				nonces(r)
			})}
			addr := start(t, s)
			kinds := []string{"/channel", "/mutex", "/select", "/panic", "/goexit", "/sleep", "/spin"}
			n := manyConns(t)
			conns := make([]*conversation, n)
			target := func(i, round int) string {
				if i%10 == 0 && round == 0 {
					return fmt.Sprintf("%s?%d", kinds[i/10%len(kinds)], i)
				}
				return fmt.Sprintf("/%d?%d", i, round)
			}
			blocks := func(i int) bool { return i%10 == 0 && i/10%len(kinds) < 3 }
			breaks := func(i int) bool { return i%10 == 0 && (i/10%len(kinds) == 3 || i/10%len(kinds) == 4) }
			for i := range n {
				if conns[i] = dial(t, addr); blocks(i) {
					blocked.Add(1)
				}
			}
			for i, c := range conns {
				c.get(target(i, 0))
			}
			for i, c := range conns {
				switch {
				case blocks(i):
				case breaks(i):
					c.wantReset(target(i, 0))
				default:
					c.wantAnswer(200, target(i, 0))
				}
			}
			blocked.Wait() // all of them at the same time
			for i, c := range conns {
				if !blocks(i) && !breaks(i) {
					c.get(target(i, 1))
				}
			}
			for i, c := range conns {
				if !blocks(i) && !breaks(i) {
					c.wantAnswer(200, target(i, 1))
				}
			}
			close(release)
			mu.Unlock()
			for i, c := range conns {
				if blocks(i) {
					c.wantAnswer(200, target(i, 0))
				}
			}
			for _, c := range conns {
				_ = c.conn.Close()
			}
		})
	}
}

// TestLoopProcessorsChange has the number of processors change under a server.
func TestLoopProcessorsChange(t *testing.T) {
	onLoops(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	addr := startFunc(t, nonces)
	var conns []*conversation
	for _, procs := range []int{1, 8, 1, 2} {
		runtime.GOMAXPROCS(procs)
		for range 10 {
			conns = append(conns, dial(t, addr))
		}
		for i, c := range conns {
			c.get(fmt.Sprintf("/%d", i))
		}
		for i, c := range conns {
			c.wantAnswer(200, fmt.Sprintf("/%d", i))
		}
	}
}

// TestLoopShutdownUnderLoad ends a server in the middle of everything. What a
// handler was called for is answered; everything else gets no answer at all.
func TestLoopShutdownUnderLoad(t *testing.T) {
	onLoops(t)
	for round := range 3 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			balanced(t)
			var called, answered, refused atomic.Int64
			s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				called.Add(1)
				switch r.Path() {
				case "/sleep":
					time.Sleep(3 * time.Millisecond)
				case "/body":
					if _, err := r.Body(); err != nil {
						t.Error(err)
					}
				case "/stream":
					_, _ = r.WriteString(r.Target()[:1])
					_ = r.Flush()
					_, _ = r.WriteString(r.Target()[1:])
					return
				}
				nonces(r)
			})}
			addr := start(t, s)
			begun := make(chan struct{})
			var once sync.Once
			var clients sync.WaitGroup
			for i := range 32 {
				clients.Go(func() {
					for n := 0; ; {
						conn, err := net.Dial("tcp", addr)
						if err != nil {
							if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET) {
								t.Errorf("dial: %v", err)
							}
							refused.Add(1)
							return
						}
						r := bufio.NewReader(conn)
						for alive := true; alive; n++ {
							target := fmt.Sprintf("%s?%d-%d", []string{"/", "/sleep", "/body", "/stream"}[n%4], i, n)
							if n%4 == 2 {
								_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na", target)
								runtime.Gosched()
								_, _ = io.WriteString(conn, "b")
							} else {
								_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target)
							}
							if _, err := r.Peek(1); err != nil {
								break // the server was gone before it saw this
							}
							res, err := http.ReadResponse(r, nil)
							if err != nil {
								t.Errorf("%s: a head broke off: %v", target, err)
								break
							}
							body, err := io.ReadAll(res.Body)
							if err != nil || string(body) != target {
								t.Errorf("%s was answered %q, %v", target, body, err)
							}
							if answered.Add(1) == 200 {
								once.Do(func() { close(begun) })
							}
							alive = !res.Close
						}
						_ = conn.Close()
					}
				})
			}
			<-begun
			if err := s.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown = %v", err)
			}
			clients.Wait()
			if called.Load() != answered.Load() {
				t.Errorf("%d requests were taken, %d answered", called.Load(), answered.Load())
			}
			if refused.Load() != 32 {
				t.Errorf("%d clients were refused in the end", refused.Load())
			}
		})
	}
}

// TestLoopEndsWithConnectionsInEveryState closes a server whose connections are
// wherever they can be.
func TestLoopEndsWithConnectionsInEveryState(t *testing.T) {
	onLoops(t)
	for _, gently := range []bool{false, true} {
		t.Run(map[bool]string{false: "Close", true: "Shutdown"}[gently], func(t *testing.T) {
			balanced(t)
			goroutines := runtime.NumGoroutine()
			entered := make(chan struct{})
			never := make(chan struct{})
			var hijacked net.Conn
			s := &server.HTTPServer{MinRate: -1, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				switch r.Path() {
				case "/never":
					entered <- struct{}{}
					<-never
				case "/read":
					entered <- struct{}{}
					if _, err := r.Body(); err == nil {
						t.Error("read a body that was not sent")
					}
				case "/write":
					entered <- struct{}{}
					for {
						if _, err := r.Write(make([]byte, 64<<10)); err != nil {
							return
						}
					}
				case "/watch":
					done := r.Context().Done()
					entered <- struct{}{}
					<-done
				case "/hijack":
					hijacked, _, _ = r.Hijack()
					entered <- struct{}{}
					<-never
				}
			})}
			addr := start(t, s)
			fresh, midHead, idle, lingering := dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr)
			idle.wantOpen("/")
			midHead.send("GET / HT")
			lingering.send("no HTTP\r\n\r\n")
			lingering.wantStatus(http.StatusBadRequest)
			var running []*conversation
			for _, path := range []string{"/never", "/write", "/watch", "/hijack"} {
				c := dial(t, addr)
				c.get(path)
				<-entered
				running = append(running, c)
			}
			reading := dial(t, addr)
			reading.send("POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12")
			<-entered

			if gently {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Shutdown = %v", err)
				}
			} else if err := s.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
			for i, c := range append(running[:3:3], fresh, midHead, idle, lingering, reading) {
				if _, err := io.Copy(io.Discard, c.r); err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("connection %d: %v", i, err)
				}
				_ = c.conn.Close()
			}
			// The hijacked one is not the server's any more.
			if hijacked == nil {
				t.Fatal("not hijacked")
			}
			_, err := io.WriteString(hijacked, "alive\n")
			must(t, err)
			running[3].wantLine("alive")
			must(t, hijacked.Close())
			close(never)
			if !settles(func() bool { return runtime.NumGoroutine() <= goroutines }) {
				stacks := make([]byte, 1<<20)
				t.Errorf("%d goroutines before, %d after\n%s", goroutines, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
			}
		})
	}
}

// TestLoopListeners has listeners come and go under one server.
func TestLoopListeners(t *testing.T) {
	onLoops(t)
	balanced(t)
	s := &server.HTTPServer{Engine: server.EngineLoop, Handler: server.HandlerFunc(nonces)}
	served := make(chan error, 3)
	serve := func(network, addr string) net.Listener {
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		go func() { served <- s.Serve(l) }()
		return l
	}
	tcp, unix := serve("tcp", "127.0.0.1:0"), serve("unix", t.TempDir()+"/socket")
	var conns []*conversation
	for i := range 20 {
		l := []net.Listener{tcp, unix}[i%2]
		conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, converse(t, conn))
	}
	ask := func() {
		t.Helper()
		for i, c := range conns {
			c.get(fmt.Sprintf("/%d", i))
		}
		for i, c := range conns {
			c.wantAnswer(200, fmt.Sprintf("/%d", i))
		}
	}
	ask()

	// Its owner closes one, under load: callers do not keep it from being noticed.
	stop := make(chan struct{})
	var callers sync.WaitGroup
	callers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if conn, err := net.Dial("tcp", tcp.Addr().String()); err == nil {
					_ = conn.Close()
				}
			}
		}
	})
	must(t, tcp.Close())
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve = %v, want net.ErrClosed", err)
	}
	close(stop)
	callers.Wait()
	ask() // the connections stay

	// The clock stops without connections, and goes again with the next.
	for _, c := range conns {
		_ = c.conn.Close()
	}
	again := serve("tcp", tcp.Addr().String())
	conns = []*conversation{dial(t, again.Addr().String())}
	ask()

	must(t, s.Close())
	for range 2 {
		if err := <-served; !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("Serve = %v, want ErrServerClosed", err)
		}
	}
	late := serve("tcp", "127.0.0.1:0")
	if err := <-served; !errors.Is(err, server.ErrServerClosed) {
		t.Errorf("Serve after Close = %v", err)
	}
	if _, err := late.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener that came late is open: %v", err)
	}
}

const exhausting = "PLEAT_TEST_DESCRIPTORS"

// TestLoopDescriptorsRunOut serves with a handful of descriptors in a process of
// its own, and asks for more.
func TestLoopDescriptorsRunOut(t *testing.T) {
	onLoops(t)
	if os.Getenv(exhausting) != "" {
		serveWithFewDescriptors(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLoopDescriptorsRunOut$")
	cmd.Env = append(os.Environ(), exhausting+"=yes")
	var log lockedBuffer
	cmd.Stderr = &log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("no address: %v, %s", err, log.String())
	}
	addr = strings.TrimSpace(addr)

	// Twice as many connections as there is room for; the kernel accepts them all.
	var conns []*conversation
	for range 60 {
		conns = append(conns, dial(t, addr))
	}
	ask := func(c *conversation, target string) {
		t.Helper()
		c.get(target)
		c.wantAnswer(200, target)
	}
	for i, c := range conns[:10] {
		ask(c, fmt.Sprintf("/first/%d", i))
	}
	for !strings.Contains(log.String(), "too many open files") {
		runtime.Gosched()
	}
	for i, c := range conns[:10] { // those that are there do not suffer
		ask(c, fmt.Sprintf("/meanwhile/%d", i))
	}
	for _, c := range conns[10:] {
		c.get("/waited")
	}
	for _, c := range conns[:10] {
		_ = c.conn.Close()
	}
	// One leaves, one comes in.
	for i, c := range conns[10:] {
		a := c.wantStatus(200)
		if a.body != "/waited" {
			t.Errorf("connection %d: %q", i, a.body)
		}
		_ = c.conn.Close()
	}
	lines := strings.Count(log.String(), "accepting connections")
	if most := int(time.Since(began)/time.Second) + 2; lines > most {
		t.Errorf("%d lines in the log, want at most %d:\n%s", lines, most, log.String())
	}
	must(t, stdin.Close())
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v\n%s", err, log.String())
	}
}

// serveWithFewDescriptors is the other process.
func serveWithFewDescriptors(t *testing.T) {
	log := zerolog.New(os.Stderr)
	// Whoever is there stays as long as the test likes.
	s := &server.HTTPServer{Engine: server.EngineLoop, MaxConns: -1, HeaderTimeout: -1, ErrorLog: &log, Handler: server.HandlerFunc(nonces)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	if err := visit(l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	limit := syscall.Rlimit{Cur: uint64(openFiles() + 30), Max: uint64(openFiles() + 30)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	fmt.Println(l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = s.Close()
	if err := <-served; !errors.Is(err, server.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0) // not the tests of the other engine too
}
