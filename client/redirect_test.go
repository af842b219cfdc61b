// SPDX-License-Identifier: MIT

package client_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pleat-go/pleat/client"
)

var quiet = log.New(io.Discard, "", 0)

func TestRedirectMethod(t *testing.T) {
	r := newRig(t)
	c := r.client(t, nil)
	tests := []struct {
		method string
		status int
		want   string // method, body length, Content-Type present
	}{
		{"POST", 301, "GET 0 no"},
		{"POST", 302, "GET 0 no"},
		{"POST", 303, "GET 0 no"},
		{"POST", 307, "POST 3 yes"},
		{"POST", 308, "POST 3 yes"},
		{"PUT", 301, "PUT 3 yes"},
		{"PUT", 302, "PUT 3 yes"},
		{"PUT", 303, "GET 0 no"},
		{"PUT", 307, "PUT 3 yes"},
		{"PUT", 308, "PUT 3 yes"},
		{"QUERY", 301, "QUERY 3 yes"},
		{"QUERY", 302, "QUERY 3 yes"},
		{"QUERY", 303, "GET 0 no"},
		{"HEAD", 301, "HEAD 0 no"},
		{"HEAD", 302, "HEAD 0 no"},
		{"HEAD", 303, "HEAD 0 no"},
		{"DELETE", 302, "DELETE 3 yes"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.method, " ", tt.status), func(t *testing.T) {
			h := c.Call(tt.method, r.A+to(tt.status, "/land"))
			if tt.method != "HEAD" {
				h.With(client.WithBytes("application/x-www-form-urlencoded", []byte("a=1")),
					client.WithHeader("Content-Encoding", "identity"))
			}
			res, err := h.Do()
			if err != nil {
				t.Fatal(err)
			}
			defer res.Close()
			got := r.landed(t)
			has := "no"
			if got.Header.Get("Content-Type") != "" {
				has = "yes"
			}
			if s := fmt.Sprint(got.Method, " ", len(got.Body), " ", has); s != tt.want {
				t.Errorf("target saw %q, want %q", s, tt.want)
			}
			if strings.HasPrefix(tt.want, "GET") && got.Header.Get("Content-Encoding") != "" {
				t.Errorf("Content-Encoding was sent on without a body")
			}
			if res.Status != 200 || len(res.History) != 1 || res.History[0].Status != tt.status || res.Attempts != 2 {
				t.Errorf("status %d, history %+v, attempts %d", res.Status, res.History, res.Attempts)
			}
		})
	}
}

func TestRedirectFinal(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct {
		name, path string
		max        int
		opts       []client.CallOption
		want       int
	}{
		{name: "300", path: to(300, "/land"), want: 300},
		{name: "304", path: to(304, "/land"), want: 304},
		{name: "no Location", path: to(302, ""), want: 302},
		{name: "none by field", path: to(302, "/land"), max: -1, want: 302},
		{name: "none by option", path: to(302, "/land"), opts: []client.CallOption{client.WithMaxRedirects(0)}, want: 302},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := r.client(t, &client.HTTPClient{MaxRedirects: tt.max})
			res, err := c.Get(r.A+tt.path, tt.opts...).Do()
			if err != nil {
				t.Fatal(err)
			}
			defer res.Close()
			if res.Status != tt.want || len(res.History) != 0 || len(r.recorded()) != 0 {
				t.Errorf("status %d, %d hops", res.Status, len(res.History))
			}
		})
	}
}

var secrets = []client.CallOption{
	client.WithHeader("Authorization", "Bearer s3cret"),
	client.WithHeader("Cookie", "sid=1"),
	client.WithHeader("Proxy-Authorization", "Basic x"),
	client.WithHeader("X-Api-Key", "k"),
}

func TestRedirectCredentials(t *testing.T) {
	r := newRig(t)
	c := r.client(t, nil)
	otherPort := r.B + "/land"
	tests := []struct {
		name, url string
		want      string
		dropped   string // at the first hop
		err       error
	}{
		{
			name: "same origin", url: r.A + to(302, "/land"),
			want: "Authorization Cookie X-Api-Key", dropped: "Proxy-Authorization",
		},
		{name: "other port", url: r.A + to(302, otherPort), dropped: "Authorization Cookie Proxy-Authorization X-Api-Key"},
		{name: "other host", url: r.A + to(302, r.Other+"/land"), dropped: "Authorization Cookie Proxy-Authorization X-Api-Key"},
		{
			name: "A B B", url: r.A + to(302, r.Other+to(302, "/land")),
			dropped: "Authorization Cookie Proxy-Authorization X-Api-Key",
		},
		{
			name: "A B A", url: r.A + to(302, r.Other+to(302, r.A+"/land")),
			dropped: "Authorization Cookie Proxy-Authorization X-Api-Key",
		},
		{name: "https to http", url: r.S + to(302, r.A+"/land"), err: client.ErrInsecureRedirect},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := r.hitCount("A")
			res, err := c.Get(tt.url, secrets...).Do()
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if tt.err != nil {
				if r.hitCount("A") != before {
					t.Errorf("A got a request")
				}
				if res == nil || res.Status != 302 {
					t.Errorf("the answer that was not followed is missing: %+v", res)
				}
				return
			}
			defer res.Close()
			got := r.landed(t)
			if s := strings.Join(secretsIn(got.Header), " "); s != tt.want {
				t.Errorf("target saw %q, want %q", s, tt.want)
			}
			if s := strings.Join(res.History[0].Dropped, " "); s != tt.dropped {
				t.Errorf("Dropped = %q, want %q", s, tt.dropped)
			}
		})
	}
}

func secretsIn(h http.Header) []string {
	var found []string
	for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"} {
		if h.Get(name) != "" {
			found = append(found, name)
		}
	}
	return found
}

// TestRedirectOrigins uses hosts that no resolver knows, so the wire is a function.
func TestRedirectOrigins(t *testing.T) {
	for _, tt := range []struct {
		name, from, to string
		keeps          bool
	}{
		{"same", "http://example.com/", "http://example.com/x", true},
		{"capitals, trailing dot, default port", "http://example.com/", "http://EXAMPLE.com.:80/x", true},
		{"https default port", "https://example.com:443/", "https://example.com/x", true},
		{"upgrade", "http://example.com/", "https://example.com/x", true},
		{"upgrade with ports", "http://example.com:80/", "https://example.com:443/x", true},
		{"upgrade to other port", "http://example.com/", "https://example.com:8443/x", false},
		{"upgrade from other port", "http://example.com:8080/", "https://example.com/x", false},
		{"upgrade of other host", "http://example.com/", "https://www.example.com/x", false},
		{"subdomain", "https://example.com/", "https://www.example.com/x", false},
		{"parent", "https://www.example.com/", "https://example.com/x", false},
		{"IDNA", "https://bücher.example/", "https://xn--bcher-kva.example/x", true},
		{"IPv6 spelling", "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/x", true},
		{"IPv6 other", "http://[::1]/", "http://[::2]/x", false},
		{"IPv6 zone", "http://[fe80::1]/", "http://[fe80::1%25eth0]/x", false},
		{"IPv6 zone that looks like a domain", "https://www.example.com/", "https://[::1%25.www.example.com]/x", false},
		{"IPv6 and IPv4", "http://127.0.0.1/", "http://[::ffff:127.0.0.1]/x", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var last http.Header
			c := client.HTTPClient{Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
				last = q.Header
				if !strings.HasSuffix(q.URL.Path, "x") {
					return answer(q, 302, "", "Location", tt.to), nil
				}
				return answer(q, 200, "ok"), nil
			})}
			if _, err := c.Get(tt.from, client.WithBearer("t"), client.WithHeader("X-Api-Key", "k")).Bytes(); err != nil {
				t.Fatal(err)
			}
			if kept := last.Get("Authorization") != "" && last.Get("X-Api-Key") != ""; kept != tt.keeps {
				t.Errorf("kept = %v, want %v", kept, tt.keeps)
			}
			if !tt.keeps && len(secretsIn(last)) > 0 {
				t.Errorf("leaked %v", secretsIn(last))
			}
		})
	}
}

func TestRedirectSafeList(t *testing.T) {
	r := newRig(t)
	c := r.client(t, &client.HTTPClient{CrossOriginHeaders: []string{"x-trace", "Authorization"}})
	opts := append(slices.Clone(secrets), client.WithHeader("X-Trace", "1"), client.WithHeader("Accept", "a/b"),
		client.WithHeader("Accept-Language", "de"), client.WithHeader("User-Agent", "me"), client.WithHeader("Range", "bytes=0-"),
		client.WithHeader("If-None-Match", `"x"`), client.WithHeader("Referer", "http://private/"), client.WithHeader("Origin", "http://o"))
	res, err := c.Get(r.A+to(302, r.Other+"/land"), opts...).Do()
	if err != nil {
		t.Fatal(err)
	}
	defer res.Close()
	h := r.landed(t).Header
	for name, want := range map[string]string{
		"X-Trace": "1", "Authorization": "Bearer s3cret", "Accept": "a/b", "Accept-Language": "de", "User-Agent": "me",
		"Range": "bytes=0-", "If-None-Match": "", "Referer": "", "Origin": "", "Cookie": "", "Proxy-Authorization": "", "X-Api-Key": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"Cookie", "proxy-authorization", "no token"} {
		if err := (&client.HTTPClient{CrossOriginHeaders: []string{name}}).Validate(); !errors.Is(err, client.ErrConfig) {
			t.Errorf("CrossOriginHeaders %q: %v, want ErrConfig", name, err)
		}
	}
}

func TestRedirectRefererAndBody(t *testing.T) {
	r := newRig(t)
	c := r.client(t, nil)
	if _, err := c.Get(r.A + "/to?token=SECRET&l=" + url.QueryEscape(r.Other+"/land")).Bytes(); err != nil {
		t.Fatal(err)
	}
	if got := r.landed(t); got.Header.Get("Referer") != "" {
		t.Errorf("Referer %q", got.Header.Get("Referer"))
	}
	form := client.WithForm(url.Values{"secret": {"1"}})
	if _, err := c.Post(r.A+to(307, r.Other+"/land"), form).Bytes(); err != nil {
		t.Fatal(err)
	}
	if got := r.landed(t); got.Method != "POST" || got.Body != "secret=1" {
		t.Errorf("target saw %s %q", got.Method, got.Body)
	}

	guarded := tidy(t, &client.HTTPClient{
		PublicOnly: true, AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		AllowPorts: ports(t, r.A, r.B),
	})
	if _, err := guarded.Post(r.A+to(307, r.B+"/land"), form).Bytes(); !errors.Is(err, client.ErrBodyCrossOrigin) {
		t.Errorf("error %v, want ErrBodyCrossOrigin", err)
	}
	if got := r.recorded(); len(got) != 0 {
		t.Errorf("target saw %+v", got)
	}
	if _, err := guarded.Post(r.A+to(307, "/land"), form).Bytes(); err != nil {
		t.Errorf("same origin: %v", err)
	}
}

func ports(t *testing.T, addresses ...string) []uint16 {
	t.Helper()
	var all []uint16
	for _, a := range addresses {
		u, err := url.Parse(a)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, uint16(n))
	}
	return all
}

func TestRedirectOddLocation(t *testing.T) {
	r := newRig(t)
	c := r.client(t, nil)
	withUser := strings.Replace(r.A, "http://", "http://user:pass@", 1)
	for _, tt := range []struct {
		name, path string
		want       error // nil: followed
	}{
		{"loop", "/loop", client.ErrRedirectLoop},
		{"ftp", to(302, "ftp://127.0.0.1/x"), client.ErrURL},
		{"file", to(302, "file:///etc/passwd"), client.ErrURL},
		{"javascript", to(302, "javascript:alert(1)"), client.ErrURL},
		{"bad host and escape", to(302, "http://exa mple/%zz"), client.ErrURL},
		{"no host", to(302, "http:///x"), client.ErrURL},
		{"no slashes", to(302, "http:x"), client.ErrURL},
		{"port 0", to(302, "http://127.0.0.1:0/"), client.ErrURL},
		{"port too large", to(302, "http://127.0.0.1:65536/"), client.ErrURL},
		{"bracketed name", to(302, "http://[localhost]/"), client.ErrURL},
		{"two Locations", to(302, "/land") + "&l=/other", client.ErrURL},
		{"equal Locations", to(302, "/land") + "&l=/land", nil},
		{"user and password", to(302, withUser+"/land"), nil},
		{"scheme relative", to(302, strings.TrimPrefix(r.A, "http:")+"/land"), nil},
		{"relative", to(302, "land"), nil},
		{"dot segments", to(302, "../../x/../land"), nil},
		{"query with spaces and quotes", to(302, `/land?a b="<ü>`), nil},
		{"bad escape in query", to(302, "/land?%zz"), client.ErrURL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.recorded()
			res, err := c.Get(r.A + tt.path).Do()
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if res == nil {
				t.Fatal("no response")
			}
			defer res.Close()
			if tt.want == nil {
				if got := r.landed(t); got.Header.Get("Authorization") != "" {
					t.Errorf("Authorization %q", got.Header.Get("Authorization"))
				}
				return
			}
			var re *client.RedirectError
			var ce *client.Error
			if !errors.As(err, &re) || re.Last != res || res.Status != 302 || !errors.As(err, &ce) || ce.Phase != client.PhaseRedirect {
				t.Errorf("error %#v, status %d", err, res.Status)
			}
			if _, err := res.Bytes(); !errors.Is(err, client.ErrBodyClosed) {
				t.Errorf("Bytes of the last answer: %v, want ErrBodyClosed", err)
			}
			if n := len(r.recorded()); n > 2 {
				t.Errorf("%d requests, want at most 2", n)
			}
		})
	}
}

func TestRedirectLimits(t *testing.T) {
	n := 0
	count := roundTrip(func(q *http.Request) (*http.Response, error) {
		n++
		return answer(q, 302, "more", "Location", "/"+strconv.Itoa(n)), nil
	})
	for _, tt := range []struct {
		name string
		max  int
		opts []client.CallOption
		want int
	}{
		{name: "default", want: 6},
		{name: "field", max: 2, want: 3},
		{name: "option", opts: []client.CallOption{client.WithMaxRedirects(9)}, want: 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n = 0
			c := client.HTTPClient{Transport: count, MaxRedirects: tt.max}
			res, err := c.Get("http://h/", tt.opts...).Do()
			var re *client.RedirectError
			if !errors.Is(err, client.ErrTooManyRedirects) || !errors.As(err, &re) || re.Hops != tt.want-1 || res != re.Last {
				t.Errorf("error %v", err)
			}
			if n != tt.want {
				t.Errorf("%d requests, want %d", n, tt.want)
			}
		})
	}
}

func TestRedirectBodyCannotBeSentAgain(t *testing.T) {
	r := newRig(t)
	c := r.client(t, nil)
	once := func() client.CallOption {
		return client.WithBody("text/plain", io.MultiReader(strings.NewReader("abc")))
	}
	res, err := c.Post(r.A+to(307, "/land"), once()).Do()
	if !errors.Is(err, client.ErrNotReplayable) || res == nil || res.Status != 307 {
		t.Errorf("%v, %+v", err, res)
	}
	if _, err := c.Post(r.A+to(303, "/land"), once()).Bytes(); err != nil {
		t.Errorf("303 needs no body: %v", err)
	}
}

func TestRedirectHostAndFragment(t *testing.T) {
	r := newRig(t)
	c := r.client(t, nil)
	res, err := c.Get(r.A+to(302, "/land")+"#part", client.WithHost("virtual.example")).Do()
	if err != nil {
		t.Fatal(err)
	}
	res.Close()
	if got := r.landed(t); got.Host != "virtual.example" || res.URL.Fragment != "part" {
		t.Errorf("relative Location: Host %q, fragment %q", got.Host, res.URL.Fragment)
	}
	if res, err = c.Get(r.A+to(302, r.A+"/land#new")+"#part", client.WithHost("virtual.example")).Do(); err != nil {
		t.Fatal(err)
	}
	res.Close()
	if got := r.landed(t); got.Host == "virtual.example" || res.URL.Fragment != "new" {
		t.Errorf("absolute Location: Host %q, fragment %q", got.Host, res.URL.Fragment)
	}
}

func TestRedirectDowngradeAllowed(t *testing.T) {
	r := newRig(t)
	c := r.client(t, &client.HTTPClient{AllowDowngrade: true})
	if _, err := c.Get(r.S+to(302, r.A+"/land"), secrets...).Bytes(); err != nil {
		t.Fatal(err)
	}
	if got := secretsIn(r.landed(t).Header); len(got) != 0 {
		t.Errorf("leaked %v", got)
	}
}

// TestRedirectCredentialsField checks that Credentials follow their origin, whatever the path that led there.
func TestRedirectCredentialsField(t *testing.T) {
	r := newRig(t)
	c := r.client(t, &client.HTTPClient{Credentials: []client.Credentials{
		{Origin: r.A, Token: "a"}, {Origin: r.Other, User: "u", Password: "p"},
	}})
	for _, tt := range []struct{ name, url, want string }{
		{"direct", r.A + "/land", "Bearer a"},
		{"to the other", r.A + to(302, r.Other+"/land"), "Basic dTpw"},
		{"and back", r.A + to(302, r.Other+to(302, r.A+"/land")), "Bearer a"},
		{"to a third", r.A + to(302, r.B+"/land"), ""},
		{"from a third", r.B + to(302, r.A+"/land"), "Bearer a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := c.Get(tt.url).Bytes(); err != nil {
				t.Fatal(err)
			}
			if got := r.landed(t).Header.Get("Authorization"); got != tt.want {
				t.Errorf("Authorization %q, want %q", got, tt.want)
			}
		})
	}
	if _, err := c.Get(r.A+"/land", client.WithBearer("mine")).Bytes(); err != nil {
		t.Fatal(err)
	}
	if got := r.landed(t).Header.Get("Authorization"); got != "Bearer mine" {
		t.Errorf("Authorization of the call is %q", got)
	}
	if _, err := c.Get(r.A+"/land", client.WithHeader("Authorization")).Bytes(); err != nil {
		t.Fatal(err)
	}
	if got := r.landed(t).Header.Get("Authorization"); got != "" {
		t.Errorf("Authorization taken off by the call is %q", got)
	}
}

func TestRedirectCookies(t *testing.T) {
	r := newRig(t)
	c := r.client(t, &client.HTTPClient{Jar: client.NewJar()})
	// The cookie of a 3xx answer is there on the next hop, and replaces the caller's of the same name.
	if _, err := c.Get(r.A+to(302, "/land")+"&c="+url.QueryEscape("sid=new; Path=/"),
		client.WithCookie("sid", "old"), client.WithCookie("own", "1")).Bytes(); err != nil {
		t.Fatal(err)
	}
	if got := r.landed(t).Header.Get("Cookie"); got != "own=1; sid=new" {
		t.Errorf("Cookie %q", got)
	}
	// Cookies know no ports (RFC 6265 §8.5), hosts they do. The caller's stays at home.
	if _, err := c.Get(r.A+to(302, r.Other+"/land"), client.WithCookie("own", "1")).Bytes(); err != nil {
		t.Fatal(err)
	}
	if got := r.landed(t).Header.Get("Cookie"); got != "" {
		t.Errorf("Cookie at another host %q", got)
	}
	// A loop through a new cookie is none.
	n := 0
	j := client.HTTPClient{Jar: client.NewJar(), Transport: roundTrip(func(q *http.Request) (*http.Response, error) {
		n++
		if _, err := q.Cookie("consent"); err != nil {
			return answer(q, 302, "", "Location", "/", "Set-Cookie", "consent=1"), nil
		}
		return answer(q, 200, "in"), nil
	})}
	if s, err := j.Get("http://h.example/").Text(); err != nil || s != "in" || n != 2 {
		t.Errorf("%q, %v after %d requests", s, err, n)
	}
}
