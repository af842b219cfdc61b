// SPDX-License-Identifier: MIT

package contract_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pleat-go/pleat/bench/contract"
)

func TestClientAddr(t *testing.T) {
	tests := []struct{ name, peer, in, want string }{
		{"no field", "127.0.0.1", "", "127.0.0.1"},
		{"one hop", "127.0.0.1", "203.0.113.7", "203.0.113.7"},
		{"the last that is not trusted", "127.0.0.1", "198.51.100.1, 203.0.113.7,127.0.0.9", "203.0.113.7"},
		{"all trusted", "127.0.0.1", "127.0.0.2, 127.0.0.3", "127.0.0.2"},
		{"a peer that is not trusted", "192.0.2.1", "203.0.113.7", "192.0.2.1"},
		{"garbage", "127.0.0.1", "203.0.113.7, x", "127.0.0.1"},
		{"garbage behind a proxy", "127.0.0.1", "x, 127.0.0.2", "127.0.0.2"},
		{"only commas", "127.0.0.1", ",,,", "127.0.0.1"},
		{"IPv4 in IPv6", "::ffff:127.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := contract.ClientAddr(netip.MustParseAddr(tt.peer), tt.in); got.String() != tt.want {
				t.Errorf("ClientAddr(%s, %q) = %s, want %s", tt.peer, tt.in, got, tt.want)
			}
		})
	}
}

func TestPause(t *testing.T) {
	tests := []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"5", 5 * time.Millisecond, true},
		{"0", 0, true},
		{"60000", time.Minute, true},
		{"60001", 0, false},
		{"-1", 0, false},
		{"", 0, false},
		{"x", 0, false},
	}
	for _, tt := range tests {
		if got, err := contract.Pause(tt.in); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("Pause(%q) = %v, %v, want %v, ok %v", tt.in, got, err, tt.want, tt.ok)
		}
	}
}

func TestNewUserCheck(t *testing.T) {
	tests := []struct {
		in contract.NewUser
		ok bool
	}{
		{contract.NewUser{Name: "Bob", Age: 42}, true},
		{contract.NewUser{Name: "Bob", Age: 0}, true},
		{contract.NewUser{Name: "Bob", Age: 150}, true},
		{contract.NewUser{Name: "", Age: 42}, false},
		{contract.NewUser{Name: "Bob", Age: -1}, false},
		{contract.NewUser{Name: "Bob", Age: 151}, false},
	}
	for _, tt := range tests {
		if err := tt.in.Check(); (err == nil) != tt.ok {
			t.Errorf("%+v: %v, want ok %v", tt.in, err, tt.ok)
		}
	}
}

func TestUsers(t *testing.T) {
	var users contract.Users
	for want := int64(1); want <= 3000; want++ {
		if got := users.Add(contract.NewUser{Name: "Bob", Age: 1}); got != (contract.User{ID: want, Name: "Bob", Age: 1}) {
			t.Fatalf("Add = %+v, want id %d", got, want)
		}
	}
}

func TestSessions(t *testing.T) {
	s := contract.NewSessions()
	cookie, err := contract.SampleCookie()
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]contract.Session{
		cookie:       contract.SampleSession,
		"":           {},
		"x" + cookie: {},
		cookie[1:]:   {},
	} {
		if got := s.Read(in); got != want {
			t.Errorf("Read(%q) = %+v, want %+v", in, got, want)
		}
	}
}

// The check must not pass a server that does nothing.
func TestCheckFails(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	check := contract.Check{URL: s.URL, Cookie: "x"}
	err := check.Run(t.Context())
	if err == nil {
		t.Fatal("a server without any route passed")
	}
	for _, path := range []string{"/hello", "/json", "/upstream", "/app/users/42", "/app/users", "/slow", "/file", "/ok", "/echo", "/len"} {
		if !strings.Contains(err.Error(), path) {
			t.Errorf("nothing was said about %s", path)
		}
	}
	if err := check.RunHello(t.Context()); err == nil {
		t.Error("RunHello: a server without /hello passed")
	}
}
