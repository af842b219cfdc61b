// SPDX-License-Identifier: MIT

// Command conformance is a server for HTTP/1.1 test suites to talk to. What it
// answers is simple enough for a suite to know beforehand:
//
//	GET, HEAD   /ok      200, "ok"
//	POST        /echo    200, the body that was sent, with its Content-Type
//	GET, POST   /len     200, how many octets of body were read, as text
//	GET         /204     204
//	GET         /304     304
//	GET         /stream  200, "aaabbbccc" in three writes, each flushed
//
// The query does not matter. All else is 404; the app says 405 where only the
// method is wrong. A body has at most 10 MiB, a request head 64 KiB.
//
// The same contract is kept twice: by an app with its router, and by a handler
// of package server alone.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat/server"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	handler := flag.String("handler", "app", `who answers: "app", with a router, or "bare", package server alone`)
	engine := flag.String("engine", "auto", `who waits for connections: "loop", "goroutine", or "auto", what the system has`)
	flag.Parse()

	log := zerolog.New(os.Stderr).With().Timestamp().Logger()
	s, err := newServer(*handler, *engine, &log)
	if err == nil {
		err = s.ListenAndServe(*addr)
	}
	fmt.Fprintln(os.Stderr, "conformance:", err)
	os.Exit(1)
}

var (
	errHandler = errors.New(`-handler is "app" or "bare"`)
	errEngine  = errors.New(`-engine is "auto", "loop" or "goroutine"`)
)

var engines = map[string]server.Engine{
	"auto":      server.EngineAuto,
	"loop":      server.EngineLoop,
	"goroutine": server.EngineGoroutine,
}

// newServer makes the server with one of the two handlers, on one of the engines.
func newServer(handler, engine string, log *zerolog.Logger) (*server.HTTPServer, error) {
	e, ok := engines[engine]
	if !ok {
		return nil, errEngine
	}
	// The limits are the defaults; they are part of the contract and so are
	// written down.
	s := &server.HTTPServer{MaxRequest: 10 << 20, MaxHeader: 64 << 10, Engine: e, ErrorLog: log}
	switch handler {
	case "app":
		app := newApp(log)
		if err := app.Start(); err != nil {
			return nil, err
		}
		s.Handler = app
	case "bare":
		s.Handler = server.HandlerFunc(serveBare)
	default:
		return nil, errHandler
	}
	return s, nil
}
