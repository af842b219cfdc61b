// SPDX-License-Identifier: MIT

package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// scripted is a transport whose peer has said everything beforehand; it hands
// that over in pieces and keeps what is written.
type scripted struct {
	in     []byte
	pieces func() int // size of the next piece
	out    bytes.Buffer
	writes int
	broken error // what writes fail with
	hurry  bool  // answers have waited for long
}

func (s *scripted) read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), max(s.pieces(), 1))], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *scripted) write(a, b []byte) error {
	s.writes++
	if s.broken != nil {
		return s.broken
	}
	s.out.Write(a)
	s.out.Write(b)
	return nil
}

func (s *scripted) sendFile(*os.File, int64) (int64, bool, error) { return 0, false, nil }
func (s *scripted) watch(*HTTPConnection)                         {}
func (s *scripted) unwatch()                                      {}
func (s *scripted) late(time.Time) bool                           { return s.hurry }
func (s *scripted) interrupt()                                    {}
func (s *scripted) resume()                                       {}
func (s *scripted) setReadDeadline(time.Time)                     {}
func (s *scripted) setWriteDeadline(time.Time)                    {}
func (s *scripted) next()                                         {}
func (s *scripted) hijack() (net.Conn, error)                     { return nil, ErrNotHijackable }
func (s *scripted) closeNow()                                     {}
func (s *scripted) remoteAddr() net.Addr                          { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

func (s *scripted) remoteIP() netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, 1}) }

func (s *scripted) localAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 80} }

// machine makes an HTTPConnection for a server on a scripted transport.
func machine(t testing.TB, srv *HTTPServer, s *scripted) *HTTPConnection {
	t.Helper()
	if err := srv.prepare(); err != nil {
		t.Fatal(err)
	}
	c := &HTTPConnection{}
	c.init(&serving{srv: srv, set: srv.set, base: context.Background()}, s, nil)
	return c
}

// drive does what an engine does, until the machine is done or the peer is.
func (s *scripted) drive(c *HTTPConnection) action {
	defer c.drop()
	for {
		n, err := s.read(c.room())
		c.received(n)
		if err != nil {
			c.noMore(false)
			return actClose
		}
		if act := c.run(); act != actRead {
			return act
		}
		c.rest()
	}
}

// corpusHandler answers in all the ways there are, chosen by the path.
func corpusHandler(r *HTTPRequest) {
	const text = "text/plain; charset=utf-8"
	switch r.Path() {
	case "/ok":
		_ = r.SendString(200, text, "ok")
	case "/echo":
		body, err := r.Body()
		if err != nil {
			_ = r.SendError(err)
			return
		}
		for name, value := range r.Trailer().All() {
			_ = r.AddHeader("Echo-"+name, value)
		}
		_ = r.SendResponse(200, r.Header().Get("Content-Type"), body)
	case "/stream":
		for _, part := range []string{"one", "two", "three"} {
			_, _ = r.WriteString(part)
			_ = r.Flush()
		}
		_ = r.SetTrailer("X-T", "1")
	case "/copy":
		_, _ = io.Copy(r, r.BodyReader())
	case "/large":
		_ = r.SendResponse(200, text, bytes.Repeat([]byte("0123456789abcdef"), 10_000))
	case "/204":
		_ = r.SetStatus(204)
	case "/304":
		_ = r.SetStatus(304)
	case "/hint":
		_ = r.SendInformational(103, http.Header{"Link": {"</a>"}})
	case "/std":
		http.Error(r.ResponseWriter(), r.StdRequest().URL.String(), http.StatusTeapot)
	case "/form":
		f, err := r.Form()
		if err != nil {
			_ = r.SendError(err)
			return
		}
		_ = r.SendString(200, text, f.Encode())
	case "/panic":
		panic("in the corpus")
	case "/abort":
		panic(http.ErrAbortHandler)
	case "/context":
		_ = r.Context().Done()
		_, _ = r.WriteString("context")
	case "/limit":
		r.SetBodyLimit(5)
		_, err := r.Body()
		_ = r.SendError(err)
	case "/close":
		_ = r.SetHeader("Connection", "close")
	case "/peek":
		_, _ = io.ReadFull(r.BodyReader(), make([]byte, 2))
	default:
		_ = r.SetStatus(404)
	}
}

// corpus are conversations: everything a client sends on one connection.
var corpus = func() map[string]string {
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }
	post := func(path, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: a/b\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	}
	chunked := func(path, chunks string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
	}
	const chunks = "3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nX-Sum: 1\r\n\r\n"
	var all strings.Builder
	for _, path := range []string{"/ok", "/stream", "/copy", "/large", "/204", "/304", "/hint", "/std", "/form", "/context", "/none", "/echo"} {
		all.WriteString(get(path) + post(path, "body") + chunked(path, chunks) + strings.Replace(get(path), "GET", "HEAD", 1))
	}
	return map[string]string{
		"one":                   get("/ok"),
		"everything":            all.String(),
		"empty lines between":   "\r\n" + get("/ok") + "\r\n\r\n" + get("/ok"),
		"1.0":                   "GET /ok HTTP/1.0\r\n\r\n" + get("/ok"),
		"1.0 keep-alive":        "GET /ok HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get("/ok"),
		"close":                 get("/ok") + "GET /ok HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + get("/ok"),
		"handler closes":        get("/close") + get("/ok"),
		"bodies nobody reads":   post("/ok", "GET /smuggled HTTP/1.1\r\n\r\n") + chunked("/ok", chunks) + get("/ok"),
		"bodies half read":      post("/peek", "abcdefgh") + chunked("/peek", chunks) + get("/ok"),
		"long bodies":           post("/echo", strings.Repeat("x", 30_000)) + post("/echo", strings.Repeat("y", 10_000)) + get("/ok"),
		"broken head":           get("/ok") + "GET /ok HTTP/1.1\r\nHost : h\r\n\r\n" + get("/ok"),
		"bare LF":               get("/ok") + "GET /ok HTTP/1.1\nHost: h\n\n" + get("/ok"),
		"head cut short":        get("/ok") + "GET /ok HTT",
		"body cut short":        get("/ok") + "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc",
		"chunks cut short":      chunked("/echo", "5\r\nab"),
		"broken chunks":         chunked("/echo", "5\r\nabcde5\r\n") + get("/ok"),
		"broken chunks, unread": chunked("/ok", "5\r\nabcde5\r\n") + get("/ok"),
		"both framings":         "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get("/ok"),
		"over a limit":          post("/limit", "abcdef") + get("/ok"),
		"over a limit, chunked": chunked("/limit", "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n") + get("/ok"),
		"panic":                 get("/ok") + get("/panic") + get("/ok"),
		"abort":                 get("/ok") + get("/abort") + get("/ok"),
		"form":                  "POST /form HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\na=1&b=2" + get("/ok"),
		"expectation":           "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody" + get("/ok"),
		"unknown expectation":   "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n" + get("/ok"),
		"absolute-form":         "GET http://other/std HTTP/1.1\r\nHost: h\r\n\r\nGET https://other/std HTTP/1.1\r\nHost: h\r\n\r\n" + get("/ok"),
		"head too large":        "GET /ok HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 70_000) + "\r\n\r\n" + get("/ok"),
		"not HTTP":              "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
		"nothing":               "",
	}
}()

var dateLine = regexp.MustCompile(`Date: [^\r]*\r\n`)

// converse runs a conversation on a machine of its own and returns what came
// back, without what depends on the clock and on how octets are cut.
func converse(t testing.TB, in string, pieces func() int) (string, action) {
	s := &scripted{in: []byte(in), pieces: pieces}
	act := s.drive(machine(t, &HTTPServer{Handler: HandlerFunc(corpusHandler)}, s))
	out := dateLine.ReplaceAllString(s.out.String(), "")
	// Whether a body is asked for depends on whether it is there.
	return strings.ReplaceAll(out, "HTTP/1.1 100 Continue\r\n\r\n", ""), act
}

func whole() int       { return 1 << 30 }
func oneOctet() int    { return 1 }
func sevenOctets() int { return 7 }

// How octets are cut into reads makes no difference to what is answered.
func TestMachineSplitAnywhere(t *testing.T) {
	for name, in := range corpus {
		t.Run(name, func(t *testing.T) {
			want, wantAct := converse(t, in, whole)
			rnd := rand.New(rand.NewPCG(1, 2))
			for how, pieces := range map[string]func() int{
				"octet by octet": oneOctet, "by sevens": sevenOctets, "at random": func() int { return 1 + rnd.IntN(60) },
			} {
				got, gotAct := converse(t, in, pieces)
				if got != want || gotAct != wantAct {
					t.Errorf("%s: action %d, whole: %d\n%s", how, gotAct, wantAct, difference(got, want))
				}
			}
			if wantAct == actClose {
				readAnswers(t, want)
			}
		})
	}
}

// difference shows where two outputs part.
func difference(got, want string) string {
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	from := max(at-60, 0)
	return fmt.Sprintf("at %d: got %q\nwant %q", at, clip(got[from:], 120), clip(want[from:], 120))
}

// readAnswers checks by net/http that out is a sequence of whole answers.
func readAnswers(t testing.TB, out string) (n int) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(out))
	for {
		if _, err := r.Peek(1); err == io.EOF {
			return n
		}
		// The methods are not known here. HEAD answers have no body to skip, so
		// what comes after a head that has a length may be the next status line.
		res, err := http.ReadResponse(r, &http.Request{Method: http.MethodHead})
		if err != nil {
			t.Fatalf("answer %d: %v in %q", n, err, clip(out, 200))
		}
		n++
		if next, _ := r.Peek(len("HTTP/1.1 ")); string(next) == "HTTP/1.1 " || len(next) == 0 {
			continue
		}
		var body io.Reader = io.LimitReader(r, max(res.ContentLength, 0))
		if len(res.TransferEncoding) > 0 {
			skipChunks(t, r)
		} else if res.ContentLength < 0 {
			body = r // until the end
		}
		_, _ = io.Copy(io.Discard, body)
	}
}

func skipChunks(t testing.TB, r *bufio.Reader) {
	t.Helper()
	for {
		var size int
		if _, err := fmt.Fscanf(r, "%x\r\n", &size); err != nil {
			t.Fatalf("chunk size: %v", err)
		}
		if size == 0 {
			break
		}
		if n, err := r.Discard(size + 2); err != nil {
			t.Fatalf("chunk of %d: %d, %v", size, n, err)
		}
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			return
		}
	}
}

func TestMachineAnswersLeaveTogether(t *testing.T) {
	const n = 16
	s := &scripted{in: bytes.Repeat([]byte("GET /ok HTTP/1.1\r\nHost: h\r\n\r\n"), n), pieces: whole}
	s.drive(machine(t, &HTTPServer{Handler: HandlerFunc(corpusHandler)}, s))
	if s.writes != 1 {
		t.Errorf("%d answers to pipelined requests took %d writes, want one", n, s.writes)
	}
	if got := readAnswers(t, s.out.String()); got != n {
		t.Errorf("%d answers, want %d", got, n)
	}
	s = &scripted{in: []byte("GET /large HTTP/1.1\r\nHost: h\r\n\r\n"), pieces: whole}
	s.drive(machine(t, &HTTPServer{Handler: HandlerFunc(corpusHandler)}, s))
	if s.writes != 1 {
		t.Errorf("head and body took %d writes, want one", s.writes)
	}
}

func TestMachineWriteFails(t *testing.T) {
	failure := errors.New("no wire")
	for _, path := range []string{"/ok", "/stream", "/large", "/hint", "/context", "/echo", "/std"} {
		s := &scripted{in: []byte("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nabGET /ok HTTP/1.1\r\nHost: h\r\n\r\n"), pieces: whole, broken: failure}
		if act := s.drive(machine(t, &HTTPServer{Handler: HandlerFunc(corpusHandler)}, s)); act != actAbort {
			t.Errorf("%s: action %d after a failed write, want actAbort", path, act)
		}
	}
}

func FuzzMachine(f *testing.F) {
	for _, in := range corpus {
		if len(in) < 5000 {
			f.Add(in, uint8(1))
			f.Add(in, uint8(5))
		}
	}
	f.Fuzz(func(t *testing.T, in string, size uint8) {
		if strings.Contains(strings.ToLower(in), "100-continue") || len(in) > commitSize {
			return // whether the client waits, and how large chunks are, depends on what is there
		}
		want, wantAct := converse(t, in, whole)
		got, gotAct := converse(t, in, func() int { return int(size) })
		if got != want || gotAct != wantAct {
			t.Fatalf("in pieces of %d: action %d, whole: %d\n%s", size, gotAct, wantAct, difference(got, want))
		}
		if want != "" && !strings.HasPrefix(want, "HTTP/1.1 ") {
			t.Fatalf("not an answer: %q", want)
		}
	})
}

// Answers to requests that came together leave together, unless they took long:
// then nobody waits for the next one, and if the peer has left there is no next one.
func TestMachineLateAnswers(t *testing.T) {
	const n = 50
	in := bytes.Repeat([]byte("GET /ok HTTP/1.1\r\nHost: h\r\n\r\n"), n)
	for _, tt := range []struct {
		name          string
		hurry         bool
		broken        error
		calls, writes int
	}{
		{"in time", false, nil, n, 1},
		{"late", true, nil, n, n},
		{"late, to a peer that has left", true, io.ErrClosedPipe, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &scripted{in: in, pieces: func() int { return len(in) }, hurry: tt.hurry, broken: tt.broken}
			calls := 0
			s.drive(machine(t, &HTTPServer{Handler: HandlerFunc(func(r *HTTPRequest) {
				calls++
				corpusHandler(r)
			})}, s))
			if calls != tt.calls || s.writes != tt.writes {
				t.Errorf("%d calls and %d writes, want %d and %d", calls, s.writes, tt.calls, tt.writes)
			}
		})
	}
}
