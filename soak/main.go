// SPDX-License-Identifier: MIT

// Command soak keeps a server of pleat busy for a long time, on both engines, with
// everything that clients do: keep-alive, pipelines, uploads, downloads, ranges,
// event streams, WebSockets, HTTP/2, TLS, Unix sockets, PROXY headers, clients that
// are slow, stall, or leave in the middle; handlers that block, call other servers,
// or panic. It looks for what only shows after a while:
//
//   - an answer that is lost, damaged, or another's: each request carries a nonce
//     that its answer must repeat, and octets that belong to that nonce
//   - a request that was handled twice, or though it was never sent whole: client and
//     server keep books, which must agree
//   - goroutines, descriptors, memory and temporary files that do not come back
//   - requests that a graceful end loses
//   - errors in the log that nobody asked for, and data races, if built with -race
//
// The server is a process of its own. The first violation ends it all, with a
// message and an exit status of 1. Run it with "make soak".
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == serveFlag {
		beServer(os.Args[2])
	}
	o := options{warm: 4 * time.Second, settle: backTime}
	engines := "all"
	flag.DurationVar(&o.time, "time", 30*time.Minute, "how long the load lasts")
	flag.Uint64Var(&o.seed, "seed", rand.Uint64(), "what the choices are made from")
	flag.IntVar(&o.rate, "rate", 100, "most requests a second to each engine")
	flag.IntVar(&o.lanes, "lanes", 24, "clients at a time to each engine")
	flag.StringVar(&engines, "engine", engines, "loop, goroutine, or all")
	flag.StringVar(&o.fault, "fault", "", "a mistake that the server is to make: "+strings.Join(faults, ", "))
	flag.Parse()
	list, err := checkOptions(o, engines)
	if err == nil && flag.NArg() > 0 {
		err = fmt.Errorf("there is an argument too many: %s", flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if !soakAll(ctx, o, list) {
		os.Exit(1)
	}
}

func checkOptions(o options, engines string) ([]string, error) {
	list := []string{"loop", "goroutine"}
	if runtime.GOOS != "linux" {
		list = list[1:]
	}
	switch {
	case o.time <= 0 || o.rate <= 0 || o.rate > int(time.Second) || o.lanes <= 0:
		return nil, errors.New("time, rate and lanes are to be more than nothing")
	case o.fault != "" && !slices.Contains(faults, o.fault):
		return nil, fmt.Errorf("no fault %q; there are: %s", o.fault, strings.Join(faults, ", "))
	case engines == "all":
		return list, nil
	case !slices.Contains(list, engines):
		return nil, fmt.Errorf("no engine %q here; there are: all, %s", engines, strings.Join(list, ", "))
	}
	return []string{engines}, nil
}

// beServer is the main function of the server process.
func beServer(arg string) {
	signal.Ignore(os.Interrupt) // it ends when the other process does
	var config serverConfig
	err := json.Unmarshal([]byte(arg), &config)
	if err == nil {
		err = serve(config, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak: the server process:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// soakAll soaks all engines at the same time, and reports whether all is well.
func soakAll(ctx context.Context, o options, engines []string) bool {
	began := time.Now()
	race := "with"
	if !raceDetector {
		race = "WITHOUT"
	}
	fmt.Printf("soak: %v on %s, %s the race detector, %d requests a second to each, seed %d\n", o.time, strings.Join(engines, " and "), race, o.rate, o.seed)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	var out sync.Mutex
	runs := make([]*run, len(engines))
	failed := false
	for i, engine := range engines {
		one := o
		one.engine = engine
		one.log = func(format string, args ...any) {
			out.Lock()
			defer out.Unlock()
			fmt.Printf("soak: %6s %-9s %s\n", time.Since(began).Round(time.Second), engine, fmt.Sprintf(format, args...))
		}
		all.Go(func() {
			r, err := soak(ctx, one)
			runs[i] = r
			if err == nil {
				return
			}
			out.Lock()
			defer out.Unlock()
			defer cancel()
			if ctx.Err() != nil && !failed {
				failed = true
				fmt.Printf("soak: interrupted after %v\n", time.Since(began).Round(time.Millisecond))
			}
			if !failed { // the others end because this one does
				failed = true
				fmt.Printf("soak: FAILED after %v, engine %s, seed %d: %v\n", time.Since(began).Round(time.Millisecond), engine, o.seed, err)
			}
		})
	}
	all.Wait()
	if failed {
		return false
	}
	for _, r := range runs {
		r.print(os.Stdout)
	}
	fmt.Printf("soak: ok after %v: nothing lost, crossed, or left behind; seed %d\n", time.Since(began).Round(time.Second), o.seed)
	return true
}
