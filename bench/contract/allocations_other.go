// SPDX-License-Identifier: MIT

//go:build !unix

package contract

// reportAllocations does nothing where there is no SIGUSR1.
func reportAllocations() {}
