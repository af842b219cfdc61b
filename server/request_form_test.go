// SPDX-License-Identifier: MIT

package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/pleat-go/pleat/server"
)

func TestForm(t *testing.T) {
	const urlencoded = "application/x-www-form-urlencoded"
	tests := []struct {
		name, contentType, body string
		status                  int
		want                    string
	}{
		{"urlencoded", urlencoded, "a=1&b=%C3%BC+x&a=2", 200, "a=1&a=2&b=%C3%BC+x"},
		{"with charset", urlencoded + "; charset=utf-8", "a=1", 200, "a=1"},
		{"any case", "Application/X-WWW-Form-Urlencoded", "a=1", 200, "a=1"},
		{"empty", urlencoded, "", 200, ""},
		{"bad escape", urlencoded, "a=%zz", 400, ""},
		{"semicolon", urlencoded, "a=1;b=2", 400, ""},
		{"other type", "text/plain", "a=1", 200, ""},
		{"no type", "", "a=1", 200, ""},
		{"nonsense for a type", "a/b/c;;", "a=1", 200, ""},
		{"query does not count", urlencoded, "b=2", 200, "b=2"},
		{"multipart", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n", 200, "a=1"},
		{"multipart without boundary", "multipart/form-data", "--x--", 400, ""},
		{"multipart cut short", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1", 400, ""},
		{"multipart, no parts", "multipart/form-data; boundary=x", "--x--\r\n", 200, ""},
		{"too large", urlencoded, "a=" + strings.Repeat("x", 2000), 413, ""},
		{"multipart too large", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + strings.Repeat("x", 2000) + "\r\n--x--\r\n", 413, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, start(t, &server.HTTPServer{MaxRequest: 1000, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				f, err := r.Form()
				again, err2 := r.Form()
				if f == nil || fmt.Sprint(f) != fmt.Sprint(again) || err != err2 {
					t.Errorf("Form() twice: %v, %v and %v, %v", f, err, again, err2)
				}
				if err != nil {
					_ = r.SendError(err)
					return
				}
				if _, err := r.Files(); err != nil {
					t.Errorf("Files() = %v", err)
				}
				if _, err := r.File("f"); !errors.Is(err, http.ErrMissingFile) {
					t.Errorf("File() = %v", err)
				}
				_ = r.SendString(200, text, f.Encode())
			})}))
			for _, chunked := range []bool{false, true} {
				if chunked {
					c = dial(t, c.conn.RemoteAddr().String())
					c.send("POST /?q=1 HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", tt.contentType)
					if tt.body != "" {
						c.send("%x\r\n%s\r\n", len(tt.body), tt.body)
					}
					c.send("0\r\n\r\n")
				} else {
					c.send("POST /?q=1 HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", tt.contentType, len(tt.body), tt.body)
				}
				a := c.wantStatus(tt.status)
				if tt.status == 200 && a.body != tt.want {
					t.Errorf("form %q, want %q", a.body, tt.want)
				}
			}
		})
	}
}

func TestFormUnboundedBody(t *testing.T) {
	// Without a limit on bodies forms that are held in memory still have one.
	c := dial(t, start(t, &server.HTTPServer{MaxRequest: -1, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		_, err := r.Form()
		_ = r.SendError(err)
	})}))
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat("x", 1<<20))
	for range 11 {
		if _, err := io.WriteString(c.conn, chunk); err != nil {
			break
		}
	}
	c.wantStatus(413)
}

func TestFiles(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	contents := map[string]string{"small": "tiny", "large": strings.Repeat("0123456789", 300_000)}
	for _, name := range []string{"small", "large"} {
		w, err := m.CreateFormFile(name, "../../"+name+".bin")
		must(t, err)
		_, _ = io.WriteString(w, contents[name])
	}
	must(t, m.WriteField("field", "value"))
	must(t, m.Close())

	temporary := make(chan string, 1)
	panics := false
	c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
		files, err := r.Files()
		if err != nil || len(files) != 2 {
			t.Errorf("Files() = %v, %v", files, err)
		}
		for name, want := range contents {
			h, err := r.File(name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := h.Open()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(f)
			if err != nil || string(got) != want || h.Size != int64(len(want)) || h.Filename != name+".bin" {
				t.Errorf("%s: %d octets of %q, %v", name, len(got), h.Filename, err)
			}
			if file, ok := f.(*os.File); ok {
				temporary <- file.Name()
			}
			must(t, f.Close())
		}
		if form, err := r.Form(); err != nil || form.Get("field") != "value" {
			t.Errorf("Form() = %v, %v", form, err)
		}
		if panics {
			panic(http.ErrAbortHandler)
		}
		ok(r)
	}))
	for _, panics = range []bool{false, true} {
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", m.FormDataContentType(), b.Len(), b.String())
		if !panics {
			c.wantAnswer(200, "ok")
		} else {
			c.wantReset("aborted")
		}
		path := <-temporary
		if !settles(func() bool { _, err := os.Stat(path); return errors.Is(err, os.ErrNotExist) }) {
			t.Errorf("%s is left behind", path)
		}
	}
}

func TestFormThroughNetHTTP(t *testing.T) {
	c := dial(t, startHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.WriteString(w, q.FormValue("a")+q.FormValue("q"))
	})))
	body := url.Values{"a": {"1"}}.Encode()
	c.send("POST /?q=2 HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	c.wantAnswer(200, "12")
}
