// SPDX-License-Identifier: MIT

//go:build linux

// Command run measures pleat and its rivals in turn and prints ratios. The script
// bench/run builds what it needs and starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

// plan is what is to be measured, and how.
type plan struct {
	quick      bool
	rounds     int           // 0 for the default
	duration   time.Duration // of one measurement
	serverCPU  int
	loadCPU    int
	bin, lua   string // where the programs and the scripts of wrk are
	scenarios  []scenario
	servers    []rival
	markdown   string
	checkOnly  bool
	budgetEnds time.Time // when no further round begins; zero means never
}

func run(ctx context.Context) error {
	p, err := parse()
	if err != nil || p == nil {
		return err
	}
	if err := checkMachine(p); err != nil {
		return err
	}
	start := time.Now()
	b := &bench{plan: p, progress: os.Stderr, results: newResults()}
	if err := b.checkServers(ctx); err != nil {
		return err
	}
	if p.checkOnly {
		fmt.Fprintln(os.Stderr, "every server keeps the contract")
		return nil
	}
	if p.quick {
		p.budgetEnds = start.Add(quickBudget)
	}
	measureErr := b.measureAll(ctx)
	t := b.results.table(p)
	t.writeText(os.Stdout)
	fmt.Printf("\n%s, %d s\n", describeCells, int(time.Since(start).Seconds()))
	if p.markdown != "" {
		if err := writeMarkdown(p, b.results); err != nil {
			return errors.Join(measureErr, err)
		}
	}
	return measureErr
}

// quickBudget is when quick runs begin no further rounds.
const quickBudget = 95 * time.Second

const describeCells = "cells: what pleat needs or does, divided by what the rival does, ± half the range over the rounds; " +
	"< 1 is better where it says less, > 1 where it says more"

func parse() (*plan, error) {
	p := &plan{}
	flag.BoolVar(&p.quick, "quick", false, "a rehearsal of less than two minutes: short measurements, fewer rounds and rivals")
	flag.IntVar(&p.rounds, "rounds", 0, "how often each server is measured, in turn with the others (3; 1 or 2 with -quick)")
	flag.DurationVar(&p.duration, "duration", 0, "how long one measurement takes, in whole seconds (5s; 1s with -quick)")
	flag.IntVar(&p.serverCPU, "server-cpu", 0, "the `cpu` the server is pinned to")
	flag.IntVar(&p.loadCPU, "load-cpu", 1, "the `cpu` the load is pinned to")
	flag.StringVar(&p.bin, "bin", "", "`folder` with the built programs (set by bench/run)")
	flag.StringVar(&p.lua, "lua", "", "`folder` with the scripts of wrk (set by bench/run)")
	flag.StringVar(&p.markdown, "markdown", "", "write the results to this `file` as well")
	flag.BoolVar(&p.checkOnly, "check", false, "only check that every server keeps the contract")
	scenarioNames := flag.String("scenario", "", "measure only scenarios whose whole name this `regexp` matches")
	serverNames := flag.String("server", "", "measure only these servers and pleat: a `list` with commas")
	list := flag.Bool("list", false, "list scenarios and servers")
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if *list {
		printList()
		return nil, nil
	}
	if p.bin == "" || p.lua == "" {
		return nil, errors.New("start it with bench/run, which builds what it needs")
	}
	if p.duration == 0 {
		p.duration = 5 * time.Second
		if p.quick {
			p.duration = time.Second
		}
	}
	if p.duration < time.Second || p.duration%time.Second != 0 {
		return nil, errors.New("-duration: want whole seconds, as wrk does")
	}
	if p.rounds < 0 {
		return nil, errors.New("-rounds: want a positive number")
	}
	var err error
	if p.scenarios, err = chooseScenarios(*scenarioNames, p.quick); err != nil {
		return nil, err
	}
	p.servers, err = chooseServers(*serverNames)
	return p, err
}

func printList() {
	fmt.Println("scenarios (a * is in -quick as well):")
	for _, s := range allScenarios {
		mark := " "
		if s.quickRounds > 0 {
			mark = "*"
		}
		fmt.Printf("%s %-10s %s\n", mark, s.name, s.about)
	}
	fmt.Println("servers:")
	for _, s := range allServers {
		fmt.Println(" ", s.name)
	}
}

func chooseScenarios(pattern string, quick bool) (chosen []scenario, err error) {
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, fmt.Errorf("-scenario: %w", err)
	}
	for _, s := range allScenarios {
		switch {
		case pattern != "" && !re.MatchString(s.name):
		case pattern == "" && quick && s.quickRounds == 0:
		default:
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-scenario: %q matches none (see -list)", pattern)
	}
	return chosen, nil
}

func chooseServers(list string) (chosen []rival, err error) {
	if list == "" {
		return allServers, nil
	}
	names := strings.Split(list, ",")
	for _, name := range names {
		if !slices.ContainsFunc(allServers, func(r rival) bool { return r.name == name }) {
			return nil, fmt.Errorf("-server: no server %q (see -list)", name)
		}
	}
	for _, r := range allServers {
		if r.name == subject || slices.Contains(names, r.name) {
			chosen = append(chosen, r)
		}
	}
	return chosen, nil
}

func checkMachine(p *plan) error {
	n := runtime.NumCPU()
	if n < 2 {
		return errors.New("one processor is not enough: server and load need one each")
	}
	if p.serverCPU == p.loadCPU {
		return errors.New("-server-cpu and -load-cpu must differ")
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	const needed = 10_000
	if limit.Cur < needed {
		return fmt.Errorf("the limit of open files is %d, want %d: ulimit -n %d", limit.Cur, needed, needed)
	}
	return nil
}
