// SPDX-License-Identifier: MIT

//go:build !unix

package server

import "net"

const canInherit = false

func keepFromChildren(int) error           { return errNoInheriting }
func checkListening(int) error             { return errNoInheriting }
func listenerOf(int) (net.Listener, error) { return nil, errNoInheriting }
