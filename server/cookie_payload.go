// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Kinds of payload. A payload is never empty, which securecookie could encrypt
// but not decrypt.
//
//	payload = kind | uvarint of expiry in unix seconds | data
const (
	cookieKindBytes byte = 's'
	cookieKindText  byte = 'u'
	cookieKindJSON  byte = 'j'
)

// appendCookiePayload appends a payload that expires at the given unix time.
// The error says what is wrong with the value.
func appendCookiePayload(dst []byte, value any, expiry int64) ([]byte, error) {
	header := func(kind byte, size int) {
		dst = slices.Grow(dst, 1+binary.MaxVarintLen64+size)
		dst = append(dst, kind)
		dst = binary.AppendUvarint(dst, uint64(max(expiry, 0)))
	}
	switch v := value.(type) {
	case nil:
		return dst, errors.New("nil is no value")
	case []byte:
		header(cookieKindBytes, len(v))
		return append(dst, v...), nil
	case string:
		header(cookieKindText, len(v))
		return append(dst, v...), nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // no HTML reader sees it, and it costs room
	if err := enc.Encode(value); err != nil {
		return dst, err
	}
	text := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	header(cookieKindJSON, len(text))
	return append(dst, text...), nil
}

// parseCookiePayload takes a payload apart. data is a part of payload.
func parseCookiePayload(payload []byte) (kind byte, expiry int64, data []byte, ok bool) {
	if len(payload) == 0 {
		return 0, 0, nil, false
	}
	kind = payload[0]
	unix, n := binary.Uvarint(payload[1:])
	if n <= 0 || int64(unix) < 0 {
		return 0, 0, nil, false
	}
	switch kind {
	case cookieKindBytes, cookieKindText, cookieKindJSON:
		return kind, int64(unix), payload[1+n:], true
	}
	return 0, 0, nil, false
}

// storeCookieData puts data into what a non-nil pointer points to. It keeps
// data.
func storeCookieData(into any, kind byte, data []byte) error {
	switch p := into.(type) {
	case *[]byte:
		if kind == cookieKindJSON {
			return errors.New("it is JSON, not bytes")
		}
		*p = slices.Clip(data)
		return nil
	case *string:
		if kind == cookieKindJSON {
			return errors.New("it is JSON, not text")
		}
		*p = string(data)
		return nil
	}
	if kind != cookieKindJSON {
		return fmt.Errorf("it is bytes or text, not JSON for %T", into)
	}
	// Into a fresh variable, so that an error half-way leaves nothing behind
	// and a field missing in the cookie does not keep what was there before.
	target := reflect.ValueOf(into).Elem()
	fresh := reflect.New(target.Type())
	if err := json.Unmarshal(data, fresh.Interface()); err != nil {
		return err
	}
	target.Set(fresh.Elem())
	return nil
}

// cookieSize returns how many bytes name and value take together for a payload
// of n bytes. A value is base64 within base64:
//
//	base64( unix seconds | "|" | base64( [ iv ] payload ) | "|" | HMAC-SHA256 )
func cookieSize(name string, n int, encrypted bool) int {
	const seconds, mac, iv = 10, 32, 16 // ten digits until the year 2286
	if encrypted {
		n += iv
	}
	inner := base64.URLEncoding.EncodedLen(n)
	return len(name) + 1 + base64.URLEncoding.EncodedLen(seconds+1+inner+1+mac)
}

// cookieIssued reads the time at the start of a value whose MAC is right.
func cookieIssued(value string) (unix int64, ok bool) {
	head, err := base64.URLEncoding.DecodeString(value[:16])
	if err != nil {
		return 0, false
	}
	seconds, _, ok := strings.Cut(string(head), "|")
	if !ok {
		return 0, false
	}
	unix, err = strconv.ParseInt(seconds, 10, 64)
	return unix, err == nil
}

// isCanonicalBase64 reports whether s is padded base64url as an encoder writes
// it. Decoders forgive more, line breaks and bits beyond the last byte, and
// then one cookie could be spelled in several ways.
func isCanonicalBase64(s string) bool {
	if s == "" || len(s)%4 != 0 {
		return false
	}
	digits := strings.TrimSuffix(strings.TrimSuffix(s, "="), "=")
	for i := range len(digits) {
		if base64Digit(digits[i]) < 0 {
			return false
		}
	}
	// Two digits carry 12 bits for one byte, three carry 18 for two.
	last := base64Digit(digits[len(digits)-1])
	switch len(s) - len(digits) {
	case 1:
		return last&0b11 == 0
	case 2:
		return last&0b1111 == 0
	}
	return true
}

// base64Digit returns the value of a digit of base64url, or -1.
func base64Digit(b byte) int {
	switch {
	case 'A' <= b && b <= 'Z':
		return int(b - 'A')
	case 'a' <= b && b <= 'z':
		return int(b-'a') + 26
	case '0' <= b && b <= '9':
		return int(b-'0') + 52
	case b == '-':
		return 62
	case b == '_':
		return 63
	}
	return -1
}
