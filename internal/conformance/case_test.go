// SPDX-License-Identifier: MIT

package conformance

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestParse(t *testing.T) {
	cases, err := parse("f", "# comment\n\n== RFC 9110 8.6 MUST a name\n* a\n* \\x20b\n> X\\*\n- \\{2:\\r\\n}\\t\\\\\n! end\n< HEAD 200|404 \"b\\n\"\n+ A: b\n+ C\n~ D\n. closed\n"+
		"== 2 OWN x\n@ GET /ok\n< 200\n. open\n")
	if err != nil || len(cases) != 3 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	c := cases[1]
	if c.Section != "RFC 9110 8.6" || c.Level != "MUST" || c.Name != `a name: \x20b` || c.Open || len(c.Steps) != 3 {
		t.Errorf("case %+v", c)
	}
	if got, want := c.Sent(), "X b\r\n\r\n\r\n\t\\"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	a := c.Steps[2].Want
	if !c.Steps[1].End || a.Method != "HEAD" || len(a.Status) != 2 || *a.Body != "b\n" || len(a.Fields) != 3 {
		t.Errorf("answer %+v", a)
	}
	if c = cases[2]; !c.Open || c.Sent() != "GET /ok HTTP/1.1\r\nHost: a.test\r\n\r\n" {
		t.Errorf("case %+v", c)
	}
}

func TestParseErrors(t *testing.T) {
	for _, body := range []string{
		"> x\n. open", "== 2 MUST\n. open", "== MUST x\n. open", "== 2 WILL x\n. open", "== 2 MUST x\n> y",
		"== 2 MUST x\n. open\n> y", "== 2 MUST x\n. ajar", "== 2 MUST x\n? y\n. open", "== 2 MUST x\n! go\n. open",
		"== 2 MUST x\n< ok\n. open", "== 2 MUST x\n< 200 ok\n. open", "== 2 MUST x\n+ A: b\n. open",
		"== 2 MUST x\n> \\\n. open", "== 2 MUST x\n> \\y\n. open", "== 2 MUST x\n> \\x1\n. open", "== 2 MUST x\n> \\xgg\n. open",
		"== 2 MUST x\n> \\{x:y}\n. open", "== 2 MUST x\n> \\{1:y\n. open", "== 2 MUST x\n> \\{1:\\y}\n. open",
	} {
		if cases, err := parse("f", body); err == nil {
			t.Errorf("parse(%q) = %+v", body, cases)
		}
	}
	if _, err := Load(fstest.MapFS{}); err == nil {
		t.Error("no files, no error")
	}
	twice := &fstest.MapFile{Data: []byte("== 2 MUST x\n. open\n== 2 MUST x\n. open\n")}
	if _, err := Load(fstest.MapFS{"a.txt": twice}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("the same case twice: %v", err)
	}
}

// TestPlay has a server that answers what it is told, rightly and wrongly.
func TestPlay(t *testing.T) {
	const date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
	tests := []struct {
		name, want, answers, err string
	}{
		{"fine", "< 200 \"ok\"\n+ Date\n~ X\n. closed", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 2\r\n\r\nok", ""},
		{"chunks", "< 200 \"ok\"\n. closed", "HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", ""},
		{"until the end", "< 200 \"ok\"\n. closed", "HTTP/1.1 200 OK\r\n" + date + "\r\nok", ""},
		{"interim", "< 100\n< 204\n. closed", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 \r\n" + date + "\r\n", ""},
		{"head", "< HEAD 200\n. closed", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 2\r\n\r\n", ""},
		{"open", "< HEAD 200\n. open", "HTTP/1.1 200 OK\r\n" + date + "\r\nHTTP/1.1 200 OK\r\n" + date + "Content-Length: 2\r\n\r\nok", ""},
		{"not open", "< HEAD 200\n. open", "HTTP/1.1 200 OK\r\n" + date + "\r\n", "further request"},
		{"not closed", "< HEAD 200\n. closed", "HTTP/1.1 200 OK\r\n" + date + "\r\nHTTP/1.1 200", "should have ended"},
		{"status", "< 200\n. closed", "HTTP/1.1 404 \r\n" + date + "\r\n", "status 404"},
		{"body", "< 200 \"ok\"\n. closed", "HTTP/1.1 200 \r\n" + date + "\r\n", "body"},
		{"field", "< 200\n+ X: y\n. closed", "HTTP/1.1 200 \r\n" + date + "X: z\r\n\r\n", "X is"},
		{"no field", "< 200\n~ X\n. closed", "HTTP/1.1 200 \r\n" + date + "X: z\r\n\r\n", "there is X"},
		{"nothing", "< 200\n. closed", "", "status line"},
		{"no space", "< 200\n. closed", "HTTP/1.1 200\r\n\r\n", "status line"},
		{"bare LF", "< 200\n. closed", "HTTP/1.1 200 OK\n\n", "status line"},
		{"field line", "< 200\n. closed", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "field line"},
		{"no date", "< 200\n. closed", "HTTP/1.1 200 OK\r\n\r\n", "Date"},
		{"both", "< 200\n. closed", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", "a length and a coding"},
		{"length of 204", "< 204\n. closed", "HTTP/1.1 204 \r\n" + date + "Content-Length: 0\r\n\r\n", "204 with a length"},
		{"short", "< 200\n. closed", "HTTP/1.1 200 \r\n" + date + "Content-Length: 3\r\n\r\nok", "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cases, err := parse("f", "== 2 MUST x\n"+tt.want)
			if err != nil {
				t.Fatal(err)
			}
			here, there := net.Pipe()
			defer here.Close()
			_ = here.SetDeadline(time.Now().Add(time.Minute))
			done := make(chan struct{})
			go func() { _, _ = io.Copy(io.Discard, there) }()
			go func() {
				defer close(done)
				write(there, tt.answers, func() int { return 7 })
				_ = there.Close()
			}()
			err = cases[0].Play(here, nil)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("Play = %v, want %q", err, tt.err)
			}
			_ = here.Close()
			<-done
		})
	}
}
