// SPDX-License-Identifier: MIT

// Package client makes outbound HTTP calls.
//
// The zero [HTTPClient] works. A verb gives a [ClientHelper], a call that has not been made yet; options and further
// calls are chained onto it, and one of its endings makes it:
//
//	var c client.HTTPClient
//	var user User
//	err := c.Get("https://api.example.com/users/7", client.WithBearer(token)).JSON(&user)
//
//	r, err := c.Post(url, client.WithJSON(order)).Do() // *HTTPResponse, body not read yet
//	defer r.Close()
//
//	rs, err := c.Get(a).Get(b).Get(d).Fetch() // at once, bounded; answers in the order of the calls
//
// # What is always on
//
// A call has a total timeout (30 s), a limit on the header of the answer (64 KiB) and on its body (10 MiB, counted after
// decompression), and follows at most five redirects. Each is a field of [HTTPClient] and most have an option for a
// single call. A value cut off at a limit is never handed out as if it were whole: it is a [*LimitError].
//
// # Redirects
//
// Credentials belong to the origin (scheme, host and port) they were meant for. When a redirect leaves it, all that
// stays of the header is a short list of harmless fields (see [HTTPClient.CrossOriginHeaders]); what went is named in
// [Hop.Dropped] and does not come back on a later hop. A redirect from https to http is an error. The package makes no
// Referer and no Authorization out of an address that a server sent.
//
// # Errors
//
// Whatever goes wrong is an [*Error] that names the method, the address without password and query, and the phase.
// errors.Is sees through it to the sentinels of this package, to context.Canceled and context.DeadlineExceeded, and to
// the cause that the context was cancelled with.
//
// # One inbound request
//
// [HTTPClient.Bind] derives a client whose calls run under the context of one inbound request, carry its request id to
// the origins that may see it, and count against its budgets.
package client
