// SPDX-License-Identifier: MIT

package client_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pleat-go/pleat/client"
)

// sent makes a call over a transport that records it.
func sent(t *testing.T, c *client.HTTPClient, h func(*client.HTTPClient) *client.ClientHelper) (*http.Request, string, error) {
	t.Helper()
	var q *http.Request
	var body string
	c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		q = r
		if r.Body != nil {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			body = string(b)
		}
		return answer(r, 200, "ok"), nil
	})
	_, err := h(c).Bytes()
	return q, body, err
}

func TestCallRefused(t *testing.T) {
	const url = "http://h/"
	reader := strings.NewReader("x")
	for name, tt := range map[string]struct {
		method, url string
		opts        []client.CallOption
		want        error
	}{
		"empty URL":              {"GET", "", nil, client.ErrURL},
		"relative URL":           {"GET", "/x", nil, client.ErrURL},
		"scheme":                 {"GET", "gopher://h/", nil, client.ErrURL},
		"no host":                {"GET", "http://", nil, client.ErrURL},
		"port 0":                 {"GET", "http://h:0/", nil, client.ErrURL},
		"port 65536":             {"GET", "http://h:65536/", nil, client.ErrURL},
		"control byte":           {"GET", "http://h/\n", nil, client.ErrURL},
		"bad escape":             {"GET", "http://h/%x", nil, client.ErrURL},
		"empty method":           {"", url, nil, client.ErrOption},
		"method with a space":    {"GET /", url, nil, client.ErrOption},
		"CONNECT":                {"CONNECT", url, nil, client.ErrOption},
		"nil option":             {"GET", url, []client.CallOption{nil}, client.ErrOption},
		"header name":            {"GET", url, []client.CallOption{client.WithHeader("a b", "1")}, client.ErrHeader},
		"header without name":    {"GET", url, []client.CallOption{client.WithHeader("", "1")}, client.ErrHeader},
		"header with CR LF":      {"GET", url, []client.CallOption{client.WithHeader("A", "1\r\nB: 2")}, client.ErrHeader},
		"header with NUL":        {"GET", url, []client.CallOption{client.WithHeader("A", "\x00")}, client.ErrHeader},
		"Host":                   {"GET", url, []client.CallOption{client.WithHeader("host", "x")}, client.ErrHeader},
		"Content-Length":         {"POST", url, []client.CallOption{client.WithHeader("Content-Length", "3")}, client.ErrHeader},
		"Transfer-Encoding":      {"POST", url, []client.CallOption{client.WithHeader("Transfer-Encoding", "chunked")}, client.ErrHeader},
		"Connection":             {"GET", url, []client.CallOption{client.WithHeader("Connection", "upgrade")}, client.ErrHeader},
		"Upgrade":                {"GET", url, []client.CallOption{client.WithHeader("Upgrade", "websocket")}, client.ErrHeader},
		"Trailer":                {"POST", url, []client.CallOption{client.WithHeader("Trailer", "X")}, client.ErrHeader},
		"WithHost":               {"GET", url, []client.CallOption{client.WithHost("a b")}, client.ErrHeader},
		"empty WithHost":         {"GET", url, []client.CallOption{client.WithHost("")}, client.ErrHeader},
		"cookie name":            {"GET", url, []client.CallOption{client.WithCookie("a=b", "1")}, client.ErrHeader},
		"cookie value":           {"GET", url, []client.CallOption{client.WithCookie("a", "1; b=2")}, client.ErrHeader},
		"user with colon":        {"GET", url, []client.CallOption{client.WithBasicAuth("a:b", "c")}, client.ErrHeader},
		"password with newline":  {"GET", url, []client.CallOption{client.WithBasicAuth("a", "c\n")}, client.ErrHeader},
		"empty token":            {"GET", url, []client.CallOption{client.WithBearer("")}, client.ErrHeader},
		"token with newline":     {"GET", url, []client.CallOption{client.WithBearer("a\nb")}, client.ErrHeader},
		"GET with a body":        {"GET", url, []client.CallOption{client.WithBytes("", []byte("x"))}, client.ErrOption},
		"HEAD with a body":       {"HEAD", url, []client.CallOption{client.WithGetBody(), client.WithBytes("", []byte("x"))}, client.ErrOption},
		"TRACE with a body":      {"TRACE", url, []client.CallOption{client.WithJSON(1)}, client.ErrOption},
		"nil reader":             {"POST", url, []client.CallOption{client.WithBody("", nil)}, client.ErrOption},
		"file without content":   {"POST", url, []client.CallOption{client.WithFile("f", "n", nil)}, client.ErrOption},
		"file without field":     {"POST", url, []client.CallOption{client.WithFile("", "n", reader)}, client.ErrOption},
		"part type":              {"POST", url, []client.CallOption{client.WithPart(client.Part{Field: "f", ContentType: "a\n", Content: reader})}, client.ErrHeader},
		"JSON of a channel":      {"POST", url, []client.CallOption{client.WithJSON(make(chan int))}, client.ErrOption},
		"JSON of NaN":            {"POST", url, []client.CallOption{client.WithJSON(math.NaN())}, client.ErrOption},
		"two bodies":             {"POST", url, []client.CallOption{client.WithJSON(1), client.WithBytes("", nil)}, client.ErrOption},
		"form and body":          {"POST", url, []client.CallOption{client.WithForm(nil), client.WithBytes("", nil)}, client.ErrOption},
		"file and body":          {"POST", url, []client.CallOption{client.WithFile("f", "n", reader), client.WithJSON(1)}, client.ErrOption},
		"form of another type":   {"POST", url, []client.CallOption{client.WithForm(nil), client.WithHeader("Content-Type", "text/plain")}, client.ErrOption},
		"file of another type":   {"POST", url, []client.CallOption{client.WithFile("f", "n", reader), client.WithHeader("Content-Type", "multipart/form-data")}, client.ErrOption},
		"retries of a stream":    {"PUT", url, []client.CallOption{client.WithRetries(2), client.WithBody("", io.MultiReader(reader))}, client.ErrNotReplayable},
		"idempotency key":        {"POST", url, []client.CallOption{client.WithIdempotent("a\nb")}, client.ErrHeader},
		"first of several is it": {"GET", "::", []client.CallOption{client.WithBearer("")}, client.ErrHeader},
	} {
		t.Run(name, func(t *testing.T) {
			q, _, err := sent(t, &client.HTTPClient{}, func(c *client.HTTPClient) *client.ClientHelper {
				return c.Call(tt.method, tt.url, tt.opts...)
			})
			var ce *client.Error
			if !errors.Is(err, tt.want) || !errors.As(err, &ce) || ce.Phase != client.PhaseRequest {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if q != nil {
				t.Error("something was sent")
			}
		})
	}
}

func TestCallOptions(t *testing.T) {
	for name, tt := range map[string]struct {
		method string
		url    string
		opts   []client.CallOption
		check  map[string]string // header field, or URL, Host, Body, Method
	}{
		"defaults": {check: map[string]string{
			"Method": "GET", "URL": "http://h/", "User-Agent": "pleat", "Accept-Encoding": "gzip, zstd", "Referer": "",
		}},
		"query": {url: "http://h/p?a=1#f", opts: []client.CallOption{client.WithQuery("b", "x y", "&"), client.WithQuery("c")}, check: map[string]string{
			"URL": "http://h/p?a=1&b=x+y&b=%26#f",
		}},
		"headers": {opts: []client.CallOption{
			client.WithHeader("x-a", "1", "2"), client.WithHeader("User-Agent", "me"), client.WithHeader("Accept-Encoding"), client.WithHost("other"),
		}, check: map[string]string{"X-A": "1|2", "User-Agent": "me", "Accept-Encoding": "", "Host": "other"}},
		"cookies":                  {opts: []client.CallOption{client.WithCookie("a", "1"), client.WithCookie("b", "2")}, check: map[string]string{"Cookie": "a=1; b=2"}},
		"cookie header and cookie": {opts: []client.CallOption{client.WithHeader("Cookie", "z=0"), client.WithCookie("a", "1")}, check: map[string]string{"Cookie": "z=0; a=1"}},
		"basic":                    {opts: []client.CallOption{client.WithBasicAuth("u", "p")}, check: map[string]string{"Authorization": "Basic dTpw"}},
		"bearer":                   {opts: []client.CallOption{client.WithBearer("t")}, check: map[string]string{"Authorization": "Bearer t"}},
		"URL user":                 {url: "http://u:p@h/", check: map[string]string{"Authorization": "Basic dTpw", "URL": "http://h/"}},
		"URL user and token":       {url: "http://u:p@h/", opts: []client.CallOption{client.WithBearer("t")}, check: map[string]string{"Authorization": "Bearer t"}},
		"JSON":                     {method: "POST", opts: []client.CallOption{client.WithJSON(map[string]int{"a": 1})}, check: map[string]string{"Content-Type": "application/json", "Body": `{"a":1}`}},
		"JSON of another type":     {method: "POST", opts: []client.CallOption{client.WithHeader("Content-Type", "application/vnd.x+json"), client.WithJSON(1)}, check: map[string]string{"Content-Type": "application/vnd.x+json"}},
		"form": {method: "POST", opts: []client.CallOption{client.WithForm(url.Values{"b": {"2"}}), client.WithForm(url.Values{"a": {"1", "&"}})}, check: map[string]string{
			"Content-Type": "application/x-www-form-urlencoded", "Body": "a=1&a=%26&b=2",
		}},
		"form with a charset": {method: "POST", opts: []client.CallOption{client.WithForm(url.Values{}), client.WithHeader("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")}, check: map[string]string{
			"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Body": "",
		}},
		"GET with a body": {opts: []client.CallOption{client.WithGetBody(), client.WithBytes("text/plain", []byte("x"))}, check: map[string]string{"Body": "x"}},
		"idempotent":      {method: "POST", opts: []client.CallOption{client.WithIdempotent("k")}, check: map[string]string{"Idempotency-Key": "k"}},
		"QUERY":           {method: "QUERY", opts: []client.CallOption{client.WithBytes("", []byte("x"))}, check: map[string]string{"Method": "QUERY", "Body": "x", "Content-Type": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			method, address := tt.method, tt.url
			if method == "" {
				method = "GET"
			}
			if address == "" {
				address = "http://h/"
			}
			q, body, err := sent(t, &client.HTTPClient{}, func(c *client.HTTPClient) *client.ClientHelper {
				return c.Call(method, address).With(tt.opts...)
			})
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range tt.check {
				got := strings.Join(q.Header.Values(name), "|")
				switch name {
				case "Method":
					got = q.Method
				case "URL":
					got = q.URL.String()
				case "Host":
					got = q.Host
				case "Body":
					got = body
				}
				if got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
		})
	}
}

// TestClientHeader checks who gets the fields that are set on the client.
func TestClientHeader(t *testing.T) {
	header := http.Header{"x-api-key": {"k"}, "Accept": {"a/b"}, "User-Agent": {}}
	for _, tt := range []struct{ base, url, want string }{
		{"", "http://anyone/", "k"},
		{"http://home/v1", "users", "k"},
		{"http://home/v1", "http://home:80/elsewhere", "k"},
		{"http://home/v1", "http://other/", ""},
		{"http://home/v1", "http://home:81/", ""},
	} {
		q, _, err := sent(t, &client.HTTPClient{BaseURL: tt.base, Header: header}, func(c *client.HTTPClient) *client.ClientHelper { return c.Get(tt.url) })
		if err != nil || q.Header.Get("X-Api-Key") != tt.want || q.Header.Get("Accept") != "a/b" || q.Header.Get("User-Agent") == "pleat" {
			t.Errorf("%s from %q: %v, %v", tt.url, tt.base, q.Header, err)
		}
	}
	q, _, err := sent(t, &client.HTTPClient{Header: header}, func(c *client.HTTPClient) *client.ClientHelper {
		return c.Get("http://h/", client.WithHeader("X-Api-Key"))
	})
	if err != nil || q.Header.Get("X-Api-Key") != "" {
		t.Errorf("taken off: %v, %v", q.Header, err)
	}
}

// TestRequestHeaderIsACopy makes sure that what a response shows of its request cannot change another one.
func TestRequestHeaderIsACopy(t *testing.T) {
	r := newRig(t)
	c := r.client(t, &client.HTTPClient{Header: http.Header{"X-A": {"1"}}})
	for range 2 {
		res, err := c.Get(r.A + "/land").Do()
		if err != nil {
			t.Fatal(err)
		}
		res.Close()
		h := res.Request.Header()
		if h.Get("X-A") != "1" || h.Get("User-Agent") != "pleat" || res.Request.Method != "GET" {
			t.Errorf("sent %v", h)
		}
		h["X-A"][0] = "changed"
		h.Set("User-Agent", "changed")
	}
}

func TestMultipart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.bin")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Seek(2, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	odd := "a\"b\r\nc\\ü.txt"
	r := newRig(t)
	c := r.client(t, nil)
	res, err := c.Post(r.A+to(307, r.B+"/land"), // sent twice
		client.WithForm(url.Values{"b": {"2", "3"}, "a": {"1"}}),
		client.WithFile("file", "data.bin", file),
		client.WithFile("odd", odd, bytes.NewBufferString("buffer")),
		client.WithPart(client.Part{Field: "meta", ContentType: "application/json", Content: strings.NewReader("{}")}),
	).Do()
	if err != nil {
		t.Fatal(err)
	}
	res.Close()
	got := r.landed(t)
	if got.Header.Get("Content-Length") == "" {
		t.Error("no Content-Length though all lengths are known")
	}
	_, params, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	form, err := multipart.NewReader(strings.NewReader(got.Body), params["boundary"]).ReadForm(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if a, b, meta := form.Value["a"], form.Value["b"], form.Value["meta"]; strings.Join(a, ",") != "1" || strings.Join(b, ",") != "2,3" || strings.Join(meta, ",") != "{}" {
		t.Errorf("values %v", form.Value)
	}
	for field, want := range map[string]string{"file": "data.bin 23456789", "odd": "a%22b%0D%0Ac\\ü.txt buffer"} {
		fh := form.File[field][0]
		f, err := fh.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(f)
		f.Close()
		if s := fh.Filename + " " + string(b); s != want && s != strings.ReplaceAll(want, `\`, "") {
			t.Errorf("%s: %q, want %q", field, s, want)
		}
		if ct := fh.Header.Get("Content-Type"); ct != "application/octet-stream" {
			t.Errorf("%s: Content-Type %q", field, ct)
		}
	}

	// A reader of unknown length makes the whole chunked and cannot be sent twice.
	stream := client.WithFile("f", "n", io.MultiReader(strings.NewReader("abc")))
	if _, err := c.Post(r.A+"/land", stream).Bytes(); err != nil {
		t.Fatal(err)
	}
	if got := r.landed(t); got.Header.Get("Content-Length") != "" || !strings.Contains(got.Body, "abc") {
		t.Errorf("stream: %v", got)
	}
	stream = client.WithFile("f", "n", io.MultiReader(strings.NewReader("abc")))
	if _, err := c.Post(r.A+to(307, "/land"), stream).Bytes(); !errors.Is(err, client.ErrNotReplayable) {
		t.Errorf("stream redirected: %v", err)
	}
}

// TestBodyReader sends what readers of several kinds hold from where they stand.
func TestBodyReader(t *testing.T) {
	at := func(r *strings.Reader, pos int64) io.Reader { r.Seek(pos, io.SeekStart); return r }
	pr, pw := io.Pipe()
	go func() { io.WriteString(pw, "piped"); pw.Close() }()
	for name, tt := range map[string]struct {
		body   io.Reader
		want   string
		length int64
	}{
		"strings":         {strings.NewReader("abc"), "abc", 3},
		"strings further": {at(strings.NewReader("abc"), 1), "bc", 2},
		"strings beyond":  {at(strings.NewReader("abc"), 9), "", 0},
		"bytes":           {bytes.NewReader([]byte("abc")), "abc", 3},
		"buffer":          {bytes.NewBufferString("abc"), "abc", 3},
		"section":         {io.NewSectionReader(strings.NewReader("abcdef"), 2, 3), "cde", 3},
		"stream":          {io.MultiReader(strings.NewReader("abc")), "abc", -1},
		"pipe":            {pr, "piped", -1},
	} {
		t.Run(name, func(t *testing.T) {
			q, body, err := sent(t, &client.HTTPClient{}, func(c *client.HTTPClient) *client.ClientHelper {
				return c.Post("http://h/", client.WithBody("text/plain", tt.body))
			})
			if err != nil || body != tt.want || q.ContentLength != tt.length || (q.GetBody != nil) != (tt.length >= 0) {
				t.Errorf("%q, length %d, %v", body, q.ContentLength, err)
			}
		})
	}
	broken := errors.New("disk gone")
	if _, _, err := sent(t, &client.HTTPClient{}, func(c *client.HTTPClient) *client.ClientHelper {
		return c.Post("http://h/", client.WithBody("", failingReader{broken}))
	}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
