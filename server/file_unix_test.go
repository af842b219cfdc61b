// SPDX-License-Identifier: MIT

//go:build unix

package server_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pleat-go/pleat/server"
)

// Opening a FIFO waits for a writer, perhaps for ever.
func TestSendFileDoesNotOpenFIFOs(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	ask(t, &server.HTTPServer{}, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", func(r *server.HTTPRequest) {
		if err := r.SendFile(fifo, server.FileOptions{}); server.StatusOf(err) != 404 {
			t.Errorf("SendFile of a FIFO: %v", err)
		}
	})
}
