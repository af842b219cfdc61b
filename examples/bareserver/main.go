// SPDX-License-Identifier: MIT

// Command bareserver answers every request with "Hello, World!", with package
// server alone: no router, no middleware, no app. It is what Pants began with:
//
//	def handler(request):
//	    request.send_response("Hello World!")
//
//	HTTPServer(handler).listen(8080)
package main

import (
	"flag"
	"log"

	"github.com/pleat-go/pleat/server"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on: host:port, a port, or the path of a Unix socket")
	flag.Parse()
	log.Printf("try: curl -i http://%s/", *addr)
	log.Fatal(newServer().ListenAndServe(*addr))
}

// newServer makes the server. All its fields but Handler have defaults: limits,
// timeouts, how many connections it takes.
func newServer() *server.HTTPServer {
	return &server.HTTPServer{Handler: server.HandlerFunc(hello)}
}

// hello answers one request. Status, type and body are all there is to say; the
// length and the rest of the header are the server's business.
func hello(r *server.HTTPRequest) {
	// The only error here is a client that has gone, and it needs no answer.
	_ = r.SendString(200, "text/plain; charset=utf-8", "Hello, World!\n")
}
