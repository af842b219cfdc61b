// SPDX-License-Identifier: MIT

package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"strings"

	"github.com/pleat-go/pleat"
)

//go:embed page.html
var page string

// pagePolicy lets the page run its own script and style and nothing else, and talk to
// its own host.
var pagePolicy = "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" +
	"; script-src " + hashOf("script") + "; style-src " + hashOf("style")

// hashOf is the hash of an element's text, as a policy names it.
func hashOf(element string) string {
	_, rest, _ := strings.Cut(page, "<"+element+">")
	text, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func servePage(c *pleat.Context) error {
	if err := c.SetHeader("Content-Security-Policy", pagePolicy); err != nil {
		return err
	}
	return c.HTML(200, page)
}
