// SPDX-License-Identifier: MIT

//go:build !unix

package server

import (
	"context"
	"os"
	"os/exec"
)

func startSuccessor(context.Context, *exec.Cmd, []NamedListener) error { return errNoInheriting }
func readyPipe(string) (*os.File, error)                               { return nil, errNoInheriting }
