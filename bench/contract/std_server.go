// SPDX-License-Identifier: MIT

package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// ServeHTTP serves a handler on net/http's server with the timeouts its
// documentation asks for. Frameworks on net/http set no Server field; it is added
// for them.
func ServeHTTP(o Options, name string, h http.Handler) error {
	l, err := o.Listen()
	if err != nil {
		return err
	}
	value := []string{name}
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Server"] = value
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: HeaderTimeout,
		IdleTimeout:       IdleTimeout,
		MaxHeaderBytes:    MaxHeader,
	}
	return s.Serve(l)
}

// Upstream asks for JSON with net/http's client. Frameworks without a client of
// their own use it.
type Upstream struct {
	url    string
	client *http.Client
}

// NewUpstream makes the client for a URL.
func NewUpstream(url string) *Upstream {
	return &Upstream{url, &http.Client{
		Transport: &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512, IdleConnTimeout: 90 * time.Second},
		Timeout:   30 * time.Second,
	}}
}

// Get makes the call.
func (u *Upstream) Get(ctx context.Context) (m Message, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url, nil)
	if err != nil {
		return m, err
	}
	resp, err := u.client.Do(q)
	if err != nil {
		return m, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return m, fmt.Errorf("upstream: %s", resp.Status)
	}
	return m, json.NewDecoder(resp.Body).Decode(&m)
}
