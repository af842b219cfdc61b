// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// logLines collects what the program logs.
type logLines struct {
	mu    sync.Mutex
	came  *sync.Cond
	lines []map[string]any // guarded by mu
}

func newLogLines() *logLines {
	l := &logLines{}
	l.came = sync.NewCond(&l.mu)
	return l
}

func (l *logLines) Write(p []byte) (int, error) {
	line := map[string]any{}
	if err := json.Unmarshal(p, &line); err != nil {
		return 0, err
	}
	l.mu.Lock()
	l.lines = append(l.lines, line)
	l.mu.Unlock()
	l.came.Broadcast()
	return len(p), nil
}

// wait returns the first line that has all these fields, as soon as there is one.
func (l *logLines) wait(fields map[string]any) map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		at := slices.IndexFunc(l.lines, func(line map[string]any) bool {
			for name, want := range fields {
				if line[name] != want {
					return false
				}
			}
			return true
		})
		if at >= 0 {
			return l.lines[at]
		}
		l.came.Wait()
	}
}

// site is a running website and a visitor without cookies of its own.
type site struct {
	*testing.T
	url  string
	log  *logLines
	http *http.Client
}

func newVisitor(t *testing.T, url string, log *logLines) *site {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	noRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &site{t, url, log, &http.Client{Transport: transport, CheckRedirect: noRedirects}}
}

// start runs the program until the test ends, and checks that it ends well. Calls of
// the weather station have more time than a busy machine takes.
func start(t *testing.T) *site {
	t.Helper()
	return startPatient(t, time.Minute)
}

func startPatient(t *testing.T, patience time.Duration) *site {
	t.Helper()
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	log, out, ended := newLogLines(), &bytes.Buffer{}, make(chan error, 1)
	station := newStation(zerolog.New(log))
	station.patience = patience
	go func() { ended <- run(ctx, l, out, station.log, station) }()
	base := "http://" + l.Addr().String()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run = %v", err)
		}
		if !strings.Contains(out.String(), "curl -i "+base+"/weather/oslo ") {
			t.Errorf("the program did not say where it is: %s", out)
		}
		if conn, err := net.Dial("tcp", l.Addr().String()); err == nil {
			conn.Close()
			t.Error("something still listens")
		}
	})
	return newVisitor(t, base, log)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const (
	browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	program = "application/json"
)

// do makes a request; header are names and values in turn.
func (s *site) do(method, path, form string, header ...string) (*http.Response, string) {
	s.Helper()
	q, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(form))
	if err != nil {
		s.Fatal(err)
	}
	if form != "" {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		q.Header.Add(header[i], header[i+1])
	}
	resp, err := s.http.Do(q)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return resp, string(body)
}

func (s *site) want(resp *http.Response, status int) {
	s.Helper()
	if resp.StatusCode != status {
		s.Errorf("%s %s = %d, want %d", resp.Request.Method, resp.Request.URL.Path, resp.StatusCode, status)
	}
}

// cookie is "name=value" of a cookie that an answer sets.
func (s *site) cookie(resp *http.Response, name string) string {
	s.Helper()
	for _, c := range resp.Cookies() {
		if c.Name == name {
			if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
				s.Errorf("cookie without protection: %s", c)
			}
			return c.Name + "=" + c.Value
		}
	}
	s.Fatalf("no cookie %q was set", name)
	return ""
}

func (s *site) login(name string) (cookie string) {
	s.Helper()
	resp, _ := s.do("POST", "/login", url.Values{"name": {name}, "password": {password}}.Encode())
	s.want(resp, 303)
	return s.cookie(resp, sessionCookie)
}

func TestAnswers(t *testing.T) {
	s := start(t)
	tests := []struct {
		name, method, path, accept string
		status                     int
		contentType                string
		body                       []string // parts of it
	}{
		{"a page", "GET", "/", browser, 200, "text/html", []string{"<!doctype html>", "<h1>Hello!</h1>", "first visit", "Log in"}},
		{"a page for a program", "GET", "/", "*/*", 200, "text/html", []string{"first visit"}},
		{"the login form", "GET", "/login", browser, 200, "text/html", []string{`<form class="panel" method="post" action="/login">`}},
		{"a file", "GET", "/static/style.css", "", 200, "text/css", []string{"--accent"}},
		{"no way out of the files", "GET", "/static/..%2fmain.go", "", 404, "text/plain", nil},
		{"no source", "GET", "/static/main.go", "", 404, "text/plain", nil},
		{"users", "GET", "/api/users", "*/*", 200, "application/json", []string{`"name":"Ada Lovelace"`, `"id":3`}},
		{"a user", "GET", "/api/users/2", "*/*", 200, "application/json", []string{`{"id":2,"name":"Grace Hopper","born":1906}`}},
		{"an unknown user", "GET", "/api/users/99", program, 404, "application/problem+json", []string{`"status":404`, `"detail":"There is no user 99"`}},
		{"an unknown user, for a browser", "GET", "/api/users/99", browser, 404, "text/html", []string{"There is no user 99"}},
		{"an unknown user, for curl", "GET", "/api/users/99", "*/*", 404, "text/plain", []string{"404 Not Found\nThere is no user 99\n"}},
		{"no number", "GET", "/api/users/ada", program, 404, "application/problem+json", []string{`"title":"Not Found"`}},
		{"a number too large", "GET", "/api/users/99999999999999999999", program, 404, "application/problem+json", nil},
		{"nobody", "GET", "/api/me", program, 401, "application/problem+json", []string{`"detail":"Log in first"`}},
		{"no route, for a browser", "GET", "/nowhere", browser, 404, "text/html", []string{"<h1>Not Found</h1>", "no page at this address"}},
		{"no route, for a program", "GET", "/nowhere", program, 404, "application/problem+json", []string{`"status":404`}},
		{"no such method", "DELETE", "/weather", program, 405, "application/problem+json", []string{`"status":405`}},
		{"a panic, for a browser", "GET", "/boom", browser, 500, "text/html", []string{"<h1>Internal Server Error</h1>", "our mistake"}},
		{"a panic, for a program", "GET", "/boom", program, 500, "application/problem+json", []string{`"status":500`}},
		{"cities", "GET", "/weather", browser, 200, "text/html", []string{`href="/weather/Ulan%20Bator"`, "The station is on"}},
		{"weather, for a browser", "GET", "/weather/oslo", browser, 200, "text/html", []string{"<h1>Oslo</h1>", "-3.5 °C", "<code>302</code>", "<code>307</code>", "/v2/observations/oslo"}},
		{"weather, for a program", "GET", "/weather/Ulan%20Bator", "*/*", 200, "application/json", []string{`{"city":"Ulan Bator","sky":"clear","celsius":-17}`}},
		{"weather nobody watches", "GET", "/weather/nowhere", program, 404, "application/problem+json", []string{"Nobody watches the weather in nowhere"}},
		{"a hostile city", "GET", "/weather/%3Cscript%3E%2F..%2F", browser, 404, "text/html", []string{"weather in &lt;script&gt;/../"}},
		{"a station that fails", "GET", "/weather/pompeii", browser, 502, "text/html", []string{"<h1>Bad Gateway</h1>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newVisitor(t, s.url, s.log)
			resp, body := s.do(tt.method, tt.path, "", "Accept", tt.accept)
			s.want(resp, tt.status)
			if got, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); got != tt.contentType {
				t.Errorf("Content-Type = %q, want %q", got, tt.contentType)
			}
			for _, part := range tt.body {
				if !strings.Contains(body, part) {
					t.Errorf("no %q in %s", part, body)
				}
			}
			for _, secret := range []string{"goroutine", "boiler", "127.0.0.1", "strconv", "client:"} {
				if tt.status >= 400 && strings.Contains(body, secret) {
					t.Errorf("%q in %s", secret, body)
				}
			}
			if resp.Header.Get("X-Request-Id") == "" || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("the middleware of the app did not run: %v", resp.Header)
			}
			line := s.log.wait(map[string]any{"request_id": resp.Header.Get("X-Request-Id"), "message": "request", "app": "website"})
			if line["status"] != float64(tt.status) || line["method"] != tt.method {
				t.Errorf("logged %v", line)
			}
		})
	}
}

func TestMethodNotAllowed(t *testing.T) {
	s := start(t)
	resp, _ := s.do("DELETE", "/login", "")
	s.want(resp, 405)
	if got := resp.Header.Get("Allow"); got != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("Allow = %q", got)
	}
	if resp, body := s.do("HEAD", "/api/users/1", ""); resp.StatusCode != 200 || body != "" || resp.ContentLength != 42 {
		t.Errorf("HEAD = %d, %q, length %d", resp.StatusCode, body, resp.ContentLength)
	}
}

func TestPanicIsLogged(t *testing.T) {
	s := start(t)
	resp, _ := s.do("GET", "/boom", "")
	line := s.log.wait(map[string]any{"request_id": resp.Header.Get("X-Request-Id"), "message": "pleat: request failed"})
	if stack, _ := line["stack"].(string); !strings.Contains(stack, ".boom(") {
		t.Errorf("the log does not say where: %v", line)
	}
}

func TestVisits(t *testing.T) {
	s := start(t)
	resp, _ := s.do("GET", "/", "")
	for _, want := range []string{"<strong>2</strong> times", "<strong>3</strong> times"} {
		var body string
		resp, body = s.do("GET", "/", "", "Cookie", s.cookie(resp, visitsCookie))
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	forged := []string{
		"visits=1000000", "visits=", "visits", "visits=\"\"", "visits=" + strings.Repeat("A", 4000),
		s.cookie(resp, visitsCookie) + "; visits=1000000",
		// A cookie of the same program under another name.
		"visits=" + strings.TrimPrefix(s.login("ada"), "session="),
	}
	for _, cookie := range forged {
		resp, body := s.do("GET", "/", "", "Cookie", cookie)
		s.want(resp, 200)
		if !strings.Contains(body, "first visit") {
			t.Errorf("%.60s was believed", cookie)
		}
	}
}

func TestSession(t *testing.T) {
	s := start(t)
	cookie := s.login("  ada <b> ")
	_, body := s.do("GET", "/", "", "Cookie", cookie)
	for _, part := range []string{"<h1>Hello, ada &lt;b&gt;!</h1>", `action="/logout"`, "/api/me"} {
		if !strings.Contains(body, part) {
			t.Errorf("no %q in %s", part, body)
		}
	}
	resp, body := s.do("GET", "/api/me", "", "Cookie", cookie)
	s.want(resp, 200)
	if body != `{"user":"ada \u003cb\u003e"}` && body != `{"user":"ada <b>"}` {
		t.Errorf("/api/me = %s", body)
	}

	resp, _ = s.do("POST", "/logout", "", "Cookie", cookie)
	s.want(resp, 303)
	if resp.Header.Get("Location") != "/" || s.cookie(resp, sessionCookie) != "session=" {
		t.Errorf("logout = %v", resp.Header)
	}
}

func TestLoginRefused(t *testing.T) {
	s := start(t)
	tests := []struct {
		name, form string
		status     int
		part       string
	}{
		{"no fields", "", 422, "Please say who you are."},
		{"no name", "name=+&password=pleat", 422, "Please say who you are."},
		{"wrong password", "name=%22ada%22&password=pleats", 422, `value="&#34;ada&#34;"`},
		{"no password", "name=ada", 422, "That is not the password."},
		{"a long name", "password=pleat&name=" + strings.Repeat("a", 33), 422, "no name we can remember"},
		{"a name with a line end", "password=pleat&name=a%0d%0ab", 422, "no name we can remember"},
		{"a name that is no text", "password=pleat&name=%ff", 422, "no name we can remember"},
		{"a broken form", "name=%zz", 400, "Bad Request"},
		{"a large form", "name=" + strings.Repeat("a", 11<<20), 413, "Request Entity Too Large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newVisitor(t, s.url, s.log)
			resp, body := s.do("POST", "/login", tt.form, "Accept", browser)
			s.want(resp, tt.status)
			if !strings.Contains(body, tt.part) || len(resp.Cookies()) > 0 {
				t.Errorf("no %q in %s, or cookies in %v", tt.part, body, resp.Header)
			}
		})
	}
}

// Whatever byte of the cookie is changed, and to whatever: nobody is logged in, and
// nothing breaks.
func TestSessionTampered(t *testing.T) {
	s := start(t)
	cookie := s.login("ada")
	resp, _ := s.do("GET", "/api/me", "", "Cookie", cookie)
	s.want(resp, 200)
	tampered := []string{cookie[:len(cookie)-1], cookie + "A", cookie + "=", "session==" + cookie[len("session="):]}
	for at := len("session="); at < len(cookie); at++ {
		for _, other := range "AB_=.%" {
			if changed := cookie[:at] + string(other) + cookie[at+1:]; changed != cookie {
				tampered = append(tampered, changed)
			}
		}
	}
	for _, cookie := range tampered {
		if resp, _ := s.do("GET", "/api/me", "", "Cookie", cookie); resp.StatusCode != 401 && resp.StatusCode != 400 {
			t.Errorf("%q = %d, want 401", cookie, resp.StatusCode)
		}
	}
	// To the pages it is as if there were no cookie.
	for _, cookie := range tampered[:10] {
		resp, body := s.do("GET", "/", "", "Cookie", cookie)
		s.want(resp, 200)
		if !strings.Contains(body, "<h1>Hello!</h1>") {
			t.Errorf("%q is still somebody", cookie)
		}
	}
}

func TestFormsOfOtherSites(t *testing.T) {
	s := start(t)
	tests := []struct {
		name   string
		header []string
		status int
	}{
		{"no browser", nil, 303},
		{"this site", []string{"Sec-Fetch-Site", "same-origin"}, 303},
		{"this site, an old browser", []string{"Origin", s.url}, 303},
		{"another site", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a neighbour", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"another site, an old browser", []string{"Origin", "https://evil.example"}, 403},
		{"a frame of no site", []string{"Origin", "null"}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newVisitor(t, s.url, s.log)
			for _, path := range []string{"/login?x", "/logout?x", "/station?x"} {
				resp, _ := s.do("POST", path, "name=ada&password=pleat&power=on", tt.header...)
				s.want(resp, tt.status)
				if tt.status == 403 && len(resp.Cookies()) > 0 {
					t.Errorf("%s set a cookie", path)
				}
			}
		})
	}
}

// One id runs through all that one request brings about.
func TestRequestIDReachesTheStation(t *testing.T) {
	s := start(t)
	resp, _ := s.do("GET", "/weather/oslo", "", "X-Request-Id", "mine")
	id := resp.Header.Get("X-Request-Id")
	if id == "mine" {
		t.Error("a visitor chose the id")
	}
	for _, path := range []string{"/now/oslo", "/v1/now/oslo", "/v2/observations/oslo"} {
		s.log.wait(map[string]any{"app": "station", "path": path, "request_id": id})
	}
	s.log.wait(map[string]any{"app": "website", "message": "pleat: upstream call", "hops": 2.0, "request_id": id})
}

func TestStationOff(t *testing.T) {
	s := start(t)
	for range 2 { // off and on again, twice
		for range 2 { // off when it is off
			resp, _ := s.do("POST", "/station", "power=off")
			s.want(resp, 303)
		}
		if _, body := s.do("GET", "/weather", ""); !strings.Contains(body, "The station is off") {
			t.Errorf("it is not off: %s", body)
		}
		resp, body := s.do("GET", "/weather/oslo", "", "Accept", program)
		s.want(resp, 502)
		if strings.Contains(body, "refused") || strings.Contains(body, "127.0.0.1") {
			t.Errorf("the cause is nobody's business: %s", body)
		}
		line := s.log.wait(map[string]any{"request_id": resp.Header.Get("X-Request-Id"), "message": "pleat: request failed"})
		if cause, _ := line["error"].(string); !strings.Contains(cause, "connecting") {
			t.Errorf("the cause is not in the log: %v", line)
		}
		for range 2 {
			resp, _ := s.do("POST", "/station", "power=on")
			s.want(resp, 303)
		}
		resp, _ = s.do("GET", "/weather/oslo", "")
		s.want(resp, 200)
	}
	resp, _ := s.do("POST", "/station", "power=perhaps")
	s.want(resp, 400)
}

func TestStationTooSlow(t *testing.T) {
	t.Parallel()
	s := startPatient(t, 5*time.Second) // enough to be led to where it takes for ever
	resp, body := s.do("GET", "/weather/atlantis", "", "Accept", program)
	s.want(resp, 504)
	if !strings.Contains(body, `"title":"Gateway Timeout"`) || strings.Contains(body, "deadline") {
		t.Errorf("body %s", body)
	}
	// The station was told that nobody waits any more.
	s.log.wait(map[string]any{"app": "station", "path": "/v2/observations/atlantis", "status": 499.0, "message": "request"})
}

// A visitor who goes away in the middle of a call takes the call along.
func TestVisitorGoesAway(t *testing.T) {
	called, dropped := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		close(called)
		<-q.Context().Done()
		close(dropped)
	}))
	defer upstream.Close()

	log, l := newLogLines(), listen(t)
	station := &station{addr: upstream.Listener.Addr().String()}
	app := newApp(zerolog.New(log), station)
	served := make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	defer func() {
		if err := app.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-served
	}()

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /weather/oslo HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-called
	conn.Close()
	<-dropped
	// Not because time was up: that would be a 504.
	line := log.wait(map[string]any{"message": "request", "path": "/weather/oslo"})
	if line["status"] != 499.0 {
		t.Errorf("logged %v, want status 499", line)
	}
}

func TestManyVisitors(t *testing.T) {
	s := start(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			cookie := s.login(string(rune('a' + i)))
			for range 5 {
				_, body := s.do("GET", "/api/me", "", "Cookie", cookie)
				if want := `{"user":"` + string(rune('a'+i)) + `"}`; body != want {
					t.Errorf("got %s, want %s", body, want)
				}
				resp, _ := s.do("GET", "/weather/lisbon", "")
				s.want(resp, 200)
			}
		})
	}
	wg.Wait()
}

func TestRunWithoutListener(t *testing.T) {
	l := listen(t)
	l.Close()
	if err := run(t.Context(), l, io.Discard, zerolog.Nop(), newStation(zerolog.Nop())); err == nil {
		t.Error("run on a closed listener ended without an error")
	}
}
