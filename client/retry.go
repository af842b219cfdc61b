// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	retryBase       = 50 * time.Millisecond
	retryCap        = 2 * time.Second
	retryAfterLimit = 30 * time.Second
)

// retryBudget keeps retries below a fifth of the calls: a call earns one unit, a retry costs five. A reserve of ten
// retries is there from the start and is the most that can be saved up.
type retryBudget struct {
	spent atomic.Int64 // units below the full reserve
}

const (
	retryCost    = 5
	retryReserve = 10 * retryCost
)

func (b *retryBudget) earn() {
	for {
		n := b.spent.Load()
		if n <= 0 || b.spent.CompareAndSwap(n, n-1) {
			return
		}
	}
}

func (b *retryBudget) take() bool {
	for {
		n := b.spent.Load()
		if n+retryCost > retryReserve {
			return false
		}
		if b.spent.CompareAndSwap(n, n+retryCost) {
			return true
		}
	}
}

// allowedRetries is how often the call may be tried again.
func (x *exchange) allowedRetries() int {
	if x.call.retries != 0 {
		return max(x.call.retries, 0)
	}
	return x.set.Retries
}

// checkRetries refuses a call that was told to repeat a body which cannot be repeated: better now than at the second try.
func (x *exchange) checkRetries() error {
	if x.body != nil && x.body.once && x.call.retries > 0 {
		return ErrNotReplayable
	}
	return nil
}

// idempotent reports whether the request may be sent twice (RFC 9110 §9.2.2).
func (x *exchange) idempotent() bool {
	switch x.request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete, "QUERY":
		return true
	}
	return x.call.idempotent
}

// send makes the request of the current hop, and makes it again as far as that is allowed and worth while.
func (x *exchange) send() error {
	retries := x.allowedRetries()
	if retries == 0 || x.body != nil && x.body.once {
		return x.attempt()
	}
	x.set.retries.earn()
	for tries := 0; ; tries++ {
		err := x.attempt()
		if tries == retries || !x.worthRetrying(err) {
			return err
		}
		wait := rand.N(min(retryCap, retryBase<<min(tries, 10)))
		if x.res != nil {
			if after, ok := retryAfter(x.res.Header.Get("Retry-After"), time.Now()); ok {
				wait = after
			}
		}
		if !x.mayWait(wait) || !x.set.retries.take() {
			return err
		}
		if x.res != nil {
			drain(x.res.Body, x.res.ContentLength)
		}
		if err := sleep(x.ctx, wait); err != nil {
			return err
		}
	}
}

// worthRetrying decides from what came of an attempt.
func (x *exchange) worthRetrying(err error) bool {
	if err == nil {
		switch x.res.StatusCode {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return x.idempotent()
		}
		return false
	}
	if x.ctx.Err() != nil || errors.Is(err, ErrMalformed) || errors.Is(err, ErrForbiddenAddress) {
		return false
	}
	var limit *LimitError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	if errors.As(err, &limit) || errors.As(err, &cert) || errors.As(err, &dns) && dns.IsNotFound {
		return false
	}
	var e *Error
	if errors.As(err, &e) && e.Phase == PhaseConnect {
		return true // nothing was sent
	}
	return x.idempotent()
}

// mayWait reports whether a wait leaves any of the call's time, and is not beyond what a server may ask for.
func (x *exchange) mayWait(d time.Duration) bool {
	if d > retryAfterLimit {
		return false
	}
	deadline, ok := x.ctx.Deadline()
	return !ok || d < time.Until(deadline)
}

// retryAfter reads both forms of Retry-After (RFC 9110 §10.2.3).
func retryAfter(v string, now time.Time) (time.Duration, bool) {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseUint(v, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	return max(t.Sub(now), 0), true
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return contextErr(ctx)
	}
}
