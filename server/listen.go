// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

// ListenAndServe listens on an address, as the server's ListenConfig says, and
// serves it:
//
//	"8080"  ":8080"           a port on all addresses
//	"127.0.0.1:8080" "[::1]:8080" "localhost:8080"
//	"/run/app.sock"  "./app.sock"  "unix:app.sock"   a Unix socket
//	"@app"  "unix:@app"       an abstract Unix socket, on Linux
//	"systemd:"  "systemd:web" a socket that was passed, see ListenersFromEnv
//	"fd:3"                    the listening socket that is descriptor 3
//	""                        ":80"
func (s *HTTPServer) ListenAndServe(addr string) error {
	if err := s.prepare(); err != nil {
		return err
	}
	l, err := s.ListenConfig.listen(addr, "80")
	if err != nil {
		return err
	}
	return s.Serve(l)
}

// ListenAndServeTLS is ListenAndServe with TLS, "" meaning ":443".
func (s *HTTPServer) ListenAndServeTLS(addr, certFile, keyFile string) error {
	if err := s.prepare(); err != nil {
		return err
	}
	l, err := s.ListenConfig.listen(addr, "443")
	if err != nil {
		return err
	}
	return s.ServeTLS(l, certFile, keyFile)
}

// Listen opens a listener on an address in one of the forms of ListenAndServe;
// defaultPort is used where addr is empty. A Unix socket that was left behind by
// a process that is gone is replaced; one that somebody answers on is an error.
func Listen(addr, defaultPort string) (net.Listener, error) {
	return (&ListenConfig{}).listen(addr, defaultPort)
}

// address is where to listen, taken apart.
type address struct {
	kind addressKind
	text string // host:port, path, abstract name with its "@", name of a socket, or descriptor
}

type addressKind uint8

const (
	tcpAddress addressKind = iota
	unixAddress
	abstractAddress
	systemdAddress
	descriptorAddress
)

func parseAddress(addr, defaultPort string) (address, error) {
	if strings.IndexByte(addr, 0) >= 0 {
		return address{}, fmt.Errorf("server: address %q has a NUL", addr)
	}
	if name, ok := strings.CutPrefix(addr, "systemd:"); ok {
		return address{systemdAddress, name}, nil
	}
	if number, ok := strings.CutPrefix(addr, "fd:"); ok {
		return address{descriptorAddress, number}, nil
	}
	if path, ok := unixPath(addr); ok {
		switch {
		case path == "":
			return address{}, errors.New("server: address \"unix:\" names no socket")
		case path == "@":
			return address{}, fmt.Errorf("server: address %q names no abstract socket", addr)
		case path[0] == '@':
			return address{abstractAddress, path}, nil
		}
		return address{unixAddress, path}, nil
	}
	if addr == "" {
		addr = ":" + defaultPort
	} else if isPortNumber(addr) {
		addr = ":" + addr
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return address{}, fmt.Errorf("server: address %q is neither a port, host:port nor a path: %w", addr, err)
	}
	return address{tcpAddress, addr}, nil
}

func isPortNumber(addr string) bool {
	_, err := strconv.ParseUint(addr, 10, 16)
	return err == nil
}

func unixPath(addr string) (string, bool) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return path, true
	}
	return addr, strings.HasPrefix(addr, "./") || strings.HasPrefix(addr, "@") || filepath.IsAbs(addr)
}
