// SPDX-License-Identifier: MIT

package pleat_test

import (
	"io"
	"log"
	"net/netip"
)

var (
	testIP  = netip.MustParseAddr("192.0.2.7")
	nullLog = log.New(io.Discard, "", 0)
)
