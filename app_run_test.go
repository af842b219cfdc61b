// SPDX-License-Identifier: MIT

//go:build unix

package pleat_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// TestRunHelper is the program that other tests start as a process of its own: Run
// ends on signals, and those are a whole process's.
func TestRunHelper(t *testing.T) {
	addr := os.Getenv("PLEAT_TEST_RUN")
	if addr == "" {
		t.Skip("not a test: the program that the tests of Run start")
	}
	log := zerolog.New(os.Stdout)
	timeout, _ := time.ParseDuration(os.Getenv("PLEAT_TEST_TIMEOUT"))
	delay, _ := time.ParseDuration(os.Getenv("PLEAT_TEST_DELAY"))
	app := pleat.New(pleat.Config{Logger: &log, ShutdownTimeout: timeout, DrainDelay: delay, Server: &server.HTTPServer{ShutdownGrace: -1}})
	app.GET("/", func(c *pleat.Context) error {
		fmt.Println("begun")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil {
			return err
		}
		return c.Text(200, line)
	})
	app.GET("/shutdown", func(c *pleat.Context) error {
		go func() { _ = app.Shutdown(context.Background()) }()
		return c.Text(200, "")
	})
	err := app.Run(addr)
	fmt.Println("returned", err)
}

// program is a process that runs an app.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.Writer
	out   *bufio.Scanner
	addr  string
	ended bool
}

func startProgram(t *testing.T, timeout time.Duration) *program {
	t.Helper()
	p := &program{t: t, addr: filepath.Join(shortDir(t), "s")}
	p.cmd = exec.Command(os.Args[0], "-test.run=^TestRunHelper$", "-test.v")
	p.cmd.Env = append(os.Environ(), "PLEAT_TEST_RUN="+p.addr, "PLEAT_TEST_TIMEOUT="+timeout.String(), "GORACE=atexit_sleep_ms=0")
	p.in, _ = p.cmd.StdinPipe()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.ended {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	p.await("pleat: serving")
	return p
}

// await reads the program's output up to a line with some text.
func (p *program) await(text string) string {
	p.t.Helper()
	for p.out.Scan() {
		if strings.Contains(p.out.Text(), text) {
			return p.out.Text()
		}
	}
	p.t.Fatalf("the program ended without %q", text)
	return ""
}

func (p *program) ask(target string) net.Conn {
	p.t.Helper()
	conn, err := net.Dial("unix", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target)
	return conn
}

// begin makes a request and waits until its handler runs.
func (p *program) begin() net.Conn {
	p.t.Helper()
	conn := p.ask("/")
	p.await("begun")
	return conn
}

func (p *program) signal() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) end(want string) {
	p.t.Helper()
	if got := p.await("returned "); !strings.HasPrefix(got, "returned "+want) {
		p.t.Errorf("Run %s, want %s", got, want)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Error(err)
	}
	p.ended = true
}

func (p *program) wantAnswer(conn net.Conn, body string) {
	p.t.Helper()
	if _, b, err := readAnswer(bufio.NewReader(conn)); err != nil || b != body {
		p.t.Errorf("answer = %q, %v", b, err)
	}
}

func TestRunEndsGently(t *testing.T) {
	p := startProgram(t, 0)
	conn := p.begin()
	p.signal()
	p.await("pleat: ending")
	fmt.Fprintln(p.in, "go")
	p.wantAnswer(conn, "go\n")
	p.end("<nil>")
	if _, err := os.Stat(p.addr); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestASecondSignalEndsRunAtOnce(t *testing.T) {
	p := startProgram(t, -1)
	conn := p.begin()
	p.signal()
	p.await("pleat: ending")
	p.signal()
	p.end("<nil>")
	if b, _ := io.ReadAll(conn); len(b) != 0 {
		t.Errorf("answer = %q", b)
	}
}

// The second signal ends only the delay, and gently.
func TestASecondSignalEndsTheDrainDelay(t *testing.T) {
	t.Setenv("PLEAT_TEST_DELAY", "1h")
	p := startProgram(t, 0)
	conn := p.begin()
	p.signal()
	p.await("pleat: ending")
	fmt.Fprintln(p.in, "go")
	p.wantAnswer(conn, "go\n")
	late := p.begin()
	p.signal()
	fmt.Fprintln(p.in, "gone")
	p.wantAnswer(late, "gone\n")
	p.end("<nil>")
}

func TestShutdownTimeoutOfRun(t *testing.T) {
	p := startProgram(t, time.Millisecond)
	p.begin()
	p.signal()
	p.await(`"path":"/"`)
	p.end(`server: shutdown cut a connection: GET "/" after `)
}

// Run does not return while a Shutdown that somebody else called is waiting for
// requests: the process would end.
func TestRunWaitsForShutdown(t *testing.T) {
	p := startProgram(t, 0)
	conn := p.begin()
	p.wantAnswer(p.ask("/shutdown"), "")
	if !settles(func() bool { // accepts no more
		extra, err := net.Dial("unix", p.addr)
		if err == nil {
			extra.Close()
		}
		return err != nil
	}) {
		t.Fatal("it goes on accepting")
	}
	fmt.Fprintln(p.in, "go")
	p.wantAnswer(conn, "go\n")
	p.end("<nil>")
}

func TestRunOnAnAddressThatIsNone(t *testing.T) {
	app := pleat.New(pleat.Config{})
	if err := app.Run("no such address"); err == nil {
		t.Error("it runs")
	}
}

func TestServeAfterShutdown(t *testing.T) {
	app := pleat.New(pleat.Config{})
	if err := app.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := app.Serve(noListener{}); !errors.Is(err, server.ErrServerClosed) {
		t.Errorf("Serve = %v", err)
	}
}

func TestServeReturnsTheListenersError(t *testing.T) {
	if err := pleat.New(pleat.Config{}).Serve(noListener{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve = %v", err)
	}
}

// A TLSConfig means TLS: never plain text where TLS was asked for.
func TestServeTLS(t *testing.T) {
	certs := httptest.NewUnstartedServer(nil)
	certs.StartTLS()
	defer certs.Close()
	app := pleat.New(pleat.Config{Server: &server.HTTPServer{TLSConfig: &tls.Config{Certificates: certs.TLS.Certificates}}})
	app.GET("/", func(c *pleat.Context) error { return c.Text(200, c.Request().Scheme()) })
	s := serve(t, app)
	s.url = "https://" + s.addr
	transport := certs.Client().Transport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	s.client = clientOf(transport)
	if a := s.get("/"); a.body != "https" || a.TLS == nil {
		t.Errorf("answer = %d %q", a.StatusCode, a.body)
	}

	for _, s := range []*server.HTTPServer{{TLSConfig: &tls.Config{}}, {Certificates: &server.Certificates{}}} {
		without := pleat.New(pleat.Config{Server: s})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := without.Serve(l); err == nil || errors.Is(err, server.ErrServerClosed) {
			t.Errorf("without a certificate: %v", err)
		}
		if _, err := l.Accept(); err == nil {
			t.Error("the listener is left open")
		}
	}
}
