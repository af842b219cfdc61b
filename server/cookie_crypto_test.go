// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/securecookie"
)

// securecookie's NopEncoder encrypts the caller's slice in place.
func TestCookieEncryptionLeavesValueAlone(t *testing.T) {
	k := testKeys(t)
	for _, mode := range bothModes {
		value := []byte("do not change")
		padded := append(make([]byte, 0, 64), value...) // with room behind it
		mustEncode(t, k, "n", value, mode.opts...)
		mustEncode(t, k, "n", padded, mode.opts...)
		if string(value) != "do not change" || string(padded) != "do not change" {
			t.Errorf("%s: Encode changed its argument: %q, %q", mode.name, value, padded)
		}
		if tail := padded[len(padded):cap(padded)]; !bytes.Equal(tail, make([]byte, len(tail))) {
			t.Errorf("%s: Encode wrote behind its argument: %q", mode.name, tail)
		}
	}
}

func TestCookieIsBoundToItsName(t *testing.T) {
	k := testKeys(t)
	for _, mode := range bothModes {
		value := mustEncode(t, k, "role", "admin", mode.opts...)
		for _, name := range []string{"Role", "rol", "role2", "", "c:role", "role|" + value, "__Host-role"} {
			s := "before"
			if err := k.Decode(name, value, &s); !errors.Is(err, ErrCookieTampered) || s != "before" {
				t.Errorf("%s: under the name %.20q: %q, %v, want ErrCookieTampered", mode.name, name, s, err)
			}
		}
	}
}

func TestCookieIsBoundToItsPurpose(t *testing.T) {
	k := testKeys(t)
	session, err := k.For("session")
	if err != nil {
		t.Fatal(err)
	}
	csrf, err := k.For("csrf")
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range bothModes {
		rings := map[string]*CookieKeys{"cookie": k, "session": session, "csrf": csrf}
		for from, maker := range rings {
			value := mustEncode(t, maker, "n", "x", mode.opts...)
			for to, reader := range rings {
				var s string
				if err := reader.Decode("n", value, &s); (err == nil) != (from == to) {
					t.Errorf("%s: from %s to %s: %v", mode.name, from, to, err)
				}
			}
		}
	}
	for _, purpose := range []string{"", "Session", "a/hash", "a b", strings.Repeat("a", 33), "é"} {
		if _, err := k.For(purpose); err == nil {
			t.Errorf("For(%q) is accepted", purpose)
		}
	}
}

func TestCookieDamaged(t *testing.T) {
	k := testKeys(t)
	for _, mode := range bothModes {
		t.Run(mode.name, func(t *testing.T) {
			// Lengths with all three paddings.
			for _, text := range []string{"u=1", "u=12", "u=123"} {
				value := mustEncode(t, k, "n", text, mode.opts...)
				check := func(what, damaged string) {
					t.Helper()
					s := "before"
					if err := k.Decode("n", damaged, &s); !errors.Is(err, ErrCookieTampered) || s != "before" {
						t.Errorf("%s: Decode(%q) = %q, %v, want ErrCookieTampered", what, damaged, s, err)
					}
				}
				for i := range len(value) {
					for bit := range 8 {
						b := []byte(value)
						b[i] ^= 1 << bit
						check("flipped bit", string(b))
					}
					check("cut", value[:max(i, 1)])
					check("without a byte", value[:i]+value[i+1:])
					check("line break", value[:i]+"\r\n"+value[i:])
					check("another byte", value[:i]+"A"+value[i:])
				}
				check("twice", value+value)
				check("padded", value+"====")
				check("trailing line break", value+"\n")
				check("without padding", strings.TrimRight(value, "=")+"A")
				check("in quotes", `"`+value+`"`)
				check("standard alphabet", strings.NewReplacer("-", "+", "_", "/").Replace(value)+"++++")
				check("spaces", " "+value+" ")
			}
		})
	}
}

// Bits beyond the last byte are ignored by decoders; here a cookie has one
// spelling.
func TestCookieNonCanonical(t *testing.T) {
	k := testKeys(t)
	seen := map[int]bool{}
	for n := range 12 {
		value := mustEncode(t, k, "n", make([]byte, n))
		padding := strings.Count(value, "=")
		seen[padding] = true
		if padding == 0 {
			continue
		}
		last := len(value) - padding - 1
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		for i := range alphabet {
			other := value[:last] + alphabet[i:i+1] + value[last+1:]
			var b []byte
			if err := k.Decode("n", other, &b); (err == nil) != (other == value) {
				t.Errorf("Decode(%q) for %q: %v", other, value, err)
			}
		}
	}
	if len(seen) < 2 {
		t.Errorf("paddings seen: %v", seen)
	}
}

func TestCookieJunk(t *testing.T) {
	k := testKeys(t)
	tests := []struct {
		name, value string
		want        error
	}{
		{"empty", "", ErrNoCookie},
		{"short", "abc", ErrCookieTampered},
		{"deleted", "deleted", ErrCookieTampered},
		{"base64 of nothing", strings.Repeat("A", 64), ErrCookieTampered},
		{"padding only", strings.Repeat("=", 64), ErrCookieTampered},
		{"pipes", base64.URLEncoding.EncodeToString(bytes.Repeat([]byte("|"), 48)), ErrCookieTampered},
		{"timestamp only", base64.URLEncoding.EncodeToString([]byte("1700000000|" + strings.Repeat("x", 60))), ErrCookieTampered},
		{"no MAC", base64.URLEncoding.EncodeToString([]byte("1700000000|" + strings.Repeat("QUFB", 12) + "|")), ErrCookieTampered},
		{"4094 bytes", strings.Repeat("A", 4092), ErrCookieTampered},
		{"1 MiB", strings.Repeat("A", 1<<20), ErrCookieTampered},
		{"a JWT", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsImlhdCI6MTcwMDAwMDAwMH0.AAAA", ErrCookieTampered},
		{"UTF-8", strings.Repeat("ä", 40), ErrCookieTampered},
		{"NUL", strings.Repeat("\x00", 64), ErrCookieTampered},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := "before"
			if err := k.Decode("n", tt.value, &s); !errors.Is(err, tt.want) || s != "before" {
				t.Errorf("Decode = %q, %v, want %v", s, err, tt.want)
			}
		})
	}
}

// derive is the derivation as documented, so that a change of it, which would
// log everybody out, fails a test.
func derive(t testing.TB, secret []byte, use string) []byte {
	t.Helper()
	key, err := hkdf.Key(sha256.New, secret, nil, "pleat/v1/cookie"+use, 32)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func referenceCodec(t testing.TB, secret []byte, encrypted bool) *securecookie.SecureCookie {
	codec := securecookie.New(derive(t, secret, "/hash"), nil)
	if encrypted {
		codec = securecookie.New(derive(t, secret, "/encrypted/hash"), derive(t, secret, "/encrypted/block"))
	}
	return codec.SetSerializer(securecookie.NopEncoder{})
}

// A cookie is a securecookie and nothing else, in both directions.
func TestCookieAgainstSecurecookie(t *testing.T) {
	k := testKeys(t)
	for i, mode := range bothModes {
		codec := referenceCodec(t, testSecret('k'), i == 1)
		var payload []byte
		if err := codec.Decode("c:n", mustEncode(t, k, "n", "data", mode.opts...), &payload); err != nil {
			t.Fatal(err)
		}
		if payload[0] != 'u' || string(payload[len(payload)-4:]) != "data" || len(payload) != 1+5+4 {
			t.Errorf("%s: payload %q", mode.name, payload)
		}
		payload, err := appendCookiePayload(nil, "data", time.Now().Unix()+60)
		if err != nil {
			t.Fatal(err)
		}
		value, err := codec.Encode("c:n", payload)
		if err != nil {
			t.Fatal(err)
		}
		var s string
		if err := k.Decode("n", value, &s); err != nil || s != "data" {
			t.Errorf("%s: Decode = %q, %v", mode.name, s, err)
		}
	}
}

// A codec that decrypts accepts the MAC of one that only signs if both have
// the same hash key, and returns garbage. Ours have not.
func TestCookieModesHaveTheirOwnKeys(t *testing.T) {
	secret := testSecret('k')
	var seen []string
	for _, use := range []string{"/hash", "/encrypted/hash", "/encrypted/block"} {
		seen = append(seen, string(derive(t, secret, use)))
	}
	if seen[0] == seen[1] || seen[1] == seen[2] || seen[0] == seen[2] {
		t.Error("derived keys are equal")
	}
	payload, err := appendCookiePayload(nil, strings.Repeat("x", 32), time.Now().Unix()+60)
	if err != nil {
		t.Fatal(err)
	}
	k := testKeys(t, secret)
	hash := derive(t, secret, "/hash")
	mixed, err := securecookie.New(derive(t, secret, "/encrypted/hash"), nil).SetSerializer(securecookie.NopEncoder{}).Encode("c:n", payload)
	if err != nil {
		t.Fatal(err)
	}
	// Even for this cookie, which only we could make, garbage is no answer.
	var b []byte
	if err := k.Decode("n", mixed, &b); err == nil {
		t.Errorf("signed with the key of the other mode: %q", b)
	}
	encrypted, err := securecookie.New(hash, derive(t, secret, "/encrypted/block")).SetSerializer(securecookie.NopEncoder{}).Encode("c:n", payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Decode("n", encrypted, &b); err == nil {
		t.Errorf("encrypted with the key of the other mode: %q", b)
	}
}

// Genuine by its MAC, but not a payload that Encode makes.
func TestCookieMalformedPayload(t *testing.T) {
	k := testKeys(t)
	codec := referenceCodec(t, testSecret('k'), false)
	fill := strings.Repeat("x", 20)
	for name, payload := range map[string]string{
		"unknown kind":       "x\x01" + fill,
		"kind zero":          "\x00\x01" + fill,
		"overlong expiry":    "u" + strings.Repeat("\xff", 11) + fill,
		"expiry cut off":     "u" + strings.Repeat("\xff", 4),
		"expiry beyond int":  "u\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + fill,
		"kind only":          "u",
		"nothing":            "",
		"expired in 1970":    "u\x01" + fill,
		"expires after 9999": "u\xff\xff\xff\xff\xff\xff\x7f" + fill,
	} {
		value, err := codec.Encode("c:n", []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		want := ErrCookieTampered
		if strings.HasPrefix(name, "expire") {
			want = ErrCookieExpired
		}
		s := "before"
		if err := k.Decode("n", value, &s); !errors.Is(err, want) || s != "before" {
			t.Errorf("%s: %q, %v, want %v", name, s, err, want)
		}
	}
}
