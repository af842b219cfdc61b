// SPDX-License-Identifier: MIT

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/pleat-go/pleat/client"
)

// upstream is a server to call in the examples.
func upstream() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/users/{id}", func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":%s,"name":"Ada"}`, q.PathValue("id"))
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, q *http.Request) {
		b, _ := io.ReadAll(q.Body)
		fmt.Fprintf(w, "%s %s: %s", q.Method, q.Header.Get("Content-Type"), b)
	})
	mux.HandleFunc("/old", func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, "/users/7", http.StatusMovedPermanently)
	})
	mux.HandleFunc("/id", func(w http.ResponseWriter, q *http.Request) { io.WriteString(w, q.Header.Get("X-Request-Id")) })
	mux.HandleFunc("/log", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "one\ntwo\n") })
	return httptest.NewServer(mux)
}

func Example() {
	srv := upstream()
	defer srv.Close()

	var c client.HTTPClient
	defer c.CloseIdleConnections()

	var user struct{ Name string }
	if err := c.Get(srv.URL + "/users/7").JSON(&user); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(user.Name)
	// Output: Ada
}

func ExampleClientHelper_Fetch() {
	srv := upstream()
	defer srv.Close()
	c := client.HTTPClient{BaseURL: srv.URL}
	defer c.CloseIdleConnections()

	responses, err := c.Get("/users/1").Get("/users/2").Get("/nobody").Fetch()
	for _, r := range responses {
		text, _ := r.Text()
		fmt.Println(r.Status, strings.TrimSpace(text))
	}
	fmt.Println(err)
	// Output:
	// 200 {"id":1,"name":"Ada"}
	// 200 {"id":2,"name":"Ada"}
	// 404 404 page not found
	// <nil>
}

func ExampleClientHelper_Do() {
	srv := upstream()
	defer srv.Close()
	var c client.HTTPClient
	defer c.CloseIdleConnections()

	r, err := c.Get(srv.URL + "/old").Do()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	fmt.Println(r.Status, r.URL.Path)
	for _, hop := range r.History {
		fmt.Println("by way of", hop.Status, hop.URL.Path)
	}
	// Output:
	// 200 /users/7
	// by way of 301 /old
}

func ExampleClientHelper_Handle() {
	srv := upstream()
	defer srv.Close()
	c := client.HTTPClient{BaseURL: srv.URL}
	defer c.CloseIdleConnections()

	c.Get("/log").Handle(func(r *client.HTTPResponse, err error) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for line := range r.Lines() {
			fmt.Println(line)
		}
	})
	// Output:
	// one
	// two
}

func ExampleWithForm() {
	srv := upstream()
	defer srv.Close()
	c := client.HTTPClient{BaseURL: srv.URL}
	defer c.CloseIdleConnections()

	text, err := c.Post("/echo", client.WithForm(url.Values{"q": {"so it goes"}})).Text()
	fmt.Println(text, err)
	// Output: POST application/x-www-form-urlencoded: q=so+it+goes <nil>
}

// A client bound to an inbound request carries its id to the origins that may have it, and ends with it.
func ExampleHTTPClient_Bind() {
	srv := upstream()
	defer srv.Close()
	base := client.HTTPClient{BaseURL: srv.URL}
	defer base.CloseIdleConnections()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	c := base.Bind(client.Binding{
		Context: ctx, RequestID: "r-1",
		OnDone: func(s client.Stats) { fmt.Println(s.Method, s.Status, s.Bytes) },
	})
	text, err := c.Get("/id").Text()
	fmt.Println(text, err)

	cancel()
	_, err = c.Get("/id").Text()
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// GET 200 3
	// r-1 <nil>
	// GET 0 0
	// true
}

// PublicOnly is for addresses that users supply: nothing inside can be reached, whatever a name resolves to.
func ExampleHTTPClient_publicOnly() {
	srv := upstream()
	defer srv.Close()

	port := srv.Listener.Addr().(*net.TCPAddr).AddrPort().Port()
	c := client.HTTPClient{PublicOnly: true, AllowPorts: []uint16{port}}
	_, err := c.Get(srv.URL + "/users/1").Do()
	fmt.Println(errors.Is(err, client.ErrForbiddenAddress))
	// Output: true
}
