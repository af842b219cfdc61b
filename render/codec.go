// SPDX-License-Identifier: MIT

package render

// Codec turns values into bytes and back. [JSON], [XML] and [Text] are codecs.
// An implementation must be safe for concurrent use.
type Codec interface {
	// Append encodes v, appends the result to dst and returns the extended
	// slice. When v cannot be encoded it returns dst as it was, and the error.
	// It keeps neither dst nor v.
	Append(dst []byte, v any) ([]byte, error)

	// Decode stores the one value that src holds in the value v points to.
	// It keeps no part of src. Input that does not fit is a [*DecodeError];
	// what v points to may then be partly filled.
	Decode(src []byte, v any) error
}

// appender is an [io.Writer] that appends what is written to it and never fails.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

func (a *appender) WriteString(s string) (int, error) {
	a.b = append(a.b, s...)
	return len(s), nil
}
