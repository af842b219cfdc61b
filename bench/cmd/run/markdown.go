// SPDX-License-Identifier: MIT

//go:build linux

package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// writeMarkdown writes the results with all it takes to reproduce them.
func writeMarkdown(p *plan, r *results) error {
	var b bytes.Buffer
	b.WriteString("# Benchmarks\n\n" +
		"Made by `" + command(os.Args[1:]) + "`; do not edit. What the scenarios are, how the servers are set up and how to read\n" +
		"the figures is in [bench/README.md](../bench/README.md).\n\n")
	b.WriteString("## Ratios\n\n" +
		"A cell is pleat's figure divided by the rival's, round by round: the median, ± half the range over the rounds. Where less\n" +
		"is better, a ratio below 1 is in pleat's favour; where more is, one above 1. The column `pleat` is its own median.\n\n")
	r.table(p).writeMarkdown(&b, 3)
	b.WriteString("\n## Figures\n\nMedians, ± half the range over the rounds. They hold for this machine and this day; compare them only with each other.\n\n")
	r.figures(p).writeMarkdown(&b, 3)
	b.WriteString("\n## Scenarios\n\n")
	for _, s := range p.scenarios {
		fmt.Fprintf(&b, "- `%s`: %s\n", s.name, s.about)
	}
	b.WriteString("\n## Machine and versions\n\n")
	for _, fact := range facts(p) {
		fmt.Fprintf(&b, "- %s: %s\n", fact[0], fact[1])
	}
	return os.WriteFile(p.markdown, b.Bytes(), 0o644)
}

// command is how bench/run was called; it has put -bin and -lua in front.
func command(args []string) string {
	var own []string
	for i := 0; i < len(args); i++ {
		if args[i] == "-bin" || args[i] == "-lua" {
			i++
			continue
		}
		own = append(own, args[i])
	}
	return strings.Join(append([]string{"bench/run"}, own...), " ")
}

func facts(p *plan) [][2]string {
	all := [][2]string{
		{"date", time.Now().UTC().Format("2006-01-02")},
		{"processor", fmt.Sprintf("%s, %d of them", cpuModel(), runtime.NumCPU())},
		{"memory", memoryTotal()},
		{"kernel", firstLine(os.ReadFile("/proc/sys/kernel/osrelease"))},
		{"pinned", fmt.Sprintf("server to processor %d with GOMAXPROCS=1, load to processor %d, two-processor scenarios to %s",
			p.serverCPU, p.loadCPU, p.cpusFor(setting{cores: 2}))},
		{"one measurement", p.duration.String() + " after a warm-up, with a server started for it"},
		{"wrk", firstLine(exec.Command("wrk", "--version").Output())}, // exits with 1, output or not
		{"C compiler", firstLine(exec.Command("cc", "--version").Output())},
		{"pleat", firstLine(exec.Command("git", "-C", p.lua, "describe", "--always", "--dirty", "--abbrev=12").Output())},
	}
	var goVersion string
	for _, s := range p.servers {
		info, err := buildinfo.ReadFile(p.serverProgram(s.name))
		if err != nil {
			continue // limit
		}
		goVersion = info.GoVersion
		for _, m := range info.Deps {
			if m.Path == s.module && m.Replace == nil {
				all = append(all, [2]string{s.name, m.Version})
			}
		}
	}
	return append(all, [2]string{"Go", goVersion})
}

// firstLine is the first line of what was read, whatever the error.
func firstLine(text []byte, _ error) string {
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "unknown"
	}
	return line
}

func cpuModel() string { return procField("/proc/cpuinfo", "model name") }

func memoryTotal() string { return procField("/proc/meminfo", "MemTotal") }

func procField(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
