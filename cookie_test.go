// SPDX-License-Identifier: MIT

package pleat_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/server"
)

func secret(s string) []byte { return []byte(strings.Repeat(s, 32)) }

type basket struct{ Items []int }

func cookieApp(config pleat.Config) *pleat.App {
	app := pleat.New(config)
	app.GET("/set", func(c *pleat.Context) error {
		return errors.Join(
			c.SetSecureCookie("text", "ann"),
			c.SetSecureCookie("basket", basket{[]int{1, 2}}, server.WithEncryption(), server.WithMaxAge(time.Hour)),
			c.SetCookie(&http.Cookie{Name: "plain", Value: "x"}),
		)
	})
	app.GET("/get", func(c *pleat.Context) error {
		var name string
		var b basket
		if err := c.SecureCookie("text", &name); err != nil {
			return err
		}
		if err := c.SecureCookie("basket", &b, server.WithEncryption()); err != nil {
			return err
		}
		raw, ok := c.GetSecureCookie("text")
		if !ok {
			return errBroken
		}
		plain, _ := c.Cookie("plain")
		return c.JSON(200, []any{name, b.Items, string(raw), plain})
	})
	app.GET("/clear", func(c *pleat.Context) error { return c.ClearCookie("text") })
	return app
}

// cookieHeader is what a browser would send back.
func cookieHeader(a *answer) string {
	var pairs []string
	for _, c := range a.Cookies() {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

func TestSignedCookies(t *testing.T) {
	config := pleat.Config{CookieSecrets: [][]byte{secret("k")}}
	everywhere(t, func(*testing.T) *pleat.App { return cookieApp(config) }, func(t *testing.T, s *site) {
		set := s.get("/set")
		sent := cookieHeader(set)
		cookies := set.Cookies()
		if len(cookies) != 3 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Path != "/" ||
			cookies[0].Secure != s.http2 || cookies[0].MaxAge != 30*24*3600 || cookies[1].MaxAge != 3600 {
			t.Errorf("cookies = %v", cookies)
		}
		if a := s.get("/get", "Cookie", sent); a.body != `["ann",[1,2],"ann","x"]` {
			t.Errorf("answer = %d %q", a.StatusCode, a.body)
		}
		tampered := []byte(sent)
		tampered[len("text=")+5] ^= 1
		for name, cookie := range map[string]string{
			"none":     "",
			"tampered": string(tampered),
			"swapped":  strings.NewReplacer("text=", "basket=", "basket=", "text=").Replace(sent),
			"twice":    sent + "; " + sent,
			"plain":    "text=ann",
		} {
			if a := s.get("/get", "Cookie", cookie); a.StatusCode != 400 || strings.Contains(a.body, "ann") {
				t.Errorf("%s: answer = %d %q", name, a.StatusCode, a.body)
			}
		}
		if cleared := s.get("/clear").Cookies(); len(cleared) != 1 || cleared[0].MaxAge >= 0 || cleared[0].Value != "" {
			t.Errorf("cleared = %v", cleared)
		}
	})
}

func TestCookieRotation(t *testing.T) {
	old := serve(t, cookieApp(pleat.Config{CookieSecrets: [][]byte{secret("1")}}))
	sent := cookieHeader(old.get("/set"))
	for name, test := range map[string]struct {
		secrets [][]byte
		status  int
	}{
		"a new one in front": {[][]byte{secret("2"), secret("1")}, 200},
		"the old one gone":   {[][]byte{secret("2")}, 400},
	} {
		if a := serve(t, cookieApp(pleat.Config{CookieSecrets: test.secrets})).get("/get", "Cookie", sent); a.StatusCode != test.status {
			t.Errorf("%s: %d %q", name, a.StatusCode, a.body)
		}
	}
	// Secrets may stand in the server's configuration instead.
	if a := serveHTTP(t, cookieApp(pleat.Config{Server: &server.HTTPServer{CookieSecrets: [][]byte{secret("1")}}}), false).get("/get", "Cookie", sent); a.StatusCode != 200 {
		t.Errorf("with the server's secrets: %d %q", a.StatusCode, a.body)
	}
}

func TestCookieSecretsThatAreNot(t *testing.T) {
	log := &logBook{}
	a := serve(t, cookieApp(pleat.Config{Logger: log.logger()})).get("/set")
	if a.StatusCode != 500 || len(a.Cookies()) != 1 { // the plain one
		t.Errorf("without secrets: %d %v", a.StatusCode, a.Cookies())
	}
	contains(t, log.String(), server.ErrNoCookieSecret.Error())

	if err := cookieApp(pleat.Config{CookieSecrets: [][]byte{[]byte("short")}}).Start(); !errors.Is(err, server.ErrShortCookieSecret) {
		t.Errorf("a short secret: %v", err)
	}
	if err := cookieApp(pleat.Config{CookieSecrets: [][]byte{secret("1"), nil}}).Start(); err == nil {
		t.Error("an empty secret starts")
	}

	log = &logBook{}
	s := serve(t, cookieApp(pleat.Config{Development: true, Logger: log.logger()}))
	if a := s.get("/get", "Cookie", cookieHeader(s.get("/set"))); a.StatusCode != 200 {
		t.Errorf("in development: %d %q", a.StatusCode, a.body)
	}
	if lines := log.lines(t, "warn"); len(lines) != 1 || !strings.Contains(lines[0]["message"].(string), "CookieSecrets") {
		t.Errorf("in development: log = %v", log)
	}
}

func TestCookiesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := cookieApp(pleat.Config{CookieSecrets: [][]byte{secret("k")}})
		ask := func(target, cookie string) *answer {
			w := httptest.NewRecorder()
			q := httptest.NewRequestWithContext(t.Context(), "GET", target, nil)
			q.Header.Set("Cookie", cookie)
			app.ServeHTTP(w, q)
			return &answer{w.Result(), w.Body.String()}
		}
		sent := cookieHeader(ask("/set", ""))
		for _, step := range []struct {
			wait   time.Duration
			status int
		}{{0, 200}, {59 * time.Minute, 200}, {3 * time.Minute, 400}} {
			time.Sleep(step.wait) // of the bubble's clock
			if a := ask("/get", sent); a.StatusCode != step.status {
				t.Errorf("after %v: %d %q, want %d", step.wait, a.StatusCode, a.body, step.status)
			}
		}
	})
}
