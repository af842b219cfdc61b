// SPDX-License-Identifier: MIT

package server_test

import (
	"errors"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/pleat-go/pleat/server"
)

// Replacing a secret without logging anybody out: the new one goes first, the
// old one stays until the last cookie made with it has expired.
func ExampleNewCookieKeys() {
	oldSecret := []byte("32 bytes from crypto/rand, kept.")
	newSecret := []byte("another 32 bytes of crypto/rand.")

	before, err := server.NewCookieKeys(oldSecret)
	if err != nil {
		log.Fatal(err)
	}
	cookie, err := before.Encode("user", "ann")
	if err != nil {
		log.Fatal(err)
	}

	after, err := server.NewCookieKeys(newSecret, oldSecret)
	if err != nil {
		log.Fatal(err)
	}
	var user string
	fmt.Println(after.Decode("user", cookie, &user), user)

	done, err := server.NewCookieKeys(newSecret)
	if err != nil {
		log.Fatal(err)
	}
	err = done.Decode("user", cookie, &user)
	fmt.Println(errors.Is(err, server.ErrCookieTampered))
	// Output:
	// <nil> ann
	// true
}

// Anything that encoding/json can marshal fits into a cookie, as far as 4096
// bytes go. With encryption the bearer cannot read it.
func ExampleCookieKeys_Encode() {
	keys, err := server.NewCookieKeys([]byte("32 bytes from crypto/rand, kept."))
	if err != nil {
		log.Fatal(err)
	}
	type cart struct{ Items []int }
	cookie, err := keys.Encode("cart", cart{[]int{7, 9}}, server.WithEncryption(), server.WithMaxAge(time.Hour))
	if err != nil {
		log.Fatal(err)
	}

	var got cart
	if err := keys.Decode("cart", cookie, &got, server.WithEncryption()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Items)
	fmt.Println(keys.Decode("role", cookie, &got)) // another name
	// Output:
	// [7 9]
	// server: cookie is not genuine
}

// A server behind proxies of 10.0.0.0/8 that append to X-Forwarded-For.
func ExampleTrustPolicy() {
	proxies, err := server.ParsePrefixes("10.0.0.0/8")
	if err != nil {
		log.Fatal(err)
	}
	policy := &server.TrustPolicy{Trusted: proxies, Source: server.SourceXForwardedFor}
	if err := policy.Validate(); err != nil {
		log.Fatal(err)
	}
	// A handler would take both from its request, and pass the origin to
	// SetOrigin.
	origin, err := policy.Resolve(netip.MustParseAddr("203.0.113.9"), server.Header{})
	fmt.Println(origin.IP, origin.Suspect, err)
	// Output: 203.0.113.9 false <nil>
}
