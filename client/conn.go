// SPDX-License-Identifier: MIT

package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"sync"
)

// errUnsolicited is what the transport gets instead of octets that nobody asked for, whether it reads or writes. It gives
// the connection up, and sends the request, of which nothing has been written, on another one.
var errUnsolicited = errors.New("octets that came before the request")

// conn is a connection whose answers come after their requests. The transport gives a connection to the next request
// before it has looked whether more came than the answer to the last, and if the request is quicker, takes what came for
// its answer: the way in for a response that somebody smuggled behind another. So a request waits until the transport
// reads, which it does when it has nothing left, and what has come to the socket before the request is written is no answer
// to it, whether the transport has been woken for it or not.
//
// Below TLS that may be a ticket, too, of which servers send theirs before the first answer. One that comes at that moment
// costs the connection.
//
// Octets that come when the request is under way cannot be told from its answer; only a connection for each request
// (DisableKeepAlive) or HTTP/2 keeps those apart.
type conn struct {
	net.Conn
	socket socket

	mu      sync.Mutex
	changed sync.Cond // reading or closed has become true
	reading bool      // and nothing has come: whoever reads has nothing left of what came before
	closed  bool
	quiet   bool // a request has the connection and has not been written
	stray   bool // something came meanwhile
}

func newConn(c net.Conn) *conn {
	k := &conn{Conn: c}
	k.changed.L = &k.mu
	k.socket.open(k)
	return k
}

// dialWith has dial's connections watched.
func dialWith(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return newConn(c), nil
	}
}

// gotConn is a trace's GotConn: the transport calls it with the connection that a request is about to go out on.
func gotConn(info httptrace.GotConnInfo) {
	if !info.Reused {
		return
	}
	under := info.Conn
	for {
		secure, ok := under.(*tls.Conn)
		if !ok {
			break
		}
		if secure.ConnectionState().NegotiatedProtocol == "h2" {
			return // tells answers apart
		}
		under = secure.NetConn()
	}
	if c, ok := under.(*conn); ok {
		c.settle()
	}
}

// settle waits until all that came has been looked at, which does not depend on anybody but the transport: it has read an
// answer to its end and is on its way to the next.
func (c *conn) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.reading && !c.closed {
		c.changed.Wait()
	}
	c.quiet = true
}

// Read is for one goroutine at a time, which is what the transport has.
func (c *conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	c.reading = true
	c.changed.Broadcast()
	c.mu.Unlock()
	n, err := c.socket.read(c, p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
	if c.stray {
		return 0, errUnsolicited
	}
	return n, err
}

// took is called with mu held when n octets have been taken from the socket.
func (c *conn) took(n int) {
	c.reading = false
	c.stray = c.stray || n > 0 && c.quiet
}

// readUnnoticed reads where octets can have been taken from the system and not be known yet.
func readUnnoticed(c *conn, p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took(n)
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.speak(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// ReadFrom lets the body of a request be a file that the system sends.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if err := c.speak(); err != nil {
		return 0, err
	}
	return io.Copy(c.Conn, r)
}

// speak is called before something is written, and fails if something has come before a request.
func (c *conn) speak() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stray || c.quiet && c.socket.filled() {
		return errUnsolicited // who reads is told the same, as it stays quiet
	}
	c.quiet = false
	return nil
}

func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.changed.Broadcast()
	c.mu.Unlock()
	return c.Conn.Close()
}
