// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"strings"
)

// fieldKind sorts the response fields that the connection has an opinion on.
type fieldKind uint8

const (
	fieldOther fieldKind = iota
	fieldContentType
	fieldContentLength
	fieldConnection
	fieldDate
	fieldServer
	fieldFraming // belongs to the connection alone
)

func kindOf(name string) fieldKind {
	switch len(name) {
	case 4:
		if strings.EqualFold(name, "Date") {
			return fieldDate
		}
	case 6:
		if strings.EqualFold(name, "Server") {
			return fieldServer
		}
	case 10:
		if strings.EqualFold(name, "Connection") {
			return fieldConnection
		}
		if strings.EqualFold(name, "Keep-Alive") {
			return fieldFraming
		}
	case 12:
		if strings.EqualFold(name, "Content-Type") {
			return fieldContentType
		}
	case 14:
		if strings.EqualFold(name, "Content-Length") {
			return fieldContentLength
		}
	case 16:
		if strings.EqualFold(name, "Proxy-Connection") {
			return fieldFraming
		}
	case 17:
		if strings.EqualFold(name, "Transfer-Encoding") {
			return fieldFraming
		}
	}
	return fieldOther
}

// describesBody reports fields that speak of the representation being sent and
// have no meaning for the error answer that may replace it.
func describesBody(line []byte) bool {
	name, _, _ := bytes.Cut(line, []byte(":"))
	switch strings.ToLower(string(name)) {
	case "etag", "last-modified", "accept-ranges", "expires", "cache-control", "location", "trailer", "x-sendfile", "x-accel-redirect":
		return true
	}
	return len(name) > 8 && strings.EqualFold(string(name[:8]), "content-") &&
		!strings.HasPrefix(strings.ToLower(string(name)), "content-security-policy")
}

// lineLength is the length of the first line of an encoded block, CRLF included.
func lineLength(block []byte) int { return bytes.IndexByte(block, '\n') + 1 }

// isField reports whether an encoded line belongs to the field name.
func isField(line []byte, name string) bool {
	return len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(string(line[:len(name)]), name)
}
