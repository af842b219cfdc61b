// SPDX-License-Identifier: MIT

// Package servers holds the benchmark servers, a program each, and the test that
// all of them keep the contract.
package servers
