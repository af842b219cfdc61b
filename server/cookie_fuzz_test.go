// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzCookieDecode knows what was ever signed with its keys: texts that start
// with the name they were signed under. Anything else that comes out, or
// comes out under another name, is forged. It also spoils one byte of a genuine
// cookie, which must never open again.
func FuzzCookieDecode(f *testing.F) {
	k := testKeys(f, testSecret(2), testSecret(1))
	former := testKeys(f, testSecret(1))
	genuine := func(name string) string { return "signed under " + name + "." }
	for _, name := range []string{"sid", "n", "a|b", "__Host-x"} {
		for _, maker := range []*CookieKeys{k, former} {
			for _, mode := range bothModes {
				value, err := maker.Encode(name, genuine(name), mode.opts...)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(name, value, []byte("data"), uint16(17), byte(1), true)
				f.Add(name+"x", value, []byte{}, uint16(0), byte(0x20), false)
				f.Add(name, value+"\r\n", []byte("\x00"), uint16(60), byte(0x80), false)
				f.Add(name, strings.TrimRight(value, "="), bytes.Repeat([]byte("x"), 2300), uint16(4000), byte(3), true)
			}
		}
	}
	f.Add("", "", []byte(nil), uint16(0), byte(0), false)
	f.Add("n", base64.URLEncoding.EncodeToString([]byte("1700000000|dQEx|"+strings.Repeat("m", 40))), []byte("x"), uint16(1), byte(1), true)

	f.Fuzz(func(t *testing.T, name, value string, data []byte, at uint16, flip byte, encrypt bool) {
		// Something from outside.
		out := "before"
		err := k.Decode(name, value, &out)
		switch {
		case err == nil:
			if out != genuine(name) {
				t.Fatalf("Decode(%q, %q) = %q, which was never signed", name, value, out)
			}
		case out != "before":
			t.Fatalf("Decode(%q, %q) = %v, but wrote %q", name, value, err, out)
		case !errors.Is(err, ErrNoCookie) && !errors.Is(err, ErrCookieTampered) && !errors.Is(err, ErrCookieExpired):
			t.Fatalf("Decode(%q, %q): unexpected error %v", name, value, err)
		}

		// Something of our own, there and back.
		var opts []CookieOption
		if encrypt {
			opts = []CookieOption{WithEncryption()}
		}
		before := bytes.Clone(data)
		own, err := k.Encode(name, data, opts...)
		if !bytes.Equal(before, data) {
			t.Fatal("Encode changed its argument")
		}
		if err != nil {
			valid := (&http.Cookie{Name: name}).Valid() == nil && validPrefix(name)
			if errors.Is(err, ErrInvalidCookie) != !valid || valid && (!errors.Is(err, ErrCookieTooLarge) || len(name)+len(data) < 2000) {
				t.Fatalf("Encode(%q, %d bytes): %v", name, len(data), err)
			}
			return
		}
		if len(name)+1+len(own) > maxCookieSize {
			t.Fatalf("Encode(%q, %d bytes) takes %d", name, len(data), len(name)+1+len(own))
		}
		var back []byte
		if err := k.Decode(name, own, &back, opts...); err != nil || !bytes.Equal(back, data) {
			t.Fatalf("there and back: %q, %v, want %q", back, err, data)
		}

		// And spoiled.
		spoiled := []byte(own)
		i := int(at) % len(spoiled)
		spoiled[i] ^= flip
		err = k.Decode(name, string(spoiled), &back)
		if (err == nil) != (flip == 0) || err != nil && !errors.Is(err, ErrCookieTampered) {
			t.Fatalf("byte %d of %q changed by %#x: %v", i, own, flip, err)
		}
	})
}

// validPrefix reports whether default attributes fit the name; a prefix that
// needs more than a secure connection would show here.
func validPrefix(name string) bool {
	_, err := CookieOptions{}.cookie(name, "", true, time.Now())
	return err == nil
}

// FuzzCookiePayload checks that what a payload is parsed to makes that payload
// again, except for expiry times spelled longer than need be.
func FuzzCookiePayload(f *testing.F) {
	for _, seed := range []string{"", "s", "u\x01text", "j\x80\x01{}", "x\x01", "u\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "s\x80\x00data"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		kind, expiry, data, ok := parseCookiePayload(payload)
		if !ok {
			return
		}
		var value any = data
		switch kind {
		case cookieKindText:
			value = string(data)
		case cookieKindJSON:
			return // Encode writes it in its own way
		}
		again, err := appendCookiePayload(nil, value, expiry)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > len(payload) || len(again) == len(payload) && !bytes.Equal(again, payload) {
			t.Fatalf("%q is parsed as %c, %d, %q, which makes %q", payload, kind, expiry, data, again)
		}
		kind2, expiry2, data2, ok := parseCookiePayload(again)
		if !ok || kind2 != kind || expiry2 != expiry || !bytes.Equal(data2, data) {
			t.Fatalf("%q comes back as %c, %d, %q", again, kind2, expiry2, data2)
		}
	})
}
