// SPDX-License-Identifier: MIT

package client_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/pleat-go/pleat/client"
)

// encode applies content codings in order.
func encode(t testing.TB, plain string, codings ...string) string {
	t.Helper()
	data := []byte(plain)
	for _, coding := range codings {
		var b bytes.Buffer
		var w io.WriteCloser
		var err error
		switch coding {
		case "gzip", "x-gzip":
			w = gzip.NewWriter(&b)
		case "deflate":
			w = zlib.NewWriter(&b)
		case "bare deflate":
			w, err = flate.NewWriter(&b, 6)
		case "zstd":
			w, err = zstd.NewWriter(&b)
		default:
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		data = b.Bytes()
	}
	return string(data)
}

func TestDecode(t *testing.T) {
	plain := strings.Repeat("so it goes, and so it goes on; ", 3000)
	gz, zs, df := encode(t, plain, "gzip"), encode(t, plain, "zstd"), encode(t, plain, "deflate")
	for _, tt := range []struct {
		name, body, encoding string
		bad                  bool
	}{
		{name: "gzip", body: gz, encoding: "gzip"},
		{name: "x-gzip in capitals", body: gz, encoding: "X-GZip"},
		{name: "gzip in two members", body: encode(t, plain[:100], "gzip") + encode(t, plain[100:], "gzip"), encoding: "gzip"},
		{name: "zstd", body: zs, encoding: "zstd"},
		{name: "zstd in two frames", body: encode(t, plain[:100], "zstd") + encode(t, plain[100:], "zstd"), encoding: "zstd"},
		{name: "deflate", body: df, encoding: "deflate"},
		{name: "bare deflate", body: encode(t, plain, "bare deflate"), encoding: "deflate"},
		{name: "identity", body: plain, encoding: "identity"},
		{name: "empty element", body: gz, encoding: " ,gzip"},
		{name: "two", body: encode(t, plain, "gzip", "zstd"), encoding: "gzip, zstd"},
		{name: "two the other way", body: encode(t, plain, "zstd", "gzip"), encoding: "zstd, identity, gzip"},
		{name: "deflate in gzip", body: encode(t, plain, "deflate", "gzip"), encoding: "deflate,gzip"},
		{name: "wrong order", body: encode(t, plain, "zstd", "gzip"), encoding: "gzip, zstd", bad: true},
		{name: "gzip and garbage", body: gz + "garbage", encoding: "gzip", bad: true},
		{name: "zstd and garbage", body: zs + "garbage", encoding: "zstd", bad: true},
		{name: "deflate and garbage", body: df + "garbage", encoding: "deflate", bad: true},
		{name: "garbage inside", body: encode(t, encode(t, plain, "deflate")+"garbage", "gzip"), encoding: "deflate, gzip", bad: true},
		{name: "gzip cut", body: gz[:len(gz)-5], encoding: "gzip", bad: true},
		{name: "zstd cut", body: zs[:len(zs)-5], encoding: "zstd", bad: true},
		{name: "deflate cut", body: df[:len(df)-5], encoding: "deflate", bad: true},
		{name: "deflate of one byte", body: "x", encoding: "deflate", bad: true},
		{name: "gzip checksum", body: gz[:len(gz)-8] + "\x00\x00\x00\x00" + gz[len(gz)-4:], encoding: "gzip", bad: true},
		{name: "plain called gzip", body: plain, encoding: "gzip", bad: true},
		{name: "plain called zstd", body: plain, encoding: "zstd", bad: true},
		{name: "brotli", body: plain, encoding: "br", bad: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var accept string
			c := client.HTTPClient{Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
				accept = q.Header.Get("Accept-Encoding")
				return answer(q, 200, tt.body, "Content-Encoding", tt.encoding, "Content-Length", "1"), nil
			})}
			r, err := c.Get("http://h/").Do()
			if err != nil {
				t.Fatal(err)
			}
			if accept != "gzip, zstd" {
				t.Errorf("Accept-Encoding %q", accept)
			}
			b, err := r.Bytes()
			if tt.bad {
				if !errors.Is(err, client.ErrEncoding) || b != nil {
					t.Errorf("%d bytes, %v, want ErrEncoding", len(b), err)
				}
			} else if err != nil || string(b) != plain {
				t.Errorf("%d bytes, %v", len(b), err)
			}
			if tt.encoding != "identity" && (r.Header.Get("Content-Encoding") != "" || r.Header.Get("Content-Length") != "") {
				t.Errorf("header still describes the wire: %v", r.Header)
			}
			if r.Wire.ContentEncoding != tt.encoding || r.Wire.ContentLength != int64(len(tt.body)) {
				t.Errorf("Wire = %+v", r.Wire)
			}
			for _, o := range []client.CallOption{
				client.WithRaw(), client.WithHeader("Accept-Encoding", "gzip"), client.WithHeader("Range", "bytes=0-9"),
			} {
				if b, err := c.Get("http://h/", o).Bytes(); err != nil || string(b) != tt.body {
					t.Errorf("raw: %d bytes, %v", len(b), err)
				}
			}
		})
	}
}

// TestDecodeWireError makes sure that a broken connection is not taken for broken data.
func TestDecodeWireError(t *testing.T) {
	broken := errors.New("cable cut")
	c := client.HTTPClient{Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
		res := answer(q, 200, "", "Content-Encoding", "gzip")
		res.Body = io.NopCloser(io.MultiReader(strings.NewReader(encode(t, "abc", "gzip")[:15]), failingReader{broken}))
		res.ContentLength = -1
		return res, nil
	})}
	if _, err := c.Get("http://h/").Bytes(); !errors.Is(err, broken) || errors.Is(err, client.ErrEncoding) {
		t.Errorf("error %v", err)
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// TestDecodePools decodes many bodies at once, some of them broken, some given up half-way.
func TestDecodePools(t *testing.T) {
	const workers, rounds = 8, 50
	plain := strings.Repeat("0123456789", 2000)
	var bodies []string
	for _, coding := range []string{"gzip", "zstd", "deflate"} {
		bodies = append(bodies, coding, encode(t, plain, coding))
	}
	c := client.HTTPClient{Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
		i := int(q.URL.Path[1] - '0')
		body := bodies[2*i+1]
		if strings.HasSuffix(q.URL.Path, "cut") {
			body = body[:len(body)/2]
		}
		return answer(q, 200, body, "Content-Encoding", bodies[2*i]), nil
	})}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range rounds {
				path := "http://h/" + string(rune('0'+i%3))
				if b, err := c.Get(path).Bytes(); err != nil || string(b) != plain {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				if _, err := c.Get(path + "/cut").Bytes(); !errors.Is(err, client.ErrEncoding) {
					t.Errorf("cut: %v", err)
				}
				r, err := c.Get(path).Do()
				if err != nil {
					t.Error(err)
					continue
				}
				io.ReadFull(r.Body(), make([]byte, 10))
				r.Close()
			}
		})
	}
	wg.Wait()
}
