// SPDX-License-Identifier: MIT

package server_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

func TestSendFile(t *testing.T) {
	folder := t.TempDir()
	when := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	content := strings.Repeat("0123456789", 10_000)
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		must(t, os.WriteFile(path, []byte(content), 0o600))
		must(t, os.Chtimes(path, when, when))
		return path
	}
	path := write("file.txt", content)
	empty := write("empty.css", "")
	unknown := write("unknown", "%PDF-1.4")

	var opts server.FileOptions
	target := path
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		if err := r.SendFile(target, opts); err != nil {
			_ = r.SendError(err)
		}
	}))
	request := func(method, fields string) answer {
		t.Helper()
		c.send("%s / HTTP/1.1\r\nHost: h\r\n%s\r\n", method, fields)
		return c.read(method)
	}
	plain := request("GET", "")
	etag, modified := plain.Header.Get("ETag"), plain.Header.Get("Last-Modified")
	if plain.StatusCode != 200 || plain.body != content || etag == "" || modified != "Thu, 02 Jan 2020 03:04:05 GMT" {
		t.Fatalf("%d %v", plain.StatusCode, plain.Header)
	}
	wantHeader(t, plain.Header, "Content-Length=100000 Content-Type=text/plain;charset=utf-8 Accept-Ranges=bytes !Cache-Control !Content-Disposition !Transfer-Encoding")

	tests := []struct {
		name, method, fields string
		status               int
		body, header         string
	}{
		{"HEAD", "HEAD", "", 200, "", "Content-Length=100000 Accept-Ranges=bytes"},
		{"range", "GET", "Range: bytes=5-14\r\n", 206, "5678901234", "Content-Range=bytes5-14/100000 Content-Length=10"},
		{"suffix", "GET", "Range: bytes=-3\r\n", 206, "789", "Content-Range=bytes99997-99999/100000"},
		{"open end", "GET", "Range: bytes=99998-\r\n", 206, "89", "Content-Range=bytes99998-99999/100000"},
		{"large range", "GET", "Range: bytes=10-90009\r\n", 206, content[:90_000], "Content-Range=bytes10-90009/100000 Content-Length=90000"},
		{"beyond the end", "GET", "Range: bytes=100000-\r\n", 416, "invalid range: failed to overlap\n", "Content-Range=bytes*/100000"},
		{"nonsense range", "GET", "Range: bytes=b-a\r\n", 416, "invalid range\n", ""},
		{"HEAD with range", "HEAD", "Range: bytes=5-14\r\n", 206, "", "Content-Range=bytes5-14/100000 Content-Length=10"},
		{"If-None-Match", "GET", "If-None-Match: \"x\", " + etag + "\r\n", 304, "", "Etag=" + etag + " !Content-Length !Content-Type"},
		{"If-None-Match, other", "GET", "If-None-Match: \"x\"\r\n", 200, content, ""},
		{"If-None-Match wins", "GET", "If-None-Match: \"x\"\r\nIf-Modified-Since: " + modified + "\r\n", 200, content, ""},
		{"If-Modified-Since", "GET", "If-Modified-Since: " + modified + "\r\n", 304, "", ""},
		{"If-Modified-Since, older", "GET", "If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT\r\n", 200, content, ""},
		{"If-Match", "GET", "If-Match: \"x\"\r\n", 412, "", ""},
		{"If-Unmodified-Since", "GET", "If-Unmodified-Since: Wed, 01 Jan 2020 00:00:00 GMT\r\n", 412, "", ""},
		{"If-Range", "GET", "If-Range: " + etag + "\r\nRange: bytes=0-1\r\n", 206, "01", ""},
		{"If-Range, other", "GET", "If-Range: \"x\"\r\nRange: bytes=0-1\r\n", 200, content, ""},
		{"If-Range by date", "GET", "If-Range: " + modified + "\r\nRange: bytes=0-1\r\n", 206, "01", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := request(tt.method, tt.fields)
			if a.StatusCode != tt.status || a.body != tt.body {
				t.Errorf("%d %q, want %d %q", a.StatusCode, clip(a.body), tt.status, clip(tt.body))
			}
			wantHeader(t, a.Header, tt.header)
		})
	}

	t.Run("several ranges", func(t *testing.T) {
		a := request("GET", "Range: bytes=0-1,5-6\r\n")
		mediaType, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
		if a.StatusCode != 206 || err != nil || mediaType != "multipart/byteranges" {
			t.Fatalf("%d %v %v", a.StatusCode, a.Header, err)
		}
		parts := multipart.NewReader(strings.NewReader(a.body), params["boundary"])
		for _, want := range []string{"01", "56"} {
			p, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := io.ReadAll(p); string(b) != want {
				t.Errorf("part %q, want %q", b, want)
			}
		}
	})

	t.Run("options", func(t *testing.T) {
		for _, tt := range []struct {
			file   string
			opts   server.FileOptions
			header string
		}{
			{empty, server.FileOptions{}, "Content-Type=text/css;charset=utf-8 Content-Length=0"},
			{unknown, server.FileOptions{}, "Content-Type=application/pdf"},
			{path, server.FileOptions{ContentType: "a/b"}, "Content-Type=a/b"},
			{path, server.FileOptions{ETag: `"own"`, MaxAge: 90 * time.Second}, `Etag="own" Cache-Control=max-age=90`},
			{path, server.FileOptions{ETag: "-", MaxAge: -1}, "!Etag Cache-Control=no-cache"},
		} {
			target, opts = tt.file, tt.opts
			wantHeader(t, request("GET", "").Header, tt.header)
		}
		opts = server.FileOptions{}
	})

	t.Run("errors", func(t *testing.T) {
		for file, status := range map[string]int{folder: 404, filepath.Join(folder, "none"): 404, "": 404, path + "/below": 500, "a\x00b": 500} {
			target = file
			if a := request("GET", ""); a.StatusCode != status || strings.Contains(a.body, folder) {
				t.Errorf("%q: %d %q, want %d", file, a.StatusCode, a.body, status)
			}
		}
		for _, bad := range []server.FileOptions{{ContentType: "a\r\nb"}, {ETag: "a\nb"}} {
			target, opts = path, bad
			if a := request("GET", ""); a.StatusCode != 500 {
				t.Errorf("%+v: %d", bad, a.StatusCode)
			}
		}
	})
}

func TestAttachmentNames(t *testing.T) {
	tests := map[string]string{
		"plain.txt":          `attachment; filename="plain.txt"`,
		"with space.txt":     `attachment; filename="with space.txt"`,
		`quo"te\.txt`:        `attachment; filename="quo_te_.txt"; filename*=UTF-8''quo%22te%5C.txt`,
		"Übung €.pdf":        `attachment; filename="_bung _.pdf"; filename*=UTF-8''%C3%9Cbung%20%E2%82%AC.pdf`,
		"../../etc/passwd":   `attachment; filename=".._.._etc_passwd"; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd`,
		"a\r\nX-Evil: 1":     `attachment; filename="a__X-Evil: 1"; filename*=UTF-8''a%0D%0AX-Evil%3A%201`,
		"100%.txt":           `attachment; filename="100_.txt"; filename*=UTF-8''100%25.txt`,
		"\xff\xfe":           `attachment; filename="__"; filename*=UTF-8''%FF%FE`,
		`"; filename=evil;"`: `attachment; filename="_; filename=evil;_"; filename*=UTF-8''%22%3B%20filename%3Devil%3B%22`,
	}
	for name, want := range tests {
		c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
			must(t, r.SendContent("x.txt", time.Time{}, strings.NewReader("x"), server.FileOptions{Attachment: name}))
		}))
		c.get("/")
		a := c.wantAnswer(200, "x")
		if got := a.Header.Get("Content-Disposition"); got != want {
			t.Errorf("%q:\n got %s\nwant %s", name, got, want)
		}
		if a.Header.Get("X-Evil") != "" {
			t.Error("injected")
		}
	}
}

func TestSendContent(t *testing.T) {
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		switch r.Path() {
		case "/after": // replaces what was there
			_ = r.SetHeader("X-Kept", "1")
			_ = r.SendString(404, "a/b", "not found")
			must(t, r.SendContent("a.html", time.Time{}, strings.NewReader("<p>"), server.FileOptions{}))
		case "/twice":
			must(t, r.SendContent("a.html", time.Unix(1e9, 0), strings.NewReader("<p>"), server.FileOptions{}))
			must(t, r.ResetResponse())
			must(t, r.SendContent("b.txt", time.Time{}, strings.NewReader("second"), server.FileOptions{}))
		case "/late":
			_ = r.Flush()
			if err := r.SendContent("a", time.Time{}, strings.NewReader("x"), server.FileOptions{}); !errors.Is(err, server.ErrCommitted) {
				t.Errorf("SendContent after the head: %v", err)
			}
		case "/broken":
			if err := r.SendContent("a", time.Now(), brokenSeeker{}, server.FileOptions{}); err == nil || server.StatusOf(err) != 500 {
				t.Errorf("SendContent of what cannot seek: %v", err)
			} else {
				_ = r.SendError(err)
			}
		}
	}))
	c.get("/after")
	wantHeader(t, c.wantAnswer(200, "<p>").Header, "X-Kept=1 Content-Length=3 !Etag !Last-Modified")
	c.get("/twice")
	wantHeader(t, c.wantAnswer(200, "second").Header, "Content-Type=text/plain;charset=utf-8 !Etag !Last-Modified")
	c.get("/late")
	c.wantAnswer(200, "")
	c.get("/broken")
	c.wantAnswer(500, "500 Internal Server Error\n")
}

type brokenSeeker struct{}

func (brokenSeeker) Read([]byte) (int, error)       { return 0, io.EOF }
func (brokenSeeker) Seek(int64, int) (int64, error) { return 0, errors.New("cannot seek") }

func TestLargeFile(t *testing.T) {
	content := make([]byte, 20<<20)
	for i := range content {
		content[i] = byte(i ^ i>>8 ^ i>>16)
	}
	path := filepath.Join(t.TempDir(), "large.bin")
	must(t, os.WriteFile(path, content, 0o600))
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) { must(t, r.SendFile(path, server.FileOptions{})) }))
	for range 2 {
		c.get("/")
		if a := c.wantStatus(200); !bytes.Equal([]byte(a.body), content) {
			t.Fatalf("%d octets came, or not the right ones", len(a.body))
		}
	}
}

func TestFileThatShrinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shrinking")
	must(t, os.WriteFile(path, make([]byte, 30<<20), 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	got := make(chan error, 1)
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) { got <- sendWhole(r, path) }))
	c.get("/")
	c.wantLine("HTTP/1.1 200 OK")
	must(t, f.Truncate(1<<20)) // the sockets between us do not hold 30 MiB
	c.wantEnd("the file is shorter than what was promised")
	if err := <-got; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ReadFrom = %v", err)
	}
}

func TestSendfileHeader(t *testing.T) {
	folder := t.TempDir()
	inside := filepath.Join(folder, "a b%.txt")
	outside := filepath.Join(t.TempDir(), "out.txt")
	for _, path := range []string{inside, outside} {
		must(t, os.WriteFile(path, []byte("content"), 0o600))
	}
	tests := []struct {
		name     string
		sendfile server.Sendfile
		path     string
		field    string
		body     string
	}{
		{"X-Sendfile", server.Sendfile{Header: "X-Sendfile"}, inside, inside, ""},
		{"X-Sendfile with root", server.Sendfile{Header: "X-Sendfile", Root: folder, Prefix: "/srv"}, inside, "/srv/a b%.txt", ""},
		{"X-Accel-Redirect", server.Sendfile{Header: "X-Accel-Redirect", Root: folder, Prefix: "/internal/"}, inside, "/internal/a%20b%25.txt", ""},
		{"outside of root", server.Sendfile{Header: "X-Accel-Redirect", Root: folder, Prefix: "/internal/"}, outside, "", "content"},
		{"outside by dots", server.Sendfile{Header: "X-Sendfile", Root: filepath.Join(folder, "sub")}, inside, "", "content"},
		{"off", server.Sendfile{}, inside, "", "content"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, start(t, &server.HTTPServer{Sendfile: tt.sendfile, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				must(t, r.SendFile(tt.path, server.FileOptions{Attachment: "x.txt", MaxAge: time.Minute}))
			})}))
			c.get("/")
			a := c.wantAnswer(200, tt.body)
			header := tt.sendfile.Header
			if header == "" {
				header = "X-Sendfile"
			}
			if got := a.Header.Get(header); got != tt.field {
				t.Errorf("%s: %q, want %q", header, got, tt.field)
			}
			wantHeader(t, a.Header, "Content-Type=text/plain;charset=utf-8 Cache-Control=max-age=60 Content-Disposition=attachment;filename=\"x.txt\"")
		})
	}
	ask(t, &server.HTTPServer{Sendfile: server.Sendfile{Header: "X-Sendfile"}}, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", func(r *server.HTTPRequest) {
		if err := r.SendFile(filepath.Join(folder, "none"), server.FileOptions{}); server.StatusOf(err) != 404 {
			t.Errorf("a file that is not there: %v", err)
		}
	})
}
