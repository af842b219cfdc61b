// SPDX-License-Identifier: MIT

package server_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
	"github.com/rs/zerolog"
)

// These attacks are on a process of its own, which is this test binary with
// another job: its limits are not those of the tests.

const (
	hostileJob     = "PLEAT_TEST_HOSTILE" // what the other process is to do
	hostileEngine  = "PLEAT_TEST_ENGINE"
	fewDescriptors = "descriptors"
	littleMemory   = "memory"
)

// victim is a server in another process.
type victim struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	log  lockedBuffer
}

// startVictim starts the current test in another process, where serveVictim does
// the job.
func startVictim(t *testing.T, job string, env ...string) *victim {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	v := &victim{t: t, cmd: exec.Command(os.Args[0], "-test.run=^"+name+"$")}
	v.cmd.Env = append(os.Environ(), hostileJob+"="+job, hostileEngine+"="+strconv.Itoa(int(engine)))
	v.cmd.Env = append(v.cmd.Env, env...)
	v.cmd.Stderr = &v.log
	stdin, err := v.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := v.cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v\n%s", err, v.log.String())
		}
	})
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("no address: %v, %s", err, v.log.String())
	}
	v.addr = strings.TrimSpace(addr)
	return v
}

// serveVictim is the other process: it serves until its input ends.
func serveVictim(s *server.HTTPServer, ready func()) {
	n, _ := strconv.Atoi(os.Getenv(hostileEngine))
	s.Engine = server.Engine(n)
	log := zerolog.New(os.Stderr)
	s.ErrorLog = &log
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		if err = visit(l.Addr().String()); err == nil {
			ready()
			fmt.Println(l.Addr())
			_, _ = io.Copy(io.Discard, os.Stdin)
			_ = s.Close()
			err = <-served
		}
	}
	if !errors.Is(err, server.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0) // not the tests of the other engine too
}

// visit asks for something and leaves. Afterwards a server has all the descriptors
// that it serves with; of loops there are as many as processors.
func visit(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err == nil {
		_, err = io.Copy(io.Discard, conn)
	}
	return err
}

// status reads a line of the process's /proc/…/status, in kB.
func (v *victim) status(name string) int64 {
	v.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid))
	if err != nil {
		v.t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			must(v.t, err)
			return kb
		}
	}
	v.t.Fatalf("no %s", name)
	return 0
}

func (v *victim) files() int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", v.cmd.Process.Pid))
	return len(entries)
}

// wantFiles waits until there are no more than n.
func (v *victim) wantFiles(n int) {
	v.t.Helper()
	if !settles(func() bool { return v.files() <= n }) {
		v.t.Errorf("%d descriptors, want %d", v.files(), n)
	}
}

// mostFiles is how many descriptors it may have.
func (v *victim) mostFiles() int {
	v.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", v.cmd.Process.Pid))
	must(v.t, err)
	for line := range strings.SplitSeq(string(b), "\n") {
		if limits, ok := strings.CutPrefix(line, "Max open files"); ok {
			most, err := strconv.Atoi(strings.Fields(limits)[0])
			must(v.t, err)
			return most
		}
	}
	v.t.Fatal("no limit")
	return 0
}

// processorTime is what the process has used.
func (v *victim) processorTime() time.Duration {
	v.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.cmd.Process.Pid))
	if err != nil {
		v.t.Fatal(err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestHostileDescriptorsRunOut holds all descriptors that a server may have. Those
// that are connected are served, a handler that wants a file gets an error, the
// log does not fill up, the processor does not spin; and when the attack is over
// everything is as before.
func TestHostileDescriptorsRunOut(t *testing.T) {
	if os.Getenv(hostileJob) == fewDescriptors {
		// Whoever is there stays as long as the test likes.
		serveVictim(&server.HTTPServer{MaxConns: -1, HeaderTimeout: -1, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			if r.Path() == "/file" {
				if err := r.SendFile(os.Args[0], server.FileOptions{}); err != nil {
					_ = r.SendError(err)
				}
				return
			}
			answerTarget(r)
		})}, func() {
			limit := syscall.Rlimit{Cur: uint64(openFiles() + 40), Max: uint64(openFiles() + 40)}
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
				panic(err)
			}
		})
	}
	leavesNothing(t)
	v := startVictim(t, fewDescriptors)
	ask := func(c *conversation, target string) {
		t.Helper()
		c.get(target)
		c.wantAnswer(200, target)
	}
	first := dial(t, v.addr)
	ask(first, "/before")
	files, limit := v.files(), v.mostFiles()
	began := time.Now()
	complaints := func() int { return strings.Count(v.log.String(), "accepting connections") }

	for range scale(1, 3) { // exhausted again after it has recovered
		conns := crowd(t, 120, v.addr)
		if !settles(func() bool { return v.files() >= limit && complaints() > 0 }) {
			t.Fatalf("120 connections, but %d descriptors of %d are open: %s", v.files(), limit, v.log.String())
		}
		ask(first, "/meanwhile")
		first.send("HEAD /file HTTP/1.1\r\nHost: h\r\n\r\n")
		if a := first.read(http.MethodHead); a.StatusCode != http.StatusInternalServerError {
			t.Errorf("a file without a descriptor: %d", a.StatusCode)
		}
		used := v.processorTime()
		time.Sleep(700 * time.Millisecond) // an interval of which the processor time is measured
		if used = v.processorTime() - used; used > 350*time.Millisecond {
			t.Errorf("waiting for descriptors used the processor for %v of 700ms", used)
		}
		ask(first, "/still")
		for _, conn := range conns {
			_ = conn.Close()
		}
		fresh := dial(t, v.addr)
		ask(fresh, "/after")
		// Who was in the backlog has come by now, before fresh, and goes.
		v.wantFiles(files + 1)
		fresh.send("HEAD /file HTTP/1.1\r\nHost: h\r\n\r\n")
		if a := fresh.read(http.MethodHead); a.StatusCode != http.StatusOK {
			t.Errorf("a file afterwards: %d", a.StatusCode)
		}
		_ = fresh.conn.Close()
		v.wantFiles(files)
		if n, most := complaints(), int(time.Since(began)/time.Second)+2; n > most {
			t.Errorf("%d lines in the log, want at most %d", n, most)
		}
	}
	_ = first.conn.Close()
}

// TestHostileMemoryLimit uploads 50 × 10 MiB at once to a process that is to make
// do with GOMEMLIMIT=64MiB: as a stream, as the file of a form, and to a handler
// that does not read it. Its memory is bounded by what a connection may hold, not
// by what is sent.
func TestHostileMemoryLimit(t *testing.T) {
	if os.Getenv(hostileJob) == littleMemory {
		serveVictim(&server.HTTPServer{MaxRequest: 16 << 20, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			var n int64
			var err error
			switch r.Path() {
			case "/stream":
				n, err = io.Copy(io.Discard, r.BodyReader())
			case "/form":
				var files map[string][]*multipart.FileHeader
				if files, err = r.Files(); err == nil {
					n = files["f"][0].Size
				}
			}
			if err != nil {
				_ = r.SendError(err)
				return
			}
			_ = r.SendString(200, text, fmt.Sprint(n))
		})}, func() {})
	}
	leavesNothing(t)
	uploads, size := scale(10, 50), scale(2, 10)<<20
	const multipartHead = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n"
	const multipartEnd = "\r\n--b--\r\n"
	for _, tt := range []struct {
		path, want string
		most       int64 // MiB
	}{
		{"/stream", fmt.Sprint(size), 64},
		{"/form", fmt.Sprint(size), 80}, // 256 KiB of each file, and twice that while it grows, before it goes to the disk
		{"/unread", "0", 64},
	} {
		t.Run(tt.path[1:], func(t *testing.T) {
			if tt.path != "/form" && *hostile == "" {
				t.Skip("make hostile")
			}
			v := startVictim(t, littleMemory, "GOMEMLIMIT=64MiB", "TMPDIR="+t.TempDir())
			var sending sync.WaitGroup
			for i := range uploads {
				conn, err := net.Dial("tcp", v.addr)
				if err != nil {
					t.Fatal(err)
				}
				c := converse(t, conn)
				_ = conn.SetDeadline(time.Now().Add(4 * patience)) // for all of it
				sending.Go(func() {
					fields, head, end := "", "", ""
					if tt.path == "/form" {
						fields, head, end = "Content-Type: multipart/form-data; boundary=b\r\n", multipartHead, multipartEnd
					}
					_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\n%sContent-Length: %d\r\n\r\n%s", tt.path, fields, len(head)+size+len(end), head)
					if err == nil {
						_, err = io.Copy(conn, io.LimitReader(zeros{}, int64(size)))
					}
					if err == nil {
						_, err = io.WriteString(conn, end)
					}
					// Who was answered before it had sent everything may be cut.
					if err != nil && tt.path != "/unread" {
						t.Errorf("upload %d: %v", i, err)
						return
					}
					res, err := http.ReadResponse(c.r, nil)
					if err != nil {
						if tt.path != "/unread" {
							t.Errorf("upload %d: %v", i, err)
						}
						return
					}
					if body, _ := io.ReadAll(res.Body); string(body) != tt.want && tt.path != "/unread" {
						t.Errorf("upload %d: %d %q", i, res.StatusCode, clip(string(body)))
					}
				})
			}
			sending.Wait()
			peak := v.status("VmHWM") >> 10
			t.Logf("%d uploads of %d MiB: at most %d MiB in memory", uploads, size>>20, peak)
			if peak > tt.most && !raceDetector {
				t.Errorf("%d uploads of %d MiB took %d MiB of memory, want at most %d", uploads, size>>20, peak, tt.most)
			}
		})
	}
}
