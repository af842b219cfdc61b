// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"time"
)

const (
	// answerTime is how long an answer may take before it counts as lost: no time
	// that a server that works ever takes, however busy the machine.
	answerTime = 90 * time.Second
	serverName = "soak.test"
)

// way is how a connection reaches the server.
type way struct {
	name    string
	network string
	addr    string
	proxy   bool // begins with a PROXY header
	tls     *tls.Config
	http2   bool
}

// waysTo are all ways to a server: those that are spoken octet by octet, and those
// that net/http speaks HTTP/2 on.
func waysTo(at *addresses) (raw, http2 []way, err error) {
	cert, err := x509.ParseCertificate(at.Certificate)
	if err != nil {
		return nil, nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: serverName, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	config.RootCAs.AddCert(cert)
	raw = []way{
		{name: "plain", network: "tcp", addr: at.Plain},
		{name: "tls", network: "tcp", addr: at.TLS, tls: config},
		{name: "unix", network: "unix", addr: at.Unix},
		{name: "proxy", network: "tcp", addr: at.Proxy, proxy: true},
		{name: "proxy+tls", network: "tcp", addr: at.ProxyTLS, proxy: true, tls: config},
	}
	http2 = []way{
		{name: "h2", network: "tcp", addr: at.TLS, tls: config, http2: true},
		{name: "h2c", network: "tcp", addr: at.Plain, http2: true},
		{name: "proxy+h2", network: "tcp", addr: at.ProxyTLS, proxy: true, tls: config, http2: true},
	}
	return raw, http2, nil
}

// dial connects, as far as HTTP or TLS begins. peer is who the server is to take
// the client for.
func (w *way) dial(v *visit) (conn net.Conn, peer string, err error) {
	conn, err = (&net.Dialer{Timeout: answerTime}).Dial(w.network, w.addr)
	if err != nil {
		return nil, "", err
	}
	_ = conn.SetDeadline(time.Now().Add(answerTime))
	peer = "127.0.0.1"
	if w.network == "unix" {
		peer = "invalid IP"
	}
	if w.proxy {
		var header []byte
		header, peer = proxyHeader(v)
		if _, err := conn.Write(header); err != nil {
			_ = conn.Close()
			return nil, "", err
		}
	}
	return conn, peer, nil
}

// proxyHeader is a PROXY header of either version for one of the claimed peers.
func proxyHeader(v *visit) (header []byte, peer string) {
	host := byte(1 + v.rng.IntN(250))
	peer = fmt.Sprintf("192.0.2.%d", host)
	if v.rng.IntN(2) == 0 {
		return fmt.Appendf(nil, "PROXY TCP4 %s 198.51.100.1 40000 443\r\n", peer), peer
	}
	header = append(header, "\r\n\r\n\x00\r\nQUIT\n\x21\x11"...) // version 2, TCP over IPv4
	header = binary.BigEndian.AppendUint16(header, 12)
	header = append(header, 192, 0, 2, host, 198, 51, 100, 1)
	header = binary.BigEndian.AppendUint16(header, 40000)
	return binary.BigEndian.AppendUint16(header, 443), peer
}

// open connects for requests.
func (w *way) open(v *visit) (asker, error) {
	if w.http2 {
		return w.openHTTP2(v), nil
	}
	return w.openLink(v)
}

func (w *way) openLink(v *visit) (*link, error) {
	conn, peer, err := w.dial(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	l := &link{conn: conn, socket: conn, wayName: w.name, claimed: peer}
	if w.tls != nil {
		t := tls.Client(conn, w.tls)
		if err := t.Handshake(); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("%w: %w", errRefused, err)
		}
		l.conn = t
	}
	l.in = bufio.NewReader(l.conn)
	return l, nil
}

// openHTTP2 makes a client that has connections of its own: one, unless the server
// ends it.
func (w *way) openHTTP2(v *visit) *http2Client {
	c := &http2Client{wayName: w.name}
	rng := v.fork() // the transport dials when it likes
	c.transport = &http.Transport{
		DisableCompression: true,
		// A connection that is told to close while its last stream is not quite over
		// stays open.
		IdleConnTimeout: 5 * time.Second,
		Protocols:       &http.Protocols{},
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			conn, peer, err := w.dial(rng)
			if err == nil {
				_ = conn.SetDeadline(time.Time{})
				c.dials = append(c.dials, peer)
			}
			return conn, err
		},
	}
	c.base = "http://" + serverName
	if w.tls != nil {
		c.base = "https://" + serverName
		c.transport.TLSClientConfig = w.tls.Clone()
		c.transport.TLSClientConfig.ClientSessionCache = nil
		c.transport.Protocols.SetHTTP2(true)
	} else {
		c.transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return c
}

// reset closes a connection so that the server gets a reset, where there is such a
// thing; otherwise it just closes it.
func reset(socket net.Conn) {
	if t, ok := socket.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = socket.Close()
}
