// SPDX-License-Identifier: MIT

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/pleat-go/pleat/bench/contract"
)

// subject is the server that the others are compared with.
const subject = "pleat"

// rival is a server program.
type rival struct {
	name   string
	module string // whose version counts, "" for none
}

// limit is the C server that only answers /hello.
const limit = "limit"

var allServers = []rival{
	{subject, "github.com/pleat-go/pleat"},
	{limit, ""},
	{"fasthttp", "github.com/valyala/fasthttp"},
	{"nethttp", ""},
	{"gin", "github.com/gin-gonic/gin"},
	{"echo", "github.com/labstack/echo/v5"},
	{"chi", "github.com/go-chi/chi/v5"},
	{"fiber", "github.com/gofiber/fiber/v3"},
	{"hertz", "github.com/cloudwego/hertz"},
}

// setting is how a server is run.
type setting struct {
	cores    int    // GOMAXPROCS, and how many processors it is pinned to; 0 means 1
	upstream string // URL for /upstream
	tls      bool
	onLoad   bool // pinned to the processor of the load
}

// server is a running server.
type server struct {
	process
	name, addr, url string
}

func (p *plan) serverProgram(name string) string { return filepath.Join(p.bin, "servers", name) }

// startServer starts a server and waits until it accepts connections.
func (p *plan) startServer(ctx context.Context, name string, s setting) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	if s.cores == 0 {
		s.cores = 1
	}
	cpus := p.cpusFor(s)
	args := []string{"-c", cpus, p.serverProgram(name)}
	if name == limit {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		args = append(args, port, strconv.Itoa(s.cores))
	} else {
		args = append(args, "-addr", addr)
		if s.upstream != "" {
			args = append(args, "-upstream", s.upstream)
		}
		if s.tls {
			args = append(args, "-tls")
		}
	}
	v := &server{name: name, addr: addr, url: "http://" + addr}
	if s.tls {
		v.url = "https://" + addr
	}
	c := exec.Command("taskset", args...)
	c.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(s.cores))
	if err := v.start(c); err != nil {
		return nil, err
	}
	if err := v.awaitAccept(ctx, addr); err != nil {
		v.stop()
		return nil, err
	}
	return v, nil
}

// cpusFor lists processors for taskset. A server with two gets another than the
// load's if there is one.
func (p *plan) cpusFor(s setting) string {
	switch {
	case s.onLoad:
		return strconv.Itoa(p.loadCPU)
	case s.cores < 2:
		return strconv.Itoa(p.serverCPU)
	}
	second := p.loadCPU
	for cpu := range runtime.NumCPU() {
		if cpu != p.serverCPU && cpu != p.loadCPU {
			second = cpu
			break
		}
	}
	return fmt.Sprintf("%d,%d", p.serverCPU, second)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr := l.Addr().String()
	return addr, l.Close()
}

// checkServers starts each server and checks its answers, so that nothing is
// measured that does less than the others.
func (b *bench) checkServers(ctx context.Context) error {
	upstream, stop, err := contract.StartUpstream()
	if err != nil {
		return err
	}
	defer stop()
	var errs []error
	b.cookies = map[string]string{}
	for _, r := range b.servers {
		if err := b.checkServer(ctx, r.name, upstream); err != nil {
			errs = append(errs, fmt.Errorf("%s does not keep the contract: %w", r.name, err))
		}
	}
	return errors.Join(errs...)
}

func (b *bench) checkServer(ctx context.Context, name, upstream string) error {
	if name != limit {
		out, err := exec.CommandContext(ctx, b.serverProgram(name), "-cookie").Output()
		if err != nil {
			return fmt.Errorf("-cookie: %w", err)
		}
		b.cookies[name] = string(bytes.TrimSpace(out))
	}
	s, err := b.startServer(ctx, name, setting{upstream: upstream})
	if err != nil {
		return err
	}
	defer s.stop()
	check := contract.Check{URL: s.url, Cookie: b.cookies[name]}
	if name == limit {
		return check.RunHello(ctx)
	}
	return check.Run(ctx)
}

// awaitAccept waits until something accepts connections, or the process ends.
func (p *process) awaitAccept(ctx context.Context, addr string) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return fmt.Errorf("it ended: %s", strings.Join(p.lastWords(), "; "))
		case <-time.After(2 * time.Millisecond):
		}
	}
	return fmt.Errorf("nothing accepts connections at %s", addr)
}
