// SPDX-License-Identifier: MIT

package server

import (
	"net/http"
	"strconv"
)

// ProtocolError says that the peer broke HTTP: what it sent is not a request
// this server may act on. The connection answers with Status and closes, and
// nothing that follows on it is read as a request, because once the framing
// is in doubt the next octets may be anybody's (RFC 9112 §11.2).
//
// The values are shared between connections: compare and read them, do not
// change them. Use [errors.As] with a *ProtocolError to tell a broken peer
// from an I/O failure.
type ProtocolError struct {
	// Status is the code the server answers with: 400, 413, 414, 417, 431,
	// 501 or 505.
	Status int
	// Reason names the broken rule for a log. It never holds octets of the
	// peer, so it is safe to print anywhere.
	Reason string
}

// Error returns the status and the reason, as in
// "server: 400: bare CR in field value".
func (e *ProtocolError) Error() string {
	return "server: " + strconv.Itoa(e.Status) + ": " + e.Reason
}

// page is the text that the peer is answered with.
func (e *ProtocolError) page() string {
	return strconv.Itoa(e.Status) + " " + http.StatusText(e.Status) + ": " + e.Reason + "\n"
}

// StatusCode is Status, for whoever turns errors into answers.
func (e *ProtocolError) StatusCode() int { return e.Status }

// Every verdict of the parsers is allocated once, here: refusing a request
// must not be more expensive than serving one. The grammar is that of RFC
// 9112 unless another document is named.
var (
	// Request line, §2.2 and §3.
	errTooManyEmptyLines = &ProtocolError{400, "too many empty lines before the request line"}
	errLineEnd           = &ProtocolError{400, "bare CR or LF before the request line"}
	errMethod            = &ProtocolError{400, "request line does not start with a method token"}
	errMethodTooLong     = &ProtocolError{501, "method too long"}
	errTarget            = &ProtocolError{400, "octet not allowed in request target"}
	errTargetForm        = &ProtocolError{400, "request target has no form this method allows"}
	errTargetEscape      = &ProtocolError{400, "malformed percent-encoding in path"}
	errTargetAuthority   = &ProtocolError{400, "invalid authority in request target"}
	errTargetTooLong     = &ProtocolError{414, "request target too long"}
	errVersion           = &ProtocolError{400, "malformed HTTP version or request line end"}
	errVersionUnknown    = &ProtocolError{505, "HTTP major version is not 1"}

	// Field lines, §5.
	errFieldName       = &ProtocolError{400, "octet not allowed in field name"}
	errFieldNameEmpty  = &ProtocolError{400, "empty field name"}
	errFieldNameSpace  = &ProtocolError{400, "whitespace in or after field name"}
	errFieldFold       = &ProtocolError{400, "line folding or whitespace at the start of a field line"}
	errFieldValue      = &ProtocolError{400, "control octet in field value"}
	errFieldBareCR     = &ProtocolError{400, "bare CR in field section"}
	errFieldBareLF     = &ProtocolError{400, "bare LF in field section"}
	errHeadTooLarge    = &ProtocolError{431, "header section too large"}
	errTooManyFields   = &ProtocolError{431, "too many header fields"}
	errHostMissing     = &ProtocolError{400, "missing Host"}
	errHostRepeated    = &ProtocolError{400, "repeated Host"}
	errHostInvalid     = &ProtocolError{400, "invalid Host"}
	errExpect          = &ProtocolError{417, "unknown expectation"}
	errLength          = &ProtocolError{400, "invalid Content-Length"}
	errLengthRepeated  = &ProtocolError{400, "repeated Content-Length"}
	errLengthTooLarge  = &ProtocolError{413, "Content-Length out of range"}
	errCodingAndLength = &ProtocolError{400, "both Transfer-Encoding and Content-Length"}
	errCodingVersion   = &ProtocolError{400, "Transfer-Encoding in HTTP/1.0"}
	errCodingRepeated  = &ProtocolError{400, "repeated Transfer-Encoding"}
	errCoding          = &ProtocolError{400, "transfer coding is not chunked"}
	errCodingUnknown   = &ProtocolError{501, "unknown transfer coding before chunked"}

	// Chunked bodies, §7.1.
	errChunkSize         = &ProtocolError{400, "invalid chunk size"}
	errChunkSizeTooLarge = &ProtocolError{413, "chunk size out of range"}
	errChunkExtension    = &ProtocolError{400, "invalid chunk extension"}
	errChunkLineEnd      = &ProtocolError{400, "chunk line does not end in CRLF"}
	errChunkLineTooLong  = &ProtocolError{400, "chunk extension too long"}
	errChunkOverhead     = &ProtocolError{400, "chunk framing out of proportion to the data"}
	errChunkDataEnd      = &ProtocolError{400, "chunk data does not end in CRLF"}
	errChunkedTooLarge   = &ProtocolError{413, "chunked body too large"}
	errTrailerForbidden  = &ProtocolError{400, "framing or routing field in trailer section"}
	errTrailerTooLarge   = &ProtocolError{431, "trailer section too large"}
	errTooManyTrailers   = &ProtocolError{431, "too many trailer fields"}
)
