// SPDX-License-Identifier: MIT

//go:build !unix

package server

// descriptorBound is negative: there is no limit on file descriptors to go by.
func descriptorBound() int { return -1 }
