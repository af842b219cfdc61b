// SPDX-License-Identifier: MIT

package server

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// acceptor takes connections from a listener without making them connections of
// package net: that would enter each into a poller it has no use for.
type acceptor struct {
	listener syscall.RawConn
	file     *os.File // the listener's socket under a number of our own
	socket   syscall.RawConn
	tcp      *tcpOptions // nil for Unix sockets
	// emptied says that no connection waits any more that came before the listener
	// had its options: at the start of the process, or of the server, some may.
	emptied bool
	woken   atomic.Bool
}

// closeCheck is how often an acceptor looks whether its listener was closed by
// somebody else than the server: its own descriptor keeps the socket open.
const closeCheck = 200 * time.Millisecond

func newAcceptor(l *openListener) (*acceptor, error) {
	a := &acceptor{}
	var err error
	if a.listener, err = l.SyscallConn(); err != nil {
		return nil, err
	}
	// The raw connection of a listener cannot be waited on; a file can.
	if a.file, err = l.File(); err != nil {
		return nil, err
	}
	if a.socket, err = a.file.SyscallConn(); err != nil {
		_ = a.file.Close()
		return nil, err
	}
	if l.Addr().Network() == "tcp" {
		a.tcp = l.tcp
		if a.tcp == nil { // what package net does
			a.tcp = &tcpOptions{keepAlive: net.KeepAliveConfig{Enable: true}}
		}
		_ = a.socket.Control(func(fd uintptr) { a.tcp.set(int(fd)) })
	}
	return a, nil
}

// keepAlivePause is what package net has for both pauses of keep-alive, and
// keepAliveCount how often it asks.
const (
	keepAlivePause = 15 * time.Second
	keepAliveCount = 9
)

// set sets the options of a socket. Linux hands on those of a listener to the
// connections it accepts.
func (o *tcpOptions) set(fd int) {
	set := func(level, option, value int) { _ = syscall.SetsockoptInt(fd, level, option, value) }
	// As net.KeepAliveConfig has it: zero is the default, negative leaves alone.
	tcp := func(option, value, def int) {
		if value == 0 {
			value = def
		}
		if value > 0 {
			set(syscall.IPPROTO_TCP, option, value)
		}
	}
	set(syscall.IPPROTO_TCP, syscall.TCP_NODELAY, asInt(!o.nagle))
	set(syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, asInt(o.keepAlive.Enable))
	if o.keepAlive.Enable {
		tcp(syscall.TCP_KEEPIDLE, seconds(o.keepAlive.Idle), seconds(keepAlivePause))
		tcp(syscall.TCP_KEEPINTVL, seconds(o.keepAlive.Interval), seconds(keepAlivePause))
		tcp(syscall.TCP_KEEPCNT, o.keepAlive.Count, keepAliveCount)
	}
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// seconds rounds up, as package net does, and keeps the sign.
func seconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int((d + time.Second - 1) / time.Second)
}

// accepted is a connection that nobody owns yet.
type accepted struct {
	fd   int
	addr netip.AddrPort
}

// take accepts a connection that waits, with EAGAIN when there is none.
func (a *acceptor) take(socket uintptr) (accepted, error) {
	for {
		fd, sa, err := syscall.Accept4(int(socket), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		switch {
		case err == syscall.EINTR, ofOneConnection(err):
			continue
		case err == syscall.EAGAIN:
			a.emptied = true
			return accepted{}, err
		case err != nil:
			return accepted{}, os.NewSyscallError("accept4", err)
		}
		if !a.emptied && a.tcp != nil {
			a.tcp.set(fd)
		}
		return accepted{fd, addrPortOf(sa)}, nil
	}
}

// accept waits for a connection. The error for a closed listener is net.ErrClosed.
func (a *acceptor) accept() (c accepted, err error) {
	// Connections may come faster than the deadline, so this is looked at each time.
	for a.open() {
		_ = a.file.SetReadDeadline(time.Now().Add(closeCheck))
		if a.woken.Load() { // before that deadline was set
			return accepted{}, ErrServerClosed
		}
		waited := a.socket.Read(func(socket uintptr) bool {
			c, err = a.take(socket)
			return err != syscall.EAGAIN
		})
		switch {
		case waited == nil:
			return c, err
		case !errors.Is(waited, os.ErrDeadlineExceeded):
			return accepted{}, net.ErrClosed
		}
	}
	return accepted{}, net.ErrClosed
}

// open reports whether nobody has closed the listener.
func (a *acceptor) open() bool { return a.listener.Control(func(uintptr) {}) == nil }

func (a *acceptor) wake() {
	a.woken.Store(true)
	_ = a.file.SetReadDeadline(longAgo)
}

func (a *acceptor) acceptWaiting() (c accepted, err error) {
	if !a.open() {
		return accepted{}, net.ErrClosed
	}
	if failed := a.socket.Control(func(socket uintptr) { c, err = a.take(socket) }); failed != nil {
		return accepted{}, failed
	}
	return c, err
}

func (a *acceptor) refuse(c accepted) { _ = syscall.Close(c.fd) }

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

// passes reports errors of accept4 that say what the system lacks at the moment.
func (a *acceptor) passes(err error) bool {
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
