// SPDX-License-Identifier: MIT

package server

import (
	"net/http"
	"strconv"
	"strings"
)

// withoutEmptySuffix is q, without its Range if that asks for the last 0 octets.
// RFC 9110 §14.1.2 calls that unsatisfiable; http.ServeContent would answer with a
// range that ends before it begins. A server may ignore any Range.
func withoutEmptySuffix(q *http.Request) *http.Request {
	ranges, ok := strings.CutPrefix(q.Header.Get("Range"), "bytes=")
	if !ok {
		return q
	}
	for spec := range strings.SplitSeq(ranges, ",") {
		suffix, ok := strings.CutPrefix(strings.TrimSpace(spec), "-")
		if n, err := strconv.ParseInt(suffix, 10, 64); ok && err == nil && n == 0 {
			whole := *q
			whole.Header = q.Header.Clone()
			whole.Header.Del("Range")
			return &whole
		}
	}
	return q
}
