// SPDX-License-Identifier: MIT

package main

// The server runs in a process of its own, so that what the load leaks is not
// mistaken for its. The two talk over its standard input and output, which are no
// descriptors that come and go: a line with a command, a line of JSON for an answer.

const (
	askStats  = "stats"
	askLedger = "ledger"
	askDrain  = "drain" // shut down gracefully; answered when that is done
	askDump   = "dump"
	askFaults = "faults" // from now on do wrong what the configuration asks for
)

// report is a line of the server process: the answer to a command, or, out of turn,
// a violation.
type report struct {
	Ready     *addresses    `json:",omitempty"`
	Stats     *stats        `json:",omitempty"`
	Ledger    *serverLedger `json:",omitempty"`
	Drained   *string       `json:",omitempty"` // the error of Shutdown, if any
	Dump      string        `json:",omitempty"`
	Violation string        `json:",omitempty"`
}

// addresses are where the server listens.
type addresses struct {
	Plain, TLS, Proxy, ProxyTLS, Unix string
	Certificate                       []byte // DER
}

// serverConfig is what the server process is told when it starts.
type serverConfig struct {
	Engine   string
	Folder   string // for its socket and its files
	Upstream string // URL of the server that it calls
	Fault    string // what it is to do wrong
}
