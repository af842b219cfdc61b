// SPDX-License-Identifier: MIT

package main

import (
	"net/http"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/render"
)

// frame is what the layout shows around every page.
type frame struct {
	User      string // "" when nobody is logged in
	RequestID string
}

func newFrame(c *pleat.Context) frame {
	return frame{User: currentUser(c), RequestID: c.RequestID()}
}

// visitsCookie is signed: visitors can read how often they came, but not change it.
const visitsCookie = "visits"

func home(c *pleat.Context) error {
	// Absent, expired, from before a restart or forged: to this page that is all
	// the same, a first visit.
	visits := 0
	if err := c.SecureCookie(visitsCookie, &visits); err != nil {
		visits = 0
	}
	visits++
	if err := c.SetSecureCookie(visitsCookie, visits); err != nil {
		return err
	}
	return c.Render(http.StatusOK, "home", struct {
		frame
		Visits int
	}{newFrame(c), visits})
}

// boom shows what becomes of a panic.
func boom(*pleat.Context) error { panic("the boiler has burst") }

// answerError makes the answer for every error that comes out of a handler: a page
// for browsers, and for all others what pleat makes of it (problem details or
// text). The cause has been logged by then; no visitor gets to see it.
func answerError(c *pleat.Context, err error) error {
	if !wantsPage(c) {
		return c.AnswerError(err)
	}
	problem := c.Problem(err)
	if problem.Detail == "" {
		problem.Detail = explanations[problem.Status]
	}
	if err := c.SetHeader("Cache-Control", "no-store"); err != nil {
		return err
	}
	return c.Render(problem.Status, "error", struct {
		frame
		Problem pleat.Problem
	}{newFrame(c), problem})
}

var explanations = map[int]string{
	http.StatusNotFound:            "There is no page at this address.",
	http.StatusInternalServerError: "That is our mistake, not yours. It has been written down.",
	http.StatusBadGateway:          "We had to ask another service, and it could not help.",
	http.StatusGatewayTimeout:      "We had to ask another service, and it took too long.",
}

// wantsPage tells browsers, which accept HTML by name, from programs.
func wantsPage(c *pleat.Context) bool {
	return c.Accepts(render.ContentTypeJSON, render.ContentTypeHTML) == render.ContentTypeHTML
}

// noStore is a middleware: it keeps answers out of all caches.
func noStore(next pleat.Handler) pleat.Handler {
	return func(c *pleat.Context) error {
		if err := c.SetHeader("Cache-Control", "no-store"); err != nil {
			return err
		}
		return next(c)
	}
}

// secured is a middleware: it tells browsers that pages have no scripts, load
// nothing from elsewhere and are in no frame.
func secured(next pleat.Handler) pleat.Handler {
	const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	return func(c *pleat.Context) error {
		if err := c.SetHeader("Content-Security-Policy", policy); err != nil {
			return err
		}
		if err := c.SetHeader("X-Content-Type-Options", "nosniff"); err != nil {
			return err
		}
		return next(c)
	}
}
