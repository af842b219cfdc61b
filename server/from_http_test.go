// SPDX-License-Identifier: MIT

package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// behind runs a handler behind net/http, as an App does.
func behind(h func(*server.HTTPRequest)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r, finish := server.FromHTTP(w, q)
		defer finish(true)
		h(r)
	})
}

// exchanged is what a client saw.
type exchanged struct {
	status  int
	body    string
	header  http.Header
	trailer http.Header
	length  int64
}

// places are the ways to run one handler, each given as what makes a request
// and gets the answer.
func places(t *testing.T, h func(*server.HTTPRequest)) map[string]func(q *http.Request) exchanged {
	t.Helper()
	do := func(client *http.Client, base string) func(q *http.Request) exchanged {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		return func(q *http.Request) exchanged {
			q = q.Clone(q.Context())
			target, err := q.URL.Parse(base + q.URL.RequestURI())
			if err != nil {
				t.Fatal(err)
			}
			q.URL, q.RequestURI = target, ""
			res, err := client.Do(q)
			if err != nil {
				t.Errorf("%s %s: %v", q.Method, q.URL, err)
				return exchanged{}
			}
			defer func() { _ = res.Body.Close() }()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Errorf("%s %s: %v", q.Method, q.URL, err)
			}
			return exchanged{res.StatusCode, string(body), res.Header, res.Trailer, res.ContentLength}
		}
	}
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	native := do(&http.Client{Transport: transport}, "http://"+startFunc(t, h))

	one := httptest.NewServer(behind(h))
	t.Cleanup(one.Close)
	two := httptest.NewUnstartedServer(behind(h))
	two.EnableHTTP2 = true
	two.StartTLS()
	t.Cleanup(two.Close)
	two.Client().Transport.(*http.Transport).DisableCompression = true
	one.Client().Transport.(*http.Transport).DisableCompression = true

	secure, secureURL := startHTTP2(t, &server.HTTPServer{Handler: server.HandlerFunc(h)})
	clear, clearURL := startCleartext(t, &server.HTTPServer{Handler: server.HandlerFunc(h)})

	return map[string]func(q *http.Request) exchanged{
		"native":                    native,
		"native HTTP/2":             do(secure, secureURL),
		"native HTTP/2 without TLS": do(clear, clearURL),
		"HTTP/1":                    do(one.Client(), one.URL),
		"HTTP/2":                    do(two.Client(), two.URL),
		"recorder": func(q *http.Request) exchanged {
			rec := httptest.NewRecorder()
			behind(h).ServeHTTP(rec, q)
			res := rec.Result()
			body, _ := io.ReadAll(res.Body)
			return exchanged{res.StatusCode, string(body), res.Header, res.Trailer, res.ContentLength}
		},
	}
}

func TestSameAnswersBehindNetHTTP(t *testing.T) {
	big := strings.Repeat("0123456789", 5000)
	file := t.TempDir() + "/file.txt"
	must(t, os.WriteFile(file, []byte(big), 0o600))
	when := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	must(t, os.Chtimes(file, when, when))
	tests := []struct {
		name    string
		method  string
		target  string
		header  http.Header
		body    string
		handler func(r *server.HTTPRequest)
		status  int
		want    string
		skip    string // a place whose differing is not ours
	}{
		{name: "nothing", handler: func(r *server.HTTPRequest) {}, status: 200},
		{name: "text", handler: ok, status: 200, want: "ok"},
		{name: "no content type", handler: writes("<html>"), status: 200, want: "<html>"},
		{name: "status", handler: status(418, writes("tea")), status: 418, want: "tea"},
		{name: "204", handler: status(204, writes("ignored")), status: 204},
		{name: "204 with fields", handler: func(r *server.HTTPRequest) { _ = r.SendString(204, text, "ignored") }, status: 204},
		{name: "304", handler: status(304, writes()), status: 304},
		{name: "304 with a body", handler: status(304, writes("ignored")), status: 304, skip: "recorder"},
		{name: "HEAD", method: "HEAD", handler: ok, status: 200},
		{name: "HEAD large", method: "HEAD", handler: sends(big), status: 200},
		{name: "large", handler: sends(big), status: 200, want: big},
		{name: "many writes", handler: writes(big, big), status: 200, want: big + big},
		{name: "flushed", handler: flushes("a", "b"), status: 200, want: "ab"},
		{name: "declared", handler: declares("2", flushes("a", "b")), status: 200, want: "ab"},
		{name: "declared too much", handler: declares("9", writes("ab")), status: 200, want: "ab"},
		{name: "fields", handler: func(r *server.HTTPRequest) {
			_ = r.SetHeader("X-A", "1")
			_ = r.AddHeader("X-A", "2")
			_ = r.SetHeader("X-B", "gone")
			r.DelHeader("X-B")
			_ = r.SetCookie(&http.Cookie{Name: "a", Value: "b"})
			_ = r.SetCookie(&http.Cookie{Name: "a", Value: "c"})
			ok(r)
		}, status: 200, want: "ok"},
		{name: "trailers", handler: func(r *server.HTTPRequest) {
			_, _ = r.WriteString("body")
			_ = r.SetTrailer("X-Sum", "1")
		}, status: 200, want: "body"},
		{name: "trailers of a stream", handler: func(r *server.HTTPRequest) {
			_, _ = r.WriteString("body")
			_ = r.Flush()
			_ = r.SetTrailer("X-Sum", "1")
		}, status: 200, want: "body"},
		{name: "reset", handler: func(r *server.HTTPRequest) {
			_ = r.SetHeader("X-Request-Id", "1")
			_ = r.SetHeader("ETag", `"a"`)
			_ = r.SendString(200, "a/b", "garbage")
			_ = r.SendError(server.ErrBodyTooLarge)
		}, status: 413, want: "413 Request Entity Too Large\n"},
		{name: "echo", method: "POST", body: "hello", handler: echo, status: 200, want: "hello"},
		{name: "echo large", method: "POST", body: big, handler: echo, status: 200, want: big},
		{name: "limit", method: "POST", body: "hello", handler: func(r *server.HTTPRequest) {
			r.SetBodyLimit(4)
			echo(r)
		}, status: 413, want: "413 Request Entity Too Large\n"},
		{name: "request line", method: "PUT", target: "/a%2Fb/c?d=e&f=%20", handler: func(r *server.HTTPRequest) {
			_ = r.SendString(200, text, fmt.Sprintf("%s %s %s %s %s %q %q", r.Method(), r.Target(), r.Path(), r.RawQuery(), r.QueryValue("d"), r.QueryValue("f"), r.Fragment()))
		}, status: 200, want: `PUT /a%2Fb/c?d=e&f=%20 /a%2Fb/c d=e&f=%20 e " " ""`},
		{name: "request fields", header: http.Header{"X-A": {"1", "2"}, "Cookie": {"a=b; c=d"}}, handler: func(r *server.HTTPRequest) {
			a, _ := r.Cookie("a")
			_ = r.SendString(200, text, fmt.Sprint(r.Header().Values("X-A"), a, len(r.Cookies()), r.ContentLength(), r.Header().Get("Host") == r.Host(), r.PeerIP().IsValid(), r.RemoteAddr() != ""))
		}, status: 200, want: "[1 2]b2 0 true true true"},
		{name: "form", method: "POST", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, body: "a=1&b=2", handler: func(r *server.HTTPRequest) {
			f, err := r.Form()
			_ = r.SendString(200, text, fmt.Sprint(f.Get("a"), f.Get("b"), err))
		}, status: 200, want: "12<nil>"},
		{name: "file", handler: func(r *server.HTTPRequest) { _ = r.SendFile(file, server.FileOptions{}) }, status: 200, want: big},
		{name: "file, range", header: http.Header{"Range": {"bytes=10-19"}}, handler: func(r *server.HTTPRequest) { _ = r.SendFile(file, server.FileOptions{}) }, status: 206, want: big[10:20]},
		{name: "file, not modified", header: http.Header{"If-Modified-Since": {when.Format(http.TimeFormat)}}, handler: func(r *server.HTTPRequest) { _ = r.SendFile(file, server.FileOptions{}) }, status: 304},
		{name: "ReadFrom", handler: withFile(file, func(r *server.HTTPRequest, f *os.File) (int64, error) { return r.ReadFrom(f) }, 50_000), status: 200, want: big},
		{name: "net/http handler", handler: func(r *server.HTTPRequest) {
			http.Error(r.ResponseWriter(), "teapot", http.StatusTeapot)
		}, status: 418, want: "teapot\n"},
		{name: "net/http redirect", handler: func(r *server.HTTPRequest) {
			http.Redirect(r.ResponseWriter(), r.StdRequest(), "/there", http.StatusFound)
		}, status: 302, want: "<a href=\"/there\">Found</a>.\n\n"},
		{name: "net/http trailers", handler: func(r *server.HTTPRequest) {
			w := r.ResponseWriter()
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-Sum", "1")
			w.Header().Set(http.TrailerPrefix+"X-Other", "2")
		}, status: 200, want: "body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := places(t, tt.handler)
			request := func() *http.Request {
				method, target := tt.method, tt.target
				if method == "" {
					method = "GET"
				}
				if target == "" {
					target = "/"
				}
				q := httptest.NewRequest(method, target, strings.NewReader(tt.body))
				if tt.body == "" {
					q.Body = http.NoBody
				}
				q.Header = tt.header.Clone()
				if q.Header == nil {
					q.Header = http.Header{}
				}
				return q
			}
			native := all["native"](request())
			for _, place := range slices.Sorted(maps.Keys(all)) {
				if place == tt.skip {
					continue
				}
				got := all[place](request())
				if got.status != tt.status || got.body != tt.want {
					t.Errorf("%s: %d %q, want %d %q", place, got.status, clip(got.body), tt.status, clip(tt.want))
				}
				if d := differences(native.header, got.header); d != "" {
					t.Errorf("%s: header differs from native: %s", place, d)
				}
				if d := differences(native.trailer, got.trailer); d != "" {
					t.Errorf("%s: trailer differs from native: %s", place, d)
				}
				if native.length >= 0 && got.length != native.length && place != "recorder" {
					t.Errorf("%s: content length %d, native %d", place, got.length, native.length)
				}
			}
		})
	}
}

// differences compares what two servers sent, without what each adds.
func differences(a, b http.Header) string {
	own := []string{"Date", "Server", "Connection", "Trailer", "Content-Length"}
	var d []string
	for _, h := range []http.Header{a, b} {
		for name := range h {
			if slices.Contains(own, name) || slices.Equal(a[name], b[name]) {
				continue
			}
			d = append(d, fmt.Sprintf("%s: %q and %q", name, a[name], b[name]))
		}
	}
	return strings.Join(d, "; ")
}

func TestFromHTTPRequest(t *testing.T) {
	t.Run("as it came", func(t *testing.T) {
		q := httptest.NewRequest("GET", "https://Example.com:8443/p?q=1", nil)
		q.RemoteAddr = "[::ffff:192.0.2.1%eth0]:1234"
		r, finish := server.FromHTTP(httptest.NewRecorder(), q)
		defer finish(true)
		if r.Host() != "Example.com:8443" || r.Hostname() != "example.com" || r.Scheme() != "https" || !r.IsSecure() ||
			r.FullURL() != "https://Example.com:8443/p?q=1" || r.Path() != "/p" || r.RawQuery() != "q=1" {
			t.Errorf("%q %q %q %q %q", r.Host(), r.Hostname(), r.Scheme(), r.FullURL(), r.Path())
		}
		if r.PeerIP().String() != "192.0.2.1" || r.RemoteAddr() != q.RemoteAddr {
			t.Errorf("PeerIP() = %v", r.PeerIP())
		}
		if r.Connection() != nil || r.Protocol() != "HTTP/1.1" || r.StdRequest() != q || r.Logger() == nil || r.CookieKeys() != nil {
			t.Error("not the request that net/http gave")
		}
	})
	t.Run("odd ones", func(t *testing.T) {
		for _, q := range []*http.Request{
			{},
			{Method: "OPTIONS", RequestURI: "*", Host: "h"},
			{Method: "CONNECT", RequestURI: "h:1", Host: "h:1"},
			{Method: "GET", RequestURI: "http://h/p?q", Host: "h\r\nX: y"},
			{Method: "GET", Header: http.Header{"Bad Name": {"x"}, "X-Bad": {"a\nb"}, "X-Good": {"1"}, "Host": {"other"}}, Host: "h"},
		} {
			r, finish := server.FromHTTP(httptest.NewRecorder(), q)
			_ = fmt.Sprint(r.Method(), r.Path(), r.RawQuery(), r.FullURL(), r.Hostname(), r.RemoteIP(), r.LocalAddr(), r.Fragment(), r.Header().Len(), r.TLS())
			if v := r.Header().Get("X-Bad") + r.Header().Get("Bad Name") + r.Header().Get("X"); v != "" {
				t.Errorf("a field that could not have come over the wire: %q", v)
			}
			if len(r.Header().Values("Host")) > 1 {
				t.Errorf("Host twice: %q", r.Header().Values("Host"))
			}
			if _, err := r.Body(); err != nil {
				t.Errorf("Body() = %v", err)
			}
			finish(true)
		}
	})
	t.Run("stripped prefix", func(t *testing.T) {
		got := ""
		http.StripPrefix("/app", behind(func(r *server.HTTPRequest) { got = r.Path() + "?" + r.RawQuery() })).
			ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/app/page?x=1", nil))
		if got != "/page?x=1" {
			t.Errorf("path %q", got)
		}
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.WithValue(context.Background(), contextKey{}, "v"))
		r, finish := server.FromHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		defer finish(true)
		if r.Context().Value(contextKey{}) != "v" || r.Context().Err() != nil {
			t.Error("not the context of net/http")
		}
		cancel()
		<-r.Context().Done()
	})
}

func TestFromHTTPDone(t *testing.T) {
	rec := httptest.NewRecorder()
	r, finish := server.FromHTTP(rec, httptest.NewRequest("POST", "/", strings.NewReader("body")))
	calls := 0
	r.OnFinish(func() {
		calls++
		finish(true)
		if n, err := r.WriteString("late"); n != 0 || !errors.Is(err, server.ErrRequestDone) {
			t.Errorf("Write in OnFinish = %d, %v", n, err)
		}
		if r.Status() != 200 || r.BytesWritten() != 2 {
			t.Errorf("in OnFinish: %d, %d octets", r.Status(), r.BytesWritten())
		}
	})
	ok(r)
	w := r.ResponseWriter()
	finish(true)
	finish(true)
	if calls != 1 || rec.Body.String() != "ok" {
		t.Errorf("OnFinish ran %d times, body %q", calls, rec.Body)
	}
	_, err := r.WriteString("late")
	if _, err2 := io.WriteString(w, "late"); !errors.Is(err, server.ErrRequestDone) || !errors.Is(err2, server.ErrRequestDone) {
		t.Errorf("writes after the end: %v, %v", err, err2)
	}
	if _, err := r.Body(); !errors.Is(err, server.ErrRequestDone) {
		t.Errorf("Body() after the end: %v", err)
	}
	if rec.Body.String() != "ok" {
		t.Errorf("body %q", rec.Body)
	}
}

// finish does not wait for a goroutine that is still reading the body.
func TestFromHTTPFinishDoesNotWait(t *testing.T) {
	here, there := io.Pipe()
	r, finish := server.FromHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", here))
	reading := make(chan error)
	go func() {
		_, err := r.Body()
		reading <- err
	}()
	_, _ = there.Write([]byte("x"))
	finish(true)
	_ = there.Close()
	if err := <-reading; !errors.Is(err, server.ErrRequestDone) {
		t.Errorf("Body() = %v", err)
	}
}

func TestFromHTTPHijack(t *testing.T) {
	s := httptest.NewServer(behind(func(r *server.HTTPRequest) {
		conn, rw, err := r.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("got " + line)
		_ = rw.Flush()
		_ = conn.Close()
		if _, err := r.WriteString("x"); !errors.Is(err, server.ErrHijacked) || !r.Hijacked() {
			t.Errorf("Write after Hijack: %v", err)
		}
	}))
	defer s.Close()
	c := dial(t, s.Listener.Addr().String())
	c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nhello\n")
	c.wantLine("got hello")
	c.wantClosed("the handler closed")

	r, finish := server.FromHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	defer finish(true)
	if _, _, err := r.Hijack(); !errors.Is(err, server.ErrNotHijackable) {
		t.Errorf("Hijack of a recorder: %v", err)
	}
	ok(r) // and it can still be answered
}

func TestFromHTTPDeadlinesAndInformational(t *testing.T) {
	s := httptest.NewServer(behind(func(r *server.HTTPRequest) {
		must(t, r.SetHeader("X-Final", "1"))
		must(t, r.SendInformational(103, http.Header{"Link": {"</a>"}}))
		must(t, r.SetReadDeadline(time.Now().Add(soon)))
		must(t, r.SetWriteDeadline(time.Now().Add(time.Hour)))
		_, err := r.Body()
		if !errors.Is(err, server.ErrBodyTimeout) {
			t.Errorf("Body() = %v", err)
		}
		_ = r.SendError(err)
	}))
	defer s.Close()
	c := dial(t, s.Listener.Addr().String())
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
	c.wantLine("HTTP/1.1 103 Early Hints")
	c.wantLine("Link: </a>")
	c.wantLine("")
	a := c.wantStatus(408)
	wantHeader(t, a.Header, "X-Final=1 !Link")
}

func TestFromHTTPMultipart(t *testing.T) {
	var names []string
	s := httptest.NewServer(behind(func(r *server.HTTPRequest) {
		h, err := r.File("upload")
		if err != nil {
			t.Error(err)
			return
		}
		f, err := h.Open()
		must(t, err)
		if osFile, ok := f.(*os.File); ok {
			names = append(names, osFile.Name())
		}
		b, err := io.ReadAll(f)
		must(t, err)
		must(t, f.Close())
		_ = r.SendString(200, text, fmt.Sprint(len(b)))
	}))
	defer s.Close()
	here, there := io.Pipe()
	m := multipart.NewWriter(there)
	go func() {
		w, _ := m.CreateFormFile("upload", "name.bin")
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 4<<20))
		_ = m.Close()
		_ = there.Close()
	}()
	res, err := http.Post(s.URL, m.FormDataContentType(), here)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if string(body) != fmt.Sprint(4<<20) || len(names) != 1 {
		t.Fatalf("%q, %v", body, names)
	}
	s.Close() // waits for the handler
	if _, err := os.Stat(names[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file is left behind: %v", err)
	}
}

// http.Client has its own idea of HTTP: it talks to us in all methods and
// framings.
func TestHTTPClient(t *testing.T) {
	_, pool, certFile, keyFile := certificate(t)
	handler := server.HandlerFunc(func(r *server.HTTPRequest) {
		body, err := r.Body()
		must(t, err)
		must(t, r.SetHeader("X-Method", r.Method()))
		must(t, r.SetHeader("X-Length", fmt.Sprint(r.ContentLength())))
		_ = r.SendResponse(200, "application/octet-stream", body)
	})
	bases := map[string]string{
		"http":  "http://" + start(t, &server.HTTPServer{Handler: handler}),
		"https": "https://" + startTLS(t, &server.HTTPServer{Handler: handler}, certFile, keyFile),
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, ExpectContinueTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for name, base := range bases {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
			for _, size := range []int{0, 1, 10_000, 300_000} {
				for _, how := range []string{"length", "chunked", "expect"} {
					body := strings.Repeat("x", size)
					var src io.Reader = strings.NewReader(body)
					if how == "chunked" {
						src = struct{ io.Reader }{src}
					}
					q, err := http.NewRequest(method, base, src)
					if err != nil {
						t.Fatal(err)
					}
					if how == "expect" {
						q.Header.Set("Expect", "100-continue")
					}
					res, err := client.Do(q)
					if err != nil {
						t.Fatalf("%s %s %d %s: %v", name, method, size, how, err)
					}
					got, err := io.ReadAll(res.Body)
					_ = res.Body.Close()
					want := body
					if method == "HEAD" {
						want = ""
					}
					if err != nil || string(got) != want || res.StatusCode != 200 || res.Header.Get("X-Method") != method {
						t.Errorf("%s %s %d %s: %d, %d octets, %v", name, method, size, how, res.StatusCode, len(got), err)
					}
				}
			}
		}
	}
}
