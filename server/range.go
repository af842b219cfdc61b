// SPDX-License-Identifier: MIT

package server

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxRanges is how many ranges of a file a request may ask for. Each has a head of
// its own in the answer: a few octets of request would become a hundred times that,
// and a read each.
const maxRanges = 32

// heedRange is q, without its Range if that is better ignored, as a server may
// (RFC 9110, section 14.2).
func heedRange(q *http.Request, content io.Seeker) *http.Request {
	ranges, ok := strings.CutPrefix(q.Header.Get("Range"), "bytes=")
	if !ok || strings.Count(ranges, ",") < maxRanges && !hasEmptySuffix(ranges) && !isEmpty(content) {
		return q
	}
	whole := *q
	whole.Header = q.Header.Clone()
	whole.Header.Del("Range")
	return &whole
}

// isEmpty reports whether there is nothing to have a part of: the last octets of
// nothing could not even be written down as a Content-Range.
func isEmpty(content io.Seeker) bool {
	size, err := sizeOf(content)
	return err == nil && size == 0
}

// hasEmptySuffix reports whether the last 0 octets are asked for, which RFC 9110
// §14.1.2 calls unsatisfiable; http.ServeContent would answer with a range that
// ends before it begins.
func hasEmptySuffix(ranges string) bool {
	for spec := range strings.SplitSeq(ranges, ",") {
		// With the blanks that http.ServeContent allows.
		first, last, _ := strings.Cut(spec, "-")
		n, err := strconv.ParseInt(strings.TrimSpace(last), 10, 64)
		if strings.TrimSpace(first) == "" && err == nil && n == 0 {
			return true
		}
	}
	return false
}
