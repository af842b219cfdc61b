// SPDX-License-Identifier: MIT

package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// answered reads the only answer of a machine to one request.
func answered(t testing.TB, handler HandlerFunc, in string, pieces func() int) (*http.Response, string) {
	t.Helper()
	s := &scripted{in: []byte(in), pieces: pieces}
	s.drive(machine(t, &HTTPServer{Handler: handler}, s))
	res, err := http.ReadResponse(bufio.NewReader(&s.out), nil)
	if err != nil {
		t.Fatalf("answer to %q: %v", clip(in, 300), err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("body of the answer to %q: %v", clip(in, 300), err)
	}
	return res, string(body)
}

// form is what is in a multipart form.
func form(t testing.TB, values url.Values, files map[string][]*multipart.FileHeader) string {
	t.Helper()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "%q=%q\n", name, values[name])
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, h := range files[name] {
			f, err := h.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(f)
			_ = f.Close()
			if err != nil || int64(len(content)) != h.Size {
				t.Fatalf("file %q: %d octets, %v, want %d", h.Filename, len(content), err, h.Size)
			}
			fmt.Fprintf(&b, "%q: %q %v %q\n", name, h.Filename, h.Header, content)
		}
	}
	return b.String()
}

// FuzzForm sends bodies as forms and compares with what mime/multipart and net/url
// make of the same octets, whole, where here they come in pieces and chunks.
// Whatever the body is, it is not taken for the next request.
func FuzzForm(f *testing.F) {
	var real bytes.Buffer
	w := multipart.NewWriter(&real)
	_ = w.SetBoundary("b")
	_ = w.WriteField("a", "1")
	_ = w.WriteField("a", "2\r\n--b")
	file, _ := w.CreateFormFile("f", "../name\".txt")
	_, _ = file.Write(bytes.Repeat([]byte("x"), 5000))
	_ = w.Close()
	const multi = "multipart/form-data; boundary="
	f.Add(multi+"b", real.String(), uint16(7))
	f.Add(multi+"b", real.String()[:100], uint16(1))
	f.Add(multi+`"b c"`, "--b c\r\nContent-Disposition: form-data; name=x\r\n\r\ny\r\n--b c--", uint16(3))
	f.Add(multi+"b", "--b\r\nContent-Disposition: form-data; name=x; filename=\"\"\r\nContent-Type: a/b\r\n\r\n\r\n--b\r\n\r\nz\r\n--b--\r\n", uint16(2))
	f.Add(multi+"b", "--b\nContent-Disposition: form-data; name=x\n\ny\n--b--\n", uint16(5))
	f.Add(multi+"b", "--b\r\nContent-Disposition: form-data; name=x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41=\r\n--b--", uint16(5))
	f.Add(multi+"b", "GET /ok HTTP/1.1\r\nHost: h\r\n\r\n", uint16(9))
	f.Add(multi, "x", uint16(1))
	f.Add("application/x-www-form-urlencoded", "a=1&b=%20&a=+&=&%zz", uint16(4))
	f.Add("application/x-www-form-urlencoded; charset=utf-8", "a=1;b=2", uint16(1))
	f.Add("text/plain", "a=1", uint16(1))
	f.Fuzz(func(t *testing.T, contentType, body string, size uint16) {
		if !validFieldValue(contentType) || len(body) > 32<<10 {
			t.Skip("no value of a field")
		}
		contentType = strings.Trim(contentType, " \t")
		want, wantErr := readWhole(t, contentType, body)
		// What package multipart makes of bad quoted-printable text in a part that it
		// skips depends on how much it has buffered.
		vague := strings.Contains(strings.ToLower(body), "quoted-printable")
		var got string
		var gotErr error
		var others []string
		handler := func(r *HTTPRequest) {
			if r.Path() != "/form" {
				others = append(others, r.Target())
				return
			}
			var values url.Values
			var files map[string][]*multipart.FileHeader
			if values, gotErr = r.Form(); gotErr == nil {
				files, gotErr = r.Files()
			}
			got = form(t, values, files)
			if gotErr != nil {
				_ = r.SendError(gotErr)
			}
		}
		head := "POST /form HTTP/1.1\r\nHost: h\r\nContent-Type: " + contentType + "\r\n"
		var chunked strings.Builder
		for rest := body; rest != ""; {
			n := min(len(rest), 1+int(size)%997)
			fmt.Fprintf(&chunked, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		for _, in := range []string{
			fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body),
			head + "Transfer-Encoding: chunked\r\n\r\n" + chunked.String() + "0\r\n\r\n",
		} {
			got, gotErr, others = "", nil, nil
			res, text := answered(t, handler, in+sentinel, func() int { return int(size) })
			if !vague && ((gotErr == nil) != (wantErr == nil) || got != want) {
				t.Fatalf("%q: form\n%s%v, want\n%s%v", clip(in, 300), got, gotErr, want, wantErr)
			}
			if gotErr != nil && !errors.Is(gotErr, ErrForm) && !errors.Is(gotErr, ErrBodyTooLarge) {
				t.Fatalf("%q: error %v", clip(in, 300), gotErr)
			}
			if (gotErr != nil) != (res.StatusCode >= 400) {
				t.Fatalf("%q: %v was answered with %d %q", clip(in, 300), gotErr, res.StatusCode, text)
			}
			if len(others) > 1 || len(others) == 1 && others[0] != "/sentinel" {
				t.Fatalf("%q: also taken for requests: %q", clip(in, 300), others)
			}
		}
	})
}

// readWhole is the oracle of FuzzForm.
func readWhole(t testing.TB, contentType, body string) (string, error) {
	t.Helper()
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", nil //nolint:nilerr // what cannot be read is no form
	}
	switch mediaType {
	case "application/x-www-form-urlencoded":
		values, err := url.ParseQuery(body)
		if err != nil {
			return "", err
		}
		return form(t, values, nil), nil
	case "multipart/form-data":
		if params["boundary"] == "" {
			return "", ErrForm
		}
		multi, err := multipart.NewReader(strings.NewReader(body), params["boundary"]).ReadForm(1 << 20)
		if err != nil {
			return "", err
		}
		defer func() { _ = multi.RemoveAll() }()
		return form(t, multi.Value, multi.File), nil
	}
	return "", nil
}

// FuzzTrailer sends what may be a trailer section and compares with net/http. What
// would frame, route or authorize a request never comes out.
func FuzzTrailer(f *testing.F) {
	for _, tt := range chunkedCases {
		if _, section, ok := strings.Cut(tt.in, "0\r\n"); ok && len(section) < 1000 {
			f.Add(section, "", uint8(1))
			f.Add(section, "X-A, X-B", uint8(3))
		}
	}
	f.Add("Content-Length: 3\r\n\r\n", "Content-Length", uint8(2))
	f.Add("COOKIE: a=b\r\nX: y\r\nX-Forwarded-For: 1\r\nx:z\r\n\r\n", "", uint8(2))
	f.Fuzz(func(t *testing.T, section, announced string, size uint8) {
		if len(section) > 8<<10 || !validFieldValue(announced) {
			t.Skip("the limits have tests of their own")
		}
		in := "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: " + announced + "\r\n\r\n2\r\nhi\r\n0\r\n" + section
		var got Header
		var before int
		var err error
		handler := HandlerFunc(func(r *HTTPRequest) {
			if r.Path() != "/" {
				return
			}
			before = r.Trailer().Len()
			_, err = r.Body()
			got = r.Trailer()
			if r.Header().Len() != 3 || r.Header().Get("Trailer") != strings.Trim(announced, " \t") {
				t.Errorf("%q: the header has become %v", in, r.Header().Map())
			}
		})
		s := &scripted{in: []byte(in), pieces: func() int { return int(size) }}
		s.drive(machine(t, &HTTPServer{Handler: handler}, s))
		if before != 0 || err != nil && got.Len() != 0 {
			t.Fatalf("%q: trailers before the end or after %v: %v", in, err, got.Map())
		}
		for _, names := range [][]string{trailersRefused[:], trailersDropped[:]} {
			for _, name := range names {
				if v, ok := got.Lookup(name); ok {
					t.Fatalf("%q: a trailer %s: %q", in, name, v)
				}
			}
		}
		_, trailer, _, ok := slowDechunk("2\r\nhi\r\n0\r\n" + section)
		if len(section) < 4<<10 && strings.Count(section, "\n") < 100 && (ok != (err == nil) || trailer != got.raw) {
			t.Fatalf("%q: %v, trailers %q, want %v, %q", in, err, got.raw, ok, trailer)
		}
	})
}
