// SPDX-License-Identifier: MIT

package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

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
