// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// acceptor takes connections from a listener without making them connections of
// package net: that would enter each into a poller it has no use for.
type acceptor struct {
	listener syscall.RawConn
	file     *os.File // the listener's socket under a number of our own
	socket   syscall.RawConn
}

// closeCheck is how often an acceptor looks whether its listener was closed by
// somebody else than the server: its own descriptor keeps the socket open.
const closeCheck = 200 * time.Millisecond

func newAcceptor(l net.Listener) (*acceptor, error) {
	a := &acceptor{}
	var err error
	if a.listener, err = l.(syscall.Conn).SyscallConn(); err != nil {
		return nil, err
	}
	// The raw connection of a listener cannot be waited on; a file can.
	if a.file, err = l.(interface{ File() (*os.File, error) }).File(); err != nil {
		return nil, err
	}
	if a.socket, err = a.file.SyscallConn(); err != nil {
		_ = a.file.Close()
		return nil, err
	}
	if l.Addr().Network() == "tcp" {
		a.setOptions()
	}
	return a, nil
}

// setOptions sets on the listener what Linux hands on to the connections it
// accepts.
func (a *acceptor) setOptions() {
	_ = a.socket.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15)
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 15)
	})
}

// accepted is a connection that nobody owns yet.
type accepted struct {
	fd   int
	addr netip.AddrPort
}

// accept waits for a connection. The error for a closed listener is net.ErrClosed.
func (a *acceptor) accept() (c accepted, err error) {
	take := func(socket uintptr) bool {
		for {
			var sa syscall.Sockaddr
			c.fd, sa, err = syscall.Accept4(int(socket), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			switch {
			case err == syscall.EAGAIN:
				return false
			case err == syscall.EINTR, ofOneConnection(err):
				continue
			case err == nil:
				c.addr = addrPortOf(sa)
			}
			return true
		}
	}
	// Connections may come faster than the deadline, so this is looked at each time.
	for a.listener.Control(func(uintptr) {}) == nil {
		_ = a.file.SetReadDeadline(time.Now().Add(closeCheck))
		waited := a.socket.Read(take)
		switch {
		case waited == nil && err == nil:
			return c, nil
		case waited == nil:
			return accepted{}, os.NewSyscallError("accept4", err)
		case !errors.Is(waited, os.ErrDeadlineExceeded):
			return accepted{}, net.ErrClosed
		}
	}
	return accepted{}, net.ErrClosed
}

// ofOneConnection reports errors of accept4 that are not the listener's: Linux
// passes on what has befallen the connection that was next, which is gone then.
func ofOneConnection(err error) bool {
	switch err {
	case syscall.ECONNABORTED, syscall.ENETDOWN, syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EHOSTDOWN,
		syscall.ENONET, syscall.EHOSTUNREACH, syscall.ENETUNREACH:
		return true
	}
	return false
}

// passing reports errors of accept4 that say what the system lacks at the moment.
func passing(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM: // the last by a firewall
		return true
	}
	return false
}

func (a *acceptor) close() { _ = a.file.Close() }

func addrPortOf(sa syscall.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
