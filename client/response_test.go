// SPDX-License-Identifier: MIT

package client_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pleat-go/pleat/client"
)

func TestResponseFields(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "short and stout")
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", "42")
	}))
	t.Cleanup(srv.Close)
	c := tidy(t, &client.HTTPClient{})
	r, err := c.Get(srv.URL + "/pot?x=1").Do()
	if err != nil {
		t.Fatal(err)
	}
	if r.Client != c || r.HTTPVersion != "HTTP/1.1" || r.Status != 418 || r.StatusText != "I'm a teapot" || r.OK() {
		t.Errorf("%+v", r)
	}
	if r.Request.Method != "GET" || r.URL.String() != srv.URL+"/pot?x=1" || r.Request.URL != r.URL || r.Attempts != 1 || r.History != nil {
		t.Errorf("%+v", r)
	}
	if cs := r.Cookies(); len(cs) != 1 || cs[0].Value != "1" {
		t.Errorf("cookies %v", cs)
	}
	if s, err := r.Text(); err != nil || s != "short and stout" {
		t.Errorf("%q, %v", s, err)
	}
	if r.Trailer.Get("X-Sum") != "42" {
		t.Errorf("trailer %v", r.Trailer)
	}
}

func TestStatusText(t *testing.T) {
	for line, want := range map[string]string{"200 OK": "OK", "200 All is well": "All is well", "200 ": "", "200": ""} {
		url := rawServer(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 "+line+"\r\nContent-Length: 0\r\n\r\n") })
		r, err := tidy(t, &client.HTTPClient{}).Get(url).Do()
		if err != nil || r.StatusText != want {
			t.Errorf("%q: %+v, %v", line, r, err)
			continue
		}
		r.Close()
	}
}

// TestBodyUse goes through the orders in which a body can be read, closed and asked for.
func TestBodyUse(t *testing.T) {
	do := func(t *testing.T) *client.HTTPResponse {
		t.Helper()
		c := client.HTTPClient{Transport: roundTrip(func(q *http.Request) (*http.Response, error) { return answer(q, 200, "0123456789"), nil })}
		r, err := c.Get("http://h/").Do()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	part := make([]byte, 4)
	t.Run("Bytes twice", func(t *testing.T) {
		r := do(t)
		a, err1 := r.Bytes()
		b, err2 := r.Bytes()
		if err1 != nil || err2 != nil || string(a) != "0123456789" || &a[0] != &b[0] {
			t.Errorf("%q %v, %q %v", a, err1, b, err2)
		}
	})
	t.Run("Bytes, Close, Body", func(t *testing.T) {
		r := do(t)
		r.Bytes()
		r.Close()
		r.Close()
		for range 2 {
			if b, err := io.ReadAll(r.Body()); err != nil || string(b) != "0123456789" {
				t.Errorf("%q, %v", b, err)
			}
		}
	})
	t.Run("Body in parts", func(t *testing.T) {
		r := do(t)
		io.ReadFull(r.Body(), part)
		if b, err := io.ReadAll(r.Body()); err != nil || string(b) != "456789" {
			t.Errorf("%q, %v", b, err)
		}
		if n, err := r.Body().Read(part); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d, %v", n, err)
		}
		if _, err := r.Bytes(); !errors.Is(err, client.ErrBodyRead) {
			t.Errorf("Bytes: %v", err)
		}
	})
	t.Run("Bytes after a part", func(t *testing.T) {
		r := do(t)
		io.ReadFull(r.Body(), part)
		for range 2 {
			if b, err := r.Bytes(); !errors.Is(err, client.ErrBodyRead) || b != nil {
				t.Errorf("%q, %v", b, err)
			}
		}
		if b, err := io.ReadAll(r.Body()); err != nil || string(b) != "456789" {
			t.Errorf("the rest: %q, %v", b, err)
		}
	})
	t.Run("Close first", func(t *testing.T) {
		r := do(t)
		if err := errors.Join(r.Close(), r.Close(), r.Body().Close()); err != nil {
			t.Error(err)
		}
		if b, err := r.Bytes(); !errors.Is(err, client.ErrBodyClosed) || b != nil {
			t.Errorf("%q, %v", b, err)
		}
		if _, err := r.Text(); !errors.Is(err, client.ErrBodyClosed) {
			t.Errorf("Text: %v", err)
		}
		if err := r.JSON(new(any)); !errors.Is(err, client.ErrBodyClosed) {
			t.Errorf("JSON: %v", err)
		}
		for _, err := range r.Lines() {
			if !errors.Is(err, client.ErrBodyClosed) {
				t.Errorf("Lines: %v", err)
			}
		}
	})
	t.Run("Close in the middle", func(t *testing.T) {
		r := do(t)
		io.ReadFull(r.Body(), part)
		r.Close()
		if n, err := r.Body().Read(part); n != 0 || !errors.Is(err, client.ErrBodyClosed) {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("empty read", func(t *testing.T) {
		r := do(t)
		if n, err := r.Body().Read(nil); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		r.Close()
	})
	t.Run("zero response", func(t *testing.T) {
		var r client.HTTPResponse
		r.Close()
		if b, err := r.Bytes(); len(b) != 0 || err == nil && b == nil {
			t.Errorf("%q, %v", b, err)
		}
		var r2 client.HTTPResponse
		if s, err := r2.Text(); s != "" || err != nil {
			t.Errorf("%q, %v", s, err)
		}
	})
}

// TestCloseEndsBlockedRead closes a body from another goroutine while a read of it hangs.
func TestCloseEndsBlockedRead(t *testing.T) {
	for _, encoding := range []string{"", "Content-Encoding: gzip\r\n"} {
		gone := make(chan struct{})
		url := rawServer(t, func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n"+encoding+"Content-Length: 100000\r\n\r\n"+encode(t, "abc", "gzip")[:12])
			io.Copy(io.Discard, c)
			close(gone)
		})
		ended := make(chan client.Stats, 2)
		c := tidy(t, &client.HTTPClient{OnDone: func(s client.Stats) { ended <- s }})
		r, err := c.Get(url).Do()
		if err != nil {
			t.Fatal(err)
		}
		reading := make(chan struct{})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { <-reading; r.Close() })
		}
		_, err = io.Copy(io.Discard, &firstRead{r.Body(), reading, sync.Once{}})
		if !errors.Is(err, client.ErrBodyClosed) {
			t.Errorf("error %v, want ErrBodyClosed", err)
		}
		wg.Wait()
		<-gone
		<-ended
		if len(ended) != 0 {
			t.Error("the call ended twice")
		}
	}
}

// firstRead closes a channel when it is read from.
type firstRead struct {
	io.Reader
	began chan struct{}
	once  sync.Once
}

func (r *firstRead) Read(p []byte) (int, error) {
	r.once.Do(func() { close(r.began) })
	return r.Reader.Read(p)
}

// TestCloseReusesConnection checks that a small body left unread does not cost the connection, unless reading it off takes
// too long.
func TestCloseReusesConnection(t *testing.T) {
	var mu sync.Mutex
	peers := make(map[string]bool)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		peers[q.RemoteAddr] = true
		mu.Unlock()
		io.WriteString(w, strings.Repeat("x", 1000))
	}))
	t.Cleanup(srv.Close)
	for _, tt := range []struct {
		disable bool
		want    int
	}{{false, 1}, {true, 5}} {
		clear(peers)
		c := tidy(t, &client.HTTPClient{DisableKeepAlive: tt.disable})
		late := 0 // Close gives a body 50 ms, which the machine may take
		for range 5 {
			r, err := c.Get(srv.URL).Do()
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			r.Close()
			if time.Since(began) >= 50*time.Millisecond {
				late++
			}
		}
		if len(peers) < tt.want || len(peers) > tt.want+late {
			t.Errorf("DisableKeepAlive %v: %d connections, want %d, or up to %d more", tt.disable, len(peers), tt.want, late)
		}
	}
}

func TestHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/flood" {
			for range 100 {
				w.WriteHeader(http.StatusEarlyHints)
			}
		}
		io.WriteString(w, q.Proto)
	}))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = quiet
	srv.StartTLS()
	t.Cleanup(srv.Close)
	c := tidy(t, &client.HTTPClient{TLSConfig: srv.Client().Transport.(*http.Transport).TLSClientConfig})
	r, err := c.Get(srv.URL).Do()
	if err != nil {
		t.Fatal(err)
	}
	if s, err := r.Text(); err != nil || s != "HTTP/2.0" || r.HTTPVersion != "HTTP/2.0" || r.StatusText != "OK" {
		t.Errorf("%q, %v, %+v", s, err, r)
	}
	_, err = c.Get(srv.URL + "/flood").Do()
	wantLimit(t, err, "informational responses", 16)
	// A certificate that nobody vouches for.
	_, err = tidy(t, &client.HTTPClient{Retries: 3}).Get(srv.URL, client.WithTimeout(10*time.Second)).Do()
	var ce *client.Error
	if !errors.As(err, &ce) || ce.Phase != client.PhaseConnect || ce.Attempt != 1 {
		t.Errorf("untrusted certificate: %v", err)
	}
}

// TestOddTransport makes calls over transports that do not keep to the contract of http.RoundTripper.
func TestOddTransport(t *testing.T) {
	nothing := client.HTTPClient{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, nil })}
	if r, err := nothing.Get("http://h/").Do(); err == nil || r != nil {
		t.Errorf("neither response nor error: %v, %v", r, err)
	}
	for name, tt := range map[string]struct {
		res  http.Response
		want error
	}{
		"empty":     {http.Response{StatusCode: 200}, nil},
		"no length": {http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(strings.NewReader(""))}, nil},
		"too short": {http.Response{StatusCode: 200, ContentLength: 5, Body: io.NopCloser(strings.NewReader("abc"))}, io.ErrUnexpectedEOF},
		"too long":  {http.Response{StatusCode: 200, ContentLength: 2, Body: io.NopCloser(strings.NewReader("abc"))}, client.ErrMalformed},
	} {
		c := client.HTTPClient{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return &tt.res, nil })}
		if b, err := c.Get("http://h/").Bytes(); !errors.Is(err, tt.want) || err != nil && b != nil {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}
