// SPDX-License-Identifier: MIT

package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

func TestAnswerFraming(t *testing.T) {
	big := strings.Repeat("0123456789", 5000)
	tests := []struct {
		name    string
		handler func(*server.HTTPRequest)
		method  string // GET
		version string // 1.1
		status  int
		body    string
		header  string // "Name=value", "!Name" for absent, separated by spaces
		closed  bool
	}{
		{name: "nothing", handler: func(r *server.HTTPRequest) {}, status: 200, header: "Content-Length=0 !Transfer-Encoding !Content-Type"},
		{name: "text", handler: ok, status: 200, body: "ok", header: "Content-Length=2 Content-Type=text/plain;charset=utf-8"},
		{name: "writes", handler: writes("a", "", "b", "c"), status: 200, body: "abc", header: "Content-Length=3"},
		{name: "large response", handler: sends(big), status: 200, body: big, header: "Content-Length=50000"},
		{name: "many writes", handler: writes(big, big), status: 200, body: big + big, header: "!Content-Length Transfer-Encoding=chunked"},
		{name: "flushed", handler: flushes("a", "b"), status: 200, body: "ab", header: "!Content-Length Transfer-Encoding=chunked"},
		{name: "flushed, nothing", handler: flushes(), status: 200, body: "", header: "!Content-Length Transfer-Encoding=chunked"},
		{name: "flushed with a length", handler: declares("2", flushes("a", "b")), status: 200, body: "ab", header: "Content-Length=2 !Transfer-Encoding"},
		{name: "flushed on 1.0", handler: flushes("a", "b"), version: "1.0", status: 200, body: "ab", header: "!Content-Length !Transfer-Encoding", closed: true},
		{name: "large on 1.0", handler: sends(big), version: "1.0", status: 200, body: big, header: "Content-Length=50000", closed: true},
		{name: "declared too much", handler: declares("10", writes("ab")), status: 200, body: "ab", header: "Content-Length=2"},
		{name: "declared exactly", handler: declares("2", writes("ab")), status: 200, body: "ab", header: "Content-Length=2"},
		{name: "declared too little", handler: declares("1", func(r *server.HTTPRequest) {
			_, _ = r.WriteString("a")
			if n, err := r.WriteString("b"); n != 0 || !errors.Is(err, server.ErrContentLength) {
				panic(fmt.Sprint(n, err))
			}
		}), status: 200, body: "a", header: "Content-Length=1"},
		{name: "declared, with trailers", handler: declares("5", func(r *server.HTTPRequest) {
			_ = r.SetTrailer("X-T", "1")
			_, _ = r.WriteString("ab")
		}), status: 200, body: "ab", header: "Content-Length=2"},

		{name: "HEAD", method: "HEAD", handler: ok, status: 200, header: "Content-Length=2 Content-Type=text/plain;charset=utf-8"},
		{name: "HEAD large", method: "HEAD", handler: sends(big), status: 200, header: "Content-Length=50000"},
		{name: "HEAD, length only", method: "HEAD", handler: declares("7", writes()), status: 200, header: "Content-Length=7"},
		{name: "HEAD, nothing known", method: "HEAD", handler: writes(), status: 200, header: "!Content-Length"},
		{name: "HEAD streamed", method: "HEAD", handler: flushes("a", "b"), status: 200, header: "!Content-Length"},
		{name: "HEAD many writes", method: "HEAD", handler: writes(big, big), status: 200, header: "!Transfer-Encoding"},
		{name: "204", handler: status(204, writes()), status: 204, header: "!Content-Length !Transfer-Encoding"},
		{name: "204 with a body", handler: status(204, writes("ignored")), status: 204, header: "!Content-Length !Content-Type"},
		{name: "204 streamed", handler: status(204, flushes("ignored", big)), status: 204, header: "!Content-Length !Transfer-Encoding"},
		{name: "204 with a type and a length", handler: declares("7", func(r *server.HTTPRequest) {
			_ = r.SetHeader("Content-Type", text)
			_ = r.SetStatus(204)
		}), status: 204, header: "!Content-Length !Content-Type"},
		{name: "205", handler: status(205, writes("ignored")), status: 205, header: "Content-Length=0"},
		{name: "304", handler: status(304, writes()), status: 304, header: "!Content-Length !Transfer-Encoding"},
		{name: "304 with a body", handler: status(304, writes("ignored")), status: 304, header: "!Content-Length"},
		{name: "304 with a length", handler: status(304, declares("7", writes())), status: 304, header: "Content-Length=7"},
		{name: "304 streamed", handler: status(304, flushes("ignored")), status: 304, header: "!Content-Length !Transfer-Encoding"},
		{name: "CONNECT refused", method: "CONNECT", handler: status(405, writes("no")), status: 405, body: "no", header: "Content-Length=2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := startFunc(t, func(r *server.HTTPRequest) {
				if r.Path() == "/next" {
					ok(r)
					return
				}
				tt.handler(r)
			})
			method, version, target := tt.method, tt.version, "/"
			if method == "" {
				method = "GET"
			}
			if method == "CONNECT" {
				target = "h:1"
			}
			if version == "" {
				version = "1.1"
			}
			c := dial(t, addr)
			c.send("%s %s HTTP/%s\r\nHost: h:1\r\n\r\n", method, target, version)
			a := c.read(method)
			if a.StatusCode != tt.status || a.body != tt.body {
				t.Fatalf("got %d %q, want %d %q", a.StatusCode, clip(a.body), tt.status, clip(tt.body))
			}
			if len(a.TransferEncoding) > 0 {
				a.Header.Set("Transfer-Encoding", strings.Join(a.TransferEncoding, ","))
			}
			wantHeader(t, a.Header, tt.header)
			if tt.closed {
				c.wantClosed("no other end of the body")
				return
			}
			c.wantOpen("/next")
		})
	}
}

// wantHeader checks fields in the notation of TestAnswerFraming.
func wantHeader(t *testing.T, h http.Header, want string) {
	t.Helper()
	for _, w := range strings.Fields(want) {
		if name, absent := strings.CutPrefix(w, "!"); absent {
			if got, has := h[name]; has {
				t.Errorf("%s: %q, want none", name, got)
			}
			continue
		}
		name, value, _ := strings.Cut(w, "=")
		if got := strings.ReplaceAll(h.Get(name), " ", ""); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
}

func writes(parts ...string) func(*server.HTTPRequest) {
	return func(r *server.HTTPRequest) {
		for _, p := range parts {
			_, _ = r.WriteString(p)
		}
	}
}

func flushes(parts ...string) func(*server.HTTPRequest) {
	return func(r *server.HTTPRequest) {
		_ = r.Flush()
		for _, p := range parts {
			_, _ = r.WriteString(p)
			_ = r.Flush()
		}
	}
}

func sends(body string) func(*server.HTTPRequest) {
	return func(r *server.HTTPRequest) { _ = r.SendString(200, text, body) }
}

func declares(length string, h func(*server.HTTPRequest)) func(*server.HTTPRequest) {
	return func(r *server.HTTPRequest) {
		_ = r.SetHeader("Content-Length", length)
		h(r)
	}
}

func status(code int, h func(*server.HTTPRequest)) func(*server.HTTPRequest) {
	return func(r *server.HTTPRequest) {
		_ = r.SetStatus(code)
		h(r)
	}
}

func TestAnswerShorterThanDeclared(t *testing.T) {
	c := dial(t, startFunc(t, declares("10", flushes("abc"))))
	c.get("/")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); string(body) != "abc" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("body %q, %v; want the connection to end in it", body, err)
	}
}

func TestConnectAnsweredWithoutTunnel(t *testing.T) {
	c := dial(t, startFunc(t, ok))
	c.send("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
	a := c.read("CONNECT")
	wantHeader(t, a.Header, "!Content-Length !Transfer-Encoding")
	if a.StatusCode != 200 {
		t.Errorf("status %d", a.StatusCode)
	}
	c.wantClosed("what follows is for a tunnel that is not there")
}

func TestStreaming(t *testing.T) {
	next := make(chan struct{})
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		for i := range 3 {
			_, _ = fmt.Fprintf(r, "part %d\n", i)
			must(t, r.Flush())
			<-next
		}
	}))
	c.get("/")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		got := make([]byte, 7)
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != fmt.Sprintf("part %d\n", i) {
			t.Fatalf("%q, %v", got, err)
		}
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestResponseTrailer(t *testing.T) {
	addr := startFunc(t, func(r *server.HTTPRequest) {
		_, _ = r.WriteString("body")
		if r.Path() == "/stream" {
			_ = r.Flush()
		}
		must(t, r.SetTrailer("X-Sum", "1"))
		must(t, r.SetTrailer("X-Sum", "2"))
	})
	for _, path := range []string{"/", "/stream"} {
		c := dial(t, addr)
		c.get(path)
		if a := c.wantAnswer(200, "body"); fmt.Sprint(a.Trailer["X-Sum"]) != "[1 2]" {
			t.Errorf("%s: trailers %v", path, a.Trailer)
		}
		c.get(path)
		c.wantAnswer(200, "body")
		c.send("GET %s HTTP/1.0\r\n\r\n", path)
		if a := c.wantAnswer(200, "body"); len(a.Trailer) > 0 {
			t.Errorf("%s: trailers on HTTP/1.0", path)
		}
	}
	c := dial(t, addr)
	c.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
	if a := c.read("HEAD"); a.StatusCode != 200 {
		t.Error(a.StatusCode)
	}
	c.wantOpen("/")
}

func TestInformational(t *testing.T) {
	addr := startFunc(t, func(r *server.HTTPRequest) {
		must(t, r.SetHeader("X-Final", "1"))
		must(t, r.SendInformational(103, http.Header{"Link": {"</a>; rel=preload", "</b>; rel=preload"}}))
		must(t, r.SendInformational(102, nil))
		for _, bad := range []int{0, 99, 100, 101, 200} {
			if err := r.SendInformational(bad, nil); !errors.Is(err, server.ErrInvalidStatus) {
				t.Errorf("SendInformational(%d) = %v", bad, err)
			}
		}
		_ = r.SendString(200, text, "ok")
		must(t, r.Flush())
		if err := r.SendInformational(103, nil); !errors.Is(err, server.ErrCommitted) {
			t.Errorf("after the head: %v", err)
		}
	})
	c := dial(t, addr)
	c.get("/")
	for _, line := range []string{
		"HTTP/1.1 103 Early Hints", "Link: </a>; rel=preload", "Link: </b>; rel=preload", "",
		"HTTP/1.1 102 Processing", "", "HTTP/1.1 200 OK",
	} {
		c.wantLine(line)
	}
	c = dial(t, addr)
	c.send("GET / HTTP/1.0\r\n\r\n")
	c.wantAnswer(200, "ok")
}

func TestStatus(t *testing.T) {
	addr := startFunc(t, func(r *server.HTTPRequest) {
		if r.Status() != 0 {
			t.Errorf("Status() = %d before any was set", r.Status())
		}
		for _, bad := range []int{-1, 0, 99, 100, 199, 600, 1000} {
			if err := r.SetStatus(bad); !errors.Is(err, server.ErrInvalidStatus) {
				t.Errorf("SetStatus(%d) = %v", bad, err)
			}
			if err := r.SendString(bad, text, ""); !errors.Is(err, server.ErrInvalidStatus) {
				t.Errorf("SendString(%d) = %v", bad, err)
			}
		}
		var code int
		_, _ = fmt.Sscanf(r.Path(), "/%d", &code)
		must(t, r.SetStatus(code))
		must(t, r.Flush())
		if r.Status() != code {
			t.Errorf("Status() = %d after %d was sent", r.Status(), code)
		}
		if err := r.SetStatus(200); !errors.Is(err, server.ErrCommitted) {
			t.Errorf("SetStatus after the head: %v", err)
		}
	})
	for code, line := range map[int]string{
		200: "HTTP/1.1 200 OK", 201: "HTTP/1.1 201 Created", 299: "HTTP/1.1 299 ", 404: "HTTP/1.1 404 Not Found",
		418: "HTTP/1.1 418 I'm a teapot", 500: "HTTP/1.1 500 Internal Server Error", 599: "HTTP/1.1 599 ",
	} {
		c := dial(t, addr)
		c.get(fmt.Sprintf("/%d", code))
		c.wantLine(line)
	}
}

func TestDateAndServer(t *testing.T) {
	tests := []struct {
		name    string
		server  string
		handler func(*server.HTTPRequest)
		want    string
	}{
		{"default", "", ok, "Server=pleat"},
		{"own", "me/1.0", ok, "Server=me/1.0"},
		{"none", "-", ok, "!Server"},
		{"by the handler", "", func(r *server.HTTPRequest) {
			_ = r.SetHeader("server", "other")
			_ = r.SetHeader("Server", "mine")
			ok(r)
		}, "Server=mine"},
		{"by the handler where there is none", "-", func(r *server.HTTPRequest) { _ = r.SetHeader("Server", "mine") }, "Server=mine"},
		{"taken back", "", func(r *server.HTTPRequest) {
			_ = r.SetHeader("Server", "mine")
			_ = r.SetHeader("Date", "now")
			r.DelHeader("Server")
			r.DelHeader("Date")
		}, "Server=pleat"},
		{"date by the handler", "", func(r *server.HTTPRequest) { _ = r.SetHeader("Date", "Thu,01Jan1970") }, "Server=pleat Date=Thu,01Jan1970"},
		{"both by the handler", "", func(r *server.HTTPRequest) {
			_ = r.SetHeader("Date", "Thu,01Jan1970")
			_ = r.SetHeader("Server", "mine")
		}, "Server=mine Date=Thu,01Jan1970"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, start(t, &server.HTTPServer{Handler: server.HandlerFunc(tt.handler), ServerHeader: tt.server}))
			c.get("/")
			a := c.wantStatus(200)
			wantHeader(t, a.Header, tt.want)
			if n := len(a.Header["Date"]); n != 1 || len(a.Header["Server"]) > 1 {
				t.Errorf("%d Date lines, %d Server lines", n, len(a.Header["Server"]))
			}
			if date := a.Header.Get("Date"); !strings.Contains(tt.want, "Date") {
				if when, err := http.ParseTime(date); err != nil || time.Since(when).Abs() > time.Hour {
					t.Errorf("Date: %q", date)
				}
			}
		})
	}
}

func TestResponseFields(t *testing.T) {
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		must(t, r.SetHeader("X-A", "1"))
		must(t, r.AddHeader("x-a", "2"))
		must(t, r.SetHeader("X-B", "gone"))
		must(t, r.SetHeader("x-b", "kept"))
		must(t, r.SetHeader("X-C", "gone"))
		r.DelHeader("X-c")
		must(t, r.SetHeader("X-Empty", ""))
		must(t, r.SetHeader("Content-Type", "gone"))
		must(t, r.SetHeader("content-type", text))
		for name, want := range map[string]string{"X-A": "1", "X-B": "kept", "X-C": "", "content-type": text, "Content-Length": "", "X": ""} {
			if got := r.ResponseHeader(name); got != want {
				t.Errorf("ResponseHeader(%q) = %q, want %q", name, got, want)
			}
		}
		must(t, r.SetHeader("Content-Length", "3"))
		must(t, r.SetHeader("Connection", "close"))
		if r.ResponseHeader("content-length") != "3" || r.ResponseHeader("Connection") != "close" {
			t.Error("fields of the connection cannot be read back")
		}
		m := r.ResponseHeaders()
		m.Set("X-A", "changed") // a copy
		if fmt.Sprint(m["X-B"], m["Content-Type"], m["Content-Length"], m["Connection"]) != "[kept] ["+text+"] [3] [close]" {
			t.Errorf("ResponseHeaders() = %v", m)
		}
		r.DelHeader("Content-Length")
		r.DelHeader("Connection")
		_, _ = r.WriteString("ok")
		if n := r.BytesWritten(); n != 2 {
			t.Errorf("BytesWritten() = %d", n)
		}
		if r.Committed() {
			t.Error("Committed() before anything was sent")
		}
		must(t, r.Flush())
		if !r.Committed() {
			t.Error("not Committed() after Flush")
		}
		for what, err := range map[string]error{
			"SetHeader": r.SetHeader("X-Late", "1"), "AddHeader": r.AddHeader("X-Late", "1"),
			"SetCookie": r.SetCookie(&http.Cookie{Name: "a", Value: "b"}), "SendString": r.SendString(200, text, "again"),
			"ResetResponse": r.ResetResponse(), "SendError": r.SendError(io.EOF),
		} {
			if !errors.Is(err, server.ErrCommitted) {
				t.Errorf("%s after the head: %v", what, err)
			}
		}
		r.DelHeader("X-A")
	}))
	c.get("/")
	a := c.wantAnswer(200, "ok")
	wantHeader(t, a.Header, "X-A=1 X-B=kept !X-C !X-Late X-Empty= Content-Type=text/plain;charset=utf-8")
	if fmt.Sprint(a.Header["X-A"]) != "[1 2]" {
		t.Errorf("X-A: %q", a.Header["X-A"])
	}
}

func TestHeaderInjection(t *testing.T) {
	bad := []string{"a\r\nSet-Cookie: evil=1", "a\nb", "a\rb", "a\x00b", "a\x01b", "a\x7fb", "\r\n\r\n<script>"}
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		refused := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, server.ErrInvalidHeader) {
				t.Errorf("%s = %v, want ErrInvalidHeader", what, err)
			}
		}
		for _, v := range bad {
			refused(fmt.Sprintf("SetHeader(X, %q)", v), r.SetHeader("X", v))
			refused(fmt.Sprintf("AddHeader(X, %q)", v), r.AddHeader("X", v))
			refused(fmt.Sprintf("SetHeader(Content-Type, %q)", v), r.SetHeader("Content-Type", v))
			refused(fmt.Sprintf("SetHeader(Connection, %q)", v), r.SetHeader("Connection", v))
			refused(fmt.Sprintf("SetTrailer(X, %q)", v), r.SetTrailer("X", v))
			refused(fmt.Sprintf("SendResponse(%q)", v), r.SendResponse(200, v, nil))
			refused(fmt.Sprintf("SendInformational(%q)", v), r.SendInformational(103, http.Header{"X": {v}}))
			refused(fmt.Sprintf("SetHeader(%q, x)", v), r.SetHeader(v, "x"))
			refused(fmt.Sprintf("SetTrailer(%q, x)", v), r.SetTrailer(v, "x"))
			if err := r.SetCookie(&http.Cookie{Name: "c", Value: v}); err == nil {
				t.Errorf("SetCookie with value %q went through", v)
			}
			if err := r.SetCookie(&http.Cookie{Name: "c", Value: "x", Path: v}); err == nil {
				t.Errorf("SetCookie with path %q went through", v)
			}
			r.ResponseWriter().Header()["X-Std"] = []string{v}
			r.ResponseWriter().Header()[v] = []string{"x"}
		}
		for _, name := range []string{"", "a b", "a:", "ä", "a\tb", "(a)"} {
			refused(fmt.Sprintf("SetHeader(%q, x)", name), r.SetHeader(name, "x"))
		}
		for _, name := range []string{"Transfer-Encoding", "transfer-encoding", "Keep-Alive", "Proxy-Connection"} {
			refused("SetHeader("+name+")", r.SetHeader(name, "chunked"))
			refused("SetTrailer("+name+")", r.SetTrailer(name, "chunked"))
		}
		for _, length := range []string{"-1", "+1", "a", "", "1,1", "99999999999999999999", "0x1"} {
			if r.Path() == "/" {
				refused("Content-Length "+length, r.SetHeader("Content-Length", length))
			}
		}
		refused("trailer", r.SetTrailer("Content-Length", "1"))
		ok(r)
	}))
	c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	raw, err := io.ReadAll(c.r)
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"evil", "script", "X-Std", "\x00", "\nX:", "chunked"} {
		if strings.Contains(string(raw), leak) {
			t.Errorf("%q got out: %q", leak, raw)
		}
	}
	for _, v := range bad {
		s := &server.HTTPServer{Handler: server.HandlerFunc(ok), ServerHeader: v}
		if err := s.ListenAndServe("127.0.0.1:0"); err == nil {
			t.Errorf("ServerHeader %q was accepted", v)
		}
	}
}

func TestResetResponse(t *testing.T) {
	for _, std := range []bool{false, true} {
		t.Run(fmt.Sprint("std ", std), func(t *testing.T) {
			c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
				if std {
					h := r.ResponseWriter().Header()
					defer func() { h.Set("X-Late", "ignored") }()
				}
				for name, value := range map[string]string{
					"X-Request-Id": "id", "Vary": "Origin", "Content-Security-Policy": "none", "Access-Control-Allow-Origin": "*",
					"ETag": `"a"`, "Last-Modified": "x", "Content-Encoding": "gzip", "Content-Length": "7", "Content-Type": "a/b",
					"Cache-Control": "max-age=1", "Location": "/", "Content-Disposition": "attachment", "Accept-Ranges": "bytes", "Expires": "0",
				} {
					must(t, r.SetHeader(name, value))
				}
				must(t, r.SetCookie(&http.Cookie{Name: "a", Value: "b"}))
				must(t, r.SetTrailer("X-T", "1"))
				if std {
					r.ResponseWriter().WriteHeader(201)
				}
				must(t, r.SetStatus(206))
				_, _ = r.WriteString("garbage")
				must(t, r.ResetResponse())
				if r.Status() != 0 || r.BytesWritten() != 0 {
					t.Errorf("status %d, %d octets after the reset", r.Status(), r.BytesWritten())
				}
				if std {
					w := r.ResponseWriter()
					w.Header().Set("X-After", "1")
					w.WriteHeader(500)
					_, _ = io.WriteString(w, "sorry")
					return
				}
				must(t, r.SetHeader("X-After", "1"))
				must(t, r.SendString(500, text, "sorry"))
			}))
			c.get("/")
			a := c.wantAnswer(500, "sorry")
			wantHeader(t, a.Header, "X-Request-Id=id Vary=Origin Content-Security-Policy=none Access-Control-Allow-Origin=* X-After=1 Set-Cookie=a=b "+
				"!Etag !Last-Modified !Content-Encoding !Cache-Control !Location !Content-Disposition !Accept-Ranges !Expires !X-T !X-Late "+
				"Content-Length=5 Content-Type=text/plain;charset=utf-8")
		})
	}
}

func TestReadFrom(t *testing.T) {
	big := strings.Repeat("0123456789", 50_000)
	path := t.TempDir() + "/big"
	must(t, os.WriteFile(path, []byte(big), 0o600))
	failure := errors.New("source failed")
	tests := []struct {
		name    string
		handler func(r *server.HTTPRequest)
		want    string
	}{
		{"reader", copies(func() io.Reader { return strings.NewReader(big) }, int64(len(big)), nil), big},
		{"nothing", copies(func() io.Reader { return strings.NewReader("") }, 0, nil), ""},
		{"failing", copies(func() io.Reader {
			return io.MultiReader(strings.NewReader("abc"), errReader{failure})
		}, 3, failure), "abc"},
		{"file", withFile(path, func(r *server.HTTPRequest, f *os.File) (int64, error) { return r.ReadFrom(f) }, int64(len(big))), big},
		{"rest of a file", withFile(path, func(r *server.HTTPRequest, f *os.File) (int64, error) {
			_, _ = f.Seek(-100_000, io.SeekEnd)
			return r.ReadFrom(f)
		}, 100_000), big[:100_000]},
		{"part of a file", withFile(path, func(r *server.HTTPRequest, f *os.File) (int64, error) {
			n, err := io.CopyN(r, f, 100_001)
			if at, _ := f.Seek(0, io.SeekCurrent); at != 100_001 {
				t.Errorf("the file is at %d after 100001 octets were sent", at)
			}
			return n, err
		}, 100_001), big[:100_001]},
		{"file with a length", declares("500000", withFile(path, func(r *server.HTTPRequest, f *os.File) (int64, error) { return r.ReadFrom(f) }, 500_000)), big},
		{"file behind other octets", declares("500003", func(r *server.HTTPRequest) {
			_, _ = r.WriteString("abc")
			withFile(path, func(r *server.HTTPRequest, f *os.File) (int64, error) { return io.Copy(r, f) }, 500_000)(r)
		}), "abc" + big},
		{"more file than length", declares("499999", func(r *server.HTTPRequest) {
			f, err := os.Open(path)
			must(t, err)
			defer func() { _ = f.Close() }()
			if n, err := r.ReadFrom(f); n != 0 || !errors.Is(err, server.ErrContentLength) {
				t.Errorf("ReadFrom = %d, %v", n, err)
			}
			_ = r.SendString(200, text, "instead")
		}), "instead"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, startFunc(t, tt.handler))
			for range 2 {
				c.get("/")
				c.wantAnswer(200, tt.want)
			}
			c.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
			if a := c.read("HEAD"); a.StatusCode != 200 {
				t.Errorf("HEAD: %d", a.StatusCode)
			}
			c.get("/")
			c.wantAnswer(200, tt.want)
			c.send("GET / HTTP/1.0\r\n\r\n")
			c.wantAnswer(200, tt.want)
		})
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func copies(src func() io.Reader, n int64, err error) func(*server.HTTPRequest) {
	return func(r *server.HTTPRequest) {
		if got, gotErr := r.ReadFrom(src()); got != n || !errors.Is(gotErr, err) {
			panic(fmt.Sprintf("ReadFrom = %d, %v, want %d, %v", got, gotErr, n, err))
		}
	}
}

func withFile(path string, send func(*server.HTTPRequest, *os.File) (int64, error), n int64) func(*server.HTTPRequest) {
	return func(r *server.HTTPRequest) {
		f, err := os.Open(path)
		if err != nil {
			panic(err)
		}
		defer func() { _ = f.Close() }()
		if got, err := send(r, f); got != n || err != nil {
			panic(fmt.Sprintf("sent %d, %v, want %d", got, err, n))
		}
	}
}
