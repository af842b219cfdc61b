// SPDX-License-Identifier: MIT

//go:build unix

package client

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// socket reads for a conn. What is taken from the system's buffer is taken and noted under the conn's lock, so that for
// whoever holds that everything that came is either in there or known.
type socket struct {
	raw  syscall.RawConn // nil where there is none: then the connection itself reads
	take func(fd uintptr) (done bool)
	look func(fd uintptr)

	p   []byte // to be read into
	n   int    // what take made of it
	err error

	waiting bool // what look saw
}

func (s *socket) open(c *conn) {
	holder, ok := c.Conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := holder.SyscallConn()
	if err != nil {
		return
	}
	s.raw = raw
	s.take = func(fd uintptr) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		s.n, s.err = again(func() (int, error) { return syscall.Read(int(fd), s.p) })
		if s.err == syscall.EAGAIN {
			return false
		}
		c.took(s.n)
		return true
	}
	var one [1]byte
	s.look = func(fd uintptr) {
		n, err := again(func() (int, error) {
			n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK) // the descriptor does not block
			return n, err
		})
		s.waiting = err == nil && n > 0
	}
}

// again repeats a system call that a signal interrupts.
func again(call func() (int, error)) (n int, err error) {
	for {
		if n, err = call(); err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// read reads as c's connection does.
func (s *socket) read(c *conn, p []byte) (int, error) {
	if s.raw == nil || len(p) == 0 {
		return readUnnoticed(c, p)
	}
	s.p = p
	err := s.raw.Read(s.take)
	s.p = nil
	switch {
	case err != nil: // closed, or too late
		var failed *net.OpError
		if errors.As(err, &failed) {
			failed.Op, failed.Source, failed.Addr = "read", c.LocalAddr(), c.RemoteAddr()
		}
		return 0, err
	case s.err != nil:
		return 0, &net.OpError{Op: "read", Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("read", s.err)}
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// filled reports whether octets have come that nobody has taken. It is called with c's lock held.
func (s *socket) filled() bool {
	return s.raw != nil && s.raw.Control(s.look) == nil && s.waiting
}
