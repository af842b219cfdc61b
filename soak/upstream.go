// SPDX-License-Identifier: MIT

package main

import (
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// upstream is what the server under test calls: net/http's server, in the process of
// the load.
type upstream struct {
	srv  *http.Server
	url  string
	fail func(error)

	mu       sync.Mutex
	expected map[string]chan struct{} // by the nonce of calls that are to hang; guarded by mu
}

func startUpstream(fail func(error)) (*upstream, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{url: "http://" + l.Addr().String(), fail: fail, expected: map[string]chan struct{}{}}
	mux := &http.ServeMux{}
	mux.HandleFunc("GET /text/{size}", u.text)
	mux.HandleFunc("GET /hang", u.hang)
	u.srv = &http.Server{Handler: mux}
	go func() { _ = u.srv.Serve(l) }()
	return u, nil
}

// text answers with octets that belong to the nonce of the request that the call is
// made for, which the client sends along as its id.
func (u *upstream) text(w http.ResponseWriter, q *http.Request) {
	size, err := strconv.ParseInt(q.PathValue("size"), 10, 64)
	nonce := q.Header.Get("X-Request-Id")
	if _, _, ok := parseNonce(nonce); !ok || err != nil {
		u.fail(wrong(nonce, "upstream", "the upstream was called with %s and the id %q", q.URL, nonce))
	}
	_, _ = w.Write(bodyFor("upstream "+nonce, size))
}

// expect gives a channel that is closed when the call for a nonce has come.
func (u *upstream) expect(nonce string) <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	c := make(chan struct{})
	u.expected[nonce] = c
	return c
}

// hang waits for the end of the call: whoever made it has to give it up.
func (u *upstream) hang(_ http.ResponseWriter, q *http.Request) {
	nonce := q.Header.Get("X-Request-Id")
	u.mu.Lock()
	called := u.expected[nonce]
	delete(u.expected, nonce)
	u.mu.Unlock()
	if called == nil {
		u.fail(wrong(nonce, "upstream", "a call was made that nobody expects"))
		return
	}
	close(called)
	select {
	case <-q.Context().Done():
	case <-time.After(answerTime):
		u.fail(wrong(nonce, "upstream", "a call goes on %v after the client it is for has gone", answerTime))
	}
}

func (u *upstream) stop() { _ = u.srv.Close() }
