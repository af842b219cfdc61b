// SPDX-License-Identifier: MIT

package pleat

import "github.com/pleat-go/pleat/server"

// Trailer is the trailer section of the request, the fields behind a chunked body:
// empty until the body has been read to its end. They are what the client says, and
// no field of the header becomes another by them.
func (c *Context) Trailer() server.Header { return c.req.Trailer() }

// SetTrailer adds a field to be sent behind a streamed body: a checksum, or how the
// work ended. It takes effect where the protocol has trailers (chunked HTTP/1.1,
// HTTP/2), is dropped elsewhere, and may be dropped on the way. Names and values are
// checked as in SetHeader.
func (c *Context) SetTrailer(name, value string) error { return c.req.SetTrailer(name, value) }

// FullDuplex announces that the body of the request is going to be read while the
// answer is being written. On a connection of pleat's own that needs no announcement.
// Under net/http it does over HTTP/1.1: without it the first octets of the answer wait
// until the body has come. Call it before the first write. It fails where the server
// in between cannot do it.
//
// Many HTTP/1.1 clients do not read the answer before they have sent the whole body,
// and many proxies do not pass it on. A body that pauses for longer than
// server.HTTPServer.RateGrace and MinRate allow needs HTTPRequest.SetReadDeadline.
func (c *Context) FullDuplex() error { return c.req.FullDuplex() }
