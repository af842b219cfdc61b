// SPDX-License-Identifier: MIT

package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

func TestHTTP2ContextEnds(t *testing.T) {
	t.Parallel()
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		causes, entered := make(chan error, 1), make(chan *server.HTTPRequest, 1)
		type key struct{}
		s := &server.HTTPServer{
			BaseContext: func(net.Listener) context.Context { return context.WithValue(context.Background(), key{}, "base") },
			Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				if r.Path() == "/drain" {
					r.EndOnDrain()
				}
				if r.Context().Value(key{}) != "base" {
					t.Error("not the server's base context")
				}
				entered <- r
				if r.Path() == "/" {
					return
				}
				<-r.Context().Done()
				causes <- context.Cause(r.Context())
			}),
		}
		client, url := start(s)
		fetch(t, client, newRequest(t, "GET", url+"/", nil))
		if r := <-entered; !settles(func() bool { return errors.Is(context.Cause(r.Context()), server.ErrRequestDone) }) {
			t.Errorf("after the handler the cause is %v", context.Cause(r.Context()))
		} else if err := r.SetReadDeadline(time.Now()); !errors.Is(err, server.ErrRequestDone) {
			t.Errorf("after the handler SetReadDeadline is %v", err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan struct{})
		q := newRequest(t, "GET", url+"/reset", nil).WithContext(ctx)
		go func() {
			defer close(failed)
			if res, err := client.Do(q); err == nil {
				_ = res.Body.Close()
				t.Error("a request that was given up was answered")
			}
		}()
		<-entered
		cancel() // RST_STREAM
		if cause := <-causes; !errors.Is(cause, server.ErrClientGone) {
			t.Errorf("after RST_STREAM the cause is %v", cause)
		}
		<-failed

		done := fetching(t, client, newRequest(t, "GET", url+"/drain", nil))
		<-entered
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if cause := <-causes; !errors.Is(cause, server.ErrServerDraining) {
			t.Errorf("while draining the cause is %v", cause)
		}
		if a := <-done; a.StatusCode != 200 {
			t.Errorf("the draining server answered %d", a.StatusCode)
		}
	})
}

func TestHTTP2ClientGone(t *testing.T) {
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		causes, entered := make(chan error, 1), make(chan struct{})
		client, url := start(&server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			close(entered)
			<-r.Context().Done()
			causes <- context.Cause(r.Context())
		})})
		var conn net.Conn
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { conn = info.Conn }}
		q := newRequest(t, "GET", url, nil)
		q = q.WithContext(httptrace.WithClientTrace(q.Context(), trace))
		done := make(chan struct{})
		go func() {
			defer close(done)
			if res, err := client.Do(q); err == nil {
				_ = res.Body.Close()
			}
		}()
		<-entered
		_ = conn.Close()
		if cause := <-causes; !errors.Is(cause, server.ErrClientGone) {
			t.Errorf("the cause is %v", cause)
		}
		<-done
	})
}

// Shutdown waits for requests over HTTP/2, and cuts them when its patience is over.
func TestHTTP2Shutdown(t *testing.T) {
	t.Parallel()
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		t.Run("patient", func(t *testing.T) {
			t.Parallel()
			entered, release := make(chan struct{}), make(chan struct{})
			s := &server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				if r.Path() == "/slow" {
					close(entered)
					<-release
					if r.Context().Err() != nil {
						t.Error("the context ended while Shutdown had patience")
					}
				}
				ok(r)
			})}
			client, url := start(s)
			fetch(t, client, newRequest(t, "GET", url, nil))
			done := fetching(t, client, newRequest(t, "GET", url+"/slow", nil))
			<-entered
			ended := make(chan error, 1)
			go func() { ended <- s.Shutdown(t.Context()) }()
			select {
			case err := <-ended:
				t.Fatalf("Shutdown did not wait: %v", err)
			case <-time.After(400 * time.Millisecond):
			}
			close(release)
			if a := <-done; a.body != "ok" {
				t.Errorf("answer %q", a.body)
			}
			if err := <-ended; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		t.Run("idle", func(t *testing.T) {
			t.Parallel()
			s := &server.HTTPServer{Handler: server.HandlerFunc(ok)}
			client, url := start(s)
			fetch(t, client, newRequest(t, "GET", url, nil))
			if err := s.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			if _, err := client.Do(newRequest(t, "GET", url, nil)); err == nil {
				t.Error("answered after Shutdown")
			}
		})
		t.Run("impatient", func(t *testing.T) {
			t.Parallel()
			causes, entered, release := make(chan error, 1), make(chan struct{}), make(chan struct{})
			s := &server.HTTPServer{ShutdownGrace: -1, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
				close(entered)
				<-r.Context().Done()
				causes <- context.Cause(r.Context())
				<-release
			})}
			client, url := start(s)
			done := make(chan error, 1)
			q := newRequest(t, "GET", url, nil)
			go func() {
				res, err := client.Do(q)
				if err == nil {
					_ = res.Body.Close()
				}
				done <- err
			}()
			<-entered
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err := s.Shutdown(ctx)
			var cut *server.CutError
			if !errors.As(err, &cut) || !errors.Is(err, context.DeadlineExceeded) || cut.Connections != 1 || len(cut.Requests) != 1 || cut.Requests[0].Method != "GET" {
				t.Errorf("Shutdown: %v", err)
			}
			if cause := <-causes; !errors.Is(cause, server.ErrServerDraining) {
				t.Errorf("the cause is %v", cause)
			}
			if err := <-done; err == nil {
				t.Error("what was cut looks whole")
			}
			close(release)
		})
	})
}

func TestHTTP2Endings(t *testing.T) {
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		finished := make(chan int, 1)
		client, url := start(&server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			r.OnFinish(func() { finished <- r.Status() })
			switch r.Path() {
			case "/panic":
				_ = r.SetHeader("X-Kept", "1")
				_, _ = r.WriteString("half")
				panic("mine")
			case "/late":
				_, _ = r.WriteString("half")
				_ = r.Flush()
				panic("mine")
			case "/abort":
				_, _ = r.WriteString("half")
				_ = r.Flush()
				panic(http.ErrAbortHandler)
			case "/short":
				_ = r.SetHeader("Content-Length", "10")
				_, _ = r.WriteString("half")
				_ = r.Flush()
			}
		})})
		a := fetch(t, client, newRequest(t, "GET", url+"/panic", nil))
		if a.StatusCode != 500 || strings.Contains(a.body, "mine") || a.Header.Get("X-Kept") != "1" {
			t.Errorf("a panic is answered %d %q %v", a.StatusCode, a.body, a.Header)
		}
		if status := <-finished; status != 500 {
			t.Errorf("finished with %d", status)
		}
		for _, path := range []string{"/late", "/abort", "/short"} {
			res, err := client.Do(newRequest(t, "GET", url+path, nil))
			if err == nil {
				_, err = io.ReadAll(res.Body)
				_ = res.Body.Close()
			}
			if err == nil {
				t.Errorf("%s: half an answer looks whole", path)
			}
			<-finished
		}
		if a := fetch(t, client, newRequest(t, "GET", url, nil)); a.StatusCode != 200 {
			t.Errorf("after all that: %d", a.StatusCode)
		}
		<-finished
	})
}

// together is a connection whose writes can be kept until they leave in one piece.
type together struct {
	net.Conn
	mu      sync.Mutex
	keeping bool   // guarded by mu
	kept    []byte // guarded by mu
}

func (c *together) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.keeping {
		return c.Conn.Write(p)
	}
	c.kept = append(c.kept, p...)
	return len(p), nil
}

func (c *together) keep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keeping = true
}

func (c *together) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.Conn.Write(c.kept)
	c.keeping, c.kept = false, nil
}

// A connection that was accepted before the end and shakes hands long after it has
// begun is served like any other. Its request comes with the end of the handshake:
// after a moment without one it would be let go.
func TestHTTP2HandshakeWhileDraining(t *testing.T) {
	t.Parallel()
	_, pool, certFile, keyFile := certificate(t)
	shaking, goOn := make(chan struct{}), make(chan struct{})
	s := &server.HTTPServer{Handler: server.HandlerFunc(ok), TLSConfig: &tls.Config{}}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	must(t, err)
	s.TLSConfig.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		close(shaking)
		<-goOn
		return &pair, nil
	}
	addr := startTLS(t, s, "", "")
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn := &together{Conn: raw}
	transport := http2Only(t, &tls.Config{RootCAs: pool, ServerName: "localhost"})
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	q := newRequest(t, "GET", "https://"+addr, nil)
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { conn.release() }}
	q = q.WithContext(httptrace.WithClientTrace(q.Context(), trace))
	done := fetching(t, &http.Client{Transport: transport}, q)
	<-shaking
	conn.keep()
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(t.Context()) }()
	time.Sleep(600 * time.Millisecond) // longer than the moment that idle connections have
	close(goOn)
	if a := <-done; a.body != "ok" || a.ProtoMajor != 2 {
		t.Errorf("answer %q by %s", a.body, a.Proto)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
