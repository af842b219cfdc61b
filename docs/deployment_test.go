// SPDX-License-Identifier: MIT

//go:build linux

package docs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

func behindProxy(app pleat.Config, proxy netip.Prefix) pleat.Config {
	app.Server = &server.HTTPServer{XHeaders: &server.TrustPolicy{
		Trusted: []netip.Prefix{proxy},
		Source:  server.SourceXForwardedFor,
		Scheme:  true,
	}}
	return app
}

func probes(app *pleat.App, database func(context.Context) error) {
	app.GET("/readyz", pleat.Ready(pleat.Check{Name: "database", Do: database}))
	app.GET("/livez", func(c *pleat.Context) error { return c.Text(200, "alive\n") })
}

func restartable(app pleat.Config) pleat.Config {
	app.RestartOn = syscall.SIGHUP
	return app
}

func TestProbes(t *testing.T) {
	app := pleat.New(restartable(pleat.Config{}))
	down := fmt.Errorf("down")
	probes(app, func(context.Context) error { return down })
	for path, want := range map[string]int{"/readyz": 503, "/livez": 200} {
		if w := ask(app, "GET", path, ""); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// configOf is the first block of a language in the page, with the addresses of a
// test.
func configOf(t *testing.T, language, front, back string) string {
	t.Helper()
	page, err := os.ReadFile("deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(page)
	if block == nil || !bytes.Contains(block[1], []byte("127.0.0.1:80\n")) && !bytes.Contains(block[1], []byte("127.0.0.1:80;")) {
		t.Fatal("there is no such configuration")
	}
	text := strings.ReplaceAll(string(block[1]), "127.0.0.1:8080", back)
	return regexp.MustCompile(`127\.0\.0\.1:80\b`).ReplaceAllString(text, front)
}

// startProxy runs a proxy until the test ends, and waits for it to listen.
func startProxy(t *testing.T, front, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + name); err != nil {
			t.Skip("there is no " + name + " on this machine")
		}
	}
	var output bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // if the tests are killed
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		// It is killed when the thread ends that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Skipf("%s does not start: %v", name, err)
	}
	gone := false
	t.Cleanup(func() {
		if !gone {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			<-ended
		}
	})
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-ended:
			gone = true
			t.Fatalf("%s: %v\n%s", name, err, output.Bytes())
		default:
		}
		conn, err := net.Dial("tcp", front)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s does not listen: %v", name, err)
		}
	}
}

// freePort is an address that nobody listens on. Its port is below those that are
// given to who asks for any: somebody else could be, before the proxy listens.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// serveWho serves an app that says what it takes its client for, and which trusts
// the proxy only.
func serveWho(t *testing.T) (addr string) {
	t.Helper()
	app := pleat.New(behindProxy(pleat.Config{}, netip.MustParsePrefix("127.0.0.1/32")))
	probes(app, func(context.Context) error { return nil })
	app.GET("/", func(c *pleat.Context) error {
		return c.Text(200, fmt.Sprintf("%v %s %s", c.RemoteIP(), c.Request().Scheme(), c.Request().Host()))
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.RunListener(ctx, l) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// wantWho asks through a proxy, as somebody who pretends to be somebody else.
func wantWho(t *testing.T, front string) {
	t.Helper()
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext}
	defer transport.CloseIdleConnections()
	for range 3 {
		q, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+front+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = "example.org"
		for name, value := range map[string]string{
			"X-Forwarded-For": "10.9.9.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "Forwarded": "for=10.9.9.9",
		} {
			q.Header.Set(name, value)
		}
		var a *http.Response
		for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			if a, err = (&http.Client{Transport: transport}).Do(q); err != nil {
				t.Fatal(err)
			}
			if a.StatusCode != 503 || time.Now().After(until) { // a proxy that has not asked for readiness yet
				break
			}
			_ = a.Body.Close()
		}
		b, err := io.ReadAll(a.Body)
		_ = a.Body.Close()
		if err != nil || string(b) != "127.0.0.2 http example.org" {
			t.Errorf("%d %q, %v", a.StatusCode, b, err)
		}
	}
}

func TestBehindNginx(t *testing.T) {
	back, front := serveWho(t), freePort(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	text := "daemon off; master_process off; pid pid; error_log stderr;\nevents {}\nhttp { access_log off;\n" +
		"client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n" +
		configOf(t, "nginx", front, back) + "}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	startProxy(t, front, "nginx", "-p", dir, "-e", "stderr", "-c", config)
	wantWho(t, front)
}

func TestBehindHAProxy(t *testing.T) {
	back, front := serveWho(t), freePort(t)
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(config, []byte(configOf(t, "haproxy", front, back)), 0o600); err != nil {
		t.Fatal(err)
	}
	startProxy(t, front, "haproxy", "-db", "-q", "-f", config)
	wantWho(t, front)
}
