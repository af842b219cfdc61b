// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kindPanic is what requests are called whose handlers panic.
const kindPanic = "panic"

// queries are what is asked on any connection, by HTTP/1 and HTTP/2 alike.
var queries = []query{
	{"text", 20, askText},
	{"head", 3, askHead},
	{"upload", 10, askUpload},
	{"chunked", 8, askChunked},
	{"expect", 2, askExpect},
	{"form", 5, askForm},
	{"stream", 8, askStream},
	{"ranges", 6, askRanges},
	{"file", 8, askFile},
	{"slow", 4, askSlow},
	{"call", 8, askCall},
	{"events", 3, askEvents},
	{"hints", 2, askHints},
	{kindPanic, 2, askPanic},
	{"error", 4, askError},
}

// pickQuery picks one, as often as its weight says.
func pickQuery(v *visit) *query {
	n := v.rng.IntN(queryWeight)
	for i := range queries {
		if n -= queries[i].weight; n < 0 {
			return &queries[i]
		}
	}
	panic("soak: the weights do not add up")
}

var queryWeight = func() (sum int) {
	for _, q := range queries {
		sum += q.weight
	}
	return sum
}()

// isBody checks for exactly these octets.
func isBody(want []byte) func(*reply) error {
	return func(r *reply) error {
		if bytes.Equal(r.body, want) {
			return nil
		}
		at := 0
		for at < min(len(want), len(r.body)) && want[at] == r.body[at] {
			at++
		}
		return fmt.Errorf("a body of %d octets where there should be %d; they differ from octet %d on: %.60q, not %.60q",
			len(r.body), len(want), at, r.body[at:], want[at:])
	}
}

func askText(v *visit, nonce string) (*request, func(*reply) error) {
	size := v.size()
	return &request{target: fmt.Sprintf("/text/%d", size)}, isBody(bodyFor(nonce, size))
}

func askHead(v *visit, nonce string) (*request, func(*reply) error) {
	size := v.rng.Int64N(100_000)
	return &request{method: http.MethodHead, target: fmt.Sprintf("/text/%d", size)}, func(r *reply) error {
		want := strconv.FormatInt(int64(len(nonce))+1+size, 10)
		if got := r.header.Get("Content-Length"); got != want || len(r.body) != 0 {
			return fmt.Errorf("a head with length %q, not %s, and %d octets of body", got, want, len(r.body))
		}
		return nil
	}
}

func isUploaded(nonce string, body []byte, trailer string) func(*reply) error {
	return isJSON(uploaded{Nonce: nonce, Size: int64(len(body)), Digest: digest(body), Trailer: trailer})
}

func isJSON[T any](want T) func(*reply) error {
	return func(r *reply) error {
		var got T
		if err := json.Unmarshal(r.body, &got); err != nil {
			return fmt.Errorf("%w in %.200q", err, r.body)
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("the answer is %+v, not %+v", got, want)
		}
		return nil
	}
}

func askUpload(v *visit, nonce string) (*request, func(*reply) error) {
	body := octets(nonce, v.size())
	return &request{method: http.MethodPost, target: "/upload", body: body}, isUploaded(nonce, body, "")
}

func askChunked(v *visit, nonce string) (*request, func(*reply) error) {
	body := octets(nonce, 1+v.size())
	return &request{method: http.MethodPost, target: "/upload", body: body, chunked: true}, isUploaded(nonce, body, digest(body))
}

func askExpect(v *visit, nonce string) (*request, func(*reply) error) {
	q, check := askUpload(v, nonce)
	q.expect = true
	return q, check
}

// askForm sends files, of which large ones go through temporary files.
func askForm(v *visit, nonce string) (*request, func(*reply) error) {
	want := uploaded{Nonce: nonce, Trailer: nonce}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("nonce", nonce) // nothing fails in memory
	for i := range 1 + v.rng.IntN(3) {
		name := fmt.Sprintf("%s-%d.bin", nonce, i)
		data := octets(name, v.size())
		part, _ := w.CreateFormFile(fmt.Sprintf("file%d", i), name)
		_, _ = part.Write(data)
		want.Files = append(want.Files, uploaded{Nonce: name, Size: int64(len(data)), Digest: digest(data)})
	}
	_ = w.Close()
	q := &request{method: http.MethodPost, target: "/form", body: b.Bytes(), chunked: v.rng.IntN(3) == 0}
	q.header = [][2]string{{"Content-Type", w.FormDataContentType()}}
	return q, isJSON(want)
}

func askStream(v *visit, nonce string) (*request, func(*reply) error) {
	size := v.size()
	body := bodyFor(nonce, size)
	return &request{target: fmt.Sprintf("/stream/%d", size)}, func(r *reply) error {
		if got := r.trailer.Get("Digest"); got != digest(body) {
			return fmt.Errorf("the trailer is %v", r.trailer)
		}
		return isBody(body)(r)
	}
}

// askRanges asks for one part, several, or one that is not there.
func askRanges(v *visit, nonce string) (*request, func(*reply) error) {
	size := 1000 + v.size()
	body := bodyFor(nonce, size)
	q := &request{target: fmt.Sprintf("/content/%d", size), status: http.StatusPartialContent}
	from := v.rng.IntN(len(body) - 200)
	to := from + v.rng.IntN(len(body)-from)
	ranges := fmt.Sprintf("bytes=%d-%d", from, to)
	check := isBody(body[from : to+1])
	switch v.rng.IntN(5) {
	case 0:
		ranges, check = fmt.Sprintf("bytes=-%d", len(body)-from), isBody(body[from:])
	case 1:
		ranges = "bytes=0-99,200-299,-50"
		check = isParts(body[:100], body[200:300], body[len(body)-50:])
	case 2:
		ranges, check = fmt.Sprintf("bytes=%d-", len(body)), nil
		q.status = http.StatusRequestedRangeNotSatisfiable
	case 3:
		q.header = append(q.header, [2]string{"If-Range", `"another"`})
		q.status, check = http.StatusOK, isBody(body)
	}
	q.header = append(q.header, [2]string{"Range", ranges})
	return q, check
}

// isParts checks a multipart/byteranges body.
func isParts(want ...[]byte) func(*reply) error {
	return func(r *reply) error {
		_, params, err := mime.ParseMediaType(r.header.Get("Content-Type"))
		if err != nil {
			return err
		}
		parts := multipart.NewReader(bytes.NewReader(r.body), params["boundary"])
		for _, w := range want {
			part, err := parts.NextPart()
			if err != nil {
				return err
			}
			got, err := io.ReadAll(part)
			if err != nil || !bytes.Equal(got, w) {
				return fmt.Errorf("a part of %d octets, %w, where there should be %d", len(got), err, len(w))
			}
		}
		return nil
	}
}

func askFile(v *visit, _ string) (*request, func(*reply) error) {
	name := pick(v, slices.Sorted(maps.Keys(staticFiles)))
	data := v.load.files[name]
	q := &request{target: "/file/" + name}
	switch v.rng.IntN(4) {
	case 0:
		from := v.rng.IntN(len(data))
		q.header, q.status = [][2]string{{"Range", fmt.Sprintf("bytes=%d-", from)}}, http.StatusPartialContent
		return q, isBody(data[from:])
	case 1:
		q.header = [][2]string{{"If-Modified-Since", time.Now().UTC().Format(http.TimeFormat)}}
		q.status = http.StatusNotModified
		return q, isBody(nil)
	}
	return q, isBody(data)
}

func isNonce(nonce string) func(*reply) error { return isBody([]byte(nonce + "\n")) }

func askSlow(v *visit, nonce string) (*request, func(*reply) error) {
	return &request{target: fmt.Sprintf("/slow/%d", v.rng.IntN(400))}, isNonce(nonce)
}

// askCall has the server ask the upstream, which is not pleat's.
func askCall(v *visit, nonce string) (*request, func(*reply) error) {
	size := v.size()
	return &request{target: fmt.Sprintf("/call/%d", size)}, isBody(bodyFor("upstream "+nonce, size))
}

func askEvents(v *visit, nonce string) (*request, func(*reply) error) {
	count := v.rng.IntN(30)
	return &request{target: fmt.Sprintf("/events/%d", count)}, func(r *reply) error {
		n, err := countEvents(r.body, nonce)
		if err == nil && n != count && !v.load.ending.Load() { // the server's end is the end of the stream, too
			err = fmt.Errorf("there are %d events, not %d", n, count)
		}
		return err
	}
}

// countEvents checks events that are all of one request, and in order.
func countEvents(stream []byte, nonce string) (n int, err error) {
	text, whole := strings.CutSuffix(string(stream), "\n\n")
	if len(stream) > 0 && !whole {
		return 0, fmt.Errorf("an event is not whole: %.60q", text)
	}
	for event := range strings.SplitSeq(text, "\n\n") {
		if event == "" || event == ":" {
			continue
		}
		for _, line := range []string{"id: " + strconv.Itoa(n), "event: soak", "data: " + nonce} {
			if !slices.Contains(strings.Split(event, "\n"), line) {
				return n, fmt.Errorf("event %d has no line %q: %.200q", n, line, event)
			}
		}
		n++
	}
	return n, nil
}

func askHints(_ *visit, nonce string) (*request, func(*reply) error) {
	return &request{target: "/hints"}, func(r *reply) error {
		if want := "</" + nonce + ">; rel=preload"; !slices.Equal(r.hints, []string{want}) {
			return fmt.Errorf("the hints are %q", r.hints)
		}
		return isNonce(nonce)(r)
	}
}

// askPanic makes a handler panic, before there is an answer or in the middle of it.
func askPanic(v *visit, nonce string) (*request, func(*reply) error) {
	if v.rng.IntN(2) == 0 {
		return &request{target: "/panic/late", broken: true}, isNonce(nonce)
	}
	return &request{target: "/panic", header: acceptProblem, status: http.StatusInternalServerError}, isProblem(nonce)
}

var acceptProblem = [][2]string{{"Accept", "application/problem+json"}}

// isProblem checks an error answer, which has the id of its request.
func isProblem(nonce string) func(*reply) error {
	return func(r *reply) error {
		if !bytes.Contains(r.body, []byte(nonce)) {
			return fmt.Errorf("the error answer does not name the request: %.300q", r.body)
		}
		return nil
	}
}

// askError asks for what is not there, or not so.
func askError(v *visit, nonce string) (*request, func(*reply) error) {
	q := &request{header: acceptProblem}
	switch v.rng.IntN(3) {
	case 0:
		q.target, q.status = "/nothing/here", http.StatusNotFound
	case 1: // with a body that nobody reads
		q.method, q.target, q.status = http.MethodPost, "/text/1", http.StatusMethodNotAllowed
		q.body = octets(nonce, v.rng.Int64N(100_000))
	default:
		q.target, q.status = "/fail", http.StatusConflict
	}
	return q, isProblem(nonce)
}
