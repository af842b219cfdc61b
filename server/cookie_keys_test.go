// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
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
