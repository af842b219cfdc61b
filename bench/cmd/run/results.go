// SPDX-License-Identifier: MIT

//go:build linux

package main

import (
	"math"
	"slices"
)

// results are the samples of a run: for each scenario and server one per round,
// nil where the measurement failed.
type results struct {
	samples map[string]map[string][]sample
}

func newResults() *results { return &results{map[string]map[string][]sample{}} }

func (r *results) add(scenario, server string, s sample) {
	if r.samples[scenario] == nil {
		r.samples[scenario] = map[string][]sample{}
	}
	r.samples[scenario][server] = append(r.samples[scenario][server], s)
}

// estimate is a median with half the range around it.
type estimate struct {
	mid, spread float64
	n           int // how many values it stands on; 0 means there is none
}

func estimateOf(values []float64) (e estimate) {
	if len(values) == 0 {
		return e
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	e.n = n
	e.mid = (sorted[(n-1)/2] + sorted[n/2]) / 2
	e.spread = (sorted[n-1] - sorted[0]) / 2
	return e
}

// value is the absolute figure of a server.
func (r *results) value(scenario, server, key string) estimate {
	var values []float64
	for _, s := range r.samples[scenario][server] {
		if v, ok := s[key]; ok {
			values = append(values, v)
		}
	}
	return estimateOf(values)
}

// ratio is what the subject's figure is of the rival's. They are compared round
// by round, as what disturbs a round disturbs both.
func (r *results) ratio(scenario, rival, key string) estimate {
	own, theirs := r.samples[scenario][subject], r.samples[scenario][rival]
	var ratios []float64
	for i := range min(len(own), len(theirs)) {
		a, ok1 := own[i][key]
		b, ok2 := theirs[i][key]
		if q := a / b; ok1 && ok2 && !math.IsNaN(q) && !math.IsInf(q, 0) {
			ratios = append(ratios, q)
		}
	}
	return estimateOf(ratios)
}

// tookPart reports whether a server was measured at all in a scenario.
func (r *results) tookPart(scenario, server string) bool {
	return len(r.samples[scenario][server]) > 0
}
