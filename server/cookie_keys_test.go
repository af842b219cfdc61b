// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/securecookie"
)

func testSecret(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func testKeys(t testing.TB, secrets ...[]byte) *CookieKeys {
	t.Helper()
	if len(secrets) == 0 {
		secrets = [][]byte{testSecret('k')}
	}
	k, err := NewCookieKeys(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// at returns the same keys with a clock that stands d from now.
func (k *CookieKeys) at(d time.Duration) *CookieKeys {
	r := *k.ring()
	r.now = func() time.Time { return time.Now().Add(d) }
	return r.keys()
}

func mustEncode(t testing.TB, k *CookieKeys, name string, value any, opts ...CookieOption) string {
	t.Helper()
	s, err := k.Encode(name, value, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var bothModes = []struct {
	name string
	opts []CookieOption
}{
	{"signed", nil},
	{"encrypted", []CookieOption{WithEncryption()}},
}

type testUser struct {
	ID    int      `json:"id"`
	Name  string   `json:"name"`
	Roles []string `json:"roles,omitempty"`
}

func TestCookieRoundTrip(t *testing.T) {
	k := testKeys(t)
	for _, mode := range bothModes {
		t.Run(mode.name, func(t *testing.T) {
			for _, text := range []string{"", "x", "Grüße\x00\r\n;,\"", strings.Repeat("z", 2000)} {
				asText := mustEncode(t, k, "n", text, mode.opts...)
				asBytes := mustEncode(t, k, "n", []byte(text), mode.opts...)
				for _, cookie := range []string{asText, asBytes} {
					s, b := "before", []byte("before")
					if err := k.Decode("n", cookie, &s); err != nil || s != text {
						t.Errorf("Decode into *string = %q, %v, want %q", s, err, text)
					}
					if err := k.Decode("n", cookie, &b, mode.opts...); err != nil || string(b) != text {
						t.Errorf("Decode into *[]byte = %q, %v, want %q", b, err, text)
					}
				}
			}
			in := testUser{7, "<Ann & Bob>", []string{"admin"}}
			cookie := mustEncode(t, k, "n", in, mode.opts...)
			out := testUser{Roles: []string{"before", "before"}}
			if err := k.Decode("n", cookie, &out); err != nil || fmt.Sprint(out) != fmt.Sprint(in) {
				t.Errorf("Decode = %+v, %v, want %+v", out, err, in)
			}
			var raw json.RawMessage
			if err := k.Decode("n", cookie, &raw); err != nil || string(raw) != `{"id":7,"name":"<Ann & Bob>","roles":["admin"]}` {
				t.Errorf("Decode into *json.RawMessage = %s, %v", raw, err)
			}
			var anything any
			if err := k.Decode("n", mustEncode(t, k, "n", []int{1, 2}, mode.opts...), &anything); err != nil || fmt.Sprint(anything) != "[1 2]" {
				t.Errorf("Decode into *any = %v, %v", anything, err)
			}
			var number int
			if err := k.Decode("n", mustEncode(t, k, "n", 42, mode.opts...), &number); err != nil || number != 42 {
				t.Errorf("Decode into *int = %v, %v", number, err)
			}
		})
	}
}

// JSON is decoded into a fresh variable: fields that the cookie lacks do not
// keep what they had.
func TestCookieJSONReplaces(t *testing.T) {
	k := testKeys(t)
	out := testUser{ID: 1, Roles: []string{"admin"}}
	if err := k.Decode("n", mustEncode(t, k, "n", map[string]any{"id": 2}), &out); err != nil {
		t.Fatal(err)
	}
	if out.ID != 2 || out.Roles != nil {
		t.Errorf("Decode = %+v, want only the id", out)
	}
}

func TestCookieValueIsCookieSafe(t *testing.T) {
	k := testKeys(t)
	for _, mode := range bothModes {
		value := mustEncode(t, k, "n", "any\x00;text", mode.opts...)
		c := http.Cookie{Name: "n", Value: value, Quoted: false}
		if err := c.Valid(); err != nil || strings.ContainsAny(value, "\" ,;\\") {
			t.Errorf("%s: value %q: %v", mode.name, value, err)
		}
	}
}

func TestNewCookieKeysErrors(t *testing.T) {
	s := testSecret
	tests := []struct {
		name    string
		secrets [][]byte
		want    error
	}{
		{"none", nil, ErrNoCookieSecret},
		{"nil", [][]byte{nil}, ErrNoCookieSecret},
		{"empty", [][]byte{{}}, ErrNoCookieSecret},
		{"zeros", [][]byte{make([]byte, 64)}, ErrNoCookieSecret},
		{"1 byte", [][]byte{{1}}, ErrShortCookieSecret},
		{"31 bytes", [][]byte{bytes.Repeat([]byte("secret!"), 5)[:31]}, ErrShortCookieSecret},
		{"second is short", [][]byte{s(1), []byte("secret!")}, ErrShortCookieSecret},
		{"equal", [][]byte{s(1), s(2), s(1)}, ErrInvalidCookieSecrets},
		{"five", [][]byte{s(1), s(2), s(3), s(4), s(5)}, ErrInvalidCookieSecrets},
		{"32 bytes", [][]byte{s(1)}, nil},
		{"64 bytes", [][]byte{bytes.Repeat([]byte{7}, 64)}, nil},
		{"four", [][]byte{s(1), s(2), s(3), s(4)}, nil},
		{"one the start of another", [][]byte{s(1), bytes.Repeat([]byte{1}, 33)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := NewCookieKeys(tt.secrets...)
			if !errors.Is(err, tt.want) || (k == nil) != (tt.want != nil) {
				t.Errorf("NewCookieKeys = %v, %v, want error %v", k, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret!") {
				t.Errorf("the error %q holds the secret", err)
			}
		})
	}
}

func TestNoCookieKeys(t *testing.T) {
	for name, k := range map[string]*CookieKeys{"nil": nil, "zero": {}} {
		var s string
		_, err := k.Encode("n", "x")
		if !errors.Is(err, ErrNoCookieSecret) {
			t.Errorf("%s: Encode: %v", name, err)
		}
		if err := k.Decode("n", "x", &s); !errors.Is(err, ErrNoCookieSecret) {
			t.Errorf("%s: Decode: %v", name, err)
		}
		if _, err := k.Cookie("n", "x", true); !errors.Is(err, ErrNoCookieSecret) {
			t.Errorf("%s: Cookie: %v", name, err)
		}
		if _, err := k.For("session"); !errors.Is(err, ErrNoCookieSecret) {
			t.Errorf("%s: For: %v", name, err)
		}
	}
}

// The secrets are copied: what the caller does with them later is no matter.
func TestCookieSecretsAreCopied(t *testing.T) {
	secret := testSecret('k')
	k := testKeys(t, secret)
	clear(secret)
	session, err := k.For("session")
	if err != nil {
		t.Fatal(err)
	}
	want, err := testKeys(t).For("session")
	if err != nil {
		t.Fatal(err)
	}
	var s string
	if err := testKeys(t).Decode("n", mustEncode(t, k, "n", "x"), &s); err != nil {
		t.Error(err)
	}
	if err := want.Decode("n", mustEncode(t, session, "n", "x"), &s); err != nil {
		t.Error(err)
	}
}

func TestCookieRotation(t *testing.T) {
	older, oldest := testSecret(2), testSecret(1)
	newest := testSecret(3)
	before := testKeys(t, older, oldest)
	after := testKeys(t, newest, older)
	for _, mode := range bothModes {
		t.Run(mode.name, func(t *testing.T) {
			var s string
			if err := after.Decode("n", mustEncode(t, before, "n", "old", mode.opts...), &s); err != nil || s != "old" {
				t.Errorf("the older secret: %q, %v", s, err)
			}
			fresh := mustEncode(t, after, "n", "new", mode.opts...)
			if err := testKeys(t, newest).Decode("n", fresh, &s); err != nil || s != "new" {
				t.Errorf("the newest secret does not write: %q, %v", s, err)
			}
			if err := before.Decode("n", fresh, &s); !errors.Is(err, ErrCookieTampered) {
				t.Errorf("an unknown secret: %v, want ErrCookieTampered", err)
			}
			s = "before"
			dropped := mustEncode(t, testKeys(t, oldest), "n", "gone", mode.opts...)
			if err := after.Decode("n", dropped, &s); !errors.Is(err, ErrCookieTampered) || s != "before" {
				t.Errorf("a dropped secret: %q, %v, want ErrCookieTampered", s, err)
			}
		})
	}
}

func TestCookieModes(t *testing.T) {
	k := testKeys(t)
	signed := mustEncode(t, k, "n", "text to be found")
	encrypted := mustEncode(t, k, "n", "text to be found", WithEncryption())
	var s string
	if err := k.Decode("n", encrypted, &s); err != nil {
		t.Errorf("encrypted without the option: %v", err)
	}
	if err := k.Decode("n", signed, &s, WithEncryption()); !errors.Is(err, ErrCookieTampered) {
		t.Errorf("signed, where encrypted is asked for: %v, want ErrCookieTampered", err)
	}
	if !strings.Contains(unwrapBase64(t, signed), "text to be found") {
		t.Error("a signed cookie is not readable; the test below proves nothing")
	}
	if strings.Contains(unwrapBase64(t, encrypted), "text") {
		t.Error("an encrypted cookie is readable")
	}
	if again := mustEncode(t, k, "n", "text to be found", WithEncryption()); again == encrypted {
		t.Error("encrypting twice gives the same cookie")
	}
}

// unwrapBase64 returns the payload of a cookie, encrypted or not.
func unwrapBase64(t testing.TB, value string) string {
	t.Helper()
	outer, err := base64.URLEncoding.DecodeString(value)
	if err != nil {
		t.Fatal(err)
	}
	parts := bytes.SplitN(outer, []byte("|"), 3)
	inner, err := base64.URLEncoding.DecodeString(string(parts[1]))
	if err != nil {
		t.Fatal(err)
	}
	return string(inner)
}

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

// The bytes that Decode returns are nobody else's.
func TestCookieDecodedBytesAreOwned(t *testing.T) {
	k := testKeys(t)
	value := mustEncode(t, k, "n", []byte("mine"))
	var a, b []byte
	if err := k.Decode("n", value, &a); err != nil {
		t.Fatal(err)
	}
	clear(a)
	if err := k.Decode("n", value, &b); err != nil || string(b) != "mine" {
		t.Errorf("second Decode = %q, %v", b, err)
	}
	if cap(a) != len(a) {
		t.Errorf("cap %d of %d decoded bytes", cap(a), len(a))
	}
}

func TestCookieSizes(t *testing.T) {
	k := testKeys(t)
	for _, mode := range bothModes {
		t.Run(mode.name, func(t *testing.T) {
			const name = "prefs"
			largest := -1
			for n := range 2400 {
				value, err := k.Encode(name, make([]byte, n), mode.opts...)
				if err == nil {
					payload := len(unwrapBase64(t, value))
					if len(mode.opts) > 0 {
						payload -= 16 // the initialization vector
					}
					if want := cookieSize(name, payload, len(mode.opts) > 0); len(name)+1+len(value) != want {
						t.Fatalf("%d bytes take %d, cookieSize says %d", n, len(name)+1+len(value), want)
					}
					if len(name)+1+len(value) > 4096 {
						t.Fatalf("%d bytes take %d", n, len(name)+1+len(value))
					}
					var back []byte
					if err := k.Decode(name, value, &back); err != nil || len(back) != n {
						t.Fatalf("%d bytes come back as %d, %v", n, len(back), err)
					}
					if largest != n-1 {
						t.Fatalf("%d bytes fit, %d did not", n, largest+1)
					}
					largest = n
					continue
				}
				if !errors.Is(err, ErrCookieTooLarge) {
					t.Fatalf("%d bytes: %v", n, err)
				}
			}
			if largest < 2200 || largest > 2271 {
				t.Errorf("%d bytes fit at most", largest)
			}
		})
	}
	// The sizes are in the error: users meet it more than any other.
	_, err := k.Encode("prefs", make([]byte, 3000))
	if err == nil || !strings.Contains(err.Error(), "4096") || !strings.Contains(err.Error(), `"prefs"`) || !strings.Contains(err.Error(), "3006") {
		t.Errorf("too large: %v", err)
	}
	if _, err := k.Encode(strings.Repeat("n", 4096), ""); !errors.Is(err, ErrCookieTooLarge) {
		t.Errorf("a name of 4096 bytes: %v", err)
	}
	if _, err := k.Encode("n", strings.Repeat("x", 16<<20), WithEncryption()); !errors.Is(err, ErrCookieTooLarge) {
		t.Errorf("16 MiB: %v", err)
	}
}

func TestCookieTypes(t *testing.T) {
	k := testKeys(t)
	text, data, object := mustEncode(t, k, "n", "7"), mustEncode(t, k, "n", []byte("7")), mustEncode(t, k, "n", 7)
	s, b, i := "before", []byte("before"), -1
	var nilText *string
	tests := []struct {
		name   string
		cookie string
		into   any
	}{
		{"JSON into *string", object, &s},
		{"JSON into *[]byte", object, &b},
		{"text into *int", text, &i},
		{"bytes into *int", data, &i},
		{"text into *any", text, new(any)},
		{"JSON of another type", mustEncode(t, k, "n", []string{"x"}), &i},
		{"string", text, s},
		{"nil", text, nil},
		{"nil pointer", text, nilText},
		{"not a pointer, no cookie", "", 7},
		{"not a pointer, forged cookie", "forged", 7},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := k.Decode("n", tt.cookie, tt.into); !errors.Is(err, ErrCookieType) {
				t.Errorf("Decode: %v, want ErrCookieType", err)
			}
		})
	}
	if s != "before" || string(b) != "before" || i != -1 {
		t.Errorf("a failing Decode wrote %q, %q, %d", s, b, i)
	}
	u := testUser{ID: 1, Name: "before"}
	half := mustEncode(t, k, "n", map[string]any{"id": 2, "name": 3})
	if err := k.Decode("n", half, &u); !errors.Is(err, ErrCookieType) || u.ID != 1 || u.Name != "before" {
		t.Errorf("a Decode failing half-way wrote %+v, %v", u, err)
	}
	for _, value := range []any{nil, make(chan int), func() {}, math.NaN(), map[bool]int{true: 1}} {
		if _, err := k.Encode("n", value); !errors.Is(err, ErrCookieType) {
			t.Errorf("Encode(%T): %v, want ErrCookieType", value, err)
		}
	}
}

func TestCookieExpiry(t *testing.T) {
	k := testKeys(t)
	const day = 24 * time.Hour
	tests := []struct {
		name   string
		maxAge time.Duration
		at     time.Duration
		want   error
	}{
		{"now", time.Hour, 0, nil},
		{"just before", time.Hour, time.Hour - 2*time.Second, nil},
		{"just after", time.Hour, time.Hour + 2*time.Second, ErrCookieExpired},
		{"default, day 29", 0, 29 * day, nil},
		{"default, day 31", 0, 31 * day, ErrCookieExpired},
		{"browser session, day 29", -1, 29 * day, nil},
		{"browser session, day 31", -1, 31 * day, ErrCookieExpired},
		{"below a second", time.Nanosecond, -time.Second, nil},
		{"longest, day 399", math.MaxInt64, 399 * day, nil},
		{"longest, day 401", math.MaxInt64, 401 * day, ErrCookieExpired},
		{"clock half a minute behind", time.Hour, -30 * time.Second, nil},
		{"clock two minutes behind", time.Hour, -2 * time.Minute, ErrCookieExpired},
		{"longest, clock two minutes behind", math.MaxInt64, -2 * time.Minute, ErrCookieExpired},
		{"clock a century behind", time.Hour, -100 * 365 * day, ErrCookieExpired},
	}
	for _, mode := range bothModes {
		for _, tt := range tests {
			t.Run(mode.name+"/"+tt.name, func(t *testing.T) {
				value := mustEncode(t, k, "n", "x", append(mode.opts, WithMaxAge(tt.maxAge))...)
				s := ""
				if err := k.at(tt.at).Decode("n", value, &s); !errors.Is(err, tt.want) || (s == "x") != (tt.want == nil) {
					t.Errorf("Decode = %q, %v, want %v", s, err, tt.want)
				}
			})
		}
	}
}

// Here the clock of securecookie moves too: its own limit is 400 days.
func TestCookieExpiryInCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := testKeys(t)
		for _, mode := range bothModes {
			value := mustEncode(t, k, "n", "x", append(mode.opts, WithMaxAge(math.MaxInt64))...)
			var s string
			time.Sleep(399 * 24 * time.Hour)
			if err := k.Decode("n", value, &s); err != nil {
				t.Errorf("%s, day 399: %v", mode.name, err)
			}
			time.Sleep(2 * 24 * time.Hour)
			if err := k.Decode("n", value, &s); !errors.Is(err, ErrCookieExpired) {
				t.Errorf("%s, day 401: %v, want ErrCookieExpired", mode.name, err)
			}
			damaged := value[:len(value)-2] + "AA"
			if err := k.Decode("n", damaged, &s); !errors.Is(err, ErrCookieTampered) {
				t.Errorf("%s, damaged, day 401: %v, want ErrCookieTampered", mode.name, err)
			}
		}
	})
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

func TestCookieKeysPrintNoSecrets(t *testing.T) {
	secret := []byte("0123456789-secret-0123456789-secret")
	k := testKeys(t, secret)
	type holder struct {
		Public  *CookieKeys
		private *CookieKeys
		copied  CookieKeys
	}
	h := holder{k, k, *k}
	hash := derive(t, secret, "/hash")
	// More than one octet in Go syntax: an address may begin with 0x30, too.
	leaks := []string{"secret-0", "48 49 50", "0x30, 0x31, 0x32", fmt.Sprintf("%x", secret)[:16], fmt.Sprint(hash)[1:20], fmt.Sprintf("%x", hash)[:16], "hashKey", "[]byte"}
	for _, v := range []any{k, *k, h, &h, []*CookieKeys{k}, map[string]CookieKeys{"k": *k}, new(CookieKeys), (*CookieKeys)(nil)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10v"} {
			text := fmt.Sprintf(verb, v)
			for _, leak := range leaks {
				if strings.Contains(text, leak) {
					t.Errorf("%s of %T leaks: %s", verb, v, text)
				}
			}
		}
		text, err := json.Marshal(v)
		if err != nil || strings.Contains(string(text), "MDEyMzQ1") {
			t.Errorf("JSON of %T: %s, %v", v, text, err)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("keys", "keys", v)
		if strings.Contains(log.String(), "secret-0") || strings.Contains(log.String(), "48 49 50") {
			t.Errorf("slog of %T: %s", v, log.String())
		}
	}
	if got, want := fmt.Sprint(k), "CookieKeys(purpose cookie, secrets 1)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if got, want := new(CookieKeys).String(), "CookieKeys(no secret)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

func TestCookieKeysConcurrently(t *testing.T) {
	k := testKeys(t, testSecret(2), testSecret(1))
	old := mustEncode(t, testKeys(t, testSecret(1)), "n", "old", WithEncryption())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				text := fmt.Sprint(i, j)
				value, err := k.Encode("n", text, bothModes[j%2].opts...)
				if err != nil {
					t.Error(err)
				}
				var s string
				if err := k.Decode("n", value, &s); err != nil || s != text {
					t.Errorf("Decode = %q, %v, want %q", s, err, text)
				}
				if err := k.Decode("n", old, &s); err != nil || s != "old" {
					t.Errorf("Decode = %q, %v, want old", s, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestCookieErrorsDiffer(t *testing.T) {
	all := []error{
		ErrNoCookie, ErrCookieExpired, ErrCookieTampered, ErrCookieTooLarge, ErrCookieType, ErrInvalidCookie,
		ErrNoCookieSecret, ErrShortCookieSecret, ErrInvalidCookieSecrets,
	}
	for i, a := range all {
		if !strings.HasPrefix(a.Error(), "server: ") {
			t.Errorf("%q has no prefix", a)
		}
		for _, b := range all[:i] {
			if errors.Is(a, b) || a.Error() == b.Error() {
				t.Errorf("%q is %q", a, b)
			}
		}
	}
}
