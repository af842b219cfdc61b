// SPDX-License-Identifier: MIT

package client_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pleat-go/pleat/client"
)

// seen is a request that reached /land or /loop.
type seen struct {
	Server, Method string
	Body           string
	Header         http.Header
	Host           string
}

// rig is two plain servers and a TLS one with the same routes: /land records and answers "landed"; /to?s=status&l=location
// redirects; /loop records and redirects to itself.
type rig struct {
	A, B, S string // base addresses, all on 127.0.0.1
	Other   string // B under another host name
	roots   *x509.CertPool

	mu   sync.Mutex
	seen []seen
	hits map[string]int // requests of any kind by server
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{roots: x509.NewCertPool(), hits: make(map[string]int)}
	start := func(name string, secure bool) string {
		srv := httptest.NewUnstartedServer(r.routes(name))
		srv.Config.ErrorLog = quiet
		if secure {
			srv.StartTLS()
			r.roots.AddCert(srv.Certificate())
		} else {
			srv.Start()
		}
		t.Cleanup(srv.Close)
		return srv.URL
	}
	r.A, r.B, r.S = start("A", false), start("B", false), start("S", true)
	r.Other = strings.Replace(r.B, "127.0.0.1", "localhost", 1)
	return r
}

func (r *rig) routes(name string) http.Handler {
	record := func(q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen = append(r.seen, seen{name, q.Method, string(b), q.Header.Clone(), q.Host})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/land", func(w http.ResponseWriter, q *http.Request) {
		record(q)
		io.WriteString(w, "landed")
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, q *http.Request) {
		record(q)
		w.Header().Set("Location", "/loop")
		w.WriteHeader(http.StatusFound)
		io.WriteString(w, "again")
	})
	mux.HandleFunc("/to", func(w http.ResponseWriter, q *http.Request) {
		io.Copy(io.Discard, q.Body)
		status, err := strconv.Atoi(q.FormValue("s"))
		if err != nil {
			status = http.StatusFound
		}
		if l := q.URL.Query()["l"]; len(l) > 0 && l[0] != "" {
			w.Header()["Location"] = l
		}
		if c := q.FormValue("c"); c != "" {
			w.Header().Set("Set-Cookie", c)
		}
		w.WriteHeader(status)
		io.WriteString(w, "moved")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		r.hits[name]++
		r.mu.Unlock()
		mux.ServeHTTP(w, q)
	})
}

// to is the path of a redirect to location.
func to(status int, location string) string {
	return fmt.Sprintf("/to?s=%d&l=%s", status, url.QueryEscape(location))
}

// landed returns the only request recorded since the last call of landed.
func (r *rig) landed(t *testing.T) seen {
	t.Helper()
	all := r.recorded()
	if len(all) != 1 {
		t.Fatalf("%d requests landed, want 1: %+v", len(all), all)
	}
	return all[0]
}

func (r *rig) recorded() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.seen
	r.seen = nil
	return all
}

func (r *rig) hitCount(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hits[name]
}

// client returns c, set up to trust the rig's TLS server, with its connections closed after the test.
func (r *rig) client(t *testing.T, c *client.HTTPClient) *client.HTTPClient {
	t.Helper()
	if c == nil {
		c = &client.HTTPClient{}
	}
	c.TLSConfig = &tls.Config{RootCAs: r.roots}
	return tidy(t, c)
}

// tidy closes the connections of c after the test.
func tidy(t testing.TB, c *client.HTTPClient) *client.HTTPClient {
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// rawServer answers each connection with what answer writes after one request has been read, and closes.
func rawServer(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	return connServer(t, func(c net.Conn) {
		q, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		io.Copy(io.Discard, q.Body)
		answer(c)
	})
}

// connServer has serve do what it likes with each connection, and closes it.
func connServer(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	t.Cleanup(func() { l.Close(); conns.Wait() })
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	return "http://" + l.Addr().String() + "/"
}

// roundTrip is a transport made of a function: for hosts that a test cannot resolve.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Body != nil {
		defer q.Body.Close()
	}
	if err := q.Context().Err(); err != nil {
		return nil, err
	}
	return f(q)
}

// answer builds a response for roundTrip.
func answer(q *http.Request, status int, body string, header ...string) *http.Response {
	res := &http.Response{
		StatusCode: status, Status: strconv.Itoa(status) + " " + http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: q,
	}
	for i := 0; i < len(header); i += 2 {
		res.Header.Add(header[i], header[i+1])
	}
	return res
}
