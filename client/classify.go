// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// classify says what an error of RoundTrip means. net/http gives most of them as text only; the tests over raw answers
// (hostile_test.go) hold this file to the Go release in use.
func classify(ctx context.Context, err error, headerLimit int64) (Phase, error) {
	phase := phaseOf(err)
	if cerr := contextErr(ctx); cerr != nil {
		// The transport reports the cause alone, or the broken connection that the cancellation left.
		return phase, cerr
	}
	var limit *LimitError
	if errors.As(err, &limit) {
		return phase, limit
	}
	text := err.Error()
	if strings.Contains(text, "response headers exceeded") || strings.Contains(text, "header list larger than") {
		return phase, &LimitError{What: "response header", Limit: headerLimit}
	}
	if phase == PhaseExchange && brokeHTTP(err, text) {
		return phase, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return phase, err
}

// phaseOf tells failures to connect, after which a request was certainly not sent, from all others.
func phaseOf(err error) Phase {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") {
		return PhaseConnect
	}
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	if errors.As(err, &dns) || errors.As(err, &cert) || errors.As(err, &record) ||
		strings.Contains(err.Error(), "TLS handshake timeout") || errors.Is(err, ErrForbiddenAddress) {
		return PhaseConnect
	}
	return PhaseExchange
}

// brokeHTTP tells an answer that broke the rules from a connection that broke.
func brokeHTTP(err error, text string) bool {
	var op *net.OpError
	if errors.As(err, &op) || strings.Contains(text, "http: ContentLength=") {
		return false // the network's fault, or that of our own request body
	}
	return strings.Contains(text, "malformed") || strings.Contains(text, "transport connection broken")
}

// classifyBody is classify for a failure while reading a body.
func classifyBody(ctx context.Context, err error, http1 bool) error {
	if cerr := contextErr(ctx); cerr != nil {
		return cerr
	}
	var op *net.OpError
	if errors.Is(err, io.ErrUnexpectedEOF) || http1 && !errors.As(err, &op) {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return err
}
