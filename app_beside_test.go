// SPDX-License-Identifier: MIT

package pleat_test

import (
	"context"
	"crypto/tls"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

// An app with TLS has itself without on another socket, and a redirect on a third.
func TestBeside(t *testing.T) {
	lender := httptest.NewUnstartedServer(nil)
	lender.StartTLS()
	config := &tls.Config{Certificates: lender.TLS.Certificates}
	lender.Close()

	dir := shortDir(t)
	own, plain, redirect := filepath.Join(dir, "own"), filepath.Join(dir, "plain"), filepath.Join(dir, "redirect")
	log := &logBook{}
	app := pleat.New(pleat.Config{Logger: log.logger(), CookieSecrets: [][]byte{[]byte(strings.Repeat("s", 32))}, Server: &server.HTTPServer{TLSConfig: config}})
	app.GET("/", func(c *pleat.Context) error {
		if err := c.SetSecureCookie("a", "b"); err != nil {
			return err
		}
		return c.Text(200, c.Request().Scheme())
	})
	app.Beside(&server.HTTPServer{ListenConfig: server.ListenConfig{Mode: 0o600}}, plain)
	app.Beside(&server.HTTPServer{Handler: &server.HTTPSRedirect{Host: "pleat.example"}}, redirect)

	returned := make(chan error, 1)
	go func() { returned <- app.Run(own) }()
	if !settles(func() bool { return strings.Count(log.String(), "pleat: serving") == 3 }) {
		t.Fatalf("logged %s", log)
	}
	if r, body := askOnce(t, "unix", plain); r.StatusCode != 200 || body != "http" || r.Header.Get("Set-Cookie") == "" {
		t.Errorf("plain: %s %v %q", r.Status, r.Header, body)
	}
	if info, err := os.Stat(plain); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if r, _ := askOnce(t, "unix", redirect); r.StatusCode != 301 || r.Header.Get("Location") != "https://pleat.example/" {
		t.Errorf("redirect: %s %v", r.Status, r.Header)
	}
	if r, _ := askOnce(t, "unix", own); r.StatusCode != 400 { // plain HTTP where TLS is spoken
		t.Errorf("own: %s", r.Status)
	}
	conn, err := tls.Dial("unix", own, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // whose it is does not matter here
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if err := app.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := await(t, returned, "end of Run"); err != nil {
		t.Errorf("Run = %v", err)
	}
	for _, path := range []string{own, plain, redirect} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}

// What one of the servers cannot do ends them all.
func TestBesideThatFails(t *testing.T) {
	dir := shortDir(t)
	missing := &server.Certificates{Files: []server.CertificateFiles{{Cert: filepath.Join(dir, "no.crt"), Key: filepath.Join(dir, "no.key")}}}
	log := &logBook{}
	app := pleat.New(pleat.Config{Logger: log.logger()})
	app.Beside(&server.HTTPServer{Certificates: missing}, filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	err := app.Run(filepath.Join(dir, "own"))
	if err == nil || strings.Count(err.Error(), "no.crt") != 1 {
		t.Errorf("Run = %v", err)
	}
	if n := strings.Count(log.String(), "pleat: serving"); n > 1 {
		t.Errorf("%d listeners are said to be served", n)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

func TestBesideMistakes(t *testing.T) {
	s := &server.HTTPServer{}
	for name, beside := range map[string]func(*pleat.App){
		"no server":     func(a *pleat.App) { a.Beside(nil, ":1") },
		"no address":    func(a *pleat.App) { a.Beside(s) },
		"empty address": func(a *pleat.App) { a.Beside(s, ":1", "") },
		"too late": func(a *pleat.App) {
			if err := a.Start(); err != nil {
				t.Fatal(err)
			}
			a.Beside(s, ":1")
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			beside(pleat.New(pleat.Config{}))
		}()
	}
	own := &server.HTTPServer{}
	app := pleat.New(pleat.Config{Server: own})
	app.Beside(own, ":1")
	app.Beside(s, ":2")
	app.Beside(s, ":3")
	app.Beside(&server.HTTPServer{}, ":2", ":4", ":4")
	err := app.Start()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"the server of :1 is", "the server of :3 is", `address ":2" is`, `address ":4" is`} {
		contains(t, err.Error(), want)
	}
	app = pleat.New(pleat.Config{})
	app.Beside(&server.HTTPServer{}, "127.0.0.1:0")
	if err := app.Run("127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "one of Beside") {
		t.Errorf("Run = %v", err)
	}
}
