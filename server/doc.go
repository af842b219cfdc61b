// SPDX-License-Identifier: MIT

// Package server is pleat's HTTP core: it turns octets from a socket into
// requests and answers back into octets. It knows nothing of routes, middleware
// or templates, and it can be used alone:
//
//	srv := &server.HTTPServer{
//		Handler: server.HandlerFunc(func(r *server.HTTPRequest) {
//			r.SendString(200, "text/plain; charset=utf-8", "Hello, World!\n")
//		}),
//	}
//	err := srv.ListenAndServe("127.0.0.1:8080")
//
// # The way of the data
//
//	engine ──octets──► HTTPConnection ──► *HTTPRequest ──► Handler
//	engine ◄──octets── HTTPConnection ◄── exchange (response under construction) ◄── answering calls
//
// An engine owns sockets and nothing else: it moves octets into and out of an
// [HTTPConnection] and says when time is up. The HTTPConnection owns the
// protocol and does no I/O of its own: it is given octets, hands out requests,
// and leaves octets to be written; where a handler must wait for its peer, it
// calls back into the engine. The [HTTPRequest] is what a [Handler] sees.
//
// # What is given out never changes
//
// A request, its strings and its byte slices belong to the handler that got
// them, for ever. They are never reused for another request, so a goroutine may
// keep them after the handler returned. What has ended is the right to answer:
// from then on every answering call returns [ErrRequestDone] and reaches nobody.
// The buffers that are pooled are those that no handler ever sees.
//
// # Strictness
//
// The reader follows RFC 9110 and RFC 9112 and takes the safe choice wherever
// they leave one. A message that could be read in two ways is refused and the
// connection closed, so that a proxy in front and this server can never
// disagree about where a request ends. Header values with CR, LF or NUL are
// refused where they are set, with [ErrInvalidHeader].
package server
