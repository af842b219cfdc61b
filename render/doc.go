// SPDX-License-Identifier: MIT

// Package render turns values into bytes: [JSON], [XML], [Text], HTML
// [Templates] and server-sent [Event]s, and says with [Negotiate] which of
// them a client would rather have.
//
// It knows byte slices and [io.Writer], not HTTP: status codes, header fields
// and redirects belong to whoever calls it. The content type that goes with
// each form is a constant, such as [ContentTypeJSON].
//
// Whatever can fail is encoded into memory first. A function that appends to
// dst hands dst back at its old length when it fails, and [Templates.Render]
// writes to its writer once, after the page is complete; so a failing encode
// never leaves half an answer, and the caller is still free to answer with an
// error.
//
// JSON, XML and Text are small structs whose zero value works and which both
// encode and decode: each is a [Codec]. A Codec of your own, around another JSON
// library for example, fits wherever they do:
//
//	type fast struct{}
//
//	func (fast) Append(dst []byte, v any) ([]byte, error) { … }
//	func (fast) Decode(src []byte, v any) error           { … }
//
// What cannot be decoded because of the input, and not because of the program,
// comes back as a [*DecodeError], whose Reason is fit to be shown to whoever
// sent the input.
package render
