// SPDX-License-Identifier: MIT

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// ListenConfig says how listeners are opened, and what holds for their
// connections. The zero value is what [Listen] does. What is about TCP leaves Unix
// sockets alone and the other way round, so that one config serves for both. A
// ListenConfig may be used by several goroutines as long as nobody changes it.
type ListenConfig struct {
	// Network is "tcp4" for IPv4 only, "tcp6" for IPv6 only. Empty, and "tcp", mean
	// both where the address leaves it open: ":8080", "0.0.0.0:8080" and
	// "[::]:8080" are the same then.
	Network string
	// Backlog is how many connections may wait to be accepted. Zero means what the
	// system allows (net.core.somaxconn on Linux), which also bounds greater
	// values. A socket that was passed keeps its own with zero.
	Backlog int
	// ReusePort lets several listeners share a TCP address (SO_REUSEPORT): Linux
	// spreads new connections over them. All of them have to ask for it. When one
	// is closed, connections that wait in its backlog are lost.
	//
	// Security: any other process of the same user can listen beside it.
	ReusePort bool
	// KeepAlive is after how much silence TCP asks a peer whether it is still
	// there, and how long it waits between asking: 15 s by default, negative for
	// never. It is ignored where KeepAliveConfig is enabled. As in
	// [net.ListenConfig].
	KeepAlive time.Duration
	// KeepAliveConfig sets all of keep-alive where KeepAlive is not enough.
	KeepAliveConfig net.KeepAliveConfig
	// Nagle lets the system keep small pieces of an answer back until what was
	// sent before has been acknowledged. By default it does not (TCP_NODELAY).
	Nagle bool

	// Mode is the permission bits of a Unix socket, such as 0o660; who may write
	// may connect. The socket has them before anybody can connect. Zero: 0o777
	// less the umask.
	Mode fs.FileMode
	// Owner and Group are whose a Unix socket is, by name or number; empty leaves
	// them as the system sets them. Giving a socket away takes privileges, giving
	// it to a group of one's own does not.
	Owner, Group string

	// Proxy demands a PROXY header at the beginning of each connection. nil: there
	// is none.
	Proxy *ProxyProtocol
}

// Listen opens a listener on an address in one of the forms of
// [HTTPServer.ListenAndServe]; "" means ":80". A Unix socket that was left behind
// by a process that is gone is replaced; one that somebody answers on is an error.
//
// The listener is for HTTPServer; without Proxy it can be used anywhere. That of a
// Unix socket removes its name when it is closed, unless that has gone to another
// socket meanwhile.
func (c *ListenConfig) Listen(addr string) (net.Listener, error) { return c.listen(addr, "80") }

// ListenAll opens listeners on all addresses, or none. "systemd:" stands for all
// sockets that were passed, "systemd:web" for all of that name. Sockets that were
// passed are taken over by the first call that asks for any; that one has to ask
// for all of them, as otherwise connections would wait for ever on the others.
func (c *ListenConfig) ListenAll(addrs ...string) ([]net.Listener, error) {
	return c.listenAll("80", addrs)
}

// ListenAllTLS is ListenAll for TLS: "" means ":443".
func (c *ListenConfig) ListenAllTLS(addrs ...string) ([]net.Listener, error) {
	return c.listenAll("443", addrs)
}

// ListenNamed is ListenAll with the addresses: each listener has the one that it was
// opened for as its name. Some may have the same.
func (c *ListenConfig) ListenNamed(addrs ...string) ([]NamedListener, error) {
	return c.listenNamed("80", addrs)
}

// Wrap applies to a listener what can be applied to one that is open: Backlog,
// KeepAlive, KeepAliveConfig, Nagle and Proxy. Closing the result closes l.
func (c *ListenConfig) Wrap(l net.Listener) (net.Listener, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := c.setBacklog(l); err != nil {
		return nil, err
	}
	return c.wrap(l), nil
}

// Validate reports what is wrong with the config. A nil config is valid.
func (c *ListenConfig) Validate() error {
	if c == nil {
		return nil
	}
	var errs []error
	switch c.Network {
	case "", "tcp", "tcp4", "tcp6":
	default:
		errs = append(errs, fmt.Errorf("server: ListenConfig.Network is %q, not tcp, tcp4 or tcp6", c.Network))
	}
	if c.Backlog < 0 {
		errs = append(errs, fmt.Errorf("server: ListenConfig.Backlog is %d", c.Backlog))
	}
	if c.Mode&^fs.ModePerm != 0 {
		errs = append(errs, fmt.Errorf("server: ListenConfig.Mode is %v, more than permissions", c.Mode))
	}
	return errors.Join(append(errs, c.Proxy.Validate())...)
}

func (c *ListenConfig) listen(addr, defaultPort string) (net.Listener, error) {
	ls, err := c.listenAll(defaultPort, []string{addr})
	if err != nil {
		return nil, err
	}
	if len(ls) != 1 {
		closeAll(ls)
		return nil, fmt.Errorf("server: address %q stands for %d sockets, there is use for one", addr, len(ls))
	}
	return ls[0], nil
}

func (c *ListenConfig) listenAll(defaultPort string, addrs []string) ([]net.Listener, error) {
	ls, err := c.listenNamed(defaultPort, addrs)
	if err != nil {
		return nil, err
	}
	return listenersOf(ls), nil
}

func (c *ListenConfig) listenNamed(defaultPort string, addrs []string) (ls []NamedListener, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	// What is misspelt is found before anything is taken or opened.
	parsed := make([]address, 0, len(addrs))
	for _, addr := range addrs {
		a, err := parseAddress(addr, defaultPort)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, a)
	}
	var passed inherited
	defer func() {
		if err != nil {
			closeAll(listenersOf(ls))
			closeAll(listenersOf(passed.left))
			ls = nil
		}
	}()
	for i, a := range parsed {
		opened, err := c.open(a, &passed)
		for _, l := range opened {
			ls = append(ls, NamedListener{addrs[i], l})
		}
		if err != nil {
			return ls, err
		}
	}
	if len(passed.left) > 0 {
		return ls, fmt.Errorf("server: sockets were passed that nobody asked for: %s", passed.names())
	}
	return ls, nil
}

// open opens what an address stands for.
func (c *ListenConfig) open(a address, passed *inherited) ([]net.Listener, error) {
	var l net.Listener
	var err error
	switch a.kind {
	case systemdAddress:
		return c.wrapAll(passed.named(a.text))
	case descriptorAddress:
		l, err = descriptor(a.text)
	case unixAddress:
		l, err = c.listenUnix(a.text)
	case abstractAddress:
		l, err = c.listenAbstract(a.text)
	default:
		l, err = c.listenTCP(a.text)
	}
	if err != nil {
		return nil, err
	}
	if a.kind == unixAddress { // opened with its backlog
		return []net.Listener{c.wrap(l)}, nil
	}
	if err := c.setBacklog(l); err != nil {
		_ = l.Close()
		return nil, err
	}
	return []net.Listener{c.wrap(l)}, nil
}

// wrapAll is Wrap for all of ls, in place. It returns ls also with an error.
func (c *ListenConfig) wrapAll(ls []net.Listener, err error) ([]net.Listener, error) {
	if err != nil {
		return ls, err
	}
	for i := range ls {
		l, err := c.Wrap(ls[i])
		if err != nil {
			return ls, err
		}
		ls[i] = l
	}
	return ls, nil
}

func (c *ListenConfig) listenTCP(addr string) (net.Listener, error) {
	network := c.Network
	if network == "" {
		network = "tcp"
	}
	config := net.ListenConfig{}
	if c.ReusePort {
		config.Control = func(_, _ string, socket syscall.RawConn) error { return reusePort(socket) }
	}
	return config.Listen(context.Background(), network, addr)
}

// setBacklog gives Backlog to a socket that listens already.
func (c *ListenConfig) setBacklog(l net.Listener) error {
	if c.Backlog == 0 {
		return nil
	}
	err := fmt.Errorf("%w: it has no socket", errors.ErrUnsupported)
	if socket, ok := l.(syscall.Conn); ok {
		var raw syscall.RawConn
		if raw, err = socket.SyscallConn(); err == nil {
			err = listenAgain(raw, c.Backlog)
		}
	}
	if err != nil {
		return fmt.Errorf("server: setting the backlog of %v: %w", l.Addr(), err)
	}
	return nil
}

// wrap is l itself if nothing has to be known of it.
func (c *ListenConfig) wrap(l net.Listener) net.Listener {
	w := &openListener{Listener: l}
	if already, ok := l.(*openListener); ok {
		*w = *already
	}
	if c.KeepAlive != 0 || c.KeepAliveConfig.Enable || c.Nagle {
		w.tcp = &tcpOptions{nagle: c.Nagle, keepAlive: c.KeepAliveConfig}
		if !c.KeepAliveConfig.Enable && c.KeepAlive >= 0 {
			w.tcp.keepAlive = net.KeepAliveConfig{Enable: true, Idle: c.KeepAlive, Interval: c.KeepAlive}
		}
	}
	if c.Proxy != nil {
		w.proxy = c.Proxy.policy()
	}
	if w.tcp == nil && w.proxy == nil && w.name == nil {
		return l
	}
	return w
}

// openListener is a listener of which the server has to know more than how to
// accept.
type openListener struct {
	net.Listener              // of package net, or the caller's
	tcp          *tcpOptions  // nil: the defaults
	proxy        *proxyPolicy // nil: no PROXY headers
	name         *socketName  // of a Unix socket that this process made
}

// tcpOptions are options of connections.
type tcpOptions struct {
	keepAlive net.KeepAliveConfig // with Enable false there is none
	nagle     bool
}

func (o *tcpOptions) apply(conn net.Conn) {
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetKeepAliveConfig(o.keepAlive)
		_ = t.SetNoDelay(!o.nagle)
	}
}

// unwrapped is the listener that accepts, and what is known of it.
func unwrapped(l net.Listener) openListener {
	if w, ok := l.(*openListener); ok {
		return *w
	}
	return openListener{Listener: l}
}

// errProxyAccept is for those who would serve connections with the wrong idea of
// who is there.
var errProxyAccept = errors.New("server: a listener with PROXY headers is for HTTPServer.Serve and ServeTLS only")

// Accept accepts for others than HTTPServer.
func (l *openListener) Accept() (net.Conn, error) {
	if l.proxy != nil {
		return nil, errProxyAccept
	}
	return l.accept()
}

func (l *openListener) accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil || l.tcp == nil {
		return conn, err
	}
	l.tcp.apply(conn)
	return conn, nil
}

// Close closes the listener, and removes the name of a Unix socket that is still
// its own: before that, while nobody takes it for one that was left behind.
func (l *openListener) Close() error {
	if l.name != nil {
		l.name.remove()
	}
	return l.Listener.Close()
}

// SetUnlinkOnClose says whether Close removes the name of a Unix socket.
func (l *openListener) SetUnlinkOnClose(unlink bool) {
	if l.name != nil {
		l.name.keep.Store(!unlink)
	} else if u, ok := l.Listener.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(unlink)
	}
}

// File is a copy of the listener's socket, for passing it to another process.
func (l *openListener) File() (*os.File, error) {
	if f, ok := l.Listener.(interface{ File() (*os.File, error) }); ok {
		return f.File()
	}
	return nil, fmt.Errorf("server: listener %v: %w: it has no socket", l.Addr(), errors.ErrUnsupported)
}

// SyscallConn is the listener's socket.
func (l *openListener) SyscallConn() (syscall.RawConn, error) {
	if s, ok := l.Listener.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, fmt.Errorf("server: listener %v: %w: it has no socket", l.Addr(), errors.ErrUnsupported)
}
