// SPDX-License-Identifier: MIT

package server_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"testing"

	"github.com/pleat-go/pleat/server"
)

// formToItsEnd answers with a field of the trailer section behind a form.
func formToItsEnd(r *server.HTTPRequest) {
	if _, err := r.Files(); err != nil {
		_ = r.SendError(err)
		return
	}
	_ = r.SendString(200, "text/plain", r.Trailer().Get("Digest"))
}

// wantFormEnd sends a form with a trailer section that comes late, and then another
// on the same connection.
func wantFormEnd(t *testing.T, client *http.Client, base string) {
	t.Helper()
	for range 2 {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		file, err := w.CreateFormFile("file", "a.txt")
		must(t, err)
		_, err = file.Write([]byte("content"))
		must(t, err)
		must(t, w.Close())
		body, in := io.Pipe()
		q := newRequest(t, "POST", base+"/", body)
		q.Header.Set("Content-Type", w.FormDataContentType())
		q.Trailer = http.Header{"Digest": nil}
		go func() {
			_, _ = in.Write(form.Bytes())
			_, _ = in.Write([]byte("\r\nepilogue")) // taken when the form has been sent
			q.Trailer.Set("Digest", "of it")
			_ = in.Close()
		}()
		if a := fetch(t, client, q); a.StatusCode != 200 || a.body != "of it" {
			t.Errorf("the answer is %d %q", a.StatusCode, a.body)
		}
	}
}

// A multipart form ends before its body does: what comes behind is read all the
// same, so that there is a trailer section, and HTTP/2 goes on after it.
func TestFormToItsEnd(t *testing.T) {
	handler := server.HandlerFunc(formToItsEnd)
	overHTTP2(t, func(t *testing.T, start func(*server.HTTPServer) (*http.Client, string)) {
		client, base := start(&server.HTTPServer{Handler: handler})
		wantFormEnd(t, client, base)
	})
	t.Run("HTTP/1.1", func(t *testing.T) {
		addr := start(t, &server.HTTPServer{Handler: handler})
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		wantFormEnd(t, client, "http://"+addr)
	})
}
