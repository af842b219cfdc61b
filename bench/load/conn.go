// SPDX-License-Identifier: MIT

// Package load has what the load programs below it share: a plain HTTP/1.1
// connection, and the report they print. They do what wrk, which makes the rest
// of the load, cannot do.
package load

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Conn is a connection for one request at a time. It allocates nothing per
// request. Not safe for concurrent use.
type Conn struct {
	net.Conn
	in *bufio.Reader
}

// Dial connects. The connection is cut, not closed in order, at its end: a load
// program that has closed thousands leaves no port busy.
func Dial(addr string) (*Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		_ = c.Close()
		return nil, err
	}
	return &Conn{Conn: c}, nil
}

// Timeout is how long an exchange may take.
const Timeout = 30 * time.Second

// Do sends a request in wire form, in as many parts as it is given in, and reads
// the answer, which must be a 200 with a Content-Length.
func (c *Conn) Do(parts ...[]byte) error {
	if err := c.SetDeadline(time.Now().Add(Timeout)); err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := c.Write(part); err != nil {
			return err
		}
	}
	return c.readAnswer()
}

func (c *Conn) readAnswer() error {
	if c.in == nil {
		c.in = bufio.NewReaderSize(c.Conn, 4096)
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answer %.80q", line)
	}
	length := -1
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		const name = "content-length:"
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("answer without Content-Length")
	}
	_, err = c.in.Discard(length)
	return err
}

// DropBuffer lets go of the read buffer, for connections that are to rest.
func (c *Conn) DropBuffer() { c.in = nil }

// Get is a GET request in wire form. Header lines are "Name: value".
func Get(path string, header []string) []byte {
	var b strings.Builder
	_, _ = io.WriteString(&b, "GET "+path+" HTTP/1.1\r\nHost: bench\r\n")
	for _, line := range header {
		_, _ = io.WriteString(&b, line+"\r\n")
	}
	_, _ = io.WriteString(&b, "\r\n")
	return []byte(b.String())
}
