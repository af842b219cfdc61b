// SPDX-License-Identifier: MIT

package server

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	oneRange     = regexp.MustCompile(`^bytes=([0-9]{1,9})-([0-9]{0,9})$`)
	suffixRange  = regexp.MustCompile(`^bytes=-([0-9]{1,9})$`)
	contentRange = regexp.MustCompile(`^bytes ([0-9]+)-([0-9]+)/([0-9]+)$`)
)

// FuzzRange asks for ranges of a content and checks that every octet that comes is
// the one it is said to be (RFC 9110 §14), that the ones wanted come where it is
// plain which, and that an answer is never much larger than the content.
func FuzzRange(f *testing.F) {
	for _, v := range []string{
		"", "bytes=0-", "bytes=0-0", "bytes=5-9", "bytes=-1", "bytes=-0", "bytes=26-", "bytes=25-99", "bytes=9-5", "bytes=0-1,3-4", "bytes=0-,0-,0-,0-",
		"bytes=1-2, -3 ,, 5-5", "bytes=", "bytes=-", "bytes=a-b", "bytes=+1-2", "bytes=1-+2", "bytes=0x1-2", "bytes=99999999999999999999-", "BYTES=0-1", "items=0-1",
		"bytes 0-1", "bytes=0-1;x", "bytes=18446744073709551616-18446744073709551617", "bytes=-9223372036854775808",
	} {
		f.Add(v, "", uint16(26))
		f.Add(v, `"tag"`, uint16(1))
		f.Add(v, `W/"tag"`, uint16(0))
		f.Add(v, "Sun, 06 Nov 1994 08:49:37 GMT", uint16(300))
	}
	modified := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value, condition string, size uint16) {
		if !validFieldValue(value) || !validFieldValue(condition) || len(value) > 2000 {
			t.Skip("no values of fields")
		}
		var content strings.Builder
		for i := 0; content.Len() < int(size); i++ {
			content.WriteByte(byte('a' + i%25)) // a period that no size below divides
		}
		all := content.String()
		in := "GET / HTTP/1.1\r\nHost: h\r\nRange: " + value + "\r\n"
		if condition != "" {
			in += "If-Range: " + condition + "\r\n"
		}
		res, body := answered(t, func(r *HTTPRequest) {
			if err := r.SendContent("x.bin", modified, strings.NewReader(all), FileOptions{ETag: `"tag"`, ContentType: "a/b"}); err != nil {
				t.Error(err)
			}
		}, in+"\r\n", whole)
		value = strings.Trim(value, " \t")
		checkPart := func(header, part string) {
			m := contentRange.FindStringSubmatch(header)
			if m == nil {
				t.Fatalf("Range: %q of %d: Content-Range %q", value, size, header)
			}
			from, _ := strconv.Atoi(m[1])
			to, _ := strconv.Atoi(m[2])
			if m[3] != strconv.Itoa(len(all)) || from > to || to >= len(all) || part != all[from:to+1] {
				t.Fatalf("Range: %q of %d: Content-Range %q of %q", value, size, header, clip(part, 100))
			}
		}
		mediaType, params, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
		switch {
		case res.StatusCode == 200:
			if body != all || res.Header.Get("Content-Range") != "" {
				t.Fatalf("Range: %q: 200 without the whole", value)
			}
		case res.StatusCode == 416:
			if got := res.Header.Get("Content-Range"); got != fmt.Sprintf("bytes */%d", len(all)) && got != "" {
				t.Fatalf("Range: %q: 416 with Content-Range %q", value, got)
			}
		case res.StatusCode == 206 && mediaType == "multipart/byteranges":
			r := multipart.NewReader(strings.NewReader(body), params["boundary"])
			sum := 0
			for {
				p, err := r.NextRawPart()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("Range: %q: parts: %v", value, err)
				}
				part, err := io.ReadAll(p)
				if err != nil || p.Header.Get("Content-Type") != "a/b" {
					t.Fatalf("Range: %q: part %v, %v", value, p.Header, err)
				}
				checkPart(p.Header.Get("Content-Range"), string(part))
				sum += len(part)
			}
			if sum > len(all) {
				t.Fatalf("Range: %q: %d octets of %d", value, sum, len(all))
			}
		case res.StatusCode == 206:
			checkPart(res.Header.Get("Content-Range"), body)
		default:
			t.Fatalf("Range: %q: %s", value, res.Status)
		}
		if condition == "" || condition == `"tag"` {
			checkPlainRange(t, value, all, res.StatusCode, body)
		}
	})
}

// checkPlainRange knows what one range has to be answered with.
func checkPlainRange(t *testing.T, value, all string, status int, body string) {
	t.Helper()
	want, wantStatus := "", 416
	if m := oneRange.FindStringSubmatch(value); m != nil {
		from, _ := strconv.Atoi(m[1])
		to, err := strconv.Atoi(m[2])
		if err != nil {
			to = len(all)
		}
		if to < from {
			return // not valid: ignored or refused
		}
		if from < len(all) {
			want, wantStatus = all[from:min(to+1, len(all))], 206
		}
	} else if m := suffixRange.FindStringSubmatch(value); m != nil {
		n, _ := strconv.Atoi(m[1])
		if n > 0 && all != "" {
			want, wantStatus = all[max(len(all)-n, 0):], 206
		}
	} else {
		return
	}
	if status == 200 && body == all && (want == all || strings.Trim(value, "bytes=-0") == "") {
		return // a range of all, or of nothing, need not be minded
	}
	if status != wantStatus || status == 206 && body != want {
		t.Fatalf("Range: %q of %d: %d %q, want %d %q", value, len(all), status, clip(body, 100), wantStatus, clip(want, 100))
	}
}
