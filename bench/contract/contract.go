// SPDX-License-Identifier: MIT

// Package contract is what all benchmark servers have in common: their flags,
// the routes they answer, the values in the answers, and a check of all that
// over real connections. What a framework has means for, its server uses those;
// only what every server has to do in the same way is done here.
//
// The routes, each answered the idiomatic way of the framework:
//
//	GET       /hello          "Hello, World!" as text, with Date and Server
//	GET       /json           a Message as JSON, encoded from the struct
//	GET       /app/users/:id  behind the stack below: a Profile as JSON
//	POST      /app/users      behind the stack below: a NewUser from JSON,
//	                          checked, 201 with the User; 400 or 422 with JSON
//	GET       /slow?ms=5      sleeps that long, then text; 400 for no number
//	GET       /upstream       a Message decoded from the JSON at -upstream, as
//	                          JSON; 502 if that fails
//	GET       /file           a file of FileSize octets
//	GET, HEAD /ok             "ok"
//	POST      /echo           the body, with its length and Content-Type
//	GET, POST /len            the number of octets in the body, as text
//	else                      404, or 405
//
// The stack: recover, request id, access log (LogRequest, or the framework's own
// with the same fields), the client's address from X-Forwarded-For with
// TrustedProxy trusted, and the Session from a signed cookie.
package contract

import "time"

// Hello is the text of /hello.
const Hello = "Hello, World!"

// TextPlain is the Content-Type of text.
const TextPlain = "text/plain; charset=utf-8"

// The limits of all servers, as far as their frameworks can be told.
const (
	MaxBody       = 10 << 20 // octets of a body
	MaxHeader     = 64 << 10 // octets of a request head
	HeaderTimeout = 10 * time.Second
	IdleTimeout   = 120 * time.Second
)

// TrustedProxy is the network whose X-Forwarded-For is believed.
const TrustedProxy = "127.0.0.0/8"

// Message is the JSON of /json and /upstream.
type Message struct {
	Message string `json:"message"`
}

// Profile is the JSON of /app/users/:id.
type Profile struct {
	ID     string `json:"id"`     // from the path
	User   string `json:"user"`   // of the session, "" without one
	Client string `json:"client"` // the address of the client
}

// Failure is the JSON of an error, for frameworks without one of their own.
type Failure struct {
	Error string `json:"error"`
}
