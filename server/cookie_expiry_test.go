// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

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
				synctest.Test(t, func(t *testing.T) { // no time passes between the two
					value := mustEncode(t, k, "n", "x", append(mode.opts, WithMaxAge(tt.maxAge))...)
					s := ""
					if err := k.at(tt.at).Decode("n", value, &s); !errors.Is(err, tt.want) || (s == "x") != (tt.want == nil) {
						t.Errorf("Decode = %q, %v, want %v", s, err, tt.want)
					}
				})
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
