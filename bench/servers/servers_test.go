// SPDX-License-Identifier: MIT

// The servers are separate programs without the race detector in them, so there
// is nothing for it to find here.
//go:build !race

package servers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/bench/contract"
	_ "github.com/pleat-go/pleat/middleware" // see readSources
)

var names = []string{"chi", "echo", "fasthttp", "fiber", "gin", "hertz", "nethttp", "pleat"}

// readSources makes a result that the go command has kept hold only for the
// servers as they are: it knows what a test imports and which files of the module
// it reads, but not what the programs that a test builds are made of.
func readSources(t *testing.T) {
	t.Helper()
	sources, err := filepath.Glob("*/*.go")
	if err != nil || len(sources) < len(names) {
		t.Fatalf("sources %q, %v", sources, err)
	}
	for _, name := range append(sources, filepath.Join("..", "go.mod")) {
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestServers(t *testing.T) {
	readSources(t)
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+string(filepath.Separator), "./...")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	upstream, stop, err := contract.StartUpstream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(bin, name)
			if runtime.GOOS == "windows" {
				program += ".exe"
			}
			out, err := exec.CommandContext(t.Context(), program, "-cookie").Output()
			if err != nil {
				t.Fatalf("-cookie: %v", err)
			}
			cookie := strings.TrimSpace(string(out))
			log := filepath.Join(t.TempDir(), "access.log")
			addr := start(t, program, "-upstream", upstream, "-log", log)
			check := &contract.Check{URL: "http://" + addr, Cookie: cookie}
			if err := check.Run(t.Context()); err != nil {
				t.Error(err)
			}
			checkLog(t, log)

			addr = start(t, program, "-upstream", upstream, "-tls")
			check = &contract.Check{URL: "https://" + addr, Cookie: cookie}
			if err := check.Run(t.Context()); err != nil {
				t.Errorf("with TLS: %v", err)
			}
		})
	}
}

// freePort is an address that nobody listens on. Its port is below those that are
// given to who asks for any: somebody else could be, before the server listens.
func freePort(t *testing.T) (addr string) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err == nil {
			_ = l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// start runs a server until the test ends and waits until it accepts.
func start(t *testing.T, program string, args ...string) (addr string) {
	t.Helper()
	addr = freePort(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	c := exec.CommandContext(ctx, program, append(args, "-addr", addr)...)
	var stderr bytes.Buffer // read when the server has ended
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s %v ended: %v\n%s", program, args, err, &stderr)
		default:
		}
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return addr
		}
	}
	t.Fatalf("%s %v does not accept connections", program, args)
	return ""
}

// checkLog looks for the line of the first profile that the check asks for.
func checkLog(t *testing.T, name string) {
	t.Helper()
	var first string
	for deadline := time.Now().Add(time.Minute); first == "" && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(text)) { // pleat's LogWriter lets lines wait for others
			if strings.Contains(l, "/app/users/42") && strings.HasSuffix(l, "\n") {
				first = l
				break
			}
		}
	}
	var line struct {
		Method, Path, Route, Remote string
		Status                      int
		Bytes                       int64
		Time                        time.Time
		Duration                    *int64 `json:"duration_us"`
		RequestID                   string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(first), &line); err != nil {
		t.Fatalf("access log: %v: %q", err, first)
	}
	if line.Method != "GET" || line.Path != "/app/users/42" || !strings.HasPrefix(line.Route, "/app/users/") ||
		line.Status != http.StatusOK || line.Bytes == 0 || line.Remote != "203.0.113.7" || line.RequestID == "" ||
		line.Duration == nil || line.Time.IsZero() {
		t.Errorf("access log: %s", first)
	}
}
