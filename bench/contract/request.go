// SPDX-License-Identifier: MIT

package contract

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Pause is how long /slow sleeps for a value of its parameter ms, at most a
// minute.
func Pause(ms string) (time.Duration, error) {
	n, err := strconv.Atoi(ms)
	if err != nil || n < 0 || n > 60_000 {
		return 0, fmt.Errorf("ms: want a number from 0 to 60000, not %q", ms)
	}
	return time.Duration(n) * time.Millisecond, nil
}

// NewRequestID is a random id, for frameworks that make none.
func NewRequestID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

var trustedProxy = netip.MustParsePrefix(TrustedProxy)

// ClientAddr is the address of the client for frameworks that leave it to their
// users: the last one in X-Forwarded-For that is not a trusted proxy's, if the
// peer is one.
func ClientAddr(peer netip.Addr, forwardedFor string) netip.Addr {
	client := peer.Unmap()
	for trustedProxy.Contains(client) && forwardedFor != "" {
		rest, last := "", forwardedFor
		if i := strings.LastIndexByte(forwardedFor, ','); i >= 0 {
			rest, last = forwardedFor[:i], forwardedFor[i+1:]
		}
		addr, err := netip.ParseAddr(strings.TrimSpace(last))
		if err != nil {
			break
		}
		client, forwardedFor = addr.Unmap(), rest
	}
	return client
}
