// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// Whatever is asked of a ring that has seen a cookie is answered as one that has
// not would answer.
func TestCookieMemoChangesNothing(t *testing.T) {
	secret := bytes.Repeat([]byte("s3cret"), 8)
	other := bytes.Repeat([]byte("0ther!"), 8)
	fresh := func() *CookieKeys {
		keys, err := NewCookieKeys(secret)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	warm := fresh()
	signed, err := warm.Encode("session", "alice", WithMaxAge(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := warm.Encode("session", "bob", WithMaxAge(time.Hour), WithEncryption())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := NewCookieKeys(other)
	if err != nil {
		t.Fatal(err)
	}
	strange, err := foreign.Encode("session", "eve")
	if err != nil {
		t.Fatal(err)
	}
	type question struct {
		name, value string
		opts        []CookieOption
		ahead       time.Duration
	}
	questions := []question{
		{"session", signed, nil, 0},
		{"session", sealed, nil, 0},
		{"session", signed, []CookieOption{WithEncryption()}, 0},
		{"session", sealed, []CookieOption{WithEncryption()}, 0},
		{"other", signed, nil, 0},
		{"session", strange, nil, 0},
		{"session", signed, nil, 2 * time.Hour},
		{"session", sealed, nil, 2 * time.Hour},
		{"session", signed, nil, -time.Hour},
		{"session", strings.ToLower(signed), nil, 0},
		{"session", signed + "=", nil, 0},
	}
	for i := range signed {
		flipped := []byte(signed)
		flipped[i] ^= 1
		questions = append(questions, question{"session", string(flipped), nil, 0})
	}
	for range 2 { // the second time all that can be remembered is
		for i, q := range questions {
			ask := func(keys *CookieKeys) (string, error) {
				keys.ring().now = func() time.Time { return time.Now().Add(q.ahead) }
				var got string
				err := keys.Decode(q.name, q.value, &got, q.opts...)
				return got, err
			}
			got, gotErr := ask(warm)
			want, wantErr := ask(fresh())
			if got != want || !errors.Is(gotErr, wantErr) && gotErr.Error() != wantErr.Error() {
				t.Errorf("question %d: got %q, %v, want %q, %v", i, got, gotErr, want, wantErr)
			}
		}
	}
}

// What a caller does to the bytes it got is its own affair.
func TestCookieMemoGivesCopies(t *testing.T) {
	keys, err := NewCookieKeys(bytes.Repeat([]byte("s3cret"), 8))
	if err != nil {
		t.Fatal(err)
	}
	value, err := keys.Encode("a", []byte("precious"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				var got []byte
				if err := keys.Decode("a", value, &got); err != nil || string(got) != "precious" {
					t.Errorf("got %q, %v", got, err)
					return
				}
				clear(got)
			}
		})
	}
	wg.Wait()
}

func TestCookieMemoIsBounded(t *testing.T) {
	m := newCookieMemo()
	long := strings.Repeat("x", memoValue+1)
	m.put(&verifiedCookie{name: "a", value: long, payload: "p"})
	if m.get("a", long, false) != nil {
		t.Error("a long cookie was remembered")
	}
	m.put(&verifiedCookie{name: "a", value: long[1:], payload: "p", issued: 7})
	if v := m.get("a", long[1:], false); v == nil || v.payload != "p" || v.issued != 7 {
		t.Errorf("got %+v", v)
	}
}
