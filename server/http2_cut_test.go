// SPDX-License-Identifier: MIT

package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pleat-go/pleat/server"
)

// A body whose stream the client resets is one that was cut short, as over HTTP/1:
// the client's fault, and none of the server's.
func TestHTTP2BodyCut(t *testing.T) {
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		got := make(chan error, 1)
		client, base := start(&server.HTTPServer{Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
			_, err := r.Body()
			got <- err
		})})
		body, cut := io.Pipe()
		go func() {
			_, _ = cut.Write([]byte("half of it"))
			_ = cut.CloseWithError(errors.New("no more"))
		}()
		if res, err := client.Do(newRequest(t, "POST", base+"/", body)); err == nil {
			_ = res.Body.Close()
			t.Error("the request went through")
		}
		if err := <-got; !errors.Is(err, io.ErrUnexpectedEOF) || server.StatusOf(err) != http.StatusBadRequest {
			t.Errorf("the handler reads %v, status %d", err, server.StatusOf(err))
		}
	})
}

// TestHTTP2CutAnswerIsLetGo cuts connections in the middle of answers: net/http holds
// on to what it is writing for as long as connections may idle.
func TestHTTP2CutAnswerIsLetGo(t *testing.T) {
	var answers, freed atomic.Int64
	client, url := startCleartext(t, &server.HTTPServer{IdleTimeout: time.Hour, Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
		answer := new([8 << 20]byte) // more than the sockets and the windows hold
		runtime.SetFinalizer(answer, func(*[8 << 20]byte) { freed.Add(1) })
		answers.Add(1)
		_ = r.SendResponse(http.StatusOK, "application/octet-stream", answer[:])
	})})
	conns := make(chan net.Conn, 100)
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			conns <- conn
		}
		return conn, err
	}
	const cut = 10
	for range cut {
		res, err := client.Do(newRequest(t, "GET", url, nil))
		if err != nil {
			t.Fatal(err)
		}
		for len(conns) > 0 {
			_ = (<-conns).Close()
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	if !settles(func() bool { return freed.Load() == answers.Load() }) || answers.Load() < cut {
		t.Errorf("of %d answers %d are held", answers.Load(), answers.Load()-freed.Load())
	}
}
