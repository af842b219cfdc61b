// SPDX-License-Identifier: MIT

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ListenAndServe listens on an address and serves it:
//
//	"8080"  ":8080"           a port on all addresses
//	"127.0.0.1:8080" "[::1]:8080" "localhost:8080"
//	"/run/app.sock"  "./app.sock"  "unix:app.sock"   a Unix socket
//	""                        ":80"
func (s *HTTPServer) ListenAndServe(addr string) error {
	if err := s.prepare(); err != nil {
		return err
	}
	l, err := Listen(addr, "80")
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
	l, err := Listen(addr, "443")
	if err != nil {
		return err
	}
	return s.ServeTLS(l, certFile, keyFile)
}

// Listen opens a listener on an address in one of the forms of ListenAndServe;
// defaultPort is used where addr is empty. A Unix socket that was left behind by
// a process that is gone is replaced; one that somebody answers on is an error.
func Listen(addr, defaultPort string) (net.Listener, error) {
	if path, ok := unixPath(addr); ok {
		if path == "" {
			return nil, errors.New("server: address \"unix:\" names no socket")
		}
		if err := removeStale(path); err != nil {
			return nil, err
		}
		return net.Listen("unix", path)
	}
	if addr == "" {
		addr = ":" + defaultPort
	} else if isPortNumber(addr) {
		addr = ":" + addr
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("server: address %q is neither a port, host:port nor a path: %w", addr, err)
	}
	return net.Listen("tcp", addr)
}

func isPortNumber(addr string) bool {
	_, err := strconv.ParseUint(addr, 10, 16)
	return err == nil
}

func unixPath(addr string) (string, bool) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return path, true
	}
	return addr, strings.HasPrefix(addr, "./") || filepath.IsAbs(addr)
}

// removeStale removes a socket that nobody listens on any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("server: %s exists and is no socket", path)
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(context.Background(), "unix", path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("server: %s is in use", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("server: %s: %w", path, err)
	}
	return os.Remove(path)
}
