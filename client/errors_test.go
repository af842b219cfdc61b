// SPDX-License-Identifier: MIT

package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/pleat-go/pleat/client"
)

func TestErrorText(t *testing.T) {
	c := client.HTTPClient{Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
		switch q.URL.Path {
		case "/fail":
			return nil, errors.New("no route")
		case "/to":
			return answer(q, 302, "", "Location", "http://u:hunter2@other/x?hunter2#hunter2"), nil
		case "/x":
			return answer(q, 302, "", "Location", "/x"), nil
		}
		if q.Method == "DELETE" {
			return answer(q, 404, "0123456789"), nil
		}
		return answer(q, 200, "0123456789"), nil
	})}
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"transport", second(c.Get("http://u:hunter2@h/fail?hunter2#hunter2").Do()), "client: GET http://h/fail?…: exchange: no route"},
		{"URL", second(c.Get("http://u:hunter2@h:0/").Do()), "client: GET preparing request: invalid URL: bad port"},
		{"status", second(c.Delete("http://h/").Bytes()), "client: DELETE http://h/: exchange: unexpected status 404 Not Found"},
		{"limit", second(c.Get("http://h/", client.WithMaxBody(9)).Bytes()), "client: GET http://h/: reading body: response body exceeds 9"},
		{"redirect", second(c.Get("http://h/to").Do()), "client: GET http://other/x: redirect: redirect loop after 2 hops (to http://other/x)"},
		{"panic", second(c.Get("http://h/").Handle(func(*client.HTTPResponse, error) { panic("x") }).Do()), "client: GET http://h/: handler: panic: x"},
		{"configuration", (&client.HTTPClient{BaseURL: "x"}).Validate(), "client: preparing request: invalid client configuration: field BaseURL: invalid URL: not absolute"},
	} {
		if got := fmt.Sprint(tt.err); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if strings.Contains(fmt.Sprintf("%+v", tt.err), "hunter2") {
			t.Errorf("%s: a secret in %+v", tt.name, tt.err)
		}
	}
}

func TestErrorTimeout(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{context.DeadlineExceeded, true},
		{fmt.Errorf("reading: %w", os.ErrDeadlineExceeded), true},
		{context.Canceled, false},
		{errors.New("no"), false},
	} {
		if got := (&client.Error{Err: tt.err}).Timeout(); got != tt.want {
			t.Errorf("%v: Timeout() = %v", tt.err, got)
		}
	}
}
