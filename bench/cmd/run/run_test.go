// SPDX-License-Identifier: MIT

//go:build linux

package main

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEstimateOf(t *testing.T) {
	tests := []struct {
		name string
		in   []float64
		want estimate
	}{
		{"none", nil, estimate{}},
		{"one", []float64{3}, estimate{3, 0, 1}},
		{"odd", []float64{5, 1, 2}, estimate{2, 2, 3}},
		{"even", []float64{4, 1, 2, 9}, estimate{3, 4, 4}},
	}
	for _, tt := range tests {
		in := slices.Clone(tt.in)
		if got := estimateOf(tt.in); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
		if !slices.Equal(in, tt.in) {
			t.Errorf("%s: the values were reordered", tt.name)
		}
	}
}

func TestRatioIsPairedByRound(t *testing.T) {
	r := newResults()
	for _, v := range []float64{2, 4, 6, math.NaN()} {
		r.add("s", subject, sample{"cpu": v})
	}
	r.add("s", "gin", sample{"cpu": 4})
	r.add("s", "gin", nil) // failed
	r.add("s", "gin", sample{"cpu": 8})
	r.add("s", "gin", sample{"cpu": 1})
	if got, want := r.ratio("s", "gin", "cpu"), (estimate{0.625, 0.125, 2}); got != want {
		t.Errorf("ratio = %+v, want %+v", got, want)
	}
	if got := r.ratio("s", "echo", "cpu"); got.n != 0 {
		t.Errorf("a ratio to nothing: %+v", got)
	}
}

func TestParseStat(t *testing.T) {
	tests := []struct {
		name, in  string
		user, sys time.Duration
		ok        bool
	}{
		{"plain", "7 (gin) S 1 7 7 0 -1 4 1 0 0 0 150 25 0 0 20 0", 1500 * time.Millisecond, 250 * time.Millisecond, true},
		{"an odd name", "7 (a b) c) S 1 7 7 0 -1 4 1 0 0 0 1 2 0 0 20 0", 10 * time.Millisecond, 20 * time.Millisecond, true},
		{"too short", "7 (gin) S 1", 0, 0, false},
		{"no number", "7 (gin) S 1 7 7 0 -1 4 1 0 0 0 x 25 0 0", 0, 0, false},
		{"empty", "", 0, 0, false},
	}
	for _, tt := range tests {
		got, err := parseStat([]byte(tt.in))
		if (err == nil) != tt.ok || tt.ok && (got.user != tt.user || got.sys != tt.sys) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

func TestParseStatus(t *testing.T) {
	rss, peak, err := parseStatus([]byte("Name:\tgin\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n"))
	if err != nil || rss != 1<<20 || peak != 2<<20 {
		t.Errorf("parseStatus = %v, %v, %v", rss, peak, err)
	}
	for _, in := range []string{"", "VmRSS:\tx kB\n", "VmRSS:\t1 kB\n"} {
		if _, _, err := parseStatus([]byte(in)); err == nil {
			t.Errorf("parseStatus(%q): no error", in)
		}
	}
}

func TestProcess(t *testing.T) {
	var p process
	if err := p.start(exec.Command("sh", "-c", "echo a word >&2; echo allocated 12 345 >&2; kill -STOP $$")); err != nil {
		t.Fatal(err)
	}
	if got := <-p.allocated; got != [2]float64{12, 345} {
		t.Errorf("allocated %v", got)
	}
	if _, err := p.cpu(); err != nil {
		t.Error(err)
	}
	if rss, peak, err := p.memory(); err != nil || rss <= 0 || peak < rss {
		t.Errorf("memory = %v, %v, %v", rss, peak, err)
	}
	p.stop()
	p.stop() // twice is fine
	if words := p.lastWords(); !slices.Equal(words, []string{"a word"}) {
		t.Errorf("last words %q", words)
	}
	if _, err := p.cpu(); err == nil {
		t.Error("cpu of a process that has ended: no error")
	}
}

func TestLoadReport(t *testing.T) {
	tests := []struct {
		name, script string
		want         string // what the error says, "" for none
	}{
		{"a report", `echo Running; echo '{"requests":10,"seconds":2,"p50_us":3}'; cat >/dev/null`, ""},
		{"errors", `echo '{"requests":10,"seconds":2,"errors":1}'`, "1 of 10 requests failed"},
		{"no requests", `echo '{"requests":0,"seconds":2}'`, "no request was answered"},
		{"no report", "echo it broke >&2; exit 1", "it broke"},
		{"no JSON", "echo '{'", "no report"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := startLoad(exec.Command("sh", "-c", tt.script))
			if err != nil {
				t.Fatal(err)
			}
			defer l.stop()
			r, err := l.report(t.Context())
			l.end()
			if tt.want == "" {
				if err != nil || r.Requests != 10 || r.Seconds != 2 || r.P50 != 3 {
					t.Errorf("report = %+v, %v", r, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("report: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	all, err := chooseScenarios("", false)
	if err != nil || len(all) != len(allScenarios) {
		t.Errorf("all: %d, %v", len(all), err)
	}
	quick, err := chooseScenarios("", true)
	if err != nil || len(quick) == 0 || len(quick) >= len(all) {
		t.Errorf("quick: %d, %v", len(quick), err)
	}
	for pattern, want := range map[string]int{"hello": 1, "hello.*": 4, "file|upload": 2, "nosuch": 0, "(": 0, "hell": 0} {
		got, err := chooseScenarios(pattern, true)
		if len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("-scenario %q: %d, %v, want %d", pattern, len(got), err, want)
		}
	}
	for list, want := range map[string]int{"": len(allServers), "gin": 2, "gin,pleat,limit": 3, "nosuch": 0, "gin,": 0} {
		got, err := chooseServers(list)
		if len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("-server %q: %d, %v, want %d", list, len(got), err, want)
		}
	}
}

func TestScenarios(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range allScenarios {
		if s.name == "" || seen[s.name] || s.about == "" || len(s.metrics) == 0 || s.measure == nil {
			t.Errorf("scenario %q is not whole, or there twice", s.name)
		}
		seen[s.name] = true
		for _, name := range s.quickServers {
			if !slices.ContainsFunc(allServers, func(r rival) bool { return r.name == name }) {
				t.Errorf("scenario %q: no server %q", s.name, name)
			}
		}
	}
}

// A run with two rivals, one of which failed, in both forms.
func TestTables(t *testing.T) {
	scenarios, err := chooseScenarios("pipelined", false)
	if err != nil {
		t.Fatal(err)
	}
	servers, err := chooseServers("limit,gin,echo")
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{scenarios: scenarios, servers: servers, markdown: filepath.Join(t.TempDir(), "b.md"), duration: time.Second, loadCPU: 1, lua: "."}
	r := newResults()
	for _, v := range []float64{1, 1.1} {
		r.add("pipelined", subject, sample{"cpu": v, "rate": 1000})
		r.add("pipelined", "gin", sample{"cpu": 2 * v, "rate": 500})
		r.add("pipelined", "echo", nil)
	}
	var text bytes.Buffer
	r.table(p).writeText(&text)
	wantText := `scenario   figure       better    pleat  / limit       / gin  / echo

pipelined  CPU/request  less    1.05 µs           0.50 ±0.00  failed
           requests/s   more       1000           2.00 ±0.00  failed
`
	if text.String() != wantText {
		t.Errorf("got\n%s\nwant\n%s", &text, wantText)
	}
	if err := writeMarkdown(p, r); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(p.markdown)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| scenario | figure | better | pleat | / limit | / gin | / echo |\n| --- | --- | --- | ---: |",
		"| pipelined | CPU/request | less | 1.05 µs |  | 0.50 ±0.00 | failed |",
		"| pipelined | CPU/request | µs | 1.05 ±0.05 |  | 2.10 ±0.10 | failed |",
		"- kernel: ", "- processor: ", "- wrk: ",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

func TestCommand(t *testing.T) {
	got := command([]string{"-bin", "/a", "-lua", "/b", "-quick", "-server", "gin"})
	if want := "bench/run -quick -server gin"; got != want {
		t.Errorf("command = %q, want %q", got, want)
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[float64]string{0.123: "0.12", 9.876: "9.88", 12.34: "12.3", 1234.5: "1234", -20: "-20.0"} {
		if got := number(in); got != want {
			t.Errorf("number(%v) = %q, want %q", in, got, want)
		}
	}
}
