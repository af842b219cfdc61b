// SPDX-License-Identifier: MIT

package server_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

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
