// SPDX-License-Identifier: MIT

package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// startHTTP serves a net/http handler through the view of a native request.
func startHTTP(t testing.TB, h http.Handler) string {
	t.Helper()
	return startFunc(t, func(r *server.HTTPRequest) { h.ServeHTTP(r.ResponseWriter(), r.StdRequest()) })
}

// A handler written for net/http gets from us what it gets from net/http.
func TestNetHTTPHandlers(t *testing.T) {
	big := strings.Repeat("0123456789", 5000)
	tests := []struct {
		name    string
		method  string
		body    string
		handler func(w http.ResponseWriter, q *http.Request)
	}{
		{name: "nothing", handler: func(w http.ResponseWriter, q *http.Request) {}},
		{name: "implicit 200, sniffed", handler: func(w http.ResponseWriter, q *http.Request) { _, _ = io.WriteString(w, "<html><body>") }},
		{name: "sniffed by the first write", handler: func(w http.ResponseWriter, q *http.Request) {
			_, _ = w.Write(nil)
			_, _ = w.Write([]byte("%PDF-1.4"))
			_, _ = w.Write([]byte("<html>"))
		}},
		{name: "no sniffing when encoded", handler: func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			_, _ = io.WriteString(w, "<html>")
		}},
		{name: "no sniffing when refused", handler: func(w http.ResponseWriter, q *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "<html>")
		}},
		{name: "type after WriteHeader", handler: func(w http.ResponseWriter, q *http.Request) {
			w.WriteHeader(200)
			w.Header().Set("Content-Type", "late/type")
			_, _ = io.WriteString(w, "plain")
		}},
		{name: "WriteHeader twice", handler: func(w http.ResponseWriter, q *http.Request) {
			w.WriteHeader(404)
			w.WriteHeader(200)
			_, _ = io.WriteString(w, "x")
		}},
		{name: "WriteHeader after Write", handler: func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.WriteString(w, "x")
			w.WriteHeader(404)
		}},
		{name: "map after WriteHeader", handler: func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("X-Early", "1")
			w.WriteHeader(201)
			w.Header().Set("X-Early", "2")
			w.Header().Set("X-Late", "1")
			_, _ = io.WriteString(w, "x")
		}},
		{name: "map after Write", handler: func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.WriteString(w, "x")
			w.Header().Set("X-Late", "1")
		}},
		{name: "map after a large body", handler: func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.WriteString(w, big)
			w.Header().Set("X-Late", "1")
		}},
		{name: "bad fields are left out", handler: func(w http.ResponseWriter, q *http.Request) {
			w.Header()["Bad Name"] = []string{"x"}
			w.Header().Set("X-Space", "  a  ")
			_, _ = io.WriteString(w, "x")
		}},
		{name: "status of its own", handler: func(w http.ResponseWriter, q *http.Request) { w.WriteHeader(799) }},
		{name: "length", handler: func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "ab")
		}},
		{name: "more than the length", handler: func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "ab")
			if n, err := io.WriteString(w, "c"); n != 0 || !errors.Is(err, http.ErrContentLength) {
				panic(fmt.Sprint(n, err))
			}
		}},
		{name: "wrong length", handler: func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Length", "nonsense")
			_, _ = io.WriteString(w, "ab")
		}},
		{name: "flush", handler: func(w http.ResponseWriter, q *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "<html>")
		}},
		{name: "204", handler: func(w http.ResponseWriter, q *http.Request) {
			w.WriteHeader(204)
			if n, err := io.WriteString(w, "x"); n != 0 || !errors.Is(err, http.ErrBodyNotAllowed) {
				panic(fmt.Sprint(n, err))
			}
		}},
		{name: "HEAD", method: "HEAD", handler: func(w http.ResponseWriter, q *http.Request) { _, _ = io.WriteString(w, "<html>") }},
		{name: "ReadFrom, sniffed", handler: func(w http.ResponseWriter, q *http.Request) {
			n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("<html>" + big))
			if n != int64(6+len(big)) || err != nil {
				panic(fmt.Sprint(n, err))
			}
		}},
		{name: "echo", method: "POST", body: "hello", handler: func(w http.ResponseWriter, q *http.Request) { _, _ = io.Copy(w, q.Body) }},
		{name: "announced trailer", handler: func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Trailer", "X-One, X-Two")
			w.Header().Add("Trailer", "X-Three")
			_, _ = io.WriteString(w, "x")
			w.Header().Set("X-One", "1")
			w.Header().Set("X-Three", "3")
			w.Header().Set("X-Four", "4")
		}},
		{name: "prefixed trailer", handler: func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"X-One", "1")
		}},
		{name: "trailer of a large body", handler: func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Trailer", "X-One")
			_, _ = io.WriteString(w, big)
			w.Header().Set("X-One", "1")
		}},
		{name: "1xx", handler: func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Link", "</a>")
			w.WriteHeader(103)
			w.Header().Del("Link")
			w.Header().Set("X-Final", "1")
			w.WriteHeader(404)
		}},
		{name: "MaxBytesReader", method: "POST", body: big, handler: func(w http.ResponseWriter, q *http.Request) {
			_, err := io.ReadAll(http.MaxBytesReader(w, q.Body, 100))
			var tooLarge *http.MaxBytesError
			if !errors.As(err, &tooLarge) || server.StatusOf(err) != 413 {
				panic(err)
			}
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		}},
		{name: "ServeContent", handler: func(w http.ResponseWriter, q *http.Request) {
			http.ServeContent(w, q, "a.txt", time.Unix(1e9, 0), strings.NewReader(big))
		}},
		{name: "NotFound", handler: http.NotFound},
		{name: "form", method: "POST", body: "a=1", handler: func(w http.ResponseWriter, q *http.Request) {
			q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			_, _ = fmt.Fprint(w, q.FormValue("a"), q.PostForm)
		}},
		{name: "request", handler: func(w http.ResponseWriter, q *http.Request) {
			_, hasHost := q.Header["Host"]
			_, _ = fmt.Fprint(w, q.Method, q.URL, q.RequestURI, q.Proto, q.ProtoAtLeast(1, 1), q.Header["X-A"], hasHost, q.Host != "", q.ContentLength, q.Body == http.NoBody, len(q.RemoteAddr) > 0, q.Context().Err())
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			theirs := httptest.NewServer(http.HandlerFunc(tt.handler))
			defer theirs.Close()
			theirs.Config.ErrorLog = log.New(io.Discard, "", 0)
			ours := startHTTP(t, http.HandlerFunc(tt.handler))
			transport := &http.Transport{DisableCompression: true}
			defer transport.CloseIdleConnections()
			var got [2]exchanged
			for i, base := range []string{theirs.URL, "http://" + ours} {
				method := tt.method
				if method == "" {
					method = "GET"
				}
				q, err := http.NewRequest(method, base+"/path?x=1", strings.NewReader(tt.body))
				if err != nil {
					t.Fatal(err)
				}
				q.Header["X-A"] = []string{"1", "2"}
				res, err := transport.RoundTrip(q)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				got[i] = exchanged{res.StatusCode, string(body), res.Header, res.Trailer, res.ContentLength}
			}
			if got[0].status != got[1].status || got[0].body != got[1].body {
				t.Errorf("net/http: %d %q, pleat: %d %q", got[0].status, clip(got[0].body), got[1].status, clip(got[1].body))
			}
			if d := differences(got[0].header, got[1].header); d != "" {
				t.Errorf("header of net/http and pleat: %s", d)
			}
			if d := differences(got[0].trailer, got[1].trailer); d != "" {
				t.Errorf("trailer of net/http and pleat: %s", d)
			}
		})
	}
}

// The two ways to answer work on one answer.
func TestNativeAndNetHTTPTogether(t *testing.T) {
	tests := []struct {
		name    string
		handler func(r *server.HTTPRequest)
		status  int
		body    string
		header  string
	}{
		{"native fields first", func(r *server.HTTPRequest) {
			_ = r.SetHeader("X-A", "1")
			_ = r.SetHeader("Content-Type", "a/b")
			_, _ = io.WriteString(r.ResponseWriter(), "x")
		}, 200, "x", "X-A=1 Content-Type=a/b"},
		{"native fields while the map is open", func(r *server.HTTPRequest) {
			w := r.ResponseWriter()
			w.Header().Set("X-A", "1")
			_ = r.AddHeader("X-A", "2")
			_ = r.SetHeader("X-B", "1")
			r.DelHeader("X-A")
			if r.ResponseHeader("X-B") != "1" || r.ResponseHeaders().Get("X-B") != "1" {
				t.Error("the native view does not see it")
			}
			_, _ = io.WriteString(w, "x")
		}, 200, "x", "!X-A X-B=1"},
		{"native fields after WriteHeader", func(r *server.HTTPRequest) {
			w := r.ResponseWriter()
			w.WriteHeader(404)
			_ = r.SetHeader("X-A", "1")
			if r.Status() != 404 || r.ResponseHeader("X-A") != "1" {
				t.Error("the native view does not see it")
			}
		}, 404, "", "X-A=1"},
		{"native status, then a write", func(r *server.HTTPRequest) {
			_ = r.SetStatus(202)
			_, _ = io.WriteString(r.ResponseWriter(), "x")
		}, 202, "x", ""},
		{"native status, then WriteHeader", func(r *server.HTTPRequest) {
			_ = r.SetStatus(202)
			r.ResponseWriter().WriteHeader(404)
		}, 404, "", ""},
		{"WriteHeader, then native status", func(r *server.HTTPRequest) {
			r.ResponseWriter().WriteHeader(404)
			_ = r.SetStatus(202)
		}, 202, "", ""},
		{"SendString over a net/http answer", func(r *server.HTTPRequest) {
			w := r.ResponseWriter()
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(404)
			_, _ = io.WriteString(w, "not found")
			_ = r.SendString(200, text, "found")
		}, 200, "found", "Content-Length=5"},
		{"SendString with the map open", func(r *server.HTTPRequest) {
			w := r.ResponseWriter()
			w.Header().Set("Content-Length", "100")
			w.Header().Set("X-A", "1")
			_ = r.SendString(200, text, "found")
		}, 200, "found", "Content-Length=5 X-A=1"},
		{"cookies", func(r *server.HTTPRequest) {
			w := r.ResponseWriter()
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
			_ = r.SetCookie(&http.Cookie{Name: "a", Value: "2"})
			_ = r.SetCookie(&http.Cookie{Name: "b", Value: "3"})
			if got := fmt.Sprint(r.CookiesOut()); got != "[a=2 b=3]" {
				t.Errorf("CookiesOut() = %s", got)
			}
		}, 200, "", "Set-Cookie=a=2"},
		{"the same view twice", func(r *server.HTTPRequest) {
			r.ResponseWriter().Header().Set("X-A", "1")
			if w, q := r.ResponseWriter(), r.StdRequest(); w != r.ResponseWriter() || q != r.StdRequest() {
				t.Error("two views")
			}
			_, _ = io.WriteString(r.ResponseWriter(), "x")
		}, 200, "x", "X-A=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, startFunc(t, tt.handler))
			c.get("/")
			wantHeader(t, c.wantAnswer(tt.status, tt.body).Header, tt.header)
			c.get("/")
			c.wantAnswer(tt.status, tt.body)
		})
	}
}

func TestStdRequestTargets(t *testing.T) {
	tests := []struct{ request, want string }{
		{"GET /a%2Fb?c=d HTTP/1.1\r\nHost: h\r\n", `GET "/a%2Fb?c=d" path="/a/b" raw="/a%2Fb" query="c=d" host="h" urlhost="" uri="/a%2Fb?c=d"`},
		{"GET //double/slash HTTP/1.1\r\nHost: h\r\n", `GET "//double/slash" path="//double/slash" raw="" query="" host="h" urlhost="" uri="//double/slash"`},
		{"GET http://Other:81/x?y HTTP/1.1\r\nHost: h\r\n", `GET "http://Other:81/x?y" path="/x" raw="" query="y" host="Other:81" urlhost="Other:81" uri="http://Other:81/x?y"`},
		{"OPTIONS * HTTP/1.1\r\nHost: h\r\n", `OPTIONS "*" path="*" raw="" query="" host="h" urlhost="" uri="*"`},
		{"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n", `CONNECT "//h:443" path="" raw="" query="" host="h:443" urlhost="h:443" uri="h:443"`},
	}
	for _, tt := range tests {
		got := make(chan string, 1)
		c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
			q := r.StdRequest()
			got <- fmt.Sprintf("%s %q path=%q raw=%q query=%q host=%q urlhost=%q uri=%q", q.Method, q.URL, q.URL.Path, q.URL.RawPath, q.URL.RawQuery, q.Host, q.URL.Host, q.RequestURI)
		}))
		c.send("%s\r\n", tt.request)
		if g := <-got; g != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.request, g, tt.want)
		}
	}
}

func TestStdRequestTrailer(t *testing.T) {
	c := dial(t, startHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if len(q.TransferEncoding) != 1 || q.ContentLength != -1 {
			t.Errorf("%v %d", q.TransferEncoding, q.ContentLength)
		}
		q = q.WithContext(context.WithValue(q.Context(), contextKey{}, 1)) // a copy, as middleware makes
		_, err := io.Copy(io.Discard, q.Body)
		must(t, err)
		_, _ = io.WriteString(w, q.Trailer.Get("X-Sum"))
	})))
	c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
	c.wantAnswer(200, "1")
}

func TestResponseController(t *testing.T) {
	c := dial(t, startHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		rc := http.NewResponseController(w)
		must(t, rc.EnableFullDuplex())
		must(t, rc.SetWriteDeadline(time.Now().Add(time.Hour)))
		_, _ = io.WriteString(w, "a")
		must(t, rc.Flush())
		must(t, rc.SetReadDeadline(time.Now().Add(soon)))
		if _, err := io.ReadAll(q.Body); !errors.Is(err, server.ErrBodyTimeout) {
			t.Errorf("reading: %v", err)
		}
		must(t, rc.SetWriteDeadline(time.Unix(1, 0)))
		_, _ = io.WriteString(w, "b")
		if err := rc.Flush(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Flush: %v", err)
		}
	})))
	c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
	c.wantLine("HTTP/1.1 200 OK")
	c.wantEnd("the deadline was over")
}

func TestHijack(t *testing.T) {
	t.Run("leftover octets", func(t *testing.T) {
		c := dial(t, startHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			if n := rw.Reader.Buffered(); n < 5 {
				t.Errorf("%d octets buffered, want 5 or more", n)
			}
			if _, err := io.WriteString(w, "x"); !errors.Is(err, http.ErrHijacked) {
				t.Errorf("Write after Hijack: %v", err)
			}
			if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
				t.Error("hijacked twice")
			}
			line, err := rw.ReadString('\n')
			must(t, err)
			second, err := rw.ReadString('\n')
			must(t, err)
			_, _ = fmt.Fprintf(conn, "%s%s", line, second)
		})))
		c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nleft\n")
		c.send("over\n")
		c.wantLine("left")
		c.wantLine("over")
		c.wantClosed("the handler closed")
	})
	t.Run("outlives the handler", func(t *testing.T) {
		conns := make(chan net.Conn, 1)
		requests := make(chan *server.HTTPRequest, 1)
		c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
			conn, _, err := r.Hijack()
			must(t, err)
			requests <- r
			conns <- conn
		}))
		c.get("/")
		r := <-requests
		conn := <-conns
		<-r.Context().Done()
		if _, err := r.WriteString("x"); !errors.Is(err, server.ErrRequestDone) {
			t.Errorf("Write after the handler: %v", err)
		}
		if s := r.Connection().State(); s != http.StateHijacked {
			t.Errorf("state %v", s)
		}
		_, err := io.WriteString(conn, "alive\n")
		must(t, err)
		c.wantLine("alive")
		must(t, conn.Close())
	})
	t.Run("after earlier answers", func(t *testing.T) {
		c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
			if r.Path() == "/1" {
				ok(r)
				return
			}
			conn, _, err := r.Hijack()
			must(t, err)
			_, _ = io.WriteString(conn, "mine\n")
			_ = conn.Close()
		}))
		c.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
		c.wantAnswer(200, "ok")
		c.wantLine("mine")
	})
	t.Run("not after the head", func(t *testing.T) {
		c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
			_ = r.Flush()
			if _, _, err := r.Hijack(); !errors.Is(err, server.ErrCommitted) {
				t.Errorf("Hijack = %v", err)
			}
		}))
		c.wantOpen("/")
	})
	t.Run("the body is not the request's any more", func(t *testing.T) {
		c := dial(t, startFunc(t, func(r *server.HTTPRequest) {
			conn, rw, err := r.Hijack()
			must(t, err)
			if b, err := r.Body(); len(b) != 0 || !errors.Is(err, server.ErrHijacked) {
				t.Errorf("Body() = %q, %v", b, err)
			}
			b := make([]byte, 4)
			_, err = io.ReadFull(rw, b)
			must(t, err)
			_, _ = conn.Write(b)
			_ = conn.Close()
		}))
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
		c.send("cd")
		c.wantLineEOF("abcd")
	})
}

// wantLineEOF reads what is left.
func (c *conversation) wantLineEOF(want string) {
	c.t.Helper()
	if got, err := io.ReadAll(c.r); string(got) != want || err != nil {
		c.t.Fatalf("%q, %v, want %q", got, err, want)
	}
}

func TestFileServer(t *testing.T) {
	folder := t.TempDir()
	big := strings.Repeat("0123456789", 100_000)
	must(t, os.WriteFile(folder+"/big.txt", []byte(big), 0o600))
	must(t, os.WriteFile(folder+"/index.html", []byte("<html>index"), 0o600))
	addr := startHTTP(t, http.FileServer(http.Dir(folder)))
	c := dial(t, addr)
	c.get("/")
	c.wantAnswer(200, "<html>index")
	c.get("/big.txt")
	a := c.wantAnswer(200, big)
	wantHeader(t, a.Header, "Content-Length=1000000 Content-Type=text/plain;charset=utf-8 Accept-Ranges=bytes")
	c.send("GET /big.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=500000-500009\r\n\r\n")
	c.wantAnswer(206, "0123456789")
	c.send("GET /big.txt HTTP/1.1\r\nHost: h\r\nIf-Modified-Since: %s\r\n\r\n", a.Header.Get("Last-Modified"))
	c.wantAnswer(304, "")
	c.get("/index.html")
	wantHeader(t, c.wantStatus(301).Header, "Location=./")
	c.get("/none")
	c.wantStatus(404)
	c.get("/../../etc/passwd")
	c.wantStatus(404)
}

func TestTimeoutHandler(t *testing.T) {
	release := make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/fast" {
			w.Header().Set("X-Inner", "1")
			_, _ = io.WriteString(w, "fast")
			return
		}
		<-q.Context().Done()
		<-release
		if _, err := io.WriteString(w, "late"); !errors.Is(err, http.ErrHandlerTimeout) {
			t.Errorf("late write: %v", err)
		}
		_, _ = io.ReadAll(q.Body)
		release <- struct{}{}
	})
	mux := http.NewServeMux()
	mux.Handle("/slow", http.TimeoutHandler(slow, soon, "too slow"))
	mux.Handle("/fast", http.TimeoutHandler(slow, patience, "too slow")) // also where nothing is fast
	c := dial(t, startHTTP(t, mux))
	c.get("/fast")
	wantHeader(t, c.wantAnswer(200, "fast").Header, "X-Inner=1")
	c.send("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody")
	c.wantAnswer(503, "too slow")
	c.get("/fast")
	release <- struct{}{}
	<-release
	c.wantAnswer(200, "fast")
}

func TestReverseProxy(t *testing.T) {
	breakOff := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/echo":
			w.Header().Set("X-Upstream", q.Header.Get("X-Forwarded-For"))
			w.Header().Set("Trailer", "X-Sum")
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.Copy(w, q.Body)
			w.Header().Set("X-Sum", "1")
		case "/early":
			w.Header().Set("Link", "</a>")
			w.WriteHeader(103)
			_, _ = io.WriteString(w, "final")
		case "/broken":
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			<-breakOff
			panic(http.ErrAbortHandler)
		case "/upgrade":
			conn, rw, err := http.NewResponseController(w).Hijack()
			must(t, err)
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
			_ = rw.Flush()
			line, _ := rw.ReadString('\n')
			_, _ = rw.WriteString("got " + line)
			_ = rw.Flush()
			_ = conn.Close()
		}
	}))
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	proxy := &httputil.ReverseProxy{
		ErrorLog:  log.New(io.Discard, "", 0),
		Transport: transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.SetXForwarded()
		},
	}
	addr := startHTTP(t, proxy)
	c := dial(t, addr)
	for _, size := range []int{0, 10, 100_000} {
		body := strings.Repeat("x", size)
		sent := c.sending("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", size, body)
		a := c.wantAnswer(200, body)
		must(t, <-sent)
		if a.Header.Get("X-Upstream") != "127.0.0.1" || a.Trailer.Get("X-Sum") != "1" {
			t.Errorf("header %v, trailer %v", a.Header, a.Trailer)
		}
	}
	c.get("/early")
	c.wantLine("HTTP/1.1 103 Early Hints")
	c.wantLine("Link: </a>")
	c.wantLine("")
	c.wantAnswer(200, "final")

	c.get("/broken")
	c.wantLine("HTTP/1.1 200 OK")
	close(breakOff)
	c.wantReset("the upstream body broke off")

	c = dial(t, addr)
	c.send("GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	c.wantStatusLine("HTTP/1.1 101 Switching Protocols")
	c.send("hello\n")
	c.wantLine("got hello")
}

// wantStatusLine reads a whole head.
func (c *conversation) wantStatusLine(want string) {
	c.t.Helper()
	c.wantLine(want)
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if line == "\r\n" {
			return
		}
	}
}
