// SPDX-License-Identifier: MIT

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
)

// nonceHeader is the field that carries the nonce of a request, and of its answer.
const nonceHeader = "Nonce"

// makeNonce makes the nonce of the request with a number. Its form is that of a
// request id, so that the middleware for those carries it everywhere. The tail keeps
// a nonce from being the beginning of another.
func makeNonce(kind string, number uint64) string {
	sum := sha256.Sum256([]byte(kind + strconv.FormatUint(number, 10)))
	return fmt.Sprintf("%s.%d.%x", kind, number, sum[:3])
}

// parseNonce is the inverse of makeNonce; false for what that never made.
func parseNonce(nonce string) (kind string, number uint64, ok bool) {
	kind, rest, ok := strings.Cut(nonce, ".")
	digits, _, tailed := strings.Cut(rest, ".")
	number, err := strconv.ParseUint(digits, 10, 64)
	if !ok || !tailed || err != nil || makeNonce(kind, number) != nonce {
		return "", 0, false
	}
	return kind, number, true
}

// content gives the octets that belong to a name: for ever the same, and others for
// each name, so that a piece of one answer in another is seen wherever it is.
func content(name string) io.Reader {
	return rand.NewChaCha8(sha256.Sum256([]byte(name)))
}

// octets are the first octets of the content of a name.
func octets(name string, size int64) []byte {
	b := make([]byte, size)
	_, _ = io.ReadFull(content(name), b) // it has no end and no errors
	return b
}

// bodyFor is the body of the answer to a request: a line with its nonce, and
// octets that belong to it.
func bodyFor(nonce string, size int64) []byte {
	return append([]byte(nonce+"\n"), octets(nonce, size)...)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
