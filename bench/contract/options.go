// SPDX-License-Identifier: MIT

package contract

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/rs/zerolog"
)

// Options are the flags of a server.
type Options struct {
	Addr     string    // where to listen, host:port
	Log      io.Writer // takes the access log, a line in each Write
	TLS      bool      // speak TLS, with a certificate made at the start
	Upstream string    // the URL of JSON that /upstream asks for
	File     string    // the path of the file that /file sends
}

// Logger is the access log.
func (o Options) Logger() zerolog.Logger { return zerolog.New(o.Log).With().Timestamp().Logger() }

// Listen opens the listener, with TLS if it is wanted.
func (o Options) Listen() (net.Listener, error) {
	l, err := net.Listen("tcp", o.Addr)
	if err != nil || !o.TLS {
		return l, err
	}
	config, err := TLSConfig()
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return tls.NewListener(l, config), nil
}

// Main is the main function of a server: it parses the flags and runs serve until
// that fails or the process is ended. cookie makes a session cookie for the flag
// -cookie.
func Main(name string, cookie func() (string, error), serve func(Options) error) {
	if err := start(cookie, serve); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func start(cookie func() (string, error), serve func(Options) error) error {
	var o Options
	flag.StringVar(&o.Addr, "addr", "127.0.0.1:8080", "`host:port` to listen on")
	logFile := flag.String("log", "", "`file` for the access log; it is made, but discarded, without one")
	flag.BoolVar(&o.TLS, "tls", false, "speak TLS, with a certificate made at the start")
	flag.StringVar(&o.Upstream, "upstream", "", "`URL` of JSON for /upstream")
	sample := flag.Bool("cookie", false, "print a genuine session cookie and end")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if *sample {
		value, err := cookie()
		if err == nil {
			fmt.Println(value)
		}
		return err
	}
	o.Log = io.Discard
	if *logFile != "" {
		f, err := os.OpenFile(*logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		o.Log = f
	}
	var err error
	if o.File, err = sampleFile(); err != nil {
		return err
	}
	reportAllocations()
	return serve(o)
}
